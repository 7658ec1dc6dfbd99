//! Streams (RFC 9329) through whole workers: a login's messages and ESP both ways, on the worker of the SA and on another; from UDP
//! to a stream and back.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::harness;

use adit_dataplane::contract::{
    Command, DropReason, EspPath, Event, FlowPage, IkeDatagram, IkeFraming, Transport, TunnelKey, WorkerId,
};
use adit_dataplane::io::memory::Departed;
use adit_dataplane::packet::{Channel, PoolSizes};
use adit_dataplane::wire::tcp::{TcpFlags, TcpHeader, tcp_checksum};
use adit_dataplane::worker::DataplaneConfig;
use harness::ctcp::{CtcpPeer, framed, setup};
use harness::*;

fn world(workers: usize) -> World {
    let workers = vec![None; workers];
    World::with(DataplaneConfig { workers, pool: POOL, ctcp: setup(), ..DataplaneConfig::default() }, 1024)
}

/// What these segments bring of the stream, their checksums and numbers being right.
#[track_caller]
pub(crate) fn heard(peer: &mut CtcpPeer, sent: &[Departed]) -> Vec<u8> {
    let mut stream = Vec::new();
    for departed in sent {
        assert_eq!((departed.channel, departed.path), (Channel::Ctcp, Some(peer.path)));
        assert_eq!(tcp_checksum(peer.path.local.ip(), peer.path.peer.ip(), &departed.bytes), 0);
        let header = TcpHeader::parse(&departed.bytes).unwrap();
        assert_eq!(header.seq, peer.expected);
        stream.extend(&departed.bytes[header.len..]);
        peer.expected = peer.expected.plus(departed.bytes.len() - header.len);
    }
    stream
}

#[test]
fn a_login_and_traffic_pass_in_a_stream_on_the_sas_worker_and_on_another() {
    for (workers, of_the_sa) in [(1, 0), (2, 1)] {
        let mut world = world(workers);
        let mut peer = CtcpPeer::on(0, workers);
        let asked = world.stream_login(0, &mut peer);
        world.command(WorkerId(0), Command::SendIke(IkeDatagram { bytes: vec![9; 200], ..asked }));
        world.settle();
        let sent = world.departed();
        assert_eq!(heard(&mut peer, &sent), framed(&[&[0; 4][..], &[9; 200]].concat()));

        let mut client = Client::new(of_the_sa, 1, gcm());
        (client.path, client.transport) = (peer.path, Transport::Tcp);
        let client = world.admit(client);
        let up = v4(client.v4, SERVER_V4, 500);
        // Two frames, cut where nobody would expect it.
        let frames = [framed(&client.seal(1, &up)), framed(&[0xff]), framed(&client.seal(2, &up))].concat();
        let (first, second) = frames.split_at(555);
        let first = peer.segment(TcpFlags::ACK, first);
        let mut out = world.tcp(0, &peer, &first);
        let second = peer.segment(TcpFlags::ACK, second);
        out.extend(world.tcp(0, &peer, &second));
        let inner: Vec<_> = out.iter().filter(|packet| packet.channel == Channel::Inner).collect();
        assert_eq!(inner.iter().map(|packet| &packet.bytes).collect::<Vec<_>>(), [&up, &up]);
        let said: Vec<Departed> = out.into_iter().filter(|packet| packet.channel != Channel::Inner).collect();
        assert!(heard(&mut peer, &said).is_empty(), "acknowledgments");

        let down = v4(SERVER_V4, client.v4, 1300);
        let sent = world.inner(usize::from(of_the_sa), &down);
        let frame = heard(&mut peer, &sent);
        assert_eq!(usize::from(u16::from_be_bytes([frame[0], frame[1]])), frame.len());
        assert_eq!(client.open(&frame[2..]).1, down);
        let dropped = world.all_dropped().into_iter().map(|(reason, n)| (reason.name(), n)).collect::<Vec<_>>();
        assert_eq!(dropped, [("keepalive", 1), ("handshake", 1)]);
    }
}

#[test]
fn a_tunnel_follows_its_newest_packet_into_a_stream_and_out_of_it() {
    let mut world = world(1);
    let mut peer = CtcpPeer::on(0, 1);
    world.stream_login(0, &mut peer);
    let mut client = Client::new(0, 1, gcm());
    client.path.peer.set_ip(peer.path.peer.ip());
    let client = world.admit(client);
    let up = v4(client.v4, SERVER_V4, 100);
    let moves = |world: &mut World| -> Vec<EspPath> {
        let events = world.events().into_iter();
        events.filter_map(|event| if let Event::Moved { path, .. } = event { Some(path) } else { None }).collect()
    };
    let segment = peer.segment(TcpFlags::ACK, &framed(&client.seal(1, &up)));
    world.tcp(0, &peer, &segment);
    assert_eq!(moves(&mut world), [EspPath::new(Transport::Tcp, peer.path)]);
    let forged = framed(&[&client.seal(2, &up)[..], &[0; 4]].concat());
    let segment = peer.segment(TcpFlags::ACK, &forged);
    world.tcp(0, &peer, &segment);
    assert_eq!(moves(&mut world), []);
    world.esp(0, client.path, &client.seal(3, &up));
    assert_eq!(moves(&mut world), [EspPath::new(Transport::NatT, client.path)]);
}

