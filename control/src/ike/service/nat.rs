//! Who stands behind a NAT, and what follows from it.

use adit_dataplane::contract::{EspPath, Following, IkeDatagram, IkeFraming, Transport, Transports};

/// What NAT detection found (RFC 7296 section 2.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nat {
    pub(crate) peer: Behind,
    pub(crate) us: Behind,
}

impl Nat {
    /// Of who comes by cTCP. Nothing is detected there: TCP passes a NAT as it is, and whoever opens another connection is followed.
    pub(crate) const OF_WHO_CONNECTS: Self = Self { peer: Behind::Nat, us: Behind::Nothing };
    /// Of whom we have called by cTCP: it stays where it is.
    pub(crate) const OF_WHO_IS_CALLED: Self = Self { peer: Behind::Nothing, us: Behind::Nothing };

    /// A peer behind a NAT is followed when its mapping changes, and only such a peer (RFC 7296 section 2.23). Any other
    /// may change between native ESP and ESP in UDP, which must be taken in whether there is a NAT or not.
    ///
    /// DEVIATES: section 2.23 advises an end that is behind a NAT itself against following. A headend behind a
    /// one-to-one NAT is an ordinary thing, and who could misuse it (deliver the peer's newest packet from an address
    /// of his own before it arrives) can as well keep that packet from arriving.
    pub(crate) fn following(self) -> Following {
        match self.peer {
            Behind::Nat => Following::NewestPacket,
            Behind::Nothing => Following::SameHosts,
        }
    }

    /// Where ESP goes at first, if it can go anywhere: in UDP if there is a NAT (RFC 7296 section 2.23), which takes an
    /// IKE that has floated to port 4500 and shows its mapping there; without one, as it is. `message` is of IKE_AUTH.
    pub(crate) fn esp_path(self, message: &IkeDatagram, carried: Transports) -> Option<EspPath> {
        let transport = match (self.peer, self.us, message.framing) {
            (_, _, IkeFraming::Ctcp) if carried.contains(Transport::Ctcp) => Transport::Ctcp,
            (_, _, IkeFraming::Ctcp) => return None,
            // RFC 9329 section 6.5: whatever was found, UDP is not used inside TCP.
            (_, _, IkeFraming::Tcp) if carried.contains(Transport::Tcp) => Transport::Tcp,
            (_, _, IkeFraming::Tcp) => return None,
            (Behind::Nothing, Behind::Nothing, _) if carried.contains(Transport::Esp) => Transport::Esp,
            (_, _, IkeFraming::NonEspMarker) if carried.contains(Transport::NatT) => Transport::NatT,
            (_, _, IkeFraming::Bare | IkeFraming::NonEspMarker) => return None,
        };
        Some(EspPath::new(transport, message.path))
    }
}

/// One side's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Nat,
    Nothing,
}
