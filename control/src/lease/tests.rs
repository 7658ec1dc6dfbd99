//! Leases.

use super::*;
use crate::ike::wire::{Id, IdKind};
use adit_dataplane::time::Instant;
use bolero::{TypeGenerator, check};
use std::time::Duration;

fn pool(name: &str, v4: Option<&str>, v6: Option<&str>) -> Pool {
    Pool {
        name: name.to_owned(),
        v4: v4.map(|net| net.parse().unwrap()),
        v6: v6.map(|net| net.parse().unwrap()),
        dns: Vec::new(),
        netbios_name_servers: Vec::new(),
    }
}

fn who(name: &str) -> Claimant {
    Claimant::Identity(Id { kind: IdKind::Fqdn, bytes: name.as_bytes().to_vec() })
}

/// Of one worker's leases.
fn leases(pools: &[Pool]) -> Leases {
    Leases::new(pools, &BTreeSet::new(), InnerLayout::new(1))
}

fn lanes(workers: usize, first: &str) -> Lanes {
    Lanes { layout: InnerLayout::new(workers), first: first.parse().unwrap() }
}

const W0: WorkerId = WorkerId(0);
const V4: Want = Want { v4: Ask::Any, v6: Ask::Nothing };
const V6: Want = Want { v4: Ask::Nothing, v6: Ask::Any };
const BOTH: Want = Want { v4: Ask::Any, v6: Ask::Any };

fn rather(address: &str) -> Want {
    Want { v4: Ask::Rather(address.parse().unwrap()), v6: Ask::Nothing }
}

fn v4(lease: Result<Lease, PoolEmpty>) -> String {
    lease.unwrap().v4.unwrap().address.to_string()
}

#[test]
fn neither_network_nor_headend_nor_broadcast_is_given() {
    let mut leases = leases(&[pool("small", Some("10.30.0.0/29"), None)]);
    let given: Vec<_> = (0..5).map(|n| v4(leases.take(&[0], SessionId(n), &who(&n.to_string()), V4, W0))).collect();
    assert_eq!(given, ["10.30.0.2", "10.30.0.3", "10.30.0.4", "10.30.0.5", "10.30.0.6"]);
    for refused in ["10.30.0.0", "10.30.0.1", "10.30.0.7", "10.30.0.8", "10.29.255.255"] {
        let empty = leases.take(&[0], SessionId(9), &who("x"), rather(refused), W0).unwrap_err();
        assert_eq!(empty.to_string(), "no free address: pool small 10.30.0.0/29 (5 in use)");
    }
}

#[test]
fn the_smallest_ranges_give_what_they_have() {
    for (net, headend, given) in [
        ("10.0.0.0/30", Some("10.0.0.1"), 1),
        ("10.0.0.0/31", None, 0),
        ("10.0.0.0/32", None, 0),
        ("fd30::/126", Some("fd30::1"), 2),
        ("fd30::/127", None, 0),
        ("fd30::/128", None, 0),
    ] {
        let net: IpNet = net.parse().unwrap();
        assert_eq!(headend_address(net), headend.map(|text| text.parse().unwrap()), "{net}");
        let (text, family) = (net.to_string(), net.addr().is_ipv4());
        let mut leases = leases(&[pool("p", family.then_some(text.as_str()), (!family).then_some(text.as_str()))]);
        let mut count = 0;
        while leases.take(&[0], SessionId(count), &who("a"), if family { V4 } else { V6 }, W0).is_ok() {
            count += 1;
        }
        assert_eq!(count, given, "{net}");
    }
}

