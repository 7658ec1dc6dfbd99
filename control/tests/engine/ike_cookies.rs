//! Cookies and the limits on half-open IKE SAs (RFC 7296 section 2.6).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::config::checked::{Config, IkeProposal};
use adit_control::ike::counters::Ignored;
use adit_control::ike::service::CookiesAsked;
use adit_control::ike::v1::wire as v1;
use adit_control::ike::wire::*;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::IkeDatagram;
use peer::client::*;
use peer::v1::{ClientV1, config_v1, header as header_v1};
use peer::{World, config};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

fn asking(total: usize, per_source: usize) -> Config {
    let mut config = config();
    config.ike.cookie_threshold = total;
    config.ike.cookie_threshold_per_source = per_source;
    config
}

/// A first message, with what has to be known to send it again.
struct First {
    payloads: Vec<Payload>,
    spi_i: IkeSpi,
    pair: KeyPair,
    nonce: Vec<u8>,
}

impl First {
    fn new(client: &mut Client) -> Self {
        let spi_i = IkeSpi(client.word());
        let pair = KeyPair::generate(client.ike[0].groups[0], &mut client.random);
        let nonce = client.bytes(32);
        let payloads = client.init_payloads(spi_i, &pair, &nonce);
        Self { payloads, spi_i, pair, nonce }
    }

    fn without(&self) -> Vec<u8> {
        build(&init_header(self.spi_i), &self.payloads)
    }

    fn with(&self, cookie: &[u8]) -> Vec<u8> {
        let mut payloads = self.payloads.clone();
        payloads.insert(0, notify(NotifyKind::Cookie, cookie.to_vec()));
        build(&init_header(self.spi_i), &payloads)
    }
}

/// The one answer, which must be a cookie for a message of this length.
#[track_caller]
fn cookie(sent: &[IkeDatagram], question: usize) -> Vec<u8> {
    let [answer] = sent else { panic!("one answer, not {}", sent.len()) };
    let header = parse(&answer.bytes).unwrap().header;
    assert!(header.flags.response && header.responder_spi == IkeSpi(0) && header.message_id == 0);
    assert!(answer.bytes.len() <= question);
    let (kind, cookie) = in_the_clear(answer);
    assert_eq!(kind, NotifyKind::Cookie);
    assert!((1..=64).contains(&cookie.len()), "RFC 7296 section 2.6");
    cookie
}

#[test]
fn nothing_is_remembered_before_the_cookie_comes_back_and_then_the_client_logs_in() {
    let mut world = World::new(asking(0, 64));
    assert_eq!(world.engine.cookies_asked(), CookiesAsked::OfEverybody);
    let mut alice = Client::new("alice@rig", 2);
    let first = First::new(&mut alice);
    let before = world.engine.holdings();
    let mut cookies = Vec::new();
    for _ in 0..3 {
        let request = first.without();
        cookies.push(cookie(&world.deliver(&alice.on_500(request.clone())), request.len()));
        assert_eq!(world.engine.holdings(), before);
    }
    cookies.dedup();
    let [cookie] = &cookies[..] else { panic!("the same asker gets the same cookie") };
    // AUTH covers the message that was answered, cookie and all.
    let request = first.with(cookie);
    let sent = world.deliver(&alice.on_500(request.clone()));
    let mut keyed = alice.keyed(request, sent[0].bytes.clone(), first.nonce, first.pair);
    let (spi_in, answer) = alice.auth(&mut world, &mut keyed);
    alice.logged_in(&world, &keyed, spi_in, &answer);
    let counters = world.engine.counters();
    assert_eq!((counters.cookies_asked, counters.cookies_returned, counters.cookies_wrong), (3, 1, 0));
}

