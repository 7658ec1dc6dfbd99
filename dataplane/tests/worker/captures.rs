//! What is copied of a tunnel's packets: octet for octet as they came and left, what became of them, and nothing of anybody else's.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::harness;

use adit_dataplane::carrier::ctcp::Inside;
use adit_dataplane::contract::{
    CaptureAim, CaptureId, CaptureOrder, CaptureReader, CaptureSide, CaptureSides, CaptureWay, Captured, Command,
    DropReason, IkeDatagram, IkeFraming, OuterForm, Path, Rate, Rates, Reading, Sight, Transport, TunnelKey, WorkerId,
    capture_ring,
};
use adit_dataplane::packet::Channel;
use adit_dataplane::wire::tcp::{TcpFlags, TcpHeader};
use adit_dataplane::worker::DataplaneConfig;
use harness::ctcp::{CtcpPeer, framed, setup};
use harness::*;
use std::time::Duration;

const ID: CaptureId = CaptureId(7);

fn world(workers: usize) -> World {
    let workers = vec![None; workers];
    World::with(DataplaneConfig { workers, pool: POOL, ctcp: setup(), ..DataplaneConfig::default() }, 1024)
}

/// Every worker copies; the readers are in their order.
fn capture(world: &mut World, tunnel: TunnelKey, sides: CaptureSides, ike: Option<Path>) -> Vec<CaptureReader> {
    let (snap, workers) = (u32::MAX, world.workers.len());
    let begin = |worker: usize| {
        let (writer, reader) = capture_ring(1 << 20);
        let order = CaptureOrder { id: ID, tunnel, sides, snap, paths: [ike, None], writer };
        world.command(WorkerId(worker as u8), Command::Capture(Box::new(order)));
        reader
    };
    let readers = (0..workers).map(begin).collect();
    world.settle();
    readers
}

fn read(reader: &mut CaptureReader) -> Vec<Captured> {
    let mut packets = Vec::new();
    let _ = reader.read(&mut packets);
    packets
}

fn reading(reader: &mut CaptureReader) -> Reading {
    reader.read(&mut Vec::new())
}

type Line = (CaptureSide, CaptureWay, Vec<u8>, Option<DropReason>);

fn lines(packets: Vec<Captured>) -> Vec<Line> {
    packets.into_iter().map(|packet| (packet.sight.side(), packet.way, packet.octets, packet.dropped)).collect()
}

fn forms(packets: &[Captured]) -> Vec<OuterForm> {
    let form = |packet: &Captured| match packet.sight {
        Sight::Outer { form, .. } => Some(form),
        Sight::Inner => None,
    };
    packets.iter().filter_map(form).collect()
}

use CaptureSide::{Inner, Outer};
use CaptureWay::{Down, Up};

#[test]
fn both_sides_of_both_ways_are_copied_by_every_transport_and_nothing_of_anybody_else() {
    for transport in DATAGRAMS {
        let mut world = World::new(1);
        let mut alice = Client::new(0, 1, gcm());
        alice.transport = transport;
        let alice = world.admit(alice);
        let bob = world.connect(0, 2, gcm());
        let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, None).remove(0);

        let up = v4(alice.v4, SERVER_V4, 500);
        let sealed = alice.seal(1, &up);
        let (channel, octets) = dressed(transport, &sealed);
        world.peers[0].push_outer(channel, alice.path, &octets).unwrap();
        world.esp(0, bob.path, &bob.seal(1, &v4(bob.v4, SERVER_V4, 200)));
        world.inner(0, &v4(SERVER_V4, bob.v4, 200));
        let packets = read(&mut reader);
        let form = match transport {
            Transport::NatT500 => OuterForm::UdpNonIke,
            Transport::Esp => OuterForm::Esp,
            Transport::NatT | Transport::CiscoUdp | Transport::Ctcp | Transport::Tcp => OuterForm::Udp,
        };
        assert_eq!(forms(&packets), [form]);
        assert_eq!(lines(packets), [(Outer, Up, sealed, None), (Inner, Up, up, None)]);

        let down = v4(SERVER_V4, alice.v4, 700);
        let left = world.inner(0, &down);
        assert_eq!(
            lines(read(&mut reader)),
            [(Inner, Down, down, None), (Outer, Down, left[0].bytes.clone(), None)],
            "{transport}"
        );
    }
}

