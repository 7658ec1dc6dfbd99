//! Every size through every encapsulation, and what the outer header says: a worker between memory doors against the
//! arithmetic of the RFCs, done again here by counting.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of any #[test] function")]

use crate::harness;
use crate::tcp_worker::heard;

use adit_crypto::suite::CipherSuite;
use adit_dataplane::contract::{
    Command, DropReason, EcnMode, EspPath, Move, MssClamp, OuterDf, OuterDscp, Path, Transport, Tuning, TunnelRules,
    TunnelSpec, WorkerId,
};
use adit_dataplane::io::memory::Departed;
use adit_dataplane::packet::{Channel, Meta, OuterFragments, PoolSizes, Segments};
use adit_dataplane::wire::tcp::{TCP_HEADER, TcpFlags};
use adit_dataplane::wire::traffic_class::{Dscp, Ecn, TrafficClass};
use adit_dataplane::worker::DataplaneConfig;
use harness::ctcp::CtcpPeer;
use harness::{
    Client, DATAGRAMS, SERVER_V4, SERVER_V6, World, gcm, header_sum, natt, path_v4, path_v6, suites, undressed,
};
use std::time::Duration;

/// Buffers that hold a jumbo frame, so that none is made on the way.
const JUMBO: PoolSizes = PoolSizes { small: 256, small_capacity: 12_288, large: 4 };

fn world(rules: TunnelRules) -> World {
    World::with(DataplaneConfig { pool: JUMBO, rules, ..DataplaneConfig::default() }, 1024)
}

/// A client on this path that sends both ways.
fn connect(world: &mut World, suite: CipherSuite, path: Path, outer_mtu: u16) -> Client {
    connect_by(world, suite, natt(path), outer_mtu)
}

fn connect_by(world: &mut World, suite: CipherSuite, path: EspPath, outer_mtu: u16) -> Client {
    let client = Client { path: path.path(), transport: path.transport(), ..Client::new(0, 1, suite) };
    let spec = TunnelSpec { outer_mtu, ..client.tunnel_spec() };
    world.command(client.tunnel.worker, Command::AddTunnel(Box::new(spec)));
    world.command(client.tunnel.worker, client.add_pair());
    world.command(client.tunnel.worker, client.switch_outbound());
    world.add_route("10.30.0.1/32", client.tunnel);
    world.add_route("fd00::1/128", client.tunnel);
    world.settle();
    client
}

/// Octets of the largest inner packet, found by trying: IP, UDP if there is any, SPI and sequence number, IV, the packet, padding,
/// two octets of trailer, ICV.
fn fits(client: &Client, outer_mtu: u16) -> usize {
    let ip = if client.path.peer.is_ipv4() { 20 } else { 40 };
    let udp = match client.transport {
        Transport::NatT | Transport::CiscoUdp => 8,
        Transport::NatT500 => 8 + 8,
        Transport::Esp => 0,
        Transport::Ctcp => 20 + 16,
        Transport::Tcp => 20 + 2,
    };
    let outer = |inner: usize| {
        let body = inner + client.least_padding(inner) + 2;
        ip + udp + 8 + client.suite.encr().iv_len() + body + client.suite.icv_len()
    };
    (0..=usize::from(outer_mtu)).rev().find(|inner| outer(*inner) <= usize::from(outer_mtu)).unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    V4,
    V4DontFragment,
    V6,
}

/// To the client, of any size from the bare header on; of no protocol that anybody looks into.
fn packet(client: &Client, kind: Kind, len: usize) -> Vec<u8> {
    let mut packet = match kind {
        Kind::V4 | Kind::V4DontFragment => {
            let flags = if kind == Kind::V4 { 0 } else { 0x40 };
            let mut header = vec![0x45, 0, 0, 0, 0x12, 0x34, flags, 0, 64, 253, 0, 0];
            header.extend(SERVER_V4.octets());
            header.extend(client.v4.octets());
            header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            let sum = header_sum(&header);
            header[10..12].copy_from_slice(&(!sum).to_be_bytes());
            header
        }
        Kind::V6 => {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, 59, 64];
            header.extend(SERVER_V6.octets());
            header.extend(client.v6.octets());
            header[4..6].copy_from_slice(&(len as u16 - 40).to_be_bytes());
            header
        }
    };
    packet.extend((packet.len()..len).map(|i| ((i * 31) >> 2) as u8));
    packet
}

