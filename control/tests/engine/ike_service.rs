//! A session in service (RFC 7296 sections 1.3, 1.4, 2.1 to 2.8, 2.23 to 2.25): rekeys, deletes, liveness, moves,
//! and its end.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{EspProposal, Rekey};
use adit_control::ike::counters::Ignored;
use adit_control::ike::wire::*;
use adit_control::session::SessionState;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{
    Direction, EspPath, Event, IkeDatagram, IkeFraming, Keepalive, KeepaliveForm, Lifetime, Limits, Path, Reached,
    SequenceNumbers, Spi, Transport, TunnelKey, WorkerId,
};
use peer::client::*;
use peer::dataplane::{assert_same_keys, counters, natt};
use peer::{ESP, World, config};
use std::net::SocketAddr;
use std::time::Duration;

fn alice() -> (World, Client, Sa, ChildSa) {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (sa, child) = alice.login(&mut world);
    world.dataplane.log.clear();
    (world, alice, sa, child)
}

fn first_use(world: &mut World, child: &ChildSa) {
    let spi = Spi::new(child.spi_out).unwrap();
    let worker = world.dataplane.tunnel().0.worker;
    assert!(world.event(worker, Event::FirstUse { spi }).is_empty());
}

fn states(world: &World) -> Vec<String> {
    world.engine.sas(world.now).into_iter().map(|sa| sa.state).collect()
}

// initiator --> HDR, SK {N(REKEY_SA), SA, Ni, [KEi,] TSi, TSr}
// responder <-- HDR, SK {SA, Nr, [KEr,] TSi, TSr}
#[test]
fn a_rekeyed_child_is_made_before_the_old_one_breaks() {
    for pfs in [None, Some(KexGroup::X25519)] {
        let (mut world, mut alice, mut sa, old) = alice();
        let new = alice.rekey_child(&mut world, &mut sa, &old, pfs);
        assert_eq!(world.dataplane.log, ["AddPair"], "received on, not yet sent on");
        assert_same_keys(&new.sealer(), &world.dataplane.inbound(new.spi_out).cipher);
        assert!(world.dataplane.has_inbound(old.spi_out));
        assert_eq!(world.dataplane.tunnel().1.sends_on().spi, old.spi_in);
        assert_eq!(states(&world), ["active", "new"]);

        first_use(&mut world, &new);
        assert_eq!(world.dataplane.log, ["AddPair", "SwitchOutbound"]);
        let outbound = world.dataplane.tunnel().1.sends_on();
        assert_eq!(outbound.spi, new.spi_in);
        assert_same_keys(&outbound.cipher, &new.opener());
        assert_eq!(states(&world), ["rekeyed", "active"]);

        let answer = alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(old.spi_in)]);
        assert_eq!(answer, [delete_esp(old.spi_out)], "the other half of the pair");
        assert!(world.dataplane.has_inbound(old.spi_out), "what is under way may still come in");
        world.pass(Duration::from_secs(5));
        assert!(!world.dataplane.has_inbound(old.spi_out));
        assert_eq!(states(&world), ["active"]);
        assert_eq!(world.engine.holdings().spis, 1, "its slot is free again");
    }
}

#[test]
fn the_delete_of_the_old_child_switches_over_too() {
    let (mut world, mut alice, mut sa, old) = alice();
    let new = alice.rekey_child(&mut world, &mut sa, &old, None);
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(old.spi_in)]);
    assert_eq!(world.dataplane.log, ["AddPair", "SwitchOutbound"]);
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, new.spi_in);
    first_use(&mut world, &new);
    assert_eq!(world.dataplane.log, ["AddPair", "SwitchOutbound"], "once");
}

// A worker that has nothing to send on begins with a new one by itself: so it is told of what ends unused.
#[test]
fn a_new_child_that_is_deleted_unused_is_not_to_be_begun() {
    let (mut world, mut alice, mut sa, old) = alice();
    let new = alice.rekey_child(&mut world, &mut sa, &old, None);
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(new.spi_in)]);
    assert_eq!(world.dataplane.log, ["AddPair", "StopOutbound"]);
    first_use(&mut world, &new);
    assert_eq!(world.dataplane.log, ["AddPair", "StopOutbound"], "that was under way");
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, old.spi_in);
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(old.spi_in)]);
    assert_eq!(world.dataplane.log, ["AddPair", "StopOutbound", "StopOutbound"], "there is nothing to send on");
    assert_eq!(world.dataplane.outbound().count(), 0);
}

#[test]
fn a_child_can_be_rekeyed_again_and_again_and_slots_are_reused() {
    let (mut world, mut alice, mut sa, mut child) = alice();
    for round in 0..50 {
        let new = alice.rekey_child(&mut world, &mut sa, &child, (round % 2 == 0).then_some(KexGroup::X25519));
        first_use(&mut world, &new);
        alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(child.spi_in)]);
        // Faster than the grace: what drains makes room.
        world.pass(Duration::from_millis(500));
        child = new;
    }
    assert!(world.engine.holdings().spis <= 4);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.engine.holdings().spis, 1);
    let [sa] = &world.engine.sas(world.now)[..] else { panic!() };
    assert_eq!(sa.spi_in, format!("{:#010x}", child.spi_out));
}