/// TCP has acknowledged it, so nobody sends it again.
#[test]
fn ike_that_finds_no_buffer_waits_for_one_and_what_is_not_said_is_counted() {
    let workers = vec![None];
    // One buffer for what is as long as the frames below.
    let pool = PoolSizes { large: 1, ..POOL };
    let mut world = World::with(DataplaneConfig { workers, pool, ctcp: setup(), ..DataplaneConfig::default() }, 1024);
    let mut peer = CtcpPeer::on(0, 1);
    world.stream_login(0, &mut peer);
    let mut come = |world: &mut World, frames: [Vec<u8>; 3]| {
        for piece in frames.map(|inside| framed(&inside)).concat().chunks(1400) {
            let segment = peer.segment(TcpFlags::ACK, piece);
            world.peers[0].push_outer(Channel::Ctcp, peer.path, &segment).unwrap();
        }
        world.settle();
    };
    let message = |number: u8| [&[0; 4][..], &[number; 3000]].concat();
    come(&mut world, [message(1), message(2), message(3)]);
    // Each turn has the buffer for one of them.
    (0..2).for_each(|_| world.settle());
    let heard = world.events().into_iter().map(|event| match event {
        Event::Ike(datagram) => (datagram.bytes[0], datagram.bytes.len()),
        _ => panic!("nothing else comes"),
    });
    assert_eq!(heard.collect::<Vec<_>>(), [(1, 3000), (2, 3000), (3, 3000)]);
    assert_eq!(world.dropped(DropReason::NoBuffer), 0);
    // Of ESP nothing waits.
    come(&mut world, [1, 2, 3].map(|number| vec![number; 3000]));
    assert_eq!((world.dropped(DropReason::UnknownSpi), world.dropped(DropReason::NoBuffer)), (1, 2));
}

/// RFC 9329 section 6.1: who resumes a session may begin with ESP. It moves nothing, so control hears of the connection by that alone.
#[test]
fn esp_that_begins_a_stream_between_the_ports_of_the_one_before_is_told_to_control() {
    for (workers, of_the_sa) in [(1, 0), (2, 1)] {
        let mut world = world(workers);
        let mut peer = CtcpPeer::on(0, workers);
        let mut client = Client::new(of_the_sa, 1, gcm());
        (client.path, client.transport) = (peer.path, Transport::Tcp);
        let client = world.admit(client);
        let up = v4(client.v4, SERVER_V4, 100);
        let syn = peer.segment(TcpFlags::SYN, &[]);
        let answer = world.tcp(0, &peer, &syn);
        peer.hears(&answer[0]);
        let segment = peer.segment(TcpFlags::ACK, &[&b"IKETCP"[..], &framed(&client.seal(1, &up))].concat());
        let out = world.tcp(0, &peer, &segment);
        assert!(out.iter().any(|packet| packet.bytes == up));
        assert_eq!(world.events().iter().filter(|event| is_there(event, &client)).count(), 1);
        // Once it is somebody's there is nothing to tell.
        world.command(WorkerId(0), Command::KeepConnection { path: peer.path, tunnel: client.tunnel });
        let segment = peer.segment(TcpFlags::ACK, &framed(&client.seal(2, &up)));
        world.tcp(0, &peer, &segment);
        assert!(world.events().iter().all(|event| !is_there(event, &client)));
    }
}

fn is_there(event: &Event, client: &Client) -> bool {
    matches!(event, Event::Moved { tunnel, path } if *tunnel == client.tunnel && *path == client.esp_path())
}

#[test]
fn what_control_says_into_a_stream_that_is_not_there_is_counted() {
    let mut world = world(1);
    let path = CtcpPeer::on(0, 1).path;
    world.command(WorkerId(0), Command::SendIke(IkeDatagram { path, framing: IkeFraming::Tcp, bytes: vec![9; 50] }));
    world.settle();
    assert!(world.departed().is_empty());
    let dropped = world.all_dropped().into_iter().map(|(reason, _)| reason.name()).collect::<Vec<_>>();
    assert_eq!(dropped, ["no_connection"]);
}

#[test]
fn control_is_told_of_streams_on_the_pages_of_all_connections() {
    let mut world = world(1);
    for at in 0..50 {
        let mut peer = CtcpPeer::on(0, 1);
        peer.path.peer.set_port(40_000 + at);
        let tunnel = TunnelKey { worker: WorkerId(0), slot: 7 };
        match at % 2 {
            0 => world.login(0, &mut peer),
            _ => world.stream_login(0, &mut peer),
        };
        world.command(WorkerId(0), Command::KeepConnection { path: peer.path, tunnel });
    }
    let mut peer = CtcpPeer::on(0, 1);
    for at in 50..100 {
        peer.path.peer.set_port(40_000 + at);
        let mut peer = CtcpPeer { path: peer.path, ..CtcpPeer::on(0, 1) };
        world.stream_login(0, &mut peer);
        world.command(
            WorkerId(0),
            Command::KeepConnection { path: peer.path, tunnel: TunnelKey { worker: WorkerId(0), slot: 8 } },
        );
    }
    let mut next = Some(0);
    let mut pages = Vec::new();
    while let Some(from) = next {
        world.command(WorkerId(0), Command::TellFlows(Box::new(FlowPage::new(from))));
        world.settle();
        let [Event::Flows(page)] = &world.events()[..] else { panic!("a page") };
        pages.push((page.flows.len(), page.streams.len()));
        next = page.next;
    }
    assert_eq!(pages, [(25, 39), (0, 36)]);
}