#[test]
fn the_largest_ranges_cost_nothing() {
    for net in ["0.0.0.0/0", "10.0.0.0/8"] {
        let mut leases = leases(&[pool("big", Some(net), None)]);
        assert!(leases.take(&[0], SessionId(1), &who("a"), V4, W0).is_ok());
    }
    for net in ["::/0", "fd30::/64", "fd30::/63", "fd30::/65"] {
        let mut leases = leases(&[pool("big", None, Some(net))]);
        let lease = leases.take(&[0], SessionId(1), &who("a"), V6, W0).unwrap();
        assert_eq!(lease.v6.unwrap().address.segments()[7], 2);
    }
    let mut leases = leases(&[pool("big", None, Some("fd30::/64"))]);
    let last = "fd30::ffff:ffff:ffff:fffe".parse().unwrap();
    let want = Want { v4: Ask::Nothing, v6: Ask::Rather(last) };
    assert_eq!(leases.take(&[0], SessionId(1), &who("a"), want, W0).unwrap().v6.unwrap().address, last);
}

#[test]
fn the_address_asked_for_is_given_if_it_is_free_and_another_if_not() {
    let mut leases = leases(&[pool("p", Some("10.30.0.0/24"), None)]);
    assert_eq!(v4(leases.take(&[0], SessionId(1), &who("a"), rather("10.30.0.77"), W0)), "10.30.0.77");
    assert_eq!(v4(leases.take(&[0], SessionId(2), &who("b"), rather("10.30.0.77"), W0)), "10.30.0.2");
    assert_eq!(v4(leases.take(&[0], SessionId(3), &who("c"), rather("192.0.2.1"), W0)), "10.30.0.3");
}

#[test]
fn an_identity_gets_its_address_back_while_nobody_needed_it() {
    let mut leases = leases(&[pool("p", Some("10.30.0.0/29"), None)]);
    let alice = leases.take(&[0], SessionId(1), &who("alice"), V4, W0).unwrap();
    let bob = leases.take(&[0], SessionId(2), &who("bob"), V4, W0).unwrap();
    leases.give_back(SessionId(1), alice);
    assert_eq!(
        v4(leases.take(&[0], SessionId(3), &who("carol"), V4, W0)),
        "10.30.0.4",
        "not alice's: others are fresh"
    );
    leases.give_back(SessionId(2), bob);
    let again = leases.take(&[0], SessionId(4), &who("alice"), V4, W0).unwrap();
    assert_eq!(again, alice);
    // Two more fresh ones, then bob's, which is the only one free.
    for name in ["dave", "erin"] {
        let _held = leases.take(&[0], SessionId(5), &who(name), V4, W0).unwrap();
    }
    assert_eq!(v4(leases.take(&[0], SessionId(6), &who("frank"), V4, W0)), "10.30.0.3");
    assert!(leases.take(&[0], SessionId(7), &who("bob"), V4, W0).is_err());
}

#[test]
fn what_was_given_back_first_is_given_again_first() {
    let mut leases = leases(&[pool("p", Some("10.30.0.0/29"), None)]);
    let held: Vec<_> =
        (0..5).map(|n| leases.take(&[0], SessionId(n), &who(&format!("old{n}")), V4, W0).unwrap()).collect();
    for n in [3, 0, 4] {
        leases.give_back(SessionId(n), held[n as usize]);
    }
    let again: Vec<_> =
        (10..13).map(|n| v4(leases.take(&[0], SessionId(n), &who(&format!("new{n}")), V4, W0))).collect();
    assert_eq!(again, ["10.30.0.5", "10.30.0.2", "10.30.0.6"]);
}

#[test]
fn only_the_owner_gives_back_and_only_once() {
    let mut leases = leases(&[pool("p", Some("10.30.0.0/30"), None)]);
    let lease = leases.take(&[0], SessionId(1), &who("a"), V4, W0).unwrap();
    leases.give_back(SessionId(2), lease);
    assert_eq!(leases.in_use(), 1);
    leases.give_back(SessionId(1), lease);
    leases.give_back(SessionId(1), lease);
    assert_eq!(leases.in_use(), 0);
    let again = leases.take(&[0], SessionId(3), &who("b"), V4, W0).unwrap();
    leases.give_back(SessionId(1), again);
    assert_eq!(leases.in_use(), 1, "a's session gave back an address that is b's now");
    leases.give_back(SessionId(3), Lease { v4: Some(Leased { pool: 9, ..again.v4.unwrap() }), v6: None });
    assert_eq!(leases.in_use(), 1, "there is no pool 9");
}