/// What a receiver makes of fragments that came in order.
fn joined(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = fragments[0].clone();
    for (index, fragment) in fragments.iter().enumerate() {
        assert_eq!(header_sum(&fragment[..20]), 0xffff);
        assert_eq!(usize::from(u16::from_be_bytes([fragment[2], fragment[3]])), fragment.len());
        let more = fragment[6] & 0x20 != 0;
        assert_eq!(more, index + 1 < fragments.len());
        let offset = usize::from(u16::from_be_bytes([fragment[6] & 0x1f, fragment[7]])) * 8;
        if index > 0 {
            assert_eq!(offset, whole.len() - 20, "no gap, no overlap");
            assert_eq!(fragment[12..20], whole[12..20]);
            whole.extend(&fragment[20..]);
        }
    }
    whole
}

/// The MTU that an ICMP error for `big` names; panics if it is none, or not to its sender.
fn named_mtu(big: &[u8], told: &[Departed]) -> usize {
    let [told] = told else { panic!("{} packets instead of one error", told.len()) };
    assert_eq!((told.channel, told.path), (Channel::Inner, None));
    let bytes = &told.bytes;
    if big[0] >> 4 == 4 {
        assert_eq!((bytes[9], &bytes[16..22]), (1, &[big[12], big[13], big[14], big[15], 3, 4][..]));
        assert_eq!(bytes[28..48], big[..20]);
        usize::from(u16::from_be_bytes([bytes[26], bytes[27]]))
    } else {
        assert_eq!((bytes[6], bytes[40], &bytes[24..40]), (58, 2, &big[8..24]));
        assert_eq!(bytes[48..88], big[..40]);
        u32::from_be_bytes(bytes[44..48].try_into().unwrap()) as usize
    }
}

/// One size: delivered whole, in inner fragments, or answered with the right MTU.
fn must_hold(world: &mut World, client: &Client, kind: Kind, len: usize, fits: usize) {
    must_hold_by(world, client, kind, len, fits, |sent| sent.iter().map(|packet| undressed(packet).to_vec()).collect());
}

/// The same by a transport that `esp` takes ESP out of.
fn must_hold_by(
    world: &mut World,
    client: &Client,
    kind: Kind,
    len: usize,
    fits: usize,
    mut esp: impl FnMut(&[Departed]) -> Vec<Vec<u8>>,
) {
    // Errors are limited to a hundred a second.
    world.now = world.now + Duration::from_millis(20);
    let sent = packet(client, kind, len);
    let mut departed = world.inner(0, &sent);
    // cTCP acknowledges, too.
    departed.retain(|packet| packet.channel != Channel::Ctcp || packet.bytes.len() > TCP_HEADER);
    let mut delivered = |departed: &[Departed]| -> Vec<Vec<u8>> {
        assert!(departed.iter().all(|packet| packet.path == Some(client.path)));
        esp(departed).iter().map(|packet| client.open(packet).1).collect()
    };
    match kind {
        _ if len <= fits => assert_eq!(delivered(&departed), [sent]),
        Kind::V4 => {
            let fragments = delivered(&departed);
            assert!(fragments.iter().all(|fragment| fragment.len() <= fits), "{len} in {fits}");
            // All but the last carry whole eights.
            assert_eq!(fragments.len(), 1 + (len - fits).div_ceil((fits - 20) & !7));
            assert_eq!(joined(&fragments)[20..], sent[20..], "{len} in {fits}");
        }
        Kind::V4DontFragment => assert_eq!(named_mtu(&sent, &departed), fits, "{len}"),
        Kind::V6 if len <= 1280 => assert_eq!(delivered(&departed), [sent]),
        Kind::V6 => assert_eq!(named_mtu(&sent, &departed), fits.max(1280), "{len}"),
    }
}

