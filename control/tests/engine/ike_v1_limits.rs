//! What a user may have of an IKEv1 session: how many at once, how long, how idle; and when the books are told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::ike_log::logged;
use crate::peer;

use adit_control::aaa::{Authentic, Limits, Moment, Profile, Source, Terminated, UserName, Verdict};
use adit_control::config::checked::*;
use adit_control::ike::counters::Ignored;
use adit_control::ike::v1::wire::*;
use adit_dataplane::contract::IkeDatagram;
use peer::World;
use peer::dataplane::counters;
use peer::v1::*;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Long enough for one that says nothing and would be one too many.
const ONE_TOO_MANY: Duration = seconds(14);

/// Without DPD, which would end a client that says nothing.
fn quiet() -> Config {
    let mut config = config_v1();
    config.ike.dpd_delay = Duration::ZERO;
    config
}

fn with_rules(mut config: Config, change: impl FnOnce(&mut Rules)) -> Config {
    change(&mut config.connections[0].rules);
    config
}

/// Logs in as whom AAA lets in with this profile.
fn connect(world: &mut World, client: &mut ClientV1, profile: Profile) -> (SaV1, Ipv4Addr, EspV1) {
    let mut sa = client.up_to_user(world);
    let told = world.judge(Verdict::Accept(Box::new(profile)));
    let (status, ack) = client.told(&mut sa, &told[0].bytes);
    assert_eq!(status, 1);
    assert!(world.deliver(&client.later(ack)).is_empty());
    let address = address_in(&client.pull(world, &mut sa));
    let (esp, third) = client.quick(world, &mut sa, address);
    assert!(world.deliver(&client.later(third)).is_empty());
    (sa, address, esp)
}

/// The session ends within a second after `after`, not before, and says goodbye; why, as the books have it.
#[track_caller]
fn ends_after(world: &mut World, sa: &mut SaV1, after: Duration) -> Terminated {
    assert!(world.pass(after - seconds(1)).is_empty(), "before its time");
    let sent = world.pass(seconds(2));
    assert_eq!(sa.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))]);
    world.assert_nothing_left();
    let Some(Moment::Stop(_, why)) = world.dataplane.records.last().map(|record| record.moment) else {
        panic!("the books are not closed")
    };
    why
}

#[test]
fn what_the_server_says_of_a_users_time_goes_before_what_the_connection_says() {
    let limits =
        |session: Option<u64>, idle: Option<u64>| Limits { session: session.map(seconds), idle: idle.map(seconds) };
    for (connection, user, after, why) in [
        (limits(Some(500), None), limits(Some(100), None), 100, Terminated::SessionTimeout),
        (limits(Some(100), None), limits(Some(300), None), 300, Terminated::SessionTimeout),
        (limits(Some(100), None), limits(None, None), 100, Terminated::SessionTimeout),
        (limits(None, Some(500)), limits(None, Some(100)), 100, Terminated::IdleTimeout),
        (limits(None, Some(100)), limits(None, Some(300)), 300, Terminated::IdleTimeout),
        (limits(None, Some(100)), limits(None, None), 100, Terminated::IdleTimeout),
        // Each of the two on its own.
        (limits(Some(400), Some(200)), limits(Some(100), None), 100, Terminated::SessionTimeout),
        (limits(Some(400), Some(200)), limits(None, Some(50)), 50, Terminated::IdleTimeout),
    ] {
        let mut config = quiet();
        config.connections[0].rules.limits = connection;
        let mut world = World::new(config);
        let mut alice = ClientV1::new("alice", 2);
        let (mut sa, ..) = connect(&mut world, &mut alice, Profile { limits: user, ..profile() });
        assert_eq!(ends_after(&mut world, &mut sa, seconds(after)), why, "{connection:?} {user:?}");
    }
}

