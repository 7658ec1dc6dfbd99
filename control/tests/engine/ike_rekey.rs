//! Rekeying by either end, and all collisions (RFC 7296 sections 2.8, 2.8.1, 2.8.2 and 2.25): two real engines facing
//! each other, with traffic, and with each message lost in turn.
#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::peer;

use adit_control::config::checked::{Config, EspProposal, IkeProposal};
use adit_control::ike::engine::{Engine, NoRoom};
use adit_control::ike::narrow::selector_of_net;
use adit_control::session::SessionId;
use adit_dataplane::contract::{Direction, Event, Reached, Selectors, Spi};
use adit_dataplane::time::Instant;
use peer::config;
use peer::line::*;
use std::collections::BTreeSet;
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Logged in; the log and the ladder begin anew.
fn up(config: &Config, seed: u64) -> Line {
    let mut line = Line::seeded(caller_config(config), config.clone(), seed);
    line.login(call("alice@rig"));
    line.pass_with_traffic(seconds(0) + Duration::from_millis(50));
    line.ladder.clear();
    line
}

/// The one session of an end.
fn session(line: &Line, end: usize) -> SessionId {
    let view = &line.ends[end].engine.sessions(line.now)[0];
    SessionId(view.id[1..].parse().unwrap())
}

/// The child SA that an end receives on first.
fn child(line: &Line, end: usize) -> Spi {
    *line.ends[end].dataplane.tunnel().1.inbound.keys().next().unwrap()
}

/// One more child SA, as an end would ask for it.
fn one_more(end: usize) -> Selectors {
    let net = |text: &str| selector_of_net(text.parse().unwrap());
    let (hosts, behind) = (vec![net("0.0.0.0/0")], vec![net("10.20.0.0/28")]);
    match end {
        CALLER => Selectors { local: hosts, remote: behind },
        _headend => Selectors { local: behind, remote: hosts },
    }
}

/// What an end may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    RekeyChild,
    RekeyIke,
    DeleteChild,
    DeleteIke,
    AddChild,
}

impl Act {
    const ALL: [Self; 5] = [Self::RekeyChild, Self::RekeyIke, Self::DeleteChild, Self::DeleteIke, Self::AddChild];

    fn begin(self, line: &mut Line, end: usize) {
        let (id, spi) = (session(line, end), child(line, end));
        line.at(end, |engine: &mut Engine, now: Instant| match self {
            Self::RekeyChild => engine.rekey_children(now, id),
            Self::RekeyIke => engine.rekey_ike(now, id),
            Self::DeleteChild => engine.delete_child(now, id, spi),
            Self::DeleteIke => engine.disconnect(now, id),
            Self::AddChild => engine.add_child(now, id, one_more(end)).unwrap(),
        });
    }
}

fn count(line: &Line, what: &str) -> usize {
    line.ladder.iter().filter(|step| step.contains(what)).count()
}

// we       --> HDR, SK {N(REKEY_SA), SA, Ni, [KEi,] TSi, TSr}
// the peer <-- HDR, SK {SA, Nr, [KEr,] TSi, TSr}
// we       --> HDR, SK {D(old)}
// the peer <-- HDR, SK {D(old)}
#[test]
fn either_end_rekeys_the_child_and_traffic_never_meets_an_unknown_spi() {
    for (begins, group) in [(CALLER, ""), (HEADEND, ""), (CALLER, "-x25519"), (HEADEND, "-x25519")] {
        let mut config = config();
        config.connections[0].esp_proposals = vec![EspProposal::parse(&format!("aes128gcm16{group}")).unwrap()];
        let mut line = up(&config, 0);
        let before = child(&line, HEADEND);
        for round in 1..=5 {
            Act::RekeyChild.begin(&mut line, begins);
            line.pass_with_traffic(seconds(1));
            assert_eq!((count(&line, "CREATE_CHILD_SA"), count(&line, "INFORMATIONAL")), (2 * round, 2 * round));
        }
        line.pass_with_traffic(seconds(6));
        line.assert_mirrored(1);
        assert_ne!(child(&line, HEADEND), before);
        let id = session(&line, CALLER);
        line.logout(id);
    }
}

