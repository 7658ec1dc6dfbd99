//! A cTCP connection as the API shows it: copied, no secrets. Times are seconds unless their names say otherwise, all counters
//! count since the connection began.

use super::{Remedy, remedy};
use crate::session::SessionId;
use adit_dataplane::contract::{FlowReport, Loss, Stalling};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;
use utoipa::ToSchema;

/// A connection by cTCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowView {
    /// `c0-7`: worker and number.
    pub id: String,
    /// The peer's outer address, after NAT.
    #[schema(value_type = String)]
    pub peer: SocketAddr,
    /// Ours.
    #[schema(value_type = String)]
    pub local: SocketAddr,
    /// `login` (no session yet), `up`, `suspected` of a stall or `stalled`.
    pub state: String,
    /// The session that has it; empty while there is none.
    pub session: String,
    /// The session's identity.
    pub identity: String,
    /// `legacy`, `tcp` or `ours`, and how sure that is, of a hundred.
    pub client: String,
    /// See `client`.
    pub client_sure: u8,
    /// `clean`, `tracker`, `in-order` or `splitter`, and how sure that is.
    pub path: String,
    /// See `path`.
    pub path_sure: u8,
    /// What is lost from the client,
    pub loss_up: Option<LossView>,
    /// and to it.
    pub loss_down: Option<LossView>,
    /// The way there and back in microseconds, smoothed,
    pub rtt_us: Option<u64>,
    /// and the least.
    pub least_rtt_us: Option<u64>,
    /// Octets kept for sending again,
    pub ring: usize,
    /// of so many at most.
    pub ring_most: usize,
    /// Octets sent and not acknowledged.
    pub in_flight: usize,
    /// Since the client's data came last, if it says that it has sent more.
    pub stalled_seconds: Option<u64>,
    /// Octets that it has sent since.
    pub missing_octets: Option<usize>,
    /// Since it began.
    pub age_seconds: u64,
    /// Since anything came from the peer.
    pub silent_seconds: u64,
    /// From the client.
    pub up: UpView,
    /// To the client.
    pub down: DownView,
    /// What is wrong, and what helps.
    pub remedy: RemedyView,
}

/// What is lost on one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LossView {
    /// `client_side`, `headend_side`, `behind_proxy`, `in_client` or `somewhere`.
    pub leg: String,
    /// How sure that is, of a hundred.
    pub sure: u8,
    /// Packets,
    pub lost: u64,
    /// of so many.
    pub of: u64,
}

/// What came from the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpView {
    /// Segments with data.
    pub segments: u64,
    /// Their octets.
    pub octets: u64,
    /// Segments that were not one whole frame.
    pub pieces: u64,
    /// Segments without data.
    pub keepalives: u64,
    /// Holes in the stream,
    pub holes: u64,
    /// with a gap in ESP's numbers,
    pub holes_in_esp: u64,
    /// without one,
    pub holes_not_in_esp: u64,
    /// filled by what had been overtaken,
    pub overtaken: u64,
    /// filled by what was sent again,
    pub refilled: u64,
    /// never filled,
    pub passed_over: u64,
    /// and the octets of those.
    pub missing: u64,
    /// Octets that came again.
    pub repeated: u64,
    /// ESP packets,
    pub esp: u64,
    /// that never came,
    pub esp_missing: u64,
    /// that came late,
    pub esp_late: u64,
    /// that came again.
    pub esp_again: u64,
}

/// What went to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownView {
    /// Segments with data.
    pub segments: u64,
    /// Their octets.
    pub octets: u64,
    /// Segments sent again,
    pub resent: u64,
    /// in so many rounds,
    pub repairs: u64,
    /// so many of which got a standing acknowledgment to move.
    pub helped: u64,
    /// Duplicate acknowledgments.
    pub duplicates: u64,
    /// How often the stream was begun again where acknowledgments stood.
    pub rewinds: u64,
    /// Frames of nothing in the place of what was no longer kept.
    pub filled: u64,
    /// How often they stood a window behind.
    pub plateaus: u64,
}

