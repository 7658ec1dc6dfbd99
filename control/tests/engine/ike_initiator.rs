//! The initiator's login (RFC 7296 sections 1.2, 2.6, 2.15 and 2.23): two real engines facing each other.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{IdPattern, IkeProposal};
use adit_control::ike::engine::{CannotCall, Carriage, Contact, Engine};
use adit_control::ike::wire::*;
use adit_control::lease::{Ask, Want};
use adit_control::session::SessionState;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{Event, IkeDatagram, IkeFraming, Path, WorkerId};
use peer::client::{init_header, notify};
use peer::config;
use peer::line::*;
use std::time::Duration;

fn line() -> Line {
    Line::new(caller_config(&config()), config())
}

// initiator --> HDR, SAi1, KEi, Ni, N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP)
// responder <-- HDR, SAr1, KEr, Nr, N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP)
// initiator --> HDR, SK {IDi, N(INITIAL_CONTACT), AUTH, CP(CFG_REQUEST), SAi2, TSi, TSr}
// responder <-- HDR, SK {IDr, AUTH, CP(CFG_REPLY), SAr2, TSi, TSr}
#[test]
fn two_engines_log_in_carry_packets_and_log_out() {
    let mut line = line();
    let id = line.login(call("alice@rig"));
    let kinds: Vec<&str> = line.ladder.iter().map(|step| step[4..].split(" of ").next().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "--> IKE_SA_INIT request 0",
            "<-- IKE_SA_INIT response 0",
            "--> IKE_AUTH request 1",
            "<-- IKE_AUTH response 1"
        ]
    );
    line.assert_mirrored(1);
    let [caller, headend] = &line.ends;
    let (ours, theirs) = (caller.engine.sessions(line.now), headend.engine.sessions(line.now));
    assert_eq!(ours[0].addresses, theirs[0].addresses);
    assert_eq!(ours[0].addresses.len(), 2);
    assert_eq!((&*ours[0].identity, &*theirs[0].identity), ("headend.rig", "alice@rig"));
    assert_eq!(
        (ours[0].peer, theirs[0].peer),
        (call("alice@rig").natt.peer, call("alice@rig").natt.local),
        "on port 4500"
    );
    let inside = "10.20.0.7".parse().unwrap();
    assert_eq!(caller.dataplane.route(inside), Some(*caller.dataplane.tunnel().0), "what is behind the headend");
    assert_eq!(headend.dataplane.route(ours[0].addresses[0]), Some(*headend.dataplane.tunnel().0));
    line.packet(CALLER);
    line.packet(HEADEND);
    line.logout(id);
}

#[test]
fn either_end_may_ask_whether_the_other_lives_and_end_the_session() {
    for leaves in [CALLER, HEADEND] {
        let mut line = line();
        line.login(call("alice@rig"));
        line.pass(Duration::from_secs(100));
        let asks = |arrow: &str, line: &Line| {
            line.ladder.iter().filter(|s| s.contains(arrow) && s.contains("INFORMATIONAL request")).count()
        };
        assert!(asks("-->", &line) + asks("<--", &line) >= 3, "{:#?}", line.ladder);
        line.assert_mirrored(1);
        line.at(leaves, Engine::shut_down);
        line.pass(Duration::from_secs(1));
        line.assert_nothing_left();
    }
}

#[test]
fn a_login_survives_the_loss_of_each_of_its_messages() {
    for lost in 0..4 {
        let mut line = line();
        line.lose.insert(lost);
        let id = line.call(call("alice@rig"));
        line.pass(Duration::from_secs(10));
        assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", line.ladder);
        assert_eq!(line.sent, if lost % 2 == 0 { 5 } else { 6 }, "{:#?}", line.ladder);
        line.assert_mirrored(1);
        line.logout(id);
    }
}

