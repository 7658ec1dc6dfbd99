//! Flows inside tunnels as the API shows them: copied, no secrets.

use super::Walked;
use crate::session::SessionId;
use adit_dataplane::contract::{
    InnerFlowPage, InnerFlowReport, InnerTcp, InnerTcpState, InnerTraffic, RoundTrip, TunnelKey,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;
use utoipa::ToSchema;

/// `GET /v1/flows`: some of the flows inside tunnels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InnerFlowsView {
    /// In no order that means anything. A flow that is there all the while is on exactly one page.
    pub flows: Vec<InnerFlowView>,
    /// Where the next page begins, for `after`; none if this was the last.
    pub next: Option<String>,
    /// One packet of so many is looked at and counted for all of them.
    pub sampled_one_of: u32,
    /// The workers that these flows were asked of.
    pub tables: Vec<FlowTableView>,
}

/// A worker's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlowTableView {
    /// The worker.
    pub worker: u8,
    /// Flows that it holds.
    pub held: u32,
    /// Flows that had to go since it began, because there was no room.
    pub pushed_out: u64,
    /// Packets that are no flow's, since it began: there was no room, and their flows were not let in.
    #[serde(default)]
    pub unattributed_packets: u64,
    /// The octets of those.
    #[serde(default)]
    pub unattributed_bytes: u64,
}

/// One flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InnerFlowView {
    /// Whose it is; empty if the session has just ended.
    pub session: String,
    /// The session's identity.
    pub identity: String,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, or the protocol's number.
    pub protocol: String,
    /// The client's end. Of ICMP echoes the identifier stands in the place of both ports; where there are none it is 0.
    #[schema(value_type = String)]
    pub client: SocketAddr,
    /// The other end.
    #[schema(value_type = String)]
    pub server: SocketAddr,
    /// Seconds since the first packet.
    pub age_seconds: u64,
    /// Milliseconds since the last packet.
    pub idle_ms: u64,
    /// From the client.
    pub up: InnerWayView,
    /// To the client.
    pub down: InnerWayView,
    /// What TCP's segments tell.
    pub tcp: Option<InnerTcpView>,
}

/// One way, in inner packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InnerWayView {
    /// Packets.
    pub packets: u64,
    /// Octets with their IP headers.
    pub bytes: u64,
    /// Bits per second, of the last full second.
    pub bits_per_second: u64,
}

/// What a TCP connection's segments tell who sees them pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InnerTcpView {
    /// `opening`, `open`, `closing`, `closed` or `reset`.
    pub state: String,
    /// From here to the client and back,
    pub client_rtt: Option<RoundTripView>,
    /// and to the other end and back: the time between a segment and what first acknowledges it.
    pub server_rtt: Option<RoundTripView>,
    /// Segments from the client that begin before what had come already: sent again, or overtaken on their way.
    pub retransmitted_up: u32,
    /// The same to the client.
    pub retransmitted_down: u32,
    /// Octets that a segment to the client may have, as its SYN said after clamping.
    pub client_mss: Option<u16>,
    /// Octets that a segment to the other end may have.
    pub server_mss: Option<u16>,
}

/// A way there and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoundTripView {
    /// Microseconds, smoothed.
    pub smoothed_us: u64,
    /// Microseconds, the least.
    pub least_us: u64,
}

impl FlowTableView {
    /// As a worker's page tells.
    pub(super) fn new(worker: u8, page: &InnerFlowPage) -> Self {
        let InnerFlowPage { held, pushed_out, unattributed_packets, unattributed_octets, .. } = *page;
        Self { worker, held, pushed_out, unattributed_packets, unattributed_bytes: unattributed_octets }
    }
}

impl InnerFlowsView {
    /// Of what was found; `owner` says whose a tunnel is.
    pub fn new<A>(
        walked: &Walked<A>,
        sampled_one_of: u32,
        owner: impl Fn(TunnelKey) -> Option<(SessionId, String)>,
    ) -> Self {
        Self {
            flows: walked.flows.iter().map(|flow| InnerFlowView::new(flow, owner(flow.tunnel))).collect(),
            next: walked.next.map(|next| next.to_string()),
            sampled_one_of,
            tables: walked.tables.clone(),
        }
    }
}

impl InnerFlowView {
    fn new(flow: &InnerFlowReport, owner: Option<(SessionId, String)>) -> Self {
        let InnerFlowReport { tunnel: _, protocol, client, network, age, idle, up, down, tcp } = flow;
        let (session, identity) = owner.map(|(id, identity)| (id.to_string(), identity)).unwrap_or_default();
        Self {
            session,
            identity,
            protocol: match protocol {
                1 => "icmp".to_owned(),
                6 => "tcp".to_owned(),
                17 => "udp".to_owned(),
                58 => "icmpv6".to_owned(),
                other => other.to_string(),
            },
            client: *client,
            server: *network,
            age_seconds: age.as_secs(),
            idle_ms: whole(idle.as_millis()),
            up: InnerWayView::new(up),
            down: InnerWayView::new(down),
            tcp: tcp.as_ref().map(InnerTcpView::new),
        }
    }

    /// Both ways.
    pub fn bits_per_second(&self) -> u64 {
        self.up.bits_per_second.saturating_add(self.down.bits_per_second)
    }

    /// Both ways.
    pub fn bytes(&self) -> u64 {
        self.up.bytes.saturating_add(self.down.bytes)
    }
}

impl InnerWayView {
    fn new(traffic: &InnerTraffic) -> Self {
        let InnerTraffic { packets, octets, octets_per_second } = *traffic;
        Self { packets, bytes: octets, bits_per_second: octets_per_second.saturating_mul(8) }
    }
}

impl InnerTcpView {
    fn new(tcp: &InnerTcp) -> Self {
        let round_trip = |time: Option<RoundTrip>| {
            let micros = |time: Duration| whole(time.as_micros());
            time.map(|RoundTrip { smoothed, least }| RoundTripView {
                smoothed_us: micros(smoothed),
                least_us: micros(least),
            })
        };
        let state = match tcp.state {
            InnerTcpState::Opening => "opening",
            InnerTcpState::Open => "open",
            InnerTcpState::Closing => "closing",
            InnerTcpState::Closed => "closed",
            InnerTcpState::Reset => "reset",
        };
        Self {
            state: state.to_owned(),
            client_rtt: round_trip(tcp.to_client),
            server_rtt: round_trip(tcp.to_network),
            retransmitted_up: tcp.again_up,
            retransmitted_down: tcp.again_down,
            client_mss: tcp.client_mss,
            server_mss: tcp.network_mss,
        }
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
