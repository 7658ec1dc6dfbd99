//! How long a worker that has caught up lets packets gather before it looks for more.
//!
//! A sender that sends packet by packet would be served packet by packet: a wake, a look, a write and a send for each,
//! which costs ten times what the packet itself does. So the wait grows with the rate at which packets come, until it
//! brings a burst. What comes too slowly for that, a ping or questions and answers in turn, is served as it comes.
//!
//! TCP of the inner network that hands down super-packets needs no gathering, and suffers from it: it lets about a
//! millisecond's worth of its data lie in the interface's queue (TCP small queues) and then waits for us. Neither must a
//! neighbour wait long that hands packets over: it has room for a few hundred.

use crate::packet::{PacketBuf, Segments};
use crate::time::Instant;
use std::time::Duration;

/// Whether to ask the kernel for more before sleeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// There may be more, or it is not to wait.
    Again,
    /// The last look took all there was, and what has come since is to gather.
    Later,
}

/// One worker's measure of what comes, and how long it waits for it.
pub(super) struct Gather {
    longest: Duration,
    spin: Duration,
    window: Duration,
    /// When the present measurement began.
    since: Instant,
    /// What has come since.
    packets: u64,
    /// The longest window beside what has come since.
    bearable: Duration,
    /// What the last look brought.
    found: usize,
}

impl Gather {
    /// The window for slow packets; long enough for the answers of one host to the packets of one burst.
    const SHORT: Duration = Duration::from_micros(50);
    /// The longest window while someone waits for us.
    const HURRIED: Duration = Duration::from_micros(200);
    /// Long enough to know a rate, short enough to follow it.
    const PERIOD: Duration = Duration::from_millis(1);
    /// Packets that a window is to bring: a full super-packet.
    const FULL: u32 = 64;
    /// What has to be expected of the longest window to use any but the short one.
    const FEW: u32 = 6;
    /// A look that brought so many may have left some: it takes 32 of a kind, fewer of super-packets.
    const MORE: usize = 16;

    /// `longest` is the longest window. Who spins, for `spin`, wants packets at once.
    pub(super) fn new(longest: Duration, spin: Duration) -> Self {
        let window = Self::SHORT.min(longest);
        Self { longest, spin, window, since: Instant::ZERO, packets: 0, bearable: longest, found: 0 }
    }

    /// A look begins.
    pub(super) fn look(&mut self) {
        self.found = 0;
    }

    /// It has found so many packets.
    pub(super) fn found(&mut self, packets: usize) {
        self.found += packets;
        self.packets += packets as u64;
    }

    /// It ended because the worker takes no more at once, not because there was no more.
    pub(super) fn cut_short(&mut self) {
        self.found = self.found.max(Self::MORE);
    }

    /// These were taken to the worker.
    pub(super) fn taken(&mut self, packets: &[PacketBuf]) {
        if packets.iter().any(|packet| packet.meta.segments != Segments::One) {
            self.hurry();
        }
    }

    /// Someone waits for us.
    pub(super) fn hurry(&mut self) {
        self.bearable = Self::HURRIED.min(self.longest);
    }

    /// Whether to look again before a wait.
    pub(super) fn next(&self) -> Look {
        let slow = self.window <= Self::SHORT || !self.spin.is_zero();
        if slow || self.found >= Self::MORE { Look::Again } else { Look::Later }
    }