#[test]
fn a_session_is_idle_since_its_last_packet_and_lasts_since_its_login_whatever_it_does() {
    let mut config = quiet();
    config.connections[0].rules.limits = Limits { session: None, idle: Some(seconds(100)) };
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, _, esp) = connect(&mut world, &mut alice, profile());
    for _ in 0..5 {
        assert!(world.pass(seconds(90)).is_empty());
        counters(world.dataplane.inbound(esp.spi_out)).charge(1, 100, world.now);
        // What is said by IKE is no use of the session.
        world.pass(seconds(5));
        alice.are_you_there(&mut world, &mut sa);
    }
    assert_eq!(ends_after(&mut world, &mut sa, seconds(95)), Terminated::IdleTimeout);

    let mut config = quiet();
    config.connections[0].rules.limits = Limits { session: Some(seconds(300)), idle: Some(seconds(100)) };
    let mut world = World::new(config);
    let (mut sa, address, esp) = connect(&mut world, &mut alice, profile());
    for _ in 0..2 {
        world.pass(seconds(90));
        counters(world.dataplane.inbound(esp.spi_out)).charge(1, 100, world.now);
    }
    // Another phase 1 of the same session begins no other time.
    alice.asks[0] = Attribute::long(mode_config_number::IP4_ADDRESS, address.octets());
    let mut second = alice.log_in(&mut world);
    assert_eq!(address_in(&alice.pull(&mut world, &mut second)), address);
    world.pass(seconds(89));
    counters(world.dataplane.inbound(esp.spi_out)).charge(1, 100, world.now);
    let sent = world.pass(seconds(32));
    let goodbye = sent.last().unwrap();
    assert_eq!(second.informed(&goodbye.bytes), [Payload::Delete(Delete::Isakmp(vec![second.cookies]))]);
    world.assert_nothing_left();
    let _ = &mut sa;
}

/// Asks for an address; whether the session goes on.
fn is_let_in(world: &mut World, client: &mut ClientV1) -> Option<SaV1> {
    let mut sa = client.log_in(world);
    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: client.asks.clone() };
    let bytes = sa.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
    let sent = world.deliver(&client.later(bytes));
    let refused = parse_header(&sent[0].bytes).unwrap().exchange == Exchange::Informational;
    if refused {
        assert_eq!(sa.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))]);
        return None;
    }
    Some(sa)
}

#[test]
fn so_many_sessions_a_user_has_at_once_and_each_that_ends_makes_room_for_one() {
    let config = with_rules(quiet(), |rules| rules.max_logins = NonZeroU32::new(2));
    let mut world = World::new(config);
    let mut clients: Vec<ClientV1> = (2..6).map(|host| ClientV1::new("alice", host)).collect();
    let first = is_let_in(&mut world, &mut clients[0]);
    assert!(is_let_in(&mut world, &mut clients[1]).is_some());
    assert!(is_let_in(&mut world, &mut clients[2]).is_none(), "the third");
    let mut bob = ClientV1::new("bob", 9);
    let (mut bobs, ..) = bob.connect(&mut world);
    assert_eq!(world.engine.sessions(world.now).len(), 3, "another user is not concerned");

    let bytes = first.unwrap().delete_isakmp(77);
    world.deliver(&clients[0].later(bytes));
    clients[2].random = adit_crypto::random::SeededRandom::new(5);
    assert!(is_let_in(&mut world, &mut clients[2]).is_some());
    assert!(is_let_in(&mut world, &mut clients[3]).is_none());
    // A client that asks for nothing is told the same when its time comes.
    clients[3].random = adit_crypto::random::SeededRandom::new(6);
    let mut silent = clients[3].log_in(&mut world);
    let sent = world.pass(ONE_TOO_MANY);
    assert_eq!(silent.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![silent.cookies]))]);
    bob.are_you_there(&mut world, &mut bobs);
    assert_eq!(world.engine.sessions(world.now).len(), 3);
}