#[test]
fn the_first_pool_with_a_free_address_serves_each_family_for_itself() {
    let pools = [
        pool("one", Some("10.1.0.0/30"), None),
        pool("two", Some("10.2.0.0/24"), Some("fd30::/64")),
        pool("other", Some("10.3.0.0/24"), None),
    ];
    let mut leases = leases(&pools);
    let first = leases.take(&[0, 1], SessionId(1), &who("a"), BOTH, W0).unwrap();
    assert_eq!((first.v4.unwrap().pool, first.v6.unwrap().pool), (0, 1));
    let second = leases.take(&[0, 1], SessionId(2), &who("b"), BOTH, W0).unwrap();
    assert_eq!((second.v4.unwrap().pool, second.v6.unwrap().pool), (1, 1));
    // What a had is in a pool that comes later, and it gets that one back all the same.
    leases.give_back(SessionId(1), first);
    leases.give_back(SessionId(2), second);
    assert_eq!(leases.take(&[0, 1], SessionId(3), &who("b"), BOTH, W0).unwrap(), second);
    // A pool that is not named gives nothing, asked for or not.
    assert_eq!(v4(leases.take(&[0, 1], SessionId(4), &who("c"), rather("10.3.0.9"), W0)), "10.1.0.2");
}

#[test]
fn an_address_lies_on_the_worker_that_it_is_taken_for_and_both_families_agree() {
    let mut leases =
        Leases::new(&[pool("p", Some("10.30.0.0/28"), Some("fd30::/64"))], &BTreeSet::new(), InnerLayout::new(3));
    // 10.30.0.2 lies on worker 0, as in `InnerLayout`'s own tests, and fd30::2 on worker 2.
    let lay_on = |leases: &mut Leases, n: u32, worker| {
        let lease = leases.take(&[0], SessionId(n), &who(&n.to_string()), BOTH, WorkerId(worker)).unwrap();
        let owners = [lease.v4.unwrap().address.into(), lease.v6.unwrap().address.into()];
        (owners.map(|address| leases.layout.owner(address).0), leases.worker(&lease).unwrap().0)
    };
    for n in 0..12 {
        let worker = [2, 0, 1][n as usize % 3];
        assert_eq!(lay_on(&mut leases, n, worker), ([worker; 2], worker));
    }
    // Of 13 IPv4 addresses one is left, on whichever worker: the session goes there, and its IPv6 address with it.
    assert_eq!(lay_on(&mut leases, 12, 2), ([0; 2], 0));
}

#[test]
fn an_address_asked_for_or_had_before_decides_where_the_session_lives() {
    let mut leases =
        Leases::new(&[pool("p", Some("10.30.0.0/24"), Some("fd30::/64"))], &BTreeSet::new(), InnerLayout::new(2));
    let lease = leases.take(&[0], SessionId(1), &who("a"), rather("10.30.0.77"), W0).unwrap();
    assert_eq!(leases.worker(&lease), Some(WorkerId(1)));
    leases.give_back(SessionId(1), lease);
    let again = leases.take(&[0], SessionId(2), &who("a"), BOTH, W0).unwrap();
    assert_eq!((again.v4, again.v6.unwrap().address), (lease.v4, "fd30::3".parse().unwrap()));
    assert_eq!(leases.worker(&Lease { v4: None, ..again }), Some(WorkerId(1)), "IPv6 alone decides too");
    assert_eq!(leases.worker(&Lease::default()), None);
}

#[test]
fn one_family_is_better_than_none_and_nothing_asked_is_nothing_given() {
    let mut leases = leases(&[pool("p", None, Some("fd30::/126"))]);
    let lease = leases.take(&[0], SessionId(1), &who("a"), BOTH, W0).unwrap();
    assert!(lease.v4.is_none() && lease.v6.is_some());
    let empty = leases.take(&[0], SessionId(2), &who("b"), V4, W0).unwrap_err();
    assert_eq!(empty.to_string(), "no free address: no pool has the kind asked for");
    assert_eq!(leases.take(&[0], SessionId(3), &who("c"), Want::default(), W0), Ok(Lease::default()));
    assert!(leases.take(&[7], SessionId(3), &who("c"), BOTH, W0).is_err(), "there is no pool 7");
}

