//! The io_uring door: one ring per worker. Datagrams and inner packets arrive by themselves (multishot receive and
//! read into provided buffers); everything that leaves does so with one system call a flush.
//!
//! Order: the kernel starts a flush's operations in the order in which they were queued, and none may wait: datagrams
//! are sent with MSG_DONTWAIT and the TUN queue is O_NONBLOCK, so an operation that finds no room fails with EAGAIN
//! instead of coming back later, behind others of its flow. It is counted as `transmit_full`.

mod buffers;
mod flight;
mod incoming;
mod ring;

pub(super) use ring::probe;

use super::departure::Departures;
use super::gather::{Gather, Look};
use super::inner;
use super::open::DoorSeed;
use super::outgoing::Outgoing;
use super::udp::OuterSocket;
use super::waker::EventWaker;
use super::{Capabilities, Door, DoorStats, Woken, clock, vnet};
use crate::contract::Wake;
use crate::packet::{Burst, Pool};
use flight::Flights;
use incoming::Incoming;
use ring::{Ring, Tag};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// See the file's comment.
pub(super) struct UringDoor {
    ring: Ring,
    // The kernel may touch these two's memory until their operations have ended: `drop` sees to it.
    incoming: ManuallyDrop<Incoming>,
    flights: ManuallyDrop<Flights>,
    outgoing: Outgoing,
    outer: Vec<OuterSocket>,
    _reserved: Arc<[OwnedFd]>,
    tun: Option<OwnedFd>,
    waker: Arc<EventWaker>,
    spin: Duration,
    gather: Gather,
    stats: DoorStats,
}

impl UringDoor {
    pub(super) const NAME: &'static str = "io_uring";

    /// On the worker's thread; the seed comes back if the kernel refuses.
    pub(super) fn new(seed: DoorSeed) -> Result<Self, (io::Error, Box<DoorSeed>)> {
        let outer: Vec<_> = seed.sockets.iter().map(|outer| outer.socket.as_raw_fd()).collect();
        let waker = seed.waker.as_fd().as_raw_fd();
        let made = Ring::new().and_then(|ring| {
            let incoming = Incoming::new(&ring, &outer, seed.tun.as_ref().map(AsRawFd::as_raw_fd), waker)?;
            Ok((ring, incoming))
        });
        let (ring, incoming) = match made {
            Ok(made) => made,
            Err(error) => return Err((error, Box::new(seed))),
        };
        let bounds = seed.sockets.iter().map(|outer| outer.bound).collect();
        Ok(Self {
            ring,
            incoming: ManuallyDrop::new(incoming),
            flights: ManuallyDrop::new(Flights::new()),
            outgoing: Outgoing::new(bounds, seed.tun.is_some().then_some(seed.kinds)),
            outer: seed.sockets,
            _reserved: seed.reserved,
            tun: seed.tun,
            waker: seed.waker,
            spin: seed.spin,
            gather: Gather::new(seed.coalesce, seed.spin),
            stats: DoorStats::default(),
        })
    }

    /// Hands what is queued to the kernel and lets it run what is due.
    fn enter(&mut self) -> io::Result<()> {
        self.stats.system_calls += 1;
        self.gather.look();
        self.ring.enter()
    }

    /// Takes the kernel's news: what arrived is noted, what has left goes back to the pool.
    fn reap(&mut self, mut pool: Option<&mut Pool>) {
        while let Some((tag, completion)) = self.ring.next() {
            match tag {
                Tag::Outer(_) | Tag::Inner | Tag::Waker => {
                    self.gather.found(usize::from(completion.buffer.is_some()));
                    self.incoming.note(tag, completion, &self.outer, &mut self.stats);
                }
                Tag::Flight(index) => {
                    self.flights.land(index, completion.result, &self.outer, &mut self.stats);
                    if let Some(pool) = pool.as_deref_mut() {
                        self.flights.empty(index, pool);
                    }
                }
            }
        }
        for refusal in self.flights.refused.drain(..) {
            self.outgoing.departures.refuse(refusal);
        }
    }

    /// The number of a free flight; makes the kernel finish some if there is none.
    fn free_flight(&mut self, pool: &mut Pool) -> io::Result<Option<usize>> {
        if self.flights.free.is_empty() {
            self.enter()?;
            self.reap(Some(pool));
        }
        Ok(self.flights.free.pop())
    }

    fn woken(&mut self) -> Woken {
        if self.waker.take() {
            self.gather.hurry();
            return Woken::Called;
        }
        Woken::Ready
    }
}

