//! cTCP through whole workers: a connection, a login's messages, ESP both ways, on the worker of the SA and on another.

mod harness;

use adit_dataplane::carrier::ctcp::{Inside, ike_in_udp, trailer};
use adit_dataplane::contract::{Command, DropReason, EspPath, IkeDatagram, Move, Transport, WorkerId};
use adit_dataplane::packet::Channel;
use adit_dataplane::wire::tcp::{TcpFlags, TcpHeader};
use adit_dataplane::worker::DataplaneConfig;
use harness::ctcp::{CtcpPeer, setup};
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
