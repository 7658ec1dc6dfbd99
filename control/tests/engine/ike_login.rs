//! Logging in over IKEv2 (RFC 7296 sections 1.2, 2.6 to 2.23): what a client gets, and what it is told when it does
//! not.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{EspProposal, IkeProposal};
use adit_control::ike::counters::Ignored;
use adit_control::ike::engine::Holdings;
use adit_control::ike::wire::*;
use adit_control::session::SessionState;
use adit_crypto::kex::KeyPair;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{EspPath, Event, Following, IkeFraming, InnerLayout, Transport, Transports};
use peer::client::*;
use peer::dataplane::{assert_same_keys, natt};
use peer::{World, config};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

// initiator --> HDR, SAi1, KEi, Ni, N(NATD_S_IP), N(NATD_D_IP)
// responder <-- HDR, SAr1, KEr, Nr, N(NATD_S_IP), N(NATD_D_IP)
// initiator --> HDR, SK {IDi, AUTH, CP(CFG_REQUEST), SAi2, TSi, TSr}
// responder <-- HDR, SK {IDr, AUTH, CP(CFG_REPLY), SAr2, TSi, TSr}
#[test]
fn a_client_logs_in_and_gets_addresses_a_tunnel_and_routes() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    assert_eq!(world.engine.sessions(world.now)[0].state, SessionState::Connecting);
    let (spi_in, answer) = alice.auth(&mut world, &mut keyed);
    let child = alice.logged_in(&world, &keyed, spi_in, &answer);

    let v4: IpAddr = "10.30.0.2".parse().unwrap();
    let v6: IpAddr = "fd30::2".parse().unwrap();
    assert_eq!(
        child.configuration,
        [
            Attribute { kind: Attribute::IP4_ADDRESS, value: vec![10, 30, 0, 2] },
            Attribute {
                kind: Attribute::IP6_ADDRESS,
                value: vec![0xfd, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 128]
            },
            Attribute { kind: Attribute::IP4_DNS, value: vec![10, 20, 0, 53] },
        ],
        "what was asked for and nothing else"
    );
    let shown = |ts: &[adit_dataplane::contract::Selector]| {
        ts.iter().map(|s| adit_control::ike::narrow::Shown(s).to_string()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&child.ts_i), ["10.30.0.2/32", "fd30::2/128"]);
    assert_eq!(shown(&child.ts_r), ["10.20.0.0/24", "fd20::/64"]);

    let (key, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path, natt(alice.on_4500(vec![]).path));
    assert_eq!((world.dataplane.route(v4), world.dataplane.route(v6)), (Some(*key), Some(*key)));
    assert_same_keys(&child.sealer(), &world.dataplane.inbound(child.spi_out).cipher);
    let outbound = tunnel.sends_on();
    assert_eq!(outbound.spi, child.spi_in);
    assert_same_keys(&outbound.cipher, &child.opener());
    assert_eq!(world.dataplane.log, ["Routes", "AddTunnel", "AddPair", "SwitchOutbound"]);

    let [session] = &world.engine.sessions(world.now)[..] else { panic!() };
    assert_eq!((session.state, session.identity.as_str()), (SessionState::Up, "alice@rig"));
    assert_eq!((session.connection.as_str(), &session.addresses[..]), ("rig", &[v4, v6][..]));
    assert_eq!(session.ike_algorithms, "aes128gcm16-prfsha256-x25519");
    assert!(session.peer_behind_nat);
    let [sa] = &world.engine.sas(world.now)[..] else { panic!() };
    assert_eq!((sa.state.as_str(), sa.spi_in.clone()), ("active", format!("{:#010x}", child.spi_out)));
    assert_eq!(sa.remote, ["10.30.0.2/32", "fd30::2/128"]);
    assert_eq!(world.engine.holdings().half_open, 0);
}

#[test]
fn a_client_that_asks_for_one_family_gets_one() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    alice.attributes = vec![Attribute::IP4_ADDRESS, Attribute::IP4_NETMASK, Attribute::IP4_SUBNET, Attribute::IP6_DNS];
    let (_, child) = alice.login(&mut world);
    let kinds: Vec<u16> = child.configuration.iter().map(|attribute| attribute.kind).collect();
    assert_eq!(kinds, [Attribute::IP4_ADDRESS, Attribute::IP4_NETMASK, Attribute::IP6_DNS, Attribute::IP4_SUBNET]);
    assert_eq!((child.ts_i.len(), child.ts_r.len()), (1, 1));
}

