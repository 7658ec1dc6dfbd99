//! A flow's place: three cache lines, of which each packet needs the first two, and TCP the third.

use super::index::NOWHERE;
use super::key::FlowKey;
use super::sight::{Sight, Way};
use super::tcp_watch::{TcpWatch, Timing};
use crate::contract::{InnerFlowReport, InnerTraffic, TunnelKey, WorkerId};
use crate::time::Instant;
use crate::wire::ip::TCP;

/// What the clock says, in what the entries count by; worked out once for a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) now: Instant,
    pub(super) second: u32,
    pub(super) micros: u32,
}

impl Times {
    pub(super) fn at(now: Instant) -> Self {
        let nanos = now.as_nanos();
        Self { now, second: (nanos / 1_000_000_000) as u32, micros: (nanos / 1000) as u32 }
    }
}

/// A place and what lies there.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Entry {
    /// Of a place that is free there is none.
    pub(super) key: FlowKey,
    /// The neighbours in the list by age. Places that are free are a list by `older`.
    pub(super) older: u32,
    pub(super) newer: u32,
    pub(super) hash: u32,
    /// The one that [`Traffic::lately`] counts.
    second: u32,

    pub(super) last: Instant,
    first: Instant,
    up: Traffic,
    down: Traffic,

    tcp: TcpWatch,
}

/// One way.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    packets: u64,
    octets: u64,
    /// Octets in this second,
    lately: u32,
    /// and in the one before.
    before: u32,
}

impl Entry {
    /// A place that is free.
    pub(super) fn free() -> Self {
        Self {
            key: FlowKey::NONE,
            older: NOWHERE,
            newer: NOWHERE,
            hash: 0,
            second: 0,
            last: Instant::ZERO,
            first: Instant::ZERO,
            up: Traffic::default(),
            down: Traffic::default(),
            tcp: TcpWatch::default(),
        }
    }

    /// A flow that begins.
    #[inline]
    pub(super) fn begin(&mut self, sight: &Sight, times: Times) {
        *self = Self { key: sight.key, hash: sight.hash, second: times.second, ..Self::free() };
        (self.first, self.last) = (times.now, times.now);
    }

    /// Packets pass that stand for `weight` each.
    #[inline]
    pub(super) fn see(&mut self, way: Way, sight: &Sight, times: Times, weight: u32) {
        self.last = times.now;
        if self.second != times.second {
            let next = self.second.wrapping_add(1) == times.second;
            for traffic in [&mut self.up, &mut self.down] {
                traffic.before = if next { traffic.lately } else { 0 };
                traffic.lately = 0;
            }
            self.second = times.second;
        }
        let traffic = match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        };
        let octets = sight.octets.saturating_mul(weight);
        traffic.packets += u64::from(sight.packets) * u64::from(weight);
        traffic.octets += u64::from(octets);
        traffic.lately = traffic.lately.saturating_add(octets);
        if let Some(segment) = &sight.tcp {
            let timing = if weight == 1 { Timing::On } else { Timing::Off };
            self.tcp.see(way, segment, sight.packets, times.micros, timing);
        }
    }

    /// Reads something of each line and makes nothing of it, so that they are in the cache soon after.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.hash) ^ self.last.as_nanos() ^ self.tcp.touch()
    }

    pub(super) fn report(&self, worker: WorkerId, times: Times) -> InnerFlowReport {
        let (client, network) = self.key.ends();
        InnerFlowReport {
            tunnel: TunnelKey { worker, slot: self.key.tunnel() },
            protocol: self.key.protocol(),
            client,
            network,
            age: times.now.since(self.first),
            idle: times.now.since(self.last),
            up: self.traffic(&self.up, times),
            down: self.traffic(&self.down, times),
            tcp: (self.key.protocol() == TCP).then(|| self.tcp.report()),
        }
    }

    fn traffic(&self, traffic: &Traffic, times: Times) -> InnerTraffic {
        let full_second = match times.second.wrapping_sub(self.second) {
            0 => traffic.before,
            1 => traffic.lately,
            _ => 0,
        };
        InnerTraffic { packets: traffic.packets, octets: traffic.octets, octets_per_second: full_second.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn an_entry_is_three_cache_lines_and_what_is_used_together_lies_together() {
        assert_eq!((size_of::<Entry>(), align_of::<Entry>()), (192, 64));
        assert_eq!((offset_of!(Entry, last), offset_of!(Entry, tcp)), (64, 128));
    }
}
