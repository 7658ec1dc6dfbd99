//! The initiator's login by IKEv1 (RFC 2409, XAUTH, mode config): two real engines facing each other.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::ike_log::logged;
use crate::peer;

use adit_control::aaa::{Challenge, ChallengeState, Proof, Rejection, Verdict, Why};
use adit_control::config::checked::*;
use adit_control::ike::counters::Ignored;
use adit_control::ike::engine::{CannotCall, Carriage, Contact, Engine, Mode};
use adit_control::ike::v1::wire::*;
use adit_control::ike::wire;
use adit_control::lease::{Ask, Want};
use adit_control::session::SessionState;
use adit_crypto::kex::KeyPair;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{Event, IkeDatagram, IkeFraming, Transport, WorkerId};
use peer::World;
use peer::calls::*;
use peer::client::{Client, init_header};
use peer::line::{CALLER, HEADEND, Line};
use peer::v1::{ClientV1, config_v1, header, login_v1, profile};
use std::time::Duration;
use tracing::Level;

const MODES: [Mode; 2] = [Mode::Aggressive, Mode::Main];

/// What has been said, without its numbers.
fn drawn(line: &Line) -> Vec<String> {
    let said = |rung: &String| rung[4..].rsplitn(4, ' ').nth(3).unwrap().to_owned();
    line.ladder.iter().map(said).collect()
}

// initiator --> HDR, SA, KE, Ni, IDii, VID …
// responder <-- HDR, SA, KE, Nr, IDir, HASH_R, VID …, NAT-D, NAT-D
// initiator --> HDR*, HASH_I, N(INITIAL-CONTACT), NAT-D, NAT-D
// responder --> HDR*, HASH, ATTR(REQUEST: user, password)
// initiator <-- HDR*, HASH, ATTR(REPLY: user, password)
// responder --> HDR*, HASH, ATTR(SET: status)
// initiator <-- HDR*, HASH, ATTR(ACK)
// initiator --> HDR*, HASH, ATTR(REQUEST: address, …)
// responder <-- HDR*, HASH, ATTR(REPLY: address, …)
// initiator --> HDR*, HASH(1), SA, Ni, IDci, IDcr
// responder <-- HDR*, HASH(2), SA, Nr, IDci, IDcr
// initiator --> HDR*, HASH(3)
#[test]
fn two_engines_log_in_by_aggressive_mode_and_xauth_carry_packets_and_log_out() {
    let mut line = connect(without_native_esp(configs(Method::XauthPsk)));
    let id = line.login(call(Method::XauthPsk, Mode::Aggressive));
    let expected = [
        "--> aggressive mode",
        "<-- aggressive mode",
        "--> aggressive mode",
        "<-- transaction",
        "--> transaction",
        "<-- transaction",
        "--> transaction",
        "--> transaction",
        "<-- transaction",
        "--> quick mode",
        "<-- quick mode",
        "--> quick mode",
    ];
    assert_eq!(drawn(&line), expected);
    line.assert_mirrored(1);
    let told = line.ends[CALLER].engine.told(id).unwrap();
    assert_eq!((told.address, told.netmask), ([10, 30, 0, 2].into(), Some([255; 4].into())));
    assert_eq!(
        (&told.dns[..], &told.netbios_name_servers[..]),
        (&[[10, 20, 0, 53].into()][..], &[[10, 20, 0, 54].into()][..])
    );
    assert_eq!((told.banner.as_deref(), told.default_domain.as_deref()), (Some("Be welcome"), Some("rig.example")));
    assert_eq!(
        (&told.split_dns[..], &told.networks[..]),
        (&["rig.example".to_owned(), "lab.example".to_owned()][..], &["10.20.0.0/24".parse().unwrap()][..])
    );
    assert_eq!((told.save_password, told.pfs), (Some(true), Some(false)));

    let [caller, headend] = &line.ends;
    let (ours, theirs) = (&caller.engine.sessions(line.now)[0], &headend.engine.sessions(line.now)[0]);
    assert_eq!((ours.state, &ours.addresses), (SessionState::Up, &theirs.addresses));
    assert_eq!((ours.identity.as_str(), theirs.identity.as_str()), ("headend.rig", "alice"));
    assert_eq!((ours.peer.port(), ours.transport.as_str(), theirs.transport.as_str()), (4500, "nat-t", "nat-t"));
    assert_eq!(caller.dataplane.route([10, 20, 0, 7].into()), Some(*caller.dataplane.tunnel().0));
    assert!(caller.dataplane.records.is_empty(), "the books are the headend's");
    line.packet(CALLER);
    line.packet(HEADEND);
    line.logout(id);
}