#[test]
fn a_rekey_with_another_group_is_told_the_right_one() {
    let mut config = config();
    config.connections[0].esp_proposals = vec![EspProposal::parse("aes128gcm16-x25519").unwrap()];
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, old) = alice.login(&mut world);
    let pair = KeyPair::generate(KexGroup::Ecp256, &mut alice.random);
    let wrong = KeyExchange { group: pair.group().iana(), public: pair.public().to_vec() };
    let esp = [EspProposal::parse("aes128gcm16-ecp256-x25519").unwrap()];
    for ke in [Some(wrong), None] {
        let payloads = rekey_payloads(&old, &esp, 0x4242, &[3; 32], ke);
        let answer = alice.ask(&mut world, &mut sa, Exchange::CreateChildSa, &payloads);
        assert_eq!(only_notify(&answer), (NotifyKind::InvalidKePayload, vec![0, 31]));
    }
    assert_eq!(world.engine.holdings().spis, 1);
    alice.rekey_child(&mut world, &mut sa, &old, Some(KexGroup::X25519));
}

#[test]
fn a_rekey_that_cannot_be_is_told_why_and_changes_nothing() {
    let (mut world, alice, mut sa, old) = alice();
    let held = world.engine.holdings();
    let esp = [EspProposal::parse(ESP).unwrap()];
    let mut ask =
        |world: &mut World, payloads: &[Payload]| alice.ask(world, &mut sa, Exchange::CreateChildSa, payloads);

    let nobody = ChildSa {
        spi_in: 0x6666,
        ts_i: old.ts_i.clone(),
        ts_r: old.ts_r.clone(),
        keys: old.keys.clone(),
        configuration: Vec::new(),
        ..old
    };
    let answer = ask(&mut world, &rekey_payloads(&nobody, &esp, 0x4242, &[3; 32], None));
    let [Payload::Notify(notify)] = &answer[..] else { panic!("{answer:?}") };
    assert_eq!(notify.kind, NotifyKind::ChildSaNotFound);
    assert_eq!(notify.about, Some((Protocol::Esp, vec![0, 0, 0x66, 0x66])));

    let weak = [EspProposal::parse("aes256-sha1").unwrap()];
    let answer = ask(&mut world, &rekey_payloads(&old, &weak, 0x4242, &[3; 32], None));
    assert_eq!(only_notify(&answer).0, NotifyKind::NoProposalChosen);

    let elsewhere = vec![adit_control::ike::narrow::selector_of_net("192.0.2.0/24".parse().unwrap())];
    let mut payloads = rekey_payloads(&old, &esp, 0x4242, &[3; 32], None);
    payloads.pop();
    payloads.push(Payload::TsResponder(elsewhere));
    assert_eq!(only_notify(&ask(&mut world, &payloads)).0, NotifyKind::TsUnacceptable);

    assert_eq!(world.engine.holdings(), held);
    assert!(world.dataplane.log.is_empty());
}

#[test]
fn a_child_that_is_being_replaced_is_a_temporary_failure_to_rekey() {
    let (mut world, mut alice, mut sa, old) = alice();
    let new = alice.rekey_child(&mut world, &mut sa, &old, None);
    first_use(&mut world, &new);
    let esp = [EspProposal::parse(ESP).unwrap()];
    let payloads = rekey_payloads(&old, &esp, 0x4242, &[3; 32], None);
    let answer = alice.ask(&mut world, &mut sa, Exchange::CreateChildSa, &payloads);
    assert_eq!(only_notify(&answer).0, NotifyKind::TemporaryFailure);
}

/// The dataplane keeps four inbound SAs to a tunnel. A peer that never deletes what it rekeyed has to wait.
#[test]
fn a_peer_that_deletes_nothing_gets_no_fifth_child() {
    let (mut world, mut alice, mut sa, first) = alice();
    let mut last = first;
    let mut forgotten = Vec::new();
    for _ in 0..3 {
        let new = alice.rekey_child(&mut world, &mut sa, &last, None);
        first_use(&mut world, &new);
        forgotten.push(std::mem::replace(&mut last, new));
    }
    assert_eq!(states(&world), ["rekeyed", "rekeyed", "rekeyed", "active"]);
    let esp = [EspProposal::parse(ESP).unwrap()];
    let payloads = rekey_payloads(&last, &esp, 0x4242, &[3; 32], None);
    let answer = alice.ask(&mut world, &mut sa, Exchange::CreateChildSa, &payloads);
    assert_eq!(only_notify(&answer).0, NotifyKind::TemporaryFailure);
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(forgotten[0].spi_in)]);
    alice.rekey_child(&mut world, &mut sa, &last, None);
}

