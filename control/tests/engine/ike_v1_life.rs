//! How long SAs by IKEv1 live, what clients are told about it, and logins anew under a session that goes on.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::aaa::Why;
use adit_control::ike::counters::Ignored;
use adit_control::ike::v1::wire::*;
use adit_dataplane::contract::{Event, IkeDatagram, Keepalive, KeepaliveForm, Lane};
use peer::World;
use peer::v1::*;
use std::net::Ipv4Addr;
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(600);

/// A world whose ISAKMP SAs live ten minutes.
fn world() -> World {
    let mut config = config_v1();
    login_v1(&mut config).reauth = Some(LIFE);
    config.ike.dpd_delay = Duration::ZERO;
    World::new(config)
}

/// Says at its third message what vpnc and Cisco's client say.
fn vpnc(host: u8) -> ClientV1 {
    let mut client = ClientV1::new("alice", host);
    client.vendors.push(Vendor::CiscoClientMark);
    client.initial_contact = true;
    client
}

/// RESPONDER-LIFETIME of an ISAKMP SA.
fn life_of(sa: &SaV1, seconds: u64) -> Payload {
    let spi = [sa.cookies.0.0.to_be_bytes(), sa.cookies.1.0.to_be_bytes()].concat();
    let data = LifeTime { seconds: Some(seconds), kilobytes: None }.of_isakmp();
    Payload::Notify(Notify { protocol: Protocol::Isakmp, spi, kind: NotifyKind::ResponderLifetime, data })
}

/// All of a login, with the life time told behind the user's.
#[track_caller]
fn connect(world: &mut World, client: &mut ClientV1) -> (SaV1, Ipv4Addr, EspV1) {
    let (mut sa, sent) = client.log_in_told(world);
    let [told] = &sent[..] else { panic!("one message, not {}", sent.len()) };
    assert_eq!(sa.informed(&told.bytes), [life_of(&sa, LIFE.as_secs())]);
    let address = address_in(&client.pull(world, &mut sa));
    let (esp, third) = client.quick(world, &mut sa, address);
    assert!(world.deliver(&client.later(third)).is_empty());
    (sa, address, esp)
}

/// Ends it as vpnc does.
#[track_caller]
fn leave(world: &mut World, client: &mut ClientV1, sa: &mut SaV1, esp: &EspV1) {
    let bytes = sa.inform(client.word() as u32, Payload::Delete(Delete::Esp(vec![esp.spi_in, esp.spi_out])));
    assert!(world.deliver(&client.later(bytes)).is_empty());
    let bytes = sa.delete_isakmp(client.word() as u32);
    assert!(world.deliver(&client.later(bytes)).is_empty());
    world.assert_nothing_left();
}

// client --> aggressive mode without INITIAL-CONTACT, XAUTH
// we     --> HDR*, HASH(1), N(RESPONDER-LIFETIME)         until the client says something
// client --> HDR*, HASH(1), D(the ISAKMP SA that this is said under, but it means the former one)
#[test]
fn a_login_anew_as_vpnc_makes_it_takes_the_session_over_without_asking_for_anything() {
    let mut world = world();
    let mut alice = vpnc(2);
    let (mut first, address, esp) = connect(&mut world, &mut alice);
    let before = world.engine.sessions(world.now)[0].id.clone();

    alice.initial_contact = false;
    let (mut second, sent) = alice.log_in_told(&mut world);
    assert_eq!(second.informed(&sent[0].bytes), [life_of(&second, LIFE.as_secs())]);
    let again = world.pass(Duration::from_secs(5));
    assert_eq!(again[0].bytes, sent[0].bytes, "it may have been lost, and the client waits for it");
    let bytes = second.delete_isakmp(alice.word() as u32);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    assert!(world.pass(Duration::from_secs(60)).is_empty(), "it has been heard");

    let sessions = world.engine.sessions(world.now);
    assert_eq!((sessions.len(), &sessions[0].id), (1, &before));
    assert_eq!(sessions[0].addresses, [std::net::IpAddr::from(address)]);
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, esp.spi_in, "ESP goes on");
    assert!(!world.dataplane.log.contains(&"DropTunnel"));
    alice.are_you_there(&mut world, &mut second);
    // The former one is gone.
    let bytes = first.inform(5, dpd(NotifyKind::RUThere, first.cookies, 1));
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::UnknownSpi), 1);
    // The new one lives as long again.
    world.pass(LIFE - Duration::from_secs(70));
    alice.are_you_there(&mut world, &mut second);
    leave(&mut world, &mut alice, &mut second, &esp);
}