#[test]
fn a_client_that_asks_for_another_address_every_time_fills_no_memory() {
    let identity = who("a");
    let mut range = Range::new(2..=u64::MAX - 1, BTreeSet::new(), lanes(1, "fd30::"));
    let last = range::MAX_REMEMBERED as u64 + 1000;
    for login in 0..last {
        let offset = range.take_this(1 << 40 | login, SessionId(1), &identity).unwrap();
        range.give_back(offset, SessionId(1));
    }
    assert_eq!(range.remembered(), range::MAX_REMEMBERED);
    for login in 0..last {
        let offset = range.take_any(W0, SessionId(1), &who(&login.to_string())).unwrap();
        range.give_back(offset, SessionId(1));
    }
    assert!(range.remembered() <= range::MAX_REMEMBERED + 1);
}

#[test]
fn what_is_held_is_its_owners_until_its_time_is_over() {
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let mut leases = leases(&[pool("small", Some("10.30.0.0/29"), Some("fd30::/64"))]);
    let alice = leases.take(&[0], SessionId(1), &who("alice"), BOTH, W0).unwrap();
    leases.hold(SessionId(1), who("alice"), alice, at(300));
    assert_eq!(leases.in_use(), 0, "nobody uses it");
    leases.release(at(299));
    // Not even who asks for it.
    assert_eq!(v4(leases.take(&[0], SessionId(2), &who("bob"), rather("10.30.0.2"), W0)), "10.30.0.3");
    assert_eq!(leases.take(&[0], SessionId(3), &who("alice"), BOTH, W0).unwrap(), alice);
    assert_eq!(leases.in_use(), 3);
    leases.hold(SessionId(3), who("alice"), alice, at(300));
    leases.release(at(300));
    assert_eq!(v4(leases.take(&[0], SessionId(4), &who("carol"), rather("10.30.0.2"), W0)), "10.30.0.2");
}

#[test]
fn what_is_held_is_given_before_somebody_gets_nothing_the_oldest_first() {
    let mut leases = leases(&[pool("small", Some("10.30.0.0/29"), None)]);
    for (number, name) in (0..).zip(["a", "b", "c", "d", "e"]) {
        let lease = leases.take(&[0], SessionId(number), &who(name), V4, W0).unwrap();
        if number < 2 {
            leases.hold(SessionId(number), who(name), lease, Instant::from_nanos(u64::MAX));
        }
    }
    let taken: Vec<_> = (5..7).map(|n| v4(leases.take(&[0], SessionId(n), &who("new"), V4, W0))).collect();
    assert_eq!(taken, ["10.30.0.2", "10.30.0.3"]);
    assert!(leases.take(&[0], SessionId(7), &who("late"), V4, W0).is_err());
    assert_eq!(leases.in_use(), 5);
}

#[test]
fn what_is_held_yields_only_to_whom_it_serves() {
    let never = Instant::from_nanos(u64::MAX);
    let pools = [pool("full", Some("10.1.0.0/30"), None), pool("other", Some("10.2.0.0/24"), Some("fd30::/64"))];
    let mut leases = leases(&pools);
    let _ = leases.take(&[0], SessionId(1), &who("a"), V4, W0).unwrap();
    let held = leases.take(&[1], SessionId(2), &who("b"), BOTH, W0).unwrap();
    leases.hold(SessionId(2), who("b"), held, never);
    assert!(leases.take(&[0], SessionId(3), &who("c"), V4, W0).is_err(), "it is of another pool");
    assert!(leases.take(&[0], SessionId(3), &who("c"), V6, W0).is_err(), "this pool has no IPv6");
    assert_eq!(leases.held.addresses(), 2);
    // Pools have other places now, and what is held there still yields.
    leases.move_to(
        &[pool("other", Some("10.2.0.0/30"), Some("fd30::/64")), pool("full", Some("10.1.0.0/30"), None)],
        &BTreeSet::new(),
    );
    assert!(leases.take(&[1], SessionId(3), &who("c"), V4, W0).is_err());
    assert_eq!(v4(leases.take(&[0], SessionId(3), &who("c"), V4, W0)), "10.2.0.2");
    assert_eq!(leases.held.addresses(), 0);
}

