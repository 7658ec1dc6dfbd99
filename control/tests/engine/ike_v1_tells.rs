//! What an answer by IKEv1 must not tell: which groups and which users there are. The headend does the same work and says
//! the same for those that are there and those that are not. How long it takes is measured by `adit-bench tell`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::aaa::Why;
use adit_control::config::checked::*;
use adit_control::ike::counters::Ignored;
use adit_control::ike::v1::wire::*;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use peer::World;
use peer::drawn::{counted, no_public_values};
use peer::v1::*;
use std::time::Duration;

/// Payloads of a message in the clear: which, and how long.
fn shape(bytes: &[u8]) -> Vec<(u8, usize)> {
    let (mut kind, mut at, mut out) = (bytes[16], 28, Vec::new());
    while kind != 0 {
        let len = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        out.push((kind, len));
        (kind, at) = (bytes[at], at + len);
    }
    out
}

/// Two groups with secrets of their own, and names that are none.
fn two_groups() -> Config {
    let mut config = config_v1();
    let mut other = config.connections[0].clone();
    other.name = "other".to_owned();
    other.remote_ids = vec![IdPattern::parse("keyid:othersgrp").unwrap()];
    match &mut other.login {
        Login::V1(login) => {
            let secret = b"another secret, and a much longer one than the first".as_slice().into();
            login.auth = AuthV1::XauthPsk { secret, xauth: xauth() };
        }
        Login::V2(_) => unreachable!(),
    }
    config.connections.push(other);
    config
}

#[test]
fn a_group_that_there_is_and_one_that_there_is_not_cost_the_same_and_are_told_the_same() {
    for kex in [KexGroup::Ecp256, KexGroup::Modp2048] {
        let mut told = Vec::new();
        for (group, secret) in [
            (GROUP, peer::PSK),
            (GROUP, b"not the group's secret"),
            ("keyid:othersgrp", peer::PSK),
            ("keyid:nosuchgrp", peer::PSK),
            ("keyid:nosuchgr2", b"not the group's secret"),
        ] {
            let (mut world, drawn) = counted(two_groups());
            let before = drawn.lock().unwrap().len();
            let mut client = ClientV1::new("alice", 2);
            (client.kex, client.secret) = (kex, secret.into());
            client.group = Id::parse(group).unwrap();
            let (request, pair, ours) = client.aggressive_1();
            let sent = world.deliver(&client.on_500(request.clone()));
            let knows = client.aggressive_2(&request, &sent[0].bytes, pair, &ours).is_some();
            assert_eq!(knows, (group, secret) == (GROUP, peer::PSK));
            // Then a proof that is none, twice, and silence.
            let mut junk = sent[0].bytes[..28 + 96].to_vec();
            (junk[16], junk[19], junk[27]) = (8, 1, 28 + 96);
            junk[24..27].fill(0);
            let silence = [world.deliver(&client.on_4500(junk.clone())), world.deliver(&client.on_4500(junk))];
            assert!(silence.iter().all(Vec::is_empty));
            let deadline = world.engine.poll_timeout();
            assert!(world.pass(Duration::from_secs(60)).is_empty());
            let drawn = drawn.lock().unwrap()[before..].to_vec();
            told.push((shape(&sent[0].bytes), sent.len(), drawn, deadline));
        }
        assert!(!told[0].2.is_empty());
        for other in &told[1..] {
            assert_eq!(*other, told[0], "{kex:?}");
        }
    }
}

#[test]
fn a_secret_that_nobody_has_and_a_name_that_is_not_its_groups_are_told_nothing_by_main_mode_at_the_same_cost() {
    let mut told = Vec::new();
    for (group, secret) in [
        (GROUP, &b"not the group's secret"[..]),
        ("keyid:nosuchgrp", peer::PSK),
        ("keyid:nosuchgrp", b"not the group's secret"),
    ] {
        let (mut world, drawn) = counted(two_groups());
        let before = drawn.lock().unwrap().len();
        let mut client = ClientV1::new("alice", 2);
        client.secret = secret.into();
        client.group = Id::parse(group).unwrap();
        assert!(client.main_mode(&mut world).is_none());
        let deadline = world.engine.poll_timeout();
        assert!(world.pass(Duration::from_secs(60)).is_empty());
        told.push((drawn.lock().unwrap()[before..].to_vec(), deadline, world.engine.counters().refusals));
    }
    assert_eq!(told[1], told[0]);
    assert_eq!(told[2], told[0]);
}

