//! What a session may, by both versions of IKE: how fast, how long, how many of one user's; and that a session that is up follows a reload.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::aaa::{Bandwidth, Limits, Profile, UserName, Verdict};
use adit_control::config::checked::*;
use adit_control::ike::v1::wire::{self as v1, ConfigKind, ModeConfig};
use adit_control::ike::wire::{Exchange, NotifyKind, Payload};
use adit_control::reload::Plan;
use adit_control::session::{SessionState, SessionView};
use adit_dataplane::contract::{DropReason, Rate, Rates};
use peer::World;
use peer::client::{Client, Sa, delete_esp, delete_ike};
use peer::dataplane::counters;
use peer::v1::{ClientV1, config_v1, profile};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn class(name: &str, up: u64, down: u64) -> Class {
    Class { name: name.to_owned(), up: Some(up), down: Some(down), burst: Class::BURST }
}

/// With two classes, of which the connection has the first. Without DPD, which would end who says nothing.
fn with_classes(mut config: Config) -> Config {
    config.classes = vec![class("bronze", 1_000_000, 8_000_000), class("gold", 50_000_000, 100_000_000)];
    config.connections[0].rules.class = Some(0);
    config.ike.dpd_delay = seconds(100_000);
    config
}

fn rates(up: u64, down: u64) -> Rates {
    Rates { up: Rate::new(up, Class::BURST), down: Rate::new(down, Class::BURST) }
}

/// What the only tunnel was limited to last.
fn limited_to(world: &World) -> Option<Rates> {
    let here: Vec<Rates> =
        world.dataplane.tunnels.keys().filter_map(|key| world.dataplane.rates.get(key)).copied().collect();
    assert!(here.len() <= 1);
    here.first().copied()
}

fn only_session(world: &World) -> SessionView {
    let mut sessions = world.engine.sessions(world.now);
    assert_eq!(sessions.len(), 1);
    sessions.remove(0)
}

fn reload(world: &mut World, edit: impl FnOnce(&mut Config)) -> Plan {
    let mut config = Config::clone(world.engine.config());
    edit(&mut config);
    let plan = world.engine.reconfigure(world.now, Arc::new(config)).unwrap();
    world.drain();
    plan
}

fn sentences(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(adit_control::reload::Step::sentence).collect()
}

/// An IKEv1 client whom AAA lets in with this.
fn log_in_v1(world: &mut World, user: &'static str, host: u8, profile: Profile) {
    let mut client = ClientV1::new(user, host);
    let mut sa = client.up_to_user(world);
    let told = world.judge(Verdict::Accept(Box::new(profile)));
    let (_, ack) = client.told(&mut sa, &told[0].bytes);
    world.deliver(&client.later(ack));
    let request = ModeConfig { kind: ConfigKind::Request, identifier: 1, attributes: client.asks.clone() };
    let bytes = sa.say(v1::Exchange::Transaction, 5, &[v1::Payload::ModeConfig(request)]);
    // Others may hear something, too.
    assert!(!world.deliver(&client.later(bytes)).is_empty());
}