#[test]
fn a_login_anew_needs_no_place_where_there_are_as_many_sessions_as_there_may_be() {
    for asks in [true, false] {
        let mut config = world().engine.config().as_ref().clone();
        config.ike.session_limit = 1;
        let mut world = World::new(config);
        let mut alice = if asks { ClientV1::new("alice", 2) } else { vpnc(2) };
        let (_, address, _) = connect(&mut world, &mut alice);
        alice.initial_contact = false;
        let (mut second, _) = alice.log_in_told(&mut world);
        if asks {
            alice.asks[0] = Attribute::long(mode_config_number::IP4_ADDRESS, address.octets());
            assert_eq!(address_in(&alice.pull(&mut world, &mut second)), address);
        }
        alice.are_you_there(&mut world, &mut second);
        let sessions = world.engine.sessions(world.now);
        assert_eq!((sessions.len(), sessions[0].id.as_str()), (1, "s1"), "{asks}");
    }
}

#[test]
fn a_second_delete_or_one_without_esp_sas_in_use_means_what_it_says() {
    for deletes in [1, 2] {
        let mut world = world();
        let mut alice = vpnc(2);
        let (_, _, esp) = connect(&mut world, &mut alice);
        alice.initial_contact = false;
        let (mut sa, _) = alice.log_in_told(&mut world);
        if deletes == 1 {
            let bytes = sa.inform(7, Payload::Delete(Delete::Esp(vec![esp.spi_in])));
            world.deliver(&alice.later(bytes));
        }
        for _ in 0..deletes {
            assert_eq!(world.engine.sessions(world.now).len(), 1);
            let bytes = sa.delete_isakmp(alice.word() as u32);
            world.deliver(&alice.later(bytes));
        }
        world.assert_nothing_left();
    }
}

#[test]
fn a_login_anew_from_another_port_is_the_users_only_session_from_that_address_or_none() {
    for others in [0, 1] {
        let mut world = world();
        let mut alice = vpnc(2);
        connect(&mut world, &mut alice);
        for host in 0..others {
            connect(&mut world, &mut vpnc(3 + host));
        }
        alice.initial_contact = false;
        alice.seen.set_port(30_000);
        alice.log_in_told(&mut world);
        let (sessions, moved) = (world.engine.sessions(world.now), alice.later(vec![]).path.peer);
        assert_eq!(sessions.len(), 1 + usize::from(others) * 2);
        let at: Vec<_> = sessions.iter().filter(|session| session.peer == moved).collect();
        assert_eq!(at.len(), 1);
        assert_eq!(at[0].addresses.is_empty(), others == 1, "whose it is is known, or it has no address");
    }
}

#[test]
fn who_begins_or_does_not_do_as_vpnc_takes_nothing_over_before_it_asks() {
    let mut world = world();
    let mut alice = vpnc(2);
    connect(&mut world, &mut alice);
    // It has lost what it had.
    alice.log_in_told(&mut world);
    assert_eq!(world.engine.sessions(world.now).len(), 2);
    let mut other = ClientV1::new("alice", 2);
    other.random = adit_crypto::random::SeededRandom::new(77);
    other.log_in_told(&mut world);
    assert_eq!(world.engine.sessions(world.now).len(), 3);
}

#[test]
fn who_is_refused_when_it_logs_in_anew_keeps_its_session_until_its_life_is_over() {
    let mut world = world();
    let mut alice = vpnc(2);
    let (mut first, ..) = connect(&mut world, &mut alice);
    world.pass(LIFE - Duration::from_secs(100));
    alice.initial_contact = false;
    let mut second = alice.up_to_user(&mut world);
    // The user is asked again, and vpnc has nothing else to say.
    let sent = world.reject(Why::Locked);
    assert_eq!(second.transaction(&sent[0].bytes).1.kind, ConfigKind::Request);
    let bytes = second.delete_isakmp(alice.word() as u32);
    world.deliver(&alice.later(bytes));
    alice.are_you_there(&mut world, &mut first);
    assert_eq!(world.engine.sessions(world.now).len(), 1, "anybody in the group can fail to be alice");
    let over = world.engine.config().ike.over_time;
    world.pass(Duration::from_secs(100) + over - Duration::from_secs(5));
    assert_eq!(world.engine.sessions(world.now).len(), 1);
    let sent = world.pass(Duration::from_secs(10));
    assert_eq!(first.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![first.cookies]))]);
    world.assert_nothing_left();
}

#[test]
fn who_offers_less_than_its_connection_allows_is_told_nothing() {
    let mut config = config_v1();
    login_v1(&mut config).reauth = Some(Duration::from_secs(86_400));
    let mut world = World::new(config);
    ClientV1::new("alice", 2).connect(&mut world);
    // As much as it offers.
    let mut config = config_v1();
    login_v1(&mut config).reauth = None;
    let mut world = World::new(config);
    ClientV1::new("alice", 2).connect(&mut world);
}

