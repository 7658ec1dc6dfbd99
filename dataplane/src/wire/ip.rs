//! Inner IP packets: the little of IPv4 (RFC 791) and IPv6 (RFC 8200) that routing and selectors need.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// ICMP for IPv4 (RFC 792).
pub const ICMP: u8 = 1;
/// TCP (RFC 9293).
pub const TCP: u8 = 6;
/// UDP (RFC 768).
pub const UDP: u8 = 17;
/// ICMP for IPv6 (RFC 4443).
pub const ICMPV6: u8 = 58;
const DCCP: u8 = 33;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
/// Our own limit: more extension headers than this and the upper protocol counts as unknown.
const MAX_EXTENSION_HEADERS: usize = 8;

/// Octets of an IPv4 header without options.
pub const IPV4_HEADER: usize = 20;
/// Octets of an IPv6 header.
pub const IPV6_HEADER: usize = 40;
/// Octets that every IPv6 link carries (RFC 8200 section 5).
pub const IPV6_LEAST_MTU: u16 = 1280;
/// Octets of a UDP header.
pub const UDP_HEADER: usize = 8;

/// An inner packet whose headers are sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpPacket {
    /// From and to.
    pub addresses: Addresses,
    /// What the header says the packet's length is; never more than there is.
    pub len: usize,
}

/// Both addresses as numbers, so that ranges compare in one instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// From.
        source: u32,
        /// To.
        destination: u32,
    },
    /// IPv6.
    V6 {
        /// From.
        source: u128,
        /// To.
        destination: u128,
    },
}

impl Addresses {
    /// From.
    pub fn source(self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => Ipv4Addr::from(source).into(),
            Self::V6 { source, .. } => Ipv6Addr::from(source).into(),
        }
    }

    /// To.
    pub fn destination(self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => Ipv4Addr::from(destination).into(),
            Self::V6 { destination, .. } => Ipv6Addr::from(destination).into(),
        }
    }
}

impl IpPacket {
    /// `None` if it is not an IP packet or its headers say more than there is.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => {
                let header = bytes.first_chunk::<IPV4_HEADER>()?;
                let header_len = usize::from(header[0] & 0xf) * 4;
                let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
                if header_len < IPV4_HEADER || len < header_len || len > bytes.len() {
                    return None;
                }
                let source = u32::from_be_bytes([header[12], header[13], header[14], header[15]]);
                let destination = u32::from_be_bytes([header[16], header[17], header[18], header[19]]);
                Some(Self { addresses: Addresses::V4 { source, destination }, len })
            }
            6 => {
                let (header, rest) = bytes.split_first_chunk::<IPV6_HEADER>()?;
                let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
                if payload > rest.len() {
                    return None;
                }
                let source = u128::from_be_bytes(*header[8..].first_chunk()?);
                let destination = u128::from_be_bytes(*header[24..].first_chunk()?);
                Some(Self { addresses: Addresses::V6 { source, destination }, len: IPV6_HEADER + payload })
            }
            _ => None,
        }
    }
}

/// Whether a packet may be forwarded once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hops {
    /// Its TTL or hop limit is one less now.
    Left,
    /// It is at its end, unchanged.
    Expired,
}

/// Takes one off the TTL (with the header checksum, RFC 1624) or the hop limit of a packet that
/// [`IpPacket::parse`] took. A packet that would leave with 0 has expired (RFC 1812 section 5.3.1).
pub fn take_hop(bytes: &mut [u8]) -> Hops {
    if let Some(header) = bytes.first_chunk_mut::<IPV4_HEADER>()
        && header[0] >> 4 == 4
    {
        if header[8] <= 1 {
            return Hops::Expired;
        }
        header[8] -= 1;
        // One less in the high octet of its word is 0x0100 more in the complement, carry added back (RFC 1624 section 3).
        let (sum, carry) = u16::from_be_bytes([header[10], header[11]]).overflowing_add(0x0100);
        let [high, low] = (sum + u16::from(carry)).to_be_bytes();
        (header[10], header[11]) = (high, low);
        return Hops::Left;
    }
    match bytes.get_mut(7) {
        Some(limit) if *limit > 1 => {
            *limit -= 1;
            Hops::Left
        }
        Some(_) | None => Hops::Expired,
    }
}

/// What a selector with protocol or ports looks at (RFC 4301 section 4.4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upper {
    /// Of the payload, behind IPv6's extension headers.
    pub protocol: u8,
    /// Source and destination port; for ICMP both are type and code. `None` where there are none to be seen:
    /// another protocol, or a fragment that is not the first.
    pub ports: Option<(u16, u16)>,
    /// Whether the start of the payload is in this packet.
    pub fragment: Fragment,
    /// Octets in front of the payload.
    pub at: usize,
}

/// Which part of a datagram a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// All of it, or its start.
    First,
    /// A later part.
    Later,
}