#[test]
fn a_user_s_own_address_is_the_user_s_by_either_version_whoever_asks_for_it() {
    let own = Ipv4Addr::new(10, 30, 0, 2);
    let mut config = quiet();
    let hash = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";
    let user = User { password: PasswordHash::parse(hash).unwrap(), access: Access::Open, address: Some(own) };
    config.users.0.insert(UserName::new(b"alice").unwrap(), user);
    let mut world = World::new(config);
    let mut bob = ClientV1::new("bob", 3);
    bob.asks[0] = Attribute::long(mode_config_number::IP4_ADDRESS, own.octets());
    let (_, bobs, _) = connect(&mut world, &mut bob, profile());
    assert_ne!(bobs, own);
    // A server that gives it away gives what is not its own.
    let mut carol = ClientV1::new("carol", 4);
    let by_radius = || Profile { address: Some(own), ..Profile::plain(Source::Radius(0)) };
    let log = logged(tracing::Level::WARN, || {
        let (_, carols, _) = connect(&mut world, &mut carol, by_radius());
        assert_ne!(carols, own);
    });
    assert!(log.contains("it is the own address of a [[user]]"), "{log}");
    let mut alice = ClientV1::new("alice", 2);
    let (_, alices, _) = connect(&mut world, &mut alice, Profile { address: Some(own), ..profile() });
    assert_eq!(alices, own);
}

#[test]
fn the_books_are_told_at_the_start_every_interim_and_at_the_end() {
    let mut world = World::new(quiet());
    let mut alice = ClientV1::new("alice", 2);
    let name = Some(UserName::new(b"Alice A.").unwrap());
    let wish = Profile { interim: Some(seconds(60)), name, ..profile() };
    assert_eq!(wish.source, Source::Local);
    let (mut sa, _, esp) = connect(&mut world, &mut alice, wish);
    let account = &world.dataplane.records[0].account;
    assert_eq!(
        (account.authentic, account.user.as_str()),
        (Authentic::Local, "Alice A."),
        "as whoever knows her calls her"
    );
    let begin = world.now;
    counters(world.dataplane.inbound(esp.spi_out)).charge(3, 300, world.now);
    let mut told = Vec::new();
    for _ in 0..250 {
        world.pass(seconds(1));
        told.extend(world.dataplane.records.drain(..).map(|record| (world.now.since(begin).as_secs(), record.moment)));
    }
    let [(1, Moment::Start), interims @ ..] = &told[..] else { panic!("{told:?}") };
    let times: Vec<(u64, u64)> = interims
        .iter()
        .map(|(at, moment)| match moment {
            Moment::Interim(usage) => {
                assert_eq!((usage.packets_in, usage.octets_in), (3, 300));
                (*at, usage.time.as_secs())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [(60, 60), (120, 120), (180, 180), (240, 240)]);

    // A rekey and another phase 1 begin no other account.
    let (_, third) = alice.quick(&mut world, &mut sa, Ipv4Addr::new(10, 30, 0, 2));
    world.deliver(&alice.later(third));
    world.pass(seconds(10));
    let bytes = sa.delete_isakmp(9);
    world.deliver(&alice.later(bytes));
    let last: Vec<Moment> = world.dataplane.records.iter().map(|record| record.moment).collect();
    let [Moment::Stop(usage, Terminated::UserRequest)] = &last[..] else { panic!("{last:?}") };
    assert_eq!((usage.time, usage.packets_in), (seconds(260), 3));
    world.assert_nothing_left();
}

#[test]
fn an_interim_that_was_missed_is_written_once_and_no_wish_is_no_interim() {
    for interim in [None, Some(Duration::ZERO)] {
        let mut world = World::new(quiet());
        let mut alice = ClientV1::new("alice", 2);
        connect(&mut world, &mut alice, Profile { interim, ..profile() });
        world.pass(seconds(5000));
        assert_eq!(world.dataplane.records.len(), 1, "{interim:?}");
    }
    let mut world = World::new(quiet());
    let mut alice = ClientV1::new("alice", 2);
    connect(&mut world, &mut alice, Profile { interim: Some(seconds(60)), ..profile() });
    // The thread was away.
    world.now = world.now + seconds(1000);
    world.engine.handle_timeout(world.now);
    world.drain();
    assert_eq!(world.dataplane.records.len(), 2);
    world.pass(seconds(59));
    assert_eq!(world.dataplane.records.len(), 2);
    world.pass(seconds(2));
    assert_eq!(world.dataplane.records.len(), 3);
}

// client --> HDR, FRAGMENT 1        HDR*, HASH, ATTR(REQUEST: address, …) in pieces
// client --> HDR, FRAGMENT 2
#[test]
fn a_question_in_fragments_has_the_rights_of_one_that_comes_whole() {
    let config = with_rules(quiet(), |rules| rules.max_logins = NonZeroU32::new(1));
    let mut world = World::new(config);
    let mut first = ClientV1::new("alice", 2);
    let (_, address, _) = first.connect(&mut world);
    let ask = |world: &mut World, client: &mut ClientV1, sa: &mut SaV1| {
        let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: client.asks.clone() };
        let bytes = sa.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
        let [one, two] = in_two(&bytes);
        assert!(world.deliver(&client.later(one)).is_empty());
        world.deliver(&client.later(two)).remove(0)
    };
    let mut other = ClientV1::new("alice", 3);
    let mut sa = other.log_in(&mut world);
    let refused = ask(&mut world, &mut other, &mut sa);
    assert_eq!(exchanges(std::slice::from_ref(&refused)), [Exchange::Informational], "one session and no more");
    assert_eq!(sa.informed(&refused.bytes), [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))]);
    assert_eq!(world.engine.holdings().leases, 1);
    // Who comes back for its own keeps it.
    first.asks[0] = Attribute::long(mode_config_number::IP4_ADDRESS, address.octets());
    let mut sa = first.log_in(&mut world);
    let reply = ask(&mut world, &mut first, &mut sa);
    assert_eq!(address_in(&sa.transaction(&reply.bytes).1), address);
    let held = world.engine.holdings();
    assert_eq!((held.sessions, held.leases), (1, 1));
    assert_eq!(world.engine.counters().messages_joined, 2);
}