#[test]
fn a_cookie_of_another_address_spi_nonce_or_time_is_as_good_as_none() {
    let mut world = World::new(asking(0, 64));
    let mut alice = Client::new("alice@rig", 2);
    let first = First::new(&mut alice);
    let good = cookie(&world.deliver(&alice.on_500(first.without())), 1000);
    let elsewhere = {
        let mut datagram = alice.on_500(first.with(&good));
        datagram.path.peer = SocketAddr::from(([203, 0, 113, 7], 500));
        datagram
    };
    let mut other_nonce = First { payloads: first.payloads.clone(), ..First::new(&mut alice) };
    other_nonce.spi_i = first.spi_i;
    other_nonce.payloads[2] = Payload::Nonce(vec![9; 32]);
    let other_spi = First { payloads: first.payloads.clone(), ..First::new(&mut alice) };
    let flipped: Vec<u8> =
        good.iter().enumerate().map(|(at, octet)| if at == 9 { octet ^ 1 } else { *octet }).collect();
    let wrong = [
        elsewhere,
        alice.on_500(other_nonce.with(&good)),
        alice.on_500(other_spi.with(&good)),
        alice.on_500(first.with(&flipped)),
        alice.on_500(first.with(&good[..5])),
        alice.on_500(first.with(&[])),
    ];
    for datagram in &wrong {
        let len = datagram.bytes.len();
        cookie(&world.deliver(datagram), len);
    }
    assert_eq!(world.engine.counters().cookies_wrong, 6);
    world.pass(Duration::from_secs(60));
    cookie(&world.deliver(&alice.on_500(first.with(&good))), 1000);
    assert_eq!(world.engine.holdings().half_open, 0);
}

/// RFC 7296 section 2.6.1.
#[test]
fn a_cookie_stays_good_when_another_group_is_wanted() {
    let mut world = World::new(asking(0, 64));
    let mut alice = Client::new("alice@rig", 2);
    alice.ike = vec![IkeProposal::parse("aes128gcm16-prfsha256-modp2048-x25519").unwrap()];
    let mut first = First::new(&mut alice);
    let good = cookie(&world.deliver(&alice.on_500(first.without())), 1000);
    let sent = world.deliver(&alice.on_500(first.with(&good)));
    assert_eq!(in_the_clear(&sent[0]), (NotifyKind::InvalidKePayload, vec![0, 31]));
    first.pair = KeyPair::generate(KexGroup::X25519, &mut alice.random);
    let public = first.pair.public().to_vec();
    first.payloads[1] = Payload::Ke(KeyExchange { group: 31, public });
    let request = first.with(&good);
    let sent = world.deliver(&alice.on_500(request.clone()));
    let mut keyed = alice.keyed(request, sent[0].bytes.clone(), first.nonce, first.pair);
    alice.auth(&mut world, &mut keyed);
    assert_eq!(world.engine.counters().logins, 1);
    assert_eq!(world.engine.counters().cookies_asked, 1, "two round trips, not three");
}

#[test]
fn a_busy_source_is_asked_and_others_are_not() {
    let mut config = asking(64, 3);
    config.ike.half_open_limit_per_source = 5;
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    for _ in 0..3 {
        alice.init(&mut world);
    }
    assert_eq!(world.engine.cookies_asked(), CookiesAsked::OfSources(1));
    let first = First::new(&mut alice);
    let good = cookie(&world.deliver(&alice.on_500(first.without())), 1000);
    let mut elsewhere = Client::new("bob@rig", 3);
    elsewhere.seen = SocketAddr::from(([203, 0, 113, 7], 500));
    elsewhere.init(&mut world);
    // A cookie is no key to more than the source may have.
    assert_eq!(world.deliver(&alice.on_500(first.with(&good))).len(), 1);
    let fifth = First::new(&mut alice);
    let good = cookie(&world.deliver(&alice.on_500(fifth.without())), 1000);
    assert_eq!(world.deliver(&alice.on_500(fifth.with(&good))).len(), 1);
    let sixth = First::new(&mut alice).without();
    assert!(world.deliver(&alice.on_500(sixth)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::SourceFull), 1);
    world.pass(Duration::from_secs(21));
    assert_eq!(world.engine.cookies_asked(), CookiesAsked::OfNobody);
    alice.init(&mut world);
}