#[test]
fn every_request_again_gets_the_same_octets_and_has_no_second_effect() {
    let (mut world, mut alice, mut sa, old) = alice();
    let esp = [EspProposal::parse(ESP).unwrap()];
    let new_ike = [
        Payload::Sa(adit_control::ike::propose::offer_ike(&alice.ike, &[9; 8])),
        Payload::Nonce(vec![4; 32]),
        Payload::Ke(KeyExchange {
            group: 31,
            public: KeyPair::generate(KexGroup::X25519, &mut alice.random).public().to_vec(),
        }),
    ];
    for (exchange, payloads) in [
        (Exchange::CreateChildSa, rekey_payloads(&old, &esp, 0x4242, &[3; 32], None)),
        (Exchange::Informational, vec![delete_esp(old.spi_in)]),
        (Exchange::Informational, vec![]),
        (Exchange::CreateChildSa, new_ike.to_vec()),
    ] {
        let request = alice.on_4500(sa.request(exchange, &payloads));
        let first = world.deliver(&request);
        assert_eq!(first.len(), 1);
        let (held, log) = (world.engine.holdings(), world.dataplane.log.clone());
        assert_eq!(world.deliver(&request), first);
        assert_eq!((world.engine.holdings(), &world.dataplane.log), (held, &log));
    }
}

// initiator --> HDR, SK {SA, Ni, KEi}
// responder <-- HDR, SK {SA, Nr, KEr}
#[test]
fn a_rekeyed_ike_sa_takes_over_with_its_children() {
    let (mut world, mut alice, mut old, child) = alice();
    let mut new = alice.rekey_ike(&mut world, &mut old);
    assert_ne!(new.spi_r, old.spi_r);
    assert_eq!(world.engine.holdings().ike_sas, 2);
    // The old one answers, but makes nothing new (2.25.2).
    let esp = [EspProposal::parse(ESP).unwrap()];
    let payloads = rekey_payloads(&child, &esp, 0x4242, &[3; 32], None);
    let answer = alice.ask(&mut world, &mut old, Exchange::CreateChildSa, &payloads);
    assert_eq!(only_notify(&answer).0, NotifyKind::TemporaryFailure);
    assert_eq!(alice.ask(&mut world, &mut old, Exchange::Informational, &[]), []);
    // Its delete leaves the children alone.
    let request = alice.on_4500(old.request(Exchange::Informational, &[delete_ike()]));
    let first = world.deliver(&request);
    assert_eq!(old.answered(Exchange::Informational, &first[0].bytes), []);
    assert_eq!(world.deliver(&request), first, "even after its end");
    assert_eq!(world.engine.holdings().ike_sas, 1);
    assert_eq!(states(&world), ["active"]);

    // The new one rekeys the child with its own keys, and is rekeyed itself.
    let next = alice.rekey_child(&mut world, &mut new, &child, Some(KexGroup::X25519));
    assert_same_keys(&next.sealer(), &world.dataplane.inbound(next.spi_out).cipher);
    let mut third = alice.rekey_ike(&mut world, &mut new);
    alice.ask(&mut world, &mut new, Exchange::Informational, &[delete_ike()]);
    assert_eq!(alice.ask(&mut world, &mut third, Exchange::Informational, &[delete_ike()]), []);
    world.assert_nothing_left();
}

// initiator --> HDR, SK {D}      on the IKE SA that was replaced: lost
// initiator --> HDR, SK {D}      on the one in use: the session is over
// initiator --> HDR, SK {D}      the first again
// responder <-- HDR, SK {}
#[test]
fn the_delete_of_a_replaced_ike_sa_is_answered_although_the_session_is_over() {
    let (mut world, mut alice, mut old, _) = alice();
    let mut new = alice.rekey_ike(&mut world, &mut old);
    let request = alice.on_4500(old.request(Exchange::Informational, &[delete_ike()]));
    assert_eq!(alice.ask(&mut world, &mut new, Exchange::Informational, &[delete_ike()]), []);
    assert!(world.engine.is_idle());
    let first = world.deliver(&request);
    assert_eq!(old.answered(Exchange::Informational, &first[0].bytes), []);
    assert_eq!(world.deliver(&request), first, "that may be lost as well");
    let further = alice.on_4500(old.request(Exchange::Informational, &[delete_ike()]));
    assert!(world.deliver(&further).is_empty(), "there is nothing else to say");
    world.assert_nothing_left();
    assert_ne!(world.deliver(&request), first, "nor that for ever");
}

#[test]
fn a_rekeyed_ike_sa_that_is_never_deleted_is_forgotten() {
    let (mut world, mut alice, mut old, _) = alice();
    let mut new = alice.rekey_ike(&mut world, &mut old);
    for _ in 0..7 {
        world.pass(Duration::from_secs(10));
        alice.ask(&mut world, &mut new, Exchange::Informational, &[]);
    }
    assert_eq!(world.engine.holdings().ike_sas, 1);
    let [stranger] = &world.deliver(&alice.on_4500(old.request(Exchange::Informational, &[])))[..] else {
        panic!("one answer")
    };
    assert_eq!(in_the_clear(stranger).0, NotifyKind::InvalidIkeSpi);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
}

