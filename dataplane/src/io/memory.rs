//! The door without a kernel: rings of packets between a worker and whoever plays the world, a clock that the world
//! sets. For tests, fuzzing, benches and simulations.
//!
//! ```text
//! MemoryPeer ── arrivals ──▶ MemoryDoor ▶ worker
//!            ◀── departed ──            ◀
//!            ◀── empties ──▶   buffers that keep both sides' numbers constant
//! ```
//!
//! Packets move by ownership: no octet is copied on the door's side.

use super::{Capabilities, Door, DoorStats, Woken};
use crate::contract::{Path, Wake};
use crate::fate::{DropReason, Fate};
use crate::packet::{Burst, Channel, Meta, OuterFragments, PacketBuf, Pool, PoolSizes};
use crate::time::Instant;
use crate::wire::traffic_class::TrafficClass;
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A door and its peer. Each ring holds `depth` packets; `sizes` are those of the worker's pool.
pub fn pair(depth: usize, sizes: PoolSizes) -> (MemoryDoor, MemoryPeer) {
    let (arrive, arrivals) = RingBuffer::new(depth);
    let (depart, departed) = RingBuffer::new(depth);
    let (give_back, given_back) = RingBuffer::new(depth);
    let (refill, refills) = RingBuffer::new(depth);
    let clock = Arc::new(AtomicU64::new(0));
    let waker = Arc::new(MemoryWaker::default());
    let door = MemoryDoor {
        arrivals,
        depart,
        give_back,
        refills,
        balance: 0,
        clock: Arc::clone(&clock),
        waker: Arc::clone(&waker),
        stats: DoorStats::default(),
    };
    let peer =
        MemoryPeer { arrive, departed, given_back, refill, spare: Vec::with_capacity(depth), sizes, clock, waker };
    (door, peer)
}

/// The worker's side.
pub struct MemoryDoor {
    arrivals: Consumer<PacketBuf>,
    depart: Producer<PacketBuf>,
    give_back: Producer<PacketBuf>,
    refills: Consumer<PacketBuf>,
    /// Small buffers that came in, less those that went out.
    balance: isize,
    clock: Arc<AtomicU64>,
    waker: Arc<MemoryWaker>,
    stats: DoorStats,
}

/// The world's side.
pub struct MemoryPeer {
    arrive: Producer<PacketBuf>,
    departed: Consumer<PacketBuf>,
    given_back: Consumer<PacketBuf>,
    refill: Producer<PacketBuf>,
    spare: Burst,
    sizes: PoolSizes,
    clock: Arc<AtomicU64>,
    waker: Arc<MemoryWaker>,
}

/// The ring to the worker is full, or the packet is larger than any buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken;

/// A packet that the worker transmitted, in bytes of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    /// Where to.
    pub channel: Channel,
    /// Outer addresses.
    pub path: Option<Path>,
    /// An outer packet's class.
    pub outer_class: TrafficClass,
    /// Whether an outer packet may be cut on its way.
    pub outer_fragments: OuterFragments,
    /// An outer packet's UDP payload, or an inner IP packet.
    pub bytes: Vec<u8>,
}

impl MemoryPeer {
    /// Lets an outer packet arrive: a UDP payload.
    pub fn push_outer(&mut self, channel: Channel, path: Path, bytes: &[u8]) -> Result<(), NotTaken> {
        self.push(Meta { channel, path: Some(path), ..Meta::default() }, bytes)
    }

    /// Lets an inner packet arrive.
    pub fn push_inner(&mut self, bytes: &[u8]) -> Result<(), NotTaken> {
        self.push(Meta::default(), bytes)
    }

    /// Lets a packet arrive with whatever a door may say about it.
    pub fn push(&mut self, meta: Meta, bytes: &[u8]) -> Result<(), NotTaken> {
        let mut packet = self.buffer(bytes.len());
        packet.extend_back(bytes.len()).ok_or(NotTaken)?.copy_from_slice(bytes);
        packet.meta = meta;
        self.arrive.push(packet).map_err(|_| NotTaken)?;
        self.waker.wake();
        Ok(())
    }

    /// Lets the whole burst arrive, without copying or waking. What does not fit the ring stays in `burst`.
    pub fn push_burst(&mut self, burst: &mut Burst) {
        let n = burst.len().min(self.arrive.slots());
        if let Ok(chunk) = self.arrive.write_chunk_uninit(n) {
            chunk.fill_from_iter(burst.drain(..n));
        }
    }

