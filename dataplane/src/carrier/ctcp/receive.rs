//! What we acknowledge, and when.
//!
//! A Cisco client repeats nothing, so a hole in what it sends stays; whoever waits for it waits for ever, and so does every
//! firewall that watches us wait. A real TCP at the other end (a proxy's, a client of ours) fills a hole if we say that it is
//! there. So a hole is admitted for a short grace, and passed over after that; a peer that fills none gets no grace.

use super::seen::{Novelty, Seen};
use crate::time::Instant;
use crate::wire::tcp::Seq;
use std::time::Duration;

/// How long a hole is admitted, as long as it is not known that the peer fills any.
const GRACE: Duration = Duration::from_millis(80);
/// Who fills holes gets three times the way there and back, but no longer than this.
const MOST_GRACE: Duration = Duration::from_millis(400);
/// Nor longer than until so many octets have come behind it: a third of what a window tracker lets pass.
const GRACE_OCTETS: usize = 24 * 1024;
/// After so many holes that were never filled, and none that was, there is no grace any more.
const HOPELESS: u32 = 3;
/// An acknowledgment of its own is due after so many segments,
const OWED_SEGMENTS: u32 = 8;
/// so many octets,
const OWED_OCTETS: usize = 16 * 1024;
/// or so long after the first of them.
const OWED_TIME: Duration = Duration::from_millis(40);

/// Until something is measured: less than any way there and back that loses packets.
const OVERTAKING: Duration = Duration::from_millis(2);

/// How a flow is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nothing is held, nothing waits, nothing is repeated.
    Stateless,
    /// As the peer and the path turn out to be.
    Adaptive,
    /// As Cisco's clients are: stateless, and what has come is acknowledged with data or after silence alone. For our own client, to
    /// see what becomes of theirs.
    Legacy,
}

impl Mode {
    /// Whether octets are kept, for repeating or for finding frames in them.
    pub(super) const fn holds(self) -> bool {
        match self {
            Self::Adaptive => true,
            Self::Stateless | Self::Legacy => false,
        }
    }
}

/// When the next acknowledgment is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// With the next packet, or at [`Receive::deadline`].
    Later,
    /// At once.
    Now,
}

/// One direction of a flow: from the peer.
#[derive(Debug)]
pub struct Receive {
    mode: Mode,
    seen: Seen,
    /// What was said last.
    said: Seq,
    owed_segments: u32,
    owed_since: Option<Instant>,
    hole_since: Option<Instant>,
    /// The way there and back to a peer that is known to fill holes.
    fills: Option<Duration>,
    /// The least way there and back.
    least_rtt: Option<Duration>,
    /// Holes that opened.
    pub(super) holes: u64,
    /// Holes that were filled by octets that had only been overtaken,
    pub(super) overtaken: u64,
    /// and by octets that came again.
    pub(super) refilled: u64,
    /// Holes that were passed over,
    pub(super) unfilled: u64,
    /// and their octets.
    pub(super) missing: u64,
    /// Octets that came again, or too late.
    pub(super) repeated: u64,
}

impl Receive {
    /// From a peer whose first octet is `start`.
    pub const fn new(mode: Mode, start: Seq) -> Self {
        Self {
            mode,
            seen: Seen::new(start),
            said: start,
            owed_segments: 0,
            owed_since: None,
            hole_since: None,
            fills: None,
            least_rtt: None,
            holes: 0,
            overtaken: 0,
            refilled: 0,
            unfilled: 0,
            missing: 0,
            repeated: 0,
        }
    }

    /// The least way there and back is this long.
    #[inline]
    pub(super) const fn measured(&mut self, least_rtt: Duration) {
        self.least_rtt = Some(least_rtt);
    }

    /// The peer is known to fill holes; the way there and back takes this long.
    #[inline]
    pub(super) const fn fills(&mut self, rtt: Duration) {
        self.fills = Some(rtt);
    }

    /// Whether holes are filled at all, one way or the other.
    pub(super) const fn is_filled(&self) -> bool {
        self.refilled + self.overtaken > 0
    }

    /// Everything before this has come or was passed over.
    pub const fn floor(&self) -> Seq {
        self.seen.floor()
    }

