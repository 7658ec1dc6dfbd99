//! The door of plain system calls: recvmmsg, sendmmsg, read, writev, ppoll. It works wherever Linux does, and it is
//! the oracle for the io_uring door.
#![expect(unsafe_code, reason = "ppoll and read take pointers")]

mod receiver;
mod sender;

use super::arrival::{Arrival, Delivered};
use super::departure::Departures;
use super::gather::{Gather, Look};
use super::inner::{self, Inner};
use super::message::{count_refusal, count_unsound};
use super::open::DoorSeed;
use super::outgoing::Outgoing;
use super::udp::OuterSocket;
use super::waker::EventWaker;
use super::{Capabilities, Door, DoorStats, Woken, clock, vnet};
use crate::contract::Wake;
use crate::packet::{Burst, Pool};
use receiver::{BATCH, Receiver};
use sender::Sender;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// See the file's comment.
pub(super) struct SystemCallDoor {
    outer: Vec<OuterSocket>,
    _reserved: Arc<[OwnedFd]>,
    tun: Option<OwnedFd>,
    waker: Arc<EventWaker>,
    spin: Duration,
    gather: Gather,
    /// Outer sockets in order, the TUN queue, the waker: what the last poll said.
    polled: Vec<libc::pollfd>,
    /// `polled` was filled since the last receive.
    fresh: bool,
    /// Which source is read first: in turn, so that none starves the others.
    first: usize,
    receiver: Receiver,
    arrived: VecDeque<(usize, Arrival)>,
    inner: Inner,
    inner_gone: bool,
    outgoing: Outgoing,
    sender: Sender,
    stats: DoorStats,
}

impl SystemCallDoor {
    pub(super) const NAME: &'static str = "system calls";

    pub(super) fn new(seed: DoorSeed) -> Self {
        let fds = seed.sockets.iter().map(|outer| outer.socket.as_raw_fd());
        let fds = fds.chain(seed.tun.as_ref().map(AsRawFd::as_raw_fd)).chain([seed.waker.as_fd().as_raw_fd()]);
        let polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
        let bounds = seed.sockets.iter().map(|outer| outer.bound).collect();
        Self {
            outgoing: Outgoing::new(bounds, seed.tun.is_some().then_some(seed.kinds)),
            outer: seed.sockets,
            _reserved: seed.reserved,
            tun: seed.tun,
            waker: seed.waker,
            spin: seed.spin,
            gather: Gather::new(seed.coalesce, seed.spin),
            polled,
            fresh: false,
            first: 0,
            receiver: Receiver::new(),
            arrived: VecDeque::with_capacity(BATCH),
            inner: Inner::default(),
            inner_gone: false,
            sender: Sender::default(),
            stats: DoorStats::default(),
        }
    }

    /// Asks which sources have something, waiting up to `limit`. Returns whether any has.
    fn poll(&mut self, limit: Duration) -> io::Result<bool> {
        let timeout = libc::timespec {
            tv_sec: limit.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(limit.subsec_nanos()),
        };
        self.stats.system_calls += 1;
        let count = self.polled.len() as libc::nfds_t;
        // SAFETY: `polled` holds `count` entries, and it and `timeout` live until the call returns.
        let ready = unsafe { libc::ppoll(self.polled.as_mut_ptr(), count, &raw const timeout, std::ptr::null()) };
        if ready >= 0 {
            self.fresh = true;
            return Ok(ready > 0);
        }
        self.fresh = false;
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        }
    }

    /// After a poll that found something.
    fn woken(&mut self) -> Woken {
        let readable = self.polled.last().is_some_and(|waker| waker.revents != 0);
        if readable && self.waker.drain() {
            self.gather.hurry();
            return Woken::Called;
        }
        Woken::Ready
    }

    /// Copies what lies in the slots into packets. Returns whether the slots are free.
    fn deliver(&mut self, pool: &mut Pool, burst: &mut Burst, until: usize) -> bool {
        while let Some((slot, arrival)) = self.arrived.front_mut() {
            let payload = self.receiver.payload(*slot, arrival.len);
            match arrival.deliver(payload, pool, burst, until) {
                Delivered::All => {
                    self.arrived.pop_front();
                }
                Delivered::Limit => return false,
                Delivered::Starved => {
                    self.stats.starved += 1;
                    return false;
                }
            }
        }
        true
    }
}