#[test]
fn who_has_an_address_of_one_family_does_not_go_without_the_other_for_what_is_held() {
    let mut leases = leases(&[pool("p", Some("10.30.0.0/30"), Some("fd30::/64"))]);
    let alice = leases.take(&[0], SessionId(1), &who("alice"), BOTH, W0).unwrap();
    leases.hold(SessionId(1), who("alice"), alice, Instant::from_nanos(u64::MAX));
    let bob = leases.take(&[0], SessionId(2), &who("bob"), BOTH, W0).unwrap();
    assert_eq!(bob.v4, alice.v4);
    assert!(bob.v6.is_some());
    let carol = leases.take(&[0], SessionId(3), &who("carol"), BOTH, W0).unwrap();
    assert!(carol.v4.is_none() && carol.v6.is_some(), "bob has it, and is here");
}

fn own(leases: &mut Leases, session: u32, name: &str, address: &str) -> String {
    v4(leases.take_own(&[0], SessionId(session), &who(name), address.parse().unwrap(), W0))
}

#[test]
fn an_address_of_somebody_s_own_is_given_to_nobody_else() {
    let reserved: BTreeSet<Ipv4Addr> = ["10.30.0.3".parse().unwrap(), "10.30.0.5".parse().unwrap()].into();
    let pools = [pool("p", Some("10.30.0.0/29"), None), pool("other", Some("10.31.0.0/29"), None)];
    let mut leases = Leases::new(&pools, &reserved, InnerLayout::new(1));
    // Whatever is asked for, and whoever had it once.
    assert_eq!(v4(leases.take(&[0], SessionId(1), &who("bob"), rather("10.30.0.3"), W0)), "10.30.0.2");
    assert_eq!(v4(leases.take(&[0], SessionId(2), &who("carol"), V4, W0)), "10.30.0.4");
    let dave = leases.take(&[0], SessionId(3), &who("dave"), V4, W0).unwrap();
    let full = leases.take(&[0], SessionId(4), &who("eve"), V4, W0).unwrap_err();
    assert_eq!(full.to_string(), "no free address: pool p 10.30.0.0/29 (3 in use, 2 reserved)");
    assert_eq!((leases.fills()[0].in_use, leases.fills()[0].of), (3, 3));
    for login in 10..13 {
        assert_eq!(own(&mut leases, login, "alice", "10.30.0.3"), "10.30.0.3");
        assert!(leases.take(&[0], SessionId(5), &who("eve"), rather("10.30.0.3"), W0).is_err());
        let address = Leased { address: "10.30.0.3".parse().unwrap(), pool: 0 };
        leases.give_back(SessionId(login), Lease { v4: Some(address), v6: None });
        assert!(
            leases.take(&[0], SessionId(5), &who("alice"), V4, W0).is_err(),
            "alice by another connection is not asked"
        );
    }
    // Who is there twice gets another, and so does who comes where the pool is not used.
    leases.give_back(SessionId(3), dave);
    assert_eq!(own(&mut leases, 20, "alice", "10.30.0.3"), "10.30.0.3");
    assert_eq!(own(&mut leases, 21, "alice", "10.30.0.3"), "10.30.0.6");
    let elsewhere = leases.take_own(&[1], SessionId(22), &who("alice"), "10.30.0.5".parse().unwrap(), W0);
    assert_eq!(v4(elsewhere), "10.31.0.2");
}

