//! What we send, and what of it we send again.
//!
//! Two kinds of box stop a sender who never looks back. One follows the stream and waits for what is missing: it gets it again,
//! in order, because it keeps little of what comes behind a hole. One counts octets that nobody has acknowledged and refuses
//! what is beyond a window: so we stay within it, or begin again at what was acknowledged.

use super::receive::Mode;
use super::ring::{Ring, Sent};
use crate::time::Instant;
use crate::wire::tcp::{Seq, Shift};
use std::time::Duration;

/// The window that every Cisco end says it has; without the option that scales it there is no larger. Less than that is not kept to: a
/// peer that means it has it all sent again.
const WINDOW: usize = 65_535;
/// Duplicate acknowledgments that say that something is missing (RFC 5681 section 3.2).
const DUPLICATES: u32 = 3;
/// So many segments are sent again at once.
const BURST: usize = 64;
/// As long as nothing is known.
const FIRST_RTT: Duration = Duration::from_millis(200);
/// A peer that acknowledges when it pleases is given at least so long,
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
/// real TCP so much longer than the way there and back (RFC 9293 section 3.8.6.3 allows half a second; nobody takes it).
const DELAYED: Duration = Duration::from_millis(40);
/// What a time that was measured varies by, at least.
const LEAST_VARIATION: Duration = Duration::from_millis(10);
/// Acknowledgments flow if one has moved on within this time, or within some times the way there and back.
const FLOWING: Duration = Duration::from_millis(200);
/// So many probes of one segment while the peer is silent; then it is left alone. The wait before each is twice as long as the one before.
const MOST_PROBES: u32 = 6;
/// So often the wait before what does not help goes again is doubled (RFC 6298 section 5.5), from the second time on.
const MOST_DOUBLINGS: u32 = 6;
/// An acknowledgment that stands with so many segments behind the first that is missing waits for that one: a peer that does not wait
/// has one of the others.
const BEHIND: usize = 3;
/// So long an acknowledgment stands before it is counted as standing still,
const STANDS: Duration = Duration::from_secs(1);
/// with so little room left in a window.
const LEAST_PLATEAU: usize = 1500;
/// Before the first of them.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// After so many acknowledgments in a row that flowed, a peer is no silent one.
const FLOWED: u32 = 8;
/// What goes to a silent peer goes once more so much later: a box that waits keeps no more than a few segments behind a hole.
const ECHO: Duration = Duration::from_millis(5);

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
    /// By what the peer's windows are shifted, if both ends do that.
    scale: Option<Shift>,
    /// Octets that may be under way.
    window: usize,
    duplicates: u32,
    /// When the acknowledgment moved on, or something was sent while nothing was under way.
    moved: Instant,
    /// When it moved on the last two times.
    moves: [Instant; 2],
    /// Whether the peer may be one that acknowledges with data alone.
    may_be_silent: bool,
    /// So many acknowledgments in a row flowed.
    flowed: u32,
    /// Whether its SYN says that it is real TCP.
    answers: Answers,
    heard: Instant,
    rtt: Duration,
    /// By how much that varies (RFC 6298 section 2).
    variation: Duration,
    /// Segments of the peer's in a row that could have acknowledged more.
    standing: u32,
    /// What was missing behind here was sent again, and some of it has come: the rest is to follow at once (RFC 6582 section 3.2).
    recovering: Option<Seq>,
    /// Whether it is.
    partial: bool,
    /// What is to go once more.
    echo: Option<Echo>,
    /// What is being timed: acknowledged behind this octet, it took since then.
    timing: Option<(Seq, Instant)>,
    /// When what is missing was sent again.
    repaired: Option<Instant>,
    /// How often that was since the acknowledgment moved on, of more than a probe,
    repairs: u32,
    /// and of probes.
    probes: u32,
    /// The acknowledgment stood here, with segments behind what was missing, when that was sent again.
    waits_behind: Option<Seq>,
    /// It stands here, a window behind what was sent, and that is counted.
    plateau: Option<Seq>,
    measured: Option<Duration>,
    pub(super) counted: Counted,
}

