//! Sessions that we have started and that have several ways: two real engines facing each other.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::aaa::{Rejection, Verdict, Why};
use adit_control::config::checked::{Config, Login, NativeEsp, Transport, Transports};
use adit_control::ike::counters::Ignored;
use adit_control::ike::engine::{Asking, Call, CannotClose, Carriage, Engine, Mode};
use adit_control::journal::Kind;
use adit_control::session::{Cause, SessionId, SessionState};
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

#[test]
fn a_call_is_heard_once_the_headend_has_spoken_where_everything_goes_from_then_on() {
    for (mut line, call) in lines() {
        // Port 500 is answered, and the headend hears nothing, or nobody hears it, on port 4500.
        line.lose = (2..400).collect();
        let id = line.call(by(&call, Transport::NatT));
        for _ in 0..200 {
            line.pass(Duration::from_secs(1));
            assert!(!line.ends[CALLER].engine.is_heard(id), "{:#?}", line.ladder);
        }
        assert_eq!(line.ends[CALLER].engine.state(id), None);
        assert_eq!(line.ends[CALLER].engine.why_ended(id), Some(Cause::PeerDead));
        line.lose.clear();
        let id = up(&mut line, by(&call, Transport::NatT));
        assert!(line.ends[CALLER].engine.is_heard(id));
        assert_eq!(line.ends[CALLER].engine.why_ended(id), None);
        line.logout(id);
        assert_eq!(line.ends[CALLER].engine.why_ended(id), Some(Cause::Asked));
    }
}

#[test]
fn a_call_that_waits_for_its_user_is_heard_and_one_that_is_refused_says_so() {
    let [(mut line, call), _] = lines();
    let id = line.call(by(&call, Transport::NatT));
    // Our third message, and the headend's question.
    while !line.ends[CALLER].engine.is_heard(id) {
        line.pass(Duration::from_millis(1));
    }
    assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Connecting));
    let [(mut line, call), _] = lines();
    line.judge = |_| Verdict::Reject(Rejection { why: Why::WrongPassword, message: None });
    let id = line.call(by(&call, Transport::NatT));
    line.pass(Duration::from_secs(100));
    assert_eq!(line.ends[CALLER].engine.why_ended(id), Some(Cause::Refused), "{:#?}", line.ladder);
}

#[test]
fn native_esp_where_a_nat_is_in_the_way_is_why_a_call_ends() {
    for headend in [config(), calls::configs(Method::XauthPsk)[1].clone()] {
        let is_v1 = matches!(headend.connections[0].login, Login::V1(_));
        let mut caller = caller(&headend);
        // It makes believe that there is one, and its connection has nothing but native ESP.
        caller.listen.native_esp = NativeEsp::Refused;
        let call = if is_v1 { calls::call(Method::XauthPsk, Mode::Aggressive) } else { call("alice@rig") };
        let mut line = calls::connect([caller, headend]);
        let id = line.call(by(&call, Transport::Esp));
        line.pass(Duration::from_secs(100));
        let why = line.ends[CALLER].engine.why_ended(id);
        assert_eq!(why, Some(Cause::NoUdpEncapsulation), "{:#?}", line.ladder);
    }
}

/// The transports that the headend's tunnel may use now.
fn open(line: &Line) -> Transports {
    let (_, tunnel) = line.ends[HEADEND].dataplane.tunnel();
    tunnel.transports.without(tunnel.closed)
}

/// The transport of the session, as either end tells it.
fn shown(line: &Line) -> [String; 2] {
    line.ends.each_ref().map(|end| end.engine.sessions(line.now)[0].transport.clone())
}

fn close(line: &mut Line, transport: Transport) -> Result<Transports, CannotClose> {
    let closed = |engine: &mut Engine, now| {
        engine.close_transport(now, SessionId(1), transport, Duration::from_secs(20), "root")
    };
    let headend = &mut line.ends[HEADEND];
    let done = closed(&mut headend.engine, line.now);
    line.at(HEADEND, |_, _| ());
    done
}

