//! Logging in over IKEv1 (RFC 2407 to 2409, XAUTH, mode config): what a client gets, and what it is told when it does
//! not.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::aaa::{Challenge, ChallengeState, Moment, Proof, Verdict, Why};
use adit_control::config::checked::*;
use adit_control::ike::counters::Ignored;
use adit_control::ike::v1::wire::*;
use adit_control::session::SessionState;
use adit_dataplane::contract::{EspPath, Event, IkeDatagram, Transport};
use mode_config_number as number;
use peer::World;
use peer::dataplane::assert_same_keys;
use peer::v1::*;
use std::net::Ipv4Addr;
use std::time::Duration;

const FIRST: Ipv4Addr = Ipv4Addr::new(10, 30, 0, 2);

// initiator --> HDR, SA, KE, Ni, IDii, VID …
// responder <-- HDR, SA, KE, Nr, IDir, HASH_R, VID …, NAT-D, NAT-D
// initiator --> HDR*, HASH_I, NAT-D, NAT-D
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
fn a_client_logs_in_by_aggressive_mode_and_xauth_and_gets_an_address_and_a_tunnel() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.up_to_user(&mut world);
    let question = &world.dataplane.questions[0];
    assert_eq!((question.user.as_str(), question.caller.group.as_str()), ("alice", "keyid:riggroup"));
    assert!(matches!(&question.proof, Proof::Password(password) if password.expose() == b"secret"));
    assert_eq!(world.engine.sessions(world.now)[0].state, SessionState::Connecting);
    let sent = world.accept();
    let (status, ack) = alice.told(&mut sa, &sent[0].bytes);
    assert_eq!(status, 1);
    assert!(world.deliver(&alice.later(ack)).is_empty());
    assert_eq!(world.engine.holdings().leases, 0, "no address before it is asked for");

    let config = alice.pull(&mut world, &mut sa);
    let split = |net: [u8; 4], mask: [u8; 4]| [&net[..], &mask, &[0; 6]].concat();
    assert_eq!(
        config.attributes,
        [
            Attribute::long(number::IP4_ADDRESS, FIRST.octets()),
            Attribute::long(number::IP4_NETMASK, [255; 4]),
            Attribute::long(number::IP4_DNS, [10, 20, 0, 53]),
            Attribute::long(number::IP4_NBNS, [10, 20, 0, 54]),
            Attribute::long(number::UNITY_BANNER, *b"Be welcome"),
            Attribute::long(number::UNITY_DEFAULT_DOMAIN, *b"rig.example"),
            Attribute::long(number::UNITY_SPLIT_DNS, *b"rig.example,lab.example"),
            Attribute::long(number::UNITY_SPLIT_INCLUDE, split([10, 20, 0, 0], [255, 255, 255, 0])),
            Attribute::short(number::UNITY_SAVE_PASSWORD, 1),
            Attribute::short(number::UNITY_PFS, 0),
        ],
        "what was asked for and is configured"
    );
    let (esp, third) = alice.quick(&mut world, &mut sa, FIRST);
    assert_eq!(world.dataplane.outbound().count(), 0, "nothing is sent before the third message");
    assert!(world.deliver(&alice.later(third)).is_empty());

    let (key, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path, EspPath::new(Transport::NatT, alice.on_4500(vec![]).path));
    assert_eq!(world.dataplane.route(FIRST.into()), Some(*key));
    assert_same_keys(&esp.outbound, &world.dataplane.inbound(esp.spi_out).cipher);
    assert_eq!(tunnel.sends_on().spi, esp.spi_in);
    assert_same_keys(&tunnel.sends_on().cipher, &esp.inbound);
    let view = &world.engine.sessions(world.now)[0];
    assert_eq!((view.state, view.ike.as_str(), view.identity.as_str()), (SessionState::Up, "v1", "alice"));
    assert_eq!((view.group.as_str(), view.connection.as_str()), ("keyid:riggroup", "ezvpn"));
    assert_eq!((view.transport.as_str(), view.peer_behind_nat), ("nat-t", true));
    alice.are_you_there(&mut world, &mut sa);
    log_out(&mut world, &mut alice, &mut sa);
    let moments: Vec<_> = world.dataplane.records.iter().map(|record| record.moment).collect();
    assert!(matches!(moments[..], [Moment::Start, Moment::Stop(..)]), "{moments:?}");
}

