//! An engine ends, another takes its place: who had which address is known. And an engine that drains.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::IdPattern;
use adit_control::disk::Content;
use adit_control::ike::counters::Ignored;
use adit_control::ike::wire::*;
use adit_control::lease::{entry, read_entry};
use adit_control::session::Cause;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use peer::client::*;
use peer::v1::{ClientV1, GROUP, address_in, config_v1};
use peer::{World, config};
use std::net::IpAddr;
use std::time::Duration;

const UNIX_AT_ZERO: Duration = Duration::from_secs(1_800_000_000);

/// What the disk knows of a world that keeps its leases.
#[derive(Default)]
struct Disk(Content);

impl Disk {
    fn write_down(&mut self, world: &mut World) {
        while let Some(news) = world.engine.poll_lease() {
            match entry(&news, UNIX_AT_ZERO) {
                (key, Some(value)) => drop(self.0.insert(key, value)),
                (key, None) => drop(self.0.remove(&key)),
            }
        }
    }

    /// Another engine, a little later, that holds what is on the disk for as long.
    fn started_again(&self, before: &World, mut world: World, hold: Duration) -> World {
        world.now = before.now + Duration::from_secs(1);
        world.engine.keep_leases();
        for (key, value) in &self.0 {
            let kept = read_entry(key, value).unwrap();
            let until = world.now + hold;
            world.engine.restore_lease(world.now, kept.address, &kept.identity, until).unwrap();
        }
        world
    }

    fn keys(&self) -> Vec<String> {
        self.0.keys().map(|key| String::from_utf8(key.clone()).unwrap()).collect()
    }
}

fn keeping(mut world: World) -> World {
    world.engine.keep_leases();
    world
}

fn addresses(world: &World, who: &str) -> Vec<IpAddr> {
    let sessions = world.engine.sessions(world.now);
    sessions.into_iter().find(|session| session.identity == who).unwrap().addresses
}

#[test]
fn who_comes_back_to_another_engine_has_the_addresses_that_it_had() {
    let mut disk = Disk::default();
    let mut world = keeping(World::new(config()));
    let mut gone = Client::new("gone@rig", 9);
    let (mut sa, _) = gone.login(&mut world);
    for (name, host) in [("alice@rig", 2), ("bob@rig", 3)] {
        Client::new(name, host).login(&mut world);
    }
    let had = ["alice@rig", "bob@rig"].map(|who| addresses(&world, who));
    gone.ask(&mut world, &mut sa, Exchange::Informational, &[delete_ike()]);
    disk.write_down(&mut world);
    assert_eq!(disk.keys(), ["10.30.0.3", "10.30.0.4", "fd30::3", "fd30::4"], "who has left has nothing");

    // Killed. Somebody else is first to come, and asks for what is alice's.
    let mut world = disk.started_again(&world, World::new(config()), Duration::from_secs(600));
    assert_eq!(world.engine.pools()[0].ranges.iter().map(|range| range.held).collect::<Vec<_>>(), [2, 2]);
    Client::new("carol@rig", 4).login(&mut world);
    Client::new("dave@rig", 5).login(&mut world);
    for (name, host) in [("bob@rig", 3), ("alice@rig", 2)] {
        Client::new(name, host).login(&mut world);
    }
    assert_eq!(["alice@rig", "bob@rig"].map(|who| addresses(&world, who)), had);
    assert_eq!(world.engine.pools()[0].ranges[0].held, 0);
    disk.write_down(&mut world);
    assert_eq!(disk.keys().len(), 8);
}

#[test]
fn a_clean_end_holds_addresses_as_long_as_is_configured_and_no_longer() {
    let mut disk = Disk::default();
    let mut world = keeping(World::new(config()));
    let mut alice = Client::new("alice@rig", 2);
    let (mut sa, _) = alice.login(&mut world);
    world.engine.shut_down(world.now);
    let sent = world.drain();
    let (id, _) = sa.asked(&sent[0].bytes);
    let answer = sa.answer(id, &[]);
    world.deliver(&alice.on_4500(answer));
    assert!(world.engine.is_idle());
    disk.write_down(&mut world);
    let until = read_entry(b"10.30.0.2", &disk.0[&b"10.30.0.2"[..]]).unwrap().until.unwrap();
    let at = UNIX_AT_ZERO + world.now.since(adit_dataplane::time::Instant::ZERO) + Duration::from_secs(600);
    assert_eq!(until, at.as_secs());

    // Nobody has to come for the pool to be seen as it is.
    let mut later = disk.started_again(&world, World::new(config()), Duration::from_secs(600));
    let in_use = |world: &mut World| world.engine.pool_fills(world.now)[0].in_use;
    assert_eq!(in_use(&mut later), 1);
    later.pass(Duration::from_secs(600));
    assert_eq!(in_use(&mut later), 0);
    assert_eq!(later.engine.pools()[0].ranges[0].held, 0);

    // It comes when that is over, and so does somebody else, before it.
    let mut world = disk.started_again(&world, World::new(config()), Duration::from_secs(600));
    world.pass(Duration::from_secs(600));
    Client::new("bob@rig", 3).login(&mut world);
    assert_eq!(world.engine.pools()[0].ranges[0].held, 0);
    Client::new("alice@rig", 2).login(&mut world);
    let alice: IpAddr = "10.30.0.2".parse().unwrap();
    assert_eq!(addresses(&world, "alice@rig")[0], alice, "nobody needed it");
}

