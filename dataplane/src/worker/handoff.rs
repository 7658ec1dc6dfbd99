//! Packets for another worker: a ring per ordered pair, and a ring back for empty buffers, so that no pool runs dry
//! for a neighbour.
//!
//! Whoever takes a packet over owes a buffer of its class. Any buffer pays: they are all alike.

use crate::contract::{Wake, WorkerId};
use crate::fate::{DropReason, Fate};
use crate::packet::{Burst, PacketBuf, Pool};
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering, fence};

/// A worker's rings to and from all others.
pub(super) struct Neighbours {
    /// In worker order; nothing at our own place.
    links: Vec<Option<Link>>,
    /// Whose turn it is to be taken over from first.
    next: usize,
    rest: Arc<Rest>,
}

struct Link {
    packets_out: Producer<PacketBuf>,
    packets_in: Consumer<PacketBuf>,
    empties_out: Producer<PacketBuf>,
    empties_in: Consumer<PacketBuf>,
    debt: Debt,
    pushed: Pushed,
    paid: Paid,
    rest: Arc<Rest>,
    waker: Arc<dyn Wake>,
}

/// Whether a worker sleeps, and what would wake it. All access is relaxed, with fences around it.
#[derive(Default)]
struct Rest(AtomicU8);

impl Rest {
    const AWAKE: u8 = 0;
    /// It waits for packets.
    const ASLEEP: u8 = 1;
    /// Its pool is out of buffers of a class: it waits for those as well, for without them its door may hear nothing.
    const OUT_OF_BUFFERS: u8 = 2;
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

/// Whether this turn paid a neighbour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paid {
    Nothing,
    Something,
}

/// All pairs connected; one [`Neighbours`] for each waker, in worker order. Each ring holds `depth` packets.
pub(super) fn mesh(wakers: &[Arc<dyn Wake>], depth: usize) -> Vec<Neighbours> {
    let workers = wakers.len();
    let rests: Vec<Arc<Rest>> = wakers.iter().map(|_| Arc::default()).collect();
    let rings = || {
        let (packets_out, packets_in) = RingBuffer::new(depth);
        let (empties_out, empties_in) = RingBuffer::new(depth);
        ((packets_out, empties_in), (packets_in, empties_out))
    };
    let mut mesh: Vec<Neighbours> = rests
        .iter()
        .map(|rest| Neighbours {
            links: std::iter::repeat_with(|| None).take(workers).collect(),
            next: 0,
            rest: Arc::clone(rest),
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
                paid: Paid::Nothing,
                rest: Arc::clone(&rests[other]),
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

    /// Takes empty buffers home. Before the door looks for packets: it may need them for that.
    pub(super) fn take_home(&mut self, pool: &mut Pool) {
        for link in self.links.iter_mut().flatten() {
            while let Ok(empty) = link.empties_in.pop() {
                pool.put(empty);
            }
        }
    }

    /// Pays what is owed, wakes whom something was pushed to, or paid if it sleeps for want of it.
    pub(super) fn settle(&mut self, pool: &mut Pool) {
        for link in self.links.iter_mut().flatten() {
            link.pay(pool);
            if (link.pushed, link.paid) == (Pushed::Nothing, Paid::Nothing) {
                continue;
            }
            // Pairs with the fence in `before_sleep`: either we see it asleep, or it sees what we gave.
            fence(Ordering::SeqCst);
            let rest = link.rest.0.load(Ordering::Relaxed);
            let waits_for_it = match link.pushed {
                Pushed::Something => rest != Rest::AWAKE,
                Pushed::Nothing => rest == Rest::OUT_OF_BUFFERS,
            };
            if waits_for_it {
                link.waker.wake();
            }
            (link.pushed, link.paid) = (Pushed::Nothing, Paid::Nothing);
        }
    }

    /// Says that this worker goes to sleep. `Stay` if there is something to take over after all, or to take home for a pool
    /// that is empty.
    pub(super) fn before_sleep(&self, pool: &Pool) -> Sleep {
        let (small, large) = pool.free();
        let empty = small == 0 || large == 0;
        self.rest.0.store(if empty { Rest::OUT_OF_BUFFERS } else { Rest::ASLEEP }, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let quiet = |link: &Link| link.packets_in.is_empty() && (!empty || link.empties_in.is_empty());
        if self.links.iter().flatten().all(quiet) {
            return Sleep::Go;
        }
        self.after_sleep();
        Sleep::Stay
    }

    /// Says that it is awake.
    pub(super) fn after_sleep(&self) {
        self.rest.0.store(Rest::AWAKE, Ordering::Relaxed);
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
        match self.empties_out.push(empty) {
            Ok(()) => self.paid = Paid::Something,
            Err(PushError::Full(empty)) => pool.put(empty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PoolSizes;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Two workers; what woke the first; a pool of each, in which a packet of the large class is the last.
    struct Two {
        giver: Neighbours,
        owner: Neighbours,
        woken: Arc<Counting>,
        pools: [Pool; 2],
    }

    impl Two {
        fn new() -> Self {
            let woken = Arc::new(Counting::default());
            let wakers: [Arc<dyn Wake>; 2] = [Arc::clone(&woken) as Arc<dyn Wake>, Arc::new(Counting::default())];
            let pool = || Pool::new(PoolSizes { small: 2, small_capacity: 2048, large: 1 });
            let [giver, owner] = <[Neighbours; 2]>::try_from(mesh(&wakers, 4)).ok().unwrap();
            Self { giver, owner, woken, pools: [pool(), pool()] }
        }

        /// A packet goes over in a buffer of this kind, and is taken over.
        fn hand_over(&mut self, take: fn(&mut Pool) -> Option<PacketBuf>) {
            let packet = take(&mut self.pools[0]).unwrap();
            assert_eq!(self.giver.hand_over(WorkerId(1), packet, &mut self.pools[0]), Ok(()));
            self.giver.settle(&mut self.pools[0]);
            assert_eq!(self.owner.take_over(&mut Burst::new(), 4), 1);
        }

        /// The owner pays; returns how often that woke the giver.
        fn pay(&mut self) -> usize {
            let before = self.woken.0.load(Ordering::Relaxed);
            self.owner.settle(&mut self.pools[1]);
            self.woken.0.load(Ordering::Relaxed) - before
        }
    }

    #[test]
    fn who_sleeps_without_buffers_is_woken_by_one_that_comes_home() {
        let mut two = Two::new();
        two.hand_over(Pool::take_large);
        assert_eq!(two.giver.before_sleep(&two.pools[0]), Sleep::Go);
        assert_eq!(two.pay(), 1);
        assert_eq!(two.pay(), 0, "once");
        two.giver.after_sleep();
        two.giver.take_home(&mut two.pools[0]);
        assert_eq!(two.pools[0].free(), (2, 1));
    }

    #[test]
    fn who_has_buffers_sleeps_on() {
        let mut two = Two::new();
        two.hand_over(Pool::take_small);
        assert_eq!(two.giver.before_sleep(&two.pools[0]), Sleep::Go);
        assert_eq!(two.pay(), 0);
    }

    #[test]
    fn nobody_falls_asleep_for_want_of_what_has_come_home_already() {
        let mut two = Two::new();
        two.hand_over(Pool::take_large);
        assert_eq!(two.pay(), 0, "it is awake");
        assert_eq!(two.giver.before_sleep(&two.pools[0]), Sleep::Stay);
        two.giver.take_home(&mut two.pools[0]);
        assert_eq!(two.giver.before_sleep(&two.pools[0]), Sleep::Go);
    }
}