#[test]
fn somebody_s_own_address_makes_a_pool_neither_fuller_nor_larger() {
    let reserved: BTreeSet<Ipv4Addr> = ["10.30.0.3".parse().unwrap(), "10.30.0.5".parse().unwrap()].into();
    let mut leases = Leases::new(&[pool("p", Some("10.30.0.0/29"), None)], &reserved, InnerLayout::new(1));
    let fill = |leases: &Leases| (leases.fills()[0].in_use, leases.fills()[0].of);
    assert_eq!(fill(&leases), (0, 3));
    let alice = leases.take_own(&[0], SessionId(1), &who("alice"), "10.30.0.3".parse().unwrap(), W0).unwrap();
    assert_eq!(fill(&leases), (0, 3));
    for (session, name) in [(2, "bob"), (3, "carol"), (4, "dave")] {
        let _has = leases.take(&[0], SessionId(session), &who(name), V4, W0).unwrap();
    }
    assert!(leases.take(&[0], SessionId(5), &who("eve"), V4, W0).is_err());
    assert_eq!(fill(&leases), (3, 3));
    leases.hold(SessionId(1), who("alice"), alice, Instant::from_nanos(u64::MAX));
    assert!(
        leases.take(&[0], SessionId(5), &who("eve"), V4, W0).is_err(),
        "what is held for alice is hers all the same"
    );
    assert_eq!(fill(&leases), (3, 3));
}

#[test]
fn the_view_of_a_pool_tells_what_is_somebody_s_own_and_how_much_of_that_is_in_use() {
    let reserved: BTreeSet<Ipv4Addr> = ["10.30.0.3".parse().unwrap(), "10.30.0.5".parse().unwrap()].into();
    let mut leases = Leases::new(&[pool("p", Some("10.30.0.0/29"), Some("fd30::/64"))], &reserved, InnerLayout::new(1));
    let view = |leases: &Leases| {
        let RangeView { size, in_use, held, reserved, reserved_in_use, .. } = leases.pools()[0].ranges[0];
        assert_eq!((leases.pools()[0].ranges[1].reserved, leases.pools()[0].ranges[1].reserved_in_use), (0, 0));
        (size, in_use, held, reserved, reserved_in_use)
    };
    assert_eq!(view(&leases), (5, 0, 0, 2, 0));
    let alice = leases.take_own(&[0], SessionId(1), &who("alice"), "10.30.0.3".parse().unwrap(), W0).unwrap();
    let _has = leases.take(&[0], SessionId(2), &who("bob"), V4, W0).unwrap();
    assert_eq!(view(&leases), (5, 2, 0, 2, 1));
    assert_eq!(leases.pools()[0].ranges[0].unreserved(), (1, 3));
    leases.hold(SessionId(1), who("alice"), alice, Instant::from_nanos(u64::MAX));
    assert_eq!(view(&leases), (5, 1, 0, 2, 0), "nobody else gets what is held for alice, full as the pool may be");
}

#[test]
fn an_address_that_becomes_somebody_s_own_waits_for_nobody_else() {
    let mut leases = leases(&[pool("p", Some("10.30.0.0/29"), None)]);
    let [bob, carol, dave] = [(1, "bob"), (2, "carol"), (3, "dave")]
        .map(|(session, name)| leases.take(&[0], SessionId(session), &who(name), V4, W0).unwrap());
    leases.hold(SessionId(1), who("bob"), bob, Instant::from_nanos(u64::MAX));
    leases.give_back(SessionId(3), dave);
    let reserved = ["10.30.0.2", "10.30.0.3", "10.30.0.4"].map(|own| own.parse().unwrap()).into();
    leases.move_to(&[pool("p", Some("10.30.0.0/29"), None)], &reserved);
    assert_eq!(v4(leases.take(&[0], SessionId(4), &who("dave"), V4, W0)), "10.30.0.5", "he had another's");
    assert_eq!(own(&mut leases, 5, "alice", "10.30.0.2"), "10.30.0.2", "held for bob until now");
    assert_eq!(own(&mut leases, 6, "erin", "10.30.0.3"), "10.30.0.6", "carol is here");
    leases.give_back(SessionId(2), carol);
    assert_eq!(own(&mut leases, 7, "erin", "10.30.0.3"), "10.30.0.3");
    assert_eq!(leases.held.addresses(), 0);
}