    /// Behind the last octet that has come.
    pub fn highest(&self) -> Seq {
        self.seen.highest()
    }

    /// Octets that have come and that we have not said to have.
    pub fn unsaid(&self) -> usize {
        self.highest().octets_since(self.said)
    }

    /// `len` octets from `seq` on have come.
    #[inline]
    pub fn data(&mut self, now: Instant, seq: Seq, len: usize) -> Due {
        let had_hole = self.seen.has_hole();
        let novelty = self.seen.take(seq, len);
        if novelty != Novelty::New {
            self.repeated += len as u64;
        }
        match (had_hole, self.seen.has_hole()) {
            (true, false) => match self.hole_since.take() {
                Some(since) if now.since(since) < self.overtaking() => self.overtaken += 1,
                Some(_) | None => self.refilled += 1,
            },
            (false, true) => {
                self.hole_since = Some(now);
                self.holes += 1;
            }
            (true, true) | (false, false) => {}
        }
        if self.seen.has_hole() && !self.waits(now) {
            self.pass_over();
        }
        if self.mode == Mode::Legacy {
            return Due::Later;
        }
        self.owed_segments += 1;
        self.owed_since.get_or_insert(now);
        let owed_octets = self.acknowledgment().octets_since(self.said);
        // Real TCP needs to hear at once that something is missing, or has come after all (RFC 5681 section 4.2).
        let says_more = self.seen.has_hole() || had_hole || novelty == Novelty::Old;
        match says_more || self.owed_segments >= OWED_SEGMENTS || owed_octets >= OWED_OCTETS {
            true => Due::Now,
            false => Due::Later,
        }
    }

    /// What we say now; it is said.
    pub fn say(&mut self) -> Seq {
        self.said = self.acknowledgment();
        self.owed_segments = 0;
        self.owed_since = None;
        self.said
    }

    /// What there is to say: the highest octet, or the first hole's beginning as long as it has grace.
    pub fn acknowledgment(&self) -> Seq {
        match self.mode {
            Mode::Stateless | Mode::Legacy => self.seen.highest(),
            Mode::Adaptive => self.seen.floor(),
        }
    }

