//! TCP's header (RFC 9293 section 3.1).

use crate::contract::Path;
use crate::offload::Sum;
use crate::wire::ip::TCP;
use std::fmt;
use std::net::IpAddr;

/// Octets of a header without options.
pub const TCP_HEADER: usize = 20;
/// Octets of the longest header: its length is counted in 4-octet words by four bits.
pub const MAX_TCP_HEADER: usize = 60;

/// A place in a stream; the numbers wrap (RFC 9293 section 3.4), so there is "after", but no order of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Seq(u32);

impl Seq {
    /// The place with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// As on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// So many octets further on.
    #[must_use]
    pub const fn plus(self, octets: usize) -> Self {
        Self(self.0.wrapping_add(octets as u32))
    }

    /// The one before.
    #[must_use]
    pub const fn minus_one(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// Octets from `earlier` to here; negative if this is the earlier one. Right for places less than 2^31 apart.
    pub const fn distance(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// Octets from `earlier` to here, 0 if this is the earlier one.
    pub const fn octets_since(self, earlier: Self) -> usize {
        match self.distance(earlier) {
            octets @ 1.. => octets.unsigned_abs() as usize,
            _ => 0,
        }
    }

    /// Whether this place lies behind `other`.
    pub const fn is_after(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// The later of the two.
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if self.is_after(other) { self } else { other }
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The control bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);
    /// In a SYN, with [`Self::CWR`]: congestion may be said instead of losing packets (RFC 3168 section 6.1.1).
    pub const ECE: Self = Self(0x40);
    /// Likewise.
    pub const CWR: Self = Self(0x80);

    /// As on the wire.
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All but these.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How many bits a window is to be shifted to the left (RFC 7323 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shift(u8);

impl Shift {
    /// The most that there is (RFC 7323 section 2.3).
    pub const MOST: Self = Self(14);

    /// Whoever says more means the most.
    pub const fn new(bits: u8) -> Self {
        if bits > Self::MOST.0 { Self::MOST } else { Self(bits) }
    }

    /// As on the wire.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// A window of so many octets, as it stands in a header.
    pub const fn octets(self, window: u16) -> usize {
        (window as usize) << self.0
    }
}

/// A header whose length is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpHeader {
    /// Of the sender.
    pub source_port: u16,
    /// Of the receiver.
    pub destination_port: u16,
    /// Of the first octet of data (of SYN itself, if it is set).
    pub seq: Seq,
    /// The next octet that the sender expects, if ACK is set.
    pub ack: Seq,
    /// Control bits.
    pub flags: TcpFlags,
    /// As on the wire: not scaled.
    pub window: u16,
    /// Octets with options.
    pub len: usize,
}

impl TcpHeader {
    /// `None` if there is less than a header, or if it has a length that cannot be. What options say is for [`SynOffer`] to read.
    ///
    /// [`SynOffer`]: super::tcp_offer::SynOffer
    #[inline]
    pub fn parse(segment: &[u8]) -> Option<Self> {
        let header = segment.first_chunk::<TCP_HEADER>()?;
        let len = usize::from(header[12] >> 4) * 4;
        segment.get(TCP_HEADER..len)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let long = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        Some(Self {
            source_port: word(0),
            destination_port: word(2),
            seq: Seq(long(4)),
            ack: Seq(long(8)),
            flags: TcpFlags(header[13]),
            window: word(14),
            len,
        })
    }

    /// Whether there are options.
    pub const fn has_options(&self) -> bool {
        self.len > TCP_HEADER
    }

    /// A header without options as it goes on the wire, its checksum still zero.
    #[inline]
    pub fn octets(&self) -> [u8; TCP_HEADER] {
        let mut header = [0; TCP_HEADER];
        put_words(&mut header, self.words());
        header
    }

    /// Writes it, without options, in front of the payload of a segment that we send along `path`, with the checksum of both. A header
    /// that was just written in small parts is slow to read, so its sum is taken of what it is made of.
    #[inline]
    pub fn write(&self, path: &Path, segment: &mut [u8]) -> Option<()> {
        let len = segment.len();
        let (header, payload) = segment.split_first_chunk_mut()?;
        let words = self.words();
        let pseudo = pseudo_header(path.local.ip(), path.peer.ip(), len);
        let sum = words.iter().fold(pseudo, |sum, word| sum.four(word.to_be_bytes())).bytes(payload).checksum();
        let [ports, seq, ack, flags_and_window, _] = words;
        put_words(header, [ports, seq, ack, flags_and_window, u32::from(sum) << 16]);
        Some(())
    }

    /// As it is drawn in RFC 9293 section 3.1, its checksum still zero.
    #[inline]
    fn words(&self) -> [u32; TCP_HEADER / 4] {
        const OFFSET: u32 = ((TCP_HEADER / 4) as u32) << 28;
        let ports = u32::from(self.source_port) << 16 | u32::from(self.destination_port);
        let flags = u32::from(self.flags.octet()) << 16;
        [ports, self.seq.get(), self.ack.get(), OFFSET | flags | u32::from(self.window), 0]
    }
}

#[inline]
fn put_words(header: &mut [u8; TCP_HEADER], words: [u32; TCP_HEADER / 4]) {
    for (room, word) in header.as_chunks_mut().0.iter_mut().zip(words) {
        *room = word.to_be_bytes();
    }
}

/// The checksum of a segment between these two (RFC 9293 section 3.1, RFC 8200 section 8.1), with whatever stands in its
/// checksum field: 0 if the right one stands there, the right one if it is zero.
#[inline]
pub fn tcp_checksum(source: IpAddr, destination: IpAddr, segment: &[u8]) -> u16 {
    pseudo_header(source, destination, segment.len()).bytes(segment).checksum()
}

fn pseudo_header(source: IpAddr, destination: IpAddr, len: usize) -> Sum {
    let sum = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Sum::default().four(source.octets()).four(destination.octets())
        }
        (source, destination) => {
            let octets = |address| match address {
                IpAddr::V4(v4) => std::net::Ipv4Addr::to_ipv6_mapped(&v4).octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            Sum::default().bytes(&octets(source)).bytes(&octets(destination))
        }
    };
    // A segment is shorter than 64 KiB, in either family.
    sum.word(TCP.into()).word(len as u16)
}

/// Whether the checksum is right, or is the pseudo-header's alone: so it comes from a neighbour on the same host, whose kernel
/// leaves the rest to hardware that is not there, and from a kernel that has joined segments.
#[inline]
pub fn is_tcp_checksum_good(source: IpAddr, destination: IpAddr, segment: &[u8]) -> bool {
    if tcp_checksum(source, destination, segment) == 0 {
        return true;
    }
    let pseudo = !pseudo_header(source, destination, segment.len()).checksum();
    segment.get(16..18).is_some_and(|field| field == pseudo.to_be_bytes())
}

/// Fills in the checksum of a segment that we send along `path`.
#[inline]
pub fn put_tcp_checksum(path: &Path, segment: &mut [u8]) {
    let sum = tcp_checksum(path.local.ip(), path.peer.ip(), segment);
    if let Some(field) = segment.get_mut(16..18) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    #[test]
    fn a_place_is_after_another_across_the_wrap_too() {
        let (before, behind) = (Seq(u32::MAX - 9), Seq(10));
        assert!(behind.is_after(before) && !before.is_after(behind));
        assert_eq!((behind.octets_since(before), before.octets_since(behind)), (20, 0));
        assert_eq!(before.plus(20), behind);
        assert_eq!(before.later(behind), behind);
        assert!(!before.is_after(before));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let header = TcpHeader {
            source_port: 10000,
            destination_port: 40001,
            seq: Seq(0xdead_beef),
            ack: Seq(7),
            flags: TcpFlags::SYN.with(TcpFlags::ACK),
            window: 65535,
            len: TCP_HEADER,
        };
        assert_eq!(TcpHeader::parse(&header.octets()), Some(header));
    }

    #[test]
    fn a_header_with_its_checksum_is_the_one_whose_checksum_is_filled_in() {
        check!().with_type::<([u16; 4], [u32; 2], Vec<u8>, bool)>().for_each(|(short, long, payload, v6)| {
            let hosts =
                if *v6 { ["[2001:db8::1]:10000", "[2001:db8::2]:7"] } else { ["192.0.2.1:10000", "192.0.2.2:7"] };
            let [local, peer] = hosts.map(|host| host.parse().unwrap());
            let [source_port, destination_port, window, flags] = *short;
            let [seq, ack] = long.map(Seq);
            let flags = TcpFlags(flags as u8);
            let header = TcpHeader { source_port, destination_port, seq, ack, flags, window, len: TCP_HEADER };
            let mut twin = [&header.octets()[..], payload].concat();
            put_tcp_checksum(&Path { local, peer }, &mut twin);
            let mut segment = [&[0x55; TCP_HEADER][..], payload].concat();
            header.write(&Path { local, peer }, &mut segment).unwrap();
            assert_eq!(segment, twin);
            assert_eq!(header.write(&Path { local, peer }, &mut segment[..TCP_HEADER - 1]), None);
        });
    }

    #[test]
    fn any_octets_are_a_header_or_not() {
        check!().for_each(|bytes: &[u8]| {
            if let Some(header) = TcpHeader::parse(bytes) {
                assert!((TCP_HEADER..=MAX_TCP_HEADER).contains(&header.len) && header.len <= bytes.len());
            }
        });
    }

    /// The sum of all words, complemented (RFC 1071).
    #[test]
    fn the_checksum_is_the_one_that_tcp_wants() {
        let path = Path { local: "192.0.2.1:4242".parse().unwrap(), peer: "192.0.2.2:10000".parse().unwrap() };
        let header = TcpHeader {
            source_port: 4242,
            destination_port: 10000,
            seq: Seq(1),
            ack: Seq(0),
            flags: TcpFlags::SYN,
            window: 65535,
            len: TCP_HEADER,
        };
        let mut segment = header.octets();
        put_tcp_checksum(&path, &mut segment);
        assert_eq!(tcp_checksum(path.local.ip(), path.peer.ip(), &segment), 0);
        // By hand: c000+0201+c000+0202 + 0006 + 0014 + 1092+2710+0000+0001+0000+0000+5002+ffff, folded and complemented.
        let words = [0xc000, 0x0201, 0xc000, 0x0202, 6, 20, 0x1092, 0x2710, 1, 0x5002, 0xffff_u32];
        let sum: u32 = words.iter().sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        assert_eq!(u32::from(u16::from_be_bytes([segment[16], segment[17]])), !folded & 0xffff);
    }
}
