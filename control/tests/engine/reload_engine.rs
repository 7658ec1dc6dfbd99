//! Another configuration while sessions are up: who stays, who ends, and that nothing is lost on the way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::peer;

use adit_control::aaa::UserName;
use adit_control::config::checked::*;
use adit_control::config::difference::{Effect, Touched};
use adit_control::ike::counters::Ignored;
use adit_control::ike::v1::wire as v1;
use adit_control::reload::Verdict;
use adit_control::session::{SessionId, SessionState, SessionView};
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Transport, Transports};
use peer::World;
use peer::client::{Client, Sa, delete_ike};
use peer::v1::{ClientV1, EspV1, SaV1, address_in};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// A change of the file.
type Edit = fn(&mut Config);

/// `rig` by IKEv2 and `ezvpn` by IKEv1, each with a pool of its own.
fn both() -> Config {
    let mut config = peer::config();
    let mut ezvpn = peer::v1::config_v1().connections.remove(0);
    ezvpn.pools = vec![1];
    config.connections.push(ezvpn);
    config.pools.push(Pool {
        name: "field".to_owned(),
        v4: Some("10.31.0.0/24".parse().unwrap()),
        v6: None,
        dns: Vec::new(),
        netbios_name_servers: Vec::new(),
    });
    config
}

fn hash() -> PasswordHash {
    let text = "$argon2id$v=19$m=19456,t=2,p=1$YW4gZXhhbXBsZSBzYWx0$l/bmsqyq8GTy5A1oNMnSTI2oMjxHRWQpIoYyDlZL2yo";
    PasswordHash::parse(text).unwrap()
}

struct Up {
    world: World,
    alice: Client,
    keyed: Sa,
    bob: ClientV1,
    sa: SaV1,
    address: Ipv4Addr,
}

fn up() -> Up {
    let mut world = World::new(both());
    let mut alice = Client::new("alice@rig", 2);
    let (keyed, _child) = alice.login(&mut world);
    let mut bob = ClientV1::new("bob", 3);
    let mut sa = bob.up_to_user(&mut world);
    let told = world.accept();
    let (_, ack) = bob.told(&mut sa, &told[0].bytes);
    assert!(world.deliver(&bob.later(ack)).is_empty());
    let address = address_in(&bob.pull(&mut world, &mut sa));
    let (_esp, third): (EspV1, _) = bob.quick(&mut world, &mut sa, address);
    assert!(world.deliver(&bob.later(third)).is_empty());
    assert_eq!(address, Ipv4Addr::new(10, 31, 0, 3));
    Up { world, alice, keyed, bob, sa, address }
}

fn sessions(world: &World) -> Vec<SessionView> {
    world.engine.sessions(world.now)
}

/// Names of connections of the sessions that are up.
fn connections(world: &World) -> Vec<String> {
    let up = sessions(world).into_iter().filter(|session| session.state == SessionState::Up);
    up.map(|session| session.connection).collect()
}

/// Takes the configuration with this changed. What the engine sends comes back.
fn reload(world: &mut World, edit: Edit) -> Vec<IkeDatagram> {
    let mut config = Config::clone(world.engine.config());
    edit(&mut config);
    let plan = world.engine.reconfigure(world.now, Arc::new(config)).unwrap();
    let announced: Vec<String> = plan.ends().iter().map(ToString::to_string).collect();
    let sent = world.drain();
    let gone = sessions(world).into_iter().filter(|session| session.state == SessionState::Closing);
    let still: Vec<String> = sessions(world).iter().map(|session| session.id.clone()).collect();
    for session in gone {
        assert!(announced.contains(&session.id), "{} ends and was not announced", session.id);
    }
    for id in announced {
        let closing = sessions(world).iter().any(|session| session.id == id && session.state == SessionState::Closing);
        assert!(closing || !still.contains(&id), "{id} was announced and stays");
    }
    sent
}

