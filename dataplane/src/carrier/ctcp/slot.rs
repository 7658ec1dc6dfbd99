//! One connection among a worker's.

use super::flow::Flow;
use super::send::Room;
use super::stall::Stalling;
use crate::carrier::tcp::{Beginning, Stream};
use crate::contract::{Path, TunnelKey};
use crate::time::Instant;
use crate::wire::tcp::TcpHeader;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Segments a minute that may turn out to begin another connection in a flow's place. A cookie of real TCP's is 24 bits long: who guesses
/// needs weeks.
const GUESSES: u32 = 256;

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

/// What a connection turned out to be.
#[allow(
    clippy::large_enum_variant,
    reason = "a slot is in a box of its own, and another would be one more to look into"
)]
pub(super) enum Talk {
    /// cTCP.
    Ctcp(Flow),
    /// RFC 9329, as far as its prefix says.
    Begins(Beginning),
    /// RFC 9329.
    Stream(Box<Stream>),
}

/// What its peer has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// That it is where it says to be, since then.
    Unproven(Instant),
    /// That somebody logs in there, which is little: behind IKEv1's phase 1 it need be nobody yet.
    Expected,
    /// A session has vouched for it, or we have begun it.
    Kept,
}

/// One flow with its place in the books.
pub(super) struct Slot {
    pub(super) path: Path,
    pub(super) talk: Talk,
    /// Counted on this worker.
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) standing: Standing,
    /// Segments that no peer of it could send, in the minute that began then.
    pub(super) guesses: (u32, Instant),
    /// Whose session vouched for it last.
    pub(super) tunnel: Option<TunnelKey>,
    /// When it ends, if that is decided.
    pub(super) ends_at: Option<Instant>,
    /// What control was told of its stall.
    pub(super) told: Option<Stalling>,
    /// Its entry in the agenda, if there is one.
    pub(super) wake: Option<Instant>,
    /// Whether something has happened to it since the last poll.
    pub(super) touched: bool,
    pub(super) memory: usize,
}

impl Slot {
    /// Nobody has vouched for it yet.
    pub(super) const fn new(now: Instant, path: &Path, talk: Talk) -> Self {
        Self {
            path: *path,
            talk,
            number: 0,
            since: now,
            standing: Standing::Unproven(now),
            guesses: (0, now),
            tunnel: None,
            ends_at: None,
            told: None,
            wake: None,
            touched: false,
            memory: 0,
        }
    }

    /// Octets that it holds for others now.
    #[inline]
    pub(super) fn remember(&mut self) -> usize {
        self.memory = match &self.talk {
            Talk::Ctcp(flow) => flow.memory(),
            Talk::Begins(begins) => begins.memory(),
            Talk::Stream(stream) => stream.memory(),
        };
        self.memory
    }

    /// When it has something to say, or nobody will have vouched for it, or there is something to tell of its stall.
    #[inline]
    pub(super) fn due(&self, stalling: Option<Instant>) -> Instant {
        let expiry = match self.standing {
            Standing::Unproven(since) => Some(since + UNPROVEN),
            Standing::Expected | Standing::Kept => None,
        };
        expiry.into_iter().chain(self.ends_at).chain(stalling).fold(self.deadline(), Instant::min)
    }

    /// How much larger it may become, if there is `room` for all.
    #[inline]
    pub(super) const fn share_of(&self, room: Room) -> Room {
        match (self.standing, room) {
            (Standing::Unproven(_) | Standing::Expected, Room::Left) => Room::Little,
            (Standing::Unproven(_) | Standing::Expected | Standing::Kept, room) => room,
        }
    }

    /// When anything of the peer's came last.
    pub(super) fn heard_at(&self) -> Instant {
        match &self.talk {
            Talk::Ctcp(flow) => flow.heard_at(),
            Talk::Begins(begins) => begins.heard_at(),
            Talk::Stream(stream) => stream.heard_at(),
        }
    }

    /// Whether a peer that is where we think it is could send this.
    pub(super) fn believes(&self, segment: &TcpHeader) -> bool {
        match &self.talk {
            Talk::Ctcp(flow) => flow.believes(segment),
            Talk::Begins(begins) => begins.believes(segment),
            Talk::Stream(stream) => stream.believes(segment),
        }
    }

    /// Whether a segment that it does not believe may be looked at as the beginning of another connection.
    pub(super) fn may_be_another(&mut self, now: Instant) -> bool {
        if now.since(self.guesses.1) >= Duration::from_secs(60) {
            self.guesses = (0, now);
        }
        self.guesses.0 = self.guesses.0.saturating_add(1);
        self.guesses.0 <= GUESSES
    }

    fn deadline(&self) -> Instant {
        match &self.talk {
            Talk::Ctcp(flow) => flow.deadline(),
            // It speaks when it is spoken to.
            Talk::Begins(_) => Instant::from_nanos(u64::MAX),
            Talk::Stream(stream) => stream.deadline(),
        }
    }
}
