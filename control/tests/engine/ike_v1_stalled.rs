//! Sessions whose cTCP connection brings nothing of their client's any more: who is ended, who is not, and what is left.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::ike::v1::wire::{Delete, NotifyKind, Payload, Vendor};
use adit_control::session::SessionState;
use adit_dataplane::contract::{EspPath, Event, IkeDatagram, Path, Stalling, Transport, TunnelKey};
use peer::World;
use peer::stall::report;
use peer::v1::*;
use std::time::Duration;

struct Stalled {
    world: World,
    alice: ClientV1,
    sa: SaV1,
    tunnel: TunnelKey,
    path: Path,
}

impl Stalled {
    fn new() -> Self {
        let mut world = World::new(config_v1());
        let mut alice = ClientV1::by_ctcp("alice", 9);
        let (sa, ..) = alice.connect(&mut world);
        let (tunnel, path) = (*world.dataplane.tunnel().0, alice.on_500(vec![]).path);
        world.pass(Duration::from_secs(1));
        Self { world, alice, sa, tunnel, path }
    }

    fn says(&mut self, stalling: Stalling) -> Vec<IkeDatagram> {
        self.world.event(self.tunnel.worker, report(self.tunnel, self.path, stalling))
    }

    fn asks(&mut self, sent: &[IkeDatagram]) -> u32 {
        let [question] = sent else { panic!("one question, not {}", sent.len()) };
        let [Payload::Notify(notify)] = &self.sa.informed(&question.bytes)[..] else { panic!("DPD") };
        assert_eq!(notify.kind, NotifyKind::RUThere);
        u32::from_be_bytes(notify.data[..].try_into().unwrap())
    }

    fn is_up(&self) -> bool {
        self.world.engine.sessions(self.world.now).iter().any(|session| session.state == SessionState::Up)
    }
}

#[test]
fn a_client_that_cannot_be_heard_is_asked_told_reset_and_gets_its_address_again() {
    let mut stalled = Stalled::new();
    let sent = stalled.says(Stalling::Suspected);
    stalled.asks(&sent);
    assert!(stalled.is_up(), "a suspicion ends nothing");
    stalled.world.pass(Duration::from_secs(1));
    stalled.world.dataplane.log.clear();
    let address = stalled.world.engine.sessions(stalled.world.now)[0].addresses.clone();
    let sent = stalled.says(Stalling::Certain);
    let [goodbye] = &sent[..] else { panic!("one delete") };
    let told = stalled.sa.informed(&goodbye.bytes);
    assert!(matches!(&told[..], [Payload::Delete(Delete::Isakmp(_))]), "{told:?}");
    assert_eq!(goodbye.path, stalled.path, "through the connection itself");
    assert_eq!(stalled.world.dataplane.ended, [(stalled.path, stalled.tunnel)]);
    let counters = stalled.world.engine.counters();
    assert_eq!((counters.stalls_suspected, counters.stalls_ended), (1, 1));
    stalled.world.assert_nothing_left();
    // Bob, who has had none before, does not get what is hers.
    let mut bob = ClientV1::by_ctcp("bob", 10);
    bob.connect(&mut stalled.world);
    let mut again = ClientV1::by_ctcp("alice", 9);
    again.seen.set_port(40_777);
    again.connect(&mut stalled.world);
    let sessions = stalled.world.engine.sessions(stalled.world.now);
    assert_ne!(sessions[0].addresses, address);
    assert_eq!(sessions[1].addresses, address);
}

/// Behind an in-order box its segments without data betray it; a proxy hides even those.
#[test]
fn who_is_asked_twice_and_says_nothing_for_half_of_the_time_is_ended_before_the_worker_is_certain() {
    for stalling in [Stalling::Suspected, Stalling::Silent] {
        let mut stalled = Stalled::new();
        let sent = stalled.says(stalling);
        let number = stalled.asks(&sent);
        assert!(stalled.says(stalling).is_empty(), "asked already");
        assert!(stalled.world.pass(Duration::from_millis(1400)).is_empty());
        let sent = stalled.world.pass(Duration::from_millis(200));
        assert_eq!(stalled.asks(&sent), number, "the same question again");
        assert!(stalled.world.pass(Duration::from_millis(1300)).is_empty() && stalled.is_up());
        let sent = stalled.world.pass(Duration::from_millis(200));
        let [goodbye] = &sent[..] else { panic!("one delete") };
        assert!(matches!(&stalled.sa.informed(&goodbye.bytes)[..], [Payload::Delete(Delete::Isakmp(_))]));
        assert_eq!(stalled.world.dataplane.ended, [(stalled.path, stalled.tunnel)]);
        stalled.world.assert_nothing_left();
    }
}

#[test]
fn an_answer_to_either_question_ends_the_suspicion() {
    for late in [100, 1700, 2900] {
        let mut stalled = Stalled::new();
        let sent = stalled.says(Stalling::Silent);
        let number = stalled.asks(&sent);
        stalled.world.pass(Duration::from_millis(late));
        let answer = stalled.sa.inform(77, dpd(NotifyKind::RUThereAck, stalled.sa.cookies, number));
        stalled.world.deliver(&stalled.alice.later(answer));
        assert!(stalled.world.pass(Duration::from_secs(8)).is_empty(), "{late} ms");
        assert!(stalled.is_up());
        // The next time begins anew.
        let sent = stalled.says(Stalling::Silent);
        assert_eq!(stalled.asks(&sent), number + 1);
    }
}

