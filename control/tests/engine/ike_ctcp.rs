//! IKEv2 by cTCP: IKE and ESP in one connection, nothing is detected and nothing floats. Two real engines facing each other.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{Transport, Transports};
use adit_control::ike::engine::{Call, Carriage, Engine};
use adit_control::journal::Kind;
use adit_control::session::{SessionId, SessionState};
use adit_dataplane::contract::{EspPath, Event, IkeFraming, Path, Stalling, TunnelKey, WorkerId};
use peer::config;
use peer::line::*;
use peer::stall::report;
use std::time::Duration;

const CONNECTION: [&str; 2] = ["198.51.100.9:40001", "198.51.100.2:10000"];

/// From the caller's end, then from the headend's.
fn paths() -> [Path; 2] {
    let [local, peer] = CONNECTION.map(|end| end.parse().unwrap());
    [Path { local, peer }, Path { local: peer, peer: local }]
}

fn call_by_ctcp() -> Call {
    Call { path: paths()[CALLER], carriage: Carriage::Ctcp, ..call("alice@rig") }
}

fn line() -> Line {
    let mut caller = caller_config(&config());
    caller.connections[0].transports = Transports::NONE.with(Transport::Ctcp);
    Line::new(caller, config())
}

#[track_caller]
fn up() -> (Line, SessionId) {
    let mut line = line();
    let id = line.login(call_by_ctcp());
    line.assert_mirrored(1);
    (line, id)
}

fn key(line: &Line, end: usize) -> TunnelKey {
    *line.ends[end].dataplane.tunnel().0
}

#[test]
fn a_session_stays_on_its_connection_through_rekeys_and_ends_it() {
    let (mut line, id) = up();
    for (end, path) in paths().into_iter().enumerate() {
        let world = &line.ends[end];
        assert_eq!(world.dataplane.tunnel().1.path, EspPath::new(Transport::Ctcp, path));
        assert_eq!(world.dataplane.kept, [path], "the connection is vouched for");
        let session = &world.engine.sessions(line.now)[0];
        assert_eq!((&*session.transport, session.local, session.peer), ("ctcp", path.local, path.peer));
    }
    line.packet(CALLER);
    line.packet(HEADEND);
    line.at(CALLER, |engine, now| engine.rekey_ike(now, id));
    line.at(HEADEND, |engine, now| engine.rekey_children(now, SessionId(1)));
    line.pass_with_traffic(Duration::from_secs(10));
    line.assert_mirrored(1);
    let keys = [key(&line, CALLER), key(&line, HEADEND)];
    line.logout(id);
    for end in [CALLER, HEADEND] {
        assert_eq!(line.ends[end].dataplane.ended, [(paths()[end], keys[end])], "behind the goodbye");
    }
}

#[test]
fn a_headend_that_leaves_ends_the_connection_behind_its_goodbye() {
    let (mut line, _id) = up();
    let keys = [key(&line, CALLER), key(&line, HEADEND)];
    line.at(HEADEND, Engine::shut_down);
    assert!(line.ends[HEADEND].dataplane.ended.is_empty(), "the answer to it is still to come");
    line.pass(Duration::from_secs(1));
    line.assert_nothing_left();
    assert_eq!(line.ends[HEADEND].dataplane.ended, [(paths()[HEADEND], keys[HEADEND])]);
}

#[test]
fn a_login_survives_the_loss_of_each_of_its_messages() {
    for lost in 0..4 {
        let mut line = line();
        line.lose.insert(lost);
        let id = line.call(call_by_ctcp());
        line.pass(Duration::from_secs(10));
        assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", line.ladder);
        line.assert_mirrored(1);
        line.logout(id);
    }
}

