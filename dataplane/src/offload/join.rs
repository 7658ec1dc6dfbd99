//! Packets of one flow joined into a super-packet, so that the kernel takes them as one.
//!
//! The rules are those of generic receive offload: what is joined can be cut again into the very same packets. The
//! payloads are not copied; a [`Group`] is a list of buffers to be gathered, the first with the headers, the others
//! stripped to their payload.

use super::Sum;
use super::headers::{CWR, FIN, Headers, PSH, RST, SYN, TCP, UDP, URG, Version};
use crate::packet::{PacketBuf, Segments};

/// What the kernel takes joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JoinKinds {
    /// TCP segments (VIRTIO_NET_HDR_GSO_TCPV4, …_TCPV6).
    pub tcp: bool,
    /// UDP datagrams (VIRTIO_NET_HDR_GSO_UDP_L4, Linux 6.2).
    pub udp: bool,
}

/// Packets that leave together. The first one's `meta.segments` and `meta.checksum` describe the whole.
#[derive(Default)]
pub struct Group {
    /// The first is whole but for the other's payload; the others are payload alone.
    pub packets: Vec<PacketBuf>,
    /// Octets of all.
    len: usize,
    open: Option<Open>,
}

/// What the next packet has to fit to.
struct Open {
    headers: Headers,
    /// Payload of all but the last.
    payload: usize,
    /// TCP: the sequence number that comes next. UDP: nothing.
    sequence: u32,
    /// IPv4: the identification that comes next.
    identification: u16,
    /// FIN and PSH of the last.
    last_flags: u8,
    /// The first packet's checksum is known to be good.
    verified: bool,
}

impl Group {
    /// Octets of the super-packet.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no packet in it.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// Joins what fits. Groups come out in the order of their first packets, and a flow's newest group is the only one
/// that grows, so the order within a flow never changes.
pub struct Joiner {
    kinds: JoinKinds,
    groups: Vec<Group>,
    used: usize,
}

impl Joiner {
    /// Most packets in a group. The kernel cuts UDP into no more than this (UDP_MAX_SEGMENTS of older kernels).
    pub const MOST: usize = 64;
    /// How far back an open group is looked for: bounds the work that many flows at once can cause.
    const LOOK_BACK: usize = 16;

    /// With room for `packets` packets; [`Self::push`] past it allocates.
    pub fn new(kinds: JoinKinds, packets: usize) -> Self {
        let group = || Group { packets: Vec::with_capacity(Self::MOST), ..Group::default() };
        Self { kinds, groups: std::iter::repeat_with(group).take(packets).collect(), used: 0 }
    }

    /// Takes a packet. What cannot be joined, for whatever reason, makes a group of its own.
    pub fn push(&mut self, packet: PacketBuf) {
        let bytes = packet.bytes();
        let whole = packet.meta.segments == Segments::One && packet.meta.checksum.is_none();
        let headers = Headers::parse(bytes).filter(|_| whole);
        let Some(headers) = headers else {
            // a fragment, or no TCP or UDP: it may belong to any flow between the two
            if let Some(pair) = addresses(bytes) {
                self.recent().filter(|group| group.pair() == Some(pair)).for_each(Group::finish);
            }
            return self.alone(packet, None);
        };
        let same_flow = |group: &&mut Group| group.is_flow(&headers, bytes);
        let joinable = joinable(&headers, bytes, self.kinds);
        let Some(group) = self.recent().find(same_flow) else {
            let open = joinable.then(|| Open::new(headers, bytes));
            return self.alone(packet, open);
        };
        if joinable && group.takes(&headers, bytes) {
            group.add(packet, &headers);
        } else {
            group.finish();
            let open = joinable.then(|| Open::new(headers, bytes));
            self.alone(packet, open);
        }
    }

    /// What has come together, ready to be sent in this order: the joined headers are written. The groups' packets are
    /// to be taken out; what is left in them is dropped at the next [`Self::clear`].
    pub fn seal(&mut self) -> &mut [Group] {
        let groups = &mut self.groups[..self.used];
        groups.iter_mut().for_each(Group::finish);
        groups
    }

    /// Starts anew.
    pub fn clear(&mut self) {
        for group in &mut self.groups[..self.used] {
            group.packets.clear();
        }
        self.used = 0;
    }

    /// Groups that hold something.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The newest groups that may still grow, newest first.
    fn recent(&mut self) -> impl Iterator<Item = &mut Group> {
        let from = self.used.saturating_sub(Self::LOOK_BACK);
        self.groups[from..self.used].iter_mut().rev().filter(|group| group.open.is_some())
    }

    fn alone(&mut self, packet: PacketBuf, open: Option<Open>) {
        if self.used == self.groups.len() {
            self.groups.push(Group::default());
        }
        let group = &mut self.groups[self.used];
        group.len = packet.len();
        group.open = open;
        group.packets.push(packet);
        self.used += 1;
    }
}

impl Group {
    fn pair(&self) -> Option<&[u8]> {
        addresses(self.packets.first()?.bytes())
    }

    fn is_flow(&self, headers: &Headers, bytes: &[u8]) -> bool {
        let (Some(open), Some(first)) = (&self.open, self.packets.first()) else { return false };
        let (theirs, ports) = (first.bytes(), headers.transport..headers.transport + 4);
        open.headers.protocol == headers.protocol
            && open.headers.transport == headers.transport
            && theirs[ports.clone()] == bytes[ports]
            && addresses(theirs) == addresses(bytes)
    }

