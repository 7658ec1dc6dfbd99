//! Cisco's clients by cTCP: the same login, no NAT traversal, ESP beside IKE in the connection.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{AuthV1, IdPattern, WhenFull};
use adit_control::ike::engine::Output;
use adit_control::ike::v1::wire::{
    Attribute, AuthMethod, ConfigKind, Delete, Exchange, ModeConfig, NotifyKind, Payload, mode_config_number,
};
use adit_dataplane::contract::{
    Command, EspPath, Event, IkeDatagram, IkeFraming, Path, Transport, Transports, WorkerId,
};
use peer::World;
use peer::v1::*;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_client_logs_in_by_ctcp_and_its_esp_goes_there_too() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    let (mut sa, ..) = alice.connect(&mut world);
    let path = alice.on_500(vec![]).path;
    let (_, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path, EspPath::new(Transport::Ctcp, path));
    assert_eq!(world.dataplane.kept, [path], "the connection is vouched for");
    assert_eq!(world.engine.sessions(world.now)[0].transport, "ctcp");
    alice.are_you_there(&mut world, &mut sa);
    log_out(&mut world, &mut alice, &mut sa);
}

/// Its NAT changes everything that NAT-D would look at.
#[test]
fn whoever_offers_nat_traversal_in_there_is_not_taken_up_on_it() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    alice.vendors.extend(ClientV1::new("alice", 9).vendors);
    let (request, ..) = alice.aggressive_1();
    let sent = world.deliver(&alice.on_500(request));
    let [answer] = &sent[..] else { panic!("one answer") };
    assert_eq!((answer.framing, answer.path), (IkeFraming::Ctcp, alice.on_500(vec![]).path));
    let text = String::from_utf8_lossy(&answer.bytes);
    let rfc3947 = [0x4a, 0x13, 0x1c, 0x81, 0x07, 0x03, 0x58, 0x45];
    assert!(!answer.bytes.windows(8).any(|window| window == rfc3947), "{text}");
}

#[test]
fn a_session_leaves_ctcp_and_comes_back_by_its_packets_and_by_another_connection() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    let (mut sa, ..) = alice.connect(&mut world);
    let key = *world.dataplane.tunnel().0;
    let moved = |world: &mut World, path: EspPath| {
        world.engine.handle_event(world.now, key.worker, Event::Moved { tunnel: key, path });
        assert!(world.drain().is_empty());
    };
    let natt = Path { local: "198.51.100.2:4500".parse().unwrap(), peer: "203.0.113.9:31000".parse().unwrap() };
    moved(&mut world, EspPath::new(Transport::NatT, natt));
    assert_eq!(world.engine.sessions(world.now)[0].transport, "nat-t");
    alice.seen.set_port(40_002);
    let again = alice.on_500(vec![]).path;
    moved(&mut world, EspPath::new(Transport::Ctcp, again));
    assert_eq!(world.engine.sessions(world.now)[0].transport, "ctcp");
    assert_eq!(world.dataplane.kept.last(), Some(&again));
    // IKE follows: it is answered where it came from.
    alice.are_you_there(&mut world, &mut sa);
    log_out(&mut world, &mut alice, &mut sa);
}

/// A box has forgotten it, or a reset came: nothing of the client's but IKE opens another.
#[test]
fn a_session_that_has_lost_its_connection_goes_on_in_the_one_that_its_next_ike_message_opens() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    let (mut sa, ..) = alice.connect(&mut world);
    let before = alice.on_500(vec![]).path;
    alice.seen.set_port(40_002);
    let path = alice.on_500(vec![]).path;
    alice.are_you_there(&mut world, &mut sa);
    let (key, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path, EspPath::new(Transport::Ctcp, path), "what goes to the client goes there");
    let key = *key;
    world.engine.handle_event(
        world.now,
        key.worker,
        Event::Moved { tunnel: key, path: EspPath::new(Transport::Ctcp, path) },
    );
    world.drain();
    assert_eq!(world.dataplane.kept, [before, path]);
    // A forged message opens nothing for the session.
    alice.seen.set_port(40_003);
    let mut forged = sa.inform(7, dpd(NotifyKind::RUThere, sa.cookies, sa.number + 1));
    *forged.last_mut().unwrap() ^= 1;
    world.deliver(&alice.later(forged));
    assert_eq!(world.dataplane.tunnel().1.path, EspPath::new(Transport::Ctcp, path));
    alice.seen.set_port(40_002);
    log_out(&mut world, &mut alice, &mut sa);
}

