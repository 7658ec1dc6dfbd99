//! Connections as the API shows them: those by cTCP, and those in real TCP (RFC 9329), of which there is less to find out: TCP repairs
//! itself, and what a path does to it is between the two ends' TCPs.

use super::FlowView;
use super::view::{micros, named};
use crate::session::SessionId;
use adit_dataplane::contract::{StreamReport, StreamState};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::ToSchema;

/// `GET /v1/ctcp`: one of these for each connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ConnectionView {
    /// By cTCP.
    Ctcp(Box<FlowView>),
    /// RFC 9329.
    Tcp(Box<StreamView>),
}

/// A connection in real TCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamView {
    /// `c0-7`: worker and number.
    pub id: String,
    /// The peer's outer address, after NAT.
    #[schema(value_type = String)]
    pub peer: SocketAddr,
    /// Ours.
    #[schema(value_type = String)]
    pub local: SocketAddr,
    /// `begins` (no IKE has come), `login` (no session yet), `up` or `ends`.
    pub state: String,
    /// The session that has it; empty while there is none.
    pub session: String,
    /// The session's identity.
    pub identity: String,
    /// The way there and back in microseconds, smoothed,
    pub rtt_us: Option<u64>,
    /// and the least.
    pub least_rtt_us: Option<u64>,
    /// Octets sent and not acknowledged.
    pub in_flight: usize,
    /// Octets that wait to be sent; beyond `queue_most` the oldest ESP gives way.
    pub queued: usize,
    /// See `queued`.
    pub queue_most: usize,
    /// ESP packets that had to give way.
    pub given_way: u64,
    /// Since it began.
    pub age_seconds: u64,
    /// Since anything came from the peer.
    pub silent_seconds: u64,
    /// From the client: segments with data, and its octets, each counted once.
    pub up: StreamUpView,
    /// To the client.
    pub down: StreamDownView,
}

/// What came from the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamUpView {
    /// Segments with data, however often they came.
    pub segments: u64,
    /// Octets of the stream, each counted once.
    pub octets: u64,
}

/// What went to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamDownView {
    /// Segments with data, each counted once.
    pub segments: u64,
    /// Their octets.
    pub octets: u64,
    /// Segments that were sent again.
    pub resent: u64,
}

impl ConnectionView {
    /// Its name.
    pub fn id(&self) -> &str {
        match self {
            Self::Ctcp(flow) => &flow.id,
            Self::Tcp(stream) => &stream.id,
        }
    }

    /// Whether somebody who says this means it: its name, its peer's address, or that with the port.
    pub fn is_called(&self, name: &str) -> bool {
        let (id, peer) = match self {
            Self::Ctcp(flow) => (&flow.id, flow.peer),
            Self::Tcp(stream) => (&stream.id, stream.peer),
        };
        id == name || peer.to_string() == name || peer.ip().to_string() == name
    }
}

impl StreamView {
    /// As a worker reports it, with the session that has it.
    pub fn new(stream: &StreamReport, session: Option<(SessionId, String)>) -> Self {
        let state = match (stream.state, stream.tunnel) {
            (StreamState::Begins, _) => "begins",
            (StreamState::Open, None) => "login",
            (StreamState::Open, Some(_)) => "up",
            (StreamState::Ends, _) => "ends",
        };
        let (session, identity) = named(session);
        let evidence = &stream.evidence;
        Self {
            id: stream.id.to_string(),
            peer: stream.path.peer,
            local: stream.path.local,
            state: state.to_owned(),
            session,
            identity,
            rtt_us: evidence.rtt.map(micros),
            least_rtt_us: evidence.least_rtt.map(micros),
            in_flight: evidence.in_flight,
            queued: evidence.queued,
            queue_most: evidence.queue_most,
            given_way: evidence.given_way,
            age_seconds: stream.age.as_secs(),
            silent_seconds: stream.silent.as_secs(),
            up: StreamUpView { segments: evidence.came.segments, octets: evidence.came.octets },
            down: StreamDownView {
                segments: evidence.went.segments,
                octets: evidence.went.octets,
                resent: evidence.resent,
            },
        }
    }
}
