//! What a frame ends with.
//!
//! ```text
//!  0               4       6       8                   12  13  14      16
//! +---------------+-------+-------+-------------------+---+---+-------+
//! | 0             | IP ID | flags | 21 45 6c 69       |10 |pr |01 00  |
//! +---------------+-------+-------+-------------------+---+---+-------+
//! ```
//! Words 4 and 6 mirror the IP header that the packet would have had; adit sends zeros, as Cisco does for ESP, and looks at
//! neither.

/// Octets of a trailer.
pub const TRAILER_LEN: usize = 16;
/// Where the fixed octets begin.
pub(super) const MAGIC_AT: usize = 8;
/// What never differs, up to the protocol. Its last octet is the trailer's length.
pub(super) const MAGIC: &[u8; 5] = b"!Eli\x10";
const VERSION: [u8; 2] = [1, 0];

/// What stands before the trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inside {
    /// A UDP header and an IKE message.
    Ike,
    /// ESP, its SPI first.
    Esp,
}

impl Inside {
    /// The IP protocol that the packet would have had.
    const fn protocol(self) -> u8 {
        match self {
            Self::Ike => 17,
            Self::Esp => 50,
        }
    }

    const fn from_protocol(protocol: u8) -> Option<Self> {
        match protocol {
            17 => Some(Self::Ike),
            50 => Some(Self::Esp),
            _ => None,
        }
    }
}

/// A trailer as we send it.
pub const fn trailer(inside: Inside) -> [u8; TRAILER_LEN] {
    let [a, b, c, d, e] = *MAGIC;
    let [major, minor] = VERSION;
    [0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, e, inside.protocol(), major, minor]
}

/// What a trailer says. Its first eight octets may be anything.
#[inline]
pub(super) fn read_trailer(octets: &[u8; TRAILER_LEN]) -> Option<Inside> {
    match octets {
        [.., b'!', b'E', b'l', b'i', 0x10, protocol, 1, 0] => Inside::from_protocol(*protocol),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_read_back_and_differs_in_one_octet() {
        for inside in [Inside::Ike, Inside::Esp] {
            assert_eq!(read_trailer(&trailer(inside)), Some(inside));
        }
        assert_eq!(hex::encode(&trailer(Inside::Esp)[MAGIC_AT..]), "21456c6910320100");
        assert_eq!(hex::encode(&trailer(Inside::Ike)[MAGIC_AT..]), "21456c6910110100");
    }

    /// A Cisco client's, with the identification and DF of the packet that it would have been.
    #[test]
    fn a_trailer_that_mirrors_an_ip_header_is_read() {
        let octets = hex::decode("00000000b74c400021456c6910110100").unwrap();
        assert_eq!(read_trailer(octets.first_chunk().unwrap()), Some(Inside::Ike));
    }

    #[test]
    fn each_of_the_last_eight_octets_counts() {
        for at in MAGIC_AT..TRAILER_LEN {
            let mut octets = trailer(Inside::Esp);
            octets[at] ^= 0x40;
            assert_eq!(read_trailer(&octets), None, "octet {at}");
        }
    }
}
