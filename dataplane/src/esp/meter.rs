//! What an SA may still carry (RFC 4301 section 4.4.2.1), counted down to the nearest limit.
//!
//! The packet that reaches a limit is still carried; the next one is not, if the limit was a hard one. Nothing that is
//! not authenticated is ever charged: only time passes without a packet's doing.

use super::news::{News, Tiding};
use crate::contract::{Lifetime, SequenceNumbers};
use crate::fate::DropReason;
use crate::time::Instant;

/// One SA's.
pub(super) struct Meter {
    /// Left until the nearest limit.
    packets: u64,
    octets: u64,
    /// The nearest limit in time.
    due: Instant,
    /// The hard limit in time; long ago for an SA that has ended.
    ends: Instant,
    stage: Stage,
    /// From the soft limits to the hard ones.
    further: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The soft limits are ahead.
    Fresh,
    /// The hard limits are ahead.
    Worn,
    /// The SA has ended.
    Over,
}

/// Later than any clock.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// The last number that an outbound SA may send (RFC 4303 section 3.3.3: numbers never cycle). With extended numbers
/// it is the explicit IV's counter that ends, at 48 bits: a number used twice there gives the key away
/// (RFC 4106 section 3.1).
pub(super) const fn last_number(numbers: SequenceNumbers) -> u64 {
    match numbers {
        SequenceNumbers::Plain => u32::MAX as u64,
        SequenceNumbers::Extended => (1 << 48) - 1,
    }
}

impl Meter {
    /// Limits that are not there are as far as can be. At three quarters of the numbers the SA is to be replaced
    /// whatever the limits say: at 15 million packets a second the last quarter of 2³² takes 72 s, time enough for a
    /// rekey on a line that loses.
    pub(super) fn new(lifetime: Lifetime, numbers: SequenceNumbers) -> Self {
        let Lifetime { soft, hard } = lifetime;
        let last = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        let ends = hard.time.unwrap_or(NEVER);
        let due = soft.time.unwrap_or(NEVER).min(ends);
        let packets = last(soft.packets).min(last_number(numbers) / 4 * 3).min(last(hard.packets));
        let octets = last(soft.octets).min(last(hard.octets));
        let further = |hard: Option<u64>, soft: u64| hard.map_or(u64::MAX, |hard| hard - soft);
        let further = (further(hard.packets, packets), further(hard.octets, octets));
        Self { packets, octets, due, ends, stage: Stage::Fresh, further }
    }

    /// Whether one more packet may pass.
    #[inline]
    pub(super) fn check(&mut self, now: Instant, news: &mut News) -> Result<(), DropReason> {
        if now < self.ends {
            return Ok(());
        }
        self.end(news);
        Err(DropReason::LifetimeOver)
    }

    /// A packet passed.
    #[inline]
    pub(super) fn charge(&mut self, octets: usize, now: Instant, news: &mut News) {
        let left = self.octets;
        self.packets = self.packets.saturating_sub(1);
        self.octets = left.saturating_sub(octets as u64);
        if self.packets == 0 || self.octets == 0 || now >= self.due {
            self.reach((octets as u64).saturating_sub(left), news);
        }
    }

    /// No packet passes any more.
    #[cold]
    pub(super) fn end(&mut self, news: &mut News) {
        match self.stage {
            Stage::Fresh => {
                news.add(Tiding::Soft);
                news.add(Tiding::Hard);
            }
            Stage::Worn => news.add(Tiding::Hard),
            Stage::Over => {}
        }
        self.stage = Stage::Over;
        self.ends = Instant::ZERO;
    }

    /// A limit is reached: by what passed, with so many octets beyond it, or by time, where the hard limit is
    /// [`Meter::check`]'s to find.
    #[cold]
    fn reach(&mut self, beyond: u64, news: &mut News) {
        if self.stage == Stage::Fresh {
            self.stage = Stage::Worn;
            news.add(Tiding::Soft);
            self.packets = self.packets.saturating_add(self.further.0);
            self.octets = self.octets.saturating_add(self.further.1).saturating_sub(beyond);
            self.due = self.ends;
        }
        if self.packets == 0 || self.octets == 0 {
            self.end(news);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Limits;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn limits(packets: Option<u64>, octets: Option<u64>, time: Option<u64>) -> Limits {
        Limits { packets, octets, time: time.map(at) }
    }

    /// Packets of 100 octets, one a nanosecond, as far as they pass: at which of them (from 1) what was told.
    fn told(lifetime: Lifetime, tries: u64) -> (Vec<(u64, Tiding)>, u64) {
        let mut meter = Meter::new(lifetime, SequenceNumbers::Plain);
        let (mut all, mut passed) = (Vec::new(), 0);
        for packet in 1..=tries {
            let mut news = News::default();
            if meter.check(at(packet), &mut news).is_ok() {
                passed += 1;
                meter.charge(100, at(packet), &mut news);
            }
            all.extend([Tiding::Soft, Tiding::Hard].into_iter().filter(|t| news.holds(*t)).map(|t| (packet, t)));
        }
        (all, passed)
    }

    #[test]
    fn each_limit_is_told_once_and_nothing_passes_behind_the_hard_one() {
        use Tiding::{Hard, Soft};
        let none = limits(None, None, None);
        for (soft, hard, expected, passed) in [
            (none, none, vec![], 50),
            (limits(Some(10), None, None), none, vec![(10, Soft)], 50),
            (limits(Some(10), None, None), limits(Some(12), None, None), vec![(10, Soft), (12, Hard)], 12),
            (limits(None, Some(950), None), limits(None, Some(1200), None), vec![(10, Soft), (12, Hard)], 12),
            (limits(None, None, Some(10)), limits(None, None, Some(13)), vec![(10, Soft), (13, Hard)], 12),
            // Whichever comes first.
            (limits(Some(20), Some(500), None), limits(Some(30), Some(3000), None), vec![(5, Soft), (30, Hard)], 30),
            (limits(Some(8), None, Some(3)), limits(None, Some(900), Some(40)), vec![(3, Soft), (9, Hard)], 9),
            // A hard limit alone: both are told, for it is too late.
            (none, limits(Some(7), None, None), vec![(7, Soft), (7, Hard)], 7),
            (none, limits(None, None, Some(7)), vec![(7, Soft), (7, Hard)], 6),
            (limits(Some(9), None, None), limits(Some(4), None, None), vec![(4, Soft), (4, Hard)], 4),
            (limits(Some(0), None, None), none, vec![(1, Soft)], 50),
        ] {
            assert_eq!(told(Lifetime { soft, hard }, 50), (expected, passed), "{soft:?} {hard:?}");
        }
    }

    #[test]
    fn the_end_of_the_numbers_is_told_of_in_time() {
        for (numbers, last) in [(SequenceNumbers::Plain, (1 << 32) - 1), (SequenceNumbers::Extended, (1_u64 << 48) - 1)]
        {
            let mut meter = Meter::new(Lifetime::default(), numbers);
            let left = meter.packets;
            assert!(left < last / 4 * 3 + 4 && left > last / 2, "{numbers:?}: {left}");
            let mut news = News::default();
            meter.packets = 2;
            meter.charge(1, at(1), &mut news);
            assert!(news.is_empty());
            meter.charge(1, at(1), &mut news);
            assert!(news.holds(Tiding::Soft) && !news.holds(Tiding::Hard));
            assert_eq!(meter.check(at(1), &mut news), Ok(()), "it goes on");
        }
    }
}
