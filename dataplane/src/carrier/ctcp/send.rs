//! What we send, and what of it we send again.
//!
//! Two kinds of box stop a sender who never looks back. One follows the stream and waits for what is missing: it gets it again,
//! in order, because it keeps little of what comes behind a hole. One counts octets that nobody has acknowledged and refuses
//! what is beyond a window: so we stay within it, or begin again at what was acknowledged.

use super::receive::Mode;
use super::ring::{Ring, Sent};
use crate::time::Instant;
use crate::wire::tcp::Seq;
use std::time::Duration;

/// The window that every Cisco end says it has; without the option that scales it there is no larger.
const WINDOW: usize = 65_535;
/// Duplicate acknowledgments that say that something is missing (RFC 5681 section 3.2).
const DUPLICATES: u32 = 3;
/// So many segments are sent again at once.
const BURST: usize = 64;
/// As long as nothing is known.
const FIRST_RTT: Duration = Duration::from_millis(200);
/// A peer is given at least so long to acknowledge.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
/// Acknowledgments flow if one has moved on within this time, or within four times the way there and back.
const FLOWING: Duration = Duration::from_millis(200);
/// So many probes of one segment while the peer is silent; then it is left alone.
const MOST_PROBES: u32 = 6;
/// Before the first of them.
const FIRST_PROBE: Duration = Duration::from_secs(1);

/// Why a packet does not leave. No number was used for it, so nothing is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// As much is under way as a box on the path may allow, and acknowledgments come.
    InFlight,
}

/// What an acknowledgment said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// More than the one before.
    More,
    /// The same again, without data.
    Again,
    /// Nothing.
    Nothing,
}

/// One direction of a flow: to the peer.
#[derive(Debug)]
pub struct Send {
    mode: Mode,
    /// The next octet.
    next: Seq,
    /// Behind the last octet that was ever sent: [`Self::next`], unless we have begun again.
    furthest: Seq,
    /// What the peer has acknowledged.
    acknowledged: Seq,
    ring: Ring,
    duplicates: u32,
    /// When the acknowledgment moved on, or something was sent while nothing was under way.
    moved: Instant,
    heard: Instant,
    rtt: Duration,
    /// What is being timed: acknowledged behind this octet, it took since then.
    timing: Option<(Seq, Instant)>,
    /// When what is missing was sent again.
    repaired: Option<Instant>,
    probes: u32,
    pub(super) repeated: u64,
    pub(super) repairs: u64,
    pub(super) rewinds: u64,
    pub(super) duplicates_seen: u64,
}

impl Send {
    /// Our first octet is `start`; the ring may take `ring` octets.
    pub const fn new(now: Instant, mode: Mode, start: Seq, ring: usize) -> Self {
        let ring = match mode {
            Mode::Stateless | Mode::Legacy => 0,
            Mode::Adaptive => ring,
        };
        Self {
            mode,
            next: start,
            furthest: start,
            acknowledged: start,
            ring: Ring::new(start, ring),
            duplicates: 0,
            moved: now,
            heard: now,
            rtt: FIRST_RTT,
            timing: None,
            repaired: None,
            probes: 0,
            repeated: 0,
            repairs: 0,
            rewinds: 0,
            duplicates_seen: 0,
        }
    }

    /// The number of the next octet.
    pub const fn next(&self) -> Seq {
        self.next
    }

    /// What the peer has acknowledged.
    pub const fn acknowledged(&self) -> Seq {
        self.acknowledged
    }

    /// Octets that nobody has acknowledged.
    pub const fn in_flight(&self) -> usize {
        self.next.octets_since(self.acknowledged)
    }

    /// The way there and back, as far as it is known.
    pub const fn rtt(&self) -> Duration {
        self.rtt
    }

    /// Octets of memory.
    pub fn memory(&self) -> usize {
        self.ring.memory()
    }

    /// Whether a peer that is where we think it is could say `acknowledgment`.
    pub const fn believes(&self, acknowledgment: Seq) -> bool {
        let ahead = acknowledgment.distance(self.furthest);
        let behind = self.acknowledged.distance(acknowledgment);
        ahead <= 0 && behind <= 2 * WINDOW as i32
    }

    /// A place for a segment of `len` octets.
    pub fn place(&mut self, now: Instant, len: usize) -> Result<Seq, Full> {
        if self.mode.holds() && self.in_flight() + len > WINDOW {
            if now.since(self.moved) < FLOWING.max(4 * self.rtt) {
                return Err(Full::InFlight);
            }
            // Nobody acknowledges, so nobody counts but a box; it lets pass what begins where the last acknowledgment was.
            self.next = self.acknowledged;
            self.ring.restart(self.acknowledged);
            self.timing = None;
            self.rewinds += 1;
        }
        let seq = self.next;
        if self.in_flight() == 0 {
            self.moved = now;
            self.probes = 0;
        }
        Ok(seq)
    }

