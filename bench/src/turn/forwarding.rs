//! A worker that forwards packets in memory for as long as somebody wants, for measurements of what happens beside it.

use super::by::By;
use super::case::{Case, Direction, What};
use super::inner::{FlowTable, Inner, RateLimit};
use super::{TurnArgs, TurnError, clocks_per_nano, suite};
use adit_dataplane::contract::WorkerCounters;
use adit_dataplane::worker::pin;
use std::sync::Arc;
use std::time::Duration;

/// Octets of an inner packet: about the mean of what tunnels carry.
const SIZE: u16 = 350;
/// Tunnels that packets come through in turn.
const SAS: u32 = 1000;
/// Turns between two looks at whether it is to go on.
const BURSTS: u32 = 50;

/// It decapsulates what 1000 clients send by NAT-T, with the flow table on.
pub(crate) struct Forwarding {
    case: Case,
    clock: quanta::Clock,
    clocks_per_nano: f64,
    burst: u64,
}

/// What a worker has done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Forwarded {
    pub(crate) packets: u64,
    /// In its turns: what makes the packets for it is out of that.
    pub(crate) time: Duration,
}

impl Forwarding {
    /// On the thread that calls, which is pinned to this core.
    pub(crate) fn new(core: usize) -> Result<Self, TurnError> {
        pin(Some(core))?;
        let suite = suite("aes128gcm16").map_err(|_unknown| TurnError::Bench("no such suite"))?;
        let args = TurnArgs {
            by: vec![By::NatT],
            suites: vec![suite],
            sizes: vec![SIZE],
            window: 1024,
            burst: 64,
            sas: vec![SAS],
            inner: Inner::Udp,
            flows: vec![1000],
            flow_table: vec![FlowTable::On],
            rate_limit: vec![RateLimit::Off],
            rounds: 1,
            bursts: BURSTS,
            json: true,
        };
        let (direction, inner, flows) = (Direction::Decapsulate, Inner::Udp, 1000);
        let (table, limit) = (FlowTable::On, RateLimit::Off);
        let what = What { by: By::NatT, suite, sas: SAS, direction, inner, size: SIZE, flows, table, limit };
        let (case, clock) = (Case::new(&args, what)?, quanta::Clock::new());
        Ok(Self { case, clocks_per_nano: clocks_per_nano(&clock), clock, burst: args.burst.into() })
    }

    /// Its worker's.
    pub(crate) fn counters(&self) -> Option<Arc<WorkerCounters>> {
        self.case.counters()
    }

    /// Some bursts more. A packet that gets lost is an error.
    pub(crate) fn go_on(&mut self) -> Result<Forwarded, TurnError> {
        let packets = u64::from(BURSTS) * self.burst;
        let clocks = self.case.round(&self.clock, BURSTS)? * packets as f64;
        Ok(Forwarded { packets, time: Duration::from_secs_f64(clocks / self.clocks_per_nano / 1e9) })
    }
}