impl Upper {
    /// Of a packet that [`IpPacket::parse`] took.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => {
                let header = bytes.first_chunk::<IPV4_HEADER>()?;
                let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
                let payload = bytes.get(usize::from(header[0] & 0xf) * 4..)?;
                Some(Self::of(header[9], bytes, payload, Fragment::at(offset)))
            }
            6 => {
                let mut next = *bytes.get(6)?;
                let mut rest = bytes.get(IPV6_HEADER..)?;
                let mut fragment = Fragment::First;
                for _ in 0..MAX_EXTENSION_HEADERS {
                    let len = match next {
                        HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => (usize::from(*rest.get(1)?) + 1) * 8,
                        FRAGMENT => {
                            fragment = Fragment::at(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) >> 3);
                            8
                        }
                        _ => return Some(Self::of(next, bytes, rest, fragment)),
                    };
                    next = *rest.first()?;
                    rest = rest.get(len..)?;
                    if fragment == Fragment::Later {
                        // What follows is the middle of something: no header chain to walk.
                        return Some(Self::of(next, bytes, rest, fragment));
                    }
                }
                None
            }
            _ => None,
        }
    }

    fn of(protocol: u8, packet: &[u8], payload: &[u8], fragment: Fragment) -> Self {
        let ports = match (fragment, protocol, payload) {
            (Fragment::First, TCP | UDP | DCCP | SCTP | UDP_LITE, [a, b, c, d, ..]) => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            (Fragment::First, ICMP | ICMPV6, [kind, code, ..]) => {
                let both = u16::from_be_bytes([*kind, *code]);
                Some((both, both))
            }
            (Fragment::First | Fragment::Later, _, _) => None,
        };
        Self { protocol, ports, fragment, at: packet.len() - payload.len() }
    }
}

impl Fragment {
    fn at(offset: u16) -> Self {
        if offset == 0 { Self::First } else { Self::Later }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::Sum;

    fn v4(ttl: u8) -> [u8; 20] {
        let mut header = [0x45, 0, 0, 20, 0, 1, 0, 0, ttl, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let sum = Sum::default().bytes(&header).checksum().to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        header
    }

    #[test]
    fn any_bytes_parse_without_panic_and_never_claim_more_than_there_is() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let _ = Upper::parse(bytes);
            if let Some(ip) = IpPacket::parse(bytes) {
                assert!(ip.len <= bytes.len());
            }
            let _ = take_hop(&mut bytes.clone());
        });
    }

    #[test]
    fn lengths_are_sound_at_both_ends() {
        let packet = v4(64);
        assert_eq!(IpPacket::parse(&packet).map(|ip| ip.len), Some(20));
        for (len, sound) in [(19, false), (20, true), (21, false)] {
            let mut packet = v4(64);
            packet[3] = len;
            assert_eq!(IpPacket::parse(&packet).is_some(), sound, "total length {len} in 20 octets");
        }
        for (words, sound) in [(4, false), (5, true), (6, false)] {
            let mut packet = v4(64);
            packet[0] = 0x40 | words;
            assert_eq!(IpPacket::parse(&packet).is_some(), sound, "header of {words} words");
        }
        let mut packet = [0; 41];
        packet[0] = 0x60;
        for (payload, sound) in [(0, true), (1, true), (2, false)] {
            packet[5] = payload;
            assert_eq!(IpPacket::parse(&packet).is_some(), sound, "payload length {payload} in 1 octet");
        }
        assert_eq!(IpPacket::parse(&packet[..39]), None);
        assert_eq!(IpPacket::parse(&[]), None);
    }

    #[test]
    fn a_hop_taken_leaves_the_header_checksum_right() {
        for ttl in 0..=255 {
            let mut packet = v4(ttl);
            match take_hop(&mut packet) {
                Hops::Expired => assert!(ttl <= 1),
                Hops::Left => {
                    assert_eq!(packet[8], ttl - 1);
                    assert_eq!(Sum::default().bytes(&packet).checksum(), 0, "ttl {ttl}");
                }
            }
        }
        for (limit, hops) in [(0, Hops::Expired), (1, Hops::Expired), (2, Hops::Left), (255, Hops::Left)] {
            let mut packet = [0; 40];
            (packet[0], packet[7]) = (0x60, limit);
            assert_eq!(take_hop(&mut packet), hops);
            assert_eq!(packet[7], limit - u8::from(hops == Hops::Left));
        }
    }

    #[test]
    fn ports_are_found_behind_extension_headers_and_not_in_later_fragments() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 20, HOP_BY_HOP, 64];
        packet.extend([0; 32]);
        packet.extend([FRAGMENT, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend([UDP, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([0x12, 0x34, 0x56, 0x78]);
        let upper = Upper::parse(&packet).unwrap();
        assert_eq!((upper.protocol, upper.ports, upper.at), (UDP, Some((0x1234, 0x5678)), 56));
        packet[51] = 8;
        let upper = Upper::parse(&packet).unwrap();
        assert_eq!((upper.protocol, upper.ports, upper.fragment), (UDP, None, Fragment::Later));
    }
}