#[test]
fn every_inner_size_arrives_whole_or_its_sender_is_told_what_fits() {
    let ways = DATAGRAMS.into_iter().flat_map(|by| [path_v4(1), path_v6(1)].map(|path| EspPath::new(by, path)));
    for path in ways {
        for outer_mtu in [1500, 1280] {
            for suite in suites() {
                let mut world = world(TunnelRules::default());
                let client = connect_by(&mut world, suite, path, outer_mtu);
                let fits = fits(&client, outer_mtu);
                // All sizes through the usual suite, by every transport; where it matters, and here and there, through all others.
                let all = suite == gcm() && outer_mtu == 1500;
                let sizes =
                    (40..=9000usize).filter(|len| all || len % 487 == 0 || len.abs_diff(fits) < 40 || *len == 9000);
                for len in sizes {
                    for kind in [Kind::V4, Kind::V4DontFragment, Kind::V6] {
                        must_hold(&mut world, &client, kind, len, fits);
                    }
                }
                let others: Vec<_> =
                    world.all_dropped().into_iter().filter(|(reason, _)| *reason != DropReason::TooBig).collect();
                assert_eq!(others, []);
                assert_eq!(world.workers[0].free_buffers().0, JUMBO.small, "every buffer came home");
            }
        }
    }
}

#[test]
fn every_inner_size_arrives_whole_by_ctcp_or_its_sender_is_told_what_fits() {
    for (local, peer) in [("192.0.2.1", "198.51.100.7"), ("2001:db8:1::1", "2001:db8::7")] {
        for outer_mtu in [1500, 1280] {
            let config = DataplaneConfig { pool: JUMBO, ctcp: harness::ctcp::setup(), ..DataplaneConfig::default() };
            let mut world = World::with(config, 1024);
            let mut far = CtcpPeer::between(local, peer, 0, 1);
            world.login(0, &mut far);
            let client = connect_by(&mut world, gcm(), EspPath::new(Transport::Ctcp, far.path), outer_mtu);
            world.command(WorkerId(0), Command::KeepConnection { path: far.path, tunnel: client.tunnel });
            let fits = fits(&client, outer_mtu);
            for len in 40..=9000usize {
                for kind in [Kind::V4, Kind::V4DontFragment, Kind::V6] {
                    must_hold_by(&mut world, &client, kind, len, fits, |sent| {
                        sent.iter().map(|packet| far.hears(packet).1).collect()
                    });
                    let acknowledgment = far.segment(TcpFlags::ACK, &[]);
                    world.tcp(0, &far, &acknowledgment);
                }
            }
            assert_eq!(world.workers[0].free_buffers().0, JUMBO.small, "every buffer came home");
        }
    }
}

/// A frame may go out in several segments; what fits is what one holds, so that a path never has more than that of one packet.
#[test]
fn every_inner_size_arrives_whole_in_a_stream_or_its_sender_is_told_what_fits() {
    for (local, peer) in [("192.0.2.1", "198.51.100.7"), ("2001:db8:1::1", "2001:db8::7")] {
        for outer_mtu in [1500, 1280] {
            let config = DataplaneConfig { pool: JUMBO, ctcp: harness::ctcp::setup(), ..DataplaneConfig::default() };
            let mut world = World::with(config, 1024);
            let mut far = CtcpPeer::between(local, peer, 0, 1);
            world.stream_login(0, &mut far);
            let client = connect_by(&mut world, gcm(), EspPath::new(Transport::Tcp, far.path), outer_mtu);
            world.command(WorkerId(0), Command::KeepConnection { path: far.path, tunnel: client.tunnel });
            let fits = fits(&client, outer_mtu);
            for len in 40..=9000usize {
                for kind in [Kind::V4, Kind::V4DontFragment, Kind::V6] {
                    must_hold_by(&mut world, &client, kind, len, fits, |sent| frames(&heard(&mut far, sent)));
                    let acknowledgment = far.segment(TcpFlags::ACK, &[]);
                    world.tcp(0, &far, &acknowledgment);
                }
            }
            assert_eq!(world.workers[0].free_buffers().0, JUMBO.small, "every buffer came home");
        }
    }
}

/// Each whole, and nothing behind the last.
fn frames(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(len) = stream.first_chunk() {
        let (frame, rest) = stream.split_at(usize::from(u16::from_be_bytes(*len)));
        frames.push(frame[2..].to_vec());
        stream = rest;
    }
    frames
}