#[test]
fn without_a_nat_esp_goes_as_it_is_and_with_the_drafts_by_their_numbers() {
    let mut world = World::new(config_v1());
    let mut plain = ClientV1::plain("alice", 9);
    let (mut sa, address, _) = plain.connect(&mut world);
    let (_, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path, EspPath::new(Transport::Esp, plain.on_500(vec![]).path));
    assert_eq!(address, FIRST);
    log_out(&mut world, &mut plain, &mut sa);

    let mut draft = ClientV1::new("bob", 3);
    // With fewer its first message would be shorter than the answer, and had to be repeated.
    let draft_02 = Vendor::NatTraversal(NatTraversal::Draft02LineFeed);
    draft.vendors = vec![Vendor::Xauth, draft_02, Vendor::Dpd, Vendor::Unity, Vendor::CiscoClient];
    draft.encapsulation = Encapsulation::UdpTunnel(NatNumbers::Draft);
    let (mut sa, ..) = draft.connect(&mut world);
    log_out(&mut world, &mut draft, &mut sa);
}

#[test]
fn cisco_udp_is_given_to_who_asks_for_its_port() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::plain("alice", 9);
    alice.asks.push(asked(number::UNITY_UDP_PORT));
    let mut sa = alice.log_in(&mut world);
    let config = alice.pull(&mut world, &mut sa);
    let port = config.find(number::UNITY_UDP_PORT).unwrap();
    assert_eq!(*port, Attribute::short(number::UNITY_UDP_PORT, 10_000), "vpnc takes the short form only");
    let (_, third) = alice.quick(&mut world, &mut sa, address_in(&config));
    assert!(world.deliver(&alice.later(third)).is_empty());
    let (_, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path.transport(), Transport::CiscoUdp);
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn the_same_question_gets_the_same_answer_at_every_step() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (request, pair, ours) = alice.aggressive_1();
    let first = world.deliver(&alice.on_500(request.clone()));
    assert_eq!(world.deliver(&alice.on_500(request.clone())), first);
    let half = alice.aggressive_2(&request, &first[0].bytes, pair, &ours).unwrap();
    let (mut sa, third) = alice.aggressive_3(half);
    let asks = world.deliver(&alice.later(third.clone()));
    assert!(world.deliver(&alice.later(third)).is_empty(), "what it leads to is repeated by a timer");
    assert_eq!(world.pass(Duration::from_secs(4)), asks, "and it is");
    alice.answer_user(&mut world, &mut sa, &asks[0].bytes);
    let told = world.accept();
    assert_eq!(world.pass(Duration::from_secs(4)), told);
    let (_, ack) = alice.told(&mut sa, &told[0].bytes);
    assert!(world.deliver(&alice.later(ack.clone())).is_empty());
    assert!(world.deliver(&alice.later(ack)).is_empty());
    assert!(world.engine.counters().ignored(Ignored::OldMessageId) > 0);

    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: alice.asks.clone() };
    let bytes = sa.say(Exchange::Transaction, 77, &[Payload::ModeConfig(request)]);
    let reply = world.deliver(&alice.later(bytes.clone()));
    assert_eq!(world.deliver(&alice.later(bytes)), reply);
    let (_, config) = sa.transaction(&reply[0].bytes);
    let (_, third) = alice.quick(&mut world, &mut sa, address_in(&config));
    world.deliver(&alice.later(third.clone()));
    world.deliver(&alice.later(third));
    assert_eq!(world.dataplane.log.iter().filter(|name| **name == "SwitchOutbound").count(), 1);
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn a_lost_acknowledgement_does_not_keep_a_client_out_that_goes_on() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.up_to_user(&mut world);
    let told = world.accept();
    let (status, _lost) = alice.told(&mut sa, &told[0].bytes);
    assert_eq!(status, 1);
    assert_eq!(address_in(&alice.pull(&mut world, &mut sa)), FIRST);
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn a_client_that_asks_for_nothing_is_told_its_address() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.log_in(&mut world);
    let pushed = world.pass(MOMENT);
    let [set] = &pushed[..] else { panic!("one set, not {}", pushed.len()) };
    let (message_id, config) = sa.transaction(&set.bytes);
    assert_eq!((config.kind, address_in(&config)), (ConfigKind::Set, FIRST));
    assert!(config.find(number::UNITY_BANNER).is_some(), "it has said that it speaks Unity");
    let mut ack = config;
    ack.kind = ConfigKind::Ack;
    let bytes = sa.say(Exchange::Transaction, message_id, &[Payload::ModeConfig(ack)]);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    let (_, third) = alice.quick(&mut world, &mut sa, FIRST);
    assert!(world.deliver(&alice.later(third)).is_empty());
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn a_wrong_user_is_asked_again_and_then_told_no_and_a_challenge_is_passed_on() {
    for why in [Why::UnknownUser, Why::WrongPassword, Why::Locked, Why::Server] {
        let mut world = World::new(config_v1());
        let mut alice = ClientV1::new("alice", 2);
        let mut sa = alice.up_to_user(&mut world);
        for _ in 0..2 {
            let again = world.reject(why);
            alice.answer_user(&mut world, &mut sa, &again[0].bytes);
        }
        let told = world.reject(why);
        let (status, ack) = alice.told(&mut sa, &told[0].bytes);
        assert_eq!(status, 0);
        let goodbye = world.deliver(&alice.later(ack));
        assert_eq!(sa.informed(&goodbye[0].bytes), [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))]);
        assert_eq!(world.engine.counters().refusals, 3);
        world.assert_nothing_left();
    }
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.up_to_user(&mut world);
    let state = ChallengeState::new(0, b"state".to_vec());
    let challenge = Challenge { message: Some("Token?".to_owned()), state: state.clone() };
    let asked = world.judge(Verdict::Challenge(challenge));
    let (message_id, config) = sa.transaction(&asked[0].bytes);
    assert_eq!(config.find(number::XAUTH_MESSAGE).unwrap().value.octets(), Some(&b"Token?"[..]));
    let attributes = vec![Attribute::long(number::XAUTH_PASSCODE, *b"123456")];
    let reply = ModeConfig { kind: ConfigKind::Reply, identifier: config.identifier, attributes };
    let bytes = sa.say(Exchange::Transaction, message_id, &[Payload::ModeConfig(reply)]);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    let question = world.dataplane.questions.last().unwrap();
    assert_eq!((question.user.as_str(), &question.state), ("alice", &Some(state)));
    let (status, ack) = {
        let told = world.accept();
        alice.told(&mut sa, &told[0].bytes)
    };
    assert_eq!(status, 1);
    world.deliver(&alice.later(ack));
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn an_unknown_group_and_a_wrong_secret_look_like_a_known_group_from_outside() {
    let mut lengths = Vec::new();
    for (group, secret, known) in [
        ("keyid:riggroup", &b"rig-psk-secret"[..], true),
        ("keyid:riggroup", b"another", false),
        ("keyid:othername", b"rig-psk-secret", false),
    ] {
        let mut world = World::new(config_v1());
        let mut client = ClientV1::new("alice", 2);
        client.group = Id::parse(group).unwrap();
        client.secret = secret.into();
        let (request, pair, ours) = client.aggressive_1();
        let sent = world.deliver(&client.on_500(request.clone()));
        lengths.push((request.len(), sent[0].bytes.len()));
        assert_eq!(client.aggressive_2(&request, &sent[0].bytes, pair, &ours).is_some(), known);
        assert!(world.pass(Duration::from_secs(60)).is_empty(), "nothing is repeated to an unproven source");
        world.assert_nothing_left();
    }
    assert_eq!(lengths[0].1, lengths[1].1);
    assert_eq!(lengths[0].1, lengths[2].1);
}