#[test]
fn every_group_and_cipher_of_the_headends_logs_in() {
    for (ike, esp) in [
        ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
        ("aes256gcm16-prfsha384-ecp384", "aes256gcm16"),
        ("chacha20poly1305-prfsha512-ecp256", "chacha20poly1305"),
        ("aes256-sha256-modp2048", "aes256-sha256"),
        ("aes128-sha1-modp2048", "aes128-sha1"),
    ] {
        let mut config = config();
        peer::login(&mut config).ike_proposals = vec![IkeProposal::parse(ike).unwrap()];
        config.connections[0].esp_proposals = vec![EspProposal::parse(esp).unwrap()];
        let mut world = World::new(config);
        let mut alice = Client::new("alice@rig", 2);
        alice.ike = vec![IkeProposal::parse(ike).unwrap()];
        alice.esp = vec![EspProposal::parse(esp).unwrap()];
        let (_, child) = alice.login(&mut world);
        assert_same_keys(&child.sealer(), &world.dataplane.inbound(child.spi_out).cipher);
        assert_same_keys(&world.dataplane.tunnel().1.sends_on().cipher, &child.opener());
    }
}

#[test]
fn a_client_logs_in_over_ipv6() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    alice.headend = "[2001:db8:100::2]:500".parse().unwrap();
    alice.seen = "[2001:db8:100::1]:500".parse().unwrap();
    alice.own = alice.seen;
    alice.login(&mut world);
    let [session] = &world.engine.sessions(world.now)[..] else { panic!() };
    assert!(!session.peer_behind_nat);
    assert_eq!(session.local, "[2001:db8:100::2]:4500".parse().unwrap());
}

#[test]
fn sessions_spread_over_the_workers_and_addresses_differ() {
    let mut world = World::new(config());
    for host in 2..10 {
        Client::new(&format!("c{host}@rig"), host).login(&mut world);
    }
    let sessions = world.engine.sessions(world.now);
    assert_eq!(sessions.iter().filter(|session| session.worker == 0).count(), 4);
    let layout = InnerLayout::new(2);
    for session in &sessions {
        let owners: Vec<_> = session.addresses.iter().map(|address| layout.owner(*address).0).collect();
        assert_eq!(owners, [session.worker; 2], "the kernel steers {:?} to where the session is", session.addresses);
    }
    let mut addresses: Vec<_> = sessions.iter().flat_map(|session| &session.addresses).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 16);
}

#[test]
fn many_logins_between_two_drains_publish_the_routes_once() {
    let mut config = config();
    config.ike.half_open_limit = 10_000;
    config.ike.half_open_limit_per_source = 10_000;
    config.ike.cookie_threshold = 10_000;
    config.ike.cookie_threshold_per_source = 10_000;
    let mut world = World::new(config);
    let mut waiting = Vec::new();
    for host in 2..40 {
        let mut client = Client::new(&format!("c{host}@rig"), host);
        let mut keyed = client.init(&mut world);
        let (_, payloads) = client.auth_payloads(&keyed);
        let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
        waiting.push(client.on_4500(request));
    }
    for datagram in waiting {
        world.engine.handle_event(world.now, adit_dataplane::contract::WorkerId(0), Event::Ike(datagram));
    }
    world.drain();
    assert_eq!((world.dataplane.publications, world.dataplane.tunnels.len()), (1, 38));
}

// initiator --> HDR, SAi1, KEi(another group), Ni
// responder <-- HDR, N(INVALID_KE_PAYLOAD, group)
#[test]
fn a_key_exchange_of_another_group_is_told_the_right_one_and_leaves_nothing() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let spi_i = IkeSpi(alice.word());
    let pair = KeyPair::generate(KexGroup::Ecp256, &mut alice.random);
    let payloads = alice.init_payloads(spi_i, &pair, &[1; 32]);
    let sent = world.deliver(&alice.on_500(build(&init_header(spi_i), &payloads)));
    let incoming = parse(&sent[0].bytes).unwrap();
    assert_eq!(incoming.header.responder_spi, IkeSpi(0));
    assert_eq!(only_notify(&incoming.payloads), (NotifyKind::InvalidKePayload, vec![0, 31]));
    world.assert_nothing_left();
    alice.login(&mut world);
}

#[test]
fn without_a_common_ike_proposal_the_answer_is_no_proposal_chosen() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    alice.ike = vec![IkeProposal::parse("aes256gcm16-prfsha384-ecp384").unwrap()];
    let pair = KeyPair::generate(KexGroup::Ecp384, &mut alice.random);
    let payloads = alice.init_payloads(IkeSpi(5), &pair, &[1; 32]);
    let sent = world.deliver(&alice.on_500(build(&init_header(IkeSpi(5)), &payloads)));
    let incoming = parse(&sent[0].bytes).unwrap();
    assert_eq!(only_notify(&incoming.payloads), (NotifyKind::NoProposalChosen, vec![]));
    assert_eq!(world.engine.counters().refusals, 1);
    world.assert_nothing_left();
}

