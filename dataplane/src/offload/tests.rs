//! Joining and cutting as each other's inverse, over packets that a dull builder made.

use super::{Group, JoinKinds, Joiner, finish_checksum, split};
use crate::fate::DropReason;
use crate::packet::{Burst, PacketBuf, Pool, PoolSizes, Segments};

const BOTH: JoinKinds = JoinKinds { tcp: true, udp: true };
const DF: u16 = 0x4000;

/// A packet to be built octet by octet.
#[derive(Debug, Clone)]
struct Spec {
    v6: bool,
    tcp: bool,
    port: u16,
    ttl: u8,
    tos: u8,
    identification: u16,
    fragment: u16,
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
    /// Behind the IPv6 header or in the IPv4 one.
    ip_options: Vec<u8>,
    payload: Vec<u8>,
}

impl Spec {
    fn tcp(payload: usize) -> Self {
        Self {
            v6: false,
            tcp: true,
            port: 80,
            ttl: 64,
            tos: 0,
            identification: 100,
            fragment: 0,
            sequence: 1000,
            acknowledgement: 7,
            flags: 0x10,
            window: 500,
            options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            ip_options: Vec::new(),
            payload: (0..payload).map(|n| (n * 7) as u8).collect(),
        }
    }

    fn udp(payload: usize) -> Self {
        Self { tcp: false, ..Self::tcp(payload) }
    }

    /// The same flow's next packet.
    fn next(&self, payload: usize) -> Self {
        Self {
            identification: self.identification.wrapping_add(1),
            sequence: self.sequence.wrapping_add(self.payload.len() as u32),
            payload: (0..payload).map(|n| (n * 11 + 3) as u8).collect(),
            ..self.clone()
        }
    }

