//! What a worker knows of connections by cTCP and in real TCP, copied for control, and what that says of peer and path.

use super::{Path, TunnelKey, WorkerId};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use crate::carrier::ctcp::{Stalling, SynOptions};

/// A connection's name: its worker's, and how many came to that worker before it. Never used twice while the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// The owner.
    pub worker: WorkerId,
    /// Counted there.
    pub number: u64,
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}-{}", self.worker.0, self.number)
    }
}

/// It is not a connection's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFlowId;

impl fmt::Display for NoFlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a connection's name looks like \"c0-7\"")
    }
}

impl FromStr for FlowId {
    type Err = NoFlowId;

    fn from_str(text: &str) -> Result<Self, NoFlowId> {
        let (worker, number) = text.strip_prefix('c').and_then(|rest| rest.split_once('-')).ok_or(NoFlowId)?;
        let worker = WorkerId(worker.parse().map_err(|_| NoFlowId)?);
        Ok(Self { worker, number: number.parse().map_err(|_| NoFlowId)? })
    }
}

/// A page of a worker's connections: control brings the room for it, so that the worker need not look for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowPage {
    /// The place in the worker's table where it begins.
    pub from: u32,
    /// Where the next page begins, if there is more.
    pub next: Option<u32>,
    /// Connections by cTCP,
    pub flows: Vec<FlowReport>,
    /// and in real TCP.
    pub streams: Vec<StreamReport>,
}

impl FlowPage {
    /// Connections on a page.
    pub const FLOWS: usize = 64;

    /// An empty one.
    pub fn new(from: u32) -> Self {
        let (flows, streams) = (Vec::with_capacity(Self::FLOWS), Vec::with_capacity(Self::FLOWS));
        Self { from, next: None, flows, streams }
    }

    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        self.flows.len() + self.streams.len() >= Self::FLOWS
    }
}

/// A session's connection that the peer's data no longer comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StalledFlow {
    /// The session's.
    pub tunnel: TunnelKey,
    /// How far it has gone.
    pub stalling: Stalling,
    /// All that is known of it.
    pub flow: FlowReport,
}

/// How far a connection in real TCP is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamState {
    /// No IKE message has come by it.
    Begins,
    /// It carries IKE and ESP.
    Open,
    /// One end has said that it will say no more, or will soon.
    Ends,
}

/// All that is told of one connection in real TCP (RFC 9329).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamReport {
    /// Its name.
    pub id: FlowId,
    /// Between whom.
    pub path: Path,
    /// Whose session vouches for it, if one does.
    pub tunnel: Option<TunnelKey>,
    /// How far it is.
    pub state: StreamState,
    /// Since it began.
    pub age: Duration,
    /// Since anything came from the peer.
    pub silent: Duration,
    /// What was counted.
    pub evidence: StreamEvidence,
}

/// What a connection in real TCP has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamEvidence {
    /// From the peer: segments with data, however often they came, and the octets of its stream.
    pub came: Amount,
    /// To the peer: segments with data and their octets, each counted once.
    pub went: Amount,
    /// Segments that were sent again.
    pub resent: u64,
    /// The way there and back, smoothed; `None` before it was measured.
    pub rtt: Option<Duration>,
    /// The least that was measured.
    pub least_rtt: Option<Duration>,
    /// Octets that nobody has acknowledged.
    pub in_flight: usize,
    /// Octets that wait to be sent,
    pub queued: usize,
    /// of ESP so many at most.
    pub queue_most: usize,
    /// ESP packets that had to give way to newer ones.
    pub given_way: u64,
}

/// Segments and octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// So many segments,
    pub segments: u64,
    /// so many octets.
    pub octets: u64,
}

/// All that is told of one connection by cTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowReport {
    /// Its name.
    pub id: FlowId,
    /// Between whom.
    pub path: Path,
    /// Whose session vouches for it, if one does.
    pub tunnel: Option<TunnelKey>,
    /// What control was told of its stall, if it has one.
    pub stalling: Option<Stalling>,
    /// Since it began.
    pub age: Duration,
    /// Since anything came from the peer.
    pub silent: Duration,
    /// What was counted.
    pub evidence: Evidence,
    /// What follows from that.
    pub diagnosis: Diagnosis,
}

/// What a connection has shown so far. Numbers alone; who can guess where the stream stands can spoil them, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// What the peer's SYN had.
    pub syn: SynOptions,
    /// From the peer.
    pub up: UpEvidence,
    /// To the peer.
    pub down: DownEvidence,
    /// The peer's data no longer comes through.
    pub stall: Option<Stall>,
}

/// What came from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UpEvidence {
    /// Segments with data.
    pub segments: u64,
    /// Their octets.
    pub octets: u64,
    /// Segments that were not one whole frame.
    pub pieces: u64,
    /// Segments without data.
    pub keepalives: u64,
    /// Holes that opened in the stream,
    pub holes: u64,
    /// of those: behind which ESP's numbers have a gap, too: a packet is lost;
    pub holes_in_esp: u64,
    /// behind which ESP's numbers go on: no packet is lost, whatever the octets were.
    pub holes_not_in_esp: u64,
    /// Holes that were filled so soon that their octets had only been overtaken.
    pub overtaken: u64,
    /// Holes that somebody filled who was told of them.
    pub refilled: u64,
    /// Holes that nobody filled,
    pub passed_over: u64,
    /// and their octets.
    pub missing: u64,
    /// Octets that came again.
    pub repeated: u64,
    /// ESP packets,
    pub esp: u64,
    /// numbers between them that never came,
    pub esp_missing: u64,
    /// and that came after a later one.
    pub esp_late: u64,
    /// Packets with a number that had come.
    pub esp_again: u64,
}

