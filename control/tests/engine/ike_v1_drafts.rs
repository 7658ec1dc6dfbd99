//! NAT traversal by draft-ietf-ipsec-nat-t-ike-00 and -01: nothing floats, ESP goes in UDP 500 beside IKE.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::*;
use adit_control::ike::engine::Mode;
use adit_control::ike::v1::wire::*;
use adit_control::session::SessionState;
use adit_dataplane::contract::{EspPath, Event, IkeFraming, Keepalive, KeepaliveForm, Path, Wayward, WorkerId};
use peer::World;
use peer::calls::*;
use peer::line::{CALLER, HEADEND, Line};
use peer::v1::*;
use std::net::SocketAddr;
use std::time::Duration;

const OLD: [NatTraversal; 2] = [NatTraversal::Draft00, NatTraversal::Draft01];

/// A client behind a NAT that knows these.
fn client(versions: &[NatTraversal]) -> ClientV1 {
    ClientV1::staying("alice", 2, versions)
}

fn only(versions: impl IntoIterator<Item = NatTraversal>) -> Config {
    let mut config = config_v1();
    config.listen.nat_traversals = versions.into_iter().collect();
    config
}

fn transport(world: &World) -> Transport {
    world.dataplane.tunnel().1.path.transport()
}

/// The NAT traversal that the second message of aggressive mode names.
fn chosen(world: &mut World, client: &mut ClientV1) -> Option<NatTraversal> {
    let (request, ..) = client.aggressive_1();
    let sent = world.deliver(&client.on_500(request));
    let incoming = parse(&sent[0].bytes).unwrap();
    let Body::Clear(chain) = &incoming.body else { panic!() };
    let versions = chain.vendor_ids().filter_map(Vendor::recognise).filter_map(|vendor| match vendor {
        Vendor::NatTraversal(version) => Some(version),
        _ => None,
    });
    let versions: Vec<_> = versions.collect();
    assert!(versions.len() <= 1, "one of them, not {versions:?}");
    assert_eq!(chain.iter().any(|payload| matches!(payload, Payload::NatD(..))), !versions.is_empty());
    versions.first().copied()
}

#[test]
fn a_client_behind_a_nat_logs_in_by_either_and_nothing_leaves_port_500() {
    for version in OLD {
        let mut world = World::new(config_v1());
        let mut alice = client(&[version]);
        let (mut sa, ..) = alice.connect(&mut world);
        let path = alice.on_500(vec![]).path;
        let tunnel = world.dataplane.tunnel().1;
        assert_eq!(tunnel.path, EspPath::new(Transport::NatT500, path), "{version:?}");
        assert!(tunnel.transports.contains(Transport::NatT500));
        let view = &world.engine.sessions(world.now)[0];
        assert_eq!((view.transport.as_str(), view.peer_behind_nat, view.peer), ("nat-t-500", true, path.peer));
        alice.are_you_there(&mut world, &mut sa);
        log_out(&mut world, &mut alice, &mut sa);
    }
}

#[test]
fn main_mode_leads_there_too() {
    for version in OLD {
        let mut config = config_v1();
        login_v1(&mut config).modes = Modes::Main;
        let mut world = World::new(config);
        let mut alice = client(&[version]);
        let (mut sa, asks) = alice.main_mode(&mut world).unwrap();
        alice.answer_user(&mut world, &mut sa, &asks[0].bytes);
        let told = world.accept();
        let (_, ack) = alice.told(&mut sa, &told[0].bytes);
        world.deliver(&alice.later(ack));
        let address = address_in(&alice.pull(&mut world, &mut sa));
        let (_, third) = alice.quick(&mut world, &mut sa, address);
        assert!(world.deliver(&alice.later(third)).is_empty());
        assert_eq!(world.dataplane.tunnel().1.path, EspPath::new(Transport::NatT500, alice.on_500(vec![]).path));
        log_out(&mut world, &mut alice, &mut sa);
    }
}