#[test]
fn no_more_is_held_than_allowed() {
    let mut leases = leases(&[pool("large", None, Some("fd30::/64"))]);
    for number in 0..held::MOST_HELD as u32 + 10 {
        let lease = leases.take(&[0], SessionId(number), &who(&number.to_string()), V6, W0).unwrap();
        leases.hold(SessionId(number), who(&number.to_string()), lease, Instant::from_nanos(u64::MAX));
        assert_eq!(leases.in_use(), 0);
    }
    assert_eq!(leases.held.addresses(), held::MOST_HELD);
}

#[derive(Debug, TypeGenerator)]
enum Step {
    Any { identity: u8, worker: u8 },
    This { identity: u8, offset: u8 },
    Remembered { identity: u8 },
    GiveBack { offset: u8, session: u8 },
}

/// The dull twin: a list of who has what and a list of what was given back, in order; offsets lie on workers in turn.
#[test]
fn a_range_behaves_like_two_lists() {
    const OFFSETS: std::ops::RangeInclusive<u64> = 2..=9;
    check!().with_type::<(u8, Vec<Step>)>().for_each(|(workers, steps)| {
        let workers = u64::from(workers % 3) + 1;
        let mut range = Range::new(OFFSETS, BTreeSet::new(), lanes(workers as usize, "0.0.0.0"));
        let mut used: Vec<(u64, SessionId, Claimant)> = Vec::new();
        let mut freed: Vec<(u64, Claimant)> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let session = SessionId(number as u32 % 4);
            let identity = |number: &u8| who(&(number % 4).to_string());
            let is_free = |used: &[(u64, SessionId, Claimant)], offset| used.iter().all(|(taken, ..)| *taken != offset);
            let (got, expected, identity) = match step {
                Step::Any { identity: one, worker } => {
                    let worker = u64::from(*worker) % workers;
                    let on = |lane| {
                        let fresh = OFFSETS.clone().find(|offset| {
                            offset % workers == lane
                                && is_free(&used, *offset)
                                && freed.iter().all(|(given_back, _)| given_back != offset)
                        });
                        let oldest = freed.iter().map(|(offset, _)| *offset).find(|offset| offset % workers == lane);
                        fresh.or(oldest)
                    };
                    let expected = (0..workers).find_map(|step| on((worker + step) % workers));
                    let got = range.take_any(WorkerId(worker as u8), session, &identity(one));
                    (got, expected, identity(one))
                }
                Step::This { identity: one, offset } => {
                    let offset = u64::from(offset % 12);
                    let expected = (OFFSETS.contains(&offset) && is_free(&used, offset)).then_some(offset);
                    (range.take_this(offset, session, &identity(one)), expected, identity(one))
                }
                Step::Remembered { identity: one } => {
                    let last = freed.iter().rev().find(|(_, had)| *had == identity(one));
                    // Only what it gave back last counts, and that is gone once somebody took it.
                    let expected = last.map(|(offset, _)| *offset);
                    let got = range.take_remembered(session, &identity(one));
                    if got.is_none() {
                        continue;
                    }
                    (got, expected, identity(one))
                }
                Step::GiveBack { offset, session } => {
                    let (offset, session) = (u64::from(offset % 12), SessionId(u32::from(session % 4)));
                    range.give_back(offset, session);
                    if let Some(at) = used.iter().position(|(taken, by, _)| (*taken, *by) == (offset, session)) {
                        let (offset, _, identity) = used.remove(at);
                        freed.push((offset, identity));
                    }
                    continue;
                }
            };
            assert_eq!(got, expected, "step {number} of {steps:?}");
            if let Some(offset) = got {
                freed.retain(|(given_back, _)| *given_back != offset);
                used.push((offset, session, identity));
            }
            assert_eq!(range.in_use(), used.len());
            assert_eq!(range.remembered(), used.len() + freed.len());
        }
    });
}