#[test]
fn a_capture_of_one_side_has_that_one_alone() {
    for (sides, side) in [(CaptureSides::Inner, Inner), (CaptureSides::Outer, Outer)] {
        let mut world = World::new(1);
        let alice = world.connect(0, 1, gcm());
        let mut reader = capture(&mut world, alice.tunnel, sides, None).remove(0);
        world.esp(0, alice.path, &alice.seal(1, &v4(alice.v4, SERVER_V4, 500)));
        world.inner(0, &v4(SERVER_V4, alice.v4, 700));
        let seen: Vec<_> = read(&mut reader).iter().map(|packet| (packet.sight.side(), packet.way)).collect();
        assert_eq!(seen, [(side, Up), (side, Down)]);
    }
}

#[test]
fn what_is_dropped_is_in_it_with_the_reason() {
    let mut world = World::new(1);
    let alice = world.connect(0, 1, gcm());
    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, None).remove(0);

    // Opened, but not what the SA may carry: both sides say so, and the inner packet is readable.
    let stray = v4(SERVER_V4, SERVER_V4, 100);
    let sealed = alice.seal(1, &stray);
    world.esp(0, alice.path, &sealed);
    let reason = Some(DropReason::SelectorMismatch);
    assert_eq!(lines(read(&mut reader)), [(Outer, Up, sealed.clone(), reason), (Inner, Up, stray, reason)]);

    world.esp(0, alice.path, &sealed);
    assert_eq!(lines(read(&mut reader)), [(Outer, Up, sealed, Some(DropReason::Replayed))]);

    let mut forged = alice.seal(2, &v4(alice.v4, SERVER_V4, 100));
    forged[30] ^= 1;
    world.esp(0, alice.path, &forged);
    assert_eq!(lines(read(&mut reader)), [(Outer, Up, forged, Some(DropReason::BadIcv))]);

    // ESP of nobody's, but along the session's path.
    let wayward = [0x77; 60];
    world.esp(0, alice.path, &wayward);
    world.esp(0, path_v4(9), &wayward);
    assert_eq!(lines(read(&mut reader)), [(Outer, Up, wayward.to_vec(), Some(DropReason::UnknownSpi))]);

    let mut big = v4(SERVER_V4, alice.v4, 1500);
    big[6] = 0x40;
    let sum = header_sum(&[&big[..10], &[0, 0], &big[12..20]].concat());
    big[10..12].copy_from_slice(&(!sum).to_be_bytes());
    world.inner(0, &big);
    assert_eq!(lines(read(&mut reader)), [(Inner, Down, big, Some(DropReason::TooBig))]);
}

#[test]
fn ike_and_keepalives_along_its_path_are_outside_ones() {
    let mut world = World::new(1);
    let alice = world.connect(0, 1, gcm());
    let ike = Path { local: "192.0.2.1:500".parse().unwrap(), peer: "198.51.100.1:500".parse().unwrap() };
    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, Some(ike)).remove(0);
    world.esp(0, alice.path, &[&[0; 4][..], &[7; 28]].concat());
    world.esp(0, alice.path, &[0xff]);
    world.peers[0].push_outer(Channel::Ike, ike, &[9; 28]).unwrap();
    let answer = IkeDatagram { path: alice.path, framing: IkeFraming::NonEspMarker, bytes: vec![5; 40] };
    world.command(WorkerId(0), Command::SendIke(answer));
    world.settle();
    let packets = read(&mut reader);
    assert_eq!(forms(&packets), [OuterForm::UdpNonEsp, OuterForm::Udp, OuterForm::Udp, OuterForm::Udp]);
    let answer = [&[0; 4][..], &[5; 40]].concat();
    assert_eq!(
        lines(packets),
        [
            (Outer, Up, vec![7; 28], None),
            (Outer, Up, vec![0xff], Some(DropReason::Keepalive)),
            (Outer, Up, vec![9; 28], None),
            (Outer, Down, answer, None),
        ]
    );
    // It has gone elsewhere, and somebody else is there now.
    world.command(WorkerId(0), Command::AimCapture(Box::new(CaptureAim { id: ID, paths: [None; 2] })));
    world.peers[0].push_outer(Channel::Ike, ike, &[9; 28]).unwrap();
    world.settle();
    assert_eq!(read(&mut reader), []);
}