    fn build(&self) -> Vec<u8> {
        let mut transport = Vec::new();
        if self.tcp {
            transport.extend(self.port.to_be_bytes());
            transport.extend([0x30, 0x39]);
            transport.extend(self.sequence.to_be_bytes());
            transport.extend(self.acknowledgement.to_be_bytes());
            transport.extend([(((20 + self.options.len()) / 4) << 4) as u8, self.flags]);
            transport.extend(self.window.to_be_bytes());
            transport.extend([0; 4]);
            transport.extend(&self.options);
        } else {
            transport.extend(self.port.to_be_bytes());
            transport.extend([0x30, 0x39]);
            transport.extend((8 + self.payload.len() as u16).to_be_bytes());
            transport.extend([0; 2]);
        }
        transport.extend(&self.payload);
        let protocol = if self.tcp { 6 } else { 17 };
        let (source, destination) = if self.v6 { (vec![0xfd; 16], vec![0xfe; 16]) } else { (vec![10; 4], vec![11; 4]) };
        let pseudo =
            [&source[..], &destination, &(transport.len() as u32).to_be_bytes(), &[0, 0, 0, protocol]].concat();
        let sum = match !dull_sum(&[&pseudo[..], &transport].concat()) {
            0 if !self.tcp => 0xffff,
            sum => sum,
        };
        let at = if self.tcp { 16 } else { 6 };
        transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        let mut ip = Vec::new();
        if self.v6 {
            let next = if self.ip_options.is_empty() { protocol } else { 60 };
            ip.extend([0x60 | self.tos >> 4, self.tos << 4, 0, 0]);
            ip.extend(((self.ip_options.len() + transport.len()) as u16).to_be_bytes());
            ip.extend([next, self.ttl]);
            ip.extend(source.iter().chain(&destination).chain(&self.ip_options));
        } else {
            ip.extend([0x45 + (self.ip_options.len() / 4) as u8, self.tos]);
            ip.extend(((20 + self.ip_options.len() + transport.len()) as u16).to_be_bytes());
            ip.extend(self.identification.to_be_bytes());
            ip.extend(self.fragment.to_be_bytes());
            ip.extend([self.ttl, protocol, 0, 0]);
            ip.extend(source.iter().chain(&destination).chain(&self.ip_options));
            let sum = !dull_sum(&ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        ip.extend(transport);
        ip
    }
}

fn dull_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// What says to which flow a packet belongs: header length or version, protocol, addresses, ports.
fn flow(bytes: &[u8]) -> Vec<u8> {
    match bytes[0] >> 4 {
        6 => [&[6, bytes[6]], bytes.get(8..44).unwrap_or(bytes)].concat(),
        _ => [&[bytes[0], bytes[9]], &bytes[12..24]].concat(),
    }
}

fn packet(bytes: &[u8]) -> PacketBuf {
    let mut packet = PacketBuf::allocate(PoolSizes::LARGE_CAPACITY);
    packet.extend_back(bytes.len()).unwrap().copy_from_slice(bytes);
    packet
}

fn pool() -> Pool {
    Pool::new(PoolSizes { small: 256, small_capacity: 2048, large: 4 })
}

/// The super-packet that the kernel would see.
fn gather(group: &Group) -> PacketBuf {
    let bytes: Vec<u8> = group.packets.iter().flat_map(|packet| packet.bytes().to_vec()).collect();
    assert_eq!(bytes.len(), group.len());
    let mut whole = packet(&bytes);
    whole.meta = group.packets[0].meta;
    whole
}

/// How many packets in each group, and what comes out when each group is cut again.
fn join_and_split(packets: &[Vec<u8>], kinds: JoinKinds) -> (Vec<usize>, Vec<Vec<u8>>) {
    let mut joiner = Joiner::new(kinds, 2);
    packets.iter().for_each(|bytes| joiner.push(packet(bytes)));
    let (mut counts, mut bytes) = (Vec::new(), Vec::new());
    let mut pool = pool();
    for group in joiner.seal() {
        counts.push(group.packets.len());
        let mut out = Burst::new();
        let whole = gather(group);
        assert_eq!(group.packets.len() > 1, whole.meta.segments != Segments::One);
        assert!(whole.len() <= 65_535);
        split(&whole, &mut pool, &mut out).unwrap();
        for piece in out {
            assert_eq!((piece.meta.segments, piece.meta.checksum), (Segments::One, None));
            bytes.push(piece.bytes().to_vec());
            pool.put(piece);
        }
    }
    joiner.clear();
    assert!(joiner.is_empty());
    (counts, bytes)
}

/// The counts of the groups; what comes out must be what went in.
fn groups(specs: &[Spec]) -> Vec<usize> {
    let packets: Vec<Vec<u8>> = specs.iter().map(Spec::build).collect();
    let (counts, out) = join_and_split(&packets, BOTH);
    assert_eq!(out, packets);
    counts
}

/// `count` packets of a flow.
fn run(first: Spec, count: usize) -> Vec<Spec> {
    let len = first.payload.len();
    std::iter::successors(Some(first), |spec| Some(spec.next(len))).take(count).collect()
}

#[test]
fn a_flow_in_order_becomes_one_packet() {
    for v6 in [false, true] {
        assert_eq!(groups(&run(Spec { v6, ..Spec::tcp(1000) }, 40)), [40]);
        assert_eq!(groups(&run(Spec { v6, ..Spec::udp(1000) }, 40)), [40]);
        // the last may be shorter, and nothing follows it
        for first in [Spec { v6, ..Spec::tcp(1000) }, Spec { v6, ..Spec::udp(1000) }] {
            let mut specs = run(first, 3);
            specs.push(specs[2].next(1));
            specs.push(specs[3].next(1000));
            assert_eq!(groups(&specs), [4, 1]);
        }
    }
}

#[test]
fn groups_end_at_64_packets_and_at_65_535_octets() {
    assert_eq!(groups(&run(Spec::udp(10), 130)), [64, 64, 2]);
    // 20 + 32 + 45 * 1455 = 65 527
    assert_eq!(groups(&run(Spec::tcp(1455), 50)), [45, 5]);
    assert_eq!(groups(&run(Spec { v6: true, ..Spec::tcp(1455) }, 46)), [44, 2]);
}

#[test]
fn push_and_fin_are_the_last_of_their_group() {
    for flag in [0x08, 0x01] {
        let mut specs = run(Spec::tcp(100), 5);
        specs[2].flags |= flag;
        assert_eq!(groups(&specs), [3, 2]);
        let mut specs = run(Spec::tcp(100), 3);
        specs[0].flags |= flag;
        assert_eq!(groups(&specs), [1, 2]);
    }
}

#[test]
fn what_differs_from_its_forerunner_starts_anew() {
    type Change = fn(&mut Spec);
    let changes: [(&str, Change); 12] = [
        ("sequence", |spec| spec.sequence += 1),
        ("acknowledgement", |spec| spec.acknowledgement += 1),
        ("window", |spec| spec.window += 1),
        ("timestamp", |spec| spec.options[11] += 1),
        ("option length", |spec| spec.options.truncate(8)),
        ("ece", |spec| spec.flags |= 0x40),
        ("ttl", |spec| spec.ttl -= 1),
        ("tos or class", |spec| spec.tos = 3),
        ("longer", |spec| spec.payload.push(0)),
        ("identification", |spec| spec.identification += 1),
        ("don't fragment", |spec| spec.fragment ^= DF),
        ("port", |spec| spec.port += 1),
    ];
    for (name, change) in changes {
        for v6 in [false, true] {
            if v6 && matches!(name, "identification" | "don't fragment") {
                continue;
            }
            let mut specs = run(Spec { v6, ..Spec::tcp(100) }, 3);
            change(&mut specs[2]);
            assert_eq!(groups(&specs), [2, 1], "{name}");
        }
    }
}

#[test]
fn what_is_never_joined_goes_alone_and_closes_its_flow() {
    type Change = fn(&mut Spec);
    let changes: [(&str, Change); 7] = [
        ("syn", |spec| spec.flags |= 0x02),
        ("rst", |spec| spec.flags |= 0x04),
        ("urg", |spec| spec.flags |= 0x20),
        ("cwr", |spec| spec.flags |= 0x80),
        ("no payload", |spec| spec.payload.clear()),
        ("a fragment", |spec| spec.fragment = 0x2000),
        ("ip options", |spec| spec.ip_options = vec![1; 4]),
    ];
    for (name, change) in changes {
        let mut specs = run(Spec::tcp(100), 5);
        change(&mut specs[2]);
        let after = specs[2].next(100);
        specs[3] = Spec { sequence: after.sequence, ..specs[3].clone() };
        specs[4] = specs[3].next(100);
        assert_eq!(groups(&specs), [2, 1, 2], "{name}");
    }
    assert_eq!(join_and_split(&[Spec::tcp(9).build(), Spec::tcp(9).next(9).build()], JoinKinds::default()).0, [1, 1]);
}

#[test]
fn a_corrupt_packet_is_neither_joined_nor_repaired() {
    for corrupt in 0..3 {
        for first in [Spec::tcp(100), Spec::udp(100)] {
            let mut packets: Vec<Vec<u8>> = run(first, 3).iter().map(Spec::build).collect();
            *packets[corrupt].last_mut().unwrap() ^= 1;
            let (counts, out) = join_and_split(&packets, BOTH);
            assert_eq!(out, packets);
            assert_eq!(counts, [[1, 2].as_slice(), &[1, 1, 1], &[2, 1]][corrupt]);
        }
    }
    // UDP without a checksum has none to lose
    let mut packets: Vec<Vec<u8>> = run(Spec::udp(100), 2).iter().map(Spec::build).collect();
    packets.iter_mut().for_each(|bytes| bytes[26..28].fill(0));
    assert_eq!(join_and_split(&packets, BOTH), (vec![1, 1], packets));
}

#[test]
fn an_atomic_datagrams_identification_means_nothing() {
    // RFC 6864 section 4.1
    let specs: Vec<Spec> = run(Spec { fragment: DF, ..Spec::tcp(100) }, 3)
        .into_iter()
        .map(|spec| Spec { identification: 0, ..spec })
        .collect();
    let packets: Vec<Vec<u8>> = specs.iter().map(Spec::build).collect();
    assert_eq!(join_and_split(&packets, BOTH).0, [3]);
}

#[test]
fn any_mixture_of_flows_comes_out_as_it_went_in() {
    bolero::check!().with_type::<Vec<(u8, u8, u16)>>().for_each(|steps| {
        let mut flows: Vec<Spec> = (0..4u16)
            .map(|n| Spec { v6: n & 1 > 0, port: n, ..if n & 2 > 0 { Spec::tcp(40) } else { Spec::udp(40) } })
            .collect();
        let mut packets = Vec::new();
        for &(flow, change, number) in steps.iter().take(100) {
            let spec = &mut flows[usize::from(flow % 4)];
            let len = [40, 40, 40, 40, 39, 1, 0, 41][usize::from(number % 8)];
            *spec = spec.next(len);
            match change {
                0 => spec.flags = 0x18,
                1 => spec.flags = 0x11,
                2 => spec.sequence ^= 4,
                3 => spec.acknowledgement += 1,
                4 => spec.ttl ^= 1,
                5 => spec.identification ^= 8,
                6 => spec.fragment ^= 0x2000,
                7 => spec.options.clear(),
                8 => spec.tos ^= 1,
                _ => spec.flags = 0x10,
            }
            let mut bytes = spec.build();
            if change == 9 {
                let at = usize::from(number) % bytes.len();
                bytes[at] ^= 1 << (number % 8);
            }
            packets.push(bytes);
        }
        let (_, out) = join_and_split(&packets, BOTH);
        let keys: std::collections::BTreeSet<Vec<u8>> = packets.iter().map(|bytes| flow(bytes)).collect();
        for key in keys {
            let of = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
                packets.iter().filter(|bytes| flow(bytes) == key).cloned().collect()
            };
            assert_eq!(of(&out), of(&packets), "the order within a flow");
        }
        let sorted = |mut packets: Vec<Vec<u8>>| {
            packets.sort();
            packets
        };
        assert_eq!(sorted(out), sorted(packets));
    });
}

#[test]
fn any_octets_pass_the_joiner_unchanged() {
    bolero::check!().with_type::<Vec<Vec<u8>>>().for_each(|packets| {
        let mut joiner = Joiner::new(BOTH, 1);
        packets.iter().for_each(|bytes| joiner.push(packet(bytes)));
        let out: Vec<Vec<u8>> = joiner.seal().iter().map(|group| gather(group).bytes().to_vec()).collect();
        assert_eq!(&out, packets);
    });
}

/// A super-packet as the kernel makes it: lengths for the whole, the checksum field holds the pseudo-header's sum.
fn super_packet(spec: &Spec, per_piece: u16) -> PacketBuf {
    let mut bytes = spec.build();
    let transport = bytes.len() - spec.payload.len() - if spec.tcp { 20 + spec.options.len() } else { 8 };
    let (segments, field) =
        if spec.tcp { (Segments::Tcp { payload: per_piece }, 16) } else { (Segments::Udp { payload: per_piece }, 6) };
    bytes[transport + field..transport + field + 2].copy_from_slice(&[0xab, 0xcd]);
    let mut whole = packet(&bytes);
    whole.meta.segments = segments;
    whole.meta.checksum = Some((transport as u16, field as u16));
    whole
}

#[test]
fn a_super_packet_is_cut_into_what_its_sender_would_have_sent() {
    for (v6, ip_options) in [(false, vec![]), (true, vec![]), (false, vec![1; 8]), (true, vec![6, 0, 1, 4, 0, 0, 0, 0])]
    {
        // CWR, ACK, PSH, FIN
        let spec = Spec { v6, flags: 0x80 | 0x10 | 0x08 | 0x01, ip_options, fragment: DF, ..Spec::tcp(2500) };
        let mut out = Burst::new();
        split(&super_packet(&spec, 1000), &mut pool(), &mut out).unwrap();
        let want = [(0x90, 0..1000), (0x10, 1000..2000), (0x19, 2000..2500)];
        assert_eq!(out.len(), want.len());
        for (index, (flags, range)) in want.into_iter().enumerate() {
            let piece = Spec {
                flags,
                identification: spec.identification + index as u16,
                sequence: spec.sequence + range.start as u32,
                payload: spec.payload[range].to_vec(),
                ..spec.clone()
            };
            assert_eq!(out[index].bytes(), piece.build(), "piece {index}");
        }
    }
}

#[test]
fn numbers_wrap_around_and_long_pieces_get_large_buffers() {
    let spec = Spec { identification: 0xffff, sequence: u32::MAX - 10, ..Spec::tcp(9000) };
    let mut out = Burst::new();
    split(&super_packet(&spec, 4500), &mut pool(), &mut out).unwrap();
    assert_eq!(
        out[1].bytes(),
        Spec { payload: spec.payload[4500..].to_vec(), identification: 0, sequence: 4489, ..spec }.build()
    );
    assert_eq!(out[0].capacity(), PoolSizes::LARGE_CAPACITY);
}

#[test]
fn what_cannot_be_cut_leaves_everything_as_it_was() {
    let mut pool = Pool::new(PoolSizes { small: 3, small_capacity: 2048, large: 1 });
    let mut out = Burst::new();
    let mut refused = |whole: &PacketBuf| {
        let reason = split(whole, &mut pool, &mut out).unwrap_err();
        assert_eq!((out.len(), pool.free()), (0, (3, 1)));
        reason
    };
    assert_eq!(refused(&super_packet(&Spec::tcp(4000), 1000)), DropReason::NoBuffer);
    assert_eq!(refused(&super_packet(&Spec::tcp(4000), 0)), DropReason::BadInner);
    let mut other = super_packet(&Spec::tcp(4000), 1000);
    other.meta.segments = Segments::Udp { payload: 1000 };
    assert_eq!(refused(&other), DropReason::BadInner);
    // IPv6 extensions that never end, a fragment, a header longer than the packet
    let mut endless = super_packet(&Spec { v6: true, ip_options: vec![60; 64], ..Spec::udp(2000) }, 1000);
    endless.bytes_mut()[41] = 0;
    assert_eq!(refused(&endless), DropReason::BadInner);
    assert_eq!(refused(&super_packet(&Spec { fragment: 0x2000, ..Spec::tcp(2000) }, 1000)), DropReason::BadInner);
    let mut short = super_packet(&Spec::tcp(10), 1000);
    short.truncate(40).unwrap();
    assert_eq!(refused(&short), DropReason::BadInner);
}

#[test]
fn any_octets_are_cut_without_panic() {
    bolero::check!().with_type::<(Vec<u8>, u16, bool, Option<(u16, u16)>)>().for_each(
        |(bytes, payload, tcp, checksum)| {
            let mut whole = packet(bytes);
            whole.meta.checksum = *checksum;
            whole.meta.segments =
                if *tcp { Segments::Tcp { payload: *payload } } else { Segments::Udp { payload: *payload } };
            let (mut pool, mut out) = (pool(), Burst::new());
            let done = split(&whole, &mut pool, &mut out);
            assert_eq!(done.is_ok(), !out.is_empty());
            let _ = finish_checksum(&mut whole);
        },
    );
}
