//! Lifetimes: charged with what is authenticated and new, told of once, and kept.

use crate::harness;

use adit_dataplane::contract::{Direction, DropReason, Event, Lifetime, Limits, Reached};
use harness::*;
use std::time::Duration;

fn limits(packets: Option<u64>, octets: Option<u64>) -> Limits {
    Limits { packets, octets, time: None }
}

fn with(soft: Limits, hard: Limits) -> (World, Client) {
    let mut world = World::new(1);
    let client = Client { lifetime: Lifetime { soft, hard }, ..Client::new(0, 1, gcm()) };
    let client = world.admit(client);
    (world, client)
}

/// Limits that were reported, in order.
fn told(world: &World, client: &Client) -> Vec<(Direction, Reached)> {
    let told = |event| match event {
        Event::Lifetime { pair, direction, reached } => {
            assert_eq!(pair, client.spi, "both directions are called by the inbound SPI");
            Some((direction, reached))
        }
        Event::Ike(_)
        | Event::FirstUse { .. }
        | Event::Moved { .. }
        | Event::UnknownSpi(_)
        | Event::Flows(_)
        | Event::InnerFlows(_)
        | Event::Stalling(_)
        | Event::Retired(_) => None,
    };
    world.events().into_iter().filter_map(told).collect()
}

#[test]
fn only_authenticated_new_packets_use_an_inbound_sa_up() {
    use {Direction::Inbound, Reached::*};
    let (mut world, client) = with(limits(Some(3), None), limits(Some(5), None));
    let up = v4(client.v4, SERVER_V4, 60);
    let mut forged = client.seal(9, &up);
    forged[30] ^= 1;
    for sequence in 1..=5_u32 {
        for _ in 0..10 {
            assert_eq!(world.esp(0, client.path, &forged), []);
        }
        // What is dropped behind its ICV counts: it was authenticated and new.
        if sequence == 2 {
            world.esp(0, client.path, &client.seal_raw(sequence, &[0; 62], &[], 0, 59));
        } else {
            let esp = client.seal(sequence, &up);
            assert_eq!(world.esp(0, client.path, &esp).len(), 1);
            if sequence < 5 {
                assert_eq!(world.esp(0, client.path, &esp), [], "a replay");
            }
        }
        let expected = match sequence {
            3 => vec![(Inbound, Soft)],
            5 => vec![(Inbound, Hard)],
            _ => vec![],
        };
        assert_eq!(told(&world, &client), expected, "behind packet {sequence}");
    }
    for sequence in 6..=8_u32 {
        assert_eq!(world.esp(0, client.path, &client.seal(sequence, &up)), []);
    }
    assert_eq!(world.dropped(DropReason::LifetimeOver), 3);
    assert_eq!(told(&world, &client), []);
    assert_eq!(client.up_counters.totals().packets, 4, "the dummy is no traffic");
    // The other direction has its own.
    assert_eq!(world.inner(0, &v4(SERVER_V4, client.v4, 60)).len(), 1);
}

#[test]
fn an_outbound_sa_counts_the_octets_that_it_encrypts() {
    use {Direction::Outbound, Reached::*};
    // 60 octets, 2 of padding, 2 of trailer.
    let (mut world, client) = with(limits(None, Some(2 * 64)), limits(None, Some(4 * 64)));
    let mut all = Vec::new();
    for _ in 0..6 {
        world.inner(0, &v4(SERVER_V4, client.v4, 60));
        all.push(told(&world, &client));
    }
    assert_eq!(all, [vec![], vec![(Outbound, Soft)], vec![], vec![(Outbound, Hard)], vec![], vec![]]);
    assert_eq!(world.all_dropped(), [(DropReason::LifetimeOver, 2)]);
    assert_eq!(client.down_counters.totals().packets, 4);
}

#[test]
fn limits_hold_within_one_burst() {
    let (mut world, client) = with(limits(Some(10), None), limits(Some(20), None));
    for _ in 0..40 {
        world.peers[0].push_inner(&v4(SERVER_V4, client.v4, 60)).unwrap();
    }
    world.turn(0);
    assert_eq!(world.departed().len(), 20);
    assert_eq!(world.all_dropped(), [(DropReason::LifetimeOver, 20)]);
    let expected = [(Direction::Outbound, Reached::Soft), (Direction::Outbound, Reached::Hard)];
    assert_eq!(told(&world, &client), expected);
}

#[test]
fn age_is_looked_at_when_a_packet_passes() {
    use {Direction::*, Reached::*};
    let mut world = World::new(1);
    let at = |seconds| Limits { time: Some(world.now + Duration::from_secs(seconds)), ..Limits::default() };
    let lifetime = Lifetime { soft: at(60), hard: at(90) };
    let client = world.admit(Client { lifetime, ..Client::new(0, 1, gcm()) });
    let (start, up) = (world.now, v4(client.v4, SERVER_V4, 60));
    let mut forged = client.seal(9, &up);
    forged[30] ^= 1;
    for (seconds, arrives, expected) in [
        (59, 1, vec![]),
        (60, 1, vec![(Inbound, Soft)]),
        (89, 1, vec![]),
        (90, 0, vec![(Inbound, Hard)]),
        (200, 0, vec![]),
    ] {
        world.now = start + Duration::from_secs(seconds);
        if seconds < 90 {
            world.esp(0, client.path, &forged);
            assert_eq!(told(&world, &client), [], "a forgery tells nothing");
        }
        assert_eq!(world.esp(0, client.path, &client.seal(seconds as u32, &up)).len(), arrives, "after {seconds} s");
        assert_eq!(told(&world, &client), expected, "after {seconds} s");
    }
    // The outbound SA was idle all the time and says both now.
    assert_eq!(world.inner(0, &v4(SERVER_V4, client.v4, 60)), []);
    assert_eq!(told(&world, &client), [(Outbound, Soft), (Outbound, Hard)]);
    assert_eq!(world.dropped(DropReason::LifetimeOver), 3);
}