#[test]
fn a_forged_third_message_changes_nothing_and_the_right_one_still_counts() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let half = alice.aggressive(&mut world);
    let (mut sa, third) = alice.aggressive_3(half);
    for at in [28, 40, 55] {
        let mut forged = third.clone();
        forged[at] ^= 1;
        assert!(world.deliver(&alice.later(forged)).is_empty());
    }
    let asks = world.deliver(&alice.later(third));
    alice.answer_user(&mut world, &mut sa, &asks[0].bytes);
}

#[test]
fn the_client_rekeys_make_before_break_and_the_headend_does_so_with_what_is_running() {
    let mut config = config_v1();
    config.esp.rekey.time = Some(Duration::from_secs(600));
    config.ike.dpd_delay = Duration::ZERO;
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, address, old) = alice.connect(&mut world);
    let (new, third) = alice.quick(&mut world, &mut sa, address);
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, old.spi_in);
    assert!(world.deliver(&alice.later(third)).is_empty());
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, new.spi_in);
    assert!(world.dataplane.has_inbound(old.spi_out), "what is under way still comes in");
    let bytes = sa.inform(alice.word() as u32, Payload::Delete(Delete::Esp(vec![old.spi_in])));
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    world.pass(Duration::from_secs(6));
    assert!(!world.dataplane.has_inbound(old.spi_out));

    // We do: the peer is asked with one proposal of one transform, a nonce of 20 octets and the same IDs.
    let mut sent = Vec::new();
    while sent.is_empty() {
        sent = world.pass(Duration::from_secs(1));
    }
    assert_eq!(parse_header(&sent[0].bytes).unwrap().exchange, Exchange::QuickMode);
    let (header, payloads) = sa.read(&sent[0].bytes);
    let [Payload::Sa(proposals), Payload::Nonce(nonce), Payload::Id(ours), Payload::Id(theirs)] = &payloads[..] else {
        panic!("{payloads:?}")
    };
    assert_eq!((proposals.len(), proposals[0].transforms.len(), nonce.len()), (1, 1, 20));
    assert_eq!(proposals[0].transforms[0].esp().unwrap(), alice.esp_offer());
    assert_eq!([theirs.clone(), ours.clone()], ClientV1::quick_ids(address));
    let third = alice.answer_quick(&mut world, &mut sa, &header, &payloads);
    assert_eq!(exchanges(&third), [Exchange::QuickMode]);
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, new.spi_in, "HASH(3) may be lost");
    // The peer's first packet says that it was not. Then the delete of what was replaced.
    let spi = spi_in(&proposals[0]);
    assert!(world.event(world.dataplane.worker_of(spi), Event::FirstUse { spi }).is_empty());
    assert_eq!(exchanges(&world.pass(Duration::from_secs(1))), [Exchange::Informational]);
    assert_ne!(world.dataplane.tunnel().1.sends_on().spi, new.spi_in);
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn another_phase_1_takes_the_session_over_with_its_address_and_its_sas() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut first, address, esp) = alice.connect(&mut world);
    let before = world.engine.sessions(world.now)[0].id.clone();
    alice.asks[0] = Attribute::long(number::IP4_ADDRESS, address.octets());
    let mut second = alice.log_in(&mut world);
    assert_eq!(address_in(&alice.pull(&mut world, &mut second)), address);
    let sessions = world.engine.sessions(world.now);
    assert_eq!((sessions.len(), &sessions[0].id), (1, &before));
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, esp.spi_in, "ESP goes on");
    assert!(!world.dataplane.log.contains(&"DropTunnel"));
    // Both ISAKMP SAs answer; the older one's delete ends only itself.
    alice.are_you_there(&mut world, &mut first);
    let bytes = first.delete_isakmp(alice.word() as u32);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    alice.are_you_there(&mut world, &mut second);
    assert_eq!(world.engine.holdings().ike_sas, 1);
    assert_eq!(world.dataplane.records.len(), 1, "the books go on");
    log_out(&mut world, &mut alice, &mut second);
}