/// See [`Remedy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemedyView {
    /// `well`, `lossy`, `waits`, `counts`, `cut`, `stalled` or `shut`.
    pub reason: String,
    /// One sentence for people.
    pub sentence: String,
    /// What can be done, a line each.
    pub lines: Vec<String>,
}

/// `DELETE /v1/ctcp/ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClearView {
    /// Connections that are ended.
    pub cleared: usize,
}

/// `POST /v1/ctcp/ID/move`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MoveView {
    /// The session that had the connection.
    pub session: String,
    /// The transport that is closed to it.
    pub closed: String,
    /// For so many seconds.
    pub seconds: u64,
    /// How it may still come.
    pub left: Vec<String>,
}

impl FlowView {
    /// As a worker reports it, with the session that has it.
    pub fn new(flow: &FlowReport, session: Option<(SessionId, String)>) -> Self {
        let (told, evidence) = (&flow.diagnosis, &flow.evidence);
        let (up, down, stall) = (evidence.up, evidence.down, evidence.stall);
        let state = match (flow.stalling, flow.tunnel) {
            (Some(Stalling::Certain), _) => "stalled",
            (Some(Stalling::Suspected), _) => "suspected",
            (Some(Stalling::Silent | Stalling::Unanswered) | None, Some(_)) => "up",
            (Some(Stalling::Silent | Stalling::Unanswered) | None, None) => "login",
        };
        let (session, identity) = named(session);
        Self {
            id: flow.id.to_string(),
            peer: flow.path.peer,
            local: flow.path.local,
            state: state.to_owned(),
            session,
            identity,
            client: told.peer.name().to_owned(),
            client_sure: told.peer_sure.0,
            path: told.path.name().to_owned(),
            path_sure: told.path_sure.0,
            loss_up: told.up.map(LossView::new),
            loss_down: told.down.map(LossView::new),
            rtt_us: down.rtt.map(micros),
            least_rtt_us: down.least_rtt.map(micros),
            ring: down.ring,
            ring_most: down.ring_most,
            in_flight: down.in_flight,
            stalled_seconds: flow.stalling.and(stall).map(|stall| stall.since.as_secs()),
            missing_octets: flow.stalling.and(stall).map(|stall| stall.missing),
            age_seconds: flow.age.as_secs(),
            silent_seconds: flow.silent.as_secs(),
            up: UpView {
                segments: up.segments,
                octets: up.octets,
                pieces: up.pieces,
                keepalives: up.keepalives,
                holes: up.holes,
                holes_in_esp: up.holes_in_esp,
                holes_not_in_esp: up.holes_not_in_esp,
                overtaken: up.overtaken,
                refilled: up.refilled,
                passed_over: up.passed_over,
                missing: up.missing,
                repeated: up.repeated,
                esp: up.esp,
                esp_missing: up.esp_missing,
                esp_late: up.esp_late,
                esp_again: up.esp_again,
            },
            down: DownView {
                segments: down.segments,
                octets: down.octets,
                resent: down.resent,
                repairs: down.repairs,
                helped: down.helped,
                duplicates: down.duplicates,
                rewinds: down.rewinds,
                filled: down.filled,
                plateaus: down.plateaus,
            },
            remedy: RemedyView::new(&remedy(told, flow.path.local)),
        }
    }
}

/// A session and its identity as the API has them: empty while there is none.
pub(super) fn named(session: Option<(SessionId, String)>) -> (String, String) {
    session.map_or_else(Default::default, |(session, identity)| (session.to_string(), identity))
}

/// As the API has it.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl LossView {
    pub(crate) fn new(loss: Loss) -> Self {
        Self { leg: loss.leg.name().to_owned(), sure: loss.sure.0, lost: loss.lost, of: loss.of }
    }
}

impl RemedyView {
    fn new(remedy: &Remedy) -> Self {
        Self { reason: remedy.reason.to_owned(), sentence: remedy.sentence.to_owned(), lines: remedy.lines().collect() }
    }
}
