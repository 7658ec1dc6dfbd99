//! A token bucket: what comes faster than a tunnel may is dropped, not kept (policing, not shaping).
//!
//! Tokens are billionths of a bit, so that a rate in bits a second fills in whole tokens every nanosecond and nothing is
//! ever rounded, however short the turns.

use crate::contract::Rate;
use crate::fate::DropReason;
use crate::time::Instant;
use std::num::NonZeroU64;

/// Tokens of one octet.
const OCTET: u64 = 8_000_000_000;

/// One direction's.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bits a second: tokens a nanosecond.
    rate: NonZeroU64,
    full: u64,
    level: u64,
    /// When it was looked at last.
    seen: Instant,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Within,
    Over,
}

impl Taken {
    /// What is over ends with this.
    #[inline]
    pub(super) fn or(self, reason: DropReason) -> Result<(), DropReason> {
        match self {
            Self::Within => Ok(()),
            Self::Over => Err(reason),
        }
    }
}

impl Bucket {
    /// Full.
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        let full = full(rate);
        Self { rate: tokens_per_nano(rate), full, level: full, seen: now }
    }

    /// As much of it is there as fits: a change is no gift.
    pub(super) fn change(&mut self, rate: Rate, now: Instant) {
        self.fill(now);
        self.rate = tokens_per_nano(rate);
        self.full = full(rate);
        self.level = self.level.min(self.full);
    }

    /// Takes a packet's tokens, or none if there are not enough.
    #[inline]
    pub(super) fn take(&mut self, octets: usize, now: Instant) -> Taken {
        self.fill(now);
        match self.level.checked_sub((octets as u64).saturating_mul(OCTET)) {
            Some(left) => {
                self.level = left;
                Taken::Within
            }
            None => Taken::Over,
        }
    }

    #[inline]
    fn fill(&mut self, now: Instant) {
        let nanos = now.as_nanos().saturating_sub(self.seen.as_nanos());
        self.level = self.level.saturating_add(self.rate.get().saturating_mul(nanos)).min(self.full);
        self.seen = now.max(self.seen);
    }
}

/// [`Rate::MOST_BURST`] fits: 2³⁰ octets are less than 2⁶³ tokens.
fn full(rate: Rate) -> u64 {
    rate.burst().saturating_mul(OCTET)
}

fn tokens_per_nano(rate: Rate) -> NonZeroU64 {
    NonZeroU64::new(rate.bits_per_second()).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::{SecretRandom, SeededRandom};
    use std::time::Duration;

    fn number(random: &mut SeededRandom, below: u64) -> u64 {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    }

    /// The rule the other way round, in numbers that cannot overflow: a debt that time pays off and that may not exceed a burst.
    struct Twin {
        missing: u128,
        at: u64,
    }

    impl Twin {
        fn take(&mut self, rate: Rate, octets: u64, now: u64) -> Taken {
            let gained = u128::from(now - self.at) * u128::from(rate.bits_per_second());
            self.missing = self.missing.saturating_sub(gained);
            self.at = now;
            let wanted = self.missing + u128::from(octets) * u128::from(OCTET);
            if wanted > u128::from(rate.burst()) * u128::from(OCTET) {
                return Taken::Over;
            }
            self.missing = wanted;
            Taken::Within
        }
    }

    #[test]
    fn the_bucket_agrees_with_its_twin_whatever_comes_whenever() {
        for seed in 0..60 {
            let mut random = SeededRandom::new(seed);
            let rate = Rate::new(
                1 + number(&mut random, 1 << (10 + seed % 30)),
                Duration::from_millis(number(&mut random, 500)),
            );
            let rate = rate.unwrap();
            let (mut bucket, mut twin) = (Bucket::new(rate, Instant::ZERO), Twin { missing: 0, at: 0 });
            let (mut now, mut over) = (0, 0);
            for _ in 0..4000 {
                // Turns of a burst, pauses, and now and then a long one.
                now += match number(&mut random, 20) {
                    0..=9 => 0,
                    10..=18 => number(&mut random, 200_000),
                    _ => number(&mut random, 2_000_000_000),
                };
                let octets = number(&mut random, 9001) + 20;
                let taken = bucket.take(octets as usize, Instant::from_nanos(now));
                assert_eq!(taken, twin.take(rate, octets, now), "seed {seed}");
                over += u32::from(taken == Taken::Over);
            }
            assert!(seed > 12 || over > 0, "seed {seed}: a slow one was never over");
        }
    }

    #[test]
    fn over_a_long_time_what_passes_is_the_rate_to_a_hundredth() {
        for bits in [64_000, 10_000_000, 1_000_000_000, 100_000_000_000_u64] {
            let rate = Rate::new(bits, Duration::from_millis(100)).unwrap();
            let mut random = SeededRandom::new(bits);
            let mut bucket = Bucket::new(rate, Instant::ZERO);
            // Twice as much as may pass, in packets of any length, so long that the first burst is little.
            let seconds = (rate.burst() * 8 * 400 / bits).max(40);
            let (mut now, mut passed) = (0, 0_u64);
            while now < seconds * 1_000_000_000 {
                let octets = 40 + number(&mut random, 1361);
                if bucket.take(octets as usize, Instant::from_nanos(now)) == Taken::Within {
                    passed += octets;
                }
                // A little over twice the rate; at the highest ones no gap is shorter than a nanosecond.
                let gap = octets * 8 * 1_000_000_000 / bits;
                now += gap / 4 + number(&mut random, gap / 2 + 1).max(u64::from(gap < 4));
                if bits >= 1_000_000_000 && now > 2_000_000_000 {
                    break;
                }
            }
            let expected = (u128::from(bits) * u128::from(now) / 8_000_000_000) as f64 + rate.burst() as f64;
            let ratio = passed as f64 / expected;
            assert!((0.99..=1.0).contains(&ratio), "{bits} bit/s: {ratio}");
        }
    }

    #[test]
    fn an_idle_bucket_holds_one_burst_and_no_more_and_a_change_is_no_gift() {
        let rate = |bits| Rate::new(bits, Duration::from_millis(100)).unwrap();
        let day = Instant::from_nanos(86_400_000_000_000);
        let mut bucket = Bucket::new(rate(8_000_000), Instant::ZERO);
        let passes = |bucket: &mut Bucket, now| (0..).take_while(|_| bucket.take(1000, now) == Taken::Within).count();
        assert_eq!(passes(&mut bucket, day), 100, "100 kB, whatever the wait");
        bucket.change(rate(80_000_000), day);
        assert_eq!(passes(&mut bucket, day), 0, "a faster class fills from where it is");
        assert_eq!(passes(&mut bucket, day + Duration::from_millis(10)), 100);
        bucket.change(rate(8_000_000), day + Duration::from_secs(1));
        assert_eq!(passes(&mut bucket, day + Duration::from_secs(1)), 100, "a slower one holds no more than its own");
        // A clock that stands still, or comes back, gives nothing.
        assert_eq!(passes(&mut bucket, day), 0);
    }
}