/// In hybrid mode phase 1 proves nothing of the client: whoever wants to has its user asked for.
#[test]
fn who_has_proven_nothing_counts_as_unfinished_until_its_user_is_in() {
    let mut config = quiet();
    config.certificate = peer::calls::configs(peer::calls::Method::Hybrid)[1].certificate.clone();
    login_v1(&mut config).auth = AuthV1::Hybrid { secret: peer::PSK.into(), xauth: xauth() };
    config.ike.half_open_limit_per_source = 3;
    config.ike.session_limit = 1;
    let mut world = World::new(config);
    let client = |host| {
        let mut client = ClientV1::new("alice", host);
        client.method = AuthMethod::HybridInitRsa;
        client
    };
    let mut waiting: Vec<(ClientV1, SaV1, IkeDatagram)> = (2..5)
        .map(|host| {
            let mut client = client(host);
            let (sa, mut asks) = client.main_mode(&mut world).unwrap();
            (client, sa, asks.remove(0))
        })
        .collect();
    assert_eq!((world.engine.holdings().half_open, world.engine.tally().half_open), (3, 3));
    let mut fourth = client(9);
    let first = build(&header((IkeSpi(77), IkeSpi(0)), Exchange::MainMode, 0), &[fourth.sa_payload()]);
    assert!(world.deliver(&fourth.on_500(first.clone())).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::SourceFull), 1);
    // One is in; one more is, and there is no room for a second session.
    for (place, (client, sa, asks)) in waiting.iter_mut().take(2).enumerate() {
        client.answer_user(&mut world, sa, &asks.bytes);
        let told = world.accept();
        let (status, ack) = client.told(sa, &told[0].bytes);
        assert_eq!(status, 1);
        assert!(world.deliver(&client.later(ack)).is_empty());
        let held = world.engine.holdings();
        assert_eq!((held.half_open, held.sessions), (2 - place, 1 + place));
        let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: client.asks.clone() };
        let bytes = sa.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
        let sent = world.deliver(&client.later(bytes));
        if place == 1 {
            assert_eq!(sa.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))]);
        }
        let held = world.engine.holdings();
        assert_eq!((held.half_open, held.sessions, held.leases), (2 - place, 1, 1));
    }
    assert_eq!(world.deliver(&fourth.on_500(first)).len(), 1, "there is room again");
    fourth.random = adit_crypto::random::SeededRandom::new(5);
    // Who gives up, and who never answers, is unfinished no more.
    let (client, sa, _) = &mut waiting[2];
    let bytes = sa.delete_isakmp(4);
    world.deliver(&client.later(bytes));
    assert_eq!(world.engine.holdings().half_open, 1);
    world.pass(seconds(200));
    assert_eq!(world.engine.holdings().half_open, 0);
}