/// Everything that the client is told, and when, if its user is refused for this reason.
fn told_for(why: Why) -> Vec<(Duration, Exchange, Vec<Payload>)> {
    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.up_to_user(&mut world);
    let (begin, mut told) = (world.now, Vec::new());
    let moment = Duration::from_millis(50);
    for round in 0..3 {
        world.pass(moment);
        let sent = world.reject(why);
        let (header, payloads) = sa.read(&sent[0].bytes);
        told.push((world.now.since(begin), header.exchange, without_identifier(payloads.clone())));
        let again = world.pass(Duration::from_secs(5));
        assert_eq!(again, sent, "said again");
        told.push((world.now.since(begin), header.exchange, Vec::new()));
        let [Payload::ModeConfig(config)] = &payloads[..] else { panic!("{payloads:?}") };
        let mut answer = config.clone();
        answer.kind = if round < 2 { ConfigKind::Reply } else { ConfigKind::Ack };
        if round < 2 {
            let user = Attribute::long(mode_config_number::XAUTH_USER_NAME, *b"alice");
            let password = Attribute::long(mode_config_number::XAUTH_USER_PASSWORD, *b"another");
            answer.attributes = vec![user, password];
        }
        let bytes = sa.say(Exchange::Transaction, header.message_id, &[Payload::ModeConfig(answer)]);
        for goodbye in world.deliver(&alice.later(bytes)) {
            let (header, payloads) = sa.read(&goodbye.bytes);
            told.push((world.now.since(begin), header.exchange, payloads));
        }
    }
    world.assert_nothing_left();
    told
}

/// It is a number without a meaning.
fn without_identifier(mut payloads: Vec<Payload>) -> Vec<Payload> {
    for payload in &mut payloads {
        if let Payload::ModeConfig(config) = payload {
            config.identifier = 0;
        }
    }
    payloads
}

#[test]
fn whatever_is_wrong_with_a_user_the_client_hears_the_same_at_the_same_moment() {
    let unknown = told_for(Why::UnknownUser);
    assert_eq!(unknown.len(), 7, "two questions, a status, each said again, a goodbye");
    for why in [Why::WrongPassword, Why::Locked, Why::NeedsPassword, Why::Server] {
        assert_eq!(told_for(why), unknown, "{why:?}");
    }
}

/// The counter that the test above rests on does count.
#[test]
fn what_is_drawn_is_counted() {
    let (mut world, drawn) = counted(config_v1());
    let before = drawn.lock().unwrap().len();
    ClientV1::new("alice", 2).aggressive(&mut world);
    assert!(drawn.lock().unwrap().len() >= before + 3, "a key pair, a cookie and a nonce at least");
}

// initiator --> HDR, SA            responder <-- HDR, SA
// initiator --> HDR, KE, Ni                                  whatever KE is, again and again
#[test]
fn a_public_value_that_is_none_costs_no_key_pair_in_either_mode() {
    for kex in [KexGroup::Ecp256, KexGroup::Modp2048] {
        let (mut world, drawn) = counted(config_v1());
        let count = || drawn.lock().unwrap().len();
        let mut client = ClientV1::new("alice", 2);
        client.kex = kex;
        // Aggressive mode.
        for public in no_public_values(kex) {
            let (_, _, mut payloads) = client.aggressive_1();
            payloads[1] = Payload::Ke(public);
            let first = header((IkeSpi(client.word()), IkeSpi(0)), Exchange::Aggressive, 0);
            let before = count();
            assert!(world.deliver(&client.on_500(build(&first, &payloads))).is_empty());
            assert_eq!(count(), before, "{kex:?}");
        }
        // Main mode.
        let cookie = IkeSpi(client.word());
        let vendors = client.vendors.iter().map(|vendor| Payload::VendorId(vendor.octets()));
        let first: Vec<Payload> = std::iter::once(client.sa_payload()).chain(vendors).collect();
        let sent = world.deliver(&client.on_500(build(&header((cookie, IkeSpi(0)), Exchange::MainMode, 0), &first)));
        let cookies = (cookie, parse_header(&sent[0].bytes).unwrap().responder_cookie);
        let third = |client: &mut ClientV1, public: Vec<u8>| {
            let payloads = [Payload::Ke(public), Payload::Nonce(client.bytes(20))];
            client.on_500(build(&header(cookies, Exchange::MainMode, 0), &payloads))
        };
        let before = count();
        for public in no_public_values(kex).into_iter().take(4) {
            let third = third(&mut client, public);
            assert!(world.deliver(&third).is_empty());
        }
        assert_eq!(count(), before, "{kex:?}");
        let good = KeyPair::generate(kex, &mut client.random).public().to_vec();
        let good = third(&mut client, good);
        assert_eq!(world.deliver(&good).len(), 1, "the right one still counts");
        assert!(count() > before);
    }
    // Nor is it looked at without end.
    let (mut world, _) = counted(config_v1());
    let mut client = ClientV1::new("alice", 2);
    let first = build(&header((IkeSpi(9), IkeSpi(0)), Exchange::MainMode, 0), &[client.sa_payload()]);
    let sent = world.deliver(&client.on_500(first));
    let cookies = (IkeSpi(9), parse_header(&sent[0].bytes).unwrap().responder_cookie);
    for _ in 0..20 {
        let payloads = [Payload::Ke(vec![0; 64]), Payload::Nonce(client.bytes(20))];
        world.deliver(&client.on_500(build(&header(cookies, Exchange::MainMode, 0), &payloads)));
    }
    assert_eq!(world.engine.counters().ignored(Ignored::BadPublicValue), 5);
}
