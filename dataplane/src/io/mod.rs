//! Doors: where bursts come in and go out. A worker owns one, for its outer and its inner side together, so
//! that one system call can serve both.

mod ancillary;
mod arrival;
mod clock;
mod ctcp;
mod departure;
mod gather;
mod holder;
mod inner;
mod inner_pair;
mod inner_steer;
pub mod memory;
mod message;
mod native;
mod netlink;
mod open;
mod outgoing;
mod raw;
mod steer;
mod system_calls;
mod tun;
mod udp;
mod uring;
mod vnet;
mod waker;

pub use inner_pair::{InnerEnd, WorkerEnd, inner_pair};
pub use open::{Backend, DoorSeed, IoConfig, Lack, OpenError, OpenReport, TunConfig, open};
pub use tun::{give_address, give_network, prefix_towards, take_network};

use crate::contract::Wake;
use crate::packet::{Burst, Pool};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What a door can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// For logs: `io_uring`, `system calls`, `memory`.
    pub name: &'static str,
    /// Super-packets may come from and go to the inner side.
    pub inner_segments: bool,
    /// Most datagrams of one size to one peer that leave in one system call (UDP_SEGMENT).
    pub outer_segments: usize,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Packets may be there.
    Ready,
    /// [`Wake::wake`] was called.
    Called,
    /// The time was up.
    TimedOut,
}

/// What a door counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DoorStats {
    /// System calls made.
    pub system_calls: u64,
    /// Datagrams that left as part of a UDP_SEGMENT super-packet.
    pub segmented: u64,
    /// Inner packets that left joined with others.
    pub joined: u64,
    /// Times the kernel had packets and we had no buffer.
    pub starved: u64,
    /// Packets received whose headers, or what the kernel says beside them, contradict each other.
    pub malformed: u64,
    /// Datagrams received that were larger than the buffer.
    pub truncated: u64,
    /// Packets, queued before, that the kernel had no room for.
    pub transmit_full: u64,
    /// Packets, queued before, that the kernel refused.
    pub transmit_failed: u64,
}

/// Burst receive, burst transmit, flush, adaptive wait.
///
/// A door never blocks except in [`Door::wait`] and never logs; errors on single packets become a fate.
pub trait Door {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Appends received packets to `burst` up to `limit` of them, their `meta.channel`, `path`, `outer_class`,
    /// `longest_fragment`, `segments` and `checksum` set, buffers taken from `pool`. Returns how many. Never blocks.
    ///
    /// Outer packets are UDP payloads. Inner packets are IP packets, the vnet header already read into `meta`.
    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize;

    /// Takes every packet out of `burst` and queues it for its `meta.channel` (outer: to `meta.path`, in
    /// `meta.outer_class`, fragments as `meta.outer_fragments` says).
    /// What cannot be queued is left in `burst` with a `Drop` fate.
    fn transmit(&mut self, pool: &mut Pool, burst: &mut Burst);

    /// Pushes out what is queued. Buffers return to `pool` when the kernel is done with them, here or in a later call.
    fn flush(&mut self, pool: &mut Pool) -> io::Result<()>;

    /// Waits up to `limit` for packets or a wake-up: spins as configured, then blocks.
    ///
    /// # Errors
    /// The door cannot go on: its inner interface was removed, or the kernel refuses to wait.
    fn wait(&mut self, limit: Duration) -> io::Result<Woken>;

    /// Waits otherwise from now on: looks for `spin` before it sleeps, lets packets gather for `coalesce` at most.
    fn tune(&mut self, spin: Duration, coalesce: Duration);

    /// Ends another thread's [`Door::wait`] here.
    fn waker(&self) -> Arc<dyn Wake>;

    /// Monotonic time, read once a turn by the worker.
    fn now(&self) -> crate::time::Instant;

    /// What it counted.
    fn stats(&self) -> DoorStats;
}

impl<D: Door + ?Sized> Door for Box<D> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize {
        (**self).receive(pool, burst, limit)
    }

    fn transmit(&mut self, pool: &mut Pool, burst: &mut Burst) {
        (**self).transmit(pool, burst);
    }

    fn flush(&mut self, pool: &mut Pool) -> io::Result<()> {
        (**self).flush(pool)
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Woken> {
        (**self).wait(limit)
    }

    fn tune(&mut self, spin: Duration, coalesce: Duration) {
        (**self).tune(spin, coalesce);
    }

    fn waker(&self) -> Arc<dyn Wake> {
        (**self).waker()
    }

    fn now(&self) -> crate::time::Instant {
        (**self).now()
    }

    fn stats(&self) -> DoorStats {
        (**self).stats()
    }
}