#[test]
fn a_client_without_nat_traversal_is_refused_at_once() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let pair = KeyPair::generate(KexGroup::X25519, &mut alice.random);
    let mut payloads = alice.init_payloads(IkeSpi(5), &pair, &[1; 32]);
    payloads.truncate(3);
    let sent = world.deliver(&alice.on_500(build(&init_header(IkeSpi(5)), &payloads)));
    assert_eq!(only_notify(&parse(&sent[0].bytes).unwrap().payloads), (NotifyKind::NoProposalChosen, vec![]));
    world.assert_nothing_left();
}

#[test]
fn an_unknown_critical_payload_in_the_first_message_is_named() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let pair = KeyPair::generate(KexGroup::X25519, &mut alice.random);
    let mut payloads = alice.init_payloads(IkeSpi(5), &pair, &[1; 32]);
    payloads.push(Payload::Unknown(200, true));
    let sent = world.deliver(&alice.on_500(build(&init_header(IkeSpi(5)), &payloads)));
    let incoming = parse(&sent[0].bytes).unwrap();
    assert_eq!(only_notify(&incoming.payloads), (NotifyKind::UnsupportedCriticalPayload, vec![200]));
    payloads.pop();
    payloads.push(Payload::Unknown(200, false));
    let sent = world.deliver(&alice.on_500(build(&init_header(IkeSpi(6)), &payloads)));
    assert_eq!(parse(&sent[0].bytes).unwrap().payloads.len(), 5, "what is not critical is skipped");
}

/// The client is told the same thing for every reason; the log tells them apart.
#[test]
fn whoever_cannot_prove_an_identity_hears_authentication_failed_and_leaves_nothing() {
    type Spoil = fn(&mut Client);
    let spoilers: [(&str, Spoil); 3] = [
        ("wrong PSK", |client| client.psk = SecretBytes::from(&b"rig-psk-secres"[..])),
        ("unknown identity", |client| client.id = Id::parse("mallory@elsewhere").unwrap()),
        ("another headend", |client| client.id_r = Some(Id::parse("other.rig").unwrap())),
    ];
    for (why, spoil) in spoilers {
        let mut world = World::new(config());
        let mut client = Client::new("alice@rig", 2);
        spoil(&mut client);
        let mut keyed = client.init(&mut world);
        let (_, answer) = client.auth(&mut world, &mut keyed);
        assert_eq!(only_notify(&answer), (NotifyKind::AuthenticationFailed, vec![]), "{why}");
        assert!(world.dataplane.log.is_empty(), "{why}");
        world.assert_nothing_left();
    }
}

#[test]
fn the_headends_own_identity_may_be_asked_for() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    // Names and e-mail addresses compare without case (RFC 4343), as those of clients do.
    alice.id_r = Some(Id::parse("Headend.RIG").unwrap());
    alice.login(&mut world);
}

// initiator --> HDR, SK {IDi, SA, TSi, TSr}      (no AUTH: it wants EAP)
// responder <-- HDR, SK {N(AUTHENTICATION_FAILED)}
#[test]
fn a_client_that_wants_eap_hears_authentication_failed() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let (_, mut payloads) = alice.auth_payloads(&keyed);
    payloads.retain(|payload| !matches!(payload, Payload::Auth(..)));
    let answer = alice.ask(&mut world, &mut keyed.sa, Exchange::IkeAuth, &payloads);
    assert_eq!(only_notify(&answer), (NotifyKind::AuthenticationFailed, vec![]));
    world.assert_nothing_left();
}

#[test]
fn a_proof_by_another_method_is_refused() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let (_, mut payloads) = alice.auth_payloads(&keyed);
    for payload in &mut payloads {
        if let Payload::Auth(method, _) = payload {
            *method = 1;
        }
    }
    let answer = alice.ask(&mut world, &mut keyed.sa, Exchange::IkeAuth, &payloads);
    assert_eq!(only_notify(&answer), (NotifyKind::AuthenticationFailed, vec![]));
    world.assert_nothing_left();
}

#[test]
fn a_connection_gets_its_own_ike_proposals_and_no_other_ones() {
    let mut config = config();
    let mut other = config.connections[0].clone();
    other.name = "weak".to_owned();
    other.remote_ids = vec![adit_control::config::checked::IdPattern::parse("old@box").unwrap()];
    peer::login_of(&mut other).ike_proposals = vec![IkeProposal::parse("aes128-sha1-modp2048").unwrap()];
    config.connections.push(other);
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    alice.ike = vec![IkeProposal::parse("aes128-sha1-modp2048").unwrap()];
    let mut keyed = alice.init(&mut world);
    let (_, answer) = alice.auth(&mut world, &mut keyed);
    assert_eq!(only_notify(&answer), (NotifyKind::NoProposalChosen, vec![]));
    world.assert_nothing_left();
}