/// A box has forgotten it or an operator has cleared it, and the client's TCP takes the same port again.
#[test]
fn a_session_that_comes_back_between_the_same_ports_is_vouched_for_again() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    let (mut sa, ..) = alice.connect(&mut world);
    let before = world.dataplane.vouched;
    alice.are_you_there(&mut world, &mut sa);
    assert_eq!((world.dataplane.vouched, world.dataplane.kept.last()), (before + 1, Some(&alice.on_500(vec![]).path)));
    // Its ESP shows the same.
    let (key, tunnel) = world.dataplane.tunnel();
    let (key, path) = (*key, tunnel.path);
    world.event(key.worker, Event::Moved { tunnel: key, path });
    assert_eq!(world.dataplane.vouched, before + 2);
    // A forged or repeated message does not.
    let mut forged = sa.inform(7, dpd(NotifyKind::RUThere, sa.cookies, sa.number + 1));
    *forged.last_mut().unwrap() ^= 1;
    world.deliver(&alice.later(forged));
    sa.forget_chain(7);
    world.deliver(&alice.later(sa.inform(9, dpd(NotifyKind::RUThere, sa.cookies, sa.number))));
    assert_eq!(world.dataplane.vouched, before + 2);
    log_out(&mut world, &mut alice, &mut sa);
}

/// Its worker ends a connection after a minute that is nobody's by then, and a password may take two.
#[test]
fn a_connection_waits_while_its_user_types() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    let path = alice.on_500(vec![]).path;
    let half = alice.aggressive(&mut world);
    assert_eq!(world.dataplane.expected, [], "nobody has proven anything");
    let (mut sa, third) = alice.aggressive_3(half);
    let question = world.deliver(&alice.later(third)).remove(0);
    let longer_than_typing = |world: &mut World, path: Path| {
        let expected = std::mem::take(&mut world.dataplane.expected);
        let [(along, within)] = expected[..] else { panic!("{expected:?}") };
        assert_eq!(along, path);
        assert!(within > Duration::from_secs(120), "{within:?}");
    };
    longer_than_typing(&mut world, path);
    // Its connection breaks while its user types; the answer comes by another.
    alice.seen.set_port(40_002);
    let (before, path) = (path, alice.on_500(vec![]).path);
    alice.answer_user(&mut world, &mut sa, &question.bytes);
    assert_eq!(world.dataplane.expected.remove(0), (before, Duration::from_secs(5)), "the other need not wait");
    longer_than_typing(&mut world, path);
    let again = world.reject(adit_control::aaa::Why::WrongPassword).remove(0);
    longer_than_typing(&mut world, path);
    alice.answer_user(&mut world, &mut sa, &again.bytes);
    longer_than_typing(&mut world, path);
    let status = world.accept().remove(0);
    longer_than_typing(&mut world, path);
    let (_, ack) = alice.told(&mut sa, &status.bytes);
    world.deliver(&alice.later(ack));
    assert_eq!(world.dataplane.kept, []);
    let address = address_in(&alice.pull(&mut world, &mut sa));
    let (_, third) = alice.quick(&mut world, &mut sa, address);
    world.deliver(&alice.later(third));
    assert_eq!(world.dataplane.kept, [path]);
    log_out(&mut world, &mut alice, &mut sa);
}

