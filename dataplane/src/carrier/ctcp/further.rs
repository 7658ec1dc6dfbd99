//! Where a peer says to be, if that is too far from what has come.
//!
//! A client that repeats nothing may lose more at once than what a segment out of place is believed: a radio was gone for some seconds of an
//! upload. All that it sends from then on is out of place, for good. Its segments without data still say where it is, and they can only come
//! from somebody who sees what we send: they acknowledge just where one of our segments ended. So what is near to there is believed.
//!
//! Whoever sees nothing has to guess that end, one of some hundred numbers among 2^32, and gets few attempts.

use crate::time::Instant;
use crate::wire::tcp::Seq;
use std::time::Duration;

/// A segment that begins further than this from what has come, or from where its peer says to be, is not of this stream, or somebody guesses.
const PLAUSIBLE: u32 = 1 << 20;
/// After so many wrong guesses in a minute a right one counts for nothing.
const GUESSES: u32 = 256;

/// Whether a segment that begins at `seq` is near to `place`.
#[inline]
pub(super) const fn is_near(seq: Seq, place: Seq) -> bool {
    seq.distance(place).unsigned_abs() < PLAUSIBLE
}

/// What one peer says.
#[derive(Debug)]
pub(super) struct Further {
    place: Option<Seq>,
    /// Wrong guesses in the minute that began then.
    wrong: (u32, Instant),
}

impl Further {
    /// Nothing.
    pub(super) const fn new(now: Instant) -> Self {
        Self { place: None, wrong: (0, now) }
    }

    /// Whether a segment that begins at `seq` is near to where it says to be.
    pub(super) fn is_near(&self, seq: Seq) -> bool {
        self.place.is_some_and(|place| is_near(seq, place))
    }

    /// A segment without data, too far from what has come, proves that its sender sees what we send.
    pub(super) fn says(&mut self, now: Instant, place: Seq) {
        if self.guesses(now) < GUESSES {
            self.place = Some(place);
        }
    }

    /// Another proves nothing.
    pub(super) fn guesses_wrong(&mut self, now: Instant) {
        self.wrong.0 = self.guesses(now).saturating_add(1);
    }

    /// All that has come ends here.
    #[inline]
    pub(super) fn came(&mut self, highest: Seq) {
        if let Some(place) = self.place
            && !place.is_after(highest)
        {
            self.place = None;
        }
    }

    fn guesses(&mut self, now: Instant) -> u32 {
        if now.since(self.wrong.1) >= Duration::from_secs(60) {
            self.wrong = (0, now);
        }
        self.wrong.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Seq = Seq::new(u32::MAX - 10);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(100 + seconds)
    }

    #[test]
    fn near_is_within_a_megabyte_either_way_until_what_comes_is_there() {
        let mut further = Further::new(at(0));
        assert!(!further.is_near(PLACE));
        further.says(at(0), PLACE);
        let away = |octets: u32| Seq::new(PLACE.get().wrapping_sub(octets));
        assert!(further.is_near(PLACE.plus((1 << 20) - 1)) && further.is_near(away((1 << 20) - 1)));
        assert!(!further.is_near(PLACE.plus(1 << 20)) && !further.is_near(away(1 << 20)));
        further.came(away(1));
        assert!(further.is_near(PLACE));
        further.came(PLACE);
        assert!(!further.is_near(PLACE));
    }

    #[test]
    fn behind_many_wrong_guesses_a_right_one_counts_for_nothing_until_a_minute_is_over() {
        let mut further = Further::new(at(0));
        (0..255).for_each(|_| further.guesses_wrong(at(1)));
        further.says(at(1), PLACE);
        assert!(further.is_near(PLACE));
        further.came(PLACE);
        further.guesses_wrong(at(59));
        further.says(at(59), PLACE);
        assert!(!further.is_near(PLACE));
        further.says(at(60), PLACE);
        assert!(further.is_near(PLACE));
    }
}