#[test]
fn an_ike_rekey_that_cannot_be_is_told_why() {
    let (mut world, mut alice, mut sa, _) = alice();
    let ke = |client: &mut Client, group| {
        let pair = KeyPair::generate(group, &mut client.random);
        Payload::Ke(KeyExchange { group: pair.group().iana(), public: pair.public().to_vec() })
    };
    let good = Payload::Sa(adit_control::ike::propose::offer_ike(&alice.ike, &[9; 8]));
    let weak = adit_control::config::checked::IkeProposal::parse("aes128-sha1-modp2048").unwrap();
    let weak = Payload::Sa(adit_control::ike::propose::offer_ike(&[weak], &[9; 8]));
    let nonce = Payload::Nonce(vec![4; 32]);
    for (proposals, group, expected) in [
        (good, KexGroup::Ecp256, (NotifyKind::InvalidKePayload, vec![0, 31])),
        (weak, KexGroup::X25519, (NotifyKind::NoProposalChosen, vec![])),
    ] {
        let payloads = [proposals, nonce.clone(), ke(&mut alice, group)];
        let answer = alice.ask(&mut world, &mut sa, Exchange::CreateChildSa, &payloads);
        assert_eq!(only_notify(&answer), expected);
    }
    assert_eq!(world.engine.holdings().ike_sas, 1);
}

#[test]
fn the_delete_of_the_ike_sa_ends_everything() {
    let (mut world, alice, mut sa, _) = alice();
    let request = alice.on_4500(sa.request(Exchange::Informational, &[delete_ike()]));
    let first = world.deliver(&request);
    assert_eq!(sa.answered(Exchange::Informational, &first[0].bytes), []);
    assert_eq!(world.dataplane.log, ["Routes", "DropTunnel"]);
    assert_eq!(world.deliver(&request), first);
    world.assert_nothing_left();
}

#[test]
fn the_delete_of_the_last_child_ends_service_and_then_the_session() {
    let (mut world, alice, mut sa, child) = alice();
    let answer = alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(child.spi_in)]);
    assert_eq!(answer, [delete_esp(child.spi_out)]);
    assert_eq!(world.dataplane.log, ["StopOutbound"], "nothing is sent any more");
    // Again, and for what never was: there is nothing to name.
    assert_eq!(alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(child.spi_in)]), []);
    let sent = world.pass(Duration::from_secs(10));
    let (id, payloads) = sa.asked(&sent[0].bytes);
    assert_eq!(payloads, [delete_ike()]);
    assert_eq!(world.engine.sessions(world.now)[0].state, SessionState::Closing);
    let answer = sa.answer(id, &[]);
    world.deliver(&alice.on_4500(answer));
    world.assert_nothing_left();
}

#[test]
fn unknown_notifications_and_payloads_are_ignored_unless_critical() {
    let (mut world, alice, mut sa, _) = alice();
    let strange = [
        notify(NotifyKind::Other(40_999), vec![1, 2]),
        notify(NotifyKind::Other(99), vec![]),
        Payload::Unknown(200, false),
    ];
    assert_eq!(alice.ask(&mut world, &mut sa, Exchange::Informational, &strange), []);
    let answer = alice.ask(&mut world, &mut sa, Exchange::Informational, &[Payload::Unknown(200, true)]);
    assert_eq!(only_notify(&answer), (NotifyKind::UnsupportedCriticalPayload, vec![200]));
    assert_eq!(alice.ask(&mut world, &mut sa, Exchange::Informational, &[]), [], "the IKE SA is still there");
}

/// RFC 7296 section 2.21.3.
#[test]
fn an_authenticated_message_that_cannot_be_read_ends_the_ike_sa() {
    let cases: [(Exchange, &[Payload]); 4] = [
        (Exchange::CreateChildSa, &[]),
        (Exchange::CreateChildSa, &[Payload::Sa(vec![])]),
        (Exchange::IkeAuth, &[]),
        (Exchange::IkeSaInit, &[]),
    ];
    for (exchange, payloads) in cases {
        let (mut world, alice, mut sa, _) = alice();
        let answer = alice.ask(&mut world, &mut sa, exchange, payloads);
        assert_eq!(only_notify(&answer), (NotifyKind::InvalidSyntax, vec![]), "{exchange:?}");
        world.assert_nothing_left();
    }
}

#[test]
fn a_quiet_peer_is_asked_and_lives_when_it_answers() {
    let (mut world, alice, mut sa, _) = alice();
    assert!(world.pass(Duration::from_secs(29)).is_empty());
    let sent = world.pass(Duration::from_secs(1));
    let (id, payloads) = sa.asked(&sent[0].bytes);
    assert_eq!((id, payloads), (0, vec![]));
    let answer = sa.answer(id, &[]);
    assert!(world.deliver(&alice.on_4500(answer.clone())).is_empty());
    assert!(world.pass(Duration::from_secs(29)).is_empty());
    assert!(world.deliver(&alice.on_4500(answer)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::NotAsked), 1);
    let sent = world.pass(Duration::from_secs(1));
    assert_eq!(sa.asked(&sent[0].bytes).0, 1);
}

