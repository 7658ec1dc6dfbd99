//! What a worker knows of flows inside tunnels, copied for control.

use super::TunnelKey;
use std::net::SocketAddr;
use std::time::Duration;

/// A page of a worker's inner flows: control brings the room for it, so that the worker need not look for any.
///
/// A flow keeps its place in the table for as long as it is there. So whoever asks for page after page is told of each flow that is there all
/// the while exactly once, whatever comes and goes meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerFlowPage {
    /// Whatever tells the one who asks which question this answers.
    pub ticket: u64,
    /// The place in the worker's table where it begins.
    pub from: u32,
    /// Flows of this tunnel alone.
    pub only: Option<TunnelKey>,
    /// So many flows at most, and no more than [`Self::FLOWS`].
    pub most: usize,
    /// Where the next page begins, if there is more.
    pub next: Option<u32>,
    /// Flows that the worker holds.
    pub held: u32,
    /// Flows that had to go since it began, because there was no room for them.
    pub pushed_out: u64,
    /// Packets that are no flow's, since it began: all places were taken, and their flows were not let in.
    pub unattributed_packets: u64,
    /// The octets of those.
    pub unattributed_octets: u64,
    /// In the order of their places.
    pub flows: Vec<InnerFlowReport>,
}

impl InnerFlowPage {
    /// Flows on a page.
    pub const FLOWS: usize = 128;

    /// An empty one, for as many flows as there is room for.
    pub fn new(from: u32, only: Option<TunnelKey>) -> Self {
        let flows = Vec::with_capacity(Self::FLOWS);
        Self {
            ticket: 0,
            from,
            only,
            most: Self::FLOWS,
            next: None,
            held: 0,
            pushed_out: 0,
            unattributed_packets: 0,
            unattributed_octets: 0,
            flows,
        }
    }

    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        self.flows.len() >= self.most.min(Self::FLOWS)
    }
}

/// All that is told of one flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerFlowReport {
    /// Whose it is.
    pub tunnel: TunnelKey,
    /// As in the IP header, behind IPv6's extension headers.
    pub protocol: u8,
    /// The end inside the tunnel. Of ICMP echoes the identifier stands in the place of both ports; where no port is to be seen there is 0.
    pub client: SocketAddr,
    /// The other end.
    pub network: SocketAddr,
    /// Since its first packet.
    pub age: Duration,
    /// Since its last packet.
    pub idle: Duration,
    /// From the client.
    pub up: InnerTraffic,
    /// To the client.
    pub down: InnerTraffic,
    /// What its segments tell, if it is TCP.
    pub tcp: Option<InnerTcp>,
}

/// What went one way, in inner packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InnerTraffic {
    /// Packets.
    pub packets: u64,
    /// Octets with their IP headers.
    pub octets: u64,
    /// Octets of the last full second.
    pub octets_per_second: u64,
}

/// What the segments of a TCP connection tell who sees them pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerTcp {
    /// How far it is.
    pub state: InnerTcpState,
    /// From here to the client and back.
    pub to_client: Option<RoundTrip>,
    /// From here to the other end and back.
    pub to_network: Option<RoundTrip>,
    /// Segments from the client that begin before what had come already: sent again, or overtaken on their way.
    pub again_up: u32,
    /// The same to the client.
    pub again_down: u32,
    /// Octets that a segment to the client may have, as its SYN said after clamping.
    pub client_mss: Option<u16>,
    /// Octets that a segment to the other end may have.
    pub network_mss: Option<u16>,
}

/// The time between a segment and what first acknowledges it, of segments that were not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// Smoothed by an eighth.
    pub smoothed: Duration,
    /// The least.
    pub least: Duration,
}

/// How far a TCP connection is, by what has been seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum InnerTcpState {
    /// A SYN, and nothing that acknowledges it.
    Opening,
    /// Segments without SYN pass.
    #[default]
    Open,
    /// One end has said that it will say no more.
    Closing,
    /// Both have.
    Closed,
    /// It was reset.
    Reset,
}