// we       --> HDR, SK {SA, Ni, KEi}
// the peer <-- HDR, SK {SA, Nr, KEr}
// we       --> HDR, SK {D()}        on the old IKE SA
// the peer <-- HDR, SK {}
#[test]
fn either_end_rekeys_the_ike_sa_and_its_children_stay() {
    for begins in [CALLER, HEADEND] {
        let mut line = up(&config(), 0);
        let spi = child(&line, HEADEND);
        let mut spis = BTreeSet::new();
        for round in 1..=5 {
            Act::RekeyIke.begin(&mut line, begins);
            line.pass_with_traffic(seconds(1));
            assert_eq!((count(&line, "CREATE_CHILD_SA"), count(&line, "INFORMATIONAL")), (2 * round, 2 * round));
            line.assert_mirrored(1);
            spis.insert(line.ends[CALLER].engine.sessions(line.now)[0].ike_spis.clone());
        }
        assert_eq!((spis.len(), child(&line, HEADEND)), (5, spi));
        // Whoever is its original initiator now, both ends go on to use it.
        for end in [CALLER, HEADEND] {
            Act::RekeyChild.begin(&mut line, end);
            line.pass_with_traffic(seconds(7));
            line.assert_mirrored(1);
            Act::RekeyIke.begin(&mut line, end);
            line.pass_with_traffic(seconds(1));
            line.assert_mirrored(1);
        }
        let id = session(&line, HEADEND);
        line.at(HEADEND, |engine, now| engine.disconnect(now, id));
        line.pass(seconds(1));
        line.assert_nothing_left();
    }
}

/// As many as one TS payload can count (RFC 7296 section 3.13).
#[test]
fn a_child_for_as_many_networks_as_there_may_be_is_rekeyed_by_either_end() {
    let mut config = config();
    config.connections[0].networks = (0..255_u8).map(|n| format!("10.20.{n}.0/25").parse().unwrap()).collect();
    let mut line = up(&config, 0);
    for begins in [CALLER, HEADEND] {
        Act::RekeyChild.begin(&mut line, begins);
        line.pass_with_traffic(seconds(7));
        line.assert_mirrored(1);
        let local = &line.ends[HEADEND].dataplane.tunnel().1.sends_on().selectors.local;
        assert_eq!(local.len(), 255, "{:#?}", line.ladder);
    }
}

#[test]
fn another_group_is_used_for_a_rekey_if_the_peer_wants_it() {
    let ike = |text: &str| IkeProposal::parse(&format!("aes128gcm16-prfsha256-{text}")).unwrap();
    let esp = |text: &str| EspProposal::parse(&format!("aes128gcm16-{text}")).unwrap();
    let (mut headend, mut caller) = (config(), caller_config(&config()));
    peer::login(&mut headend).ike_proposals = vec![ike("x25519")];
    headend.connections[0].esp_proposals = vec![esp("ecp256")];
    peer::login(&mut caller).ike_proposals = vec![ike("x25519")];
    caller.connections[0].esp_proposals = vec![esp("x25519-ecp256")];
    let mut line = Line::new(caller, headend);
    line.login(call("alice@rig"));
    line.ladder.clear();
    Act::RekeyChild.begin(&mut line, CALLER);
    line.pass_with_traffic(seconds(7));
    assert_eq!(count(&line, "CREATE_CHILD_SA request"), 2, "{:#?}", line.ladder);
    line.assert_mirrored(1);
}

/// Both begin at once. RFC 7296 section 2.8.1:
// A --> N(REKEY_SA), SA, Ni1          <-- B N(REKEY_SA), SA, Ni2
// A --> SA, Nr1                       <-- B SA, Nr2
// the SA of the lowest nonce is deleted by its maker, the old one by the other
#[test]
fn both_ends_rekey_the_child_at_once_and_the_lowest_nonce_decides() {
    let mut survivors = BTreeSet::new();
    for seed in 0..8 {
        let mut line = up(&config(), seed);
        Act::RekeyChild.begin(&mut line, CALLER);
        Act::RekeyChild.begin(&mut line, HEADEND);
        line.pass_with_traffic(seconds(1));
        assert_eq!(count(&line, "CREATE_CHILD_SA request"), 2, "{:#?}", line.ladder);
        assert_eq!(count(&line, "--> INFORMATIONAL request"), 1, "each deletes one: {:#?}", line.ladder);
        assert_eq!(count(&line, "<-- INFORMATIONAL request"), 1, "each deletes one: {:#?}", line.ladder);
        line.pass_with_traffic(seconds(6));
        line.assert_mirrored(1);
        // The caller has answered (and received on the peer's) before its own was answered.
        let [_, theirs, ours] = line.ends[CALLER].dataplane.added[..] else { panic!("three child SAs") };
        let survivor = child(&line, CALLER);
        assert!(survivor == theirs || survivor == ours);
        survivors.insert(if survivor == ours { "the caller's" } else { "the headend's" });
    }
    assert_eq!(survivors.len(), 2, "both outcomes were seen");
}

