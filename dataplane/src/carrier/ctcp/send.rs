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
/// An acknowledgment that stands with so many segments behind the first that is missing waits for that one: a peer that does not wait
/// has one of the others.
const BEHIND: usize = 3;
/// So long an acknowledgment stands before it is counted as standing still,
const STANDS: Duration = Duration::from_secs(1);
/// with so little room left in a window.
const LEAST_PLATEAU: usize = 1500;
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
    /// When it moved on the last two times.
    moves: [Instant; 2],
    /// Whether the peer may be one that acknowledges with data alone.
    may_be_silent: bool,
    heard: Instant,
    rtt: Duration,
    /// What is being timed: acknowledged behind this octet, it took since then.
    timing: Option<(Seq, Instant)>,
    /// When what is missing was sent again.
    repaired: Option<Instant>,
    probes: u32,
    /// The acknowledgment stood here, with segments behind what was missing, when that was sent again.
    waits_behind: Option<Seq>,
    /// It stands here, a window behind what was sent, and that is counted.
    plateau: Option<Seq>,
    measured: Option<Duration>,
    pub(super) counted: Counted,
}

/// What a direction has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) segments: u64,
    pub(super) octets: u64,
    pub(super) resent: u64,
    pub(super) repairs: u64,
    pub(super) helped: u64,
    pub(super) rewinds: u64,
    pub(super) plateaus: u64,
    pub(super) duplicates: u64,
}

impl Counted {
    const NOTHING: Self =
        Self { segments: 0, octets: 0, resent: 0, repairs: 0, helped: 0, rewinds: 0, plateaus: 0, duplicates: 0 };
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
            moves: [now; 2],
            may_be_silent: false,
            heard: now,
            rtt: FIRST_RTT,
            timing: None,
            repaired: None,
            probes: 0,
            waits_behind: None,
            plateau: None,
            measured: None,
            counted: Counted::NOTHING,
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

    /// The least way there and back that was measured.
    pub(super) const fn least_rtt(&self) -> Option<Duration> {
        self.measured
    }

    /// Octets that are kept, and how many may be.
    pub(super) const fn kept(&self) -> (usize, usize) {
        (self.ring.held(), self.ring.most())
    }

    /// Whether a segment that is kept ends here, or the furthest that there ever was.
    pub(super) fn has_end(&self, at: Seq) -> bool {
        at == self.furthest || self.ring.from(self.ring.start()).any(|sent| sent.seq.plus(sent.len()) == at)
    }

    /// Whether more may be kept than is kept now.
    pub(super) const fn bound(&mut self, room: Room) {
        match room {
            Room::Left => self.ring.thaw(),
            Room::None => self.ring.freeze(),
        }
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

    /// The peer's SYN was one of Cisco's.
    pub(super) const fn expect_silence(&mut self) {
        self.may_be_silent = true;
    }

    /// A place for a segment of `len` octets.
    pub fn place(&mut self, now: Instant, len: usize) -> Result<Seq, Full> {
        if self.mode.holds() && self.in_flight() + len > WINDOW {
            let flowing = FLOWING.max(4 * self.rtt);
            // A Cisco client that only receives says every few seconds what it has, and does not look at what is sent again.
            let silent = self.may_be_silent && now.since(self.moves[0]) >= flowing;
            if !silent && now.since(self.moved) < flowing {
                return Err(Full::InFlight);
            }
            // Nobody acknowledges, so nobody counts but a box; it lets pass what begins where the last acknowledgment was.
            self.next = self.acknowledged;
            self.ring.restart(self.acknowledged);
            self.timing = None;
            self.counted.rewinds += 1;
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
        self.counted.segments += 1;
        self.counted.octets += segment.len() as u64;
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
            self.moves = [self.moves[1], now];
            if self.waits_behind.take().is_some() {
                self.counted.helped += 1;
            }
            if let Some((until, since)) = self.timing
                && !until.is_after(seq)
            {
                // What was sent again says nothing of the time that it took (RFC 6298 section 3).
                if self.repaired.is_none_or(|repaired| since > repaired) {
                    let measured = now.since(since);
                    self.rtt = (7 * self.rtt + measured) / 8;
                    self.measured = Some(self.measured.map_or(measured, |least| least.min(measured)));
                }
                self.timing = None;
            }
            return Acknowledged::More;
        }
        let stands = seq == self.acknowledged && now.since(self.moved) >= STANDS;
        if stands && self.in_flight() + LEAST_PLATEAU > WINDOW && self.plateau != Some(seq) {
            self.plateau = Some(seq);
            self.counted.plateaus += 1;
        }
        match alone {
            Alone::Yes if seq == self.acknowledged && self.in_flight() > 0 => {
                self.duplicates += 1;
                self.counted.duplicates += 1;
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
            self.counted.repairs += 1;
            if self.ring.from(self.acknowledged).nth(BEHIND).is_some() {
                self.waits_behind = Some(self.acknowledged);
            }
        }
        let resent = &mut self.counted.resent;
        self.ring.from(self.acknowledged).take(count).inspect(|_| *resent += 1)
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

/// Whether there is memory left for all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Some.
    Left,
    /// None.
    None,
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
mod tests;
