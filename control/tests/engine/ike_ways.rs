//! Sessions that we have started and that have several ways: two real engines facing each other.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{Config, Transport, Transports};
use adit_control::ike::engine::{Asking, Call, Carriage, Mode};
use adit_control::session::{SessionId, SessionState};
use adit_dataplane::contract::{EspPath, Event, Path};
use peer::calls::{self, Method};
use peer::config;
use peer::line::*;
use std::time::Duration;

/// How ESP goes, and the call that goes so.
const WAYS: [Transport; 3] = [Transport::NatT, Transport::Ctcp, Transport::Esp];

/// A connection for each way, as the client has it.
fn caller(headend: &Config) -> Config {
    let mut caller = caller_config(headend);
    let connection = caller.connections[0].clone();
    caller.connections = WAYS
        .map(|way| {
            let mut connection = connection.clone();
            connection.transports = Transports::NONE.with(way);
            connection
        })
        .to_vec();
    caller
}

fn by(call: &Call, way: Transport) -> Call {
    let connection = WAYS.iter().position(|one| *one == way).unwrap();
    let call = Call { connection, ..call.clone() };
    match way {
        Transport::Ctcp => {
            let ends = ["198.51.100.9:40001", "198.51.100.2:10000"].map(|end| end.parse().unwrap());
            Call { carriage: Carriage::Ctcp, path: Path { local: ends[0], peer: ends[1] }, ..call }
        }
        Transport::NatT | Transport::NatT500 | Transport::CiscoUdp | Transport::Esp | Transport::Tcp => call,
    }
}

/// Of both versions of IKE: the line, and a call.
fn lines() -> [(Line, Call); 2] {
    let v2 = (Line::new(caller(&config()), config()), call("alice@rig"));
    let [caller_v1, headend_v1] = calls::configs(Method::XauthPsk);
    let mut several = caller(&headend_v1);
    for connection in &mut several.connections {
        connection.login = caller_v1.connections[0].login.clone();
    }
    [(calls::connect([several, headend_v1]), calls::call(Method::XauthPsk, Mode::Aggressive)), v2]
}

#[track_caller]
fn goes_by(line: &Line, way: Transport) {
    for end in &line.ends {
        assert_eq!(end.dataplane.tunnel().1.path.transport(), way, "{:#?}", line.ladder);
    }
}

/// The headend's worker follows the first packet that comes the new way, as its own tests show.
fn esp_follows(line: &mut Line) {
    let path = line.ends[CALLER].dataplane.tunnel().1.path;
    let back = EspPath::new(path.transport(), Path { local: path.path().peer, peer: path.path().local });
    let tunnel = *line.ends[HEADEND].dataplane.tunnel().0;
    line.at(HEADEND, |engine, now| {
        engine.handle_event(now, tunnel.worker, Event::Moved { tunnel, path: back });
    });
}

fn up(line: &mut Line, call: Call) -> SessionId {
    let id = line.call(call);
    line.pass(Duration::from_secs(5));
    assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", line.ladder);
    line.assert_mirrored(1);
    id
}

#[test]
fn a_session_goes_every_other_way_with_its_ike_and_back_and_stays_the_same() {
    for (mut line, call) in lines() {
        let id = up(&mut line, by(&call, Transport::Ctcp));
        goes_by(&line, Transport::Ctcp);
        let before = line.ends[HEADEND].engine.sessions(line.now)[0].clone();
        for way in [Transport::NatT, Transport::Ctcp, Transport::Esp, Transport::NatT, Transport::Ctcp] {
            let other = by(&call, way);
            let along = match way {
                Transport::Ctcp => other.path,
                Transport::NatT | Transport::NatT500 | Transport::CiscoUdp | Transport::Esp | Transport::Tcp => {
                    other.natt
                }
            };
            let sent = line.sent;
            line.at(CALLER, |engine, now| engine.go_by(now, id, &other));
            assert_eq!(line.sent, sent + 1, "the headend is asked for a sign of life: {:#?}", line.ladder);
            line.pass(Duration::from_secs(1));
            esp_follows(&mut line);
            let [ours, theirs] = line.ends.each_ref().map(|end| end.engine.sessions(line.now)[0].clone());
            assert_eq!((&*ours.transport, &*theirs.transport), (way.name(), way.name()));
            assert_eq!((ours.local, ours.peer), (along.local, along.peer));
            assert_eq!((theirs.local, theirs.peer), (along.peer, along.local), "{:#?}", line.ladder);
            assert_eq!((&theirs.id, &theirs.addresses), (&before.id, &before.addresses));
            assert_eq!(line.ends[CALLER].engine.pulse(id).unwrap().asking, Asking::Nothing, "it was answered there");
            line.packet(CALLER);
            line.packet(HEADEND);
        }
        // Either end may ask, and replace keys.
        line.at(CALLER, |engine, now| engine.rekey_ike(now, id));
        line.at(CALLER, |engine, now| engine.rekey_children(now, id));
        line.pass_with_traffic(Duration::from_secs(10));
        line.pass(Duration::from_secs(100));
        goes_by(&line, Transport::Ctcp);
        line.logout(id);
    }
}

/// What was asked the dead way is asked the other way, and an answer that comes late moves nothing back.
#[test]
fn what_is_under_way_is_asked_again_the_other_way() {
    for (mut line, call) in lines() {
        let id = up(&mut line, by(&call, Transport::NatT));
        line.pass(Duration::from_secs(1));
        line.lose.insert(line.sent);
        line.at(CALLER, |engine, now| engine.probe(now, id));
        let pulse = line.ends[CALLER].engine.pulse(id).unwrap();
        assert_eq!(pulse.asking, Asking::Something);
        assert!(pulse.heard < line.now);
        line.at(CALLER, |engine, now| engine.go_by(now, id, &by(&call, Transport::Ctcp)));
        line.pass(Duration::from_secs(1));
        let answered = line.ends[CALLER].engine.pulse(id).unwrap();
        assert_eq!(answered.asking, Asking::Nothing, "{:#?}", line.ladder);
        assert!(answered.heard > pulse.heard);
        // The headend asks the new way.
        line.at(HEADEND, |engine, now| engine.probe(now, SessionId(1)));
        line.pass(Duration::from_secs(1));
        let session = &line.ends[CALLER].engine.sessions(line.now)[0];
        assert_eq!(session.peer.port(), 10_000);
        line.logout(id);
    }
}

#[test]
fn a_call_counts_as_answered_from_its_first_answer_on() {
    for (mut line, call) in lines() {
        let id = line.call(by(&call, Transport::NatT));
        assert!(!line.ends[CALLER].engine.is_answered(id));
        line.pass(DELAY + DELAY / 2);
        assert!(!line.ends[CALLER].engine.is_answered(id));
        line.pass(DELAY);
        assert!(line.ends[CALLER].engine.is_answered(id));
        line.pass(Duration::from_secs(5));
        line.logout(id);
    }
}