/// Before IKE_AUTH nobody knows whose the client is, so what is chosen has to be good for as many as possible.
#[test]
fn a_client_and_its_connection_agree_whatever_the_connections_before_it_allow() {
    let ike = |text: &str| IkeProposal::parse(text).unwrap();
    // What the connection before allows, what it alone allows, what the client offers, and what it gets.
    for (before, alone, offered, chosen) in [
        ("aes128-sha1-modp2048", "aes128-sha1-modp2048", ["aes128-sha1-modp2048", peer::IKE], peer::IKE),
        (
            "aes256-aes128-sha512-sha256-ecp384-modp2048",
            "aes128-sha512-ecp384",
            ["aes128-sha256-ecp384", "aes256-sha256-modp2048"],
            "aes256-sha256-modp2048",
        ),
    ] {
        let mut config = config();
        let mut other = config.connections[0].clone();
        other.name = "before".to_owned();
        other.remote_ids = vec![adit_control::config::checked::IdPattern::parse("old@box").unwrap()];
        peer::login_of(&mut other).ike_proposals = vec![ike(before)];
        config.connections.insert(0, other);
        let mut world = World::new(config);
        let mut alice = Client::new("alice@rig", 2);
        alice.ike = offered.map(ike).to_vec();
        // Its KE payload is for what will be chosen.
        alice.ike.sort_by_key(|proposal| *proposal != ike(chosen));
        alice.login(&mut world);
        assert_eq!(world.engine.sessions(world.now)[0].ike_algorithms, chosen, "{before} before");
        // Who has nothing better is let in as before.
        let mut old = Client::new("old@box", 3);
        old.ike = vec![ike(alone)];
        old.login(&mut world);
    }
}

/// RFC 7296 section 1.2: the IKE SA is there although the child is not. It does not stay so.
#[test]
fn a_child_that_cannot_be_is_told_why_and_the_session_ends_soon() {
    type Spoil = fn(&mut Client);
    let spoilers: [(NotifyKind, Spoil); 4] = [
        (NotifyKind::NoProposalChosen, |client| client.esp = vec![EspProposal::parse("aes256-sha1").unwrap()]),
        (NotifyKind::FailedCpRequired, |client| client.attributes = Vec::new()),
        (NotifyKind::FailedCpRequired, |client| client.attributes = vec![Attribute::IP4_DNS]),
        (NotifyKind::TsUnacceptable, |client| client.ts_r = vec![selector("192.0.2.0/24")]),
    ];
    for (kind, spoil) in spoilers {
        let mut world = World::new(config());
        let mut client = Client::new("alice@rig", 2);
        spoil(&mut client);
        let mut keyed = client.init(&mut world);
        let (_, answer) = client.auth(&mut world, &mut keyed);
        childless_ends(&mut world, &mut keyed.sa, &client, &answer, kind);
    }
}

#[test]
fn an_empty_pool_is_told_as_internal_address_failure() {
    let mut config = config();
    config.pools[0].v4 = Some("10.30.0.0/30".parse().unwrap());
    config.pools[0].v6 = None;
    let mut world = World::new(config);
    let (mut sa, _) = Client::new("alice@rig", 2).login(&mut world);
    let mut bob = Client::new("bob@rig", 3);
    let mut keyed = bob.init(&mut world);
    let (_, answer) = bob.auth(&mut world, &mut keyed);
    let [Payload::IdResponder(_), Payload::Auth(2, _), Payload::Notify(notify)] = &answer[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(notify.kind, NotifyKind::InternalAddressFailure);
    // Bob says goodbye himself, Alice too, and her address is free again.
    assert_eq!(bob.ask(&mut world, &mut keyed.sa, Exchange::Informational, &[delete_ike()]), []);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
    assert_eq!(Client::new("alice@rig", 2).ask(&mut world, &mut sa, Exchange::Informational, &[delete_ike()]), []);
    world.assert_nothing_left();
    Client::new("bob@rig", 4).login(&mut world);
}

#[test]
fn ike_auth_on_port_500_from_behind_a_nat_gets_no_child() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let answer = auth_on_500(&mut world, &mut alice, &mut keyed);
    assert_eq!(refused_child(&answer), NotifyKind::NoProposalChosen);
    assert!(world.dataplane.log.is_empty());
}