/// In hybrid mode anybody gets as far as being asked for a user: who then goes leaves no connection behind that waits for minutes.
#[test]
fn a_connection_waits_no_longer_when_its_login_is_over() {
    let mut config = config_v1();
    config.certificate = peer::calls::configs(peer::calls::Method::Hybrid)[1].certificate.clone();
    login_v1(&mut config).auth = AuthV1::Hybrid { secret: peer::PSK.into(), xauth: xauth() };
    let mut world = World::new(config);
    let mut alice = ClientV1::by_ctcp("alice", 9);
    alice.method = AuthMethod::HybridInitRsa;
    let (first, waits, goodbye) = (alice.on_500(vec![]).path, Duration::from_secs(180), Duration::from_secs(5));
    // It says goodbye.
    let (mut sa, _) = alice.main_mode(&mut world).unwrap();
    assert_eq!(std::mem::take(&mut world.dataplane.expected), [(first, waits)]);
    let bytes = sa.delete_isakmp(4);
    world.deliver(&alice.later(bytes));
    assert_eq!(std::mem::take(&mut world.dataplane.expected), [(first, goodbye)]);
    world.assert_nothing_left();
    // It goes on in another connection, has no such user, and is told so.
    let (mut sa, sent) = alice.main_mode(&mut world).unwrap();
    world.dataplane.expected.clear();
    alice.seen.set_port(40_002);
    let second = alice.on_500(vec![]).path;
    alice.answer_user(&mut world, &mut sa, &sent[0].bytes);
    assert_eq!(std::mem::take(&mut world.dataplane.expected), [(first, goodbye), (second, waits)]);
    for _ in 0..2 {
        let again = world.reject(adit_control::aaa::Why::WrongPassword).remove(0);
        alice.answer_user(&mut world, &mut sa, &again.bytes);
    }
    let told = world.reject(adit_control::aaa::Why::WrongPassword).remove(0);
    world.dataplane.expected.clear();
    let (status, ack) = alice.told(&mut sa, &told.bytes);
    assert_eq!(status, 0);
    world.deliver(&alice.later(ack));
    assert_eq!(std::mem::take(&mut world.dataplane.expected), [(second, goodbye)]);
    // It says nothing at all.
    alice.main_mode(&mut world).unwrap();
    world.dataplane.expected.clear();
    world.pass(Duration::from_secs(130));
    assert_eq!(world.dataplane.expected, [(second, goodbye)]);
    world.pass(Duration::from_secs(20));
    world.assert_nothing_left();
}

#[test]
fn the_connection_of_who_gets_no_address_waits_no_longer_either() {
    let mut config = config_v1();
    config.pools[0].v4 = Some("10.30.0.0/31".parse().unwrap());
    let mut world = World::new(config);
    for host in 9..13 {
        let mut client = ClientV1::by_ctcp("alice", host);
        client.log_in(&mut world);
        world.dataplane.expected.clear();
        world.pass(MOMENT);
        if world.engine.holdings().leases < usize::from(host) - 8 {
            assert_eq!(world.dataplane.expected, [(client.on_500(vec![]).path, Duration::from_secs(5))]);
            return;
        }
    }
    panic!("the pool is never empty");
}

// initiator --> HDR, SA, KE, Ni, IDii, VID …       in a connection
// responder <-- HDR, N(NO-PROPOSAL-CHOSEN)
#[test]
fn where_no_connection_takes_esp_in_there_nobody_gets_past_the_first_message() {
    let only = |ways: &[Transport]| {
        let mut config = config_v1();
        config.connections[0].transports = ways.iter().copied().collect();
        World::new(config)
    };
    for (framing, ways, taken) in [
        (IkeFraming::Ctcp, &[Transport::NatT, Transport::Ctcp][..], true),
        (IkeFraming::Ctcp, &[Transport::NatT, Transport::Esp], false),
        (IkeFraming::Tcp, &[Transport::NatT, Transport::Ctcp], false),
        (IkeFraming::Bare, &[Transport::NatT, Transport::Ctcp], true),
    ] {
        let mut world = only(ways);
        let mut alice = ClientV1::by_ctcp("alice", 9);
        alice.framing = framing;
        let (request, ..) = alice.aggressive_1();
        let sent = world.deliver(&alice.on_500(request));
        let expected = if taken { Exchange::Aggressive } else { Exchange::Informational };
        assert_eq!(exchanges(&sent), [expected], "{framing:?} {ways:?}");
        assert_eq!(world.engine.holdings().half_open, usize::from(taken), "{framing:?} {ways:?}");
        let told = format!("{:?}", world.dataplane.happenings);
        assert_eq!(told.contains("NoUdpEncapsulation"), !taken, "whoever watches is told: {told}");
    }
}

