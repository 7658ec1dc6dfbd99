//! cTCP through whole workers: a connection, a login's messages, ESP both ways, on the worker of the SA and on another.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::harness;

use adit_dataplane::carrier::ctcp::{Inside, ike_in_udp, trailer};
use adit_dataplane::contract::{
    Command, DropReason, EspPath, Event, Finding, FlowPage, FlowReport, IkeDatagram, Move, Stalling, Transport,
    TunnelKey, WorkerId,
};
use adit_dataplane::packet::Channel;
use adit_dataplane::wire::tcp::{Seq, TcpFlags, TcpHeader};
use adit_dataplane::worker::DataplaneConfig;
use harness::ctcp::{CtcpPeer, first_message, setup};
use harness::*;
use std::time::Duration;

fn world(workers: usize) -> World {
    let workers = vec![None; workers];
    World::with(DataplaneConfig { workers, pool: POOL, ctcp: setup(), ..DataplaneConfig::default() }, 1024)
}

#[test]
fn a_login_and_traffic_pass_by_ctcp_on_one_worker() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    let asked = world.login(0, &mut peer);
    let answer = IkeDatagram { bytes: vec![9; 200], ..asked };
    world.command(WorkerId(0), Command::SendIke(answer));
    world.settle();
    let sent = world.departed();
    let (inside, udp) = peer.hears(&sent[0]);
    assert_eq!((inside, &udp[..8], &udp[8..]), (Inside::Ike, &ike_in_udp(200)[..], &[9; 200][..]));

    let mut client = Client::new(0, 1, gcm());
    (client.path, client.transport) = (peer.path, Transport::Ctcp);
    let client = world.admit(client);
    let up = v4(client.v4, SERVER_V4, 500);
    let segment = peer.frame(Inside::Esp, &client.seal(1, &up));
    let out = world.tcp(0, &peer, &segment);
    assert_eq!(out.iter().map(|packet| &packet.bytes).collect::<Vec<_>>(), [&up]);
    let down = v4(SERVER_V4, client.v4, 500);
    let sent = world.inner(0, &down);
    let (inside, esp) = peer.hears(&sent[0]);
    assert_eq!(inside, Inside::Esp);
    assert_eq!(client.open(&esp).1, down);
    assert_eq!(world.all_dropped(), [(DropReason::Handshake, 1)]);
}

#[test]
fn who_loses_a_place_to_a_newcomer_is_told_and_counted() {
    let mut ctcp = setup().unwrap();
    ctcp.config.unproven_per_source = 1;
    let config = DataplaneConfig { workers: vec![None], pool: POOL, ctcp: Some(ctcp), ..DataplaneConfig::default() };
    let mut world = World::with(config, 1024);
    let displaced = |world: &World| world.dataplane.workers[0].counters.totals().connections_displaced;
    let (mut first, mut second) = (CtcpPeer::on(0, 1), CtcpPeer::on(0, 1));
    second.path.peer.set_port(first.path.peer.port() + 1);
    world.login(0, &mut first);
    assert_eq!(displaced(&world), 0);
    let syn = second.segment(TcpFlags::SYN, &[]);
    let answer = world.tcp(0, &second, &syn);
    second.hears(&answer[0]);
    assert_eq!(displaced(&world), 0, "a SYN alone takes nobody's place");
    let message = first_message();
    let segment = second.frame(Inside::Ike, &[&ike_in_udp(message.len())[..], &message].concat());
    let said = world.tcp(0, &second, &segment);
    let [reset] = &said[..] else { panic!("{} packets", said.len()) };
    assert_eq!(reset.path, Some(first.path));
    assert!(TcpHeader::parse(&reset.bytes).unwrap().flags.has(TcpFlags::RST));
    assert_eq!(displaced(&world), 1);
}

#[test]
fn an_sa_of_another_worker_gets_its_packets_and_sends_by_the_connections_worker() {
    let mut world = world(2);
    let mut peer = CtcpPeer::on(0, 2);
    world.login(0, &mut peer);
    let mut client = Client::new(1, 1, gcm());
    (client.path, client.transport) = (peer.path, Transport::Ctcp);
    let client = world.admit(client);
    let up = v4(client.v4, SERVER_V4, 300);
    let segment = peer.frame(Inside::Esp, &client.seal(1, &up));
    let out = world.tcp(0, &peer, &segment);
    assert_eq!(out.iter().map(|packet| &packet.bytes).collect::<Vec<_>>(), [&up]);
    let down = v4(SERVER_V4, client.v4, 300);
    let sent = world.inner(1, &down);
    let (inside, esp) = peer.hears(&sent[0]);
    assert_eq!((inside, client.open(&esp).1), (Inside::Esp, down));
}