impl Door for SystemCallDoor {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: Self::NAME, inner_segments: self.tun.is_some(), outer_segments: Departures::MOST }
    }

    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize {
        let before = burst.len();
        let until = before + limit;
        let delivered = self.deliver(pool, burst, until);
        self.gather.found(burst.len() - before);
        if !delivered {
            return burst.len() - before;
        }
        let stale = !self.fresh;
        if stale && (self.gather.next() == Look::Later || self.poll(Duration::ZERO).is_err()) {
            return burst.len() - before;
        }
        self.fresh = false;
        self.gather.look();
        let known = burst.len();
        let sources = self.polled.len() - 1;
        self.first = (self.first + 1) % sources.max(1);
        for source in (self.first..sources).chain(0..self.first) {
            if self.polled[source].revents == 0 || burst.len() >= until {
                continue;
            }
            if let Some(outer) = self.outer.get(source) {
                self.stats.system_calls += 1;
                self.receiver.receive(outer, until - burst.len(), &mut self.arrived, &mut self.stats);
                if !self.deliver(pool, burst, until) {
                    break;
                }
            } else if let Some(tun) = &self.tun {
                let mut budget = inner::BUDGET;
                while burst.len() < until && budget > 0 {
                    let Some(mut buffer) = self.inner.buffer(pool) else {
                        self.stats.starved += 1;
                        break;
                    };
                    self.stats.system_calls += 1;
                    let len = match read(tun.as_raw_fd(), inner::room(&mut buffer)) {
                        Ok(Some(len)) => len,
                        none => {
                            self.inner_gone |= none.is_err();
                            self.inner.keep(buffer);
                            break;
                        }
                    };
                    budget = budget.saturating_sub(len);
                    if let Err(unsound) = self.inner.deliver(buffer, len, pool, burst) {
                        count_unsound(&mut self.stats, unsound);
                    }
                }
            }
        }
        self.gather.found(burst.len() - known);
        if burst.len() >= until {
            self.gather.cut_short();
        }
        self.gather.taken(&burst[known..]);
        burst.len() - before
    }

    fn transmit(&mut self, _pool: &mut Pool, burst: &mut Burst) {
        self.outgoing.take(burst);
    }

    fn flush(&mut self, pool: &mut Pool) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        for (index, outer) in self.outer.iter().enumerate() {
            let refused = self.sender.send(outer, index, self.outgoing.departures.queued(), &mut self.stats);
            for refusal in refused {
                self.outgoing.departures.refuse(refusal);
            }
        }
        for departure in self.outgoing.departures.queued() {
            departure.packets.drain(..).for_each(|packet| pool.put(packet));
        }
        self.outgoing.departures.clear();
        for group in self.outgoing.joiner.seal() {
            if let (Some(tun), Some(first)) = (&self.tun, group.packets.first()) {
                let header = vnet::write(&first.meta, first.bytes());
                let count = group.packets.len() as u64;
                self.stats.system_calls += 1;
                match self.sender.write(tun.as_raw_fd(), &header, &group.packets) {
                    Ok(()) if count > 1 => self.stats.joined += count,
                    Ok(()) => {}
                    Err(error) => count_refusal(&mut self.stats, &error, count),
                }
            }
            group.packets.drain(..).for_each(|packet| pool.put(packet));
        }
        self.outgoing.joiner.clear();
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Woken> {
        if self.inner_gone {
            return Err(inner::gone());
        }
        if !self.arrived.is_empty() {
            return Ok(Woken::Ready);
        }
        let start = clock::now();
        let window = self.gather.window(start);
        let spin = self.spin.min(limit);
        while self.gather.next() == Look::Again {
            if self.poll(Duration::ZERO)? {
                return Ok(self.woken());
            }
            if clock::now().since(start) >= spin {
                break;
            }
            std::hint::spin_loop();
        }
        // Packets gather meanwhile, and the thread wakes once for all of them.
        if !window.is_zero() && window < limit {
            clock::nap(window);
        }
        let rest = limit.saturating_sub(clock::now().since(start));
        if !rest.is_zero() && self.poll(rest)? {
            return Ok(self.woken());
        }
        Ok(Woken::TimedOut)
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

/// Reads one packet with its vnet header; `None` if there is none.
fn read(fd: RawFd, room: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: `room` is valid for writes of its length until the call returns.
    let len = unsafe { libc::read(fd, room.as_mut_ptr().cast(), room.len()) };
    match (usize::try_from(len), io::Error::last_os_error().raw_os_error()) {
        (Ok(len), _) => Ok(Some(len)),
        (Err(_), Some(inner::GONE)) => Err(inner::gone()),
        (Err(_), _) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::open::Backend;
    use crate::offload::JoinKinds;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn a_call_that_was_taken_before_it_had_written_ends_one_wait_and_not_all() {
        let waker = Arc::new(EventWaker::new().unwrap());
        let (spin, coalesce) = (Duration::ZERO, Duration::ZERO);
        let mut door = SystemCallDoor::new(DoorSeed {
            sockets: Vec::new(),
            reserved: Arc::new([]),
            tun: None,
            kinds: JoinKinds::default(),
            waker: Arc::clone(&waker),
            spin,
            coalesce,
            backend: Backend::SystemCalls,
        });
        File::from(waker.as_fd().try_clone_to_owned().unwrap()).write_all(&1u64.to_ne_bytes()).unwrap();
        let mut waits = || door.wait(Duration::from_millis(1)).unwrap();
        assert_eq!((waits(), waits()), (Woken::Called, Woken::TimedOut));
        waker.wake();
        assert_eq!((waits(), waits()), (Woken::Called, Woken::TimedOut));
    }
}
