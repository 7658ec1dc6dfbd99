//! The octet that IPv4 called type of service and IPv6 calls traffic class: DSCP (RFC 2474) and ECN (RFC 3168).
//!
//! ```text
//! | DSCP : 6 | ECN : 2 |
//! ```

use super::ip::IPV4_HEADER;
use crate::offload::replace;

/// The octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TrafficClass(u8);

/// A differentiated services code point, 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dscp(u8);

/// Explicit congestion notification (RFC 3168 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Ecn {
    /// The transport does not know it.
    #[default]
    NotEct = 0,
    /// It does.
    Ect1 = 1,
    /// It does.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Dscp {
    /// `None` above 63.
    pub const fn new(value: u8) -> Option<Self> {
        if value < 64 { Some(Self(value)) } else { None }
    }

    /// As a number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TrafficClass {
    /// Any octet is one.
    pub const fn from_octet(octet: u8) -> Self {
        Self(octet)
    }

    /// Made of its parts.
    pub const fn new(dscp: Dscp, ecn: Ecn) -> Self {
        Self(dscp.0 << 2 | ecn as u8)
    }

    /// Of a packet that [`super::ip::IpPacket::parse`] took.
    #[inline]
    pub fn of(packet: &[u8]) -> Self {
        match packet.first_chunk::<2>() {
            Some([first, second]) if first >> 4 == 4 => Self(*second),
            Some([first, second]) => Self(first << 4 | second >> 4),
            None => Self::default(),
        }
    }

    /// As it stands in the header.
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// Its upper part.
    pub const fn dscp(self) -> Dscp {
        Dscp(self.0 >> 2)
    }

    /// Its lower part.
    pub const fn ecn(self) -> Ecn {
        match self.0 & 3 {
            1 => Ecn::Ect1,
            2 => Ecn::Ect0,
            3 => Ecn::Ce,
            _ => Ecn::NotEct,
        }
    }
}

impl Ecn {
    /// What leaves a tunnel when `self` stands in the inner header and `outer` in the outer one (RFC 6040
    /// section 4.2, figure 4); `None` if the packet must be dropped: it was marked because of congestion, and its
    /// transport would not understand the mark.
    pub const fn decapsulated(self, outer: Self) -> Option<Self> {
        match (self, outer) {
            (Self::NotEct, Self::NotEct | Self::Ect0 | Self::Ect1) => Some(Self::NotEct),
            (Self::NotEct, Self::Ce) => None,
            (Self::Ect0, Self::NotEct | Self::Ect0) => Some(Self::Ect0),
            (Self::Ect0, Self::Ect1) | (Self::Ect1, Self::NotEct | Self::Ect0 | Self::Ect1) => Some(Self::Ect1),
            (Self::Ect0 | Self::Ect1, Self::Ce) | (Self::Ce, _) => Some(Self::Ce),
        }
    }

    /// Writes it into the IP header of a packet that [`super::ip::IpPacket::parse`] took; IPv4's header checksum
    /// follows.
    pub fn write(self, packet: &mut [u8]) {
        if let Some(header) = packet.first_chunk_mut::<IPV4_HEADER>()
            && header[0] >> 4 == 4
        {
            let old = u16::from_be_bytes([header[0], header[1]]);
            header[1] = header[1] & !3 | self as u8;
            let new = u16::from_be_bytes([header[0], header[1]]);
            let sum = replace(u16::from_be_bytes([header[10], header[11]]), old, new);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
        } else if let Some(octet) = packet.get_mut(1) {
            *octet = *octet & !0x30 | (self as u8) << 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::Sum;

    const ALL: [Ecn; 4] = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce];

    #[test]
    fn the_octet_comes_apart_and_together_in_both_headers() {
        for octet in 0..=255 {
            let class = TrafficClass::from_octet(octet);
            assert_eq!(TrafficClass::new(class.dscp(), class.ecn()).octet(), octet);
            assert_eq!(TrafficClass::of(&[0x45, octet, 0, 0]), class);
            assert_eq!(TrafficClass::of(&[0x60 | octet >> 4, octet << 4 | 0xf, 0xff, 0xff]), class);
        }
        assert_eq!(TrafficClass::of(&[0x45]), TrafficClass::default());
        assert_eq!((Dscp::new(63).map(Dscp::get), Dscp::new(64)), (Some(63), None));
    }

    /// RFC 6040 figure 4, row by row; columns Not-ECT, ECT(0), ECT(1), CE.
    #[test]
    fn decapsulation_follows_the_table_of_rfc_6040() {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        let columns = [NotEct, Ect0, Ect1, Ce];
        for (inner, row) in [
            (NotEct, [Some(NotEct), Some(NotEct), Some(NotEct), None]),
            (Ect0, [Some(Ect0), Some(Ect0), Some(Ect1), Some(Ce)]),
            (Ect1, [Some(Ect1), Some(Ect1), Some(Ect1), Some(Ce)]),
            (Ce, [Some(Ce), Some(Ce), Some(Ce), Some(Ce)]),
        ] {
            assert_eq!(columns.map(|outer| inner.decapsulated(outer)), row, "{inner:?}");
        }
    }

    #[test]
    fn a_written_field_leaves_the_rest_and_the_checksum_right() {
        for octet in 0..=255u8 {
            for ecn in ALL {
                let mut v4 = [0x45, octet, 0, 20, 1, 2, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
                let sum = Sum::default().bytes(&v4).checksum().to_be_bytes();
                v4[10..12].copy_from_slice(&sum);
                ecn.write(&mut v4);
                assert_eq!(v4[1], octet & 0xfc | ecn as u8);
                assert_eq!(Sum::default().bytes(&v4).checksum(), 0);
                let mut v6 = [0x60 | octet >> 4, octet << 4 | 0xa, 0x55, 0xaa];
                ecn.write(&mut v6);
                assert_eq!(TrafficClass::of(&v6).octet(), octet & 0xfc | ecn as u8);
                assert_eq!((v6[0] >> 4, v6[1] & 0xf, v6[2], v6[3]), (6, 0xa, 0x55, 0xaa));
            }
        }
        Ecn::Ce.write(&mut []);
    }
}