#[test]
fn another_user_or_another_address_takes_nothing_over() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, address, _) = alice.connect(&mut world);
    let mut mallory = ClientV1::new("mallory", 3);
    mallory.asks[0] = Attribute::long(number::IP4_ADDRESS, address.octets());
    let (mut theirs, other, _) = mallory.connect(&mut world);
    assert_ne!(other, address);
    assert_eq!(world.engine.sessions(world.now).len(), 2);
    let bytes = sa.delete_isakmp(alice.word() as u32);
    world.deliver(&alice.later(bytes));
    log_out(&mut world, &mut mallory, &mut theirs);
}

#[test]
fn a_user_has_as_many_sessions_as_the_connection_allows() {
    let mut config = config_v1();
    config.connections[0].rules.max_logins = Some(1.try_into().unwrap());
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 2);
    let (_, address, _) = alice.connect(&mut world);
    let mut again = ClientV1::new("alice", 3);
    let mut theirs = again.log_in(&mut world);
    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: again.asks.clone() };
    let bytes = theirs.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
    let sent = world.deliver(&again.later(bytes));
    assert_eq!(theirs.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![theirs.cookies]))]);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
    // Coming back for one's own session is no second one.
    alice.asks[0] = Attribute::long(number::IP4_ADDRESS, address.octets());
    let mut sa = alice.log_in(&mut world);
    assert_eq!(address_in(&alice.pull(&mut world, &mut sa)), address);
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn sessions_end_when_they_are_idle_or_have_lasted_long_enough_or_the_peer_is_dead() {
    let ends = |idle: Option<u64>, session: Option<u64>| {
        let mut config = config_v1();
        let limits = &mut config.connections[0].rules.limits;
        (limits.idle, limits.session) = (idle.map(Duration::from_secs), session.map(Duration::from_secs));
        config.ike.dpd_delay = Duration::ZERO;
        let mut world = World::new(config);
        let mut alice = ClientV1::new("alice", 2);
        let (mut sa, ..) = alice.connect(&mut world);
        let mut sent = world.pass(Duration::from_secs(99));
        assert!(sent.is_empty());
        sent = world.pass(Duration::from_secs(2));
        assert_eq!(sa.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))]);
        // Who has not heard it is told again, and again no more than was asked.
        let bytes = sa.inform(alice.word() as u32, dpd(NotifyKind::RUThere, sa.cookies, 1));
        assert_eq!(world.deliver(&alice.later(bytes)), sent);
        world.assert_nothing_left();
    };
    ends(Some(100), None);
    ends(None, Some(100));

    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, ..) = alice.connect(&mut world);
    let sent = world.pass(Duration::from_secs(30));
    assert_eq!(sent.len(), 1);
    let asked = sa.informed(&sent[0].bytes);
    let [Payload::Notify(notify)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(notify.kind, NotifyKind::RUThere);
    let sent = world.pass(Duration::from_secs(120));
    assert_eq!(sent.len(), 3, "as often as the configuration says");
    assert!(sent.windows(2).all(|pair| pair[0].bytes != pair[1].bytes), "each a message of its own");
    world.assert_nothing_left();
}

