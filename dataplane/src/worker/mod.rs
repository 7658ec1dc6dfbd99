//! Workers: one thread per core, each running [`Worker::turn`] to completion on a burst.

mod arrive;
mod capture;
mod classify;
mod ctcp;
mod fit;
mod handoff;
mod inner_flows;
mod notice;
mod obey;
mod report;
mod setup;
mod tidings;
mod tune;
mod turn;

pub use setup::{CtcpSetup, DataplaneConfig, assemble, pin, start};
pub use turn::Turn;

use crate::contract::{Command, Event, Routes, SpiLayout, TunnelRules, WorkerCounters, WorkerId};
use crate::inner_flows::InnerFlows;
use crate::io::{Door, DoorStats};
use crate::packet::{Burst, Pool};
use crate::sad::Sad;
use arc_swap::{ArcSwap, Cache};
use capture::Captures;
use crossbeam_channel::{Receiver, Sender};
use ctcp::Ctcp;
use handoff::Neighbours;
use notice::Notices;
use report::Reports;
use std::sync::Arc;

/// All that a worker gets from outside but its door.
struct Seat {
    id: WorkerId,
    config: DataplaneConfig,
    spi_layout: SpiLayout,
    routes: Arc<ArcSwap<Routes>>,
    commands: Receiver<Command>,
    events: Sender<(WorkerId, Event)>,
    counters: Arc<WorkerCounters>,
    neighbours: Neighbours,
}

/// One worker: its door, its packets, its SAs. Nobody else touches them.
pub struct Worker<D> {
    id: WorkerId,
    limit: usize,
    /// Buffers of the usual size: no burst is larger.
    small: usize,
    rules: TunnelRules,
    door: D,
    door_stats: DoorStats,
    pool: Pool,
    sad: Sad,
    routes: Cache<Arc<ArcSwap<Routes>>, Arc<Routes>>,
    commands: Receiver<Command>,
    reports: Reports,
    counters: Arc<WorkerCounters>,
    neighbours: Neighbours,
    notices: Notices,
    /// Without ports for it there is none.
    ctcp: Option<Ctcp>,
    /// Unless nobody wants to know.
    inner_flows: Option<InnerFlows>,
    /// Who wants copies of what.
    captures: Captures,
    /// The packets that walk through the stages.
    burst: Burst,
    /// Room for a burst in which packets are cut.
    cut: Burst,
    /// What control wants sent.
    replies: Burst,
    /// What is not to be transmitted.
    rest: Burst,
    /// Slots of the SAs that the burst used, by direction.
    used: Vec<u32>,
}

impl<D: Door> Worker<D> {
    /// Allocates everything that the packet path will use, on the thread that will use it.
    fn new(seat: Seat, door: D) -> Self {
        let Seat { id, config, spi_layout, routes, commands, events, counters, neighbours } = seat;
        let buffers = config.pool.small + config.pool.large;
        let inner_flows = config.inner_flows.map(|flows| flows.share(id.0, neighbours.workers()));
        Self {
            id,
            limit: config.burst,
            small: config.pool.small,
            rules: config.rules,
            door_stats: door.stats(),
            door,
            pool: Pool::new(config.pool),
            sad: Sad::new(id, neighbours.workers(), spi_layout, config.moves_per_minute),
            routes: Cache::new(routes),
            commands,
            reports: Reports::new(id, events),
            counters,
            neighbours,
            notices: Notices::new(),
            ctcp: config.ctcp.map(|setup| Ctcp::new(id, setup.config, setup.secret_of(id))),
            inner_flows: inner_flows.map(|flows| InnerFlows::new(id, &flows, buffers)),
            captures: Captures::new(),
            burst: Vec::with_capacity(buffers),
            cut: Vec::with_capacity(buffers),
            replies: Vec::with_capacity(obey::COMMANDS_PER_TURN),
            rest: Vec::with_capacity(buffers),
            used: Vec::with_capacity(buffers),
        }
    }

    /// Its name.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Its free buffers: small, large.
    pub fn free_buffers(&self) -> (usize, usize) {
        self.pool.free()
    }

    /// Its door.
    pub fn door(&self) -> &D {
        &self.door
    }
}
