//! Packets for another worker: a ring per ordered pair, and a ring back for empty buffers, so that no pool runs dry
//! for a neighbour.
//!
//! Whoever takes a packet over owes a buffer of its class. Any buffer pays: they are all alike.

use crate::contract::{Wake, WorkerId};
use crate::fate::{DropReason, Fate};
use crate::packet::{Burst, PacketBuf, Pool};
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// A worker's rings to and from all others.
pub(super) struct Neighbours {
    /// In worker order; nothing at our own place.
    links: Vec<Option<Link>>,
    /// Whose turn it is to be taken over from first.
    next: usize,
    asleep: Arc<AtomicBool>,
}

struct Link {
    packets_out: Producer<PacketBuf>,
    packets_in: Consumer<PacketBuf>,
    empties_out: Producer<PacketBuf>,
    empties_in: Consumer<PacketBuf>,
    debt: Debt,
    pushed: Pushed,
    asleep: Arc<AtomicBool>,
    waker: Arc<dyn Wake>,
}

/// Buffers owed to a neighbour.
#[derive(Default)]
struct Debt {
    small: usize,
    large: usize,
}

/// Whether this turn pushed to a neighbour's ring.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pushed {
    Nothing,
    Something,
}

/// All pairs connected; one [`Neighbours`] for each waker, in worker order. Each ring holds `depth` packets.
pub(super) fn mesh(wakers: &[Arc<dyn Wake>], depth: usize) -> Vec<Neighbours> {
    let workers = wakers.len();
    let asleep: Vec<Arc<AtomicBool>> = wakers.iter().map(|_| Arc::default()).collect();
    let rings = || {
        let (packets_out, packets_in) = RingBuffer::new(depth);
        let (empties_out, empties_in) = RingBuffer::new(depth);
        ((packets_out, empties_in), (packets_in, empties_out))
    };
    let mut mesh: Vec<Neighbours> = asleep
        .iter()
        .map(|asleep| Neighbours {
            links: std::iter::repeat_with(|| None).take(workers).collect(),
            next: 0,
            asleep: Arc::clone(asleep),
        })
        .collect();
    for low in 0..workers {
        for high in low + 1..workers {
            let ((packets_up, empties_up), (packets_from_low, empties_to_low)) = rings();
            let ((packets_down, empties_down), (packets_from_high, empties_to_high)) = rings();
            let link = |other: usize, (packets_out, empties_in), (packets_in, empties_out)| Link {
                packets_out,
                packets_in,
                empties_out,
                empties_in,
                debt: Debt::default(),
                pushed: Pushed::Nothing,
                asleep: Arc::clone(&asleep[other]),
                waker: Arc::clone(&wakers[other]),
            };
            mesh[low].links[high] = Some(link(high, (packets_up, empties_up), (packets_from_high, empties_to_high)));
            mesh[high].links[low] = Some(link(low, (packets_down, empties_down), (packets_from_low, empties_to_low)));
        }
    }
    mesh
}

impl Neighbours {
    /// Number of workers, this one too.
    pub(super) fn workers(&self) -> usize {
        self.links.len()
    }

    /// Gives a packet away; one that cannot go goes back to `pool`. Packets to one worker keep their order.
    pub(super) fn hand_over(&mut self, to: WorkerId, mut packet: PacketBuf, pool: &mut Pool) -> Result<(), DropReason> {
        let Some(Some(link)) = self.links.get_mut(to.index()) else {
            pool.put(packet);
            return Err(DropReason::UnknownSpi);
        };
        packet.meta.fate = Fate::Forward;
        match link.packets_out.push(packet) {
            Ok(()) => {
                link.pushed = Pushed::Something;
                Ok(())
            }
            Err(PushError::Full(packet)) => {
                pool.put(packet);
                Err(DropReason::HandoffFull)
            }
        }
    }

    /// Appends what others handed over, at most `limit` packets; another neighbour is first each time.
    pub(super) fn take_over(&mut self, burst: &mut Burst, limit: usize) -> usize {
        let workers = self.links.len();
        let mut left = limit;
        for step in 0..workers {
            let Some(Some(link)) = self.links.get_mut((self.next + step) % workers) else { continue };
            let n = link.packets_in.slots().min(left);
            let Ok(chunk) = link.packets_in.read_chunk(n) else { continue };
            let first = burst.len();
            burst.extend(chunk);
            link.debt.add(&burst[first..]);
            left -= n;
        }
        self.next = (self.next + 1) % workers.max(1);
        limit - left
    }

    /// Packets that others have handed over and that were not taken over yet.
    pub(super) fn waiting(&self) -> usize {
        self.links.iter().flatten().map(|link| link.packets_in.slots()).sum()
    }

    /// Takes empty buffers home, pays what is owed, wakes whom something was pushed to.
    pub(super) fn settle(&mut self, pool: &mut Pool) {
        for link in self.links.iter_mut().flatten() {
            while let Ok(empty) = link.empties_in.pop() {
                pool.put(empty);
            }
            link.pay(pool);
            if link.pushed == Pushed::Something {
                link.pushed = Pushed::Nothing;
                // Pairs with the fence in `before_sleep`: either we see it asleep, or it sees what we pushed.
                fence(Ordering::SeqCst);
                if link.asleep.load(Ordering::Relaxed) {
                    link.waker.wake();
                }
            }
        }
    }

    /// Says that this worker goes to sleep. `Stay` if there is something to take over after all.
    pub(super) fn before_sleep(&self) -> Sleep {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let quiet = self.links.iter().flatten().all(|link| link.packets_in.is_empty());
        if quiet {
            return Sleep::Go;
        }
        self.after_sleep();
        Sleep::Stay
    }

    /// Says that it is awake.
    pub(super) fn after_sleep(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}

/// Whether a worker may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    Go,
    Stay,
}

/// Buffers of at least this many octets are of the large class, in every worker's pool alike.
const LARGE: usize = crate::packet::PoolSizes::LARGE_CAPACITY;

impl Debt {
    fn add(&mut self, packets: &[PacketBuf]) {
        let large = packets.iter().filter(|packet| packet.capacity() >= LARGE).count();
        self.large += large;
        self.small += packets.len() - large;
    }
}

impl Link {
    fn pay(&mut self, pool: &mut Pool) {
        while self.debt.small > 0 && !self.empties_out.is_full() {
            let Some(empty) = pool.take_small() else { break };
            self.debt.small -= 1;
            self.give(empty, pool);
        }
        while self.debt.large > 0 && !self.empties_out.is_full() {
            let Some(empty) = pool.take_large() else { break };
            self.debt.large -= 1;
            self.give(empty, pool);
        }
    }

    /// To a ring that was seen not full; only we push to it.
    fn give(&mut self, empty: PacketBuf, pool: &mut Pool) {
        if let Err(PushError::Full(empty)) = self.empties_out.push(empty) {
            pool.put(empty);
        }
    }
}