#[test]
fn fragments_of_the_senders_are_cut_again() {
    let mut world = world(TunnelRules::default());
    let client = connect(&mut world, gcm(), path_v4(1), 1280);
    let whole = packet(&client, Kind::V4, 20 + 2944);
    let mut departed = Vec::new();
    for (offset, piece) in whole[20..].chunks(1472).enumerate() {
        let mut fragment = [&whole[..20], piece].concat();
        let more = if offset == 0 { 0x2000u16 } else { 0 };
        let len = fragment.len() as u16;
        fragment[2..4].copy_from_slice(&len.to_be_bytes());
        fragment[6..8].copy_from_slice(&(more | (offset * 1472 / 8) as u16).to_be_bytes());
        fragment[10..12].fill(0);
        let sum = header_sum(&fragment[..20]);
        fragment[10..12].copy_from_slice(&(!sum).to_be_bytes());
        departed.extend(world.inner(0, &fragment));
    }
    let fragments: Vec<Vec<u8>> = departed.iter().map(|packet| client.open(&packet.bytes).1).collect();
    assert_eq!(fragments.len(), 4);
    assert_eq!(joined(&fragments)[20..], whole[20..]);
    assert_eq!(world.dataplane.workers[0].counters.totals().inner_fragmented, 2);
}

/// TCP from the server to the client with these options; its checksum is left to us, as the kernel leaves it.
fn tcp(client: &Client, kind: Kind, flags: u8, options: &[u8], payload: usize) -> (Vec<u8>, Meta) {
    let head = if kind == Kind::V6 { 40 } else { 20 };
    let mut packet = packet(client, kind, head + 20 + options.len() + payload);
    packet[if kind == Kind::V6 { 6 } else { 9 }] = 6;
    packet[head..head + 20].copy_from_slice(&[0, 80, 0x30, 0x39, 0, 0, 0, 1, 0, 0, 0, 0, 0, flags, 1, 0, 0, 0, 0, 0]);
    packet[head + 12] = ((20 + options.len()) * 4) as u8;
    packet[head + 20..head + 20 + options.len()].copy_from_slice(options);
    if head == 20 {
        packet[10..12].fill(0);
        let sum = header_sum(&packet[..20]);
        packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
    }
    let pseudo = pseudo(&packet, head);
    packet[head + 16..head + 18].copy_from_slice(&pseudo.to_be_bytes());
    (packet, Meta { checksum: Some((head as u16, 16)), ..Meta::default() })
}

fn pseudo(packet: &[u8], head: usize) -> u16 {
    let addresses = if head == 20 { &packet[12..20] } else { &packet[8..40] };
    header_sum(&[addresses, &[0, 6], &((packet.len() - head) as u16).to_be_bytes()].concat())
}

fn tcp_checksum_is_good(packet: &[u8]) -> bool {
    let head = if packet[0] >> 4 == 4 { 20 } else { 40 };
    header_sum(&[&pseudo(packet, head).to_be_bytes(), &packet[head..]].concat()) == 0xffff
}

#[test]
fn a_super_packet_whose_segments_do_not_fit_is_cut_smaller_and_nobody_is_told() {
    for kind in [Kind::V4DontFragment, Kind::V6] {
        for outer_mtu in [1500, 1400, 1280] {
            let mut world = world(TunnelRules::default());
            let client = connect(&mut world, gcm(), path_v6(1), outer_mtu);
            let (whole, meta) = tcp(&client, kind, 0x10, &[], 20_000);
            let head = whole.len() - 20_000;
            let meta = Meta { segments: Segments::Tcp { payload: 1460 }, ..meta };
            world.peers[0].push(meta, &whole).unwrap();
            world.settle();
            let fits = fits(&client, outer_mtu);
            let inner: Vec<Vec<u8>> = world.departed().iter().map(|packet| client.open(&packet.bytes).1).collect();
            assert_eq!(inner.len(), 20_000usize.div_ceil(1460.min(fits - head)));
            assert!(inner.iter().all(|packet| packet.len() <= fits && tcp_checksum_is_good(packet)));
            let payload: Vec<u8> = inner.iter().flat_map(|packet| packet[head..].to_vec()).collect();
            assert_eq!(payload, whole[head..]);
            assert_eq!(world.all_dropped(), []);
        }
    }
}