    /// What the worker transmitted, in order.
    pub fn take(&mut self) -> Vec<Departed> {
        let mut departed = Vec::new();
        while let Ok(packet) = self.departed.pop() {
            let Meta { channel, path, outer_class, outer_fragments, .. } = packet.meta;
            departed.push(Departed { channel, path, outer_class, outer_fragments, bytes: packet.bytes().to_vec() });
            self.recycle(packet);
        }
        departed
    }

    /// What the worker transmitted, appended to `burst` without copying. Whoever takes it gives the buffers back, by
    /// [`Self::recycle`] or by pushing them in again.
    pub fn take_burst(&mut self, burst: &mut Burst) {
        if let Ok(chunk) = self.departed.read_chunk(self.departed.slots()) {
            burst.extend(chunk);
        }
    }

    /// Gives a buffer back.
    pub fn recycle(&mut self, mut packet: PacketBuf) {
        packet.reset();
        if packet.capacity() == self.sizes.small_capacity
            && let Err(rtrb::PushError::Full(packet)) = self.refill.push(packet)
        {
            self.spare.push(packet);
        }
    }

    /// A buffer that fits `len` octets with room behind, reset.
    pub fn buffer(&mut self, len: usize) -> PacketBuf {
        while let Ok(packet) = self.given_back.pop() {
            self.spare.push(packet);
        }
        if len + PacketBuf::HEADROOM + PacketBuf::TAILROOM > self.sizes.small_capacity {
            return PacketBuf::allocate(PoolSizes::LARGE_CAPACITY);
        }
        self.spare.pop().unwrap_or_else(|| PacketBuf::allocate(self.sizes.small_capacity))
    }

    /// Sets the door's clock.
    pub fn set_clock(&self, now: Instant) {
        self.clock.store(now.as_nanos(), Relaxed);
    }
}

impl Door for MemoryDoor {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "memory", inner_segments: true, outer_segments: 1 }
    }

    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize {
        let waiting = self.arrivals.slots();
        // A kernel's door needs a buffer per packet; so does this one, that an empty pool has the same effect.
        let n = waiting.min(limit).min(pool.free().0);
        if n < waiting.min(limit) {
            self.stats.starved += 1;
        }
        let first = burst.len();
        if let Ok(chunk) = self.arrivals.read_chunk(n) {
            burst.extend(chunk);
        }
        self.balance += small(&burst[first..], pool);
        n
    }

    fn transmit(&mut self, pool: &mut Pool, burst: &mut Burst) {
        let n = burst.len().min(self.depart.slots());
        self.balance -= small(&burst[..n], pool);
        if let Ok(chunk) = self.depart.write_chunk_uninit(n) {
            chunk.fill_from_iter(burst.drain(..n));
        }
        for packet in burst {
            packet.meta.fate = Fate::Drop(DropReason::TransmitFull);
        }
    }

    fn flush(&mut self, pool: &mut Pool) -> io::Result<()> {
        while self.balance > 0 && !self.give_back.is_full() {
            let Some(packet) = pool.take_small() else { break };
            self.balance -= 1;
            if let Err(rtrb::PushError::Full(packet)) = self.give_back.push(packet) {
                self.balance += 1;
                pool.put(packet);
                break;
            }
        }
        while self.balance < 0 {
            let Ok(packet) = self.refills.pop() else { break };
            self.balance += 1;
            pool.put(packet);
        }
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Woken> {
        if !self.arrivals.is_empty() {
            return Ok(Woken::Ready);
        }
        let called = self.waker.wait(limit);
        Ok(match (self.arrivals.is_empty(), called) {
            (false, _) => Woken::Ready,
            (true, Call::Came) => Woken::Called,
            (true, Call::Missing) => Woken::TimedOut,
        })
    }

    /// It never waits.
    fn tune(&mut self, _spin: Duration, _coalesce: Duration) {}

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.load(Relaxed))
    }

    fn stats(&self) -> DoorStats {
        self.stats
    }
}

fn small(packets: &[PacketBuf], pool: &Pool) -> isize {
    let capacity = pool.sizes().small_capacity;
    packets.iter().filter(|packet| packet.capacity() == capacity).count() as isize
}

/// Whether someone called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Call {
    #[default]
    Missing,
    Came,
}

#[derive(Default)]
struct MemoryWaker {
    call: Mutex<Call>,
    changed: Condvar,
}

impl MemoryWaker {
    /// Takes the call, waiting for one at most `limit`.
    fn wait(&self, limit: Duration) -> Call {
        let call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut call, _) = self
            .changed
            .wait_timeout_while(call, limit, |call| *call == Call::Missing)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut call)
    }
}

impl Wake for MemoryWaker {
    fn wake(&self) {
        *self.call.lock().unwrap_or_else(PoisonError::into_inner) = Call::Came;
        self.changed.notify_one();
    }
}
