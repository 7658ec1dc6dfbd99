//! What a headend of ours makes of each of the boxes, from nothing but the segments that reach it.

use super::boxes::Middlebox;
use super::peers::Manner;
use super::setting;
use super::world::{Direction, Leg as Where, Setting, run};
use adit_dataplane::carrier::ctcp::Stalling;
use adit_dataplane::contract::{Diagnosis, Finding, Leg, Loss, PathClass, PeerClass, Percent};

const IN_ORDER: Middlebox = Middlebox::InOrder { queue: 3 };

/// With some seconds of silence behind it, in which a Cisco client says that it is there.
fn diagnosed(setting: Setting) -> (Diagnosis, Option<Stalling>) {
    let outcome = run(&Setting { seconds: 10, quiet: 15, ..setting });
    (outcome.diagnosis.unwrap(), outcome.stalling)
}

fn cisco(middlebox: Middlebox, loss: Option<(Where, u32)>) -> Setting {
    setting(middlebox, loss, Manner::Adaptive, Manner::Cisco)
}

#[track_caller]
fn assert_lost(loss: Option<Loss>, leg: Leg, least: u8) {
    let loss = loss.unwrap();
    assert!(loss.leg == leg && loss.sure >= Percent(least) && loss.lost > 0 && loss.lost < loss.of, "{loss:?}");
}

#[test]
fn without_loss_there_is_a_cisco_client_on_a_clean_path_and_all_is_well() {
    for middlebox in [Middlebox::Router, Middlebox::Tracker, IN_ORDER] {
        let (told, stalling) = diagnosed(cisco(middlebox, None));
        assert_eq!((told.peer, told.path, told.finding), (PeerClass::Legacy, PathClass::Clean, Finding::Well));
        assert_eq!((told.up, told.down, stalling), (None, None, None));
    }
}

#[test]
fn loss_that_nothing_waits_for_is_somewhere_and_no_more_than_loss() {
    for middlebox in [Middlebox::Router, Middlebox::Tracker] {
        for leg in [Where::ClientToBox, Where::BoxToHeadend] {
            let (told, stalling) = diagnosed(cisco(middlebox, Some((leg, 20))));
            assert_eq!((told.peer, told.path, told.finding), (PeerClass::Legacy, PathClass::Clean, Finding::Lossy));
            assert!(told.peer_sure >= Percent(90) && told.path_sure == Percent(80), "{told:?}");
            assert_lost(told.up, Leg::Somewhere, 90);
            assert_eq!((told.down, stalling), (None, None));
        }
    }
}

#[test]
fn a_box_that_waits_for_us_is_known_and_the_loss_is_on_our_side_of_it() {
    let (told, stalling) = diagnosed(cisco(IN_ORDER, Some((Where::HeadendToBox, 20))));
    assert_eq!((told.peer, told.path, told.finding), (PeerClass::Legacy, PathClass::InOrder, Finding::Waits));
    assert!(told.path_sure >= Percent(90), "{told:?}");
    assert_lost(told.down, Leg::HeadendSide, 90);
    assert_eq!((told.up, stalling), (None, None));
}

#[test]
fn a_box_that_waits_for_the_client_is_a_stall_on_the_clients_side() {
    let (told, stalling) = diagnosed(cisco(IN_ORDER, Some((Where::ClientToBox, 20))));
    assert_eq!((told.peer, told.path, told.finding), (PeerClass::Legacy, PathClass::InOrder, Finding::Stalled));
    assert_eq!((told.path_sure, stalling), (Percent(90), Some(Stalling::Certain)));
    assert_lost(told.up, Leg::ClientSide, 90);
}

/// Whoever counts nothing itself runs into it.
#[test]
fn a_box_that_counts_is_known_by_where_acknowledgments_stand() {
    let stateless = setting(Middlebox::Tracker, None, Manner::Stateless, Manner::Cisco);
    let (told, _) = diagnosed(Setting { direction: Direction::Down, rate: 300, ..stateless });
    assert_eq!((told.path, told.finding), (PathClass::Tracker, Finding::Counts), "{told:?}");
}

#[test]
fn real_tcp_is_known_by_what_it_sends_again_and_no_box_is_made_of_its_own_waiting() {
    for (leg, lost_up) in [(Where::ClientToBox, true), (Where::HeadendToBox, false)] {
        let ours = setting(Middlebox::Router, Some((leg, 20)), Manner::Adaptive, Manner::Adaptive);
        let (told, stalling) = diagnosed(ours);
        // Its traffic is over by now, and who is real TCP may have a proxy before it.
        let over = Some(Stalling::Silent);
        assert_eq!((told.path, told.finding, stalling), (PathClass::Clean, Finding::Lossy, over), "{told:?}");
        let (lossy, other) = if lost_up { (told.up, told.down) } else { (told.down, told.up) };
        assert_lost(lossy, Leg::Somewhere, 70);
        assert_eq!(other, None);
        assert_eq!(told.peer, if lost_up { PeerClass::Ours } else { PeerClass::Tcp });
    }
}