/// IKE_AUTH on port 500; the payloads of its answer.
fn auth_on_500(world: &mut World, client: &mut Client, keyed: &mut Keyed) -> Vec<Payload> {
    let (_, payloads) = client.auth_payloads(keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    let sent = world.deliver(&client.on_500(request));
    assert_eq!((sent.len(), sent[0].framing), (1, IkeFraming::Bare));
    keyed.sa.answered(Exchange::IkeAuth, &sent[0].bytes)
}

/// Why there is no child SA.
fn refused_child(answer: &[Payload]) -> NotifyKind {
    let [.., Payload::Notify(notify)] = answer else { panic!("{answer:?}") };
    notify.kind
}

/// RFC 7296 section 2.23: UDP encapsulation is for where there is a NAT, and port 4500 for IKE says nothing about ESP.
#[test]
fn without_a_nat_esp_goes_as_it_is_whichever_port_ike_uses() {
    for on_4500 in [false, true] {
        let mut world = World::new(config());
        let mut alice = Client::new("alice@rig", 2);
        alice.seen = alice.own;
        let mut keyed = alice.init(&mut world);
        assert_eq!(keyed.headend, Seen::AsItIs);
        let (answer, path) = if on_4500 {
            (alice.auth(&mut world, &mut keyed).1, alice.on_4500(vec![]).path)
        } else {
            (auth_on_500(&mut world, &mut alice, &mut keyed), alice.on_500(vec![]).path)
        };
        assert!(answer.iter().any(|payload| matches!(payload, Payload::TsResponder(_))), "{answer:?}");
        let (_, tunnel) = world.dataplane.tunnel();
        assert_eq!(tunnel.path, EspPath::new(Transport::Esp, path));
        assert_eq!((tunnel.following, tunnel.transports), (Following::SameHosts, Transports::ALL));
        let session = &world.engine.sessions(world.now)[0];
        assert_eq!((session.transport.as_str(), session.peer), ("esp", path.peer));
    }
}

#[test]
fn behind_a_nat_esp_goes_in_udp_and_is_followed_by_any_transport_that_the_connection_allows() {
    let mut config = config();
    let transports = Transports::NONE.with(Transport::NatT).with(Transport::Esp);
    config.connections[0].transports = transports;
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    assert_eq!(keyed.headend, Seen::AsItIs);
    alice.auth(&mut world, &mut keyed);
    let (_, tunnel) = world.dataplane.tunnel();
    assert_eq!(tunnel.path, natt(alice.on_4500(vec![]).path));
    assert_eq!((tunnel.following, tunnel.transports), (Following::NewestPacket, transports));
    assert_eq!(world.engine.sessions(world.now)[0].transport, "nat-t");
}

#[test]
fn where_some_client_may_not_use_native_esp_every_client_sees_a_nat_and_has_to_float() {
    let mut config = config();
    config.connections[0].transports = Transports::NONE.with(Transport::NatT);
    let mut other = config.connections[0].clone();
    other.transports = Transports::ALL;
    config.connections.push(other);
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    alice.seen = alice.own;
    let mut keyed = alice.init(&mut world);
    assert_eq!(keyed.headend, Seen::BehindNat);
    alice.auth(&mut world, &mut keyed);
    assert_eq!(world.dataplane.tunnel().1.path, natt(alice.on_4500(vec![]).path));
    let mut bob = Client::new("bob@rig", 3);
    bob.seen = bob.own;
    let mut keyed = bob.init(&mut world);
    let answer = auth_on_500(&mut world, &mut bob, &mut keyed);
    assert_eq!(refused_child(&answer), NotifyKind::NoProposalChosen, "there is no way for its ESP");
}

/// They were made to see a NAT, so their ESP comes in UDP, and they take it in nothing else.
#[test]
fn who_was_made_to_see_a_nat_gets_its_esp_in_udp_or_is_told_that_it_cannot_have_any() {
    for (transports, way) in [
        (Transports::ALL, Some(Transport::NatT)),
        (Transports::NONE.with(Transport::NatT).with(Transport::Esp), Some(Transport::NatT)),
        (Transports::NONE.with(Transport::Esp), None),
    ] {
        let mut config = config();
        let mut other = config.connections[0].clone();
        other.remote_ids = vec![adit_control::config::checked::IdPattern::parse("*@other").unwrap()];
        other.transports = Transports::NONE.with(Transport::NatT);
        config.connections[0].transports = transports;
        config.connections.push(other);
        let mut world = World::new(config);
        let mut alice = Client::new("alice@rig", 2);
        alice.seen = alice.own;
        let mut keyed = alice.init(&mut world);
        assert_eq!(keyed.headend, Seen::BehindNat);
        let (_, answer) = alice.auth(&mut world, &mut keyed);
        match way {
            Some(way) => {
                let (_, tunnel) = world.dataplane.tunnel();
                assert_eq!(tunnel.path, EspPath::new(way, alice.on_4500(vec![]).path), "{transports:?}");
                assert_eq!(tunnel.following, Following::SameHosts, "there is none");
                world.pass(Duration::from_secs(25));
                assert!(world.dataplane.keepalives.is_empty(), "we keep no mapping alive that there is not");
            }
            None => assert_eq!(refused_child(&answer), NotifyKind::NoProposalChosen),
        }
    }
}

#[test]
fn no_more_sessions_than_the_configuration_allows() {
    let mut config = config();
    config.ike.session_limit = 1;
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    alice.login(&mut world);
    let mut bob = Client::new("bob@rig", 3);
    let mut keyed = bob.init(&mut world);
    let (_, answer) = bob.auth(&mut world, &mut keyed);
    assert_eq!(only_notify(&answer), (NotifyKind::NoAdditionalSas, vec![]));
    assert_eq!(world.engine.sessions(world.now).len(), 1);
    // Alice is welcome: she replaces herself.
    let mut again = Client::new("alice@rig", 4);
    again.notifies = vec![NotifyKind::InitialContact];
    again.login(&mut world);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
}

#[test]
fn initial_contact_removes_older_sessions_of_the_same_identity_and_no_others() {
    let mut world = World::new(config());
    Client::new("alice@rig", 2).login(&mut world);
    Client::new("alice@rig", 3).login(&mut world);
    Client::new("bob@rig", 4).login(&mut world);
    assert_eq!(world.engine.sessions(world.now).len(), 3);
    // One that is not proven removes nobody.
    let mut mallory = Client::new("alice@rig", 5);
    mallory.notifies = vec![NotifyKind::InitialContact];
    mallory.psk = SecretBytes::from(&b"guess"[..]);
    let mut keyed = mallory.init(&mut world);
    mallory.auth(&mut world, &mut keyed);
    assert_eq!(world.engine.sessions(world.now).len(), 3);

    // By another spelling of the same name.
    let mut alice = Client::new("Alice@rig", 6);
    alice.notifies = vec![NotifyKind::InitialContact];
    alice.login(&mut world);
    let mut identities: Vec<_> = world.engine.sessions(world.now).into_iter().map(|session| session.identity).collect();
    identities.sort();
    assert_eq!(identities, ["Alice@rig", "bob@rig"]);
    let held = world.engine.holdings();
    assert_eq!((held.leases, held.tunnels, held.spis, held.routes), (4, 2, 2, 4));
}

#[test]
fn half_open_sas_are_limited_and_forgotten() {
    let mut config = config();
    config.ike.half_open_limit = 3;
    let mut world = World::new(config);
    for host in 2..5 {
        Client::new("alice@rig", host).init(&mut world);
    }
    let mut bob = Client::new("bob@rig", 9);
    let pair = KeyPair::generate(KexGroup::X25519, &mut bob.random);
    let payloads = bob.init_payloads(IkeSpi(9), &pair, &[1; 32]);
    let datagram = bob.on_500(build(&init_header(IkeSpi(9)), &payloads));
    assert!(world.deliver(&datagram).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::HalfOpenFull), 1);
    world.pass(Duration::from_secs(21));
    world.assert_nothing_left();
    assert_eq!(world.deliver(&datagram).len(), 1);
}