    /// Whether a packet of the same flow is the one that comes next.
    fn takes(&mut self, headers: &Headers, bytes: &[u8]) -> bool {
        let (Some(open), Some(first)) = (&mut self.open, self.packets.first()) else { return false };
        let payload = bytes.len() - headers.payload;
        if *headers != open.headers
            || payload > open.payload
            || self.len + payload > 65_535
            || self.packets.len() >= Joiner::MOST
            || !same_headers(headers, first.bytes(), bytes)
        {
            return false;
        }
        // An atomic datagram's identification means nothing (RFC 6864 section 4.1).
        if headers.version == Version::V4 && bytes[6] & 0x40 == 0 {
            let identification = u16::from_be_bytes([bytes[4], bytes[5]]);
            if identification != open.identification {
                return false;
            }
        }
        if headers.protocol == TCP && sequence(headers, bytes) != open.sequence {
            return false;
        }
        // A corrupt packet must reach its receiver as corrupt as it came: joining would write a good checksum.
        if !open.verified {
            open.verified = checksum_is_good(&open.headers, first.bytes());
        }
        open.verified && checksum_is_good(headers, bytes)
    }

    fn add(&mut self, mut packet: PacketBuf, headers: &Headers) {
        let Some(open) = &mut self.open else { return };
        let payload = packet.len() - headers.payload;
        let flags = last_flags(headers, packet.bytes());
        open.sequence = open.sequence.wrapping_add(payload as u32);
        open.identification = open.identification.wrapping_add(1);
        open.last_flags = flags;
        let ends = payload < open.payload || flags != 0;
        let stripped = packet.strip_front(headers.payload);
        debug_assert!(stripped.is_some(), "headers were parsed from this packet");
        self.len += payload;
        self.packets.push(packet);
        if ends {
            self.finish();
        }
    }

    /// Writes the first packet's headers for the whole and lets nothing more in.
    fn finish(&mut self) {
        let Some(open) = self.open.take() else { return };
        let [first, _, ..] = &mut self.packets[..] else { return };
        let headers = open.headers;
        let behind = self.len - first.len();
        let bytes = first.bytes_mut();
        headers.set_length(bytes, behind);
        if headers.protocol == TCP {
            bytes[headers.transport + 13] |= open.last_flags;
        }
        let field = headers.checksum_at();
        let pseudo = headers.pseudo(bytes, self.len - headers.transport).fold();
        bytes[field..field + 2].copy_from_slice(&pseudo.to_be_bytes());
        let payload = open.payload as u16;
        first.meta.segments = match headers.protocol {
            TCP => Segments::Tcp { payload },
            _ => Segments::Udp { payload },
        };
        first.meta.checksum = Some((headers.transport as u16, (field - headers.transport) as u16));
    }
}

impl Open {
    fn new(headers: Headers, bytes: &[u8]) -> Self {
        let payload = bytes.len() - headers.payload;
        Self {
            headers,
            payload,
            sequence: match headers.protocol {
                TCP => sequence(&headers, bytes).wrapping_add(payload as u32),
                _ => 0,
            },
            identification: u16::from_be_bytes([bytes[4], bytes[5]]).wrapping_add(1),
            last_flags: 0,
            verified: false,
        }
    }
}

/// Whether the packet may be in a group at all, first or later.
fn joinable(headers: &Headers, bytes: &[u8], kinds: JoinKinds) -> bool {
    let payload = bytes.len() - headers.payload;
    // IP options and extension headers are rare, and each has rules of its own.
    let plain = match headers.version {
        Version::V4 => headers.transport == 20 && Sum::default().bytes(&bytes[..20]).fold() == 0xffff,
        Version::V6 => headers.transport == 40,
    };
    let transport = &bytes[headers.transport..];
    let fits = match headers.protocol {
        TCP => kinds.tcp && transport[13] & (SYN | RST | URG | CWR) == 0,
        // Checksum 0 is "none" (RFC 768); joined it would become one.
        UDP => kinds.udp && transport[6..8] != [0, 0],
        _ => false,
    };
    plain && fits && payload > 0 && headers.length_is(bytes)
}

/// Whether two packets of a flow differ in nothing but lengths, identification, checksums, sequence number, FIN
/// and PSH.
fn same_headers(headers: &Headers, first: &[u8], next: &[u8]) -> bool {
    let ip = match headers.version {
        // version and length, TOS; reserved bit and DF, TTL, protocol
        Version::V4 => first[..2] == next[..2] && first[6..10] == next[6..10],
        // version, class, flow label; next header, hop limit
        Version::V6 => first[..4] == next[..4] && first[6..8] == next[6..8],
    };
    ip && (headers.protocol != TCP || {
        let (first, next) = (&first[headers.transport..headers.payload], &next[headers.transport..headers.payload]);
        // acknowledgement and data offset; flags (nothing follows a FIN or a PSH); window; urgent pointer and options
        first[8..13] == next[8..13]
            && first[13] & (FIN | PSH) == 0
            && first[13] == next[13] & !(FIN | PSH)
            && first[14..16] == next[14..16]
            && first[18..] == next[18..]
    })
}

fn last_flags(headers: &Headers, bytes: &[u8]) -> u8 {
    match headers.protocol {
        TCP => bytes[headers.transport + 13] & (FIN | PSH),
        _ => 0,
    }
}

fn sequence(headers: &Headers, bytes: &[u8]) -> u32 {
    let at = headers.transport + 4;
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn checksum_is_good(headers: &Headers, bytes: &[u8]) -> bool {
    let transport = &bytes[headers.transport..];
    headers.pseudo(bytes, transport.len()).bytes(transport).fold() == 0xffff
}

/// Source and destination, as they lie in the packet.
fn addresses(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.first()? >> 4 {
        4 => bytes.get(12..20),
        6 => bytes.get(8..40),
        _ => None,
    }
}