#[test]
fn by_ctcp_the_segments_are_seen_where_their_connection_is_and_the_packets_where_their_sa_is() {
    for owner in [0, 1] {
        let mut world = world(2);
        let mut peer = CtcpPeer::on(0, 2);
        world.login(0, &mut peer);
        let mut alice = Client::new(owner, 1, gcm());
        (alice.path, alice.transport) = (peer.path, Transport::Ctcp);
        let alice = world.admit(alice);
        let mut readers = capture(&mut world, alice.tunnel, CaptureSides::Both, Some(peer.path));

        let up = v4(alice.v4, SERVER_V4, 500);
        let segment = peer.frame(Inside::Esp, &alice.seal(1, &up));
        world.tcp(0, &peer, &segment);
        let down = v4(SERVER_V4, alice.v4, 300);
        let left = world.inner(usize::from(owner), &down);
        let seen: Vec<Vec<Line>> = readers.iter_mut().map(|reader| lines(read(reader))).collect();
        let segments: Vec<_> = seen[0].iter().filter(|line| line.0 == Outer).cloned().collect();
        assert_eq!(segments[0], (Outer, Up, segment, None));
        assert_eq!(segments.last().unwrap(), &(Outer, Down, left[0].bytes.clone(), None));
        assert!(segments.iter().all(|(_, _, octets, _)| TcpHeader::parse(octets).is_some()));
        let inner: Vec<_> = seen[usize::from(owner)].iter().filter(|line| line.0 == Inner).cloned().collect();
        assert_eq!(inner, [(Inner, Up, up, None), (Inner, Down, down, None)]);
        assert_eq!(seen.iter().flatten().filter(|line| line.0 == Inner).count(), 2, "nothing twice");

        // A frame whose ESP is forged: on the worker that has both, the segment says so.
        let mut forged = alice.seal(2, &v4(alice.v4, SERVER_V4, 100));
        forged[30] ^= 1;
        let segment = peer.frame(Inside::Esp, &forged);
        world.tcp(0, &peer, &segment);
        let seen: Vec<Captured> = readers.iter_mut().flat_map(read).collect();
        let dropped: Vec<_> = seen.iter().filter(|packet| packet.dropped == Some(DropReason::BadIcv)).collect();
        assert_eq!(dropped.len(), 1);
        match owner {
            0 => assert_eq!(dropped[0].octets, segment),
            _ => {
                assert_eq!((dropped[0].octets.as_slice(), dropped[0].len as usize), (&forged[..8], forged.len()));
                assert_eq!(forms(&[dropped[0].clone()]), [OuterForm::Streamed]);
            }
        }
    }
}

#[test]
fn a_packet_is_copied_as_far_as_is_wanted_and_its_length_is_told() {
    let mut world = World::new(1);
    let alice = world.connect(0, 1, gcm());
    let (writer, mut reader) = capture_ring(1 << 16);
    let (sides, paths) = (CaptureSides::Both, [None; 2]);
    let order = CaptureOrder { id: ID, tunnel: alice.tunnel, sides, snap: 40, paths, writer };
    world.command(WorkerId(0), Command::Capture(Box::new(order)));
    world.inner(0, &v4(SERVER_V4, alice.v4, 700));
    let packets = read(&mut reader);
    assert_eq!(packets.iter().map(|packet| packet.octets.len()).collect::<Vec<_>>(), [40, 40]);
    assert_eq!(packets[0].len, 700);
}

#[test]
fn a_capture_ends_when_it_is_stopped_when_its_tunnel_goes_and_without_one_before_it_begins() {
    let mut world = World::new(1);
    let alice = world.connect(0, 1, gcm());
    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, None).remove(0);
    assert_eq!(reading(&mut reader), Reading::Open);
    world.command(WorkerId(0), Command::StopCapture { id: ID });
    world.settle();
    assert_eq!(reading(&mut reader), Reading::Ended);
    world.inner(0, &v4(SERVER_V4, alice.v4, 100));
    assert_eq!(read(&mut reader), []);

    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, Some(alice.path)).remove(0);
    // Its goodbye leaves in the turn in which the tunnel goes.
    world.command(WorkerId(0), Command::DropTunnel { tunnel: alice.tunnel });
    let delete = IkeDatagram { path: alice.path, framing: IkeFraming::NonEspMarker, bytes: vec![5; 40] };
    world.command(WorkerId(0), Command::SendIke(delete));
    world.settle();
    let mut packets = Vec::new();
    assert_eq!(reader.read(&mut packets), Reading::Ended);
    assert_eq!(lines(packets), [(Outer, Down, [&[0; 4][..], &[5; 40]].concat(), None)]);

    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, None).remove(0);
    assert_eq!(reading(&mut reader), Reading::Ended, "there is no such tunnel");
}