#[test]
fn a_peer_that_answers_dpd_lives_on_and_is_followed_by_it_and_not_by_a_replay() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, ..) = alice.connect(&mut world);
    sa.number += 1;
    let bytes = sa.inform(alice.word() as u32, dpd(NotifyKind::RUThere, sa.cookies, sa.number));
    world.deliver(&alice.later(bytes.clone()));
    let mut elsewhere = alice.later(bytes);
    elsewhere.path.peer.set_port(4242);
    world.deliver(&elsewhere);
    let path = |world: &World| world.engine.sessions(world.now)[0].peer;
    assert_eq!(path(&world), alice.later(vec![]).path.peer, "a replay moves nothing");
    sa.number += 1;
    let bytes = sa.inform(alice.word() as u32, dpd(NotifyKind::RUThere, sa.cookies, sa.number));
    let moved = IkeDatagram { bytes, ..elsewhere };
    let sent = world.deliver(&moved);
    assert_eq!(sent[0].path, moved.path);
    assert_eq!(path(&world), moved.path.peer);
    assert_eq!(world.dataplane.tunnel().1.path.path().peer, moved.path.peer, "both planes move");
}

#[test]
fn traffic_proves_the_third_message_that_was_lost() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.log_in(&mut world);
    let address = address_in(&alice.pull(&mut world, &mut sa));
    let (esp, _lost) = alice.quick(&mut world, &mut sa, address);
    let spi = adit_dataplane::contract::Spi::new(esp.spi_out).unwrap();
    let worker = world.dataplane.worker_of(spi);
    world.event(worker, Event::FirstUse { spi });
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, esp.spi_in);
    log_out(&mut world, &mut alice, &mut sa);
}

// initiator --> HDR, SA            responder <-- HDR, SA
// initiator --> HDR, KE, Ni        responder <-- HDR, KE, Nr
// initiator --> HDR*, IDii, HASH_I responder <-- HDR*, IDir, HASH_R
#[test]
fn a_client_logs_in_by_main_mode_with_whichever_secret_is_its_groups() {
    let mut config = config_v1();
    let mut other = config.connections[0].clone();
    other.name = "other".to_owned();
    other.remote_ids = vec![IdPattern::parse("keyid:others").unwrap()];
    match &mut other.login {
        Login::V1(login) => {
            login.auth = AuthV1::XauthPsk { secret: b"others-secret".as_slice().into(), xauth: xauth() }
        }
        Login::V2(_) => unreachable!(),
    }
    config.connections.insert(0, other);
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, asks) = alice.main_mode(&mut world).unwrap();
    alice.answer_user(&mut world, &mut sa, &asks[0].bytes);
    let told = world.accept();
    let (status, ack) = alice.told(&mut sa, &told[0].bytes);
    assert_eq!(status, 1);
    world.deliver(&alice.later(ack));
    let address = address_in(&alice.pull(&mut world, &mut sa));
    let (_, third) = alice.quick(&mut world, &mut sa, address);
    world.deliver(&alice.later(third));
    assert_eq!(world.engine.sessions(world.now)[0].connection, "ezvpn");
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn a_secret_that_no_connection_has_or_the_name_of_another_group_gets_silence_in_main_mode() {
    for (group, secret) in [("keyid:riggroup", &b"wrong"[..]), ("keyid:nobody", peer::PSK)] {
        let mut world = World::new(config_v1());
        let mut client = ClientV1::new("alice", 2);
        client.group = Id::parse(group).unwrap();
        client.secret = secret.into();
        assert!(client.main_mode(&mut world).is_none());
        assert_eq!(world.engine.counters().refusals, 1);
        assert!(world.pass(Duration::from_secs(60)).is_empty());
        world.assert_nothing_left();
    }
}

