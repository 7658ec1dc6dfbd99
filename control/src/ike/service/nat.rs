//! Who stands behind a NAT, and what follows from it.

use adit_dataplane::contract::Following;

/// What NAT detection found (RFC 7296 section 2.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nat {
    pub(crate) peer: Behind,
    pub(crate) us: Behind,
}

impl Nat {
    /// A peer behind a NAT is followed when its mapping changes, and only such a peer (RFC 7296 section 2.23).
    ///
    /// DEVIATES: section 2.23 advises an end that is behind a NAT itself against following. A headend behind a
    /// one-to-one NAT is an ordinary thing, and who could misuse it (deliver the peer's newest packet from an address
    /// of his own before it arrives) can as well keep that packet from arriving.
    pub(crate) fn following(self) -> Following {
        match self.peer {
            Behind::Nat => Following::NewestPacket,
            Behind::Nothing => Following::CommandOnly,
        }
    }
}

/// One side's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Nat,
    Nothing,
}