// The client names all that it knows, the headend one of them.
#[test]
fn the_best_that_both_ends_know_is_taken_whatever_the_order() {
    let worst_first = || NatTraversal::ALL.into_iter().rev();
    for (count, best) in worst_first().enumerate() {
        let offered: Vec<_> = worst_first().take(count + 1).collect();
        assert_eq!(chosen(&mut World::new(config_v1()), &mut client(&offered)), Some(best));
        let offered: Vec<_> = offered.into_iter().rev().collect();
        assert_eq!(chosen(&mut World::new(config_v1()), &mut client(&offered)), Some(best));
    }
    for ours in NatTraversal::ALL {
        for theirs in NatTraversal::ALL {
            let both = (ours.key() == theirs.key()).then_some(theirs);
            assert_eq!(chosen(&mut World::new(only([ours])), &mut client(&[theirs])), both, "{ours:?} {theirs:?}");
        }
        let best = NatTraversals::from_iter([ours]).iter().next();
        assert_eq!(chosen(&mut World::new(only([ours])), &mut client(&NatTraversal::ALL)), best);
    }
    assert_eq!(chosen(&mut World::new(config_v1()), &mut client(&[])), None);
}

#[test]
fn where_esp_may_not_come_in_udp_500_the_drafts_that_need_it_are_not_taken() {
    let mut config = config_v1();
    config.connections[0].transports = Transports::NONE.with(Transport::NatT).with(Transport::Esp);
    assert_eq!(chosen(&mut World::new(config.clone()), &mut client(&OLD)), None);
    let more = [NatTraversal::Draft01, NatTraversal::Draft02];
    assert_eq!(chosen(&mut World::new(config), &mut client(&more)), Some(NatTraversal::Draft02));
}

#[test]
fn without_a_nat_esp_goes_as_it_is_unless_native_esp_is_not_taken() {
    for (native, by, encapsulation) in [
        (NativeEsp::Carried, Transport::Esp, Encapsulation::Tunnel),
        (NativeEsp::Refused, Transport::NatT500, Encapsulation::UdpTunnel(NatNumbers::Draft)),
    ] {
        let mut config = config_v1();
        config.listen.native_esp = native;
        let mut world = World::new(config);
        let mut alice = ClientV1 { encapsulation, ..client(&OLD) };
        alice.own = alice.seen;
        let (mut sa, ..) = alice.connect(&mut world);
        assert_eq!(world.dataplane.tunnel().1.path, EspPath::new(by, alice.on_500(vec![]).path));
        log_out(&mut world, &mut alice, &mut sa);
    }
}

// draft-ietf-ipsec-udp-encaps-01: the end behind the NAT keeps the mapping alive, with one octet.
#[test]
fn keepalives_go_from_port_500_when_we_are_behind_a_nat_and_quiet() {
    let mut config = config_v1();
    config.ike.dpd_delay = Duration::ZERO;
    let mut world = World::new(config);
    let mut alice = ClientV1 { aims: Some(([203, 0, 113, 1], 500).into()), ..client(&OLD) };
    let (mut sa, ..) = alice.connect(&mut world);
    world.pass(Duration::from_secs(19));
    assert!(world.dataplane.keepalives.is_empty());
    world.pass(Duration::from_secs(1));
    let keepalive = Keepalive { path: alice.on_500(vec![]).path, form: KeepaliveForm::NatT500 };
    assert_eq!(world.dataplane.keepalives, [keepalive]);
    log_out(&mut world, &mut alice, &mut sa);
    assert!(world.pass(Duration::from_secs(60)).is_empty());
    assert_eq!(world.dataplane.keepalives.len(), 1);
}

