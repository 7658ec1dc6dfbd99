//! Starting: pinned threads, each with a door that it makes itself.

use super::ctcp::Ctcp;
use super::handoff::{Sleep, mesh};
use super::{Seat, Turn, Worker};
use crate::carrier::ctcp::CtcpConfig;
use crate::contract::{
    Command, Dataplane, Routes, SpiLayout, TunnelRules, Wake, WorkerCounters, WorkerHandle, WorkerId,
};
use crate::inner_flows::InnerFlowsConfig;
use crate::io::Door;
use crate::packet::PoolSizes;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The longest sleep while events wait for room.
const HELD_UP_LIMIT: Duration = Duration::from_millis(1);

/// How many workers, where, and how much each may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataplaneConfig {
    /// One per worker: the core that it is pinned to, or wherever the kernel likes.
    pub workers: Vec<Option<usize>>,
    /// Packets of a burst, 1 to 1024.
    pub burst: usize,
    /// Each worker's packets. All workers have the same: buffers travel.
    pub pool: PoolSizes,
    /// Commands that wait for one worker at most.
    pub command_depth: usize,
    /// Events of all workers that wait for control at most.
    pub event_depth: usize,
    /// Packets that wait from one worker for one other at most. Memory: about 300 octets each, for each ordered pair.
    pub handoff_depth: usize,
    /// The longest that an idle worker sleeps.
    pub idle_limit: Duration,
    /// What tunnels do with sizes and outer headers.
    pub rules: TunnelRules,
    /// cTCP's connections, if there are any.
    pub ctcp: Option<CtcpSetup>,
    /// The table of flows inside tunnels, if there is one.
    pub inner_flows: Option<InnerFlowsConfig>,
    /// How often ESP may move one tunnel to another outer address; 0 is never.
    pub moves_per_minute: u32,
}

/// How cTCP is treated, and what keys its cookies.
#[derive(Clone, PartialEq, Eq)]
pub struct CtcpSetup {
    /// How many connections, and how.
    pub config: CtcpConfig,
    /// Random, and known to nobody else.
    pub secret: [u8; 24],
}

impl CtcpSetup {
    /// Each worker's own.
    pub(super) fn secret_of(&self, worker: WorkerId) -> [u8; 24] {
        let mut secret = self.secret;
        secret[0] ^= worker.0;
        secret
    }
}

impl std::fmt::Debug for CtcpSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CtcpSetup").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Default for DataplaneConfig {
    fn default() -> Self {
        Self {
            workers: vec![None],
            burst: 64,
            pool: PoolSizes::default(),
            command_depth: 1024,
            event_depth: 4096,
            handoff_depth: 256,
            idle_limit: Duration::from_secs(1),
            rules: TunnelRules::default(),
            ctcp: None,
            inner_flows: None,
            moves_per_minute: 60,
        }
    }
}

impl DataplaneConfig {
    fn check(&self, doors: usize) -> io::Result<()> {
        let wrong = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        let workers = self.workers.len();
        if workers == 0 || workers > WorkerId::MAX_WORKERS {
            return wrong(format!("{workers} workers: there must be 1 to {}", WorkerId::MAX_WORKERS));
        }
        if doors != workers {
            return wrong(format!("{doors} doors for {workers} workers"));
        }
        if self.burst == 0 || self.burst > 1024 {
            return wrong(format!("a burst of {}: it must be 1 to 1024", self.burst));
        }
        if self.pool.small < self.burst {
            return wrong(format!("{} small buffers do not hold a burst of {}", self.pool.small, self.burst));
        }
        Ok(())
    }
}

/// Starts a thread per worker. Each makes its door itself (a kernel ring belongs to the thread that uses it) and
/// turns until [`Command::Stop`]. A thread that panics ends the process: half a dataplane must not go on unseen.
///
/// # Errors
/// The first worker that could not be pinned or whose door could not be opened; none runs then.
pub fn start<D: Door + 'static>(
    config: &DataplaneConfig,
    spi_layout: SpiLayout,
    routes: Routes,
    make_doors: Vec<impl FnOnce() -> io::Result<D> + Send + 'static>,
) -> io::Result<(Dataplane, Vec<JoinHandle<io::Result<()>>>)> {
    config.check(make_doors.len())?;
    let mut threads = Vec::new();
    let mut opened = Vec::new();
    for (index, (make_door, core)) in make_doors.into_iter().zip(&config.workers).enumerate() {
        let (tell, told) = bounded(1);
        let (seat, take_seat) = bounded(1);
        let (core, limit) = (*core, config.idle_limit);
        let thread = thread::Builder::new()
            .name(format!("adit-w{index}"))
            .spawn(move || run(index, core, limit, make_door, &tell, &take_seat))?;
        threads.push(thread);
        opened.push((told, seat));
    }
    // All doors or none: dropping the seats sends the threads home.
    let mut wakers = Vec::new();
    let mut seats_out = Vec::new();
    for (told, seat) in opened {
        let gone = |_| io::Error::other("a worker ended before it said why");
        wakers.push(told.recv().map_err(gone)??);
        seats_out.push(seat);
    }
    let (dataplane, seats) = plan(config, spi_layout, routes, wakers);
    for (seat, to) in seats.into_iter().zip(seats_out) {
        to.send(seat).map_err(|_| io::Error::other("a worker ended before it began"))?;
    }
    Ok((dataplane, threads))
}