#[test]
fn plain_pre_shared_keys_need_no_user() {
    let mut config = config_v1();
    login_v1(&mut config).auth = AuthV1::Psk { secret: peer::PSK.into() };
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 2);
    alice.method = AuthMethod::Psk;
    let (mut sa, sent) = alice.main_mode(&mut world).unwrap();
    assert!(sent.is_empty());
    let address = address_in(&alice.pull(&mut world, &mut sa));
    let (_, third) = alice.quick(&mut world, &mut sa, address);
    world.deliver(&alice.later(third));
    let view = &world.engine.sessions(world.now)[0];
    assert_eq!((view.identity.as_str(), view.addresses.len()), ("keyid:riggroup", 1));
    assert!(world.dataplane.records.is_empty(), "there is no user to keep books of");
    log_out(&mut world, &mut alice, &mut sa);
}

#[test]
fn a_first_message_gets_no_more_than_it_brought_whoever_sends_it_and_however_often() {
    for vendors in [vec![], vec![Vendor::Xauth, Vendor::Dpd, Vendor::Unity]] {
        let mut world = World::new(config_v1());
        let mut client = ClientV1::new("alice", 2);
        client.vendors = vendors;
        let (request, ..) = client.aggressive_1();
        let (mut brought, mut got) = (0, 0);
        for host in [1, 1, 1, 2, 1] {
            let mut datagram = client.on_500(request.clone());
            datagram.path.peer.set_ip([192, 0, 2, host].into());
            let sent = world.deliver(&datagram);
            brought += request.len();
            got += sent.iter().map(|answer| answer.bytes.len()).sum::<usize>();
            assert!(got <= brought, "{got} for {brought}");
        }
        assert!(got > 0, "who repeats its question is answered at last");
    }
}

#[test]
fn aggressive_mode_is_answered_so_often_a_second() {
    let mut config = config_v1();
    login_v1(&mut config).aggressive_limit = 3.try_into().unwrap();
    let mut world = World::new(config);
    let answered = (0..10).filter(|_| {
        let mut client = ClientV1::new("alice", 2);
        client.random = adit_crypto::random::SeededRandom::new(world.engine.counters().received);
        let (request, ..) = client.aggressive_1();
        !world.deliver(&client.on_500(request)).is_empty()
    });
    assert_eq!(answered.count(), 3);
    assert_eq!(world.engine.counters().ignored(Ignored::AggressiveTooOften), 7);
}

/// Every octet of every message of a login, flipped: from the third message on nothing may come of it.
#[test]
fn a_changed_octet_in_a_protected_message_changes_nothing() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, address, _) = alice.connect(&mut world);
    let before = (world.engine.holdings(), world.dataplane.log.len());
    let (_, honest) = alice.quick(&mut world, &mut sa, address);
    let after_question = (world.engine.holdings(), world.dataplane.log.len());
    // Nothing covers the minor version and the flags that mean nothing, and nobody looks at them.
    for at in (0..honest.len()).filter(|at| ![17, 19].contains(at)) {
        for bit in [0, 3, 7] {
            let mut changed = honest.clone();
            changed[at] ^= 1 << bit;
            assert!(world.deliver(&alice.later(changed)).is_empty());
        }
    }
    assert_eq!((world.engine.holdings(), world.dataplane.log.len()), after_question);
    assert_ne!(before, after_question);
    world.deliver(&alice.later(honest));
    log_out(&mut world, &mut alice, &mut sa);
}