#[test]
fn one_capture_too_many_is_ended_at_once_and_the_others_go_on() {
    let mut world = World::new(1);
    let alice = world.connect(0, 1, gcm());
    let mut readers: Vec<_> =
        (0..5).map(|_| capture(&mut world, alice.tunnel, CaptureSides::Inner, None).remove(0)).collect();
    world.inner(0, &v4(SERVER_V4, alice.v4, 100));
    let states: Vec<_> = readers.iter_mut().map(|reader| (read(reader).len(), reading(reader))).collect();
    assert_eq!(states[..4], [(1, Reading::Open); 4]);
    assert_eq!(states[4], (0, Reading::Ended));
}

#[test]
fn a_packet_that_comes_to_another_worker_than_its_tunnels_is_copied_once_by_the_owner() {
    let mut world = World::new(2);
    let (alice, bob) = (world.connect(1, 1, gcm()), world.connect(0, 2, gcm()));
    let mut readers = capture(&mut world, alice.tunnel, CaptureSides::Both, None);
    let down = v4(SERVER_V4, alice.v4, 300);
    let left = world.inner(0, &down);
    assert_eq!(lines(read(&mut readers[0])), []);
    assert_eq!(lines(read(&mut readers[1])), [(Inner, Down, down, None), (Outer, Down, left[0].bytes.clone(), None)]);
    // From client to client, too, where the other worker opens it.
    world.esp(0, bob.path, &bob.seal(1, &v4(bob.v4, alice.v4, 200)));
    assert_eq!(lines(read(&mut readers[0])), []);
    let seen: Vec<_> = read(&mut readers[1]).iter().map(|packet| (packet.sight.side(), packet.way)).collect();
    assert_eq!(seen, [(Inner, Down), (Outer, Down)]);

    // Its tunnel goes, somebody else gets the slot, and the other worker has not heard of it yet.
    world.command(alice.tunnel.worker, Command::DropTunnel { tunnel: alice.tunnel });
    world.settle();
    let carol = world.connect(1, 1, gcm());
    assert_eq!(world.inner(0, &v4(SERVER_V4, carol.v4, 300)).len(), 1);
    assert!(readers.iter_mut().all(|reader| read(reader).is_empty()));
}

/// A thousand octets a millisecond, 64 KiB at once.
fn slow() -> Rates {
    Rates { up: Rate::new(8_000_000, Duration::ZERO), down: None }
}

#[test]
fn what_is_more_than_the_client_may_send_is_in_it_on_both_sides() {
    let mut world = World::new(1);
    let alice = world.admit(Client { rates: slow(), ..Client::new(0, 1, gcm()) });
    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, None).remove(0);
    let up = v4(alice.v4, SERVER_V4, 1000);
    for number in 1..66 {
        world.esp(0, alice.path, &alice.seal(number, &up));
    }
    read(&mut reader);
    let sealed = alice.seal(66, &up);
    world.esp(0, alice.path, &sealed);
    let reason = Some(DropReason::OverRateUp);
    assert_eq!(lines(read(&mut reader)), [(Outer, Up, sealed, reason), (Inner, Up, up, reason)]);
}