/// Everybody waits at once, and then asks, or is told unasked.
#[test]
fn of_all_who_wait_as_many_have_a_session_as_may_and_nobody_waits_for_ever() {
    for pushed in [false, true] {
        let mut config = quiet();
        config.ike.session_limit = 2;
        let mut world = World::new(config);
        let users = ["alice", "bob", "carol", "dave"];
        let mut clients: Vec<_> = (2..).zip(users).map(|(host, user)| ClientV1::new(user, host)).collect();
        let mut sas: Vec<_> = clients.iter_mut().map(|client| client.log_in(&mut world)).collect();
        assert_eq!(world.engine.holdings().sessions, 4);
        let sent = match pushed {
            true => world.pass(MOMENT),
            false => clients.iter_mut().zip(&mut sas).fold(Vec::new(), |mut all, (client, sa)| {
                let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: client.asks.clone() };
                let bytes = sa.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
                all.extend(world.deliver(&client.later(bytes)));
                all
            }),
        };
        let (given, refused) = (Exchange::Transaction, Exchange::Informational);
        assert_eq!(exchanges(&sent), [given, given, refused, refused], "pushed: {pushed}");
        let held = world.engine.holdings();
        assert_eq!((held.sessions, held.leases), (2, 2), "pushed: {pushed}");
        // Each that ends makes room for one.
        let bytes = sas[0].delete_isakmp(77);
        world.deliver(&clients[0].later(bytes));
        clients[3].random = adit_crypto::random::SeededRandom::new(5);
        let mut sa = clients[3].log_in(&mut world);
        clients[3].pull(&mut world, &mut sa);
        assert_eq!(world.engine.holdings().leases, 2);
    }
    // Who says nothing that leads to a session is told that it is over.
    let mut config = quiet();
    config.connections[0].rules.max_logins = NonZeroU32::new(2);
    let mut world = World::new(config);
    let mut first = ClientV1::new("alice", 2);
    let (mut sa, ..) = first.connect(&mut world);
    let mut second = ClientV1::new("alice", 3);
    let mut silent = second.log_in(&mut world);
    let bytes = silent.say(
        Exchange::Transaction,
        5,
        &[Payload::ModeConfig(ModeConfig {
            kind: ConfigKind::Request,
            identifier: 1,
            attributes: vec![asked(mode_config_number::IP4_DNS)],
        })],
    );
    world.deliver(&second.later(bytes));
    world.pass(seconds(130));
    first.are_you_there(&mut world, &mut sa);
    assert!(world.engine.sessions(world.now).iter().all(|session| !session.addresses.is_empty()));
}

// client --> HDR*, HASH, ATTR(REQUEST: the address that it has)      lost, and again after 4 and 11.2 seconds
#[test]
fn who_comes_back_for_its_session_has_time_to_ask_again_where_the_user_may_have_no_other() {
    let config = with_rules(quiet(), |rules| rules.max_logins = NonZeroU32::new(1));
    let mut world = World::new(config);
    let mut alice = ClientV1::new("alice", 2);
    let (_, address, _) = alice.connect(&mut world);
    alice.asks[0] = Attribute::long(mode_config_number::IP4_ADDRESS, address.octets());
    let mut second = alice.log_in(&mut world);
    assert!(world.pass(Duration::from_millis(11_300)).is_empty(), "its question was lost twice");
    assert_eq!(address_in(&alice.pull(&mut world, &mut second)), address);
    let sessions = world.engine.sessions(world.now);
    assert_eq!((sessions.len(), sessions[0].id.as_str()), (1, "s1"));
    // One that does not ask is refused soon.
    let mut other = ClientV1::new("alice", 3);
    let mut silent = other.log_in(&mut world);
    assert!(world.pass(seconds(12)).is_empty());
    let sent = world.pass(seconds(2));
    assert_eq!(silent.informed(&sent[0].bytes), [Payload::Delete(Delete::Isakmp(vec![silent.cookies]))]);
    assert_eq!(world.engine.sessions(world.now).len(), 1);
}