#[test]
fn what_need_not_end_a_session_ends_none_and_says_nothing_to_anybody() {
    let edits: [(&str, Edit); 16] = [
        ("a pool more, before the others", |config| {
            let pool =
                Pool { name: "lab".to_owned(), v4: Some("10.99.0.0/24".parse().unwrap()), ..config.pools[0].clone() };
            config.pools.insert(0, Pool { v6: None, ..pool });
            for connection in &mut config.connections {
                connection.pools.iter_mut().for_each(|pool| *pool += 1);
            }
        }),
        ("a pool that grows", |config| config.pools[0].v4 = Some("10.30.0.0/16".parse().unwrap())),
        ("a connection more, before the others", |config| {
            let connection = Connection { name: "first".to_owned(), ..config.connections[0].clone() };
            config.connections.insert(0, Connection { remote_ids: Vec::new(), ..connection });
        }),
        ("connections in another order", |config| config.connections.reverse()),
        ("another secret", |config| {
            peer::login(config).psk = SecretBytes::from(&b"another secret"[..]);
        }),
        ("other proposals", |config| {
            config.connections[0].esp_proposals = vec![EspProposal::parse("aes256gcm16").unwrap()];
        }),
        ("other IKE proposals", |config| {
            peer::login(config).ike_proposals = vec![IkeProposal::parse("aes256-sha384-ecp384").unwrap()];
        }),
        ("more networks", |config| {
            for connection in &mut config.connections {
                connection.networks.push("10.40.0.0/16".parse().unwrap());
            }
        }),
        ("a way that nobody comes by", |config| {
            for connection in &mut config.connections {
                connection.transports = Transports::ALL.iter().filter(|way| *way != Transport::Ctcp).collect();
            }
        }),
        ("limits", |config| (config.ike.session_limit, config.ike.half_open_limit) = (1, 1)),
        ("timers", |config| config.ike.dpd_delay = Duration::from_secs(7)),
        ("name servers", |config| config.pools[0].dns.clear()),
        ("a user more", |config| {
            let user = User { password: hash(), access: Access::Open, address: None };
            config.users.0.insert(UserName::new(b"carol").unwrap(), user);
        }),
        ("who we are", |config| config.identity = adit_control::ike::wire::Id::parse("other.rig").unwrap()),
        ("workers", |config| config.workers.burst = 32),
        ("who may come", |config| config.connections[0].remote_ids = vec![IdPattern::parse("*@elsewhere").unwrap()]),
    ];
    for (what, edit) in edits {
        let Up { mut world, .. } = up();
        let before = sessions(&world);
        assert!(reload(&mut world, edit).is_empty(), "{what}: somebody is told something");
        let after = sessions(&world);
        assert_eq!(after, before, "{what}");
        assert_eq!(world.engine.holdings().leases, 3, "{what}");
    }
}

#[test]
fn a_transport_that_is_taken_away_is_closed_to_sessions_that_go_another_way_until_it_is_given_back() {
    let without_ctcp: Edit = |config| {
        for connection in &mut config.connections {
            connection.transports = Transports::ALL.iter().filter(|way| *way != Transport::Ctcp).collect();
        }
    };
    let with_all: Edit = |config| config.connections.iter_mut().for_each(|one| one.transports = Transports::ALL);
    let only = |way| Transports::NONE.with(way);
    let Up { mut world, .. } = up();
    // Of alice's tunnel, and of bob's.
    let closed = |world: &World| {
        let mut closed: Vec<_> = world.dataplane.tunnels.iter().collect();
        closed.sort_by_key(|(_, tunnel)| tunnel.path.path().peer);
        closed.iter().map(|(_, tunnel)| tunnel.closed).collect::<Vec<_>>()
    };
    reload(&mut world, without_ctcp);
    assert_eq!(closed(&world), [only(Transport::Ctcp); 2]);
    // An operator closes another.
    let minute = Duration::from_secs(60);
    let left = world.engine.close_transport(world.now, SessionId(1), Transport::Esp, minute, "root").unwrap();
    assert!(!left.contains(Transport::Ctcp) && !left.contains(Transport::Esp) && left.contains(Transport::NatT));
    world.drain();
    assert_eq!(closed(&world), [only(Transport::Ctcp).with(Transport::Esp), only(Transport::Ctcp)]);
    reload(&mut world, with_all);
    assert_eq!(closed(&world), [only(Transport::Esp), Transports::NONE]);
    reload(&mut world, without_ctcp);
    world.engine.close_transport(world.now, SessionId(1), Transport::Esp, Duration::from_secs(1), "root").unwrap();
    world.pass(Duration::from_secs(2));
    assert_eq!(closed(&world), [only(Transport::Ctcp); 2], "its time is over, the configuration's is not");
    // What is not said again is not done again.
    let said = world.dataplane.log.iter().filter(|command| **command == "CloseTransports").count();
    reload(&mut world, |config| config.pools[0].dns.clear());
    assert_eq!(world.dataplane.log.iter().filter(|command| **command == "CloseTransports").count(), said);
}