// responder <-- HDR*, HASH(2), SA, Nr, IDci, IDcr, N(RESPONDER-LIFETIME)
#[test]
fn the_life_of_an_esp_sa_is_told_where_it_is_shorter_than_was_offered() {
    let mut config = config_v1();
    config.esp.rekey.time = Some(Duration::from_secs(1200));
    config.esp.hard_factor = 1.25;
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 2);
    let mut sa = alice.log_in(&mut world);
    let address = address_in(&alice.pull(&mut world, &mut sa));
    let (esp, third) = alice.quick(&mut world, &mut sa, address);
    world.deliver(&alice.later(third));
    let data = LifeTime { seconds: Some(1500), kilobytes: None }.of_esp();
    let spi = esp.spi_out.to_be_bytes().to_vec();
    assert_eq!(esp.notes, [Notify { protocol: Protocol::Esp, spi, kind: NotifyKind::ResponderLifetime, data }]);
}

// RFC 3948 section 4, for who is behind a NAT: here that is us.
#[test]
fn keepalives_are_sent_when_we_are_behind_a_nat_and_quiet() {
    for (aims, expected) in [(None, 0), (Some(([203, 0, 113, 1], 500).into()), 1)] {
        let mut config = config_v1();
        config.ike.dpd_delay = Duration::ZERO;
        let mut world = World::new(config);
        let mut alice = ClientV1::new("alice", 2);
        alice.aims = aims;
        alice.connect(&mut world);
        world.pass(Duration::from_secs(19));
        assert!(world.dataplane.keepalives.is_empty());
        world.pass(Duration::from_secs(1));
        let keepalive = Keepalive { path: alice.on_4500(vec![]).path, form: KeepaliveForm::NatT };
        assert_eq!(world.dataplane.keepalives, vec![keepalive; expected]);
        // ESP keeps the mapping as well.
        let sent = world.dataplane.tunnel().1.sends_on().counters.clone();
        world.now = world.now + Duration::from_secs(19);
        sent.charge(1, 100, world.now);
        world.pass(Duration::from_secs(19));
        assert_eq!(world.dataplane.keepalives.len(), expected);
    }
    // Without UDP around ESP there is no mapping of ours that ESP needs.
    let mut world = World::new(config_v1());
    let mut bob = ClientV1::plain("bob", 3);
    bob.connect(&mut world);
    world.pass(Duration::from_secs(29));
    assert!(world.dataplane.keepalives.is_empty());
}

/// A world that replaces ESP keys every ten minutes, and its client with an ESP SA.
fn rekeying(client: &mut ClientV1) -> (World, SaV1, Ipv4Addr, EspV1) {
    let mut config = config_v1();
    config.esp.rekey.time = Some(Duration::from_secs(600));
    config.ike.dpd_delay = Duration::ZERO;
    // As much as the client offers: nobody is told anything.
    login_v1(&mut config).reauth = None;
    let mut world = World::new(config);
    let (mut sa, _) = client.log_in_told(&mut world);
    let address = address_in(&client.pull(&mut world, &mut sa));
    let (esp, third) = client.quick(&mut world, &mut sa, address);
    world.deliver(&client.later(third));
    (world, sa, address, esp)
}

/// The headend's first message, as soon as it comes.
#[track_caller]
fn asked(world: &mut World, sa: &mut SaV1) -> (Header, Vec<Payload>) {
    for _ in 0..700 {
        if let [first, ..] = &world.pass(Duration::from_secs(1))[..] {
            return sa.read(&first.bytes);
        }
    }
    panic!("it does not rekey");
}

fn proposed(payloads: &[Payload]) -> adit_dataplane::contract::Spi {
    let [Payload::Sa(proposals), ..] = payloads else { panic!("{payloads:?}") };
    spi_in(&proposals[0])
}

#[test]
fn the_new_sa_is_sent_on_at_once_to_vpnc_and_to_others_when_they_are_heard_or_after_a_while() {
    let mut alice = vpnc(2);
    let (mut world, mut sa, _, _) = rekeying(&mut alice);
    let (header, payloads) = asked(&mut world, &mut sa);
    let sent = alice.answer_quick(&mut world, &mut sa, &header, &payloads);
    assert_eq!(exchanges(&sent), [Exchange::QuickMode, Exchange::Informational], "HASH(3), and the old one's delete");
    let now_on = world.dataplane.tunnel().1.pair_in(Lane::FIRST);
    assert_eq!(now_on, proposed(&payloads));

    let mut bob = ClientV1::new("bob", 3);
    let (mut world, mut sa, _, old) = rekeying(&mut bob);
    let (header, payloads) = asked(&mut world, &mut sa);
    let sent = bob.answer_quick(&mut world, &mut sa, &header, &payloads);
    assert_eq!(exchanges(&sent), [Exchange::QuickMode]);
    assert!(world.pass(Duration::from_secs(4)).is_empty());
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, old.spi_in);
    assert!(world.dataplane.has_inbound(old.spi_out), "both are received on");
    assert!(world.pass(Duration::from_millis(1500)).is_empty());
    assert_eq!(world.dataplane.tunnel().1.pair_in(Lane::FIRST), proposed(&payloads));
    let sent = world.pass(Duration::from_secs(1));
    assert_eq!(exchanges(&sent), [Exchange::Informational], "a little later, for what is under way");
}