#[test]
fn one_address_cannot_take_all_half_open_sas() {
    let mut config = config();
    config.ike.half_open_limit = 100;
    config.ike.half_open_limit_per_source = 25;
    let mut world = World::new(config);
    for host in 0..25 {
        Client::new("alice@rig", host).init(&mut world);
    }
    let mut bob = Client::new("bob@rig", 99);
    let pair = KeyPair::generate(KexGroup::X25519, &mut bob.random);
    let payloads = bob.init_payloads(IkeSpi(9), &pair, &[1; 32]);
    let mut datagram = bob.on_500(build(&init_header(IkeSpi(9)), &payloads));
    assert!(world.deliver(&datagram).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::SourceFull), 1);
    datagram.path.peer = SocketAddr::from(([203, 0, 113, 7], 500));
    assert_eq!(world.deliver(&datagram).len(), 1);
}

#[test]
fn ike_sa_init_again_gets_the_same_octets_and_makes_no_second_state() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let again = alice.on_500(keyed.request.clone());
    for _ in 0..3 {
        let sent = world.deliver(&again);
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].bytes, keyed.response);
        assert_eq!(world.engine.holdings().ike_sas, 1);
    }
    // Other octets with the same SPI from the same address are neither this nor a second one.
    let mut other = keyed.request.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(world.deliver(&alice.on_500(other)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::SpiTaken), 1);
    assert_eq!(world.engine.holdings().ike_sas, 1);
    // And when it comes late, it is old.
    alice.auth(&mut world, &mut keyed);
    assert!(world.deliver(&again).is_empty());
    assert_eq!(world.engine.holdings().ike_sas, 1);
}

#[test]
fn ike_auth_again_gets_the_same_octets_and_has_no_second_effect() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let (_, payloads) = alice.auth_payloads(&keyed);
    let request = alice.on_4500(keyed.sa.request(Exchange::IkeAuth, &payloads));
    let first = world.deliver(&request);
    let (held, log) = (world.engine.holdings(), world.dataplane.log.clone());
    for _ in 0..3 {
        assert_eq!(world.deliver(&request), first);
        assert_eq!((world.engine.holdings(), &world.dataplane.log), (held, &log));
    }
}

