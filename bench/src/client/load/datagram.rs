//! Inner packets of a load: IPv4 (RFC 791) or IPv6 (RFC 8200) with UDP (RFC 768), numbered, and their echoes.
//!
//! ```text
//! | IP | UDP | number : 64 | time when it was sent : 64 | zeros |
//! ```

use adit_dataplane::offload::Sum;
use adit_dataplane::wire::ip::{IPV4_HEADER, IPV6_HEADER, IpPacket, UDP, UDP_HEADER};
use std::net::{IpAddr, SocketAddr};

/// What a payload must have room for, in octets.
pub(in crate::client) const LEAST: u16 = 16;
/// Nobody else has ports at our address.
const OUR_PORT: u16 = 49_152;
const HOPS: u8 = 64;
/// RFC 791 section 3.1: do not fragment.
const DF: u16 = 0x4000;

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream {
    ours: IpAddr,
    theirs: SocketAddr,
}

/// What a packet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) number: u64,
    /// Nanoseconds.
    pub(super) sent: u64,
}

/// Octets of the headers around a payload to this address.
pub(in crate::client) const fn headers(to: IpAddr) -> usize {
    match to {
        IpAddr::V4(_) => IPV4_HEADER + UDP_HEADER,
        IpAddr::V6(_) => IPV6_HEADER + UDP_HEADER,
    }
}

impl Stream {
    /// From the first of our addresses that is of their family.
    pub(super) fn new(ours: &[IpAddr], theirs: SocketAddr) -> Option<Self> {
        let ours = ours.iter().copied().find(|ours| ours.is_ipv4() == theirs.is_ipv4())?;
        Some(Self { ours, theirs })
    }

    /// The packet with a payload of so many octets, in the place of what is in `packet`.
    pub(super) fn write(&self, mark: Mark, payload: u16, packet: &mut Vec<u8>) {
        let len = payload.max(LEAST) + UDP_HEADER as u16;
        packet.clear();
        match (self.ours, self.theirs.ip()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                packet.extend([0x45, 0]);
                packet.extend((len + IPV4_HEADER as u16).to_be_bytes());
                // What is never cut needs no identification (RFC 6864 section 4.1).
                packet.extend([0, 0]);
                packet.extend(DF.to_be_bytes());
                packet.extend([HOPS, UDP, 0, 0]);
                packet.extend(ours.octets());
                packet.extend(theirs.octets());
                let checksum = Sum::default().bytes(packet).checksum();
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            }
            (ours, theirs) => {
                packet.extend([0x60, 0, 0, 0]);
                packet.extend(len.to_be_bytes());
                packet.extend([UDP, HOPS]);
                for address in [ours, theirs] {
                    packet.extend(octets(address));
                }
            }
        }
        let start = packet.len();
        packet.extend(OUR_PORT.to_be_bytes());
        packet.extend(self.theirs.port().to_be_bytes());
        packet.extend(len.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(mark.number.to_be_bytes());
        packet.extend(mark.sent.to_be_bytes());
        packet.resize(start + usize::from(len), 0);
        let checksum = self.pseudo_header(len).bytes(&packet[start..]).nonzero_checksum();
        packet[start + 6..start + 8].copy_from_slice(&checksum.to_be_bytes());
    }

    /// The mark of a packet of ours that came back; `None` if it is anything else or its checksums are wrong.
    pub(super) fn read(&self, packet: &[u8]) -> Option<Mark> {
        let parsed = IpPacket::parse(packet)?;
        let (source, destination) = (parsed.addresses.source(), parsed.addresses.destination());
        if (source, destination) != (self.theirs.ip(), self.ours) {
            return None;
        }
        let packet = packet.get(..parsed.len)?;
        let (header, protocol) = match self.ours {
            IpAddr::V4(_) => (usize::from(packet.first()? & 0xf) * 4, packet.get(9)?),
            IpAddr::V6(_) => (IPV6_HEADER, packet.get(6)?),
        };
        let (header, udp) = packet.split_at_checked(header)?;
        if *protocol != UDP || (self.ours.is_ipv4() && Sum::default().bytes(header).checksum() != 0) {
            return None;
        }
        let ports = [self.theirs.port().to_be_bytes(), OUR_PORT.to_be_bytes()].concat();
        let len = u16::try_from(udp.len()).ok()?;
        if !udp.starts_with(&ports) || udp.get(4..6)? != len.to_be_bytes() {
            return None;
        }
        // A checksum of zero is none (RFC 768): nothing then says that these are the octets we sent.
        if udp.get(6..8)? == [0, 0] || self.pseudo_header(len).bytes(udp).checksum() != 0 {
            return None;
        }
        let (number, rest) = udp.get(UDP_HEADER..)?.split_first_chunk()?;
        let sent = rest.first_chunk()?;
        Some(Mark { number: u64::from_be_bytes(*number), sent: u64::from_be_bytes(*sent) })
    }