// headend --> HDR*, HASH(1), SA, Ni, IDci, IDcr      under way …
// client  --> HDR*, HASH(1), SA, Ni, IDci, IDcr      … as is this; who started phase 1 goes first
// headend <-- HDR*, HASH(2), SA, Nr, IDci, IDcr      to what the headend has given up
// headend --> HDR*, HASH(3), or the client would repeat that until it gives up more
#[test]
fn a_quick_mode_that_was_given_up_is_finished_if_it_was_answered_and_its_sa_deleted() {
    let mut bob = ClientV1::new("bob", 3);
    let (mut world, mut sa, address, _) = rekeying(&mut bob);
    let (header, payloads) = asked(&mut world, &mut sa);
    let (theirs, third) = bob.quick(&mut world, &mut sa, address);
    let sent = bob.answer_quick(&mut world, &mut sa, &header, &payloads);
    assert_eq!(exchanges(&sent), [Exchange::QuickMode]);
    world.deliver(&bob.later(third));
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, theirs.spi_in);
    let one_too_many = proposed(&payloads);
    assert!(world.dataplane.has_inbound(one_too_many.get()), "the client may send on it");
    let spi = one_too_many;
    world.event(world.dataplane.worker_of(spi), Event::FirstUse { spi });
    assert_eq!(world.dataplane.tunnel().1.sends_on().spi, theirs.spi_in, "we do not");
    let sent = world.pass(Duration::from_secs(2));
    let [IkeDatagram { bytes, .. }] = &sent[..] else { panic!("one message, not {}", sent.len()) };
    assert_eq!(sa.informed(bytes), [Payload::Delete(Delete::Esp(vec![spi.get()]))]);
    world.pass(Duration::from_secs(70));
    assert_eq!(world.engine.sas(world.now).len(), 1);
    leave(&mut world, &mut bob, &mut sa, &theirs);
}

#[test]
fn a_quick_mode_that_was_given_up_and_never_answered_leaves_nothing() {
    let mut bob = ClientV1::new("bob", 3);
    let (mut world, mut sa, address, _) = rekeying(&mut bob);
    let before = world.engine.holdings();
    asked(&mut world, &mut sa);
    let (theirs, third) = bob.quick(&mut world, &mut sa, address);
    world.deliver(&bob.later(third));
    world.pass(Duration::from_secs(130));
    assert_eq!(world.engine.holdings().spis, before.spis);
    leave(&mut world, &mut bob, &mut sa, &theirs);
}

// vpnc takes whatever comes between its first message and the answer for that answer.
#[test]
fn nothing_is_asked_of_vpnc_while_it_is_about_to_log_in_anew() {
    let mut config = config_v1();
    login_v1(&mut config).reauth = Some(LIFE);
    config.esp.rekey.time = Some(Duration::from_secs(600));
    config.esp.hard_factor = 1.25;
    config.ike.over_time = Duration::from_secs(600);
    let mut world = World::new(config);
    let mut alice = vpnc(2);
    let (mut sa, ..) = connect(&mut world, &mut alice);
    for second in 1..479_u32 {
        for sent in world.pass(Duration::from_secs(1)) {
            assert_eq!(exchanges(std::slice::from_ref(&sent)), [Exchange::Informational]);
            if let [Payload::Notify(notify)] = &sa.informed(&sent.bytes)[..]
                && notify.kind == NotifyKind::RUThere
            {
                let number = u32::from_be_bytes(notify.data.as_slice().try_into().unwrap());
                let bytes = sa.inform(second, dpd(NotifyKind::RUThereAck, sa.cookies, number));
                world.deliver(&alice.later(bytes));
            }
        }
    }
    assert!(world.pass(Duration::from_secs(190)).is_empty(), "neither DPD nor a quick mode");
    // The ESP SA ends after 750 seconds; half of what its replacing may take is kept for it.
    let sent = world.pass(Duration::from_secs(10));
    assert_eq!(exchanges(&sent), [Exchange::QuickMode]);
}