#[test]
fn a_refused_ike_auth_again_gets_the_same_octets() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    alice.psk = SecretBytes::from(&b"wrong"[..]);
    let mut keyed = alice.init(&mut world);
    let (_, payloads) = alice.auth_payloads(&keyed);
    let request = alice.on_4500(keyed.sa.request(Exchange::IkeAuth, &payloads));
    let first = world.deliver(&request);
    assert_eq!(world.deliver(&request), first);
    // A second guess has no IKE SA to guess on.
    let (_, payloads) = Client::new("alice@rig", 2).auth_payloads(&keyed);
    let guess = alice.on_4500(keyed.sa.request(Exchange::IkeAuth, &payloads));
    assert!(world.deliver(&guess).is_empty());
    world.assert_nothing_left();
    let [stranger] = &world.deliver(&request)[..] else { panic!("one answer") };
    assert_eq!(in_the_clear(stranger).0, NotifyKind::InvalidIkeSpi, "and after a while nobody remembers");
}

#[test]
fn no_bit_of_an_ike_auth_request_can_be_flipped_to_any_effect() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let (spi_in, payloads) = alice.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    let held = world.engine.holdings();
    for index in 0..request.len() {
        for bit in 0..8 {
            let mut flipped = request.clone();
            flipped[index] ^= 1 << bit;
            // Another SPI of ours, or another version, may be told what is wrong, in the clear.
            let sent = world.deliver(&alice.on_4500(flipped));
            match index {
                8..=15 => assert!(sent.iter().all(|said| in_the_clear(said).0 == NotifyKind::InvalidIkeSpi)),
                17 => assert!(sent.iter().all(|said| in_the_clear(said).0 == NotifyKind::InvalidMajorVersion)),
                _ => assert!(sent.is_empty(), "octet {index} bit {bit} got an answer"),
            }
            assert_eq!(world.engine.holdings(), held, "octet {index} bit {bit}");
        }
    }
    let sent = world.deliver(&alice.on_4500(request));
    let answer = keyed.sa.answered(Exchange::IkeAuth, &sent[0].bytes);
    alice.logged_in(&world, &keyed, spi_in, &answer);
}

#[test]
fn an_ike_auth_that_is_cut_short_or_padded_changes_nothing() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let (_, payloads) = alice.auth_payloads(&keyed);
    let request = keyed.sa.request(Exchange::IkeAuth, &payloads);
    for len in 0..request.len() {
        assert!(world.deliver(&alice.on_4500(request[..len].to_vec())).is_empty());
    }
    assert!(world.deliver(&alice.on_4500([&request[..], &[0]].concat())).is_empty());
    assert_eq!(world.engine.holdings().half_open, 1);
    assert_eq!(world.deliver(&alice.on_4500(request)).len(), 1);
}

/// RFC 7296 section 2.21.2: good ICV, bad inside.
#[test]
fn an_ike_auth_without_its_payloads_hears_invalid_syntax_and_leaves_nothing() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let (_, all) = {
        let keyed = alice.init(&mut world);
        alice.auth_payloads(&keyed)
    };
    world.pass(Duration::from_secs(30));
    for left_out in 0..all.len() {
        let mut keyed = alice.init(&mut world);
        let (_, mut payloads) = alice.auth_payloads(&keyed);
        let gone = payloads.remove(left_out);
        let answer = alice.ask(&mut world, &mut keyed.sa, Exchange::IkeAuth, &payloads);
        match gone {
            Payload::IdInitiator(_) | Payload::Sa(_) | Payload::TsInitiator(_) | Payload::TsResponder(_) => {
                assert_eq!(only_notify(&answer), (NotifyKind::InvalidSyntax, vec![]), "{gone:?}");
                assert_eq!(world.engine.holdings().ike_sas, 0);
            }
            Payload::Auth(..) => assert_eq!(only_notify(&answer).0, NotifyKind::AuthenticationFailed),
            _ => world.pass(Duration::from_secs(200)).clear(),
        }
    }
}