// client --> HDR*, HASH, N(R-U-THERE)        racoon asks from the end of phase 1 on, and a user takes a while to type
#[test]
fn who_asks_whether_we_live_while_its_user_types_or_is_judged_is_told_so() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let half = alice.aggressive(&mut world);
    let (mut sa, third) = alice.aggressive_3(half);
    let question = world.deliver(&alice.later(third)).remove(0);
    world.pass(Duration::from_secs(60));
    alice.are_you_there(&mut world, &mut sa);
    // One message, one answer; and none to what is about another SA, or goes elsewhere.
    let there = |sa: &SaV1, number| dpd(NotifyKind::RUThere, sa.cookies, number);
    let bytes = sa.say(Exchange::Informational, 71, &[there(&sa, 20), there(&sa, 21), there(&sa, 22)]);
    let sent = world.deliver(&alice.later(bytes));
    assert_eq!(sent.len(), 1);
    assert_eq!(sa.informed(&sent[0].bytes), [dpd(NotifyKind::RUThereAck, sa.cookies, 20)]);
    let bytes = sa.inform(72, dpd(NotifyKind::RUThere, (sa.cookies.1, sa.cookies.0), 23));
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    let mut elsewhere = alice.later(sa.inform(73, there(&sa, 24)));
    elsewhere.path.peer.set_port(4242);
    let sent = world.deliver(&elsewhere);
    assert_eq!(sent[0].path, alice.later(vec![]).path, "it moves nothing");
    // Nor does it give more time, or disturb what is being asked.
    alice.answer_user(&mut world, &mut sa, &question.bytes);
    alice.are_you_there(&mut world, &mut sa);
    let told = world.accept();
    alice.are_you_there(&mut world, &mut sa);
    let (_, ack) = alice.told(&mut sa, &told[0].bytes);
    assert!(world.deliver(&alice.later(ack)).is_empty());
    assert_eq!(address_in(&alice.pull(&mut world, &mut sa)), FIRST);
    log_out(&mut world, &mut alice, &mut sa);
}

// vpnc says two things under one message ID, each from the chain's beginning.
#[test]
fn two_informational_messages_under_one_message_id_are_both_heard() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, _, esp) = alice.connect(&mut world);
    let bytes = sa.inform(99, Payload::Delete(Delete::Esp(vec![esp.spi_in])));
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    sa.forget_chain(99);
    let bytes = sa.delete_isakmp(99);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    world.assert_nothing_left();
}

#[test]
fn a_goodbye_may_have_zero_for_its_message_id_as_vpncs_do_now_and_then() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, _, esp) = alice.connect(&mut world);
    let bytes = sa.inform(0, Payload::Delete(Delete::Esp(vec![esp.spi_in])));
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::UnexpectedExchange), 0);
    sa.forget_chain(0);
    let bytes = sa.delete_isakmp(0);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    world.assert_nothing_left();
}

#[test]
fn a_packet_may_be_told_of_before_the_third_message_that_it_follows() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.log_in(&mut world);
    let address = address_in(&alice.pull(&mut world, &mut sa));
    let (esp, third) = alice.quick(&mut world, &mut sa, address);
    let spi = adit_dataplane::contract::Spi::new(esp.spi_out).unwrap();
    let worker = world.dataplane.worker_of(spi);
    world.event(worker, Event::FirstUse { spi });
    world.deliver(&alice.later(third));
    assert_eq!(world.engine.counters().ignored(Ignored::BadHash), 0);
    log_out(&mut world, &mut alice, &mut sa);
}

// client --> HDR, FRAGMENT 1 and 2    HDR*, HASH, ATTR(REQUEST: address, …); the ACK before it was lost
#[test]
fn a_lost_acknowledgement_does_not_keep_a_client_out_that_goes_on_in_fragments() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.up_to_user(&mut world);
    let told = world.accept();
    let (status, _lost) = alice.told(&mut sa, &told[0].bytes);
    assert_eq!(status, 1);
    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: alice.asks.clone() };
    let bytes = sa.say(Exchange::Transaction, 77, &[Payload::ModeConfig(request)]);
    let [one, two] = in_two(&bytes);
    assert!(world.deliver(&alice.later(one)).is_empty());
    let sent = world.deliver(&alice.later(two));
    assert_eq!(address_in(&sa.transaction(&sent[0].bytes).1), FIRST);
    assert_eq!(world.engine.counters().messages_joined, 1);
    log_out(&mut world, &mut alice, &mut sa);
}