/// A proxy takes what we send, and keeps it, or cuts it into what a Cisco client cannot read.
#[test]
fn who_is_heard_but_does_not_answer_while_it_is_sent_to_gets_nothing_and_is_ended() {
    let mut stalled = Stalled::new();
    let sent = stalled.says(Stalling::Unanswered);
    let number = stalled.asks(&sent);
    for question in 2..=4 {
        // It asks, too, for it hears nothing: a question is no answer.
        let own = stalled.sa.inform(70 + question, dpd(NotifyKind::RUThere, stalled.sa.cookies, 1000 + question));
        assert_eq!(stalled.world.deliver(&stalled.alice.later(own)).len(), 1);
        assert!(stalled.world.pass(Duration::from_millis(700)).is_empty(), "{question}");
        let sent = stalled.world.pass(Duration::from_millis(60));
        assert_eq!(stalled.asks(&sent), number, "the same question again");
    }
    let sent = stalled.world.pass(Duration::from_secs(1));
    let [goodbye] = &sent[..] else { panic!("one delete") };
    assert!(matches!(&stalled.sa.informed(&goodbye.bytes)[..], [Payload::Delete(Delete::Isakmp(_))]));
    assert_eq!(stalled.world.dataplane.ended, [(stalled.path, stalled.tunnel)]);
    stalled.world.assert_nothing_left();
    let mut stalled = Stalled::new();
    let sent = stalled.says(Stalling::Unanswered);
    let number = stalled.asks(&sent);
    stalled.world.pass(Duration::from_millis(2900));
    let answer = stalled.sa.inform(77, dpd(NotifyKind::RUThereAck, stalled.sa.cookies, number));
    stalled.world.deliver(&stalled.alice.later(answer));
    assert!(stalled.world.pass(Duration::from_secs(8)).is_empty() && stalled.is_up());
    let sent = stalled.says(Stalling::Unanswered);
    assert_eq!(stalled.asks(&sent), number + 1, "it goes on, and so does the asking");
}

/// Its network may be gone for longer than that; it goes on where it stood.
#[test]
fn our_own_client_is_not_asked_because_its_esp_has_stopped() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    alice.vendors.push(Vendor::Repeats);
    alice.connect(&mut world);
    let (tunnel, path) = (*world.dataplane.tunnel().0, alice.on_500(vec![]).path);
    for quiet in [Stalling::Silent, Stalling::Unanswered] {
        assert!(world.event(tunnel.worker, report(tunnel, path, quiet)).is_empty());
    }
    assert_eq!(world.event(tunnel.worker, report(tunnel, path, Stalling::Suspected)).len(), 1);
}

/// Nobody can ask it; only what the worker knows counts.
#[test]
fn a_client_without_dpd_is_ended_when_the_worker_is_certain_and_not_before() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::by_ctcp("alice", 9);
    alice.vendors.retain(|vendor| *vendor != Vendor::Dpd);
    alice.connect(&mut world);
    let (tunnel, path) = (*world.dataplane.tunnel().0, alice.on_500(vec![]).path);
    for stalling in [Stalling::Silent, Stalling::Suspected] {
        assert!(world.event(tunnel.worker, report(tunnel, path, stalling)).is_empty());
        assert!(world.pass(Duration::from_secs(20)).is_empty());
    }
    assert_eq!(world.event(tunnel.worker, report(tunnel, path, Stalling::Certain)).len(), 1, "the delete");
    world.assert_nothing_left();
}

#[test]
fn who_answers_inside_ike_is_not_ended_whatever_is_said_of_its_connection() {
    let mut stalled = Stalled::new();
    let sent = stalled.says(Stalling::Suspected);
    let number = stalled.asks(&sent);
    stalled.world.pass(Duration::from_secs(1));
    let answer = stalled.sa.inform(77, dpd(NotifyKind::RUThereAck, stalled.sa.cookies, number));
    stalled.world.deliver(&stalled.alice.later(answer));
    // However certain the worker is, that begins with a question again.
    let sent = stalled.says(Stalling::Certain);
    stalled.asks(&sent);
    assert!(stalled.is_up() && stalled.world.dataplane.ended.is_empty());
    assert_eq!(stalled.world.engine.counters().stalls_ended, 0);
}

#[test]
fn a_session_that_goes_another_way_by_now_does_not_mind() {
    let mut stalled = Stalled::new();
    let natt = Path { local: "198.51.100.2:4500".parse().unwrap(), peer: "203.0.113.9:31000".parse().unwrap() };
    let moved = Event::Moved { tunnel: stalled.tunnel, path: EspPath::new(Transport::NatT, natt) };
    stalled.world.event(stalled.tunnel.worker, moved);
    for stalling in [Stalling::Suspected, Stalling::Certain] {
        assert!(stalled.says(stalling).is_empty());
    }
    assert!(stalled.is_up());
    let nobodys = TunnelKey { slot: 999, ..stalled.tunnel };
    for stalling in [Stalling::Suspected, Stalling::Certain] {
        assert!(stalled.world.event(nobodys.worker, report(nobodys, stalled.path, stalling)).is_empty());
    }
}

#[test]
fn a_session_by_ctcp_that_ends_resets_its_connection_behind_its_last_words() {
    // By the operator, and by the client.
    let mut stalled = Stalled::new();
    stalled.world.dataplane.log.clear();
    let id = adit_control::session::SessionId(1);
    stalled.world.engine.disconnect(stalled.world.now, id);
    let sent = stalled.world.drain();
    assert_eq!((sent.len(), stalled.world.dataplane.ended.len()), (1, 1));
    assert_eq!(stalled.world.dataplane.log[..3], ["Routes", "EndConnection", "DropTunnel"]);
    let mut stalled = Stalled::new();
    log_out(&mut stalled.world, &mut stalled.alice, &mut stalled.sa);
    assert_eq!(stalled.world.dataplane.ended, [(stalled.path, stalled.tunnel)]);
}
