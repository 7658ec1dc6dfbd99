//! How fast a tunnel's packets may come and go: each direction by itself, whichever SA they are in, and what is more is
//! dropped by name, for the workers and for the tunnel.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails its test")]

use crate::harness;

use adit_dataplane::contract::{Command, DropReason, Rate, Rates, TunnelDrops};
use adit_dataplane::packet::{Channel, Meta, PoolSizes, Segments};
use adit_dataplane::worker::DataplaneConfig;
use harness::*;
use std::time::Duration;

/// 8 Mbit/s, a thousand octets a millisecond. The burst is the least there is: 64 KiB.
fn slow() -> Rate {
    Rate::new(8_000_000, Duration::ZERO).unwrap()
}

fn only_up() -> Rates {
    Rates { up: Some(slow()), down: None }
}

fn only_down() -> Rates {
    Rates { up: None, down: Some(slow()) }
}

/// A client whose tunnel is limited from the beginning.
fn limited(world: &mut World, worker: u8, slot: u32, rates: Rates) -> Client {
    world.admit(Client { rates, ..Client::new(worker, slot, gcm()) })
}

/// So many of `n` packets of 1000 octets that come at once come out.
fn up(world: &mut World, client: &Client, first: u32, n: u32) -> usize {
    let inner = v4(client.v4, SERVER_V4, 1000);
    (first..first + n).map(|number| world.esp(0, client.path, &client.seal(number, &inner)).len()).sum()
}

fn down(world: &mut World, client: &Client, n: u32) -> usize {
    (0..n).map(|_| world.inner(0, &v4(SERVER_V4, client.v4, 1000)).len()).sum()
}

fn drops(drops: &TunnelDrops) -> Vec<(DropReason, u64)> {
    drops.totals().collect()
}

#[test]
fn each_direction_has_its_own_limit_and_its_own_reason() {
    let mut world = World::new(1);
    let alice = limited(&mut world, 0, 1, only_up());
    assert_eq!((up(&mut world, &alice, 1, 100), down(&mut world, &alice, 100)), (65, 100));
    assert_eq!(world.all_dropped(), [(DropReason::OverRateUp, 35)]);

    let mut world = World::new(1);
    let alice = limited(&mut world, 0, 1, only_down());
    assert_eq!((up(&mut world, &alice, 1, 100), down(&mut world, &alice, 100)), (100, 65));
    assert_eq!(world.all_dropped(), [(DropReason::OverRateDown, 35)]);
    assert_eq!(drops(&alice.drops), [(DropReason::OverRateDown, 35)]);
    // What is dropped has used up no number: the next one that goes is the 66th.
    world.now = world.now + Duration::from_millis(1);
    let sent = world.inner(0, &v4(SERVER_V4, alice.v4, 1000));
    assert_eq!(alice.open(&sent[0].bytes).0, 66);
    assert_eq!(alice.down_counters.totals().packets, 66);
}

#[test]
fn time_fills_what_packets_have_emptied_and_no_tunnel_uses_up_another_s() {
    let mut world = World::new(1);
    let (alice, bob) = (limited(&mut world, 0, 1, only_down()), limited(&mut world, 0, 2, only_down()));
    let free = world.connect(0, 3, gcm());
    assert_eq!(down(&mut world, &alice, 70), 65);
    for _ in 0..20 {
        world.now = world.now + Duration::from_millis(10);
        assert_eq!(down(&mut world, &alice, 30), 10);
    }
    assert_eq!(down(&mut world, &bob, 70), 65);
    assert_eq!(down(&mut world, &free, 300), 300);
    // From one client to another both limits hold, each counted for its own tunnel.
    let mut world = World::new(1);
    let (alice, bob) = (limited(&mut world, 0, 1, Rates::default()), limited(&mut world, 0, 2, only_down()));
    let inner = v4(alice.v4, bob.v4, 1000);
    let arrived: usize = (1..=80).map(|number| world.esp(0, alice.path, &alice.seal(number, &inner)).len()).sum();
    assert_eq!(arrived, 65);
    assert_eq!((drops(&alice.drops), drops(&bob.drops)), (vec![], vec![(DropReason::OverRateDown, 15)]));
}

#[test]
fn the_limit_is_the_tunnel_s_whichever_sa_a_packet_is_in() {
    let mut world = World::new(1);
    let alice = limited(&mut world, 0, 1, only_up());
    // Another child SA of the same tunnel, which packets come on as well.
    let (tunnel, selectors) = (alice.tunnel, alice.selectors.clone());
    let second = Client { tunnel, selectors, ..Client::new(0, 31, gcm()) };
    world.command(alice.tunnel.worker, second.add_pair());
    world.settle();
    let inner = v4(alice.v4, SERVER_V4, 1000);
    assert_eq!(up(&mut world, &alice, 1, 40), 40);
    let by_second = (1..=40).map(|number| world.esp(0, alice.path, &second.seal(number, &inner)).len()).sum::<usize>();
    assert_eq!(by_second, 25, "65 in all");
    assert_eq!(up(&mut world, &alice, 41, 5), 0);
    assert_eq!(drops(&alice.drops), [(DropReason::OverRateUp, 20)]);
}