#[test]
fn a_peer_whose_packets_come_in_is_not_asked() {
    let (mut world, _, _, child) = alice();
    let counters = counters(world.dataplane.inbound(child.spi_out));
    for _ in 0..10 {
        world.now = world.now + Duration::from_secs(20);
        counters.charge(1, 100, world.now);
        assert!(world.pass(Duration::ZERO).is_empty());
    }
    let [session] = &world.engine.sessions(world.now)[..] else { panic!() };
    assert_eq!((session.packets_in, session.bytes_in, session.idle_seconds), (10, 1000, 0));
    assert_eq!(world.pass(Duration::from_secs(30)).len(), 1);
}

// 30 s quiet, then 4, 7.2, 12.96, 23.328 s between tries.
#[test]
fn a_dead_peer_is_asked_with_growing_waits_and_then_removed_with_all_it_had() {
    let (mut world, _, _, _) = alice();
    let sent = world.pass(Duration::from_secs(30 + 4 + 7 + 13));
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|datagram| datagram.bytes == sent[0].bytes));
    assert_eq!(world.pass(Duration::from_secs(23)).len(), 1);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
    assert!(world.pass(Duration::from_secs(1)).is_empty());
    assert!(world.engine.is_idle());
    world.assert_nothing_left();
    // And it comes back.
    Client::new("alice@rig", 7).login(&mut world);
}

#[test]
fn messages_outside_the_window_change_nothing() {
    let (mut world, alice, mut sa, child) = alice();
    // Ahead of the window.
    sa.next += 1;
    let ahead = sa.request(Exchange::Informational, &[delete_ike()]);
    assert!(world.deliver(&alice.on_4500(ahead)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::FutureMessageId), 1);
    sa.next -= 2;
    // Behind it.
    let mut old = Vec::new();
    for _ in 0..3 {
        let request = alice.on_4500(sa.request(Exchange::Informational, &[]));
        assert_eq!(world.deliver(&request).len(), 1);
        old.push(request);
    }
    assert!(world.deliver(&old[0]).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::OldMessageId), 1);
    // A bad ICV.
    let mut forged = sa.request(Exchange::Informational, &[delete_esp(child.spi_in)]);
    *forged.last_mut().unwrap() ^= 1;
    assert!(world.deliver(&alice.on_4500(forged)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::BadIcv), 1);
    assert_eq!(states(&world), ["active"]);
}

fn from_port(datagram: IkeDatagram, port: u16) -> IkeDatagram {
    let mut moved = datagram;
    moved.path.peer = SocketAddr::new(moved.path.peer.ip(), port);
    moved
}

/// RFC 7296 section 2.23.
#[test]
fn a_peer_behind_a_nat_is_followed_by_new_authenticated_requests_only() {
    let (mut world, alice, mut sa, _) = alice();
    let before = world.dataplane.tunnel().1.path;
    let request = alice.on_4500(sa.request(Exchange::Informational, &[]));
    world.deliver(&request);
    // A replay is answered where it came from and moves nobody; a forgery is not even answered.
    let sent = world.deliver(&from_port(request.clone(), 666));
    assert_eq!(sent[0].path.peer.port(), 666);
    let mut forged = sa.request(Exchange::Informational, &[]);
    forged[40] ^= 1;
    assert!(world.deliver(&from_port(alice.on_4500(forged), 666)).is_empty());
    sa.next -= 1;
    assert_eq!(world.dataplane.tunnel().1.path, before);

    let moved = from_port(alice.on_4500(sa.request(Exchange::Informational, &[])), 40_000);
    let sent = world.deliver(&moved);
    assert_eq!(sent[0].path, moved.path);
    assert_eq!(world.dataplane.tunnel().1.path, natt(moved.path));
    assert_eq!(world.dataplane.log, ["MoveTunnel"]);
    assert_eq!(world.engine.sessions(world.now)[0].peer, moved.path.peer);
    let sent = world.pass(Duration::from_secs(30));
    assert_eq!(sent[0].path, moved.path, "we ask there too");
}

/// The worker follows ESP at once; control believes it, and then speaks to the peer there.
#[test]
fn a_peer_that_esp_has_followed_is_asked_and_answered_there() {
    let (mut world, alice, mut sa, _) = alice();
    let (tunnel, before) = (*world.dataplane.tunnel().0, world.dataplane.tunnel().1.path);
    let to = |port| from_port(alice.on_4500(Vec::new()), port).path;
    assert!(world.event(tunnel.worker, Event::Moved { tunnel, path: natt(to(40_000)) }).is_empty());
    assert_eq!(world.engine.sessions(world.now)[0].peer, to(40_000).peer);
    assert!(world.dataplane.log.is_empty(), "the worker knows it already");
    let sent = world.pass(Duration::from_secs(30));
    assert_eq!(sent[0].path, to(40_000), "dead peer detection goes there");
    // What it says again, and what it says of another session's tunnel, changes nothing.
    let other = TunnelKey { slot: tunnel.slot + 1, ..tunnel };
    world.event(tunnel.worker, Event::Moved { tunnel, path: natt(to(40_000)) });
    world.event(tunnel.worker, Event::Moved { tunnel: other, path: natt(to(666)) });
    assert_eq!(world.engine.counters().moves_by_esp, 1);
    // An IKE message that comes from elsewhere moves both, and from where both are.
    let moved = from_port(alice.on_4500(sa.request(Exchange::Informational, &[])), 50_000);
    world.dataplane.tunnels.get_mut(&tunnel).unwrap().path = natt(to(40_000));
    world.deliver(&moved);
    assert_eq!(world.dataplane.tunnel().1.path, natt(moved.path));
    assert_eq!(world.engine.sessions(world.now)[0].peer, moved.path.peer);
    assert_eq!((world.engine.counters().moves_by_ike, world.engine.counters().moves_by_esp), (1, 1));
    assert_ne!(before, natt(moved.path));
}