#[test]
fn a_transport_that_is_taken_away_is_closed_to_ike_too_until_it_is_given_back() {
    let with: Edit = |config| {
        let ways = Transports::NONE.with(Transport::NatT).with(Transport::Tcp);
        config.connections.iter_mut().for_each(|one| one.transports = ways);
    };
    let without: Edit = |config| {
        config.connections.iter_mut().for_each(|one| one.transports = Transports::NONE.with(Transport::NatT));
    };
    let mut config = both();
    with(&mut config);
    let mut world = World::new(config);
    let mut alice = Client::new("alice@rig", 2);
    let (mut keyed, _child) = alice.login(&mut world);
    let udp = world.dataplane.tunnel().1.path;
    let by_tcp = |bytes: Vec<u8>| {
        let mut datagram = alice.on_4500(bytes);
        datagram.framing = IkeFraming::Tcp;
        datagram.path.peer.set_port(40_001);
        datagram
    };
    reload(&mut world, without);
    let request = keyed.request(adit_control::ike::wire::Exchange::Informational, &[]);
    assert!(world.deliver(&by_tcp(request.clone())).is_empty());
    assert_eq!(world.engine.counters().ignored(Ignored::TransportClosed), 1);
    assert_eq!((sessions(&world)[0].peer, world.dataplane.tunnel().1.path), (udp.path().peer, udp));
    assert_eq!(world.deliver(&alice.on_4500(request)).len(), 1, "it is answered where it may come");
    reload(&mut world, with);
    let request = keyed.request(adit_control::ike::wire::Exchange::Informational, &[]);
    assert_eq!(world.deliver(&by_tcp(request)).len(), 1);
    let asked = world.pass(Duration::from_secs(31));
    assert_eq!((asked[0].path, asked[0].framing), (by_tcp(vec![]).path, IkeFraming::Tcp), "its IKE is there now");
}

#[test]
fn what_does_not_fit_any_more_ends_and_only_that() {
    let edits: [(&str, Edit, &[&str]); 9] = [
        ("its connection is removed", |config| drop(config.connections.remove(0)), &["ezvpn"]),
        ("the other is", |config| config.connections.truncate(1), &["rig"]),
        (
            "its version of IKE",
            |config| {
                let login = config.connections[1].login.clone();
                config.connections[0].login = login;
            },
            &["ezvpn"],
        ),
        ("its pool is elsewhere", |config| config.pools[1].v4 = Some("10.77.0.0/24".parse().unwrap()), &["rig"]),
        ("its pool shrinks", |config| config.pools[0].v4 = Some("10.30.0.128/25".parse().unwrap()), &["ezvpn"]),
        (
            "its address becomes the headend's",
            |config| {
                config.pools[1].v4 = Some("10.31.0.2/31".parse().unwrap());
            },
            &["rig"],
        ),
        ("its connection has another pool", |config| config.connections[1].pools = vec![0], &["rig"]),
        ("its networks are fewer", |config| config.connections[0].networks.truncate(1), &["ezvpn"]),
        (
            "its way is taken away",
            |config| {
                let ways = Transports::ALL.iter().filter(|way| *way != Transport::NatT).collect();
                config.connections[0].transports = ways;
            },
            &["ezvpn"],
        ),
    ];
    for (what, edit, left) in edits {
        let Up { mut world, .. } = up();
        let sent = reload(&mut world, edit);
        assert_eq!(connections(&world), left, "{what}");
        assert_eq!(sent.len(), 1, "{what}: the one who ends is told");
        let others = if left == ["rig"] { 2 } else { 1 };
        assert_eq!(world.engine.holdings().leases, others, "{what}: its addresses are free");
    }
}