// initiator --> HDR, SAi1 {x25519, ecp256}, KEi (x25519), Ni
// responder <-- HDR, N(INVALID_KE_PAYLOAD, ecp256)
// initiator --> HDR, SAi1 {x25519, ecp256}, KEi (ecp256), Ni
#[test]
fn another_group_is_used_if_the_responder_wants_it() {
    let (mut headend, mut caller) = (config(), caller_config(&config()));
    peer::login(&mut headend).ike_proposals = vec![IkeProposal::parse("aes128gcm16-prfsha256-ecp256").unwrap()];
    peer::login(&mut caller).ike_proposals = vec![IkeProposal::parse("aes128gcm16-prfsha256-x25519-ecp256").unwrap()];
    let mut line = Line::new(caller, headend);
    let id = line.login(call("alice@rig"));
    assert_eq!(line.sent, 6);
    line.assert_mirrored(1);
    line.logout(id);
}

/// The first message that a caller sent, and the way of an answer to it.
fn first_message(line: &mut Line) -> IkeDatagram {
    let _id = line.ends[CALLER].engine.connect(line.now, call("alice@rig")).unwrap();
    let [sent] = &line.ends[CALLER].drain()[..] else { panic!("one message") };
    sent.clone()
}

fn answer_first(line: &mut Line, first: &IkeDatagram, payloads: &[Payload]) -> Vec<IkeDatagram> {
    let header = parse(&first.bytes).unwrap().header;
    // Who makes an IKE SA of it says its SPI.
    let made = payloads.iter().any(|payload| matches!(payload, Payload::Sa(_)));
    let responder_spi = IkeSpi(if made { 7 } else { 0 });
    let header = Header {
        responder_spi,
        flags: Flags { initiator: false, response: true },
        ..init_header(header.initiator_spi)
    };
    let path = first.path;
    let datagram = IkeDatagram { path, framing: IkeFraming::Bare, bytes: build(&header, payloads) };
    line.ends[CALLER].event(WorkerId(0), Event::Ike(datagram))
}

// initiator --> HDR, SAi1, KEi, Ni
// responder <-- HDR, N(COOKIE)
// initiator --> HDR, N(COOKIE), SAi1, KEi, Ni
#[test]
fn a_cookie_is_brought_back_in_front_of_the_same_message() {
    let mut line = line();
    let first = first_message(&mut line);
    let cookie = notify(NotifyKind::Cookie, vec![7; 64]);
    let sent = answer_first(&mut line, &first, std::slice::from_ref(&cookie));
    let (before, after) = (parse(&first.bytes).unwrap(), parse(&sent[0].bytes).unwrap());
    assert_eq!(after.header, before.header, "the same SPI and Message ID");
    assert_eq!(after.payloads[0], cookie);
    assert_eq!(after.payloads[1..], before.payloads[..]);
    // A responder that never has enough is left.
    let mut again = 1;
    while !answer_first(&mut line, &first, std::slice::from_ref(&cookie)).is_empty() {
        again += 1;
    }
    assert_eq!(again, 6);
    line.assert_nothing_left();
    // A cookie of no length, or too long, is none.
    let first = first_message(&mut line);
    for data in [vec![], vec![1; 65]] {
        assert!(answer_first(&mut line, &first, &[notify(NotifyKind::Cookie, data)]).is_empty());
    }
    assert_eq!(line.ends[CALLER].engine.holdings().calls, 1);
}