/// Servers that count a user's time say what is left of it at each login.
#[test]
fn the_servers_time_counts_from_the_login_that_it_was_said_at_and_the_connections_from_the_first() {
    let profile_with = |session: u64, class: &[u8], interim: u64| Profile {
        limits: Limits { session: Some(seconds(session)), idle: None },
        class: vec![class.to_vec()],
        interim: Some(seconds(interim)),
        ..profile()
    };
    for (connections, ends) in [(None, 800 + 300), (Some(seconds(1000)), 800 + 300)] {
        let config = with_rules(quiet(), |rules| rules.limits.session = connections);
        let mut world = World::new(config);
        let mut alice = ClientV1::new("alice", 2);
        let (_, address, _) = connect(&mut world, &mut alice, profile_with(1000, b"first", 500));
        let begin = world.now;
        world.pass(seconds(800));
        alice.asks[0] = Attribute::long(mode_config_number::IP4_ADDRESS, address.octets());
        let mut sa = alice.up_to_user(&mut world);
        let told = world.judge(Verdict::Accept(Box::new(profile_with(300, b"second", 120))));
        let (_, ack) = alice.told(&mut sa, &told[0].bytes);
        world.deliver(&alice.later(ack));
        assert_eq!(address_in(&alice.pull(&mut world, &mut sa)), address);
        world.dataplane.records.clear();
        assert_eq!(ends_after(&mut world, &mut sa, seconds(ends - 800)), Terminated::SessionTimeout);
        assert!(world.now.since(begin) < seconds(ends + 62));
        // The books say what the newer login says, as often as it says.
        let moments: Vec<_> = world.dataplane.records.iter().map(|record| record.moment).collect();
        let [Moment::Interim(_), Moment::Interim(_), Moment::Stop(..)] = &moments[..] else { panic!("{moments:?}") };
        assert!(world.dataplane.records.iter().all(|record| record.account.class == [b"second".to_vec()]));
    }
}

// client --> HDR*, HASH_I, N(INITIAL-CONTACT), or HDR*, HASH, N(INITIAL-CONTACT) behind phase 1, as racoon says it
#[test]
fn who_says_that_it_has_lost_everything_gets_the_place_of_its_lost_session_however_it_says_so() {
    let initial = |sa: &mut SaV1| {
        let spi = [sa.cookies.0.0.to_be_bytes(), sa.cookies.1.0.to_be_bytes()].concat();
        let (protocol, kind) = (Protocol::Isakmp, NotifyKind::InitialContact);
        sa.inform(40, Payload::Notify(Notify { protocol, spi, kind, data: Vec::new() }))
    };
    #[derive(Debug, PartialEq, Clone, Copy)]
    enum Says {
        InPhase1,
        WhileUserIsAsked,
        WhenUserIsIn,
        Never,
    }
    for says in [Says::InPhase1, Says::WhileUserIsAsked, Says::WhenUserIsIn, Says::Never] {
        for asks in [true, false] {
            let config = with_rules(quiet(), |rules| rules.max_logins = NonZeroU32::new(1));
            let mut world = World::new(config);
            let mut alice = ClientV1::new("alice", 2);
            alice.connect(&mut world);
            let before = world.engine.sessions(world.now)[0].id.clone();
            alice.initial_contact = says == Says::InPhase1;
            let mut sa = alice.up_to_user(&mut world);
            if says == Says::WhileUserIsAsked {
                let bytes = initial(&mut sa);
                assert!(world.deliver(&alice.later(bytes)).is_empty());
            }
            let told = world.accept();
            let (_, ack) = alice.told(&mut sa, &told[0].bytes);
            assert!(world.deliver(&alice.later(ack)).is_empty());
            if says == Says::WhenUserIsIn {
                let bytes = initial(&mut sa);
                assert!(world.deliver(&alice.later(bytes)).is_empty());
            }
            let sent = match asks {
                true => {
                    let attributes = alice.asks.clone();
                    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes };
                    let bytes = sa.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
                    world.deliver(&alice.later(bytes))
                }
                false => world.pass(if says == Says::Never { ONE_TOO_MANY } else { MOMENT }),
            };
            let sessions = world.engine.sessions(world.now);
            assert_eq!(sessions.len(), 1, "{says:?} {asks}");
            let is_in = exchanges(&sent[..1]) == [Exchange::Transaction];
            assert_eq!(is_in, says != Says::Never, "{says:?} {asks}");
            assert_eq!(sessions[0].id != before, is_in, "{says:?} {asks}");
            assert_eq!(world.engine.holdings().leases, 1);
        }
    }
}

