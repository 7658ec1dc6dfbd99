//! One connection among a worker's.

use super::flow::Flow;
use super::stall::Stalling;
use crate::contract::{Path, TunnelKey};
use crate::time::Instant;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// So long a flow that nobody vouches for may last.
pub(super) const UNPROVEN: Duration = Duration::from_secs(60);

/// A path as the books have it: its hash takes a few clocks, and a look-up is made for each packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    local: u128,
    peer: u128,
    ports: u32,
}

impl Key {
    /// An IPv4 address is written as RFC 4291 section 2.5.5.2 has it; on the wire there are no such IPv6 addresses.
    pub(super) fn of(path: &Path) -> Self {
        let bits = |address| match address {
            IpAddr::V4(v4) => Ipv4Addr::to_ipv6_mapped(&v4).to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let ports = u32::from(path.local.port()) << 16 | u32::from(path.peer.port());
        Self { local: bits(path.local.ip()), peer: bits(path.peer.ip()), ports }
    }
}

/// One flow with its place in the books.
pub(super) struct Slot {
    pub(super) path: Path,
    pub(super) flow: Flow,
    /// Counted on this worker.
    pub(super) number: u64,
    pub(super) since: Instant,
    /// `None` once somebody has vouched for it.
    pub(super) unproven_since: Option<Instant>,
    /// Whose session vouched for it last.
    pub(super) tunnel: Option<TunnelKey>,
    /// When it ends, if that is decided.
    pub(super) ends_at: Option<Instant>,
    /// What control was told of its stall.
    pub(super) told: Option<Stalling>,
    /// The entry in the agenda that counts, if there is one.
    pub(super) wake: Option<Instant>,
    /// Whether it has something to say at once.
    pub(super) urgent: bool,
    pub(super) memory: usize,
}

impl Slot {
    /// Nobody has vouched for it yet.
    pub(super) const fn new(now: Instant, path: &Path, flow: Flow) -> Self {
        Self {
            path: *path,
            flow,
            number: 0,
            since: now,
            unproven_since: Some(now),
            tunnel: None,
            ends_at: None,
            told: None,
            wake: None,
            urgent: false,
            memory: 0,
        }
    }

    /// Octets that it holds for others now.
    #[inline]
    pub(super) fn remember(&mut self) -> usize {
        self.memory = self.flow.memory();
        self.memory
    }

    /// When it has something to say, or nobody will have vouched for it, or there is something to tell of its stall.
    #[inline]
    pub(super) fn due(&self, stalling: Option<Instant>) -> Instant {
        let expiry = self.unproven_since.map(|since| since + UNPROVEN);
        expiry.into_iter().chain(self.ends_at).chain(stalling).fold(self.flow.deadline(), Instant::min)
    }
}
