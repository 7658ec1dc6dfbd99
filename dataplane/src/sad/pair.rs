//! Both halves of a child SA, for as long as either lives.
//!
//! ```text
//!            lane                  pair
//! in use    | outbound half | ◀── | inbound half |               |
//! otherwise | another's     |     | inbound half | outbound half |
//! ```
//!
//! An outbound half that is not sent on rests beside its inbound half. It is moved, never made again: its next number
//! is in it, and an SA that began twice with the same keys would use IVs twice.

use crate::contract::{EspPath, Lane, PairSpec, Retired, Spi, TunnelKey, WorkerId};
use crate::esp::{InboundSa, IvSpace, OutboundSa};

/// One child SA of a tunnel.
pub(super) struct Pair {
    pub(super) inbound: InboundSa,
    /// Where its outbound half is sent on.
    pub(super) lane: Lane,
    /// Its outbound half, unless that is in its lane.
    pub(super) resting: Option<OutboundSa>,
    pub(super) start: Start,
}

/// What its outbound half waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Control's word, or the first packet on the inbound half if there is nothing in the lane by then.
    FirstUse,
    /// Control's word alone, for it has spoken once.
    Command,
}

impl Pair {
    /// A fresh one, of a tunnel of this worker's whose packets go to `path`. Nothing is sent on it yet.
    pub(super) fn new(spec: PairSpec, path: EspPath, worker: WorkerId) -> Self {
        let PairSpec { inbound, outbound } = spec;
        let (lane, spi) = (outbound.lane, inbound.spi);
        let outbound = OutboundSa::new(outbound, spi, IvSpace::new(0, worker));
        Self { inbound: InboundSa::new(inbound, path), lane, resting: Some(outbound), start: Start::FirstUse }
    }

    /// Its name.
    pub(super) fn spi(&self) -> Spi {
        self.inbound.spi()
    }

    /// Whose it is.
    pub(super) fn tunnel(&self) -> TunnelKey {
        self.inbound.tunnel()
    }

    /// Its keys go home. The outbound half has to rest for that.
    pub(super) fn retire(self, mut home: impl FnMut(Retired)) {
        let (spi, tunnel) = (self.spi(), self.tunnel());
        home(Retired::Inbound { spi, cipher: self.inbound.into_cipher() });
        if let Some(outbound) = self.resting {
            home(Retired::Outbound { tunnel, cipher: outbound.into_cipher() });
        }
    }
}