    /// The same both ways (RFC 768; RFC 8200 section 8.1).
    fn pseudo_header(&self, len: u16) -> Sum {
        let sum = Sum::default().bytes(&octets(self.ours)).bytes(&octets(self.theirs.ip()));
        sum.word(u16::from(UDP)).word(len)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { number: 0x0102_0304_0506_0708, sent: 0xa1a2_a3a4_a5a6_a7a8 };

    fn streams() -> [Stream; 2] {
        let ours: [IpAddr; 2] = ["10.30.0.2".parse().unwrap(), "fd30::2".parse().unwrap()];
        ["10.20.0.2:7", "[fd20::2]:7000"].map(|theirs| Stream::new(&ours, theirs.parse().unwrap()).unwrap())
    }

    fn written(stream: &Stream, payload: u16) -> Vec<u8> {
        let mut packet = vec![9; 3];
        stream.write(MARK, payload, &mut packet);
        packet
    }

    /// As RFC 1071 section 4.1 does it, octet by octet: nothing of it is shared with what is tested.
    fn sum(parts: &[&[u8]]) -> u16 {
        let octets: Vec<u8> = parts.concat();
        let words = octets.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
        let mut sum: u32 = words.sum();
        while sum >> 16 > 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// What the other end sends: addresses and ports change places, so no checksum changes.
    fn echo(packet: &[u8]) -> Vec<u8> {
        let (first, len) = if packet[0] >> 4 == 4 { (12, 4) } else { (8, 16) };
        let (before, after) = (&packet[..first], &packet[first + 2 * len..]);
        let (ours, theirs) = (&packet[first..first + len], &packet[first + len..first + 2 * len]);
        [before, theirs, ours, &after[2..4], &after[..2], &after[4..]].concat()
    }

    #[test]
    fn headers_and_checksums_are_what_the_rfcs_say_to_a_reader_who_shares_nothing() {
        for payload in [16, 17, 18, 999, 1372] {
            let [v4, v6] = streams().map(|stream| written(&stream, payload));
            assert_eq!(v4.len(), usize::from(payload) + 28);
            assert_eq!((v4[0], &v4[2..4], v4[9]), (0x45, &(payload + 28).to_be_bytes()[..], 17));
            assert_eq!((&v4[12..16], &v4[16..20]), (&[10, 30, 0, 2][..], &[10, 20, 0, 2][..]));
            assert_eq!(sum(&[&v4[..20]]), 0xffff);
            let len = (payload + 8).to_be_bytes();
            assert_eq!((&v4[22..24], &v4[24..26]), (&[0, 7][..], &len[..]));
            assert_eq!(sum(&[&v4[12..20], &[0, 17], &len, &v4[20..]]), 0xffff);
            assert_ne!(v4[26..28], [0, 0]);

            assert_eq!(v6.len(), usize::from(payload) + 48);
            assert_eq!((v6[0], &v6[4..6], v6[6]), (0x60, &len[..], 17));
            assert_eq!((v6[8], v6[23], v6[24], v6[39]), (0xfd, 2, 0xfd, 2));
            assert_eq!((&v6[42..44], &v6[44..46]), (&7000_u16.to_be_bytes()[..], &len[..]));
            assert_eq!(sum(&[&v6[8..40], &[0, 0], &len, &[0, 0, 0, 17], &v6[40..]]), 0xffff);
        }
    }

    #[test]
    fn an_echo_is_read_and_what_was_sent_is_none() {
        for stream in streams() {
            let packet = written(&stream, 100);
            assert_eq!(stream.read(&packet), None);
            assert_eq!(stream.read(&echo(&packet)), Some(MARK));
            assert_eq!(stream.read(&[&echo(&packet)[..], &[1, 2, 3]].concat()), Some(MARK), "behind it is no packet");
        }
    }

    #[test]
    fn an_echo_with_any_bit_changed_or_any_octet_missing_is_none() {
        for stream in streams() {
            let echo = echo(&written(&stream, 20));
            // What no checksum covers: type of service and flow label, and how many hops are left, over IPv6.
            let uncovered = |at: usize| echo[0] >> 4 == 6 && ((at == 0) || (1..4).contains(&at) || at == 7);
            for bit in 0..echo.len() * 8 {
                let mut changed = echo.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(uncovered(bit / 8) || stream.read(&changed).is_none(), "bit {bit}");
            }
            for len in 0..echo.len() {
                assert_eq!(stream.read(&echo[..len]), None, "{len} octets");
            }
        }
    }

    #[test]
    fn any_octets_are_read_without_panic() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|packet| {
            for stream in streams() {
                let _ = stream.read(packet);
            }
        });
    }

    #[test]
    fn without_an_address_of_their_family_there_is_no_stream() {
        let ours = ["10.30.0.2".parse().unwrap()];
        assert_eq!(Stream::new(&ours, "[fd20::2]:7".parse().unwrap()), None);
    }
}
