//! IKEv2 in TCP (RFC 9329): where ESP goes, whose connection a session is, and what is not said twice.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::ike::engine::Output;
use adit_control::ike::wire::{Exchange, IkeSpi, NotifyKind, build};
use adit_crypto::kex::KeyPair;
use adit_dataplane::contract::{
    Command, EspPath, Event, Following, IkeDatagram, IkeFraming, Path, Transport, Transports, WorkerId,
};
use peer::client::{ChildSa, Client, Sa, init_header};
use peer::{World, config};
use std::time::Duration;

/// A client's message by TCP, from this port of its address.
fn by_tcp(client: &Client, port: u16, bytes: Vec<u8>) -> IkeDatagram {
    let (mut local, mut peer) = (client.headend, client.seen);
    local.set_port(4500);
    peer.set_port(port);
    IkeDatagram { path: Path { local, peer }, framing: IkeFraming::Tcp, bytes }
}

fn first(client: &mut Client) -> (Vec<u8>, KeyPair, Vec<u8>) {
    let spi_i = IkeSpi(client.word());
    let pair = KeyPair::generate(client.ike[0].groups[0], &mut client.random);
    let nonce = client.bytes(32);
    let payloads = client.init_payloads(spi_i, &pair, &nonce);
    (build(&init_header(spi_i), &payloads), pair, nonce)
}

fn login(world: &mut World, client: &mut Client, port: u16) -> (Sa, ChildSa) {
    client.seen.set_port(port);
    let (request, pair, nonce) = first(client);
    let sent = world.deliver(&by_tcp(client, port, request.clone()));
    let [answer] = &sent[..] else { panic!("one answer, not {}", sent.len()) };
    assert_eq!((answer.path, answer.framing), (by_tcp(client, port, vec![]).path, IkeFraming::Tcp));
    let mut keyed = client.keyed(request, answer.bytes.clone(), nonce, pair);
    let (spi_in, payloads) = client.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    let sent = world.deliver(&by_tcp(client, port, request));
    let [answer] = &sent[..] else { panic!("one message, not {}", sent.len()) };
    let answer = keyed.sa.answered(Exchange::IkeAuth, &answer.bytes);
    let child = client.logged_in(world, &keyed, spi_in, &answer);
    (keyed.sa, child)
}

fn transport(world: &World) -> String {
    world.engine.sessions(world.now)[0].transport.clone()
}

#[test]
fn a_client_logs_in_by_tcp_and_its_esp_goes_there_whatever_nat_detection_says() {
    for behind_nat in [true, false] {
        let mut world = World::new(config());
        let mut alice = Client::new("alice@rig", 2);
        if !behind_nat {
            // What NAT detection compares is the address with the port that the message came from.
            (alice.own, alice.headend) =
                (by_tcp(&alice, 40_001, vec![]).path.peer, by_tcp(&alice, 1, vec![]).path.local);
        }
        login(&mut world, &mut alice, 40_001);
        let path = by_tcp(&alice, 40_001, vec![]).path;
        let (_, tunnel) = world.dataplane.tunnel();
        assert_eq!(tunnel.path, EspPath::new(Transport::Tcp, path));
        assert_eq!(world.dataplane.kept, [path], "the connection is vouched for");
        assert_eq!(transport(&world), "tcp");
    }
}

#[test]
fn where_no_connection_takes_tcp_there_is_no_child_sa() {
    let mut config = config();
    config.connections[0].transports = [Transport::NatT, Transport::Esp].into_iter().collect::<Transports>();
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    alice.seen.set_port(40_001);
    let (request, pair, nonce) = first(&mut alice);
    let sent = world.deliver(&by_tcp(&alice, 40_001, request.clone()));
    let mut keyed = alice.keyed(request, sent[0].bytes.clone(), nonce, pair);
    let (_, payloads) = alice.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    world.deliver(&by_tcp(&alice, 40_001, request));
    assert!(world.dataplane.tunnels.is_empty());
}

#[test]
fn a_new_connection_takes_the_session_over_and_a_request_that_the_old_one_has_lost_goes_again() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = login(&mut world, &mut alice, 40_001);
    let asked = world.pass(Duration::from_secs(31));
    let [question] = &asked[..] else { panic!("one question after silence, not {}", asked.len()) };
    assert_eq!(question.path, by_tcp(&alice, 40_001, vec![]).path);
    assert!(world.pass(Duration::from_secs(6)).is_empty(), "TCP repeats it (RFC 9329 section 6.2)");
    let again = by_tcp(&alice, 40_002, sa.request(Exchange::Informational, &[]));
    let sent = world.deliver(&again);
    assert!(sent.iter().all(|message| message.path == again.path && message.framing == IkeFraming::Tcp));
    assert_eq!(sent.iter().filter(|message| message.bytes == question.bytes).count(), 1, "into the new one");
    assert_eq!(sent.len(), 2);
    let (_, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path, EspPath::new(Transport::Tcp, again.path), "ESP goes along");
}