    /// How long the wait that begins now lets packets gather.
    pub(super) fn window(&mut self, now: Instant) -> Duration {
        let measured = now.since(self.since);
        if measured >= Self::PERIOD {
            let packets = u32::try_from(self.packets).unwrap_or(u32::MAX);
            let short = Self::SHORT.min(self.bearable);
            self.window = match measured.saturating_mul(Self::FULL).checked_div(packets) {
                Some(full) if self.longest.saturating_mul(packets) >= measured.saturating_mul(Self::FEW) => {
                    full.clamp(short, self.bearable)
                }
                Some(_) | None => short,
            };
            (self.since, self.packets, self.bearable) = (now, 0, self.longest);
        }
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICRO: Duration = Duration::from_micros(1);

    /// The window after `each` packets at a time, `apart` from each other.
    fn window_after(longest: Duration, each: usize, apart: Duration) -> (Gather, Duration) {
        let (mut gather, mut now) = (Gather::new(longest, Duration::ZERO), Instant::ZERO);
        let mut window = Duration::ZERO;
        for _ in 0..1000 {
            now = now + apart;
            gather.look();
            gather.found(each);
            window = gather.window(now);
        }
        (gather, window)
    }

    #[test]
    fn the_window_is_as_long_as_a_burst_takes_to_come_and_never_longer_than_allowed() {
        // (longest, packets at a time, apart, window), microseconds
        let table = [
            // a ping, ten a second; questions and answers in turn, 4000 a second
            (1000, 1, 100_000, 50),
            (1000, 2, 500, 50),
            // 20 Mbit/s, 200 Mbit/s, 2 Gbit/s of packets of 1250 octets, one by one
            (1000, 1, 500, 50),
            (1000, 1, 50, 1000),
            (500, 1, 50, 500),
            (1000, 1, 5, 320),
            // 64 Mpps
            (1000, 64, 1, 50),
            // not to wait longer than this, or at all
            (20, 1, 5, 20),
            (0, 1, 5, 0),
            (0, 1, 100_000, 0),
        ];
        for (longest, each, apart, window) in table {
            let (_, got) = window_after(longest * MICRO, each, apart * MICRO);
            assert_eq!(got, window * MICRO, "{each} each {apart} us, {longest} us allowed");
        }
    }

    #[test]
    fn super_packets_are_fetched_soon_and_one_period_without_them_is_enough_to_forget_it() {
        let mut whole = PacketBuf::allocate(1024);
        whole.meta.segments = Segments::Tcp { payload: 1348 };
        for (longest, hurried, window) in [(1000, 200, 640), (100, 100, 100), (20, 20, 20)] {
            let (mut gather, _) = window_after(longest * MICRO, 1, 50 * MICRO);
            let mut now = gather.since;
            let mut next = |packets: &[PacketBuf]| {
                gather.found(100);
                gather.taken(packets);
                now = now + Gather::PERIOD;
                gather.window(now)
            };
            assert_eq!(next(std::slice::from_ref(&whole)), hurried * MICRO);
            assert_eq!(next(&[]), window * MICRO);
        }
    }

    #[test]
    fn after_a_silence_the_first_wait_is_short_again() {
        let (mut gather, window) = window_after(1000 * MICRO, 1, 50 * MICRO);
        assert_eq!((window, gather.next()), (1000 * MICRO, Look::Later));
        let later = Instant::ZERO + Duration::from_secs(3600);
        assert_eq!(gather.window(later), 50 * MICRO);
        assert_eq!(gather.next(), Look::Again);
    }

    #[test]
    fn it_looks_again_at_once_where_there_may_be_more_or_packets_are_slow_or_the_worker_spins() {
        let (mut gather, _) = window_after(1000 * MICRO, 1, 50 * MICRO);
        for (found, next) in [(0, Look::Later), (15, Look::Later), (16, Look::Again), (100, Look::Again)] {
            gather.look();
            gather.found(found);
            assert_eq!(gather.next(), next, "{found}");
        }
        gather.look();
        assert_eq!(gather.next(), Look::Later);
        gather.spin = MICRO;
        assert_eq!(gather.next(), Look::Again);
        let (gather, _) = window_after(1000 * MICRO, 1, Duration::from_millis(10));
        assert_eq!(gather.next(), Look::Again);
    }

    #[test]
    fn a_look_that_took_as_many_as_the_worker_wants_says_nothing_of_what_is_left() {
        let (mut gather, _) = window_after(1000 * MICRO, 1, 50 * MICRO);
        let packets = gather.packets;
        gather.look();
        gather.found(6);
        gather.cut_short();
        assert_eq!((gather.next(), gather.packets), (Look::Again, packets + 6));
        gather.look();
        gather.found(6);
        assert_eq!(gather.next(), Look::Later);
    }
}