/// What was told since the last time.
fn news(leases: &mut Leases) -> Vec<String> {
    let shown = |news: News| match news.whose {
        None => format!("{} free", news.address),
        Some(Whose { identity, standing: Standing::Here }) => format!("{} {identity}", news.address),
        Some(Whose { identity, standing: Standing::Held(until) }) => {
            format!("{} {identity} until {}", news.address, until.since(Instant::ZERO).as_secs())
        }
    };
    std::iter::from_fn(|| leases.poll_news()).map(shown).collect()
}

#[test]
fn what_becomes_of_addresses_is_told_in_order() {
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let mut leases = leases(&[pool("small", Some("10.30.0.0/29"), Some("fd30::/64"))]);
    let before = leases.take(&[0], SessionId(1), &who("early"), V4, W0).unwrap();
    leases.keep_news();
    leases.give_back(SessionId(1), before);
    assert_eq!(news(&mut leases), ["10.30.0.2 free"]);
    let alice = leases.take(&[0], SessionId(2), &who("alice"), BOTH, W0).unwrap();
    assert_eq!(news(&mut leases), ["10.30.0.3 alice", "fd30::2 alice"]);
    leases.hold(SessionId(2), who("alice"), alice, at(300));
    let held = ["10.30.0.3 alice until 300", "fd30::2 alice until 300"];
    assert_eq!(news(&mut leases), held);
    leases.tell_held();
    assert_eq!(news(&mut leases), held, "once more, for a clock that was set");
    let again = leases.take(&[0], SessionId(3), &who("alice"), V4, W0).unwrap();
    assert_eq!(news(&mut leases), ["10.30.0.3 free", "fd30::2 free", "10.30.0.3 alice"]);
    leases.give_back(SessionId(2), alice);
    assert_eq!(news(&mut leases), Vec::<String>::new(), "it is not that session's any more");
    // The pools move, and the news go on.
    leases.move_to(&[pool("small", Some("10.30.0.0/28"), None)], &BTreeSet::new());
    leases.give_back(SessionId(3), again);
    assert_eq!(news(&mut leases), ["10.30.0.3 free"]);
}

#[test]
fn what_another_run_has_kept_is_held_remembered_or_nobodys() {
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let mut leases = leases(&[pool("small", Some("10.30.0.0/29"), Some("fd30::/64"))]);
    leases.keep_news();
    let now = at(100);
    assert_eq!(leases.restore(now, ip("10.30.0.4"), &who("alice"), at(300)), Ok(()));
    assert_eq!(leases.restore(now, ip("fd30::9"), &who("alice"), at(300)), Ok(()));
    assert_eq!(leases.restore(now, ip("10.30.0.5"), &who("over"), at(100)), Ok(()));
    assert_eq!(leases.restore(now, ip("10.30.0.4"), &who("bob"), at(300)), Err(NotHeld::Taken));
    for outside in ["10.30.0.1", "10.30.0.7", "10.31.0.4", "fd31::9", "fd30::1"] {
        assert_eq!(leases.restore(now, ip(outside), &who("bob"), at(300)), Err(NotHeld::NoPool), "{outside}");
    }
    assert_eq!(news(&mut leases), ["10.30.0.4 alice until 300", "fd30::9 alice until 300", "10.30.0.5 free"]);
    assert_eq!((leases.in_use(), leases.pools()[0].ranges[0].held), (0, 1));
    assert_eq!(v4(leases.take(&[0], SessionId(1), &who("bob"), rather("10.30.0.4"), W0)), "10.30.0.2");
    assert_eq!(v4(leases.take(&[0], SessionId(2), &who("over"), V4, W0)), "10.30.0.5");
    let alice = leases.take(&[0], SessionId(3), &who("alice"), BOTH, W0).unwrap();
    assert_eq!((alice.v4.unwrap().address.to_string(), alice.v6.unwrap().address.to_string()).0, "10.30.0.4");
    assert_eq!(alice.v6.unwrap().address.to_string(), "fd30::9");
    // Nobody came for it.
    leases.restore(now, ip("10.30.0.6"), &who("late"), at(300)).unwrap();
    leases.release(at(300));
    assert_eq!(leases.in_use(), 4);
}