// initiator --> HDR(A, 0), SAi1, KEi, Ni                the network doubles it
// responder <-- HDR(A, 0), N(COOKIE)                    to one of the two
// initiator --> HDR(A, 0), N(COOKIE), SAi1, KEi, Ni
// responder <-- HDR(A, B), SAr1, KEr, Nr                to the other, which came when no cookies were asked for any more
// initiator --> HDR(A, B), SK {IDi, AUTH, ...}          over the message with the cookie
// responder <-- HDR(A, B), SK {N(AUTHENTICATION_FAILED)}
// initiator --> HDR(C, 0), SAi1, KEi, Ni
#[test]
fn a_call_is_made_once_more_if_the_responder_has_answered_another_first_message_than_the_last() {
    let other_key = SecretBytes::from(&b"another-key"[..]);
    for (key, state) in [(None, Some(SessionState::Up)), (Some(other_key), None)] {
        let mut headend = config();
        if let Some(key) = key {
            peer::login(&mut headend).psk = key;
        }
        let mut line = Line::new(caller_config(&config()), headend);
        let id = line.call(call("alice@rig"));
        let spis = line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone();
        let spi = u64::from_str_radix(spis.split('_').next().unwrap(), 16).unwrap();
        let header = Header { flags: Flags { initiator: false, response: true }, ..init_header(IkeSpi(spi)) };
        let bytes = build(&header, &[notify(NotifyKind::Cookie, vec![7; 16])]);
        let asks = IkeDatagram { path: call("alice@rig").path, framing: IkeFraming::Bare, bytes };
        line.at(CALLER, |engine, now| engine.handle_event(now, WorkerId(0), Event::Ike(asks)));
        line.pass(Duration::from_secs(5));
        assert_eq!(line.ends[CALLER].engine.state(id), state, "{:#?}", line.ladder);
        let tries = |what: &str| line.ladder.iter().filter(|step| step.contains(what)).count();
        assert_eq!((tries("--> IKE_SA_INIT request"), tries("--> IKE_AUTH request")), (3, 2), "{:#?}", line.ladder);
        match state {
            Some(_) => {
                line.assert_mirrored(1);
                line.logout(id);
            }
            None => {
                assert_eq!(line.ends[CALLER].engine.counters().refusals, 1);
                line.assert_nothing_left();
            }
        }
    }
}

#[test]
fn an_answer_that_is_not_one_of_what_was_offered_ends_the_call() {
    let weak = IkeProposal::parse("aes128-sha1-modp2048").unwrap();
    let ke = Payload::Ke(KeyExchange { group: 31, public: vec![9; 32] });
    let cases: [Vec<Payload>; 4] = [
        vec![notify(NotifyKind::NoProposalChosen, vec![])],
        vec![notify(NotifyKind::InvalidKePayload, vec![0, 19])],
        vec![Payload::Sa(adit_control::ike::propose::offer_ike(&[weak], &[])), ke.clone(), Payload::Nonce(vec![1; 32])],
        vec![notify(NotifyKind::InvalidKePayload, vec![])],
    ];
    for payloads in cases {
        let mut line = line();
        let first = first_message(&mut line);
        assert!(answer_first(&mut line, &first, &payloads).is_empty());
        line.assert_nothing_left();
    }
    // What cannot be read is not believed.
    let mut line = line();
    let first = first_message(&mut line);
    for payloads in [vec![], vec![ke], vec![Payload::Nonce(vec![1; 32])]] {
        assert!(answer_first(&mut line, &first, &payloads).is_empty());
    }
    assert_eq!(line.ends[CALLER].engine.holdings().calls, 1);
}

#[test]
fn a_login_that_either_end_refuses_leaves_nothing_behind() {
    let other_key = |config: &mut adit_control::config::checked::Config| {
        peer::login(config).psk = SecretBytes::from(&b"another-key"[..]);
    };
    for case in 0..6 {
        let (mut headend, mut caller) = (config(), caller_config(&config()));
        let mut call = call("alice@rig");
        match case {
            0 => other_key(&mut headend),
            1 => call.identity = Id::parse("mallory@elsewhere").unwrap(),
            2 => caller.connections[0].remote_ids = vec![IdPattern::parse("other.rig").unwrap()],
            3 => caller.connections[0].networks = vec!["192.0.2.0/24".parse().unwrap()],
            4 => call.want = Want::default(),
            _no_common_proposal => {
                peer::login(&mut caller).ike_proposals = vec![IkeProposal::parse("aes128-sha1-modp2048").unwrap()];
            }
        }
        let mut line = Line::new(caller, headend);
        let id = line.call(call);
        line.pass(Duration::from_secs(2));
        assert_eq!(line.ends[CALLER].engine.state(id), None, "case {case}: {:#?}", line.ladder);
        assert_eq!(line.ends[CALLER].engine.counters().refusals, 1, "case {case}");
        line.assert_nothing_left();
    }
}