#[test]
fn a_user_by_ikev1_has_its_address_again_in_its_own_group() {
    let mut disk = Disk::default();
    let mut world = keeping(World::new(config_v1()));
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, _) = alice.log_in_told(&mut world);
    let had = address_in(&alice.pull(&mut world, &mut sa));
    disk.write_down(&mut world);
    let mut world = disk.started_again(&world, World::new(config_v1()), Duration::from_secs(600));
    let mut bob = ClientV1::new("bob", 3);
    let (mut sa, _) = bob.log_in_told(&mut world);
    assert_ne!(address_in(&bob.pull(&mut world, &mut sa)), had);
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, _) = alice.log_in_told(&mut world);
    assert_eq!(address_in(&alice.pull(&mut world, &mut sa)), had);
}

#[test]
fn an_identity_by_ikev2_of_a_users_octets_gets_nothing_that_is_held_for_the_user() {
    let mut disk = Disk::default();
    let mut world = keeping(World::new(config_v1()));
    let mut alice = ClientV1::new("alice", 2);
    let (mut sa, _) = alice.log_in_told(&mut world);
    let had = address_in(&alice.pull(&mut world, &mut sa));
    disk.write_down(&mut world);
    let mut both = config();
    both.connections[0].remote_ids.push(IdPattern::parse("keyid:*").unwrap());
    let mut world = disk.started_again(&world, World::new(both), Duration::from_secs(600));
    let mut mallory = Client::new("mallory@rig", 4);
    let group = Id::parse(GROUP).unwrap().bytes;
    mallory.id = Id { kind: IdKind::KeyId, bytes: [&group[..], b"\0alice"].concat() };
    mallory.login(&mut world);
    assert!(!world.engine.sessions(world.now)[0].addresses.contains(&IpAddr::V4(had)));
    assert_eq!(world.engine.pools()[0].ranges[0].held, 1);
}

/// Not behind the NAT that all others are behind.
fn client(name: &str, host: u8) -> Client {
    let mut client = Client::new(name, host);
    client.seen = client.own;
    client
}

/// A first message of somebody at this host; how many datagrams answer it.
fn knocks(world: &mut World, host: u8) -> usize {
    let mut client = client("late@rig", host);
    let pair = KeyPair::generate(KexGroup::X25519, &mut client.random);
    let spi = IkeSpi(1000 + u64::from(host));
    let payloads = client.init_payloads(spi, &pair, &[1; 32]);
    world.deliver(&client.on_500(build(&init_header(spi), &payloads))).len()
}

#[test]
fn while_draining_nobody_new_is_answered_and_who_is_here_goes_on() {
    let mut world = keeping(World::new(config()));
    let mut alice = client("alice@rig", 2);
    let (mut sa, child) = alice.login(&mut world);
    // Both have begun before.
    let mut bob = client("bob@rig", 3);
    let mut bobs = bob.init(&mut world);
    let mut again = client("alice@rig", 4);
    let mut alices = again.init(&mut world);
    world.engine.drain();
    assert_eq!(knocks(&mut world, 9), 0);
    assert_eq!(world.engine.counters().ignored(Ignored::Draining), 1);
    let (_, answer) = bob.auth(&mut world, &mut bobs);
    assert_eq!(only_notify(&answer).0, NotifyKind::NoAdditionalSas, "it has no session");
    let (spi_in, answer) = again.auth(&mut world, &mut alices);
    again.logged_in(&world, &alices, spi_in, &answer);
    alice.rekey_child(&mut world, &mut sa, &child, None);
    let mut sa = alice.rekey_ike(&mut world, &mut sa);
    assert_eq!(alice.ask(&mut world, &mut sa, Exchange::Informational, &[]), []);
    // From where a session comes, its client may begin anew; the list of such addresses is a second old at most.
    assert_eq!(knocks(&mut world, 2), 1);
    assert_eq!(knocks(&mut world, 3), 0);
    assert_eq!(knocks(&mut world, 4), 0);
    world.pass(Duration::from_secs(1));
    assert_eq!(knocks(&mut world, 4), 1);
    world.engine.stop_draining();
    assert_eq!(knocks(&mut world, 9), 1);
}

#[test]
fn an_end_of_draining_tells_all_to_go_and_keeps_their_addresses() {
    let mut disk = Disk::default();
    let mut world = keeping(World::new(config()));
    let mut alice = client("alice@rig", 2);
    let (mut sa, _) = alice.login(&mut world);
    world.engine.drain();
    world.engine.end_all(world.now);
    let sent = world.drain();
    let (id, payloads) = sa.asked(&sent[0].bytes);
    assert_eq!(payloads, [delete_ike()]);
    assert_eq!(world.engine.sessions(world.now)[0].reason, Cause::Drained.name());
    let answer = sa.answer(id, &[]);
    world.deliver(&alice.on_4500(answer));
    assert!(world.engine.is_idle());
    disk.write_down(&mut world);
    assert_eq!(disk.keys(), ["10.30.0.2", "fd30::2"]);
    assert_eq!(knocks(&mut world, 2), 0, "nobody is here any more");
}