/// A session that ESP takes to native ESP and back: its SAs are the same, and IKE stays on port 4500.
#[test]
fn ike_keeps_its_own_path_when_esp_moves_to_another_transport() {
    let (mut world, alice, mut sa, _) = alice();
    let (tunnel, before) = (*world.dataplane.tunnel().0, world.dataplane.tunnel().1.path);
    let ike = world.engine.sessions(world.now)[0].peer;
    let transport = |world: &World| world.engine.sessions(world.now)[0].transport.clone();
    for by in [Transport::Esp, Transport::CiscoUdp] {
        let elsewhere = Path { peer: ([198, 51, 100, 99], 40_000).into(), ..before.path() };
        let path = EspPath::new(by, elsewhere);
        world.dataplane.tunnels.get_mut(&tunnel).unwrap().path = path;
        assert!(world.event(tunnel.worker, Event::Moved { tunnel, path }).is_empty());
        assert_eq!((transport(&world), world.engine.sessions(world.now)[0].peer), (by.name().to_owned(), ike));
    }
    let sent = world.pass(Duration::from_secs(30));
    assert_eq!((sent[0].path.peer, sent[0].framing), (ike, IkeFraming::NonEspMarker), "IKE asks where IKE was");
    // IKE moves: that says nothing about another port's mapping, but where native ESP is.
    let moved = from_port(alice.on_4500(sa.request(Exchange::Informational, &[])), 50_000);
    world.deliver(&moved);
    assert_eq!(world.engine.sessions(world.now)[0].peer, moved.path.peer);
    assert_eq!(world.dataplane.log, [""; 0], "the tunnel was not asked to move");
    let native = EspPath::new(Transport::Esp, before.path());
    world.dataplane.tunnels.get_mut(&tunnel).unwrap().path = native;
    world.event(tunnel.worker, Event::Moved { tunnel, path: native });
    let mut moved = alice.on_4500(sa.request(Exchange::Informational, &[]));
    moved.path.peer.set_ip([198, 51, 100, 50].into());
    world.deliver(&moved);
    assert_eq!(world.dataplane.tunnel().1.path, EspPath::new(Transport::Esp, moved.path));
    assert_eq!(world.dataplane.log, ["MoveTunnel"]);
    // Back in UDP 4500, IKE shares ESP's mapping.
    let back = natt(from_port(alice.on_4500(Vec::new()), 60_000).path);
    world.event(tunnel.worker, Event::Moved { tunnel, path: back });
    assert_eq!((transport(&world), world.engine.sessions(world.now)[0].peer), ("nat-t".to_owned(), back.path().peer));
    assert_eq!(world.engine.counters().moves_by_esp, 4);
}

/// ESP and IKE come from two new places at once. The worker's order counts, and both planes end up with it.
#[test]
fn both_planes_agree_whichever_of_ike_and_esp_came_first() {
    let login = alice;
    // ESP came to the worker after the IKE message, and control acts on the IKE message before it hears of that.
    let (mut world, alice, mut sa, _) = login();
    let tunnel = *world.dataplane.tunnel().0;
    let esp = from_port(alice.on_4500(Vec::new()), 50_000).path;
    world.dataplane.tunnels.get_mut(&tunnel).unwrap().path = natt(esp);
    let ike = from_port(alice.on_4500(sa.request(Exchange::Informational, &[])), 40_000);
    assert_eq!(world.deliver(&ike)[0].path, ike.path, "the answer goes where the question came from");
    assert_eq!(world.dataplane.tunnel().1.path, natt(esp), "the worker knows better");
    world.event(tunnel.worker, Event::Moved { tunnel, path: natt(esp) });
    assert_eq!(world.engine.sessions(world.now)[0].peer, esp.peer);
    let sent = world.pass(Duration::from_secs(30));
    assert_eq!(sent[0].path, esp);

    // ESP came first: control has heard of it when it reads the IKE message.
    let (mut world, alice, mut sa, _) = login();
    let tunnel = *world.dataplane.tunnel().0;
    world.dataplane.tunnels.get_mut(&tunnel).unwrap().path = natt(esp);
    world.event(tunnel.worker, Event::Moved { tunnel, path: natt(esp) });
    let ike = from_port(alice.on_4500(sa.request(Exchange::Informational, &[])), 40_000);
    world.deliver(&ike);
    assert_eq!(world.dataplane.tunnel().1.path, natt(ike.path));
    assert_eq!(world.engine.sessions(world.now)[0].peer, ike.path.peer);
}