// IKE and ESP share the mapping: where one of them is, the other is, too.
#[test]
fn a_nat_that_rebinds_is_followed_by_both_whichever_comes_first() {
    let mut world = World::new(config_v1());
    let mut alice = client(&[NatTraversal::Draft01]);
    let (mut sa, ..) = alice.connect(&mut world);
    let key = *world.dataplane.tunnel().0;
    alice.seen.set_port(31_000);
    alice.are_you_there(&mut world, &mut sa);
    let after_ike = EspPath::new(Transport::NatT500, alice.on_500(vec![]).path);
    assert_eq!(world.dataplane.tunnel().1.path, after_ike);

    alice.seen.set_port(32_000);
    let path = alice.on_500(vec![]).path;
    let moved = Event::Moved { tunnel: key, path: EspPath::new(Transport::NatT500, path) };
    assert!(world.event(key.worker, moved).is_empty());
    assert_eq!(world.engine.sessions(world.now)[0].peer, path.peer);
    world.now = world.now + Duration::from_secs(30);
    let sent = world.pass(Duration::from_secs(1));
    assert!(!sent.is_empty() && sent.iter().all(|sent| (sent.path, sent.framing) == (path, IkeFraming::Bare)));

    // ESP that comes otherwise says nothing about where IKE is.
    let elsewhere = Path { local: SocketAddr::from(([198, 51, 100, 2], 4500)), peer: ([203, 0, 113, 9], 9).into() };
    let moved = Event::Moved { tunnel: key, path: EspPath::new(Transport::NatT, elsewhere) };
    assert!(world.event(key.worker, moved).is_empty());
    let view = &world.engine.sessions(world.now)[0];
    assert_eq!((view.peer, view.transport.as_str()), (path.peer, "nat-t"));
}

#[test]
fn what_is_forged_or_old_moves_nothing() {
    let mut world = World::new(config_v1());
    let mut alice = client(&[NatTraversal::Draft00]);
    let (mut sa, ..) = alice.connect(&mut world);
    let before = world.dataplane.tunnel().1.path;
    let number = alice.word() as u32;
    let question = dpd(NotifyKind::RUThere, sa.cookies, 7);
    let asked = sa.inform(number, question);
    assert_eq!(world.deliver(&alice.on_500(asked.clone())).len(), 1);
    let elsewhere = SocketAddr::from(([203, 0, 113, 66], 500));
    let mut from_elsewhere = alice.on_500(asked);
    from_elsewhere.path.peer = elsewhere;
    world.deliver(&from_elsewhere);
    for at in [28, 40] {
        let mut forged = from_elsewhere.clone();
        forged.bytes[at] ^= 1;
        assert!(world.deliver(&forged).is_empty());
    }
    assert_eq!(world.dataplane.tunnel().1.path, before);
    assert_eq!(world.engine.sessions(world.now)[0].peer, alice.seen);
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn esp_of_nobodys_in_udp_500_is_answered_with_nothing() {
    let mut world = World::new(config_v1());
    let alice = client(&OLD);
    for (spi, len) in [(0x0bad_cafe, 60), (0xffff_ffff, 1400)] {
        let path = EspPath::new(Transport::NatT500, alice.on_500(vec![]).path);
        assert!(world.event(WorkerId(0), Event::UnknownSpi(Wayward { spi, path, len })).is_empty());
    }
    world.assert_nothing_left();
}

// A headend that knows one draft alone, and a caller who knows all.
#[test]
fn two_engines_log_in_by_either_draft_carry_packets_and_log_out() {
    for version in OLD {
        for mode in [Mode::Aggressive, Mode::Main] {
            let [caller, mut headend] = without_native_esp(configs(Method::XauthPsk));
            headend.listen.nat_traversals = [version].into_iter().collect();
            let mut line: Line = connect([caller, headend]);
            let id = line.login(call(Method::XauthPsk, mode));
            line.assert_mirrored(1);
            for end in &line.ends {
                assert_eq!(transport(end), Transport::NatT500, "{version:?} {mode:?}");
                let view = &end.engine.sessions(line.now)[0];
                assert_eq!((view.state, view.transport.as_str()), (SessionState::Up, "nat-t-500"));
                assert_eq!(view.peer.port(), 500);
            }
            line.packet(CALLER);
            line.packet(HEADEND);
            line.pass(Duration::from_secs(2));
            line.logout(id);
        }
    }
}

#[test]
fn a_caller_that_is_told_to_float_alone_does_not_take_what_stays() {
    let [mut caller, mut headend] = without_native_esp(configs(Method::XauthPsk));
    caller.listen.nat_traversals = [NatTraversal::Rfc3947].into_iter().collect();
    headend.listen.nat_traversals = OLD.into_iter().collect();
    let mut line: Line = connect([caller, headend]);
    let id = line.call(call(Method::XauthPsk, Mode::Aggressive));
    line.pass(Duration::from_secs(60));
    assert_ne!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", line.ladder);
}