#[test]
fn a_tunnel_gets_its_class_at_login_and_another_by_a_reload_and_the_session_stays_the_same() {
    let mut world = World::new(with_classes(peer::config()));
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = alice.login(&mut world);
    assert_eq!(limited_to(&world), Some(rates(1_000_000, 8_000_000)));
    let before = only_session(&world);
    let shown = |view: &SessionView| (view.policy.class.clone(), view.policy.rate_up, view.policy.rate_down);
    assert_eq!(shown(&before), (Some("bronze".to_owned()), Some(1_000_000), Some(8_000_000)));

    let plan = reload(&mut world, |config| config.classes[0].down = None);
    assert_eq!(sentences(&plan), ["at once; 1 session goes on with it"]);
    assert_eq!(limited_to(&world), Some(Rates { down: None, ..rates(1_000_000, 1) }));
    let plan = reload(&mut world, |config| config.connections[0].rules.class = Some(1));
    assert_eq!(sentences(&plan), ["at once; 1 session goes on with it"]);
    assert_eq!(limited_to(&world), Some(rates(50_000_000, 100_000_000)));
    let plan = reload(&mut world, |config| config.classes[0].up = Some(7_000_000));
    assert_eq!(sentences(&plan), ["at once; it is no session's"]);
    let commands = world.dataplane.log.iter().filter(|command| **command == "SetRates").count();
    assert_eq!(commands, 3, "nothing is said where nothing changes");
    reload(&mut world, |config| config.connections[0].rules.class = None);
    assert_eq!(limited_to(&world), Some(Rates::default()));
    let after = only_session(&world);
    assert_eq!((after.id, after.addresses, after.ike_spis), (before.id, before.addresses, before.ike_spis));
    assert_eq!(shown(&only_session(&world)), (None, None, None));

    let request = sa.request(Exchange::Informational, &[delete_ike()]);
    world.deliver(&alice.on_4500(request));
    world.assert_nothing_left();
}

#[test]
fn a_server_s_filter_names_the_class_its_numbers_win_and_a_reload_looks_the_class_up_anew() {
    let mut world = World::new(with_classes(config_v1()));
    let filter = Some("gold".to_owned());
    let bandwidth = Bandwidth { up: NonZeroU32::new(2_000_000), down: None };
    log_in_v1(&mut world, "alice", 2, Profile { filter, bandwidth, ..profile() });
    assert_eq!(limited_to(&world), Some(rates(2_000_000, 100_000_000)));
    assert_eq!(only_session(&world).policy.class.as_deref(), Some("gold"));
    let plan = reload(&mut world, |config| config.classes[1].down = Some(30_000_000));
    assert_eq!(sentences(&plan), ["at once; 1 session goes on with it"]);
    assert_eq!(limited_to(&world), Some(rates(2_000_000, 30_000_000)));
    // Without its class the session has its connection's, but for what the server said in numbers.
    reload(&mut world, |config| drop(config.classes.remove(1)));
    assert_eq!(limited_to(&world), Some(rates(2_000_000, 8_000_000)));

    let mut world = World::new(with_classes(config_v1()));
    log_in_v1(&mut world, "bob", 3, Profile { filter: Some("std.ppp".to_owned()), ..profile() });
    assert_eq!(limited_to(&world), Some(rates(1_000_000, 8_000_000)), "a filter that is no class");
}

/// Whether the session by IKEv2 is over after `after`, and not a second before, and how it ended.
#[track_caller]
fn ends_after(world: &mut World, after: Duration, reason: &str) {
    assert!(world.pass(after - seconds(1)).is_empty(), "before its time");
    assert_eq!(only_session(world).state, SessionState::Up);
    world.pass(seconds(2));
    let ending = only_session(world);
    assert_eq!((ending.state, ending.reason.as_str()), (SessionState::Closing, reason));
}

fn limited_in_time(session: Option<u64>, idle: Option<u64>) -> World {
    let mut config = with_classes(peer::config());
    config.connections[0].rules.limits = Limits { session: session.map(seconds), idle: idle.map(seconds) };
    World::new(config)
}

#[test]
fn by_ikev2_too_a_session_ends_when_it_is_idle_or_has_lasted_long_enough() {
    for (session, idle, after, reason) in [
        (Some(100), None, 100, "session_timeout"),
        (None, Some(100), 100, "idle_timeout"),
        (Some(300), Some(100), 100, "idle_timeout"),
        (Some(100), Some(300), 100, "session_timeout"),
    ] {
        let mut world = limited_in_time(session, idle);
        Client::new("alice@rig", 2).login(&mut world);
        let view = only_session(&world).policy;
        assert_eq!((view.session_timeout, view.session_timeout_in), (session, session));
        assert_eq!((view.idle_timeout, view.idle_timeout_in), (idle, idle));
        ends_after(&mut world, seconds(after), reason);
    }
}