/// Everything in the connection is bare: no message has a marker, none goes to another port.
#[test]
fn whatever_nat_detection_says_nothing_floats() {
    let mut line = line();
    let now = line.now;
    let world = &mut line.ends[CALLER];
    world.engine.connect(now, call_by_ctcp()).unwrap();
    let [first] = &world.drain()[..] else { panic!("one message") };
    assert_eq!((first.framing, first.path), (IkeFraming::Ctcp, paths()[CALLER]));
    // A NAT on the way: no hash fits.
    let seen = Path { peer: "203.0.113.7:31000".parse().unwrap(), ..paths()[HEADEND] };
    let datagram = adit_dataplane::contract::IkeDatagram { path: seen, ..first.clone() };
    let headend = &mut line.ends[HEADEND];
    let [answer] = &headend.event(WorkerId(0), Event::Ike(datagram))[..] else { panic!("one answer") };
    assert_eq!((answer.framing, answer.path), (IkeFraming::Ctcp, seen));
    let datagram = adit_dataplane::contract::IkeDatagram { path: paths()[CALLER], ..answer.clone() };
    let [proof] = &line.ends[CALLER].event(WorkerId(0), Event::Ike(datagram))[..] else { panic!("one message") };
    assert_eq!((proof.framing, proof.path), (IkeFraming::Ctcp, paths()[CALLER]));
}

#[test]
fn a_connection_without_ctcp_gives_no_session_by_it() {
    let mut headend = config();
    headend.connections[0].transports = Transports::NONE.with(Transport::NatT).with(Transport::Esp);
    let mut line = Line::new(caller_config(&config()), headend);
    let id = line.call(call_by_ctcp());
    line.pass(Duration::from_secs(5));
    assert_eq!(line.ends[CALLER].engine.state(id), None, "{:#?}", line.ladder);
    line.pass(Duration::from_secs(20));
    line.assert_nothing_left();
}

/// The headend's worker says so of its connection with the caller.
fn says(line: &mut Line, stalling: Stalling) {
    let tunnel = key(line, HEADEND);
    line.at(HEADEND, |engine, now| {
        engine.handle_event(now, tunnel.worker, report(tunnel, paths()[HEADEND], stalling));
    });
}

#[test]
fn a_client_that_is_cut_off_is_asked_and_let_go_and_one_that_answers_stays() {
    let (mut line, id) = up();
    for _ in 0..2 {
        line.pass(Duration::from_secs(1));
        says(&mut line, Stalling::Suspected);
        assert!(line.ladder.last().unwrap().contains("<-- INFORMATIONAL request"), "{:#?}", line.ladder);
        line.pass(Duration::from_secs(1));
        says(&mut line, Stalling::Certain);
        line.assert_mirrored(1);
    }
    line.pass(Duration::from_secs(1));
    let address = line.ends[HEADEND].engine.sessions(line.now)[0].addresses.clone();
    let key = key(&line, HEADEND);
    // From now on nothing of the client's comes.
    line.lose.extend(line.sent + 1..line.sent + 50);
    says(&mut line, Stalling::Suspected);
    line.pass(Duration::from_secs(1));
    says(&mut line, Stalling::Certain);
    assert!(line.ends[HEADEND].engine.sessions(line.now).is_empty());
    assert_eq!(line.ends[HEADEND].dataplane.ended, [(paths()[HEADEND], key)]);
    let counters = line.ends[HEADEND].engine.counters();
    assert_eq!((counters.stalls_suspected, counters.stalls_ended), (3, 1));
    let told: Vec<_> = line.ends[HEADEND].dataplane.happenings.iter().map(|told| told.what.kind()).collect();
    let refuted = [Kind::StallSuspected, Kind::StallRefuted];
    let found = [Kind::StallSuspected, Kind::StallFound, Kind::Logout];
    assert_eq!(told, [&[Kind::Login][..], &refuted, &refuted, &found].concat());
    // Its addresses wait for it.
    line.lose.clear();
    line.at(CALLER, |engine, now| engine.disconnect(now, id));
    line.pass(Duration::from_secs(60));
    let again = line.login(call_by_ctcp());
    assert_eq!(line.ends[HEADEND].engine.sessions(line.now)[0].addresses, address);
    line.logout(again);
}
