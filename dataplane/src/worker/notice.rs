//! Packets that a worker writes itself: ICMP to a sender whose packet does not fit its tunnel.
//!
//! They wait for the next turn and walk through its stages like any other inner packet, so that a sender behind
//! another tunnel, or another worker, is told as well.

use crate::packet::{Burst, Meta, Origin, PacketBuf, Pool};
use crate::time::Instant;
use crate::wire::icmp;
use std::time::Duration;

/// Most notices of a second, and at once (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f): errors are limited).
const PER_SECOND: u32 = 100;
/// One notice's share of a second.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / PER_SECOND as u64);

/// The notices of one worker, waiting.
pub(super) struct Notices {
    waiting: Burst,
    allowed: u32,
    counted: Instant,
}

impl Notices {
    pub(super) fn new() -> Self {
        Self { waiting: Vec::with_capacity(PER_SECOND as usize), allowed: PER_SECOND, counted: Instant::ZERO }
    }

    /// Tells the sender of `packet` what fits, if it may be told and the pool and the rate allow it.
    pub(super) fn too_big(&mut self, packet: &PacketBuf, mtu: u16, pool: &mut Pool, now: Instant) {
        if !self.allow(now) {
            return;
        }
        let mut message = [0; icmp::MOST];
        let Some(len) = icmp::too_big(packet.bytes(), mtu, &mut message) else { return };
        let Some(mut notice) = pool.take_small() else { return };
        let Some(room) = notice.extend_back(len) else {
            pool.put(notice);
            return;
        };
        room.copy_from_slice(&message[..len]);
        notice.meta = Meta { origin: Origin::Worker, ..Meta::default() };
        self.allowed -= 1;
        self.waiting.push(notice);
    }

    /// Whether any waits for the next turn.
    pub(super) fn waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next turn is here.
    pub(super) fn join(&mut self, burst: &mut Burst) {
        burst.append(&mut self.waiting);
    }

    fn allow(&mut self, now: Instant) -> bool {
        let earned = now.since(self.counted).as_nanos() / INTERVAL.as_nanos();
        if earned > 0 {
            self.allowed = u32::try_from(earned).unwrap_or(PER_SECOND).saturating_add(self.allowed).min(PER_SECOND);
            self.counted = now;
        }
        self.allowed > 0
    }
}