#[test]
fn use_before_a_rekey_counts_after_it() {
    let mut world = limited_in_time(None, Some(100));
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, child): (Sa, _) = alice.login(&mut world);
    world.pass(seconds(90));
    counters(world.dataplane.inbound(child.spi_out)).charge(1, 100, world.now);
    let _fresh = alice.rekey_child(&mut world, &mut sa, &child, None);
    alice.ask(&mut world, &mut sa, Exchange::Informational, &[delete_esp(child.spi_in)]);
    // The older child SA has gone with its counters, and the new one has carried nothing.
    world.pass(seconds(20));
    assert_eq!(world.dataplane.tunnels.values().map(|tunnel| tunnel.inbound.len()).sum::<usize>(), 1);
    assert_eq!(only_session(&world).state, SessionState::Up);
    assert_eq!(only_session(&world).policy.idle_timeout_in, Some(80));
    ends_after(&mut world, seconds(80), "idle_timeout");
}

#[test]
fn a_reload_may_give_a_session_more_time_or_less_or_none() {
    let mut world = limited_in_time(Some(100), None);
    Client::new("alice@rig", 2).login(&mut world);
    world.pass(seconds(50));
    let plan = reload(&mut world, |config| config.connections[0].rules.limits.session = Some(seconds(200)));
    assert_eq!(sentences(&plan), ["at once; 1 session goes on with it, or ends if that time has passed for it"]);
    assert!(world.pass(seconds(100)).is_empty());
    assert_eq!(only_session(&world).policy.session_timeout_in, Some(50));
    let plan = reload(&mut world, |config| config.connections[0].rules.limits.session = Some(seconds(60)));
    assert!(plan.ends().is_empty(), "it is its time that ends it");
    world.pass(seconds(1));
    assert_eq!(only_session(&world).reason, "session_timeout");
}

/// Two clients of one identity, one after the other, where one session is allowed.
fn second_login(when_full: WhenFull, again: &str) -> (World, Vec<SessionView>) {
    let mut config = with_classes(peer::config());
    let rules = &mut config.connections[0].rules;
    (rules.max_logins, rules.when_full) = (NonZeroU32::new(1), when_full);
    let mut world = World::new(config);
    Client::new("alice@rig", 2).login(&mut world);
    Client::new("bob@rig", 3).login(&mut world);
    let mut again = Client::new(again, 4);
    let mut keyed = again.init(&mut world);
    let (_, payloads) = again.auth_payloads(&keyed);
    let request = again.on_4500(keyed.sa.request(Exchange::IkeAuth, &payloads));
    let sent = world.deliver(&request);
    // Whoever makes place hears that, too.
    let answer = sent.iter().find(|answer| answer.path == request.path).unwrap();
    let refused = match &keyed.sa.answered(Exchange::IkeAuth, &answer.bytes)[..] {
        [Payload::Notify(notify)] => notify.kind == NotifyKind::NoAdditionalSas,
        _let_in => false,
    };
    assert_eq!(refused, when_full == WhenFull::Refuse);
    let sessions = world.engine.sessions(world.now);
    (world, sessions)
}

#[test]
fn one_login_too_many_by_ikev2_stays_out_or_takes_the_oldest_one_s_place() {
    // However it is spelt: names are taken without case.
    for again in ["alice@rig", "Alice@RIG"] {
        let (world, sessions) = second_login(WhenFull::Refuse, again);
        let ids: Vec<&str> = sessions.iter().map(|view| view.id.as_str()).collect();
        assert_eq!(ids, ["s1", "s2"]);
        let refused =
            world.dataplane.happenings.iter().any(|happening| format!("{happening:?}").contains("LoginLimit"));
        assert!(refused, "whoever watches is told");

        let (_, sessions) = second_login(WhenFull::Replace, again);
        let all: Vec<_> = sessions.iter().map(|view| (view.id.as_str(), view.state, view.reason.as_str())).collect();
        let up = |id| (id, SessionState::Up, "");
        assert_eq!(all, [("s1", SessionState::Closing, "replaced"), up("s2"), up("s3")]);
        assert_eq!(sessions[2].identity, again, "it is shown as it came");
    }
}

