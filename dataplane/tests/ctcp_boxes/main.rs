//! cTCP through boxes that follow the stream, each leg with loss: what a Cisco client's way of talking makes of it, and what ours
//! does. Virtual time, seeded chance, no socket.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

mod boxes;
mod diagnoses;
mod peers;
mod world;

use adit_dataplane::carrier::ctcp::Stalling;
use boxes::Middlebox;
use peers::Manner;
use world::{Direction, Leg, Outcome, Setting, run};

const LEGS: [Leg; 4] = [Leg::ClientToBox, Leg::BoxToHeadend, Leg::HeadendToBox, Leg::BoxToClient];

fn setting(middlebox: Middlebox, loss: Option<(Leg, u32)>, headend: Manner, client: Manner) -> Setting {
    Setting {
        middlebox,
        loss,
        headend,
        client,
        direction: Direction::Both,
        seconds: 30,
        quiet: 0,
        rate: 100,
        far: 10,
        seed: 1,
    }
}

#[track_caller]
fn assert_alive(setting: &Setting, least: f64) {
    let Outcome { up, down, longest_gap, .. } = run(setting);
    assert!(up >= least && down >= least, "{setting:?}: {up:.2} % up, {down:.2} % down, wanted {least}");
    assert!(longest_gap < 1.0, "{setting:?}: {longest_gap:.2} s without a packet");
}

/// Who loses what: a leg that loses data going up says nothing of the way down.
fn ways(setting: &Setting, outcome: Outcome) -> (f64, f64) {
    match setting.loss {
        Some((Leg::ClientToBox | Leg::BoxToHeadend, _)) => (outcome.up, outcome.down),
        Some((Leg::HeadendToBox | Leg::BoxToClient, _)) | None => (outcome.down, outcome.up),
    }
}

#[test]
fn cisco_at_both_ends_dies_behind_a_box_that_waits_for_what_is_missing() {
    for leg in [Leg::ClientToBox, Leg::HeadendToBox] {
        let setting = setting(Middlebox::InOrder { queue: 3 }, Some((leg, 5)), Manner::Cisco, Manner::Cisco);
        let (lossy, other) = ways(&setting, run(&setting));
        assert!(lossy < 30.0, "{setting:?}: {lossy} %");
        assert!(other > 99.0, "{setting:?}: {other} %");
    }
}

#[test]
fn cisco_at_both_ends_dies_of_a_window_tracker_without_any_loss() {
    let alone = Setting {
        direction: Direction::Up,
        rate: 300,
        ..setting(Middlebox::Tracker, None, Manner::Cisco, Manner::Cisco)
    };
    assert!(run(&alone).up < 5.0);
    assert!(run(&Setting { direction: Direction::Down, ..alone }).down < 5.0);
}

#[test]
fn a_router_and_a_tracker_cost_cisco_only_what_is_lost() {
    for middlebox in [Middlebox::Router, Middlebox::Tracker] {
        for leg in LEGS {
            assert_alive(&setting(middlebox, Some((leg, 20)), Manner::Cisco, Manner::Cisco), 96.0);
        }
    }
}

#[test]
fn a_headend_of_ours_keeps_a_cisco_client_alive_wherever_a_headend_can() {
    for manner in [Manner::Adaptive, Manner::Stateless] {
        for middlebox in [Middlebox::Router, Middlebox::Tracker] {
            for leg in LEGS {
                assert_alive(&setting(middlebox, Some((leg, 20)), manner, Manner::Cisco), 96.0);
            }
        }
    }
    for leg in [Leg::HeadendToBox, Leg::BoxToHeadend, Leg::BoxToClient] {
        for (loss, least) in [(5, 99.0), (20, 97.0)] {
            let middlebox = Middlebox::InOrder { queue: 3 };
            assert_alive(&setting(middlebox, Some((leg, loss)), Manner::Adaptive, Manner::Cisco), least);
        }
    }
}

#[test]
fn what_only_the_client_could_repeat_is_found_out() {
    let setting =
        setting(Middlebox::InOrder { queue: 3 }, Some((Leg::ClientToBox, 5)), Manner::Adaptive, Manner::Cisco);
    let outcome = run(&setting);
    // Going down it costs what does not fit into a window around each of the few acknowledgments that there are.
    assert!(outcome.up < 50.0 && outcome.down > 98.0, "{outcome:?}");
    assert_eq!(outcome.stalling, Some(Stalling::Certain));
}

#[test]
fn a_headend_of_ours_keeps_a_tracker_open_for_who_only_sends_and_for_who_only_receives() {
    let up = Setting {
        direction: Direction::Up,
        rate: 300,
        ..setting(Middlebox::Tracker, None, Manner::Adaptive, Manner::Cisco)
    };
    assert!(run(&up).up > 99.0, "{:?}", run(&up));
    assert!(run(&Setting { headend: Manner::Stateless, ..up }).up > 99.0);
}

/// A seventh of a megabyte is under way between a tracker and us: what we have seen reopens no window in time.
#[test]
fn a_tracker_at_the_far_end_of_a_long_line_stays_open_for_who_only_sends_or_only_receives() {
    let up = Setting {
        direction: Direction::Up,
        rate: 1000,
        far: 100,
        ..setting(Middlebox::Tracker, None, Manner::Adaptive, Manner::Cisco)
    };
    assert!(run(&up).up > 99.0, "{:?}", run(&up));
    assert!(run(&Setting { headend: Manner::Stateless, ..up }).up < 10.0, "or this proves nothing");
    let down = Setting { direction: Direction::Down, ..up };
    assert!(run(&down).down > 98.0, "{:?}", run(&down));
    for leg in LEGS {
        for direction in [Direction::Up, Direction::Down] {
            for client in [Manner::Cisco, Manner::Adaptive] {
                let lossy = Setting { loss: Some((leg, 5)), direction, client, ..up };
                let outcome = run(&lossy);
                assert!(outcome.up > 98.0 && outcome.down > 98.0, "{lossy:?}: {outcome:?}");
            }
        }
    }
}

/// Nothing but acknowledgments comes back, and those of a Cisco client every five seconds.
#[test]
fn a_box_that_waits_holds_up_nobody_who_only_sends_or_only_receives() {
    let middlebox = Middlebox::InOrder { queue: 3 };
    for direction in [Direction::Up, Direction::Down] {
        for (loss, least) in [(5, 99.0), (20, 96.0)] {
            for leg in LEGS {
                let lossy = setting(middlebox, Some((leg, loss)), Manner::Adaptive, Manner::Adaptive);
                let outcome = run(&Setting { direction, rate: 300, ..lossy });
                assert!(outcome.up >= least && outcome.down >= least, "{direction:?} {loss} {leg:?}: {outcome:?}");
                if leg == Leg::ClientToBox && direction == Direction::Up {
                    continue;
                }
                let outcome = run(&Setting { direction, rate: 300, client: Manner::Cisco, ..lossy });
                let least = 99.0 - f64::from(loss) / 10.0;
                assert!(
                    outcome.up >= least && outcome.down >= least,
                    "Cisco {direction:?} {loss} {leg:?}: {outcome:?}"
                );
            }
        }
    }
}

#[test]
fn two_ends_of_ours_lose_next_to_nothing_behind_any_of_them() {
    for middlebox in [Middlebox::Router, Middlebox::Tracker, Middlebox::InOrder { queue: 3 }] {
        for leg in LEGS {
            for (loss, least) in [(5, 99.5), (20, 99.0)] {
                assert_alive(&setting(middlebox, Some((leg, loss)), Manner::Adaptive, Manner::Adaptive), least);
            }
        }
    }
}
