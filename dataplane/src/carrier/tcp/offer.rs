//! What is to be remembered of a SYN without remembering it: nine bits of our cookie.

use crate::carrier::ctcp::{SCALE, SynFacts, SynOptions};
use crate::wire::tcp::Shift;
use crate::wire::tcp_offer::{Sack, SynOffer};

/// Sizes of segments that tunnels, DSL and Ethernet leave, over IPv4 and IPv6; a peer is taken to want the largest of these that it
/// can take. Nothing is below RFC 9293's default (section 3.7.1).
const SIZES: [u16; 8] = [536, 1024, 1220, 1300, 1360, 1400, 1440, 1460];
/// In the place of a scale: none.
const NO_SCALE: u32 = 15;
/// Bits that an offer fills.
pub(in crate::carrier) const BITS: u32 = 0x1ff;

/// What we know of a peer's TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Whether its SYN had options.
    pub options: SynOptions,
    /// Which of [`SIZES`].
    size: u8,
    /// By how many bits its windows are to be shifted.
    scale: Option<u8>,
    /// Whether it may be told of holes.
    sack: Sack,
}

impl Offer {
    /// Of a SYN without options.
    pub const NONE: Self = Self { options: SynOptions::None, size: 0, scale: None, sack: Sack::Unknown };

    /// Of a SYN with these options.
    pub fn of(syn: &SynOffer) -> Self {
        let size = SIZES.iter().rposition(|size| syn.mss.is_some_and(|mss| *size <= mss)).unwrap_or_default();
        Self { options: SynOptions::Some, size: size as u8, scale: syn.scale, sack: syn.sack_of_real_tcp() }
    }

    /// What a SYN with this would have said, if segments to that peer have that much room.
    pub fn syn(self) -> SynOffer {
        SynOffer { mss: SIZES.get(usize::from(self.size)).copied(), scale: self.scale, sack: self.sack }
    }

    /// What cTCP has to know of it.
    pub fn facts(self) -> SynFacts {
        SynFacts { options: self.options, scale: self.scale.map(Shift::new) }
    }

    /// A window of so many octets, as our header has it after such a SYN.
    pub(super) fn window(self, octets: usize) -> u16 {
        let shift = self.scale.map_or(0, |_| SCALE.bits());
        u16::try_from(octets >> shift).unwrap_or(u16::MAX)
    }

    /// As a cookie has it: its lowest bit says whether there were options, the others are the cookie's own if not.
    pub(in crate::carrier) fn mix(self, hash: u32) -> u32 {
        match self.options {
            SynOptions::None => hash & !1,
            SynOptions::Some => {
                let scale = self.scale.map_or(NO_SCALE, u32::from);
                let sack = u32::from(self.sack == Sack::Permitted);
                hash & !BITS | sack << 8 | scale << 4 | u32::from(self.size) << 1 | 1
            }
        }
    }

    /// What [`Offer::mix`] has put in.
    pub(in crate::carrier) fn of_cookie(cookie: u32) -> Self {
        if cookie & 1 == 0 {
            return Self::NONE;
        }
        let (size, scale) = ((cookie >> 1 & 7) as u8, cookie >> 4 & 15);
        let sack = if cookie >> 8 & 1 == 1 { Sack::Permitted } else { Sack::Unknown };
        Self { options: SynOptions::Some, size, scale: (scale != NO_SCALE).then_some(scale as u8), sack }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_keeps_what_a_syn_has_offered() {
        for (mss, kept) in [(0, 536), (536, 536), (1219, 1024), (1380, 1360), (1448, 1440), (1460, 1460), (8960, 1460)]
        {
            for scale in [None, Some(0), Some(7), Some(14)] {
                let sack = Sack::Permitted;
                let offer = Offer::of(&SynOffer { mss: Some(mss), scale, sack });
                let back = Offer::of_cookie(offer.mix(0xdead_beef));
                assert_eq!((back, back.syn().mss, back.syn().scale), (offer, Some(kept), scale));
            }
        }
        assert_eq!(Offer::of_cookie(Offer::NONE.mix(0xdead_beef)), Offer::NONE);
    }
}
