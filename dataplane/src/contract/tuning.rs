//! What a worker can be told to do otherwise while it works.

use super::TunnelRules;
use std::time::Duration;

/// All of it; what is the same as before changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// Packets taken at a time: as many as the worker has buffers at most.
    pub burst: usize,
    /// How long it looks for packets before it sleeps.
    pub spin: Duration,
    /// The longest that packets gather.
    pub coalesce: Duration,
    /// What tunnels do with sizes and outer headers. DF is as it was at start: it belongs to sockets.
    pub rules: TunnelRules,
    /// How often ESP may move one tunnel.
    pub moves_per_minute: u32,
    /// What becomes of connections by cTCP; `None` where there are none.
    pub ctcp: Option<CtcpTuning>,
}

/// Of connections by cTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CtcpTuning {
    /// What those that begin get.
    pub care: CtcpCare,
    /// When one has stalled; `None` is never.
    pub stall_after: Option<Duration>,
    /// Octets that one that begins keeps for sending again.
    pub ring: usize,
    /// Octets that all of a worker's hold.
    pub memory: usize,
}

/// What a headend does for a connection by cTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtcpCare {
    /// What its peer and path turn out to need.
    Adaptive,
    /// Nothing.
    Stateless,
}