/// IP header, UDP header and marker, or TCP's and what cTCP adds, are within the size.
#[test]
fn packets_with_fragments_are_no_larger_than_the_configuration_says() {
    for ctcp in [false, true] {
        let mut config = quiet();
        login_v1(&mut config).unity.banner = Some("Be welcome. ".repeat(300));
        let most = config.ike.fragment_size;
        let mut world = World::new(config);
        let mut alice = if ctcp { ClientV1::by_ctcp("alice", 2) } else { ClientV1::new("alice", 2) };
        alice.vendors.push(Vendor::Fragmentation);
        let mut sa = alice.log_in(&mut world);
        let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: alice.asks.clone() };
        let bytes = sa.say(Exchange::Transaction, 5, &[Payload::ModeConfig(request)]);
        let sent = world.deliver(&alice.later(bytes));
        // IPv6's header, for nobody knows; UDP's with the marker, or TCP's with cTCP's sixteen octets.
        let outside = if ctcp { 40 + 20 + 16 } else { 40 + 8 + 4 };
        let sizes: Vec<usize> = sent.iter().map(|sent| sent.bytes.len() + outside).collect();
        assert!(sizes.len() >= 3 && sizes.iter().all(|size| *size <= most), "{sizes:?}");
        assert!(sizes[0] > most - 40, "and not much smaller: {sizes:?}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Mode config, pushed.

/// Logs in and says nothing more; what is pushed, and by which message ID.
#[track_caller]
fn pushed(world: &mut World, client: &mut ClientV1) -> (SaV1, u32, ModeConfig, IkeDatagram) {
    let mut sa = client.log_in(world);
    assert!(world.pass(seconds(1)).is_empty(), "it may still ask");
    let mut sent = world.pass(seconds(2));
    assert_eq!(sent.len(), 1);
    let sent = sent.remove(0);
    let (message_id, config) = sa.transaction(&sent.bytes);
    assert_eq!(config.kind, ConfigKind::Set);
    (sa, message_id, config, sent)
}

#[test]
fn what_is_pushed_is_said_again_until_it_is_acknowledged_and_by_nothing_else() {
    let mut world = World::new(quiet());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, message_id, config, set) = pushed(&mut world, &mut alice);
    assert_eq!(world.pass(seconds(4)), std::slice::from_ref(&set));
    // Another kind, another message ID: no acknowledgement.
    for (id, kind) in [(message_id ^ 1, ConfigKind::Ack), (message_id ^ 2, ConfigKind::Reply)] {
        let mut other = config.clone();
        other.kind = kind;
        let bytes = sa.say(Exchange::Transaction, id, &[Payload::ModeConfig(other)]);
        assert!(world.deliver(&alice.later(bytes)).is_empty());
    }
    assert_eq!(world.pass(seconds(8)), [set]);
    let mut ack = config;
    ack.kind = ConfigKind::Ack;
    let bytes = sa.say(Exchange::Transaction, message_id, &[Payload::ModeConfig(ack)]);
    assert!(world.deliver(&alice.later(bytes)).is_empty());
    assert!(world.pass(seconds(20)).is_empty(), "once is enough");
    assert_eq!(world.engine.holdings().leases, 1);
}

#[test]
fn a_client_that_never_acknowledges_is_given_up_or_asked_whether_it_lives() {
    let mut world = World::new(quiet());
    let mut alice = ClientV1::new("alice", 2);
    // Without DPD nobody can ask it.
    alice.vendors.retain(|vendor| *vendor != Vendor::Dpd);
    alice.vendors.push(Vendor::CiscoClient);
    pushed(&mut world, &mut alice);
    assert_eq!(world.pass(seconds(120)).len(), 3, "as often as the configuration says");
    world.assert_nothing_left();

    let mut world = World::new(config_v1());
    let mut alice = ClientV1::new("alice", 2);
    pushed(&mut world, &mut alice);
    world.pass(seconds(300));
    world.assert_nothing_left();
}

#[test]
fn a_client_that_speaks_no_unity_is_pushed_the_plain_attributes_and_its_own_address() {
    let mut world = World::new(quiet());
    let mut alice = ClientV1::plain("alice", 2);
    alice.vendors = vec![Vendor::Xauth, Vendor::Dpd, Vendor::CiscoClient];
    let mut sa = alice.up_to_user(&mut world);
    let own = Ipv4Addr::new(10, 30, 0, 77);
    let netmask = Some(Ipv4Addr::new(255, 255, 0, 0));
    let told = world.judge(Verdict::Accept(Box::new(Profile { address: Some(own), netmask, ..profile() })));
    let (_, ack) = alice.told(&mut sa, &told[0].bytes);
    world.deliver(&alice.later(ack));
    let sent = world.pass(MOMENT);
    let (_, config) = sa.transaction(&sent[0].bytes);
    let kinds: Vec<u16> = config.attributes.iter().map(|attribute| attribute.kind).collect();
    use mode_config_number::{IP4_ADDRESS, IP4_DNS, IP4_NBNS, IP4_NETMASK};
    assert_eq!(kinds, [IP4_ADDRESS, IP4_NETMASK, IP4_DNS, IP4_NBNS]);
    assert_eq!(address_in(&config), own);
    assert_eq!(config.find(IP4_NETMASK).unwrap().value.octets(), Some(&[255, 255, 0, 0][..]));
}

#[test]
fn who_asks_in_time_is_pushed_nothing_and_who_asks_late_is_told_what_was_pushed() {
    let mut world = World::new(quiet());
    let mut alice = ClientV1::new("alice", 2);
    alice.connect(&mut world);
    assert!(world.pass(seconds(60)).is_empty());

    let mut world = World::new(quiet());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, _, config, _) = pushed(&mut world, &mut alice);
    assert_eq!(address_in(&alice.pull(&mut world, &mut sa)), address_in(&config));
    assert_eq!(world.engine.holdings().leases, 1);
    let (_, third) = alice.quick(&mut world, &mut sa, address_in(&config));
    assert!(world.deliver(&alice.later(third)).is_empty());
    assert_eq!(world.dataplane.outbound().count(), 1);
}