#[test]
fn the_datagrams_of_a_super_packet_keep_their_bounds_and_fit_each_by_itself() {
    for (flags, fragments) in [(0, 4), (0x40, 0)] {
        let mut world = world(TunnelRules::default());
        let client = connect(&mut world, gcm(), path_v4(1), 1280);
        let mut whole = harness::v4(SERVER_V4, client.v4, 28 + 2 * 1400 + 100);
        whole[6] = flags;
        let meta = Meta { segments: Segments::Udp { payload: 1400 }, checksum: Some((20, 6)), ..Meta::default() };
        world.peers[0].push(meta, &whole).unwrap();
        world.settle();
        let (esp, told): (Vec<_>, Vec<_>) = world.departed().into_iter().partition(|packet| packet.path.is_some());
        // Two datagrams of 1400 and one of 100.
        assert_eq!(esp.len(), fragments + 1, "{:?}", world.all_dropped());
        assert_eq!(told.len(), if fragments == 0 { 2 } else { 0 });
        if fragments > 0 {
            let inner: Vec<Vec<u8>> = esp.iter().map(|packet| client.open(&packet.bytes).1).collect();
            let payload: Vec<u8> = [joined(&inner[..2]), joined(&inner[2..4]), inner[4].clone()]
                .iter()
                .flat_map(|datagram| datagram[28..].to_vec())
                .collect();
            assert_eq!(payload, whole[28..]);
        }
    }
}

#[test]
fn syns_are_clamped_both_ways_to_what_fits_the_tunnel_of_this_suite_and_outer_family() {
    const MSS: [u8; 4] = [2, 4, 0xff, 0xff];
    for suite in suites() {
        for path in [path_v4(1), path_v6(1)] {
            for (kind, head) in [(Kind::V4, 20), (Kind::V6, 40)] {
                for (mss, clamped) in [(MssClamp::ToTunnel, true), (MssClamp::Off, false)] {
                    let mut world = world(TunnelRules { mss, ..TunnelRules::default() });
                    let client = connect(&mut world, suite, path, 1400);
                    let most = if clamped { (fits(&client, 1400) - head - 20) as u16 } else { 0xffff };
                    let (syn, meta) = tcp(&client, kind, 0x02, &MSS, 0);
                    world.peers[0].push(meta, &syn).unwrap();
                    world.settle();
                    let down = client.open(&world.departed()[0].bytes).1;
                    assert!(tcp_checksum_is_good(&down));
                    assert_eq!(down[head + 22..head + 24], most.to_be_bytes());

                    // The answer of the client, with a checksum of its own: source and destination change places.
                    let mut up = syn.clone();
                    let (addresses, len) = if head == 20 { (12, 4) } else { (8, 16) };
                    let mut both = syn[addresses..addresses + 2 * len].to_vec();
                    both.rotate_left(len);
                    up[addresses..addresses + 2 * len].copy_from_slice(&both);
                    up[head + 13] = 0x12;
                    up[head + 16..head + 18].fill(0);
                    let sum = header_sum(&[&pseudo(&up, head).to_be_bytes(), &up[head..]].concat());
                    up[head + 16..head + 18].copy_from_slice(&(!sum).to_be_bytes());
                    assert!(tcp_checksum_is_good(&up));
                    let out = world.esp(0, client.path, &client.seal(1, &up));
                    assert_eq!(out[0].channel, Channel::Inner);
                    assert!(tcp_checksum_is_good(&out[0].bytes));
                    assert_eq!(out[0].bytes[head + 22..head + 24], most.to_be_bytes());
                    let totals = world.dataplane.workers[0].counters.totals();
                    assert_eq!(totals.mss_clamped, if clamped { 2 } else { 0 });
                }
            }
        }
    }
}