/// RFC 7296 section 2.8.2.
#[test]
fn both_ends_rekey_the_ike_sa_at_once_and_the_lowest_nonce_decides() {
    let mut survivors = BTreeSet::new();
    for seed in 0..8 {
        let mut line = up(&config(), seed);
        Act::RekeyIke.begin(&mut line, CALLER);
        Act::RekeyIke.begin(&mut line, HEADEND);
        line.pass_with_traffic(seconds(1));
        assert_eq!(count(&line, "CREATE_CHILD_SA request"), 2, "{:#?}", line.ladder);
        assert_eq!(count(&line, "--> INFORMATIONAL request"), 1, "each deletes one: {:#?}", line.ladder);
        assert_eq!(count(&line, "<-- INFORMATIONAL request"), 1, "each deletes one: {:#?}", line.ladder);
        line.assert_mirrored(1);
        // The survivor's initiator asks with the flag set: it is the one whose next rekey finds it as initiator.
        let redundant: Vec<_> = line.ladder.iter().filter(|s| s.contains("INFORMATIONAL request 0")).collect();
        survivors.insert(redundant.iter().any(|s| s.contains("-->")));
        for end in [CALLER, HEADEND] {
            Act::RekeyChild.begin(&mut line, end);
            line.pass_with_traffic(seconds(7));
        }
        line.assert_mirrored(1);
    }
    assert_eq!(survivors.len(), 2, "both outcomes were seen");
}

#[test]
fn deletes_that_nobody_answers_pile_up_to_a_limit_and_are_forgotten() {
    let mut line = up(&config(), 0);
    for round in 0..10 {
        Act::RekeyIke.begin(&mut line, HEADEND);
        line.pass(DELAY + DELAY / 2);
        line.lose.insert(line.sent);
        line.pass(DELAY);
        assert_eq!(count(&line, "(lost)"), round + 1, "{:#?}", line.ladder);
        line.ends[HEADEND].assert_books_agree();
        assert!(line.ends.iter().all(|end| end.engine.holdings().ike_sas <= 3), "{:#?}", line.ladder);
    }
    line.pass(seconds(200));
    line.assert_mirrored(1);
}

/// How many child SAs are left when both acts are done; `None`: no session is.
fn expected(one: Act, other: Act) -> Option<usize> {
    let acts = [one, other];
    let added = acts.iter().filter(|act| **act == Act::AddChild).count();
    if acts.contains(&Act::DeleteIke) {
        return None;
    }
    match (acts.contains(&Act::DeleteChild), added) {
        // Without a child SA a session ends.
        (true, 0) => None,
        (true, added) => Some(added),
        (false, added) => Some(1 + added),
    }
}

/// Every pair, begun at once, with each message lost in turn.
#[test]
fn any_two_acts_at_once_end_as_if_one_had_come_after_the_other_whatever_is_lost() {
    for one in Act::ALL {
        for other in Act::ALL {
            for seed in [1, 2, 3] {
                let mut lost = None;
                loop {
                    let mut line = up(&config(), seed);
                    let first = line.sent;
                    line.lose.extend(lost.map(|n: u64| first + n));
                    one.begin(&mut line, CALLER);
                    other.begin(&mut line, HEADEND);
                    // Retransmission after 4 s, pauses, the grace, 10 s where no child is left, and 60 s for an IKE SA
                    // whose maker never heard that it was made.
                    line.pass(seconds(75));
                    let last = line.sent;
                    line.lose.clear();
                    let story =
                        format!("{one:?} and {other:?}, seed {seed}, message {lost:?} lost: {:#?}", line.ladder);
                    match expected(one, other) {
                        Some(children) => {
                            for end in &line.ends {
                                let held = end.engine.holdings();
                                assert_eq!((held.sessions, held.ike_sas, held.spis), (1, 1, children), "{story}");
                            }
                            line.assert_mirrored(children);
                            line.packet(CALLER);
                            line.packet(HEADEND);
                            let id = session(&line, CALLER);
                            line.logout(id);
                        }
                        None => {
                            for end in &line.ends {
                                assert_eq!(end.engine.holdings().sessions, 0, "{story}");
                            }
                            line.pass(seconds(60));
                            line.assert_nothing_left();
                        }
                    }
                    let next = lost.map_or(0, |n| n + 1);
                    if first + next >= last || next > 12 {
                        break;
                    }
                    lost = Some(next);
                }
            }
        }
    }
}