#[test]
fn who_ends_is_told_by_a_delete_and_who_stays_goes_on_by_the_new_configuration() {
    let Up { mut world, alice, mut keyed, mut bob, mut sa, address } = up();
    // bob's connection comes first from now on, and alice's is gone.
    let sent = reload(&mut world, |config| drop(config.connections.remove(0)));
    let (message_id, said) = keyed.asked(&sent[0].bytes);
    assert_eq!(said, [delete_ike()]);
    let answer = keyed.answer(message_id, &[]);
    assert!(world.deliver(&alice.on_4500(answer)).is_empty());
    assert_eq!(connections(&world), ["ezvpn"]);
    // Whom it has found by their place in the file is found by their new place.
    let (_esp, third) = bob.quick(&mut world, &mut sa, address);
    assert!(world.deliver(&bob.later(third)).is_empty());
    assert_eq!(sessions(&world)[0].identity, "bob");
    assert_eq!(connections(&world), ["ezvpn"]);
    let sent = reload(&mut world, |config| config.connections[0].networks = vec!["10.50.0.0/24".parse().unwrap()]);
    assert_eq!(sa.informed(&sent[0].bytes), [v1::Payload::Delete(v1::Delete::Isakmp(vec![sa.cookies]))]);
    assert_eq!(world.engine.holdings().leases, 0);
    let places = world.dataplane.configs.iter().map(|(_, places)| (places.place(0), places.place(1)));
    assert_eq!(places.collect::<Vec<_>>(), [(usize::MAX, 0), (0, usize::MAX)], "AAA is told where they are");
}

#[test]
fn a_user_who_is_locked_or_removed_is_out_and_a_login_under_way_is_over() {
    let with_bob = |access| {
        let mut config = both();
        config.users.0.insert(UserName::new(b"bob").unwrap(), User { password: hash(), access, address: None });
        config
    };
    for after in [with_bob(Access::Locked), both()] {
        let mut world = World::new(with_bob(Access::Open));
        let mut bob = ClientV1::new("bob", 3);
        let mut sa = bob.up_to_user(&mut world);
        let plan = world.engine.plan(&after);
        assert_eq!(plan.ends().len(), 1, "AAA is judging him");
        let told = world.accept();
        let (_, ack) = bob.told(&mut sa, &told[0].bytes);
        assert!(world.deliver(&bob.later(ack)).is_empty());
        bob.pull(&mut world, &mut sa);
        let plan = world.engine.reconfigure(world.now, Arc::new(after)).unwrap();
        let touched = Effect::Touches(Touched::OfUser(UserName::new(b"bob").unwrap()));
        assert_eq!(plan.steps.iter().map(|step| &step.change.effect).collect::<Vec<_>>(), [&touched]);
        assert!(plan.steps[0].sentence().starts_with("at once; 1 session is this user's and ends: s1 bob"));
        world.drain();
        world.assert_nothing_left();
    }
}

#[test]
fn what_needs_a_restart_changes_nothing_and_a_plan_never_does() {
    let Up { mut world, .. } = up();
    let (before, held) = (sessions(&world), world.engine.holdings());
    let mut config = Config::clone(world.engine.config());
    config.connections.clear();
    let plan = world.engine.plan(&config);
    assert_eq!((plan.verdict(), plan.ends().len()), (Verdict::Ready, 2));
    config.tun.mtu = 1300;
    let plan = world.engine.reconfigure(world.now, Arc::new(config)).unwrap_err();
    assert_eq!(plan.verdict(), Verdict::NeedsRestart);
    assert!(world.drain().is_empty());
    assert_eq!((sessions(&world), world.engine.holdings()), (before, held));
    assert_eq!(world.engine.config().tun.mtu, 1400);
    assert!(world.dataplane.configs.is_empty());
}

#[test]
fn an_address_given_back_before_a_reload_is_remembered_after_it() {
    let mut world = World::new(both());
    let mut alice = Client::new("alice@rig", 2);
    let (mut keyed, _) = alice.login(&mut world);
    let mut carol = Client::new("carol@rig", 4);
    carol.login(&mut world);
    let bytes = keyed.request(adit_control::ike::wire::Exchange::Informational, &[delete_ike()]);
    world.deliver(&alice.on_4500(bytes));
    reload(&mut world, |config| config.pools[0].v4 = Some("10.30.0.0/16".parse().unwrap()));
    let mut dave = Client::new("dave@rig", 5);
    dave.login(&mut world);
    alice.login(&mut world);
    let addresses = |identity: &str| {
        sessions(&world).into_iter().find(|session| session.identity == identity).unwrap().addresses[0].to_string()
    };
    let all = ["alice@rig", "carol@rig", "dave@rig"].map(addresses);
    assert_eq!(all[0], "10.30.0.2");
    assert!(all[1] != all[2] && all[2] != all[0], "{all:?}");
}