/// What went to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DownEvidence {
    /// Segments with data, each counted once.
    pub segments: u64,
    /// Their octets.
    pub octets: u64,
    /// Segments that were sent again.
    pub resent: u64,
    /// How often what was missing was sent again,
    pub repairs: u64,
    /// and how often the acknowledgment moved after that which had stood with several segments behind it.
    pub helped: u64,
    /// Duplicate acknowledgments.
    pub duplicates: u64,
    /// How often the stream was begun again at what was acknowledged.
    pub rewinds: u64,
    /// Frames of nothing that stood in for what was no longer kept.
    pub filled: u64,
    /// How often the acknowledgments of a peer that was heard stood a window behind what was sent.
    pub plateaus: u64,
    /// The way there and back, smoothed; `None` before it was measured.
    pub rtt: Option<Duration>,
    /// The least that was measured: a peer that acknowledges seldom makes the others too long.
    pub least_rtt: Option<Duration>,
    /// Octets that nobody has acknowledged.
    pub in_flight: usize,
    /// Octets kept for sending again,
    pub ring: usize,
    /// of so many at most.
    pub ring_most: usize,
}

/// The peer says that it has sent more than what has come, and nothing of it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// Since the last data.
    pub since: Duration,
    /// Octets that the peer has sent since then.
    pub missing: usize,
    /// Octets before that which we had not acknowledged when it began.
    pub unacknowledged: usize,
    /// How often the peer has said so,
    pub said: u32,
    /// and how often it was further than the time before: it goes on sending.
    pub advances: u32,
}

/// How sure something is, of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(pub u8);

/// What the peer's TCP is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerClass {
    /// Cisco's: repeats nothing, looks at no acknowledgment.
    Legacy,
    /// Real TCP, the peer's or a proxy's.
    Tcp,
    /// Real TCP that keeps frames whole, as two ends of ours do.
    Ours,
}

/// What the path does with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathClass {
    /// Nothing that shows.
    Clean,
    /// It counts octets that nobody has acknowledged.
    Tracker,
    /// It waits for what is missing.
    InOrder,
    /// It cuts and joins.
    Splitter,
}

/// Where packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leg {
    /// Between the client and the box.
    ClientSide,
    /// Between the box, or proxy, and us.
    HeadendSide,
    /// Behind the proxy, seen from here.
    BehindProxy,
    /// Inside the client, before its TCP.
    InClient,
    /// Somewhere: no box on the way shows on which side of it.
    Somewhere,
}

/// What is lost on one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Where,
    pub leg: Leg,
    /// and how sure that is.
    pub sure: Percent,
    /// Packets, or holes where packets cannot be told,
    pub lost: u64,
    /// of so many.
    pub of: u64,
}

/// What the evidence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diagnosis {
    /// Who is there,
    pub peer: PeerClass,
    /// how sure,
    pub peer_sure: Percent,
    /// what is on the way,
    pub path: PathClass,
    /// how sure,
    pub path_sure: Percent,
    /// what is lost from the peer
    pub up: Option<Loss>,
    /// and to it,
    pub down: Option<Loss>,
    /// and what of all that is to be acted upon.
    pub finding: Finding,
}

/// What an operator would want to know first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// Nothing is wrong.
    Well,
    /// Packets are lost, and nothing worse comes of it.
    Lossy,
    /// A box waits for what is missing; what we send is repaired.
    Waits,
    /// A box counts windows, and has held the connection up.
    Counts,
    /// Frames are cut; a Cisco client loses those that are cut on their way to it.
    Cut,
    /// A box waits for what only the client could repeat, and it does not.
    Stalled,
    /// A box that counts windows lets nothing of the client's pass any more.
    Shut,
}

macro_rules! words {
    ($($class:ident { $($variant:ident $name:literal,)+ })+) => {
        $(impl $class {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable word.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl fmt::Display for $class {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        })+
    };
}

words! {
    PeerClass { Legacy "legacy", Tcp "tcp", Ours "ours", }
    PathClass { Clean "clean", Tracker "tracker", InOrder "in-order", Splitter "splitter", }
    Leg {
        ClientSide "client_side", HeadendSide "headend_side", BehindProxy "behind_proxy", InClient "in_client",
        Somewhere "somewhere",
    }
    Finding {
        Well "well", Lossy "lossy", Waits "waits", Counts "counts", Cut "cut", Stalled "stalled", Shut "shut",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connections_name_is_read_as_it_is_written() {
        let id = FlowId { worker: WorkerId(3), number: 71 };
        assert_eq!((id.to_string().as_str(), "c3-71".parse()), ("c3-71", Ok(id)));
        for text in ["", "c", "c-", "3-71", "c3-", "c-71", "c256-1", "c3-x", "c3-71 "] {
            assert_eq!(text.parse::<FlowId>(), Err(NoFlowId), "{text:?}");
        }
    }
}