#[test]
fn every_mode_and_method_leads_in_with_and_without_forward_secrecy_and_a_nat() {
    for method in Method::ALL {
        for (mode, pfs) in [(Mode::Aggressive, Pfs::Optional), (Mode::Main, Pfs::Required)] {
            for transport in [Transport::Esp, Transport::NatT] {
                let mut configs = configs(method);
                if transport == Transport::NatT {
                    configs = without_native_esp(configs);
                }
                for config in &mut configs {
                    login_v1(config).pfs = pfs;
                    if pfs == Pfs::Required {
                        config.connections[0].esp_proposals = vec![EspProposal::parse("aes128gcm16-ecp256").unwrap()];
                    }
                }
                let case = format!("{method:?} {mode:?} {transport:?}");
                let mut line = connect(configs);
                let id = line.call(call(method, mode));
                line.pass(Duration::from_secs(5));
                assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{case} {:#?}", line.ladder);
                line.assert_mirrored(1);
                let view = &line.ends[CALLER].engine.sessions(line.now)[0];
                assert_eq!(view.transport, transport.name(), "{case}");
                line.packet(CALLER);
                line.packet(HEADEND);
                line.logout(id);
            }
        }
    }
}

/// So many messages has a login: phase 1, XAUTH, mode config, quick mode.
fn messages(method: Method, mode: Mode) -> u64 {
    let phase_1 = match mode {
        Mode::Aggressive => 3,
        Mode::Main => 6,
    };
    let xauth = match method {
        Method::Psk | Method::Rsa => 0,
        Method::XauthPsk | Method::XauthRsa | Method::Hybrid => 4,
    };
    phase_1 + xauth + 2 + 3
}

/// A login that a network disturbs, and whether both ends are well after it.
#[track_caller]
fn disturbed(method: Method, mode: Mode, disturb: impl FnOnce(&mut Line)) {
    let mut line = connect(without_native_esp(configs(method)));
    disturb(&mut line);
    let id = line.call(call(method, mode));
    line.pass(Duration::from_secs(20));
    assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", line.ladder);
    line.assert_mirrored(1);
    line.packet(CALLER);
    line.packet(HEADEND);
    line.logout(id);
}

#[test]
fn a_login_survives_the_loss_the_doubling_and_the_delay_of_each_of_its_messages() {
    for method in [Method::XauthPsk, Method::Psk] {
        for mode in MODES {
            for number in 0..messages(method, mode) {
                disturbed(method, mode, |line| {
                    line.lose.insert(number);
                });
                disturbed(method, mode, |line| {
                    line.double.insert(number);
                });
                disturbed(method, mode, |line| {
                    line.late.insert(number, Duration::from_secs(3));
                });
            }
        }
    }
}

#[test]
fn a_call_that_nobody_answers_ends_after_the_last_try_wherever_it_has_come_to() {
    for mode in MODES {
        for deaf_from in 0..messages(Method::XauthPsk, mode) - 1 {
            let mut line = connect(configs(Method::XauthPsk));
            line.lose.extend(deaf_from..1000);
            let id = line.call(call(Method::XauthPsk, mode));
            line.pass(Duration::from_secs(300));
            assert_eq!(line.ends[CALLER].engine.state(id), None, "{deaf_from} {:#?}", line.ladder);
            line.assert_nothing_left();
        }
    }
}

#[test]
fn who_is_refused_hears_so_or_finds_out_and_nothing_is_left_at_either_end() {
    type Spoil = fn(&mut [Config; 2], &mut adit_control::ike::engine::Call);
    let cases: [(&str, Method, Mode, Spoil); 12] = [
        ("wrong_psk", Method::XauthPsk, Mode::Aggressive, |configs, _| {
            login_v1(&mut configs[CALLER]).auth =
                AuthV1::XauthPsk { secret: SecretBytes::from(&b"guess"[..]), xauth: peer::v1::xauth() };
        }),
        ("peer_dead", Method::Psk, Mode::Main, |configs, _| {
            login_v1(&mut configs[CALLER]).auth = AuthV1::Psk { secret: SecretBytes::from(&b"guess"[..]) };
        }),
        ("wrong_psk", Method::Psk, Mode::Aggressive, |_, call| {
            call.identity = Id::parse("keyid:othergroup").unwrap();
        }),
        ("wrong_responder_identity", Method::Psk, Mode::Main, |configs, _| {
            configs[CALLER].connections[0].remote_ids = vec![IdPattern::parse("other.rig").unwrap()];
        }),
        ("untrusted_certificate", Method::Hybrid, Mode::Main, |_, call| {
            call.v1.authorities = Some(authorities_in(include_bytes!("../pki/stranger.pem")));
        }),
        ("wrong_certificate", Method::Hybrid, Mode::Aggressive, |configs, _| {
            configs[HEADEND].identity = Id::parse("another.rig").unwrap();
            configs[CALLER].connections[0].remote_ids = vec![IdPattern::parse("another.rig").unwrap()];
        }),
        ("no_certificate", Method::Hybrid, Mode::Main, |_, call| call.v1.authorities = None),
        ("no_certificate", Method::Rsa, Mode::Main, |configs, _| configs[CALLER].certificate = None),
        ("refused", Method::XauthPsk, Mode::Main, |configs, _| {
            login_v1(&mut configs[CALLER]).ike_proposals =
                vec![Phase1Proposal::parse("aes192-sha512-modp3072").unwrap()];
        }),
        ("refused", Method::XauthPsk, Mode::Aggressive, |_, call| call.v1.user = None),
        ("refused", Method::XauthPsk, Mode::Aggressive, |configs, _| {
            configs[CALLER].connections[0].esp_proposals = vec![EspProposal::parse("aes192-sha512").unwrap()];
        }),
        ("peer_deleted", Method::XauthPsk, Mode::Aggressive, |configs, _| {
            configs[HEADEND].pools[0].v4 = None;
        }),
    ];
    for (cause, method, mode, spoil) in cases {
        let log = logged(Level::TRACE, || {
            let (mut configs, mut call) = (without_native_esp(configs(method)), call(method, mode));
            spoil(&mut configs, &mut call);
            let mut line = connect(configs);
            let id = line.call(call);
            // A headend that has asked for a user waits for two minutes.
            line.pass(Duration::from_secs(130));
            assert_eq!(line.ends[CALLER].engine.state(id), None, "{cause} {:#?}", line.ladder);
            line.assert_nothing_left();
        });
        assert!(log.contains(&format!("cause=\"{cause}\"")), "{cause} by {method:?}: {log}");
        assert!(!log.contains("rig-psk-secret") && !log.contains("guess"), "{log}");
    }
}

// responder --> ATTR(REQUEST: user, password)          initiator <-- ATTR(REPLY: user, password)
// responder --> ATTR(REQUEST: user, password)          initiator <-- ATTR(REPLY: status 0)      not the same again
// responder --> ATTR(SET: status 0)                    initiator <-- ATTR(ACK)
#[test]
fn a_password_that_is_wrong_is_said_once_and_never_seen_in_the_log() {
    let log = logged(Level::TRACE, || {
        let mut line = connect(configs(Method::XauthPsk));
        line.judge = |question| {
            assert!(matches!(&question.proof, Proof::Password(password) if password.expose() == b"secret"));
            Verdict::Reject(Rejection { why: Why::WrongPassword, message: None })
        };
        let id = line.call(call(Method::XauthPsk, Mode::Aggressive));
        line.pass(Duration::from_secs(60));
        assert_eq!(line.ends[CALLER].engine.state(id), None);
        line.assert_nothing_left();
    });
    for cause in ["wrong_password", "xauth_given_up", "refused"] {
        assert!(log.contains(&format!("cause=\"{cause}\"")), "{cause}: {log}");
    }
    assert_eq!(log.matches("wrong_password").count(), 1, "{log}");
    assert!(!log.contains("secret\""), "{log}");
}

#[test]
fn a_challenge_is_answered_by_who_has_something_to_say_to_it() {
    for (passcode, state) in [(Some("1234"), Some(SessionState::Up)), (None, None)] {
        let mut line = connect(configs(Method::XauthPsk));
        line.judge = |question| match (&question.state, &question.proof) {
            (None, _) => Verdict::Challenge(Challenge { state: ChallengeState::new(0, vec![7]), message: None }),
            (Some(_), Proof::Password(code)) if code.expose() == b"1234" => Verdict::Accept(Box::new(profile())),
            (Some(_), _) => Verdict::Reject(Rejection { why: Why::WrongPassword, message: None }),
        };
        let mut call = call(Method::XauthPsk, Mode::Main);
        call.v1.user.as_mut().unwrap().passcode = passcode.map(|code| SecretBytes::from(code.as_bytes()));
        let id = line.call(call);
        line.pass(Duration::from_secs(5));
        assert_eq!(line.ends[CALLER].engine.state(id), state, "{:#?}", line.ladder);
    }
}

/// The first message that a caller sent, and the call.
fn first_message(line: &mut Line, mode: Mode) -> (adit_control::session::SessionId, IkeDatagram) {
    let id = line.ends[CALLER].engine.connect(line.now, call(Method::XauthPsk, mode)).unwrap();
    let [sent] = &line.ends[CALLER].drain()[..] else { panic!("one message") };
    (id, sent.clone())
}

fn answer(
    line: &mut Line,
    first: &IkeDatagram,
    responder: u64,
    exchange: Exchange,
    payloads: &[Payload],
) -> Vec<IkeDatagram> {
    let cookie = parse_header(&first.bytes).unwrap().initiator_cookie;
    let bytes = build(&header((cookie, IkeSpi(responder)), exchange, 0), payloads);
    let datagram = IkeDatagram { path: first.path, framing: IkeFraming::Bare, bytes };
    line.ends[CALLER].event(WorkerId(0), Event::Ike(datagram))
}

#[test]
fn nothing_that_is_wrong_ends_a_call_before_the_right_answer_had_its_time() {
    for mode in MODES {
        let mut line = connect(configs(Method::XauthPsk));
        let (id, first) = first_message(&mut line, mode);
        let exchange = parse_header(&first.bytes).unwrap().exchange;
        let told = Payload::Notify(Notify {
            protocol: Protocol::Isakmp,
            spi: Vec::new(),
            kind: NotifyKind::NoProposalChosen,
            data: Vec::new(),
        });
        let offer = IkeOffer {
            cipher: adit_crypto::suite::CbcCipher::TripleDes,
            hash: adit_crypto::suite::Hash::Md5,
            group: adit_crypto::suite::KexGroup::Modp1024,
            method: AuthMethod::XauthInitPsk,
            life: LifeTime::default(),
        };
        let proposal =
            Proposal { number: 1, protocol: Protocol::Isakmp, spi: Vec::new(), transforms: vec![offer.transform(1)] };
        let identity = Payload::Id(Identification::of(Id::parse("headend.rig").unwrap()));
        let weak = vec![
            Payload::Sa(vec![proposal]),
            Payload::Ke(vec![9; 128]),
            Payload::Nonce(vec![1; 20]),
            identity,
            Payload::Hash(vec![0; 32]),
        ];
        // Refusals in the clear, our own message back, what is no answer, what was not offered.
        assert!(answer(&mut line, &first, 0, Exchange::Informational, std::slice::from_ref(&told)).is_empty());
        assert!(answer(&mut line, &first, 7, Exchange::Informational, &[told]).is_empty());
        assert!(line.ends[CALLER].event(WorkerId(0), Event::Ike(first.clone())).is_empty());
        assert!(answer(&mut line, &first, 7, exchange, &[]).is_empty());
        assert!(answer(&mut line, &first, 7, Exchange::QuickMode, &weak).is_empty());
        assert!(answer(&mut line, &first, 7, exchange, &weak).is_empty());
        assert_eq!(line.ends[CALLER].engine.state(id), Some(SessionState::Connecting));
        // The right one still counts.
        let sent = line.ends[HEADEND].deliver(&first);
        let [right] = &sent[..] else { panic!("one answer") };
        let sent = line.ends[CALLER].deliver(right);
        assert_eq!(sent.len(), 1, "{mode:?}: on with it");

        // Alone, what is wrong ends the call when it would have been repeated.
        let mut line = connect(configs(Method::XauthPsk));
        let (id, first) = first_message(&mut line, mode);
        assert!(answer(&mut line, &first, 7, exchange, &weak).is_empty());
        let initial = line.ends[CALLER].engine.config().ike.retransmit_initial;
        assert!(line.ends[CALLER].pass(initial).is_empty());
        assert_eq!(line.ends[CALLER].engine.state(id), None);
        line.assert_nothing_left();
    }
}

#[test]
fn answers_are_looked_at_a_few_times_and_then_no_more() {
    let mut line = connect(configs(Method::XauthPsk));
    let (_, first) = first_message(&mut line, Mode::Aggressive);
    let sent = line.ends[HEADEND].deliver(&first);
    let [right] = &sent[..] else { panic!("one answer") };
    let mut wrong = right.clone();
    let len = wrong.bytes.len();
    wrong.bytes[len / 2] ^= 1;
    for _ in 0..20 {
        assert!(line.ends[CALLER].deliver(&wrong).is_empty());
    }
    let counters = line.ends[CALLER].engine.counters();
    assert!(counters.ignored(Ignored::BadHash) <= 5, "{counters:?}");
}

#[test]
fn what_cannot_be_called_says_why() {
    let [mut caller, headend] = configs(Method::XauthPsk);
    caller.ike.session_limit = 1;
    let mut line = connect([caller, headend]);
    let with = |change: fn(&mut adit_control::ike::engine::Call)| {
        let mut call = call(Method::XauthPsk, Mode::Main);
        change(&mut call);
        call
    };
    let engine = &mut line.ends[CALLER].engine;
    assert_eq!(engine.connect(line.now, with(|call| call.connection = 7)), Err(CannotCall::NoSuchConnection));
    let v6_only = with(|call| call.want = Want { v4: Ask::Nothing, v6: Ask::Any });
    assert_eq!(engine.connect(line.now, v6_only), Err(CannotCall::NoAddressWanted));
    let by_tcp = with(|call| call.carriage = Carriage::Tcp);
    assert_eq!(engine.connect(line.now, by_tcp), Err(CannotCall::OnlyIkev2));
    line.assert_nothing_left();
    let id = line.login(with(|_| {}));
    assert_eq!(line.ends[CALLER].engine.connect(line.now, with(|_| {})), Err(CannotCall::Full));
    line.logout(id);
}

#[test]
fn an_address_that_is_asked_for_is_given_if_it_is_free() {
    let mut line = connect(configs(Method::XauthPsk));
    let mut call = call(Method::XauthPsk, Mode::Main);
    call.want.v4 = Ask::Rather([10, 30, 0, 77].into());
    call.contact = Contact::Further;
    let id = line.login(call);
    assert_eq!(line.ends[CALLER].engine.told(id).unwrap().address, std::net::Ipv4Addr::new(10, 30, 0, 77));
    line.logout(id);
}

#[test]
fn either_end_may_ask_whether_the_other_lives_and_end_the_session() {
    for leaves in [CALLER, HEADEND] {
        let mut line = connect(without_native_esp(configs(Method::XauthPsk)));
        line.login(call(Method::XauthPsk, Mode::Aggressive));
        let before = line.sent;
        line.pass(Duration::from_secs(100));
        assert!(line.sent >= before + 6, "{:#?}", line.ladder);
        line.assert_mirrored(1);
        line.at(leaves, Engine::shut_down);
        line.pass(Duration::from_secs(1));
        line.assert_nothing_left();
    }
}

#[test]
fn a_client_answers_nobodys_first_message_by_either_version_and_calls_all_the_same() {
    let mut world = World::new(config_v1());
    world.engine.only_call();
    // Neither opens it.
    world.engine.drain();
    world.engine.stop_draining();
    let mut stranger = ClientV1::new("alice", 5);
    let (aggressive, ..) = stranger.aggressive_1();
    let cookies = (IkeSpi(7), IkeSpi(0));
    let main = build(&header(cookies, Exchange::MainMode, 0), &[stranger.sa_payload()]);
    let mut other = Client::new("alice@rig", 6);
    let pair = KeyPair::generate(KexGroup::X25519, &mut other.random);
    let payloads = other.init_payloads(wire::IkeSpi(9), &pair, &[1; 32]);
    let v2 = wire::build(&init_header(wire::IkeSpi(9)), &payloads);
    for (number, first) in (1..).zip([stranger.on_500(aggressive), stranger.on_500(main), other.on_500(v2)]) {
        assert!(world.deliver(&first).is_empty(), "{number}");
        assert_eq!(world.engine.counters().ignored(Ignored::ClientOnly), number);
    }
    world.assert_nothing_left();

    let mut line = connect(configs(Method::XauthPsk));
    line.ends[CALLER].engine.only_call();
    let id = line.login(call(Method::XauthPsk, Mode::Aggressive));
    line.packet(CALLER);
    line.packet(HEADEND);
    line.logout(id);
}