    /// The segment at the place that [`Send::place`] gave is on its way, without its TCP header.
    pub fn sent(&mut self, now: Instant, segment: &[u8]) {
        if self.mode.holds() {
            self.ring.push(self.next, segment);
        }
        self.next = self.next.plus(segment.len());
        self.furthest = self.furthest.later(self.next);
        self.timing.get_or_insert((self.next, now));
    }

    /// The peer has acknowledged; `alone` if its segment had no data.
    pub fn acknowledgment(&mut self, now: Instant, seq: Seq, alone: Alone) -> Acknowledged {
        self.heard = now;
        if seq.is_after(self.furthest) {
            return Acknowledged::Nothing;
        }
        if seq.is_after(self.acknowledged) {
            self.acknowledged = seq;
            self.next = self.next.later(seq);
            self.ring.acknowledged(seq);
            (self.duplicates, self.probes, self.moved) = (0, 0, now);
            if let Some((until, since)) = self.timing
                && !until.is_after(seq)
            {
                // What was sent again says nothing of the time that it took (RFC 6298 section 3).
                if self.repaired.is_none_or(|repaired| since > repaired) {
                    self.rtt = (7 * self.rtt + now.since(since)) / 8;
                }
                self.timing = None;
            }
            return Acknowledged::More;
        }
        match alone {
            Alone::Yes if seq == self.acknowledged && self.in_flight() > 0 => {
                self.duplicates += 1;
                self.duplicates_seen += 1;
                Acknowledged::Again
            }
            Alone::Yes | Alone::No => Acknowledged::Nothing,
        }
    }

    /// When [`Send::repair`] may have something to do.
    pub fn deadline(&self) -> Option<Instant> {
        if !self.mode.holds() || self.ring.held() == 0 {
            return None;
        }
        match self.heard > self.moved {
            true => Some(self.repaired.unwrap_or(self.moved).max(self.moved) + self.patience()),
            false if self.probes < MOST_PROBES => Some(self.moved + FIRST_PROBE * (1 << self.probes)),
            false => None,
        }
    }

    /// What is to be sent again now, in order from what the peer has acknowledged.
    pub fn repair(&mut self, now: Instant) -> impl Iterator<Item = Sent<'_>> {
        let count = self.repairs_due(now);
        if count > 0 {
            self.repaired = Some(now);
            self.duplicates = 0;
            self.repairs += 1;
        }
        let repeated = &mut self.repeated;
        self.ring.from(self.acknowledged).take(count).inspect(|_| *repeated += 1)
    }

    fn repairs_due(&mut self, now: Instant) -> usize {
        if !self.mode.holds() || self.ring.held() == 0 {
            return 0;
        }
        let rested = self.repaired.is_none_or(|repaired| now.since(repaired) >= self.patience());
        let stuck = self.heard > self.moved && now.since(self.moved) >= self.patience();
        if rested && (self.duplicates >= DUPLICATES || stuck) {
            return BURST;
        }
        let silent = self.heard <= self.moved && now >= self.moved + FIRST_PROBE * (1 << self.probes.min(MOST_PROBES));
        if silent && self.probes < MOST_PROBES {
            self.probes += 1;
            return 1;
        }
        0
    }

    /// How long an acknowledgment may take.
    fn patience(&self) -> Duration {
        (2 * self.rtt).max(LEAST_PATIENCE)
    }
}