/// When a peer acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// Soon.
    Promptly,
    /// With its next packet, or after seconds.
    Anytime,
}

/// Segments that are sent twice.
#[derive(Debug, Clone, Copy)]
struct Echo {
    from: Seq,
    at: Instant,
}

/// What is to be sent again, and when.
#[derive(Debug, Clone, Copy)]
struct Repair {
    at: Instant,
    segments: usize,
}

/// What a peer waits for, and is not kept any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Its first octet.
    pub begins: Seq,
    /// Octets at most: some of them may have come.
    pub len: usize,
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
    pub(super) filled: u64,
    pub(super) plateaus: u64,
    pub(super) duplicates: u64,
}

impl Counted {
    const NOTHING: Self = Self {
        segments: 0,
        octets: 0,
        resent: 0,
        repairs: 0,
        helped: 0,
        rewinds: 0,
        filled: 0,
        plateaus: 0,
        duplicates: 0,
    };
}

impl Send {
    /// Our first octet is `start`; the ring may take `ring` octets. The peer's windows are scaled if its SYN said so, for ours says so then.
    pub const fn new(now: Instant, mode: Mode, start: Seq, ring: usize, scale: Option<Shift>) -> Self {
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
            scale,
            window: WINDOW,
            duplicates: 0,
            moved: now,
            moves: [now; 2],
            may_be_silent: false,
            flowed: 0,
            answers: Answers::Anytime,
            heard: now,
            rtt: FIRST_RTT,
            variation: FIRST_RTT,
            standing: 0,
            recovering: None,
            partial: false,
            echo: None,
            timing: None,
            repaired: None,
            repairs: 0,
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
    pub(super) fn bound(&mut self, room: Room) {
        match room {
            Room::Left => self.ring.thaw(),
            Room::Little => self.ring.hold_back(),
            Room::None => self.ring.freeze(),
        }
    }

    /// Nothing is to be said for a while: what is not needed is given back.
    pub(super) fn rest(&mut self) {
        if self.in_flight() == 0 {
            self.ring.shrink();
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
        ahead <= 0 && behind <= 2 * self.window as i32
    }

    /// The peer's SYN was one of Cisco's.
    pub(super) const fn expect_silence(&mut self) {
        self.may_be_silent = true;
    }

    /// The peer's SYN was one of real TCP's, a proxy's or its own.
    pub(super) const fn expect_answers(&mut self) {
        self.answers = Answers::Promptly;
    }

    /// A place for a segment of `len` octets.
    pub fn place(&mut self, now: Instant, len: usize) -> Result<Seq, Full> {
        // A SYN proxy speaks like real TCP when the connection begins, and then it is Cisco's client that does not.
        if self.answers == Answers::Promptly && self.in_flight() > 0 {
            self.may_be_silent |= now.since(self.moved) >= self.patience();
        }
        if self.mode.holds() && self.in_flight() + len > self.window {
            if !self.is_silent(now) && now.since(self.moved) < self.flowing() {
                return Err(Full::InFlight);
            }
            self.may_be_silent = true;
            // Nobody acknowledges, so nobody counts but a box; it lets pass what begins where the last acknowledgment was.
            self.next = self.acknowledged;
            self.ring.restart(self.acknowledged);
            (self.timing, self.recovering, self.echo) = (None, None, None);
            self.counted.rewinds += 1;
        }
        let seq = self.next;
        if self.in_flight() == 0 {
            (self.moved, self.repairs, self.probes, self.standing) = (now, 0, 0, 0);
        }
        Ok(seq)
    }

    /// The segment at the place that [`Send::place`] gave is on its way, without its TCP header.
    pub fn sent(&mut self, now: Instant, segment: &[u8]) {
        if self.mode.holds() {
            self.ring.push(self.next, segment);
        }
        let (from, end) = (self.next, self.next.plus(segment.len()));
        if end.is_after(self.furthest) {
            self.furthest = end;
            // A hole in what such a peer has never been sent holds up all that follows, and it does not say so for seconds. Behind
            // where it once was there are no holes.
            if self.mode.holds() && self.echo.is_none() && self.is_silent(now) {
                self.echo = Some(Echo { from, at: now + ECHO });
            }
        }
        self.next = end;
        self.counted.segments += 1;
        self.counted.octets += segment.len() as u64;
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
            (self.duplicates, self.repairs, self.probes, self.standing, self.moved) = (0, 0, 0, 0, now);
            self.moves = [self.moves[1], now];
            self.flowed = if now.since(self.moves[0]) < self.flowing() { self.flowed + 1 } else { 0 };
            if self.answers == Answers::Promptly && self.flowed >= FLOWED {
                self.may_be_silent = false;
            }
            self.recovering.take_if(|until| !until.is_after(seq));
            self.partial = self.recovering.is_some();
            if self.waits_behind.take().is_some() {
                self.counted.helped += 1;
            }
            if let Some((until, since)) = self.timing
                && !until.is_after(seq)
            {
                // What was sent again says nothing of the time that it took (RFC 6298 section 3).
                if self.repaired.is_none_or(|repaired| since > repaired) {
                    let measured = now.since(since);
                    (self.rtt, self.variation) = match self.measured {
                        None => (measured, measured / 2),
                        Some(_) => {
                            ((7 * self.rtt + measured) / 8, (3 * self.variation + self.rtt.abs_diff(measured)) / 4)
                        }
                    };
                    self.measured = Some(self.measured.map_or(measured, |least| least.min(measured)));
                }
                self.timing = None;
            }
            return Acknowledged::More;
        }
        let stands = seq == self.acknowledged && now.since(self.moved) >= STANDS;
        if stands && self.in_flight() + LEAST_PLATEAU > self.window && self.plateau != Some(seq) {
            self.plateau = Some(seq);
            self.counted.plateaus += 1;
        }
        // Every segment says what its sender has got, so one that comes this late does not lack time, but what is missing.
        if seq == self.acknowledged && self.in_flight() > 0 && now.since(self.moved) > self.timeout() {
            self.standing += 1;
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

    /// The peer has room for so much, as its header says. What could not be sent again is not under way.
    #[inline]
    pub(super) fn advertised(&mut self, window: u16) {
        if let Some(scale) = self.scale {
            self.window = scale.octets(window).min(self.ring.most()).max(WINDOW);
        }
    }

    /// When [`Send::repair`] may have something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let again = self.next_repair().map(|repair| repair.at);
        [again, self.next_unkept(), self.echo.map(|echo| echo.at)].into_iter().flatten().min()
    }

    /// What would have to be sent again now, were it kept: real TCP waits for it, and hands on nothing behind it.
    pub fn unkept(&mut self, now: Instant) -> Option<Hole> {
        self.next_unkept().filter(|at| *at <= now)?;
        self.probes += 1;
        self.goes_again(now);
        let begins = self.acknowledged;
        Some(Hole { begins, len: self.ring.start().octets_since(begins) })
    }

    /// When that is, if nothing comes before.
    fn next_unkept(&self) -> Option<Instant> {
        let waits = self.mode.holds() && self.answers == Answers::Promptly && self.in_flight() > 0;
        if !waits || self.keeps() || self.probes >= MOST_PROBES {
            return None;
        }
        let rested = |time| self.repaired.map_or(Instant::ZERO, |repaired| repaired + time);
        let patience = self.patience();
        let asked = (self.duplicates >= DUPLICATES).then(|| rested(patience));
        let partial = self.partial.then(|| rested(self.rtt));
        let waited = Some(self.moved + patience * (1 << self.probes));
        [asked, partial, waited].into_iter().flatten().min()
    }

    /// Whether what the peer wants next is kept.
    fn keeps(&self) -> bool {
        self.ring.held() > 0 && !self.ring.start().is_after(self.acknowledged)
    }

    /// What is to be sent again now, in order from what the peer has acknowledged, or all that it should have twice.
    pub fn repair(&mut self, now: Instant) -> impl Iterator<Item = Sent<'_>> {
        let due = self.next_repair().filter(|repair| repair.at <= now);
        let echo = self.echo.take_if(|echo| echo.at <= now);
        let (from, count) = match (due, echo) {
            (Some(repair), _) => {
                self.repairs(now, repair);
                (self.acknowledged, repair.segments)
            }
            (None, Some(echo)) => (echo.from.later(self.acknowledged), BURST),
            (None, None) => (self.acknowledged, 0),
        };
        let resent = &mut self.counted.resent;
        self.ring.from(from).take(count).inspect(|_| *resent += 1)
    }

    fn repairs(&mut self, now: Instant, repair: Repair) {
        match repair.segments {
            1 => self.probes += 1,
            _ => self.repairs = self.repairs.saturating_add(1),
        }
        self.goes_again(now);
        self.counted.repairs += 1;
        if self.ring.from(self.acknowledged).nth(BEHIND).is_some() {
            self.waits_behind = Some(self.acknowledged);
        }
    }

    /// What is missing is on its way again, or what stands in for it: what was said of it before counts no longer.
    fn goes_again(&mut self, now: Instant) {
        self.repaired = Some(now);
        (self.duplicates, self.standing, self.partial) = (0, 0, false);
        self.recovering = Some(self.next);
    }

    /// The next time something is to be sent again, if nothing comes before that.
    fn next_repair(&self) -> Option<Repair> {
        if !self.mode.holds() || !self.keeps() {
            return None;
        }
        // It needs time to arrive, and more of it if it has not helped: a line that is full gets no better by it.
        let doublings = self.repairs.saturating_sub(1).min(MOST_DOUBLINGS);
        let rested =
            |time: Duration| self.repaired.map_or(Instant::ZERO, |repaired| repaired + time * (1 << doublings));
        let all = |at| Some(Repair { at, segments: BURST });
        let patience = self.patience();
        let asked = if self.duplicates >= DUPLICATES { all(rested(patience)) } else { None };
        let stands = if self.standing >= DUPLICATES { all(rested(self.timeout())) } else { None };
        let partial = if self.partial { all(rested(self.rtt)) } else { None };
        // Whoever is heard may have missed what went last. What it said before that tells nothing of it: it may be gone since.
        let went = self.repaired.map_or(self.moved, |repaired| repaired.max(self.moved));
        let waited = match self.heard > went {
            true => all(rested(patience).max(self.moved + patience)),
            false if self.probes < MOST_PROBES => {
                let first = match self.answers {
                    Answers::Promptly => patience,
                    Answers::Anytime => FIRST_PROBE,
                };
                let silent = self.moved.max(self.heard) + first * (1 << self.probes);
                Some(Repair { at: silent.max(went + first), segments: 1 })
            }
            false => None,
        };
        [asked, stands, partial, waited].into_iter().flatten().min_by_key(|repair| repair.at)
    }

    /// Acknowledgments that flow have moved on within this time. Real TCP repeats for a while before they do.
    fn flowing(&self) -> Duration {
        FLOWING.max(if self.may_be_silent { 2 } else { 4 } * self.rtt)
    }

    /// A Cisco client that only receives says every few seconds what it has, and does not look at what is sent again.
    fn is_silent(&self, now: Instant) -> bool {
        // Most flow, and need no more than the least that this time can be.
        self.may_be_silent && now >= self.moves[0] + FLOWING && now.since(self.moves[0]) >= self.flowing()
    }

    /// RFC 6298 section 2, without the second that it wants at least.
    fn timeout(&self) -> Duration {
        self.rtt + (4 * self.variation).max(LEAST_VARIATION)
    }

    /// How long an acknowledgment may take.
    fn patience(&self) -> Duration {
        match self.answers {
            Answers::Promptly => self.timeout() + DELAYED,
            Answers::Anytime => (2 * self.rtt).max(LEAST_PATIENCE),
        }
    }
}

/// Whether there is memory left for all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Some.
    Left,
    /// That, but this one gets what a login takes and no more.
    Little,
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