#[test]
fn a_worker_that_is_tuned_works_otherwise_at_once_and_keeps_its_sockets_df() {
    let mut world = world(TunnelRules::default());
    let client = connect(&mut world, gcm(), path_v4(1), 1400);
    let (syn, meta) = tcp(&client, Kind::V4, 0x02, &[2, 4, 0xff, 0xff], 0);
    let sent = |world: &mut World| {
        world.peers[0].push(meta, &syn).unwrap();
        world.settle();
        let departed = world.departed();
        (client.open(&departed[0].bytes).1[42..44].to_vec(), departed[0].outer_fragments)
    };
    let (clamped, fragments) = sent(&mut world);
    assert_ne!(clamped, [0xff, 0xff]);
    let tuning = Tuning {
        burst: 1,
        spin: Duration::ZERO,
        coalesce: Duration::ZERO,
        rules: TunnelRules { mss: MssClamp::Off, df: OuterDf::Set, ..TunnelRules::default() },
        moves_per_minute: 1,
        ctcp: None,
    };
    world.command(WorkerId(0), Command::Tune(Box::new(tuning)));
    assert_eq!(sent(&mut world), (vec![0xff, 0xff], fragments));
}

/// ESP arrives in fragments, the longest of so many octets.
fn esp_in_fragments(world: &mut World, client: &Client, esp: &[u8], longest: u16) {
    let meta =
        Meta { channel: Channel::NatT, path: Some(client.path), longest_fragment: Some(longest), ..Meta::default() };
    world.peers[0].push(meta, esp).unwrap();
    world.settle();
    world.departed();
}

#[test]
fn a_tunnel_follows_the_fragments_of_authenticated_packets_and_of_no_others() {
    let mut world = world(TunnelRules::default());
    let client = connect(&mut world, gcm(), path_v4(1), 1500);
    let told = |world: &mut World| {
        let big = packet(&client, Kind::V4DontFragment, 1500);
        let named = named_mtu(&big, &world.inner(0, &big));
        assert_eq!(client.down_counters.totals().inner_mtu, named as u64, "seen from outside, too");
        named
    };
    let up = harness::v4(client.v4, SERVER_V4, 600);
    assert_eq!(told(&mut world), fits(&client, 1500));

    let mut forged = client.seal(7, &up);
    *forged.last_mut().unwrap() ^= 1;
    esp_in_fragments(&mut world, &client, &forged, 1300);
    assert_eq!((world.dropped(DropReason::BadIcv), told(&mut world)), (1, fits(&client, 1500)));

    let good = client.seal(1, &up);
    esp_in_fragments(&mut world, &client, &good, 1400);
    assert_eq!(told(&mut world), fits(&client, 1400));
    esp_in_fragments(&mut world, &client, &good, 1300);
    assert_eq!((world.dropped(DropReason::Replayed), told(&mut world)), (1, fits(&client, 1400)));

    esp_in_fragments(&mut world, &client, &client.seal(2, &up), 300);
    assert_eq!(told(&mut world), fits(&client, 1280), "never below what IPv6 may ask of any path");
    assert_eq!(world.dataplane.workers[0].counters.totals().mtu_learned, 2);

    // It is forgotten in time: the first packet to the client finds it too old.
    world.now = world.now + Duration::from_secs(601);
    world.inner(0, &packet(&client, Kind::V4, 100));
    assert_eq!(told(&mut world), fits(&client, 1500));

    // Another address is another path.
    esp_in_fragments(&mut world, &client, &client.seal(3, &up), 1400);
    assert_eq!(told(&mut world), fits(&client, 1400));
    world.command(
        client.tunnel.worker,
        Command::MoveTunnel(Box::new(Move { tunnel: client.tunnel, from: natt(client.path), to: natt(path_v6(9)) })),
    );
    world.settle();
    let moved = Client { path: path_v6(9), ..Client::new(0, 1, gcm()) };
    assert_eq!(told(&mut world), fits(&moved, 1500));
}

/// An inner packet of this class goes out; its outer class.
fn class_outside(world: &mut World, client: &Client, kind: Kind, octet: u8) -> u8 {
    let mut inner = packet(client, kind, 100);
    if kind == Kind::V6 {
        (inner[0], inner[1]) = (0x60 | octet >> 4, octet << 4);
    } else {
        inner[1] = octet;
    }
    let departed = world.inner(0, &inner);
    assert_eq!(client.open(&departed[0].bytes).1, inner, "the inner header stays as it is");
    departed[0].outer_class.octet()
}