// 4, 7.2, 12.96, 23.328 s between tries.
#[test]
fn a_call_that_nobody_answers_ends_after_the_last_try() {
    for deaf_from in [0, 2] {
        let mut line = line();
        line.lose.extend(deaf_from..100);
        let id = line.call(call("alice@rig"));
        line.pass(Duration::from_secs(47));
        assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Connecting));
        assert_eq!(line.sent, deaf_from + 4);
        line.pass(Duration::from_secs(1));
        assert_eq!(line.ends[CALLER].engine.state(id), None);
        line.pass(Duration::from_secs(60));
        line.assert_nothing_left();
    }
}

#[test]
fn a_forged_answer_changes_nothing() {
    let mut line = line();
    line.lose.insert(3);
    let id = line.call(call("alice@rig"));
    line.pass(Duration::from_millis(100));
    // IKE_AUTH's answer is lost; here is another.
    let view = line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone();
    let (spi_i, spi_r) = view.split_once('_').unwrap();
    let spi = |text| IkeSpi(u64::from_str_radix(text, 16).unwrap());
    for (initiator_spi, responder_spi, initiator) in
        [(spi(spi_i), spi(spi_r), false), (spi(spi_i), IkeSpi(7), false), (spi(spi_r), spi(spi_i), true)]
    {
        let header = Header {
            initiator_spi,
            responder_spi,
            exchange: Exchange::IkeAuth,
            flags: Flags { initiator, response: true },
            message_id: 1,
        };
        let bytes = build(&header, &[notify(NotifyKind::AuthenticationFailed, vec![])]);
        let path = Path { local: call("alice@rig").natt.local, peer: call("alice@rig").natt.peer };
        let datagram = IkeDatagram { path, framing: IkeFraming::NonEspMarker, bytes };
        assert!(line.ends[CALLER].event(WorkerId(0), Event::Ike(datagram)).is_empty());
        assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Connecting));
    }
    line.pass(Duration::from_secs(5));
    line.assert_mirrored(1);
    line.logout(id);
}

#[test]
fn a_second_login_of_the_same_identity_replaces_the_first_only_if_it_says_so() {
    for (contact, sessions) in [(Contact::Initial, 1), (Contact::Further, 2)] {
        let mut line = line();
        line.login(call("alice@rig"));
        let mut second = call("alice@rig");
        second.contact = contact;
        let mut call_from_elsewhere = second.clone();
        for path in [&mut call_from_elsewhere.path, &mut call_from_elsewhere.natt] {
            path.local.set_port(path.local.port() + 7);
        }
        line.login(call_from_elsewhere);
        assert_eq!(line.ends[HEADEND].engine.sessions(line.now).len(), sessions);
        assert_eq!(line.ends[CALLER].engine.sessions(line.now).len(), 2, "the caller did not hear of it");
    }
}

#[test]
fn what_cannot_be_called_says_why() {
    let mut caller = caller_config(&config());
    caller.ike.session_limit = 1;
    let mut line = Line::new(caller, config());
    let nowhere = adit_control::ike::engine::Call { connection: 7, ..call("alice@rig") };
    let engine = &mut line.ends[CALLER].engine;
    assert_eq!(engine.connect(line.now, nowhere), Err(CannotCall::NoSuchConnection));
    let one_family = Want { v4: Ask::Any, v6: Ask::Nothing };
    let id = line.login(adit_control::ike::engine::Call { want: one_family, ..call("alice@rig") });
    assert_eq!(line.ends[CALLER].engine.sessions(line.now)[0].addresses.len(), 1);
    assert_eq!(line.ends[CALLER].engine.connect(line.now, call("bob@rig")), Err(CannotCall::Full));
    line.logout(id);
    line.ends[CALLER].engine.shut_down(line.now);
    assert_eq!(line.ends[CALLER].engine.connect(line.now, call("bob@rig")), Err(CannotCall::ShuttingDown));
}