/// RFC 6023.
#[test]
fn an_ike_auth_without_a_child_sa_begins_a_session_without_one() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    // What the client says of itself makes room for what we say of us.
    alice.first_notifies = vec![NotifyKind::Other(40_000)];
    let mut keyed = alice.init(&mut world);
    // Nobody is invited to: such a session has no address, so it can never get a child SA.
    let said = parse(&keyed.response).unwrap().payloads;
    assert!(!said.contains(&notify(NotifyKind::ChildlessIkev2Supported, vec![])));
    let (_, mut payloads) = alice.auth_payloads(&keyed);
    payloads.retain(|payload| matches!(payload, Payload::IdInitiator(_) | Payload::Auth(..)));
    let answer = alice.ask(&mut world, &mut keyed.sa, Exchange::IkeAuth, &payloads);
    let [Payload::IdResponder(_), Payload::Auth(2, _)] = &answer[..] else { panic!("{answer:?}") };
    let held = world.engine.holdings();
    assert_eq!(held, Holdings { sessions: 1, ike_sas: 1, identities: 1, arrivals: 1, timers: 1, ..Default::default() });
    assert_eq!((world.engine.counters().logins, world.engine.counters().refusals), (1, 0));
    assert_eq!(alice.ask(&mut world, &mut keyed.sa, Exchange::Informational, &[delete_ike()]), []);
    world.assert_nothing_left();
}

#[test]
fn an_unknown_critical_payload_in_ike_auth_is_named() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let (_, mut payloads) = alice.auth_payloads(&keyed);
    payloads.push(Payload::Unknown(201, true));
    let answer = alice.ask(&mut world, &mut keyed.sa, Exchange::IkeAuth, &payloads);
    assert_eq!(only_notify(&answer), (NotifyKind::UnsupportedCriticalPayload, vec![201]));
    world.assert_nothing_left();
}

#[test]
fn the_answer_is_never_longer_than_the_question() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    for nonce_len in [16, 17, 31, 32, 33, 256] {
        let pair = KeyPair::generate(KexGroup::X25519, &mut alice.random);
        let spi_i = IkeSpi(alice.word());
        let payloads = alice.init_payloads(spi_i, &pair, &vec![1; nonce_len]);
        let request = build(&init_header(spi_i), &payloads);
        let sent = world.deliver(&alice.on_500(request.clone()));
        assert_eq!(sent.len(), 1);
        assert!(sent[0].bytes.len() <= request.len(), "nonce of {nonce_len}");
    }
    // The smallest that parse at all.
    for payloads in [vec![], vec![Payload::Nonce(vec![1; 16])]] {
        let request = build(&init_header(IkeSpi(77)), &payloads);
        for answer in world.deliver(&alice.on_500(request.clone())) {
            assert!(answer.bytes.len() <= request.len());
        }
    }
}

#[test]
fn what_is_not_for_us_is_counted_and_dropped() {
    let mut world = World::new(config());
    let mut alice = Client::new("alice@rig", 2);
    let mut keyed = alice.init(&mut world);
    let deliver = |world: &mut World, header: &Header| {
        assert!(world.deliver(&alice.on_4500(build(header, &[Payload::Nonce(vec![1; 100])]))).is_empty());
    };
    let good = keyed.sa.header(Exchange::IkeAuth, false, 1);
    deliver(&mut world, &Header { flags: Flags { initiator: false, response: false }, ..good });
    deliver(&mut world, &Header { exchange: Exchange::Informational, ..good });
    deliver(&mut world, &Header { message_id: 2, ..good });
    deliver(&mut world, &good);
    deliver(&mut world, &Header { exchange: Exchange::IkeAuth, ..init_header(IkeSpi(3)) });
    assert!(world.deliver(&alice.on_4500(vec![0; 27])).is_empty());
    let ignored = |reason| world.engine.counters().ignored(reason);
    assert_eq!(ignored(Ignored::WrongDirection), 1);
    assert_eq!(ignored(Ignored::UnexpectedExchange), 3);
    assert_eq!(ignored(Ignored::BadIcv), 1);
    assert_eq!(ignored(Ignored::Malformed), 1);
    alice.auth(&mut world, &mut keyed);
    assert_eq!(world.engine.counters().logins, 1);
}

fn selector(net: &str) -> adit_dataplane::contract::Selector {
    adit_control::ike::narrow::selector_of_net(net.parse().unwrap())
}

/// IDr and AUTH are there, no child is, and after a while the headend says goodbye.
#[track_caller]
fn childless_ends(world: &mut World, sa: &mut Sa, client: &Client, answer: &[Payload], kind: NotifyKind) {
    let [Payload::IdResponder(_), Payload::Auth(2, _), Payload::Notify(notify)] = answer else { panic!("{answer:?}") };
    assert_eq!(notify.kind, kind);
    let held = world.engine.holdings();
    assert_eq!(held, Holdings { sessions: 1, ike_sas: 1, identities: 1, arrivals: 1, timers: 1, ..Default::default() });
    let sent = world.pass(Duration::from_secs(10));
    let [goodbye] = &sent[..] else { panic!("{} messages", sent.len()) };
    let (id, payloads) = sa.asked(&goodbye.bytes);
    assert_eq!(payloads, [delete_ike()]);
    let answer = sa.answer(id, &[]);
    assert!(world.deliver(&client.on_4500(answer)).is_empty());
    world.assert_nothing_left();
}