#[test]
fn of_what_comes_in_a_stream_and_is_opened_and_dropped_the_header_is_shown_and_never_what_was_inside() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.stream_login(0, &mut peer);
    let mut alice = Client { rates: slow(), ..Client::new(0, 1, gcm()) };
    (alice.path, alice.transport) = (peer.path, Transport::Tcp);
    let alice = world.admit(alice);
    let up = v4(alice.v4, SERVER_V4, 1000);
    let stray = v4(SERVER_V4, SERVER_V4, 1000);
    let next_header = 4;
    let mut says = |world: &mut World, esp: &[u8]| {
        let segment = peer.segment(TcpFlags::ACK, &framed(esp));
        world.tcp(0, &peer, &segment);
    };
    for number in 1..66 {
        says(&mut world, &alice.seal(number, &up));
    }
    let mut both = capture(&mut world, alice.tunnel, CaptureSides::Both, None).remove(0);
    for (esp, reason, inner) in [
        (alice.seal(66, &up), DropReason::OverRateUp, Some(&up)),
        (alice.seal(67, &stray), DropReason::SelectorMismatch, Some(&stray)),
        (alice.seal_raw(68, &up, &[7, 7, 7, 7, 7, 7], 6, next_header), DropReason::BadPadding, None),
        (alice.seal_raw(69, &up, &[1, 2, 3, 4, 5, 6], 6, 59), DropReason::Dummy, None),
    ] {
        says(&mut world, &esp);
        let mut seen = read(&mut both);
        seen.retain(|packet| packet.dropped.is_some());
        assert_eq!((forms(&seen), seen[0].len as usize), (vec![OuterForm::Streamed], esp.len()), "{reason:?}");
        let outside = (Outer, Up, esp[..8].to_vec(), Some(reason));
        let inside = inner.map(|inner| (Inner, Up, inner.clone(), Some(reason)));
        assert_eq!(lines(seen), [Some(outside), inside].into_iter().flatten().collect::<Vec<_>>());
    }
}

#[test]
fn what_is_anothers_in_the_same_connection_is_not_shown_inside() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.login(0, &mut peer);
    let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(0, 2, gcm()));
    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Both, Some(peer.path)).remove(0);
    let segment = peer.frame(Inside::Esp, &bob.seal(1, &v4(SERVER_V4, SERVER_V4, 100)));
    world.tcp(0, &peer, &segment);
    assert_eq!(lines(read(&mut reader)), [(Outer, Up, segment, Some(DropReason::SelectorMismatch))]);
}

#[test]
fn what_a_connection_does_not_take_is_in_it_with_the_reason_wherever_the_connection_is() {
    for owner in [0, 1] {
        let mut world = world(2);
        let mut peer = CtcpPeer::on(0, 2);
        world.login(0, &mut peer);
        let mut alice = Client::new(owner, 1, gcm());
        (alice.path, alice.transport) = (peer.path, Transport::Ctcp);
        let alice = world.admit(alice);
        let mut readers = capture(&mut world, alice.tunnel, CaptureSides::Both, None);
        let down = v4(SERVER_V4, alice.v4, 1400);
        let sent: usize = (0..60).map(|_| world.inner(usize::from(owner), &down).len()).sum();
        let lost = 60 - sent;
        assert!((1..60).contains(&lost), "{lost}");
        let seen: Vec<Vec<Captured>> = readers.iter_mut().map(read).collect();
        let dropped = |worker: usize| -> Vec<Captured> {
            let dropped = |packet: &&Captured| packet.dropped == Some(DropReason::InFlight);
            seen[worker].iter().filter(dropped).cloned().collect()
        };
        let outside: Vec<_> = dropped(0).into_iter().filter(|packet| packet.sight.side() == Outer).collect();
        assert_eq!(forms(&outside), vec![OuterForm::Streamed; lost]);
        let esp = 8 + 8 + 1400 + alice.least_padding(1400) + 2 + 16;
        let spi = alice.own_spi.to_be_bytes();
        let header_alone = |packet: &Captured| packet.octets.len() == 8 && packet.octets[..4] == spi;
        assert!(outside.iter().all(|packet| header_alone(packet) && packet.len as usize == esp && packet.way == Down));
        // Inside its worker says so, if the connection is there, too.
        let inside = seen[usize::from(owner)].iter().filter(|packet| packet.sight.side() == Inner).count();
        let told = dropped(usize::from(owner)).iter().filter(|packet| packet.sight.side() == Inner).count();
        assert_eq!((inside, told), (60, if owner == 0 { lost } else { 0 }));
    }

    // There is no connection at all.
    let mut world = world(1);
    let path = CtcpPeer::on(0, 1).path;
    let alice = world.admit(Client { path, transport: Transport::Tcp, ..Client::new(0, 1, gcm()) });
    let mut reader = capture(&mut world, alice.tunnel, CaptureSides::Inner, None).remove(0);
    let down = v4(SERVER_V4, alice.v4, 100);
    world.inner(0, &down);
    assert_eq!(lines(read(&mut reader)), [(Inner, Down, down, Some(DropReason::NoConnection))]);
}