#[test]
fn all_of_an_ipv6_network_of_64_bits_is_one_source() {
    let mut world = World::new(asking(64, 2));
    let mut alice = Client::new("alice@rig", 2);
    alice.headend = "[2001:db8::1]:500".parse().unwrap();
    for host in 1..=2_u16 {
        alice.seen = SocketAddr::from(([0x2001, 0xdb8, 1, 1, 7, 7, 7, host], 500));
        alice.init(&mut world);
    }
    alice.seen = "[2001:db8:1:1::9]:4711".parse().unwrap();
    let first = First::new(&mut alice);
    cookie(&world.deliver(&alice.on_500(first.without())), 1000);
    alice.seen = "[2001:db8:1:2::9]:4711".parse().unwrap();
    alice.init(&mut world);
}

#[test]
fn a_flood_from_made_up_addresses_fills_no_more_than_the_threshold_and_keeps_nobody_out() {
    let mut world = World::new(asking(10, 4));
    let mut flood = Client::new("nobody@rig", 9);
    for n in 0..2000_u32 {
        flood.seen = SocketAddr::from((std::net::Ipv4Addr::from(0xCB00_7100 + n), 500));
        let first = First::new(&mut flood);
        world.deliver(&flood.on_500(first.without()));
    }
    assert_eq!(world.engine.holdings().half_open, 10);
    let mut alice = Client::new("alice@rig", 2);
    let first = First::new(&mut alice);
    let good = cookie(&world.deliver(&alice.on_500(first.without())), 1000);
    let request = first.with(&good);
    let sent = world.deliver(&alice.on_500(request.clone()));
    let mut keyed = alice.keyed(request, sent[0].bytes.clone(), first.nonce, first.pair);
    alice.auth(&mut world, &mut keyed);
    assert_eq!(world.engine.counters().logins, 1);
}

#[test]
fn a_cookie_that_nobody_asked_for_is_no_obstacle() {
    let mut world = World::new(asking(64, 64));
    let mut alice = Client::new("alice@rig", 2);
    let first = First::new(&mut alice);
    let request = first.with(&[1; 64]);
    let sent = world.deliver(&alice.on_500(request.clone()));
    let mut keyed = alice.keyed(request, sent[0].bytes.clone(), first.nonce, first.pair);
    alice.auth(&mut world, &mut keyed);
    assert_eq!(world.engine.counters().logins, 1);
}

/// IKEv1 has no cookies: its first messages may come from addresses that nobody has, and from behind the client's own NAT.
#[test]
fn a_flood_of_first_messages_by_ikev1_keeps_nobody_out_who_comes_by_ikev2() {
    for asked_always in [false, true] {
        let mut config = asking(if asked_always { 0 } else { 10 }, 4);
        config.connections.push(config_v1().connections.remove(0));
        (config.ike.half_open_limit, config.ike.half_open_limit_per_source) = (32, 8);
        let mut world = World::new(config);
        let mut alice = Client::new("alice@rig", 2);
        let mut flood = ClientV1::new("nobody", 9);
        for n in 0..64_u16 {
            let address = if n < 16 { alice.seen.ip() } else { IpAddr::V4(Ipv4Addr::from(0xCB00_7100 + u32::from(n))) };
            flood.seen = SocketAddr::from((address, 1000 + n));
            let cookies = (IkeSpi(flood.word()), IkeSpi(0));
            let first = v1::build(&header_v1(cookies, v1::Exchange::MainMode, 0), &[flood.sa_payload()]);
            world.deliver(&flood.on_500(first));
        }
        assert_eq!(world.engine.holdings().half_open, 32);
        let full = |reason| world.engine.counters().ignored(reason);
        assert_eq!((full(Ignored::SourceFull), full(Ignored::HalfOpenFull)), (8, 24), "they have limits of their own");
        if asked_always {
            let first = First::new(&mut alice);
            let good = cookie(&world.deliver(&alice.on_500(first.without())), 1000);
            assert_eq!(world.deliver(&alice.on_500(first.with(&good))).len(), 1, "a good cookie is enough");
            continue;
        }
        assert_eq!(world.engine.cookies_asked(), CookiesAsked::OfNobody);
        alice.login(&mut world);
    }
}