    /// When something is to be said or passed over, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        let owed = self.owed_since.map(|since| since + OWED_TIME);
        let grace = self.hole_since.map(|since| since + self.grace());
        [owed, grace].into_iter().flatten().min()
    }

    /// Time has come.
    pub fn timeout(&mut self, now: Instant) -> Due {
        if self.hole_since.is_some() && !self.waits(now) {
            self.pass_over();
            return Due::Now;
        }
        match self.owed_since {
            Some(since) if now.since(since) >= OWED_TIME => Due::Now,
            Some(_) | None => Due::Later,
        }
    }

    /// How long a hole is admitted. Asked for where there is one; packets come much more often.
    fn grace(&self) -> Duration {
        self.fills.map_or(GRACE, |rtt| (3 * rtt).clamp(GRACE, MOST_GRACE))
    }

    /// Whatever fills a hole sooner was on its way before anybody was told of it.
    fn overtaking(&self) -> Duration {
        self.least_rtt.map_or(OVERTAKING, |least| least / 2)
    }

    /// Whether the first hole may still be filled.
    fn waits(&self, now: Instant) -> bool {
        let hopeless = !self.is_filled() && self.unfilled >= u64::from(HOPELESS);
        self.mode == Mode::Adaptive
            && !hopeless
            && self.seen.beyond() < GRACE_OCTETS
            && self.hole_since.is_some_and(|since| now.since(since) < self.grace())
    }

    /// All holes, as one: they came in one grace.
    fn pass_over(&mut self) {
        while self.seen.has_hole() {
            self.missing += self.seen.give_up() as u64;
            self.unfilled += 1;
        }
        self.hole_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Seq = Seq::new(u32::MAX - 2000);

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(1) + Duration::from_millis(millis)
    }

    #[test]
    fn an_acknowledgment_is_due_after_eight_segments_or_16_kilobytes_or_40_milliseconds() {
        let mut receive = Receive::new(Mode::Adaptive, START);
        let mut next = START;
        for segment in 1..=8 {
            let due = receive.data(at(0), next, 100);
            assert_eq!(due, if segment == 8 { Due::Now } else { Due::Later });
            next = next.plus(100);
        }
        assert_eq!(receive.say(), next);
        assert_eq!(receive.data(at(1), next, 16 * 1024), Due::Now);
        assert_eq!(receive.say(), next.plus(16 * 1024));
        assert_eq!(receive.deadline(), None);
        receive.data(at(2), next.plus(16 * 1024), 1);
        assert_eq!(receive.deadline(), Some(at(42)));
        assert_eq!((receive.timeout(at(41)), receive.timeout(at(42))), (Due::Later, Due::Now));
    }

    #[test]
    fn a_hole_is_admitted_at_once_and_filled_or_passed_over_after_its_grace() {
        let mut receive = Receive::new(Mode::Adaptive, START);
        assert_eq!(receive.data(at(0), START.plus(100), 100), Due::Now);
        assert_eq!(receive.say(), START);
        let mut filled = Receive::new(Mode::Adaptive, START);
        filled.data(at(0), START.plus(100), 100);
        assert_eq!(filled.data(at(79), START, 100), Due::Now);
        assert_eq!((filled.say(), filled.refilled, filled.unfilled), (START.plus(200), 1, 0));
        assert_eq!(receive.timeout(at(79)), Due::Later);
        receive.say();
        assert_eq!(receive.timeout(at(80)), Due::Now);
        assert_eq!((receive.say(), receive.unfilled, receive.missing), (START.plus(200), 1, 100));
        assert_eq!(receive.data(at(90), START, 100), Due::Now, "too late, but real TCP wants to hear of it");
        assert_eq!(receive.repeated, 100);
    }

    #[test]
    fn who_fills_nothing_gets_no_grace_after_the_third_hole() {
        let mut receive = Receive::new(Mode::Adaptive, START);
        let mut next = START;
        for hole in 0..3 {
            receive.data(at(1000 * hole), next.plus(50), 50);
            assert_eq!(receive.acknowledgment(), next, "hole {hole} has grace");
            receive.timeout(at(1000 * hole + 80));
            next = next.plus(100);
        }
        receive.data(at(4000), next.plus(50), 50);
        assert_eq!(receive.acknowledgment(), next.plus(100));
    }

    #[test]
    fn a_hole_has_grace_no_longer_than_for_24_kilobytes() {
        let mut receive = Receive::new(Mode::Adaptive, START);
        let mut next = START.plus(100);
        for _ in 0..30 {
            receive.data(at(0), next, 1000);
            next = next.plus(1000);
        }
        assert_eq!(receive.acknowledgment(), next);
    }

    #[test]
    fn stateless_says_the_highest_whatever_is_missing_and_wraps() {
        let mut receive = Receive::new(Mode::Stateless, START);
        receive.data(at(0), START.plus(1900), 200);
        assert_eq!(receive.acknowledgment(), START.plus(2100));
        receive.data(at(0), START, 100);
        assert_eq!(receive.acknowledgment(), START.plus(2100));
        assert!(START.plus(2100).get() < 1000, "across the wrap");
    }

    #[test]
    fn ciscos_clients_acknowledge_the_highest_and_never_for_its_own_sake() {
        let mut receive = Receive::new(Mode::Legacy, START);
        let mut next = START.plus(100);
        for _ in 0..100 {
            assert_eq!(receive.data(at(0), next, 1000), Due::Later);
            next = next.plus(1000);
        }
        assert_eq!((receive.deadline(), receive.timeout(at(10_000))), (None, Due::Later));
        assert_eq!(receive.say(), next);
    }

    #[test]
    fn what_was_overtaken_fills_a_hole_before_anybody_can_have_heard_of_it() {
        let mut receive = Receive::new(Mode::Adaptive, START);
        receive.measured(Duration::from_millis(30));
        for (hole, millis) in [(0, 14), (1, 15)] {
            let from = START.plus(200 * hole);
            receive.data(at(100 * hole as u64), from.plus(100), 100);
            receive.data(at(100 * hole as u64 + millis), from, 100);
        }
        assert_eq!((receive.holes, receive.overtaken, receive.refilled), (2, 1, 1));
    }
}