#[test]
fn a_call_is_told_its_addresses_name_servers_and_networks() {
    let mut headend = config();
    headend.pools[0].dns = vec!["10.20.0.2".parse().unwrap(), "fd20::2".parse().unwrap()];
    let mut line = Line::new(caller_config(&headend), headend);
    let id = line.login(call("alice@rig"));
    let theirs = line.ends[HEADEND].engine.sessions(line.now);
    let given = line.ends[CALLER].engine.given(id).unwrap().clone();
    assert_eq!(given.addresses, theirs[0].addresses);
    assert_eq!(given.dns, ["10.20.0.2", "fd20::2"].map(|server| server.parse::<std::net::IpAddr>().unwrap()));
    assert_eq!(given.networks, config().connections[0].networks);
    assert_eq!(line.ends[HEADEND].engine.given(line_session(&line)), None, "who is called is told nothing");
    line.logout(id);
}

/// The only session of the headend's.
fn line_session(line: &Line) -> adit_control::session::SessionId {
    let all = (1..100).map(adit_control::session::SessionId);
    all.into_iter().find(|id| line.ends[HEADEND].engine.state(*id).is_some()).unwrap()
}

#[test]
fn without_a_nat_esp_goes_as_it_is_if_both_ends_take_that_and_in_udp_if_one_does_not() {
    use adit_control::config::checked::{Transport, Transports};
    let only = Transports::NONE.with(Transport::NatT);
    for (caller_takes, headend_takes, expected) in [
        (Transports::ALL, Transports::ALL, Transport::Esp),
        (only, Transports::ALL, Transport::NatT),
        (Transports::ALL, only, Transport::NatT),
        (only, only, Transport::NatT),
    ] {
        let (mut caller, mut headend) = (caller_config(&config()), config());
        caller.connections[0].transports = caller_takes;
        headend.connections[0].transports = headend_takes;
        let mut line = Line::new(caller, headend);
        let id = line.login(call("alice@rig"));
        for end in &line.ends {
            assert_eq!(end.dataplane.tunnel().1.path.transport(), expected, "{caller_takes:?} {headend_takes:?}");
        }
        line.packet(CALLER);
        line.packet(HEADEND);
        line.logout(id);
    }
}

#[test]
fn a_call_for_native_esp_alone_ends_in_good_order_where_a_nat_is_seen() {
    use adit_control::config::checked::{Transport, Transports};
    let (mut caller, mut headend) = (caller_config(&config()), config());
    caller.connections[0].transports = Transports::NONE.with(Transport::Esp);
    headend.connections[0].transports = Transports::NONE.with(Transport::NatT);
    let mut line = Line::new(caller, headend);
    let id = line.call(call("alice@rig"));
    line.pass(Duration::from_secs(5));
    assert_eq!(line.ends[CALLER].engine.state(id), None, "{:#?}", line.ladder);
    assert_eq!(line.ends[CALLER].engine.counters().refusals, 1);
    line.assert_nothing_left();
}

#[test]
fn ciscos_udp_cannot_be_called_by_ikev2() {
    let mut line = line();
    let call = adit_control::ike::engine::Call { carriage: Carriage::CiscoUdp, ..call("alice@rig") };
    assert_eq!(line.ends[CALLER].engine.connect(line.now, call), Err(CannotCall::OnlyIkev1));
    line.assert_nothing_left();
}
