//! What the API answers, as types. Sessions and SAs are [`crate::session::SessionView`] and
//! [`crate::session::SaView`].

use crate::config::checked::Config;
use crate::ike::counters::{EngineCounters, Ignored};
use crate::ike::engine::Holdings;
use crate::ike::login_times::LoginTimesView;
use adit_dataplane::contract::{WorkerCounters, WorkerTotals};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// `GET /v1/status`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// adit's.
    pub version: String,
    /// Who the headend says to be.
    pub identity: String,
    /// Seconds since the start.
    pub up_seconds: u64,
    /// `serving`, `draining` while nobody new is let in, or `leaving` after SIGTERM.
    pub state: String,
    /// While it is draining.
    pub draining: Option<DrainView>,
    /// Logged in.
    pub sessions: usize,
    /// Not yet logged in, or leaving.
    pub sessions_pending: usize,
    /// Clients that have not shown yet who they are.
    pub half_open: usize,
    /// Who has to return a cookie before anything is remembered of it: `nobody`, `1 source`, …, `everybody`.
    pub cookies_asked_of: String,
    /// Child SAs.
    pub sas: usize,
    /// Worker threads.
    pub workers: usize,
    /// Outer addresses and ports.
    pub listen: Vec<String>,
    /// The inner interface.
    pub tun: String,
    /// Its MTU in octets.
    pub mtu: u16,
    /// How packets move: `io_uring` or `system calls`.
    pub io: String,
    /// What the kernel or the privileges lack, a sentence each.
    pub lacks: Vec<String>,
    /// Commands that wait because a worker's channel is full.
    pub commands_waiting: usize,
}

/// How draining goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainView {
    /// Seconds until those who are still here are told to go; null lets them stay.
    pub left_seconds: Option<u64>,
    /// Whether the daemon ends when nobody is left.
    pub stop: bool,
}

#[cfg(test)]
impl StatusView {
    /// One for tests.
    pub(crate) fn example() -> Self {
        Self {
            version: "0.1.0".to_owned(),
            identity: "headend.rig".to_owned(),
            up_seconds: 3700,
            state: "serving".to_owned(),
            draining: None,
            sessions: 2,
            sessions_pending: 1,
            half_open: 0,
            cookies_asked_of: "nobody".to_owned(),
            sas: 2,
            workers: 1,
            listen: Vec::new(),
            tun: "adit0".to_owned(),
            mtu: 1400,
            io: "io_uring".to_owned(),
            lacks: Vec::new(),
            commands_waiting: 0,
        }
    }
}

/// `GET /v1/ike`: what the IKE engine holds right now, and what it did since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IkeView {
    /// What is held. All zero but `farewells` and `timers` means that nothing of any client is left.
    pub holdings: Holdings,
    /// IKE datagrams taken in.
    pub received: u64,
    /// IKE datagrams given out.
    pub sent: u64,
    /// Requests that were answered with the same octets again.
    pub answered_again: u64,
    /// Requests of ours that were sent again.
    pub asked_again: u64,
    /// Clients that were asked for a cookie.
    pub cookies_asked: u64,
    /// Clients that returned a good cookie when one was asked for.
    pub cookies_returned: u64,
    /// Cookies that were not ours or too old, when one was asked for.
    pub cookies_wrong: u64,
    /// Messages put together from fragments.
    pub messages_joined: u64,
    /// Messages sent in fragments, once and again.
    pub messages_cut: u64,
    /// Strangers told that their IKE SA, their child SA or their version of IKE is unknown.
    pub strangers_told: u64,
    /// Peers that proved their identity and got a session.
    pub logins: u64,
    /// How long logins took, phase by phase.
    pub login_times: Vec<LoginTimesView>,
    /// Peers that were refused.
    pub refusals: u64,
    /// cTCP connections of sessions that seemed to bring nothing of the client's.
    pub stalls_suspected: u64,
    /// Sessions that were ended for that.
    pub stalls_ended: u64,
    /// Datagrams that led to nothing, by reason; every reason, those without one too.
    pub ignored: Vec<IgnoredView>,
}

