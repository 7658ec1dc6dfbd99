//! What the engine tells of its sessions, by both versions of IKE: each kind where it happens, once, and in order.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::aaa::Why;
use adit_control::ike::v1::wire::{
    ConfigKind, Exchange as ExchangeV1, ModeConfig, NotifyKind, Payload as PayloadV1, mode_config_number,
};
use adit_control::ike::wire::Exchange;
use adit_control::journal::{By, Happening, Kind, Renewed, Spell, What};
use adit_control::session::Cause;
use adit_dataplane::contract::{EspPath, Event, Stalling, Transport};
use peer::client::{Client, delete_ike};
use peer::line::{CALLER, HEADEND, Line, call, caller_config};
use peer::stall::report;
use peer::v1::*;
use peer::{World, config};
use std::time::Duration;

/// What was told since the last time.
fn told(world: &mut World) -> Vec<Happening> {
    std::mem::take(&mut world.dataplane.happenings)
}

fn kinds(happenings: &[Happening]) -> Vec<Kind> {
    happenings.iter().map(|happening| happening.what.kind()).collect()
}

#[track_caller]
fn only(world: &mut World) -> Happening {
    let mut told = told(world);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn refusals(happenings: &[Happening]) -> Vec<(Option<String>, Cause)> {
    let refusal = |happening: &Happening| match &happening.what {
        What::LoginRefused { cause, .. } => Some((happening.who.as_ref().unwrap().identity.clone(), *cause)),
        _another => None,
    };
    happenings.iter().filter_map(refusal).collect()
}

#[test]
fn a_session_by_ikev2_tells_of_its_login_rekeys_moves_and_end() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, child) = alice.login(&mut world);
    let login = only(&mut world);
    let who = login.who.unwrap();
    assert_eq!((who.session.unwrap().to_string(), who.identity.as_deref()), ("s1".to_owned(), Some("alice@rig")));
    assert_eq!((who.connection.as_deref(), who.peer), (Some("rig"), alice.on_4500(vec![]).path.peer));
    let What::Login { ike: "v2", transport: Some(Transport::NatT), nat: Spell::On, addresses, .. } = login.what else {
        panic!("{:?}", login.what)
    };
    assert_eq!(addresses.len(), 2);

    alice.rekey_child(&mut world, &mut sa, &child, None);
    assert!(matches!(only(&mut world).what, What::Rekey { what: Renewed::Child, by: By::Peer }));
    let mut sa = alice.rekey_ike(&mut world, &mut sa);
    assert!(matches!(only(&mut world).what, What::Rekey { what: Renewed::Ike, by: By::Peer }));

    let (tunnel, path) = world.dataplane.tunnel();
    let (tunnel, path) = (*tunnel, path.path);
    let mut to = path.path();
    to.peer.set_port(41_000);
    world.event(tunnel.worker, Event::Moved { tunnel, path: EspPath::new(Transport::NatT, to) });
    let What::Moved { from, to: now, by: "ESP" } = only(&mut world).what else { panic!("a move") };
    assert_eq!((from.1, now.1), (path.path().peer, to.peer));

    alice.seen.set_port(41_000);
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_ike()]);
    let told = self::told(&mut world);
    // The client's own datagrams still come from the former port, so IKE moves back first.
    let Some(What::Logout { cause: Cause::PeerDeleted, .. }) = told.last().map(|told| &told.what) else {
        panic!("{told:?}")
    };
}

#[test]
fn who_is_not_let_in_by_ikev2_is_told_of_with_the_cause_and_no_secret() {
    let mut world = World::new(config());
    let mut mallory = Client::new("mallory@rig", 3);
    mallory.psk = b"what nobody may see".as_slice().into();
    let mut keyed = mallory.init(&mut world);
    mallory.auth(&mut world, &mut keyed);
    let told = self::told(&mut world);
    assert_eq!(refusals(&told), [(Some("mallory@rig".to_owned()), Cause::WrongPsk)]);
    assert!(!format!("{told:?}").contains("nobody may see"));
    let mut silent = Client::new("alice@rig", 4);
    silent.init(&mut world);
    world.pass(Duration::from_secs(60));
    assert_eq!(refusals(&self::told(&mut world)), [(None, Cause::HalfOpenTimeout)]);
}

#[test]
fn a_flood_of_refused_logins_is_counted_and_not_told_one_by_one() {
    let mut world = World::new(config());
    for host in 0..200 {
        let mut mallory = Client::new("mallory@rig", host);
        mallory.psk = b"not the key of the rig".as_slice().into();
        let mut keyed = mallory.init(&mut world);
        mallory.auth(&mut world, &mut keyed);
    }
    assert!(told(&mut world).len() <= 25);
    world.pass(Duration::from_secs(10));
    let mut mallory = Client::new("mallory@rig", 201);
    mallory.psk = b"not the key of the rig".as_slice().into();
    let mut keyed = mallory.init(&mut world);
    mallory.auth(&mut world, &mut keyed);
    let told = self::told(&mut world);
    let Some(What::LoginRefused { left_out, .. }) = told.last().map(|told| &told.what) else { panic!("{told:?}") };
    assert!(*left_out >= 170, "{left_out}");
}