/// RFC 7296 section 3.3.2, transform type 5: the headend's order of preference wins, and both SAs keep to it.
#[test]
fn extended_sequence_numbers_are_used_if_both_want_them() {
    use SequenceNumbers::{Extended, Plain};
    for (allowed, offered, chosen) in [
        ("aes128gcm16-esn-noesn", "aes128gcm16-noesn-esn", Extended),
        ("aes128gcm16-noesn-esn", "aes128gcm16-esn-noesn", Plain),
        ("aes128gcm16-esn-noesn", "aes128gcm16", Plain),
        ("aes128gcm16-esn-noesn", "aes128gcm16-esn", Extended),
        ("aes128gcm16", "aes128gcm16-esn-noesn", Plain),
    ] {
        let mut config = config();
        config.connections[0].esp_proposals = vec![EspProposal::parse(allowed).unwrap()];
        let mut world = World::new(config);
        let mut alice = Client::new("alice@rig", 2);
        alice.esp = vec![EspProposal::parse(offered).unwrap()];
        alice.login(&mut world);
        let tunnel = world.dataplane.tunnel().1;
        let inbound: Vec<SequenceNumbers> = tunnel.inbound.values().map(|spec| spec.numbers).collect();
        assert_eq!((inbound, tunnel.sends_on().numbers), (vec![chosen], chosen), "{allowed}, {offered}");
        let shown = if chosen == Extended { "aes128gcm16-esn" } else { "aes128gcm16" };
        assert_eq!(world.engine.sas(world.now)[0].algorithms, shown);
    }
}

/// Limits come from the configuration. A soft one is a reason to ask for another child SA, a hard one to end this.
#[test]
fn a_child_sa_has_the_lifetime_that_the_configuration_says() {
    let mut config = config();
    config.esp.rekey = Rekey { time: Some(Duration::from_secs(100)), octets: Some(1000), packets: Some(10) };
    config.esp.hard_factor = 1.5;
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    alice.login(&mut world);
    let tunnel = world.dataplane.tunnel().1;
    let (spi, inbound) = tunnel.inbound.first_key_value().unwrap();
    let at = |seconds| Some(world.now + Duration::from_secs(seconds));
    let early = inbound.lifetime.soft.time;
    assert!(at(90) <= early && early <= at(100), "up to a tenth early");
    let soft = Limits { packets: Some(10), octets: Some(1000), time: early };
    let hard = Limits { packets: Some(15), octets: Some(1500), time: at(150) };
    assert_eq!(inbound.lifetime, Lifetime { soft, hard });
    let outbound = tunnel.sends_on();
    assert_eq!((outbound.lifetime, tunnel.pair_in(outbound.lane)), (Lifetime { soft, hard }, *spi));
    let (pair, worker) = (*spi, inbound.tunnel.worker);
    world.dataplane.log.clear();
    let mut reach = |reached| world.event(worker, Event::Lifetime { pair, direction: Direction::Inbound, reached });
    let [asked] = &reach(Reached::Soft)[..] else { panic!("one request") };
    assert_eq!(parse(&asked.bytes).unwrap().header.exchange, Exchange::CreateChildSa);
    assert!(reach(Reached::Hard).is_empty(), "one thing at a time");
    assert_eq!(world.dataplane.log, ["StopOutbound"]);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
}

/// RFC 7296 section 2.8: each end has lifetimes of its own and closes what is not replaced in time.
#[test]
fn a_client_that_lets_nothing_be_rekeyed_is_asked_seldom_and_left_when_the_time_is_over() {
    let mut config = config();
    config.ike.rekey_time = Duration::from_secs(100);
    config.ike.over_time = Duration::from_secs(60);
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = alice.login(&mut world);
    let (mut rekeys, mut goodbyes) = (0, 0);
    for _ in 0..170 {
        for sent in world.pass(Duration::from_secs(1)) {
            let header = parse(&sent.bytes).unwrap().header;
            let answer = match header.exchange {
                Exchange::CreateChildSa => {
                    rekeys += 1;
                    vec![notify(NotifyKind::NoProposalChosen, vec![])]
                }
                _liveness_or_goodbye => {
                    goodbyes += usize::from(sa.asked(&sent.bytes).1 == [delete_ike()]);
                    vec![]
                }
            };
            let bytes = sa.ours.seal(&sa.header(header.exchange, true, header.message_id), &answer);
            world.deliver(&alice.on_4500(bytes));
        }
    }
    assert!((2..=4).contains(&rekeys), "{rekeys} rekeys");
    assert_eq!(goodbyes, 1);
    sa.next = 0;
    world.assert_nothing_left();
}

#[test]
fn a_peer_without_a_nat_is_not_followed() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    alice.own = alice.seen;
    let (mut sa, _) = alice.login(&mut world);
    assert!(!world.engine.sessions(world.now)[0].peer_behind_nat);
    let before = world.dataplane.tunnel().1.path;
    let moved = from_port(alice.on_4500(sa.request(Exchange::Informational, &[])), 40_000);
    assert_eq!(world.deliver(&moved)[0].path, moved.path, "answers go to where the request came from");
    assert_eq!(world.dataplane.tunnel().1.path, before);
}