/// One reason why IKE datagrams led to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IgnoredView {
    /// The stable name.
    pub name: String,
    /// One sentence for people.
    pub sentence: String,
    /// Since the start.
    pub total: u64,
}

impl IkeView {
    /// Reads the engine's.
    pub fn new(holdings: Holdings, counters: &EngineCounters) -> Self {
        let ignored = |reason: &Ignored| IgnoredView {
            name: reason.name().to_owned(),
            sentence: reason.sentence().to_owned(),
            total: counters.ignored(*reason),
        };
        Self {
            holdings,
            received: counters.received,
            sent: counters.sent,
            answered_again: counters.answered_again,
            asked_again: counters.asked_again,
            cookies_asked: counters.cookies_asked,
            cookies_returned: counters.cookies_returned,
            cookies_wrong: counters.cookies_wrong,
            messages_joined: counters.messages_joined,
            messages_cut: counters.messages_cut,
            strangers_told: counters.strangers_told,
            logins: counters.logins,
            login_times: counters.login_times.view(),
            refusals: counters.refusals,
            stalls_suspected: counters.stalls_suspected,
            stalls_ended: counters.stalls_ended,
            ignored: Ignored::ALL.iter().map(ignored).collect(),
        }
    }
}

/// One worker of `GET /v1/workers`: counters since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerView {
    /// Its number.
    pub worker: usize,
    /// The core that it is pinned to.
    pub core: Option<usize>,
    /// Turns taken.
    pub turns: u64,
    /// Turns that found nothing to do.
    pub idle_turns: u64,
    /// Microseconds that the other turns took. Its growth in a second, of a million, is the worker's load.
    pub busy_us: u64,
    /// Packets that turns began with. Divided by the turns that were not idle, it is how full bursts are.
    pub burst_packets: u64,
    /// Turns that began with as many packets as a burst may have: others may have had to wait.
    pub full_bursts: u64,
    /// Millions of cycles that its core does in a second, as the kernel told at the start; null where it does not. A packet has
    /// cost `busy_us` × `core_mhz` ÷ `burst_packets` cycles.
    pub core_mhz: Option<u64>,
    /// Packets that wait for it in the rings from other workers.
    pub handoffs_waiting: u64,
    /// Packet buffers of the usual size that are free.
    pub buffers_free: u64,
    /// Packets read from the outer side.
    pub outer_received: u64,
    /// Packets written to the outer side.
    pub outer_sent: u64,
    /// Packets read from the inner side.
    pub inner_received: u64,
    /// Packets written to the inner side.
    pub inner_sent: u64,
    /// IKE datagrams handed to control.
    pub ike_received: u64,
    /// IKE datagrams sent for control.
    pub ike_sent: u64,
    /// Packets handed to another worker.
    pub handed_off: u64,
    /// Packets taken over from another worker.
    pub taken_over: u64,
    /// Packets that are no flow's (`GET /v1/flows`): the table of flows was full, and theirs were not let in.
    pub unattributed: u64,
    /// SYNs whose TCP MSS was lowered.
    pub mss_clamped: u64,
    /// Inner packets cut into fragments before encryption.
    pub inner_fragmented: u64,
    /// Times that a tunnel's MTU followed the fragments of authenticated packets.
    pub mtu_learned: u64,
    /// Sessions that followed their client's ESP to another address or transport: to NAT-T.
    pub moved_to_nat_t: u64,
    /// The same, to ESP in UDP port 500.
    pub moved_to_nat_t_500: u64,
    /// The same, to Cisco's IPsec over UDP.
    pub moved_to_cisco_udp: u64,
    /// The same, to native ESP.
    pub moved_to_esp: u64,
    /// Tunnels that followed their peers' ESP into a cTCP connection.
    pub moved_to_ctcp: u64,
    /// Tunnels that followed their peers' ESP into a TCP connection.
    pub moved_to_tcp: u64,
    /// Packets, and segments, whose octets have gone into a TCP connection's stream or come out of one.
    pub streamed: u64,
    /// TCP connections that were no session's yet and that ended because newcomers needed their places (cTCP, RFC 9329).
    pub connections_displaced: u64,
    /// Packets from elsewhere that were not followed: their session has moved as often as it may.
    pub moves_limited: u64,
    /// Packets dropped, for all reasons.
    pub dropped: u64,
}