#[test]
fn our_own_rekeys_and_our_own_end_of_a_session_are_told_of() {
    let config = config();
    let mut line = Line::seeded(caller_config(&config), config, 0);
    let id = line.login(call("alice@rig"));
    line.pass_with_traffic(Duration::from_millis(50));
    let taken = |line: &mut Line, end: usize| std::mem::take(&mut line.ends[end].dataplane.happenings);
    for end in [CALLER, HEADEND] {
        assert_eq!(kinds(&taken(&mut line, end)), [Kind::Login]);
    }
    line.at(HEADEND, |engine, now| engine.rekey_children(now, id));
    line.pass_with_traffic(Duration::from_secs(1));
    line.at(HEADEND, |engine, now| engine.rekey_ike(now, id));
    line.pass_with_traffic(Duration::from_secs(1));
    for (end, who) in [(HEADEND, By::Us), (CALLER, By::Peer)] {
        let told = taken(&mut line, end);
        let [What::Rekey { what: Renewed::Child, by }, What::Rekey { what: Renewed::Ike, by: other }] =
            &told.iter().map(|told| told.what.clone()).collect::<Vec<_>>()[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((*by, *other), (who, who));
    }
    line.at(HEADEND, |engine, now| engine.disconnect(now, id));
    line.pass(Duration::from_secs(1));
    let told = taken(&mut line, HEADEND);
    assert!(matches!(told[..], [Happening { what: What::Logout { cause: Cause::Asked, .. }, .. }]), "{told:?}");
}

#[test]
fn a_session_by_ikev1_tells_of_its_login_rekey_and_end() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, address, _) = alice.connect(&mut world);
    let login = only(&mut world);
    let What::Login { ike: "v1", transport: Some(Transport::NatT), addresses, .. } = &login.what else {
        panic!("{login:?}")
    };
    assert_eq!((&addresses[..], login.who.unwrap().identity.as_deref()), (&[address.into()][..], Some("alice")));
    let (_, third) = alice.quick(&mut world, &mut sa, address);
    world.deliver(&alice.later(third));
    assert!(matches!(only(&mut world).what, What::Rekey { what: Renewed::Child, by: By::Peer }));
    log_out(&mut world, &mut alice, &mut sa);
    assert!(matches!(only(&mut world).what, What::Logout { cause: Cause::PeerDeleted, .. }));
}

#[test]
fn a_wrong_password_is_told_of_with_the_users_name_once_for_each_try() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.up_to_user(&mut world);
    for _ in 0..2 {
        let again = world.reject(Why::WrongPassword);
        alice.answer_user(&mut world, &mut sa, &again[0].bytes);
    }
    let out = world.reject(Why::WrongPassword);
    let (_, ack) = alice.told(&mut sa, &out[0].bytes);
    world.deliver(&alice.later(ack));
    let wrong = (Some("alice".to_owned()), Cause::WrongPassword);
    assert_eq!(refusals(&told(&mut world)), [wrong.clone(), wrong.clone(), wrong]);
}

#[test]
fn who_finds_no_address_is_told_of_as_refused_and_not_as_gone() {
    let mut config = config_v1();
    config.pools[0].v4 = Some("10.30.0.0/30".parse().unwrap());
    let mut world = World::new(config);
    ClientV1::new("alice", 2).connect(&mut world);
    let mut bob = ClientV1::new("bob", 3);
    let mut sa = bob.log_in(&mut world);
    let asks = ModeConfig {
        kind: ConfigKind::Request,
        identifier: 1,
        attributes: vec![asked(mode_config_number::IP4_ADDRESS)],
    };
    let bytes = sa.say(ExchangeV1::Transaction, 5, &[PayloadV1::ModeConfig(asks)]);
    world.deliver(&bob.later(bytes));
    let told = self::told(&mut world);
    assert_eq!(kinds(&told), [Kind::Login, Kind::LoginRefused]);
    assert_eq!(refusals(&told), [(Some("bob".to_owned()), Cause::PoolEmpty)]);
    let [fill, ..] = &world.engine.pool_fills(world.now)[..] else { panic!("a pool") };
    assert_eq!((fill.in_use, fill.of), (1, 1));
}

#[test]
fn a_stall_is_suspected_found_and_over_by_both_versions_of_ike() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    alice.connect(&mut world);
    let (tunnel, path) = (*world.dataplane.tunnel().0, alice.on_500(vec![]).path);
    world.pass(Duration::from_secs(1));
    told(&mut world);
    world.event(tunnel.worker, report(tunnel, path, Stalling::Suspected));
    world.pass(Duration::from_secs(1));
    world.event(tunnel.worker, report(tunnel, path, Stalling::Certain));
    let told = self::told(&mut world);
    assert_eq!(kinds(&told), [Kind::StallSuspected, Kind::StallFound, Kind::Logout]);
    assert!(matches!(told[2].what, What::Logout { cause: Cause::Stalled, .. }));
}

#[test]
fn a_suspicion_that_an_answer_refutes_is_told_of() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    let (mut sa, ..) = alice.connect(&mut world);
    let (tunnel, path) = (*world.dataplane.tunnel().0, alice.on_500(vec![]).path);
    world.pass(Duration::from_secs(1));
    told(&mut world);
    let sent = world.event(tunnel.worker, report(tunnel, path, Stalling::Silent));
    let [PayloadV1::Notify(question)] = &sa.informed(&sent[0].bytes)[..] else { panic!("a question") };
    let number = u32::from_be_bytes(question.data[..].try_into().unwrap());
    let ack = dpd(NotifyKind::RUThereAck, sa.cookies, number);
    let answer = sa.inform(77, ack);
    world.deliver(&alice.later(answer));
    assert_eq!(kinds(&told(&mut world)), [Kind::StallSuspected, Kind::StallRefuted]);
}
