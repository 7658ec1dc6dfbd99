//! All that the control plane may see of the dataplane: commands in, events out, tables and counters.

mod burst_times;
mod capture;
mod capture_ring;
mod command;
mod counters;
mod event;
mod flow;
mod inner;
mod inner_flow;
mod lifetime;
mod rates;
mod selector;
mod spi;
mod tables;
mod transport;
mod tuning;
mod tunnel_drops;
mod tunnel_rules;

pub use burst_times::BurstTimes;
pub use capture::{
    CaptureAim, CaptureId, CaptureOrder, CapturePaths, CaptureSide, CaptureSides, CaptureWay, Captured, MAX_CAPTURES,
    OuterForm, Sight,
};
pub use capture_ring::{CaptureReader, CaptureWriter, CapturedNumber, Reading, capture_ring};
pub use command::{
    Command, Following, InboundSpec, Keepalive, KeepaliveForm, Lane, Move, OutboundSpec, PairSpec, TunnelKey,
    TunnelSpec,
};
pub use counters::{SaCounters, SaTotals, WorkerCounters, WorkerTotals};
pub use event::{Event, IkeDatagram, IkeFraming, Path, Retired, Wayward};
pub use flow::{
    Amount, Diagnosis, DownEvidence, Evidence, Finding, FlowId, FlowPage, FlowReport, Leg, Loss, NoFlowId, PathClass,
    PeerClass, Percent, Stall, StalledFlow, Stalling, StreamEvidence, StreamReport, StreamState, SynOptions,
    UpEvidence,
};
pub use inner::InnerLayout;
pub use inner_flow::{InnerFlowPage, InnerFlowReport, InnerTcp, InnerTcpState, InnerTraffic, RoundTrip};
pub use lifetime::{Direction, Lifetime, Limits, Reached};
pub use rates::{Rate, Rates};
pub use selector::{Selector, Selectors};
pub use spi::{ClusterSlot, Spi, SpiLayout, SpiParts};
pub use tables::{NextHop, Routes};
pub use transport::{EspPath, Transport, Transports};
pub use tuning::{CtcpCare, CtcpTuning, Tuning};
pub use tunnel_drops::TunnelDrops;
pub use tunnel_rules::{EcnMode, MssClamp, OuterDf, OuterDscp, TunnelRules};

pub use crate::fate::DropReason;
pub use adit_crypto::suite::SequenceNumbers;
pub use ipnet::IpNet;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::sync::Arc;

/// A worker thread, by its place in the configured list of cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u8);

impl WorkerId {
    /// The most workers an SPI can name (see [`SpiLayout`]).
    pub const MAX_WORKERS: usize = 64;

    /// The one of so many that owns a cTCP connection with this port of the peer's: segments say no more about their owner, for an
    /// acknowledgment has no SPI in it.
    pub fn of_connection(peer_port: u16, workers: usize) -> Self {
        Self((usize::from(peer_port) % workers.clamp(1, Self::MAX_WORKERS)) as u8)
    }

    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Gets a worker out of its wait.
pub trait Wake: Send + Sync {
    /// Returns at once; the worker's next turn follows soon.
    fn wake(&self);
}

/// Control's end of one worker.
pub struct WorkerHandle {
    /// Bounded: a full channel is an error that the caller sees.
    pub commands: Sender<Command>,
    /// To be woken after a command.
    pub waker: Arc<dyn Wake>,
    /// Written by the worker, read by anyone.
    pub counters: Arc<WorkerCounters>,
}

impl WorkerHandle {
    /// Hands `command` over and wakes the worker.
    pub fn send(&self, command: Command) -> Result<(), TrySendError<Command>> {
        self.commands.try_send(command)?;
        self.waker.wake();
        Ok(())
    }
}

/// Control's end of the whole dataplane.
pub struct Dataplane {
    /// One per worker, in [`WorkerId`] order.
    pub workers: Vec<WorkerHandle>,
    /// From all workers.
    pub events: Receiver<(WorkerId, Event)>,
    /// The inner routes; published whole.
    pub routes: Arc<ArcSwap<Routes>>,
    /// How SPIs name their owner.
    pub spi_layout: SpiLayout,
}