#[test]
fn a_session_moves_to_ctcp_and_back_by_its_packets() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.login(0, &mut peer);
    let client = world.connect(0, 1, gcm());
    let up = v4(client.v4, SERVER_V4, 300);
    assert_eq!(world.esp(0, client.path, &client.seal(1, &up)).len(), 1);
    let segment = peer.frame(Inside::Esp, &client.seal(2, &up));
    assert_eq!(world.tcp(0, &peer, &segment).len(), 1);
    let down = v4(SERVER_V4, client.v4, 300);
    let sent = world.inner(0, &down);
    assert_eq!(client.open(&peer.hears(&sent[0]).1).1, down);
    assert_eq!(world.esp(0, client.path, &client.seal(3, &up)).len(), 1);
    let back = world.inner(0, &down);
    assert_eq!((back[0].channel, back[0].path), (Channel::NatT, Some(client.path)));
    // By command, too.
    let to = EspPath::new(Transport::Ctcp, peer.path);
    let order = Move { tunnel: client.tunnel, from: client.esp_path(), to };
    world.command(WorkerId(0), Command::MoveTunnel(Box::new(order)));
    let sent = world.inner(0, &down);
    assert_eq!(client.open(&peer.hears(&sent[0]).1).1, down);
}

/// Whoever has a session of its own could have the connection ended with that.
#[test]
fn a_segment_out_of_place_takes_no_tunnel_to_the_connection_and_no_ike_while_its_owner_is_heard() {
    let mut world = world(1);
    let mut victim = kept(&mut world, 40_001);
    let attacker = world.connect(0, 1, gcm());
    let up = v4(attacker.v4, SERVER_V4, 300);
    assert_eq!(world.esp(0, attacker.path, &attacker.seal(1, &up)).len(), 1);
    world.events();
    // It knows the ports, and no number.
    let mut forger = CtcpPeer { next: victim.next.plus(1 << 29), expected: Seq::new(7), ..CtcpPeer::on(0, 1) };
    forger.path = victim.path;
    let segment = forger.frame(Inside::Esp, &attacker.seal(2, &up));
    let out = world.tcp(0, &victim, &segment);
    assert_eq!(out.iter().map(|packet| &packet.bytes).collect::<Vec<_>>(), [&up], "it is authentic all the same");
    assert!(world.events().is_empty());
    let sent = world.inner(0, &v4(SERVER_V4, attacker.v4, 300));
    assert_eq!((sent[0].channel, sent[0].path), (Channel::NatT, Some(attacker.path)));

    let ike = [&ike_in_udp(400)[..], &first_message()].concat();
    let segment = forger.frame(Inside::Ike, &ike);
    world.tcp(0, &victim, &segment);
    assert!(world.events().is_empty());
    assert_eq!(world.dropped(DropReason::OutOfWindow), 1);
    // The owner itself may have lost a megabyte, and does not come by where it was any more.
    world.now = world.now + Duration::from_secs(11);
    victim.next = victim.next.plus(1 << 22);
    let segment = victim.frame(Inside::Ike, &ike);
    world.tcp(0, &victim, &segment);
    assert!(matches!(&world.events()[..], [Event::Ike(_)]));
}

/// It repeats nothing, so all that it sends from then on is out of place.
#[test]
fn a_client_that_has_lost_megabytes_is_heard_behind_its_next_keepalive() {
    let mut world = world(1);
    let mut peer = kept(&mut world, 40_001);
    let question =
        IkeDatagram { path: peer.path, framing: adit_dataplane::contract::IkeFraming::Ctcp, bytes: vec![9; 84] };
    world.command(WorkerId(0), Command::SendIke(question));
    world.settle();
    world.departed().iter().for_each(|segment| {
        peer.hears(segment);
    });
    let ike = [&ike_in_udp(400)[..], &first_message()].concat();
    peer.next = peer.next.plus(1 << 22);
    let lost = peer.frame(Inside::Ike, &ike);
    world.tcp(0, &peer, &lost);
    assert!(world.events().is_empty());
    let alone = peer.segment(TcpFlags::ACK, &[]);
    world.tcp(0, &peer, &alone);
    for _ in 0..3 {
        let again = peer.frame(Inside::Ike, &ike);
        world.tcp(0, &peer, &again);
        assert!(matches!(&world.events()[..], [Event::Ike(_)]));
    }
    world.now = world.now + Duration::from_secs(60);
    world.settle();
    // A whole frame behind a hole is taken as a piece, too.
    assert!(world.events().iter().all(|event| matches!(event, Event::Ike(_))), "that is no stall");
}