/// RFC 9329 section 6.1: the connection was reset, and the client's TCP takes the same port again.
#[test]
fn a_session_that_comes_back_between_the_same_ports_is_vouched_for_again() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = login(&mut world, &mut alice, 40_001);
    let before = world.dataplane.vouched;
    let request = sa.request(Exchange::Informational, &[]);
    world.deliver(&by_tcp(&alice, 40_001, request.clone()));
    assert_eq!(world.dataplane.vouched, before + 1);
    world.deliver(&by_tcp(&alice, 40_001, request));
    assert_eq!(world.dataplane.vouched, before + 1, "whoever recorded it gains nothing");
}

#[test]
fn a_message_again_on_another_connection_moves_nothing() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = login(&mut world, &mut alice, 40_001);
    let request = sa.request(Exchange::Informational, &[]);
    world.deliver(&by_tcp(&alice, 40_001, request.clone()));
    world.deliver(&by_tcp(&alice, 40_002, request));
    let (_, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path.path(), by_tcp(&alice, 40_001, vec![]).path);
}

#[test]
fn a_session_moves_between_udp_and_tcp_with_its_newest_messages() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = alice.login(&mut world);
    assert_eq!(transport(&world), "nat-t");
    // IKE by TCP: it is answered there, and asked there.
    world.deliver(&by_tcp(&alice, 40_001, sa.request(Exchange::Informational, &[])));
    let asked = world.pass(Duration::from_secs(31));
    assert_eq!((asked[0].path, asked[0].framing), (by_tcp(&alice, 40_001, vec![]).path, IkeFraming::Tcp));
    world.deliver(&by_tcp(&alice, 40_001, sa.answer(0, &[])));
    // And ESP, to which IKE goes along when it goes back.
    let key = *world.dataplane.tunnel().0;
    let tcp = EspPath::new(Transport::Tcp, by_tcp(&alice, 40_001, vec![]).path);
    world.event(key.worker, Event::Moved { tunnel: key, path: tcp });
    assert_eq!((transport(&world).as_str(), world.dataplane.kept.last()), ("tcp", Some(&tcp.path())));
    let udp = EspPath::new(Transport::NatT, alice.on_4500(vec![]).path);
    world.event(key.worker, Event::Moved { tunnel: key, path: udp });
    let asked = world.pass(Duration::from_secs(31));
    assert_eq!((asked[0].path, asked[0].framing), (udp.path(), IkeFraming::NonEspMarker));
    // The connection that it has left behind goes with it.
    world.deliver(&alice.on_4500(sa.request(Exchange::Informational, &[peer::client::delete_ike()])));
    assert_eq!(world.dataplane.ended, [(tcp.path(), key)]);
}

#[test]
fn a_peer_that_says_nothing_by_tcp_is_dead_after_the_same_time_as_by_udp() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    login(&mut world, &mut alice, 40_001);
    let sent = world.pass(Duration::from_secs(200));
    assert_eq!(sent.len(), 1, "one question");
    assert!(world.engine.sessions(world.now).is_empty());
}

#[test]
fn what_is_said_by_tcp_is_not_cut_and_leaves_through_the_worker_of_its_connection() {
    let mut config = config();
    config.ike.fragment_size = 600;
    config.connections[0].networks = (0..60_u8).map(|n| format!("10.20.{n}.0/24").parse().unwrap()).collect();
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    alice.first_notifies.push(NotifyKind::IkeFragmentationSupported);
    alice.attributes.push(adit_control::ike::wire::Attribute::IP4_SUBNET);
    login(&mut world, &mut alice, 40_001);
    for port in 40_001..40_005 {
        let (request, ..) = first(&mut alice);
        world.engine.handle_event(world.now, WorkerId(0), Event::Ike(by_tcp(&alice, port, request)));
        let outputs = std::iter::from_fn(|| world.engine.poll_output());
        let workers = outputs.filter_map(|output| match output {
            Output::Command(worker, Command::SendIke(_)) => Some(worker),
            _ => None,
        });
        assert_eq!(workers.collect::<Vec<_>>(), [WorkerId::of_connection(port, 2)]);
    }
}

#[test]
fn a_session_that_ends_lets_its_connection_go() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = login(&mut world, &mut alice, 40_001);
    let key = *world.dataplane.tunnel().0;
    assert_eq!(world.dataplane.tunnel().1.following, Following::NewestPacket);
    world.deliver(&by_tcp(&alice, 40_001, sa.request(Exchange::Informational, &[peer::client::delete_ike()])));
    assert!(world.dataplane.ended.contains(&(by_tcp(&alice, 40_001, vec![]).path, key)));
}