#[test]
fn a_session_to_which_its_transport_is_closed_is_not_heard_there_goes_another_way_and_may_come_back_later() {
    for (mut line, call) in lines() {
        let id = up(&mut line, by(&call, Transport::Ctcp));
        let all = open(&line);
        let left = close(&mut line, Transport::Ctcp).unwrap();
        assert_eq!((left, open(&line)), (all.without(Transports::NONE.with(Transport::Ctcp)), left));
        assert!(left.contains(Transport::NatT));
        // It asks the way that is closed, once and again, and hears nothing; nothing of it counts as a sign of life.
        let heard = line.ends[HEADEND].engine.pulse(SessionId(1)).unwrap().heard;
        line.at(CALLER, |engine, now| engine.probe(now, id));
        line.pass(Duration::from_secs(5));
        assert_eq!(line.ends[CALLER].engine.pulse(id).unwrap().asking, Asking::Something, "{:#?}", line.ladder);
        let headend = &line.ends[HEADEND].engine;
        assert!(headend.counters().ignored(Ignored::TransportClosed) > 0);
        assert_eq!(headend.pulse(SessionId(1)).unwrap().heard, heard);
        // Nor is it asked there.
        let sent = line.sent;
        line.at(HEADEND, |engine, now| engine.probe(now, SessionId(1)));
        assert_eq!(line.sent, sent);
        // The same request is answered where it comes another way.
        line.at(CALLER, |engine, now| engine.go_by(now, id, &by(&call, Transport::NatT)));
        line.pass(Duration::from_secs(1));
        esp_follows(&mut line);
        assert_eq!(shown(&line), ["nat-t", "nat-t"]);
        assert_eq!(line.ends[CALLER].engine.pulse(id).unwrap().asking, Asking::Nothing, "{:#?}", line.ladder);
        // It is not let back before its time: the headend stays where it is.
        line.at(CALLER, |engine, now| engine.go_by(now, id, &by(&call, Transport::Ctcp)));
        line.pass(Duration::from_secs(2));
        assert_eq!(shown(&line), ["ctcp", "nat-t"]);
        line.at(CALLER, |engine, now| engine.go_by(now, id, &by(&call, Transport::NatT)));
        line.pass(Duration::from_secs(20));
        assert_eq!(open(&line), all, "its time is over");
        line.at(CALLER, |engine, now| engine.go_by(now, id, &by(&call, Transport::Ctcp)));
        line.pass(Duration::from_secs(1));
        esp_follows(&mut line);
        assert_eq!(shown(&line), ["ctcp", "ctcp"]);
        // Whoever leaves is heard by any way.
        close(&mut line, Transport::Ctcp).unwrap();
        line.logout(id);
        let closed: Vec<_> =
            line.ends[HEADEND].dataplane.happenings.iter().map(|happening| happening.what.kind()).collect();
        assert_eq!(closed.iter().filter(|kind| **kind == Kind::TransportClosed).count(), 2, "{closed:?}");
    }
}

#[test]
fn the_last_transport_is_not_closed_nor_any_of_a_session_that_we_have_called_for_or_that_is_not_there() {
    for (mut line, call) in lines() {
        let (now, minute) = (line.now, Duration::from_secs(60));
        let engine = &mut line.ends[HEADEND].engine;
        assert_eq!(engine.close_transport(now, SessionId(1), Transport::Ctcp, minute, "root"), Err(CannotClose::NotUp));
        let id = up(&mut line, by(&call, Transport::Ctcp));
        let engine = &mut line.ends[CALLER].engine;
        let ours = engine.close_transport(now, id, Transport::Ctcp, minute, "root");
        assert_eq!(ours, Err(CannotClose::WeHaveCalled));
        let mut still = open(&line);
        for transport in still.iter().skip(1) {
            let left = close(&mut line, transport).unwrap();
            assert_eq!(left, still.without(Transports::NONE.with(transport)));
            still = left;
        }
        let last = still.iter().next().unwrap();
        assert_eq!(close(&mut line, last), Err(CannotClose::NoOther));
        assert_eq!(open(&line), still, "nothing has changed");
        line.pass(Duration::from_secs(21));
        assert!(open(&line).contains(Transport::Ctcp), "one time ends them all");
        line.logout(id);
    }
}

/// Whoever logs in anew does not know what was closed to its session, and may have no other way.
#[test]
fn a_login_anew_by_a_transport_that_is_closed_opens_it_again_and_one_by_another_does_not() {
    for (anew, still_closed) in [(Transport::Ctcp, false), (Transport::NatT, true)] {
        let [(mut line, call), _] = lines();
        let id = up(&mut line, by(&call, anew));
        let all = open(&line);
        close(&mut line, Transport::Ctcp).unwrap();
        let before = line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone();
        line.at(CALLER, |engine, now| engine.rekey_ike(now, id));
        line.pass(Duration::from_secs(3));
        let [ours, theirs] = line.ends.each_ref().map(|end| end.engine.sessions(line.now)[0].clone());
        assert_ne!(ours.ike_spis, before, "{:#?}", line.ladder);
        assert_eq!(ours.ike_spis, theirs.ike_spis, "{:#?}", line.ladder);
        assert_eq!(shown(&line), [anew.name(), anew.name()]);
        assert_eq!(open(&line) != all, still_closed);
        line.at(CALLER, |engine, now| engine.probe(now, id));
        line.pass(Duration::from_secs(1));
        assert_eq!(line.ends[CALLER].engine.pulse(id).unwrap().asking, Asking::Nothing, "{:#?}", line.ladder);
        line.logout(id);
    }
}