/// IKE_AUTH; whether it was refused because there are too many.
fn is_refused(world: &mut World, client: &mut Client) -> bool {
    let mut keyed = client.init(world);
    let (_, payloads) = client.auth_payloads(&keyed);
    let request = client.on_4500(keyed.sa.request(Exchange::IkeAuth, &payloads));
    let sent = world.deliver(&request);
    let answer = sent.iter().find(|answer| answer.path == request.path).unwrap();
    match &keyed.sa.answered(Exchange::IkeAuth, &answer.bytes)[..] {
        [Payload::Notify(notify)] => notify.kind == NotifyKind::NoAdditionalSas,
        _let_in => false,
    }
}

#[test]
fn who_takes_its_own_place_comes_in_although_there_are_as_many_sessions_as_there_may_be() {
    let mut config = with_classes(peer::config());
    let rules = &mut config.connections[0].rules;
    (rules.max_logins, rules.when_full) = (NonZeroU32::new(1), WhenFull::Replace);
    config.ike.session_limit = 2;
    let mut world = World::new(config);
    Client::new("alice@rig", 2).login(&mut world);
    Client::new("bob@rig", 3).login(&mut world);
    let up = |world: &World| {
        let sessions = world.engine.sessions(world.now).into_iter();
        sessions.filter(|view| view.state == SessionState::Up).map(|view| view.id).collect::<Vec<_>>()
    };
    // Whom nobody answers is a while in going, and counts no more.
    for (host, name, left) in
        [(4, "alice@rig", ["s2", "s3"]), (5, "bob@rig", ["s3", "s4"]), (6, "alice@rig", ["s4", "s5"])]
    {
        assert!(!is_refused(&mut world, &mut Client::new(name, host)), "{name} takes its own place");
        assert_eq!(up(&world), left);
    }
    assert!(is_refused(&mut world, &mut Client::new("carol@rig", 7)));
    assert_eq!(up(&world), ["s4", "s5"]);
    // Whoever cannot come in ends nobody.
    reload(&mut world, |config| config.ike.session_limit = 1);
    assert!(is_refused(&mut world, &mut Client::new("alice@rig", 8)));
    assert_eq!(up(&world), ["s4", "s5"]);
}

/// Of a user's logins by IKEv1 the newest is the only one.
fn only_the_newest_v1() -> Config {
    let mut config = with_classes(config_v1());
    let rules = &mut config.connections[0].rules;
    (rules.max_logins, rules.when_full) = (NonZeroU32::new(1), WhenFull::Replace);
    config
}

#[test]
fn by_ikev1_the_oldest_makes_place_too_and_a_server_says_how_many_there_may_be() {
    let mut world = World::new(only_the_newest_v1());
    let ids = |world: &World| world.engine.sessions(world.now).into_iter().map(|view| view.id).collect::<Vec<_>>();
    for host in [2, 3] {
        log_in_v1(&mut world, "alice", host, profile());
    }
    assert_eq!(ids(&world), ["s2"]);
    let two = Profile { max_logins: NonZeroU32::new(2), ..profile() };
    for host in [4, 5, 6] {
        log_in_v1(&mut world, "alice", host, two.clone());
    }
    assert_eq!(ids(&world), ["s4", "s5"]);
}

/// Directories often have no case, and let "ALICE" in as well.
#[test]
fn by_ikev1_a_user_is_who_the_server_says_however_the_name_is_spelt() {
    let mut world = World::new(only_the_newest_v1());
    let alice = Profile { name: Some(UserName::new(b"alice").unwrap()), ..profile() };
    log_in_v1(&mut world, "alice", 2, alice.clone());
    let address = only_session(&world).addresses;
    log_in_v1(&mut world, "ALICE", 3, alice);
    let session = only_session(&world);
    assert_eq!((session.id.as_str(), session.identity.as_str()), ("s2", "alice"));
    assert_eq!(session.addresses, address, "and so the address is the same, too");
    // Whom no server names is who they say.
    log_in_v1(&mut world, "ALICE", 4, profile());
    assert_eq!(world.engine.sessions(world.now).len(), 2);
}