impl Door for UringDoor {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: Self::NAME, inner_segments: self.tun.is_some(), outer_segments: Departures::MOST }
    }

    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize {
        let before = burst.len();
        let until = before + limit;
        let mut budget = inner::BUDGET;
        self.incoming.refill(pool);
        self.incoming.arm(&mut self.ring);
        self.reap(Some(pool));
        while burst.len() < until && budget > 0 {
            if self.incoming.is_empty() {
                // Nothing known: is there something due?
                if self.gather.next() == Look::Later || !self.ring.is_due() || self.enter().is_err() {
                    break;
                }
                self.reap(Some(pool));
                if self.incoming.is_empty() {
                    break;
                }
            }
            if !self.incoming.deliver(pool, burst, until, &mut budget, &mut self.stats) {
                self.stats.starved += u64::from(burst.len() < until);
                break;
            }
        }
        self.gather.taken(&burst[before..]);
        burst.len() - before
    }

    fn transmit(&mut self, _pool: &mut Pool, burst: &mut Burst) {
        self.outgoing.take(burst);
    }

    fn flush(&mut self, pool: &mut Pool) -> io::Result<()> {
        self.incoming.arm(&mut self.ring);
        for number in 0..self.outgoing.departures.queued().len() {
            let free = self.free_flight(pool)?;
            let Some(departure) = self.outgoing.departures.queued().get_mut(number) else { break };
            match (free, departure.to) {
                (Some(index), Some(to)) => {
                    let flight = &mut self.flights.list[index];
                    let outer = &self.outer[to.socket];
                    let entry = flight.board_datagrams(departure, to, outer);
                    self.ring.push(&entry, Tag::Flight(index), &mut self.stats)?;
                }
                (_, _) => {
                    self.stats.transmit_full += departure.packets.len() as u64;
                    departure.packets.drain(..).for_each(|packet| pool.put(packet));
                }
            }
        }
        self.outgoing.departures.clear();
        for number in 0..self.outgoing.joiner.seal().len() {
            let free = self.free_flight(pool)?;
            let Some(group) = self.outgoing.joiner.seal().get_mut(number) else { break };
            let Some(first) = group.packets.first() else { continue };
            match (free, &self.tun) {
                (Some(index), Some(tun)) => {
                    let header = vnet::write(&first.meta, first.bytes());
                    let entry = self.flights.list[index].board_inner(group, header, tun);
                    self.ring.push(&entry, Tag::Flight(index), &mut self.stats)?;
                }
                (_, _) => {
                    self.stats.transmit_full += group.packets.len() as u64;
                    group.packets.drain(..).for_each(|packet| pool.put(packet));
                }
            }
        }
        self.outgoing.joiner.clear();
        if self.ring.has_queued() {
            self.stats.system_calls += 1;
            self.ring.hand_over()?;
        }
        self.reap(Some(pool));
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Woken> {
        if self.incoming.is_gone() {
            return Err(inner::gone());
        }
        self.incoming.arm(&mut self.ring);
        let start = clock::now();
        let window = self.gather.window(start);
        let spin = self.spin.min(limit);
        loop {
            if self.waker.is_called() {
                return Ok(self.woken());
            }
            if !self.incoming.is_empty() || self.ring.has_news() {
                return Ok(Woken::Ready);
            }
            if self.gather.next() == Look::Again && self.ring.is_due() {
                self.enter()?;
                if self.ring.has_news() {
                    return Ok(Woken::Ready);
                }
                // The kernel sets the flag after it has queued its work: if that was done in between, the flag stays
                // without any, and to ask until it falls would be to spin until the next packet comes.
            }
            if clock::now().since(start) >= spin {
                break;
            }
            std::hint::spin_loop();
        }
        let rest = limit.saturating_sub(clock::now().since(start));
        if !rest.is_zero() {
            self.stats.system_calls += 1;
            self.gather.look();
            self.ring.wait(rest, window)?;
        }
        if self.ring.has_news() || self.waker.is_called() { Ok(self.woken()) } else { Ok(Woken::TimedOut) }
    }

    fn tune(&mut self, spin: Duration, coalesce: Duration) {
        self.spin = spin;
        self.gather = Gather::new(coalesce, spin);
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }

    fn now(&self) -> crate::time::Instant {
        clock::now()
    }

    fn stats(&self) -> DoorStats {
        self.stats
    }
}

impl Drop for UringDoor {
    /// Ends every operation before the sockets close: an armed receive would keep its socket in the reuseport group,
    /// and it would take datagrams with it.
    fn drop(&mut self) {
        self.ring.cancel_all();
        for _ in 0..50 {
            self.reap(None);
            if self.incoming.is_quiet() && self.flights.are_quiet() {
                break;
            }
            let _ = self.ring.wait(Duration::from_millis(20), Duration::ZERO);
        }
        if self.incoming.is_quiet() && self.flights.are_quiet() {
            self.incoming.unregister(&self.ring);
            ring::drop_in_place(&mut self.incoming, &mut self.flights);
        }
        // Else the kernel still holds their memory: it is left to it.
    }
}