#[test]
fn a_login_anew_by_ctcp_does_not_take_a_session_over_that_a_reload_has_closed_it_to() {
    let mut config = config_v1();
    let mut other = config.connections[0].clone();
    other.name = "other".to_owned();
    other.remote_ids = vec![IdPattern::parse("keyid:other").unwrap()];
    config.connections.push(other);
    let rules = &mut config.connections[0].rules;
    (rules.max_logins, rules.when_full) = (NonZeroU32::new(1), WhenFull::Replace);
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 9);
    let (mut sa, address, _) = alice.connect(&mut world);
    let path = world.dataplane.tunnel().1.path;
    let mut config = world.engine.config().as_ref().clone();
    config.connections[0].transports = Transports::ALL.iter().filter(|way| *way != Transport::Ctcp).collect();
    world.engine.reconfigure(world.now, Arc::new(config)).unwrap();
    world.drain();

    let mut by_ctcp = ClientV1::by_ctcp("alice", 10);
    by_ctcp.asks[0] = Attribute::long(mode_config_number::IP4_ADDRESS, address.octets());
    let mut second = by_ctcp.log_in(&mut world);
    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: by_ctcp.asks.clone() };
    let bytes = second.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
    let sent = world.deliver(&by_ctcp.later(bytes));
    assert_eq!(exchanges(&sent), [Exchange::Informational], "there is no way for its ESP");
    assert_eq!(second.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![second.cookies]))]);
    let sessions = world.engine.sessions(world.now);
    assert_eq!((sessions.len(), sessions[0].id.as_str()), (1, "s1"), "nobody goes for it");
    assert_eq!(world.dataplane.tunnel().1.path, path);
    alice.are_you_there(&mut world, &mut sa);
    // Nor does its IKE follow there alone.
    let mut asks = by_ctcp.later(sa.inform(9, dpd(NotifyKind::RUThere, sa.cookies, sa.number + 1)));
    asks.path.peer.set_ip(alice.seen.ip());
    assert!(world.deliver(&asks).is_empty());
    log_out(&mut world, &mut alice, &mut sa);
}

/// Where the datagram's connection is no connection there is none that could wait.
#[test]
fn by_udp_no_connection_waits() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 9);
    let (mut sa, ..) = alice.connect(&mut world);
    assert_eq!((world.dataplane.vouched, &world.dataplane.expected[..]), (0, &[][..]));
    log_out(&mut world, &mut alice, &mut sa);
}

/// A segment's worker is known by its port alone, an SA's by its SPI.
#[test]
fn ike_by_ctcp_leaves_through_the_worker_that_owns_the_connection() {
    for port in 40_001..40_009 {
        let mut world = World::new(config_v1());
        let mut alice = ClientV1::by_ctcp("alice", 9);
        alice.seen.set_port(port);
        let (request, ..) = alice.aggressive_1();
        let datagram: IkeDatagram = alice.on_500(request);
        world.engine.handle_event(world.now, WorkerId(0), Event::Ike(datagram));
        let outputs = std::iter::from_fn(|| world.engine.poll_output());
        let workers = outputs.filter_map(|output| match output {
            Output::Command(worker, Command::SendIke(_)) => Some(worker),
            _ => None,
        });
        assert_eq!(workers.collect::<Vec<_>>(), [WorkerId::of_connection(port, 2)]);
    }
}
