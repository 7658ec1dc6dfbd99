//! Who is let in while all places are taken.

use super::chance::Chance;
use crate::time::Instant;

/// Whoever has been silent for so long gives way to any newcomer: 2³⁰ ns, 1.07 s.
const SILENT_BITS: u32 = 30;
/// Of that time, as many steps as a power of two has.
const STEP_BITS: u32 = 16;

/// A newcomer takes the place of the flow that has been silent longest, with a chance that is the eighth power of that one's silence: surely
/// after 1.07 s, one time of 10 after three quarters of that, one of 256 after half.
///
/// So a scan or a flood finds its own level. The more newcomers come, the younger are those that would have to go, and the fewer are let in;
/// if none is, the oldest grow older until some are. At 6 million newcomers a second against 100 000 places one of about 40 is let in, and
/// whoever is heard of every half second stays. Each packet of a newcomer has the chance, so who sends most waits least.
#[derive(Debug)]
pub(super) struct Admission {
    chance: Chance,
    /// Packets of those that were not let in,
    packets: u64,
    /// and their octets.
    octets: u64,
}

/// See [`Admission::lets_in`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    Yes,
    No,
}

impl Admission {
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed), packets: 0, octets: 0 }
    }

    /// Whether a newcomer may push out a flow that was heard of last at that time.
    #[inline]
    pub(super) fn lets_in(&mut self, now: Instant, last: Instant) -> Admitted {
        if u64::from(self.chance.next()) < odds(now, last) { Admitted::Yes } else { Admitted::No }
    }

    /// Of so many newcomers how many about will be let in, rounded up.
    #[inline]
    pub(super) fn expected(newcomers: usize, now: Instant, last: Instant) -> usize {
        ((newcomers as u64 * odds(now, last)).div_ceil(1 << 32)) as usize
    }

    /// Packets of one that is not let in.
    #[inline]
    pub(super) fn turn_away(&mut self, packets: u64, octets: u64) {
        self.packets += packets;
        self.octets += octets;
    }

    /// Packets and octets of all that were not let in.
    pub(super) fn turned_away(&self) -> (u64, u64) {
        (self.packets, self.octets)
    }
}

/// Of 2³² chances so many.
#[inline]
fn odds(now: Instant, last: Instant) -> u64 {
    let silent = now.as_nanos().saturating_sub(last.as_nanos());
    let steps = (silent >> (SILENT_BITS - STEP_BITS)).min(1 << STEP_BITS);
    let squared = (steps * steps) >> STEP_BITS;
    let fourth = (squared * squared) >> STEP_BITS;
    fourth * fourth
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SILENT: Duration = Duration::from_nanos(1 << SILENT_BITS);

    #[test]
    fn the_chance_is_the_eighth_power_of_the_silence() {
        let mut admission = Admission::new(7);
        for (silent, least, most) in [
            (Duration::ZERO, 0, 0),
            (SILENT / 8, 0, 0),
            (SILENT / 4, 0, 8),
            (SILENT / 2, 330, 450),
            (SILENT * 3 / 4, 9700, 10_300),
            (SILENT, 100_000, 100_000),
            (SILENT * 1000, 100_000, 100_000),
        ] {
            let now = Instant::ZERO + silent;
            let let_in = (0..100_000).filter(|_| admission.lets_in(now, Instant::ZERO) == Admitted::Yes).count();
            assert!((least..=most).contains(&let_in), "{silent:?}: {let_in}");
            let expected = Admission::expected(100_000, now, Instant::ZERO);
            assert!(expected.abs_diff(let_in) <= 300, "{silent:?}: {expected} and {let_in}");
        }
        // A clock that went back is no silence.
        assert_eq!(admission.lets_in(Instant::ZERO, Instant::ZERO + SILENT), Admitted::No);
    }

    #[test]
    fn what_is_turned_away_is_counted() {
        let mut admission = Admission::new(7);
        admission.turn_away(3, 300);
        admission.turn_away(1, 64);
        assert_eq!(admission.turned_away(), (4, 364));
    }
}