/// The same without threads: whoever calls takes the turns.
///
/// # Errors
/// The config contradicts itself.
pub fn assemble<D: Door>(
    config: &DataplaneConfig,
    spi_layout: SpiLayout,
    routes: Routes,
    doors: Vec<D>,
) -> io::Result<(Dataplane, Vec<Worker<D>>)> {
    config.check(doors.len())?;
    let wakers = doors.iter().map(Door::waker).collect();
    let (dataplane, seats) = plan(config, spi_layout, routes, wakers);
    let workers = seats.into_iter().zip(doors).map(|(seat, door)| Worker::new(seat, door)).collect();
    Ok((dataplane, workers))
}

fn plan(
    config: &DataplaneConfig,
    spi_layout: SpiLayout,
    routes: Routes,
    wakers: Vec<Arc<dyn Wake>>,
) -> (Dataplane, Vec<Seat>) {
    let routes = Arc::new(ArcSwap::from_pointee(routes));
    let (event_sender, events) = bounded(config.event_depth);
    let neighbours = mesh(&wakers, config.handoff_depth);
    let mut workers = Vec::new();
    let mut seats = Vec::new();
    for (index, (waker, neighbours)) in wakers.into_iter().zip(neighbours).enumerate() {
        let (commands, take_commands) = bounded::<Command>(config.command_depth);
        let counters = Arc::new(WorkerCounters::default());
        seats.push(Seat {
            id: WorkerId(index as u8),
            config: config.clone(),
            spi_layout,
            routes: Arc::clone(&routes),
            commands: take_commands,
            events: event_sender.clone(),
            counters: Arc::clone(&counters),
            neighbours,
        });
        workers.push(WorkerHandle { commands, waker, counters });
    }
    (Dataplane { workers, events, routes, spi_layout }, seats)
}

/// A worker's thread.
fn run<D: Door>(
    index: usize,
    core: Option<usize>,
    idle_limit: Duration,
    make_door: impl FnOnce() -> io::Result<D>,
    tell: &Sender<io::Result<Arc<dyn Wake>>>,
    take_seat: &Receiver<Seat>,
) -> io::Result<()> {
    let _loud = PanicEndsProcess(index);
    let door = pin(core).and_then(|()| make_door());
    let door = match door {
        Ok(door) => door,
        Err(error) => {
            let told = io::Error::new(error.kind(), format!("worker {index}: {error}"));
            // Nobody waits for it only if another worker failed first.
            let _ = tell.send(Err(told));
            return Err(error);
        }
    };
    let _ = tell.send(Ok(door.waker()));
    let Ok(seat) = take_seat.recv() else { return Ok(()) };
    let mut worker = Worker::new(seat, door);
    let outcome = turns(&mut worker, idle_limit);
    if let Err(error) = &outcome {
        tracing::error!(worker = index, %error, "the worker's door is broken; its tunnels are dead");
    }
    outcome
}

fn turns<D: Door>(worker: &mut Worker<D>, idle_limit: Duration) -> io::Result<()> {
    let mut now = worker.door.now();
    loop {
        match worker.turn(now)? {
            Turn::Busy => {
                let began = std::mem::replace(&mut now, worker.door.now());
                worker.counters.burst_took(now.since(began));
            }
            Turn::Idle => {
                worker.sleep(idle_limit)?;
                now = worker.door.now();
            }
            Turn::Stopped => return Ok(()),
        }
    }
}

impl<D: Door> Worker<D> {
    /// Waits for packets, a neighbour or a command, at most `limit`.
    ///
    /// # Errors
    /// The door is broken.
    pub fn sleep(&mut self, limit: Duration) -> io::Result<()> {
        let limit = match self.ctcp.as_ref().and_then(Ctcp::deadline) {
            Some(due) => limit.min(due.since(self.door.now())),
            None => limit,
        };
        // Nobody wakes a worker when control has taken an event and there is room for what is held.
        let limit = if self.reports.are_held_up() { limit.min(HELD_UP_LIMIT) } else { limit };
        if self.neighbours.before_sleep(&self.pool) == Sleep::Go {
            // Whoever sends a command wakes the door after it.
            let woken = self.door.wait(limit);
            self.neighbours.after_sleep();
            woken?;
        }
        Ok(())
    }
}

/// Pins the thread that calls to this core, if it is one.
///
/// # Errors
/// There is no such core, or it is not allowed to us.
pub fn pin(core: Option<usize>) -> io::Result<()> {
    let Some(id) = core else { return Ok(()) };
    // Asked first: a number that no set of cores holds makes the pinning itself panic.
    let core = core_affinity::get_core_ids().into_iter().flatten().find(|core| core.id == id);
    if core.is_some_and(core_affinity::set_for_current) {
        return Ok(());
    }
    let what = format!("it cannot be pinned to core {id}: is it there, and allowed to us?");
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// The release profile aborts on panic anyway; this makes the others do the same.
struct PanicEndsProcess(usize);

impl Drop for PanicEndsProcess {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(worker = self.0, "a worker panicked; the process ends");
            std::process::abort();
        }
    }
}