/// RFC 3948 section 4.
#[test]
fn keepalives_are_sent_when_we_are_behind_a_nat_and_quiet() {
    let (mut world, _, _, _) = alice();
    world.pass(Duration::from_secs(29));
    assert!(world.dataplane.keepalives.is_empty(), "there is no NAT in front of us");

    let mut world = World::new(config());
    let mut bob = Client::new("bob@rig", 3);
    let outside = bob.headend;
    bob.headend = SocketAddr::from(([203, 0, 113, 1], 500));
    let spi_i = IkeSpi(bob.word());
    let pair = KeyPair::generate(KexGroup::X25519, &mut bob.random);
    let nonce = bob.bytes(32);
    let payloads = bob.init_payloads(spi_i, &pair, &nonce);
    bob.headend = outside;
    let request = build(&init_header(spi_i), &payloads);
    let sent = world.deliver(&bob.on_500(request.clone()));
    let mut keyed = bob.keyed(request, sent[0].bytes.clone(), nonce, pair);
    let (spi_in, answer) = bob.auth(&mut world, &mut keyed);
    bob.logged_in(&world, &keyed, spi_in, &answer);
    world.pass(Duration::from_secs(19));
    assert!(world.dataplane.keepalives.is_empty());
    world.pass(Duration::from_secs(1));
    let keepalive = Keepalive { path: bob.on_4500(vec![]).path, form: KeepaliveForm::NatT };
    assert_eq!(world.dataplane.keepalives, [keepalive]);
    let sent = world.dataplane.tunnel().1.sends_on().counters.clone();
    world.now = world.now + Duration::from_secs(9);
    sent.charge(1, 100, world.now);
    world.pass(Duration::ZERO);
    assert_eq!(world.dataplane.keepalives.len(), 1);
}

#[test]
fn leaving_says_goodbye_to_all_and_takes_no_one() {
    let mut world = World::new(config());
    let mut clients: Vec<_> = (2..5)
        .map(|host| {
            let mut client = Client::new(&format!("c{host}@rig"), host);
            let (sa, _) = client.login(&mut world);
            (client, sa)
        })
        .collect();
    Client::new("late@rig", 9).init(&mut world);
    world.engine.shut_down(world.now);
    let sent = world.drain();
    assert_eq!(sent.len(), 3);
    assert!(world.dataplane.tunnels.is_empty(), "service ends at once");
    assert!(!world.engine.is_idle());
    let mut late = Client::new("late@rig", 10);
    let pair = KeyPair::generate(KexGroup::X25519, &mut late.random);
    let payloads = late.init_payloads(IkeSpi(5), &pair, &[1; 32]);
    assert!(world.deliver(&late.on_500(build(&init_header(IkeSpi(5)), &payloads))).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::ShuttingDown), 1);

    // The first answers, the second says goodbye itself, the third is gone.
    let (client, sa) = &mut clients[0];
    let (id, payloads) = sa.asked(&sent[0].bytes);
    assert_eq!(payloads, [delete_ike()]);
    let answer = sa.answer(id, &[]);
    world.deliver(&client.on_4500(answer));
    let (client, sa) = &mut clients[1];
    assert_eq!(client.ask(&mut world, sa, Exchange::Informational, &[delete_ike()]), []);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
    assert_eq!(world.pass(Duration::from_secs(100)).len(), 3, "as often as patience allows");
    world.assert_nothing_left();
}

/// RFC 7296 section 2.3: one request at a time, so the goodbye waits for the answer to the question.
#[test]
fn leaving_while_a_peer_is_being_asked_says_goodbye_after_its_answer() {
    let (mut world, alice, mut sa, _) = alice();
    let asked = world.pass(Duration::from_secs(30));
    world.engine.shut_down(world.now);
    assert!(world.drain().is_empty());
    let (id, _) = sa.asked(&asked[0].bytes);
    let answer = sa.answer(id, &[]);
    let sent = world.deliver(&alice.on_4500(answer));
    let (id, payloads) = sa.asked(&sent[0].bytes);
    assert_eq!((id, payloads), (1, vec![delete_ike()]));
    // Who closes makes nothing new.
    let answer = alice.ask(&mut world, &mut sa, Exchange::CreateChildSa, &[]);
    assert_eq!(only_notify(&answer).0, NotifyKind::TemporaryFailure);
    let answer = sa.answer(id, &[]);
    world.deliver(&alice.on_4500(answer));
    world.assert_nothing_left();
}

#[test]
fn the_dataplanes_word_on_what_is_gone_is_taken_calmly() {
    let (mut world, mut alice, mut sa, child) = alice();
    let spi = Spi::new(child.spi_out).unwrap();
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_ike()]);
    for worker in [WorkerId(0), WorkerId(1), WorkerId(63)] {
        assert!(world.event(worker, Event::FirstUse { spi }).is_empty());
    }
    world.assert_nothing_left();
    alice.login(&mut world);
}