#[test]
fn the_outer_class_is_the_inner_one_or_what_the_rules_say() {
    let fixed = OuterDscp::Fixed(Dscp::new(10).unwrap());
    for (dscp, ecn, want) in [
        (OuterDscp::Copy, EcnMode::Normal, (|octet| octet) as fn(u8) -> u8),
        (OuterDscp::Copy, EcnMode::Compatibility, |octet| octet & 0xfc),
        (fixed, EcnMode::Normal, |octet| 40 | octet & 3),
        (fixed, EcnMode::Compatibility, |_octet| 40),
    ] {
        let mut world = world(TunnelRules { dscp, ecn, ..TunnelRules::default() });
        let client = connect(&mut world, gcm(), path_v4(1), 1500);
        for octet in 0..=255 {
            for kind in [Kind::V4, Kind::V6] {
                assert_eq!(class_outside(&mut world, &client, kind, octet), want(octet));
            }
        }
    }
}

#[test]
fn congestion_marked_outside_is_marked_inside_or_the_packet_is_dropped() {
    let mut sequence = 0;
    let mut world = world(TunnelRules::default());
    let client = connect(&mut world, gcm(), path_v4(1), 1500);
    for inner_octet in 0..=255u8 {
        for outer_octet in [0, 1, 2, 3, 0xb8, 0xbb] {
            for v6 in [false, true] {
                sequence += 1;
                let mut inner =
                    if v6 { harness::v6(client.v6, SERVER_V6, 100) } else { harness::v4(client.v4, SERVER_V4, 100) };
                if v6 {
                    (inner[0], inner[1]) = (0x60 | inner_octet >> 4, inner_octet << 4);
                } else {
                    inner[1] = inner_octet;
                    inner[10..12].fill(0);
                    let sum = header_sum(&inner[..20]);
                    inner[10..12].copy_from_slice(&(!sum).to_be_bytes());
                }
                let outer_class = TrafficClass::from_octet(outer_octet);
                let meta = Meta { channel: Channel::NatT, path: Some(client.path), outer_class, ..Meta::default() };
                world.peers[0].push(meta, &client.seal(sequence, &inner)).unwrap();
                world.settle();
                let came = world.departed();
                let want = TrafficClass::from_octet(inner_octet).ecn().decapsulated(outer_class.ecn());
                let Some(want) = want else {
                    assert_eq!((inner_octet & 3, outer_octet & 3, came.len()), (0, 3, 0));
                    continue;
                };
                let class = TrafficClass::of(&came[0].bytes);
                assert_eq!((class.dscp().get(), class.ecn()), (inner_octet >> 2, want), "DSCP stays (RFC 4301)");
                assert!(v6 || header_sum(&came[0].bytes[..20]) == 0xffff);
            }
        }
    }
    assert_eq!(world.all_dropped(), [(DropReason::Congested, 64 * 2 * 2)]);
    assert_eq!(Ecn::NotEct.decapsulated(Ecn::Ce), None);
}

#[test]
fn df_outside_is_clear_copied_or_set_but_never_on_what_must_pass_in_fragments() {
    let (allowed, forbidden) = (OuterFragments::Allowed, OuterFragments::Forbidden);
    for (df, v4, v4_df, v6) in [
        (OuterDf::Clear, allowed, allowed, allowed),
        (OuterDf::Copy, allowed, forbidden, allowed),
        (OuterDf::Set, forbidden, forbidden, forbidden),
    ] {
        let mut world = world(TunnelRules { df, ..TunnelRules::default() });
        let client = connect(&mut world, gcm(), path_v4(1), 1280);
        let fits = fits(&client, 1280);
        for (kind, len, want) in [
            (Kind::V4, 100, v4),
            (Kind::V4DontFragment, fits, v4_df),
            (Kind::V6, fits, v6),
            (Kind::V6, fits + 1, allowed),
            (Kind::V6, 1280, allowed),
        ] {
            let departed = world.inner(0, &packet(&client, kind, len));
            assert_eq!(departed[0].outer_fragments, want, "{df:?} {kind:?} {len}");
        }
        let pieces = world.inner(0, &packet(&client, Kind::V4, 3000));
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.outer_fragments == v4));
    }
}