#[test]
fn rekeys_by_time_go_on_for_hours_without_a_gap_and_without_a_leftover() {
    let mut config = config();
    config.ike.rekey_time = seconds(100);
    config.esp.rekey.time = Some(seconds(30));
    let mut line = up(&config, 0);
    for _ in 0..240 {
        line.pass(seconds(15));
        line.packet(CALLER);
        line.packet(HEADEND);
    }
    let (ike, children) = (line.ends[HEADEND].engine.holdings().ike_sas, line.ends[HEADEND].dataplane.added.len());
    assert!(ike <= 3, "{ike} IKE SAs at a time");
    // 3600 s: at 27 to 30 s each, some of them twice because both ends began.
    assert!((115..=300).contains(&children), "{children} child SAs in an hour");
    let id = session(&line, CALLER);
    line.logout(id);
}

#[test]
fn a_limit_that_the_dataplane_reports_starts_a_rekey_once_and_at_the_hard_limit_the_child_ends() {
    let mut line = up(&config(), 0);
    let pair = child(&line, HEADEND);
    let worker = line.ends[HEADEND].dataplane.worker_of(pair);
    let report = |line: &mut Line, pair, direction, reached| {
        let event = Event::Lifetime { pair, direction, reached };
        line.at(HEADEND, |engine, now| engine.handle_event(now, worker, event));
    };
    report(&mut line, pair, Direction::Outbound, Reached::Soft);
    report(&mut line, pair, Direction::Inbound, Reached::Soft);
    line.pass_with_traffic(seconds(7));
    assert_eq!(count(&line, "<-- CREATE_CHILD_SA request"), 1);
    line.assert_mirrored(1);
    report(&mut line, pair, Direction::Inbound, Reached::Hard);
    line.pass(seconds(1));
    line.assert_mirrored(1);

    let pair = child(&line, HEADEND);
    report(&mut line, pair, Direction::Inbound, Reached::Hard);
    line.pass(seconds(6));
    assert_eq!(line.ends[CALLER].dataplane.outbound().count(), 0);
    line.pass(seconds(60));
    line.assert_nothing_left();
}

/// RFC 7296 section 1.3.1.
#[test]
fn either_end_adds_children_up_to_the_limit_and_each_lives_for_itself() {
    for adds in [CALLER, HEADEND] {
        let mut line = up(&config(), 0);
        let id = session(&line, adds);
        for children in 2..=4 {
            line.at(adds, |engine, now| engine.add_child(now, id, one_more(adds))).unwrap();
            line.pass(seconds(1));
            line.assert_mirrored(children);
        }
        assert_eq!(line.at(adds, |engine, now| engine.add_child(now, id, one_more(adds))), Err(NoRoom));
        // The peer's limit holds as well.
        let narrow = line.ends[adds].engine.sas(line.now).last().unwrap().clone();
        let behind = if adds == CALLER { narrow.remote } else { narrow.local };
        assert_eq!(behind, ["10.20.0.0/28"]);
        line.packet(CALLER);
        line.packet(HEADEND);

        Act::RekeyChild.begin(&mut line, CALLER);
        Act::RekeyChild.begin(&mut line, HEADEND);
        line.pass_with_traffic(seconds(20));
        line.assert_mirrored(4);
        for left in (1..4).rev() {
            Act::DeleteChild.begin(&mut line, 1 - adds);
            line.pass(seconds(6));
            line.assert_mirrored(left);
        }
        // The last one: ten seconds later there is nothing.
        Act::DeleteChild.begin(&mut line, adds);
        line.pass(seconds(9));
        assert_eq!(line.ends[HEADEND].engine.holdings().sessions, 1);
        // Before that, one may be made again: the addresses are still there.
        line.at(adds, |engine, now| engine.add_child(now, id, one_more(adds))).unwrap();
        line.pass(seconds(30));
        line.assert_mirrored(1);
        Act::DeleteChild.begin(&mut line, adds);
        line.pass(seconds(30));
        line.assert_nothing_left();
    }
}

#[test]
fn a_child_above_the_peers_limit_is_refused_and_nothing_changes() {
    let mut headend = config();
    headend.ike.children_limit = 2;
    let mut line = Line::new(caller_config(&config()), headend);
    let id = line.login(call("alice@rig"));
    for _ in 0..2 {
        line.at(CALLER, |engine, now| engine.add_child(now, id, one_more(CALLER))).unwrap();
        line.pass(seconds(1));
    }
    line.assert_mirrored(2);
    line.logout(id);
}