/// Whether an acknowledgment came without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    /// Nothing else in the segment.
    Yes,
    /// Data came with it.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Seq = Seq::new(u32::MAX - 50_000);

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(1) + Duration::from_millis(millis)
    }

    fn adaptive() -> Send {
        Send::new(at(0), Mode::Adaptive, START, 1 << 18)
    }

    fn send(send: &mut Send, now: Instant, len: usize) -> Result<Seq, Full> {
        let seq = send.place(now, len)?;
        send.sent(now, &vec![7; len]);
        Ok(seq)
    }

    fn repaired(send: &mut Send, now: Instant) -> Vec<u32> {
        send.repair(now).map(|sent| sent.seq.octets_since(START) as u32).collect()
    }

    #[test]
    fn the_third_duplicate_brings_everything_from_the_hole_on_in_order_and_once() {
        let mut side = adaptive();
        (0..5).for_each(|_| {
            let _ = send(&mut side, at(0), 1000);
        });
        side.acknowledgment(at(10), START.plus(1000), Alone::Yes);
        for duplicate in 1..=3 {
            assert_eq!(repaired(&mut side, at(10)), [], "before duplicate {duplicate}");
            assert_eq!(side.acknowledgment(at(10), START.plus(1000), Alone::Yes), Acknowledged::Again);
        }
        assert_eq!(repaired(&mut side, at(11)), [1000, 2000, 3000, 4000]);
        (0..3).for_each(|_| {
            let _ = side.acknowledgment(at(12), START.plus(1000), Alone::Yes);
        });
        assert_eq!(repaired(&mut side, at(12)), [], "it needs time to arrive");
    }

    #[test]
    fn an_acknowledgment_that_is_stuck_while_the_peer_is_heard_is_as_good_as_a_duplicate() {
        let mut side = adaptive();
        (0..2).for_each(|_| {
            let _ = send(&mut side, at(0), 1000);
        });
        side.acknowledgment(at(5), START, Alone::No);
        let due = side.deadline().unwrap();
        assert_eq!(repaired(&mut side, at(5)), []);
        assert_eq!(repaired(&mut side, due), [0, 1000]);
    }

    #[test]
    fn a_silent_peer_gets_six_probes_of_one_segment_and_no_more() {
        let mut side = adaptive();
        (0..9).for_each(|_| {
            let _ = send(&mut side, at(0), 1000);
        });
        let mut probes = 0;
        while let Some(due) = side.deadline() {
            assert_eq!(repaired(&mut side, due), [0]);
            probes += 1;
        }
        assert_eq!(probes, 6);
    }

    #[test]
    fn no_more_than_a_window_is_under_way_while_acknowledgments_flow() {
        let mut side = adaptive();
        let sent = (0..100).take_while(|_| send(&mut side, at(0), 1000).is_ok()).count();
        assert_eq!((sent, side.place(at(0), 1000)), (65, Err(Full::InFlight)));
        side.acknowledgment(at(10), START.plus(1000), Alone::Yes);
        assert!(send(&mut side, at(10), 1000).is_ok());
        assert_eq!((side.in_flight(), side.rewinds), (65_000, 0));
    }

    #[test]
    fn where_nobody_acknowledges_it_begins_again_at_what_was_acknowledged() {
        let mut side = adaptive();
        (0..65).for_each(|_| {
            let _ = send(&mut side, at(0), 1000);
        });
        assert_eq!(send(&mut side, at(799), 1000), Err(Full::InFlight));
        assert_eq!(send(&mut side, at(800), 1000), Ok(START));
        assert_eq!((side.rewinds, side.in_flight()), (1, 1000));
        // The peer had more of the first time.
        assert_eq!(side.acknowledgment(at(801), START.plus(65_000), Alone::Yes), Acknowledged::More);
        assert_eq!(send(&mut side, at(801), 1000), Ok(START.plus(65_000)));
    }

    #[test]
    fn an_acknowledgment_of_what_was_never_sent_says_nothing_and_is_not_believed() {
        let mut side = adaptive();
        let _ = send(&mut side, at(0), 1000);
        assert_eq!(side.acknowledgment(at(1), START.plus(1001), Alone::Yes), Acknowledged::Nothing);
        assert!(!side.believes(START.plus(1001)) && side.believes(START.plus(1000)) && side.believes(START));
        assert!(side.believes(Seq::new(START.get() - 131_070)) && !side.believes(Seq::new(START.get() - 131_071)));
        assert_eq!(side.acknowledged(), START);
    }

    #[test]
    fn stateless_holds_nothing_and_repeats_nothing() {
        let mut side = Send::new(at(0), Mode::Stateless, START, 1 << 18);
        for _ in 0..500 {
            assert!(send(&mut side, at(0), 1000).is_ok());
        }
        (0..9).for_each(|_| {
            let _ = side.acknowledgment(at(1), START, Alone::Yes);
        });
        assert_eq!((side.memory(), side.deadline()), (0, None));
        assert_eq!(repaired(&mut side, at(60_000)), []);
    }

    #[test]
    fn the_way_there_and_back_is_measured_but_not_by_what_was_sent_again() {
        let mut side = adaptive();
        for round in 0..40 {
            let now = 100 * round;
            let _ = send(&mut side, at(now), 100);
            side.acknowledgment(at(now + 20), side.next(), Alone::Yes);
        }
        assert!((20..25).contains(&side.rtt().as_millis()), "{:?}", side.rtt());
    }
}