#[test]
fn a_change_is_for_the_next_packet_and_a_tunnel_can_be_set_free() {
    let mut world = World::new(1);
    let alice = limited(&mut world, 0, 1, only_down());
    assert_eq!(down(&mut world, &alice, 70), 65);
    let set = |world: &mut World, rates| {
        world.command(alice.tunnel.worker, Command::SetRates { tunnel: alice.tunnel, rates });
        world.settle();
    };
    // Ten times as fast, from an empty bucket.
    let fast = Rate::new(80_000_000, Duration::ZERO);
    set(&mut world, Rates { up: None, down: fast });
    assert_eq!(down(&mut world, &alice, 10), 0);
    world.now = world.now + Duration::from_millis(5);
    assert_eq!(down(&mut world, &alice, 100), 50);
    set(&mut world, Rates::default());
    assert_eq!(down(&mut world, &alice, 500), 500);
    set(&mut world, only_down());
    assert_eq!(down(&mut world, &alice, 100), 65, "a new bucket is full");
    assert_eq!(world.dataplane.workers[0].counters.totals().commands_refused, 0);
    set(&mut world, only_down());
    let nobody = adit_dataplane::contract::TunnelKey { slot: 77, ..alice.tunnel };
    world.command(nobody.worker, Command::SetRates { tunnel: nobody, rates: only_down() });
    world.settle();
    assert_eq!(world.dataplane.workers[0].counters.totals().commands_refused, 1, "there is no such tunnel");
}

/// TCP from the server, as long as the kernel makes them: 40 octets of headers, segments of 1000.
fn super_packet(client: &Client, payload: usize) -> (Meta, Vec<u8>) {
    let mut packet = v4(SERVER_V4, client.v4, 40 + payload);
    packet[9] = 6;
    packet[20..40].copy_from_slice(&[0, 80, 0x30, 0x39, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
    (Meta { segments: Segments::Tcp { payload: 1000 }, checksum: Some((20, 16)), ..Meta::default() }, packet)
}

#[test]
fn of_a_super_packet_as_many_segments_pass_as_there_is_room_for() {
    let pool = PoolSizes { small: 1024, small_capacity: 2048, large: 8 };
    let mut world = World::with(DataplaneConfig { pool, ..DataplaneConfig::default() }, 1024);
    let alice = limited(&mut world, 0, 1, only_down());
    let (meta, packet) = super_packet(&alice, 60_000);
    world.peers[0].push(meta, &packet).unwrap();
    world.settle();
    assert_eq!(world.departed().len(), 60, "the burst holds the largest that there is");
    world.peers[0].push(meta, &packet).unwrap();
    world.settle();
    // 65536 − 60 · 1040 are left.
    assert_eq!(world.departed().len(), 3, "the first of them, so that TCP has something to acknowledge");
    assert_eq!(world.all_dropped(), [(DropReason::OverRateDown, 57)]);
    // However long it goes on, what comes out is the rate: a super-packet every 10 ms, of which 10 000 octets may pass.
    let mut passed = 0;
    for _ in 0..1000 {
        world.now = world.now + Duration::from_millis(10);
        world.peers[0].push(meta, &packet).unwrap();
        world.settle();
        passed += world.departed().iter().map(|sent| alice.open(&sent.bytes).1.len()).sum::<usize>();
    }
    assert!((9_900_000..=10_000_000 + 1040).contains(&passed), "{passed} octets in ten seconds");
    world.settle();
    assert_eq!(world.workers[0].free_buffers().0, pool.small, "every buffer came home");
}

#[test]
fn a_tunnel_s_own_drops_are_told_by_reason_and_nobody_else_s_are_among_them() {
    let mut world = World::new(2);
    let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(0, 2, gcm()));
    let far = world.connect(1, 3, gcm());
    let inner = v4(alice.v4, SERVER_V4, 60);
    let esp = alice.seal(1, &inner);
    world.esp(0, alice.path, &esp);
    world.esp(0, alice.path, &esp);
    let mut forged = alice.seal(2, &inner);
    forged[20] ^= 1;
    world.esp(0, alice.path, &forged);
    world.esp(0, alice.path, &alice.seal(3, &v4(bob.v4, SERVER_V4, 60)));
    // Too big for her tunnel, and nobody can be told.
    let mut big = v4([127, 0, 0, 1].into(), alice.v4, 1460);
    big[6] = 0x40;
    world.inner(0, &big);
    // Of nobody.
    world.peers[0].push_outer(Channel::NatT, alice.path, &[0x77; 60]).unwrap();
    world.settle();
    world.inner(0, &v4(SERVER_V4, [10, 99, 0, 1].into(), 60));
    let expected = [
        (DropReason::Replayed, 1),
        (DropReason::BadIcv, 1),
        (DropReason::SelectorMismatch, 1),
        (DropReason::TooBig, 1),
    ];
    assert_eq!(drops(&alice.drops), expected);
    assert_eq!(drops(&bob.drops), []);
    // A packet for a tunnel of another worker's is counted where it ends.
    let mut big = v4([127, 0, 0, 1].into(), far.v4, 1460);
    big[6] = 0x40;
    world.inner(0, &big);
    assert_eq!(drops(&far.drops), [(DropReason::TooBig, 1)]);
    let (all, of_tunnels): (u64, u64) = (world.all_dropped().iter().map(|(_, n)| n).sum(), 5);
    assert_eq!(all, of_tunnels + 2, "and for the workers everything");
}
