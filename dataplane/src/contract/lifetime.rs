//! How long an SA lives (RFC 4301 section 4.4.2.1): at a soft limit it is to be replaced, at a hard one it ends.

use crate::time::Instant;

/// Both kinds of limit. A soft one that is not below its hard one is never told of in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lifetime {
    /// Reported once as [`Reached::Soft`]; the SA goes on.
    pub soft: Limits,
    /// Reported once as [`Reached::Hard`]; the SA carries nothing any more (`lifetime_over`).
    pub hard: Limits,
}

/// Whichever comes first; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Packets that were authenticated and new, or sent.
    pub packets: Option<u64>,
    /// Octets of theirs that the cipher was applied to (RFC 4301 section 4.4.2.1): padding and trailer count, ESP
    /// header, IV and ICV do not.
    pub octets: Option<u64>,
    /// On the dataplane's clock. Looked at when a packet passes: an SA that nobody uses reports nothing.
    pub time: Option<Instant>,
}

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reached {
    /// Time to replace the SA.
    Soft,
    /// It has ended.
    Hard,
}

/// Which SA of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer.
    Inbound,
    /// To the peer.
    Outbound,
}