#[test]
fn nothing_can_be_pushed_out_of_an_empty_pool_and_the_client_is_told_that_it_is_over() {
    let mut config = quiet();
    config.pools[0].v4 = Some("10.30.0.0/31".parse().unwrap());
    let mut world = World::new(config);
    let mut sessions = Vec::new();
    for host in 2..8 {
        let mut client = ClientV1::new("alice", host);
        client.user = ["alice", "bob", "carol", "dave", "erin", "frank"][usize::from(host) - 2];
        let mut sa = client.log_in(&mut world);
        let sent = world.pass(MOMENT);
        let exchange = parse_header(&sent.last().unwrap().bytes).unwrap().exchange;
        if exchange == Exchange::Informational {
            let said = sa.informed(&sent.last().unwrap().bytes);
            assert_eq!(said, [Payload::Delete(Delete::Isakmp(vec![sa.cookies]))]);
            let held = world.engine.holdings();
            assert_eq!((held.sessions, held.leases), (sessions.len(), sessions.len()));
            return;
        }
        sessions.push(sa);
    }
    panic!("the pool is never empty");
}

#[test]
fn what_a_client_sets_is_acknowledged_and_means_nothing() {
    let mut world = World::new(quiet());
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, address, _) = alice.connect(&mut world);
    let attributes = vec![Attribute::long(mode_config_number::IP4_ADDRESS, [10, 30, 0, 99])];
    let set = ModeConfig { kind: ConfigKind::Set, identifier: 9, attributes };
    let bytes = sa.say(Exchange::Transaction, 41, &[Payload::ModeConfig(set)]);
    let sent = world.deliver(&alice.later(bytes));
    let (message_id, ack) = sa.transaction(&sent[0].bytes);
    assert_eq!((message_id, ack.kind, ack.identifier), (41, ConfigKind::Ack, 9));
    assert_eq!(world.engine.sessions(world.now)[0].addresses, [address]);
}