/// What somebody has recorded of a session before it was taken over, or of the phase 1 that is taken over from.
#[test]
fn a_question_under_a_former_phase_1_is_answered_and_moves_nothing() {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let (mut first, address, _) = alice.connect(&mut world);
    let ask = |alice: &mut ClientV1, sa: &mut SaV1, number: u32| {
        let message_id = alice.word() as u32;
        alice.later(sa.inform(message_id, dpd(NotifyKind::RUThere, sa.cookies, number)))
    };
    let recorded = ask(&mut alice, &mut first, 500);
    world.deliver(&recorded);
    alice.asks[0] = Attribute::long(number::IP4_ADDRESS, address.octets());
    let mut second = alice.log_in(&mut world);
    assert_eq!(address_in(&alice.pull(&mut world, &mut second)), address);
    let path = |world: &World| world.engine.sessions(world.now)[0].peer;
    let mut elsewhere = recorded;
    elsewhere.path.peer.set_port(4242);
    let sent = world.deliver(&elsewhere);
    assert_eq!(first.informed(&sent[0].bytes), [dpd(NotifyKind::RUThereAck, first.cookies, 500)]);
    assert_eq!(path(&world), alice.later(vec![]).path.peer, "a replay moves nothing");
    let later = ask(&mut alice, &mut first, 900);
    world.deliver(&IkeDatagram { path: elsewhere.path, ..later });
    assert_eq!(path(&world), alice.later(vec![]).path.peer);
    // The newer phase 1 counts for itself.
    let question = ask(&mut alice, &mut second, 3);
    let moved = IkeDatagram { path: elsewhere.path, ..question };
    assert_eq!(world.deliver(&moved)[0].path, moved.path);
    assert_eq!(path(&world), moved.path.peer);
}

/// Quick DPD is set by the very times that the question is repeated after.
#[test]
fn a_user_has_two_minutes_to_type_however_often_the_question_is_repeated() {
    let logged_in = |typing: u64| {
        let mut world = World::new(config_v1());
        let mut alice = ClientV1::new("alice", 2);
        let half = alice.aggressive(&mut world);
        let (mut sa, third) = alice.aggressive_3(half);
        let asks = world.deliver(&alice.later(third)).remove(0);
        let sent = world.pass(Duration::from_secs(typing));
        let (repeated, others): (Vec<_>, Vec<_>) = sent.into_iter().partition(|sent| *sent == asks);
        assert_eq!(repeated.len(), 3, "as often as the configuration says");
        match &others[..] {
            [] => alice.answer_user(&mut world, &mut sa, &asks.bytes),
            [goodbye] => {
                let deleted = [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))];
                assert_eq!(sa.informed(&goodbye.bytes), deleted);
                world.assert_nothing_left();
                let ends = world.dataplane.happenings.iter().map(|happening| format!("{:?}", happening.what));
                assert!(ends.into_iter().any(|what| what.contains("XauthTimeout")));
                return false;
            }
            several => panic!("{several:?}"),
        }
        let told = world.accept();
        let (status, ack) = alice.told(&mut sa, &told[0].bytes);
        assert!(world.deliver(&alice.later(ack)).is_empty());
        status == 1
    };
    assert!(logged_in(118));
    assert!(!logged_in(121));
}

/// For AAA they are two, and for whoever reads Id's text one.
#[test]
fn names_that_only_look_like_another_users_are_others() {
    for name in [" bob", "fqdn:bob", "bob ", "keyid:bob"] {
        let mut world = World::new(config_v1());
        let mut bob = ClientV1::new("bob", 2);
        let (_, address, _) = bob.connect(&mut world);
        let mut other = ClientV1::new(name, 3);
        other.asks[0] = Attribute::long(number::IP4_ADDRESS, address.octets());
        let (_, given, _) = other.connect(&mut world);
        assert_ne!(given, address, "{name:?}");
        assert_eq!(world.engine.sessions(world.now).len(), 2, "{name:?}");
    }
    // Nor do they inherit an address.
    let mut config = config_v1();
    config.pools[0].v4 = Some("10.30.0.0/24".parse().unwrap());
    let mut world = World::new(config);
    let mut bob = ClientV1::new("bob", 2);
    let (mut sa, address, _) = bob.connect(&mut world);
    log_out(&mut world, &mut bob, &mut sa);
    let mut other = ClientV1::new(" bob", 3);
    let (mut sa, given, _) = other.connect(&mut world);
    assert_ne!(given, address);
    log_out(&mut world, &mut other, &mut sa);
    let mut bob = ClientV1::new("bob", 4);
    assert_eq!(bob.connect(&mut world).1, address, "it is still theirs");
}