#[test]
fn esp_cut_into_pieces_and_joined_arrives_whole() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.login(0, &mut peer);
    let client = world.connect(0, 1, gcm());
    let packets: Vec<_> = (1..=9).map(|number| v4(client.v4, SERVER_V4, 100 * number)).collect();
    let stream: Vec<u8> = (1..)
        .zip(&packets)
        .flat_map(|(number, packet)| [client.seal(number, packet), trailer(Inside::Esp).to_vec()].concat())
        .collect();
    let mut out = Vec::new();
    for piece in stream.chunks(536) {
        let segment = peer.segment(TcpFlags::ACK, piece);
        out.extend(world.tcp(0, &peer, &segment).into_iter().filter(|packet| packet.channel == Channel::Inner));
    }
    assert_eq!(out.into_iter().map(|packet| packet.bytes).collect::<Vec<_>>(), packets);
}

#[test]
fn a_packet_behind_a_hole_goes_on_when_the_hole_is_given_up_though_nothing_more_comes() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.login(0, &mut peer);
    let client = world.connect(0, 1, gcm());
    let packets = [1, 2].map(|number| v4(client.v4, SERVER_V4, 100 * number));
    let frame = |number: u32, packet: &[u8]| [client.seal(number, packet), trailer(Inside::Esp).to_vec()].concat();
    let stream = [frame(1, &packets[0]), frame(2, &packets[1])].concat();
    peer.next = peer.next.plus(40);
    let segment = peer.segment(TcpFlags::ACK, &stream[40..]);
    assert!(world.tcp(0, &peer, &segment).iter().all(|packet| packet.channel != Channel::Inner));
    world.now = world.now + Duration::from_millis(500);
    world.settle();
    let inside = world.departed().into_iter().filter(|packet| packet.channel == Channel::Inner);
    assert_eq!(inside.map(|packet| packet.bytes).collect::<Vec<_>>(), [packets[1].clone()]);
}

#[test]
fn a_sleeping_worker_wakes_to_acknowledge_and_a_wrong_checksum_is_nothing() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.login(0, &mut peer);
    world.now = world.now + Duration::from_millis(40);
    world.settle();
    let said = world.departed();
    assert_eq!(said.len(), 1, "the acknowledgment of the first message");
    assert_eq!(peer.hears(&said[0]).1, []);
    assert_eq!(TcpHeader::parse(&said[0].bytes).unwrap().ack, peer.next);
    let mut spoilt = peer.frame(Inside::Esp, &[7; 100]);
    spoilt[30] ^= 1;
    assert_eq!(world.tcp(0, &peer, &spoilt), []);
    assert_eq!(world.dropped(DropReason::BadChecksum), 1);
}

const TUNNEL: TunnelKey = TunnelKey { worker: WorkerId(0), slot: 7 };

/// All pages, one question after the other; and how long each was.
fn told(world: &mut World) -> (Vec<FlowReport>, Vec<usize>) {
    let (mut all, mut lengths, mut from) = (Vec::new(), Vec::new(), Some(0));
    while let Some(place) = from {
        world.command(WorkerId(0), Command::TellFlows(Box::new(FlowPage::new(place))));
        world.settle();
        let [Event::Flows(page)] = &world.events()[..] else { panic!("a page") };
        lengths.push(page.flows.len());
        all.extend(page.flows.iter().copied());
        from = page.next;
    }
    (all, lengths)
}

/// A connection from another port, its session's.
fn kept(world: &mut World, port: u16) -> CtcpPeer {
    let mut peer = CtcpPeer::on(0, 1);
    peer.path.peer.set_port(port);
    world.login(0, &mut peer);
    world.command(WorkerId(0), Command::KeepConnection { path: peer.path, tunnel: TUNNEL });
    peer
}

#[test]
fn control_is_told_of_all_connections_on_pages_of_a_bounded_length() {
    let mut world = world(1);
    assert_eq!(told(&mut world), (vec![], vec![0]));
    let peers: Vec<_> = (0..150).map(|at| kept(&mut world, 40_000 + at)).collect();
    let (flows, lengths) = told(&mut world);
    assert_eq!(lengths, [64, 64, 22]);
    assert!(flows.iter().map(|flow| flow.path).eq(peers.iter().map(|peer| peer.path)));
    assert!(flows.iter().zip(0..).all(|(flow, number)| flow.id.number == number && flow.tunnel == Some(TUNNEL)));
    assert_eq!((flows[0].diagnosis.finding, flows[0].evidence.up.segments), (Finding::Well, 1));
    // A worker without cTCP has nothing to tell.
    let mut without = World::new(1);
    assert_eq!(told(&mut without), (vec![], vec![0]));
}