#[test]
fn by_ikev1_too_who_takes_its_own_place_comes_in_and_one_more_session_hears_that_there_is_no_room() {
    let mut config = only_the_newest_v1();
    config.ike.session_limit = 2;
    let mut world = World::new(config);
    let ids = |world: &World| world.engine.sessions(world.now).into_iter().map(|view| view.id).collect::<Vec<_>>();
    for (host, user, left) in [
        (2, "alice", &["s1"][..]),
        (3, "bob", &["s1", "s2"]),
        (4, "alice", &["s2", "s3"]),
        (5, "bob", &["s3", "s4"]),
        (6, "carol", &["s3", "s4"]),
    ] {
        log_in_v1(&mut world, user, host, profile());
        assert_eq!(ids(&world), left, "{user} from {host}");
    }
    let told = |world: &World| world.dataplane.happenings.iter().map(|told| format!("{told:?}")).collect::<Vec<_>>();
    let refused = told(&world).iter().filter(|told| told.contains("SessionLimit")).count();
    assert_eq!(refused, 1, "{:#?}", told(&world));
    // Whoever cannot come in ends nobody.
    reload(&mut world, |config| config.ike.session_limit = 1);
    log_in_v1(&mut world, "alice", 7, profile());
    assert_eq!(ids(&world), ["s3", "s4"]);
}

/// By IKEv1 whoever knows a group's secret waits for a user for minutes, and who has an IKEv2 session to begin does not.
#[test]
fn who_waits_by_ikev1_takes_no_place_of_anybody_s() {
    let mut config = with_classes(peer::config());
    config.connections.push(config_v1().connections.remove(0));
    (config.ike.session_limit, config.ike.half_open_limit) = (2, 3);
    let mut world = World::new(config);
    for host in 2..5 {
        ClientV1::new("mallory", host).up_to_user(&mut world);
    }
    // Nor do more of them wait than may.
    let mut fourth = ClientV1::new("mallory", 5);
    let half = fourth.aggressive(&mut world);
    let (_, third) = fourth.aggressive_3(half);
    assert!(world.deliver(&fourth.later(third)).is_empty());
    assert_eq!((world.engine.holdings().half_open, world.engine.sessions(world.now).len()), (0, 3));
    Client::new("alice@rig", 6).login(&mut world);
    Client::new("bob@rig", 7).login(&mut world);
    assert!(is_refused(&mut world, &mut Client::new("carol@rig", 8)));
    world.pass(seconds(200));
    assert_eq!(world.engine.sessions(world.now).len(), 2, "their time is over");
    fourth.random = adit_crypto::random::SeededRandom::new(5);
    fourth.up_to_user(&mut world);
}

#[test]
fn a_session_s_view_has_its_own_drops() {
    let mut world = World::new(with_classes(peer::config()));
    Client::new("alice@rig", 2).login(&mut world);
    Client::new("bob@rig", 3).login(&mut world);
    assert!(world.engine.sessions(world.now).iter().all(|view| view.drops.is_empty()));
    let first = world.dataplane.drops.values().next().unwrap();
    for reason in [DropReason::OverRateUp, DropReason::Replayed, DropReason::OverRateUp] {
        first.dropped(reason);
    }
    let sessions = world.engine.sessions(world.now);
    let told: Vec<String> = sessions.iter().map(|view| format!("{:?}", view.drops)).collect();
    assert!(told.contains(&r#"{"over_rate_up": 2, "replayed": 1}"#.to_owned()), "{told:?}");
    assert!(told.contains(&"{}".to_owned()), "{told:?}");
}