/// One certificate of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateView {
    /// What it is for: `ike`, or `api`.
    pub used_for: String,
    /// Whom it names.
    pub subject: String,
    /// The time of day after which it is no longer good, in seconds since 1970.
    pub not_after: u64,
}

impl CertificateView {
    /// Those of a configuration.
    pub fn all(config: &Config) -> Vec<Self> {
        let view = |used_for: &str, subject: String, ends: Duration| Self {
            used_for: used_for.to_owned(),
            subject,
            not_after: ends.as_secs(),
        };
        let ike = config.certificate.iter().map(|own| view("ike", own.leaf().subject().to_string(), own.leaf().ends()));
        let api = config.api.tcp.iter().map(|tcp| view("api", tcp.certificate.subject.clone(), tcp.certificate.ends));
        ike.chain(api).collect()
    }
}

/// One reason of `GET /v1/drops`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DropView {
    /// The stable name.
    pub name: String,
    /// One sentence for people.
    pub sentence: String,
    /// In all.
    pub total: u64,
    /// By worker, in order.
    pub workers: Vec<u64>,
}

impl WorkerView {
    /// Reads a worker's counters.
    pub fn new(worker: usize, core: Option<usize>, core_mhz: Option<u64>, counters: &WorkerCounters) -> Self {
        let totals = counters.totals();
        Self {
            worker,
            core,
            turns: totals.turns,
            idle_turns: totals.idle_turns,
            busy_us: u64::try_from(counters.burst_times().sum.as_micros()).unwrap_or(u64::MAX),
            burst_packets: totals.burst_packets,
            full_bursts: totals.full_bursts,
            core_mhz,
            handoffs_waiting: totals.handoffs_waiting,
            buffers_free: totals.buffers_free,
            outer_received: totals.outer_received,
            outer_sent: totals.outer_sent,
            inner_received: totals.inner_received,
            inner_sent: totals.inner_sent,
            ike_received: totals.ike_received,
            ike_sent: totals.ike_sent,
            handed_off: totals.handed_off,
            taken_over: totals.taken_over,
            unattributed: totals.unattributed,
            mss_clamped: totals.mss_clamped,
            inner_fragmented: totals.inner_fragmented,
            mtu_learned: totals.mtu_learned,
            moved_to_nat_t: totals.moved_to_nat_t,
            moved_to_nat_t_500: totals.moved_to_nat_t_500,
            moved_to_cisco_udp: totals.moved_to_cisco_udp,
            moved_to_esp: totals.moved_to_esp,
            moved_to_ctcp: totals.moved_to_ctcp,
            moved_to_tcp: totals.moved_to_tcp,
            streamed: totals.streamed,
            connections_displaced: totals.connections_displaced,
            moves_limited: totals.moves_limited,
            dropped: totals.drops.iter().sum(),
        }
    }
}

/// Every reason, those without a drop too, in the order of the contract.
pub fn drops(totals: &[WorkerTotals]) -> Vec<DropView> {
    adit_dataplane::contract::DropReason::ALL
        .iter()
        .enumerate()
        .map(|(index, reason)| {
            let workers: Vec<u64> =
                totals.iter().map(|totals| totals.drops.get(index).copied().unwrap_or_default()).collect();
            DropView {
                name: reason.name().to_owned(),
                sentence: reason.sentence().to_owned(),
                total: workers.iter().sum(),
                workers,
            }
        })
        .collect()
}