/// What has left for `peer`, its flags.
fn left(world: &mut World, peer: &mut CtcpPeer) -> Vec<TcpFlags> {
    let departed = world.departed();
    departed
        .iter()
        .map(|segment| {
            let (header, expected) = (TcpHeader::parse(&segment.bytes).unwrap(), peer.expected);
            peer.hears(segment);
            assert_eq!((header.seq, header.ack), (expected, peer.next), "where the peer expects it");
            header.flags
        })
        .collect()
}

#[test]
fn a_session_that_ends_says_its_last_words_and_resets_its_connection_unless_another_has_it_by_now() {
    let mut world = world(1);
    let mut peer = kept(&mut world, 40_001);
    let path = peer.path;
    let another = TunnelKey { slot: 8, ..TUNNEL };
    world.command(WorkerId(0), Command::KeepConnection { path, tunnel: another });
    world.command(WorkerId(0), Command::EndConnection { path, tunnel: TUNNEL });
    world.settle();
    assert_eq!(left(&mut world, &mut peer), []);
    let goodbye = IkeDatagram { path, framing: adit_dataplane::contract::IkeFraming::Ctcp, bytes: vec![9; 84] };
    world.command(WorkerId(0), Command::SendIke(goodbye));
    world.command(WorkerId(0), Command::EndConnection { path, tunnel: another });
    world.settle();
    assert_eq!(left(&mut world, &mut peer), [TcpFlags::ACK, TcpFlags::RST.with(TcpFlags::ACK)]);
    assert_eq!(told(&mut world).0, []);
}

#[test]
fn a_connection_that_is_cleared_is_reset_if_it_is_still_the_same() {
    let mut world = world(1);
    let mut peer = kept(&mut world, 40_001);
    let id = told(&mut world).0[0].id;
    world.command(WorkerId(0), Command::ClearConnection { path: peer.path, number: id.number + 1 });
    world.settle();
    assert_eq!(left(&mut world, &mut peer), []);
    world.command(WorkerId(0), Command::ClearConnection { path: peer.path, number: id.number });
    world.settle();
    assert_eq!(left(&mut world, &mut peer), [TcpFlags::RST.with(TcpFlags::ACK)]);
    assert_eq!(told(&mut world).0, []);
}

/// Its packets are lost, its word that it is there is not: twice, five seconds apart.
fn stalls(world: &mut World, peer: &mut CtcpPeer) {
    for _ in 0..2 {
        peer.next = peer.next.plus(1300);
        world.now = world.now + Duration::from_secs(5);
        world.settle();
        world.departed();
        let alone = peer.segment(TcpFlags::ACK, &[]);
        world.tcp(0, peer, &alone);
    }
}

#[test]
fn a_stall_is_told_when_it_is_suspected_and_when_it_is_certain_and_again_after_it_was_none() {
    let mut world = world(1);
    let mut peer = kept(&mut world, 40_001);
    peer.expected = TcpHeader::parse(&peer.segment(TcpFlags::ACK, &[])).unwrap().ack;
    let words = |world: &World| -> Vec<Stalling> {
        let stalling = |event| match event {
            Event::Stalling(stalled) => {
                assert_eq!(stalled.tunnel, TUNNEL);
                // Control asks whether it is so, and says why if it is.
                assert_eq!(stalled.flow.diagnosis.finding, Finding::Stalled);
                stalled.stalling
            }
            _ => panic!("nothing else is told"),
        };
        world.events().into_iter().map(stalling).collect()
    };
    stalls(&mut world, &mut peer);
    assert_eq!(words(&world), [Stalling::Suspected, Stalling::Certain]);
    world.now = world.now + Duration::from_secs(60);
    world.settle();
    assert_eq!(words(&world), [], "once is enough");
    let something = peer.frame(Inside::Esp, &[7; 100]);
    world.tcp(0, &peer, &something);
    world.events();
    for _ in 0..2 {
        peer.next = peer.next.plus(1300);
        world.now = world.now + Duration::from_secs(1);
        let alone = peer.segment(TcpFlags::ACK, &[]);
        world.tcp(0, &peer, &alone);
    }
    assert_eq!(words(&world), []);
    world.now = world.now + Duration::from_secs(3);
    world.settle();
    assert_eq!(words(&world), [Stalling::Suspected], "nobody need say more");
    world.now = world.now + Duration::from_secs(5);
    world.settle();
    assert_eq!(words(&world), [Stalling::Certain]);
}

#[test]
fn nobody_elses_connection_can_stall() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.login(0, &mut peer);
    stalls(&mut world, &mut peer);
    assert!(world.events().is_empty());
    assert_ne!(peer.next, Seq::new(0));
}
