//! What a flow's evidence says of its peer and its path: a function of numbers, so that every case can be played in a test.
//!
//! | what shows | says |
//! |---|---|
//! | options in the SYN, holes that are filled after they could have been admitted | real TCP; if it never cuts a frame, perhaps ours |
//! | none of that, and holes that nobody fills | Cisco's |
//! | segments that are no whole frame | a proxy, or the peer's own TCP, cuts and joins |
//! | the peer is further than its data, or an acknowledgment stands until what is missing was sent again, with more behind it | a box waits |
//! | the same with a window of octets that nobody has acknowledged | a box counts |
//! | a hole in the stream where ESP has a gap | a packet is lost between the last TCP on the way and us |
//! | a gap in ESP without a hole | it was lost before that TCP |

use crate::contract::{
    Diagnosis, DownEvidence, Evidence, Finding, Leg, Loss, PathClass, PeerClass, Percent, Stall, SynOptions, UpEvidence,
};

/// A window but for a segment.
const WINDOW: usize = 65_535 - 1500;
/// So many whole frames before their wholeness says something.
const MANY: u64 = 64;
/// So many holes that were passed over while data went on say that nobody waits.
const SEVERAL: u64 = 3;

/// All of it.
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    // What the peer sent last may simply be lost: nothing stands still before it goes on.
    let evidence = &Evidence { stall: evidence.stall.filter(|stall| stall.advances > 0), ..*evidence };
    let (peer, peer_sure) = peer(evidence);
    let (path, path_sure) = path(evidence, peer);
    let up = lost_up(evidence, peer, path);
    let down = lost_down(&evidence.down, peer, path);
    let finding = finding(evidence, peer, path, up.is_some() || down.is_some());
    Diagnosis { peer, peer_sure, path, path_sure, up, down, finding }
}

fn peer(evidence: &Evidence) -> (PeerClass, Percent) {
    let UpEvidence { segments, pieces, refilled, passed_over, .. } = evidence.up;
    match (evidence.syn, refilled, passed_over) {
        (SynOptions::Some, 1.., _) if pieces == 0 && segments >= MANY => (PeerClass::Ours, Percent(60)),
        (_, 1.., _) => (PeerClass::Tcp, Percent(95)),
        // A Cisco client has none, whatever else it does.
        (SynOptions::Some, 0, _) => (PeerClass::Tcp, Percent(80)),
        (SynOptions::None, 0, 0) => (PeerClass::Legacy, Percent(70)),
        (SynOptions::None, 0, holes) => (PeerClass::Legacy, rising(80, holes)),
    }
}

fn path(evidence: &Evidence, peer: PeerClass) -> (PathClass, Percent) {
    let Evidence { up, down, .. } = evidence;
    let cut = match evidence.syn {
        // One packet in each segment, always: if it is otherwise, somebody else has made the segments.
        SynOptions::None => rising(85, up.pieces),
        SynOptions::Some => rising(60, up.pieces.min(SEVERAL)),
    };
    let recut = up.holes_not_in_esp >= SEVERAL && up.holes_not_in_esp > up.holes_in_esp;
    match (evidence.stall, peer) {
        _ if up.pieces > 0 => (PathClass::Splitter, cut),
        (Some(stall), _) if is_shut(&stall) => (PathClass::Tracker, Percent(80)),
        (Some(_), PeerClass::Legacy) => (PathClass::InOrder, Percent(90)),
        (Some(_), PeerClass::Tcp | PeerClass::Ours) => (PathClass::InOrder, Percent(70)),
        // Real TCP waits itself, so it says nothing of a box that others acknowledge late.
        (None, PeerClass::Legacy) if down.helped > 0 => (PathClass::InOrder, rising(50, down.helped)),
        (None, _) if down.plateaus > 0 => (PathClass::Tracker, rising(60, down.plateaus)),
        (None, _) if recut => (PathClass::Splitter, Percent(55)),
        (None, _) if up.passed_over >= SEVERAL => (PathClass::Clean, Percent(80)),
        (None, _) => (PathClass::Clean, Percent(50)),
    }
}

fn is_shut(stall: &Stall) -> bool {
    stall.unacknowledged >= WINDOW
}

fn lost_up(evidence: &Evidence, peer: PeerClass, path: PathClass) -> Option<Loss> {
    let UpEvidence { segments, holes, overtaken, holes_in_esp, esp, esp_missing, refilled, .. } = evidence.up;
    // A hole that was filled was loss, too: its packet came twice.
    let (lost, of) = (esp_missing + refilled, esp + esp_missing);
    if evidence.stall.is_some() {
        let sure = if peer == PeerClass::Legacy { Percent(90) } else { Percent(70) };
        return Some(Loss { leg: Leg::ClientSide, sure, lost: lost.max(1), of: of.max(1) });
    }
    let real = holes.saturating_sub(overtaken);
    if real == 0 && esp_missing > 0 {
        let leg = if path == PathClass::Splitter { Leg::BehindProxy } else { Leg::InClient };
        return Some(Loss { leg, sure: rising(50, esp_missing), lost: esp_missing, of });
    }
    if real == 0 {
        return None;
    }
    let (leg, sure) = match path {
        // What was lost before such a box would not have come through it at all.
        PathClass::InOrder => (Leg::HeadendSide, Percent(85)),
        PathClass::Splitter => (Leg::HeadendSide, Percent(80)),
        PathClass::Clean | PathClass::Tracker => (Leg::Somewhere, rising(70, holes_in_esp + refilled)),
    };
    match lost {
        0 => Some(Loss { leg, sure, lost: real, of: segments + real }),
        _ => Some(Loss { leg, sure, lost, of }),
    }
}

fn lost_down(down: &DownEvidence, peer: PeerClass, path: PathClass) -> Option<Loss> {
    if down.helped == 0 {
        return None;
    }
    let (leg, sure) = match (path, peer) {
        (PathClass::InOrder, _) => (Leg::HeadendSide, rising(60, down.helped)),
        (PathClass::Splitter, _) => (Leg::HeadendSide, Percent(80)),
        (PathClass::Clean | PathClass::Tracker, PeerClass::Tcp | PeerClass::Ours) => {
            (Leg::Somewhere, rising(70, down.helped))
        }
        (PathClass::Clean | PathClass::Tracker, PeerClass::Legacy) => (Leg::Somewhere, Percent(50)),
    };
    Some(Loss { leg, sure, lost: down.helped, of: down.segments })
}

fn finding(evidence: &Evidence, peer: PeerClass, path: PathClass, is_lossy: bool) -> Finding {
    match (evidence.stall, path) {
        (Some(stall), _) if is_shut(&stall) => Finding::Shut,
        (Some(_), _) => Finding::Stalled,
        // Real TCP puts its stream together again, so nothing is lost by cutting it.
        (None, PathClass::Splitter) if peer == PeerClass::Legacy => Finding::Cut,
        (None, PathClass::InOrder) => Finding::Waits,
        (None, PathClass::Tracker) => Finding::Counts,
        (None, PathClass::Clean | PathClass::Splitter) if is_lossy => Finding::Lossy,
        (None, PathClass::Clean | PathClass::Splitter) => Finding::Well,
    }
}

/// Ten more for each further time, and never quite all.
fn rising(first: u8, times: u64) -> Percent {
    let more = times.saturating_sub(1).saturating_mul(10).min(100) as u8;
    Percent(first.saturating_add(more).min(95))
}
