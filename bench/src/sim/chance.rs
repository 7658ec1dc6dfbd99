//! Seeded chance for the world: the same seed, the same world.

use adit_crypto::random::{SecretRandom, SeededRandom};
use std::time::Duration;

/// Where the world's own decisions come from. The engines have sources of their own, so that what the world decides
/// does not depend on how much randomness an engine takes.
#[derive(Debug, Clone)]
pub(crate) struct Chance(SeededRandom);

/// How likely something is, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Odds(u32);

/// More than always.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: a share from 0 to 1 was expected, such as 0.02")]
pub(crate) struct BadOdds(String);

impl Odds {
    const WHOLE: u32 = 1_000_000;
    pub(crate) const NEVER: Self = Self(0);
    pub(crate) const ALWAYS: Self = Self(Self::WHOLE);

    /// So many in a thousand.
    pub(crate) fn per_mille(parts: u32) -> Self {
        Self((parts * 1000).min(Self::WHOLE))
    }
}

impl std::str::FromStr for Odds {
    type Err = BadOdds;

    fn from_str(text: &str) -> Result<Self, BadOdds> {
        let bad = || BadOdds(text.to_owned());
        let share: f64 = text.parse().map_err(|_not_a_number| bad())?;
        if !(0.0..=1.0).contains(&share) {
            return Err(bad());
        }
        // In range, so nothing is cut off.
        Ok(Self((share * f64::from(Self::WHOLE)).round() as u32))
    }
}

impl std::fmt::Display for Odds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", f64::from(self.0) / f64::from(Self::WHOLE))
    }
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A seed for somebody else.
    pub(crate) fn word(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// From 0 up to and without `end`; 0 if that is nothing.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.word().checked_rem(end).unwrap_or_default()
    }

    /// Does it happen?
    pub(crate) fn happens(&mut self, odds: Odds) -> bool {
        // Nothing is drawn for what is certain, so a world without loss does not depend on this.
        match odds {
            Odds::NEVER => false,
            Odds::ALWAYS => true,
            Odds(parts) => self.below(Odds::WHOLE.into()) < parts.into(),
        }
    }

    /// From nothing up to `longest`.
    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos.saturating_add(1)))
    }

    /// One of them; `None` if there is none.
    pub(crate) fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_likely_happens_about_so_often() {
        let mut chance = Chance::new(1);
        let odds: Odds = "0.2".parse().unwrap();
        let happened = (0..10_000).filter(|_| chance.happens(odds)).count();
        assert!((1800..2200).contains(&happened), "{happened} of 10 000 at 0.2");
        assert!((0..1000).all(|_| !chance.happens(Odds::NEVER) && chance.happens(Odds::ALWAYS)));
    }

    #[test]
    fn odds_are_shares() {
        assert_eq!("0".parse(), Ok(Odds::NEVER));
        assert_eq!("1".parse(), Ok(Odds::ALWAYS));
        assert_eq!("0.025".parse(), Ok(Odds::per_mille(25)));
        assert_eq!(Odds::per_mille(25).to_string(), "0.025");
        for bad in ["-0.1", "1.01", "2%", "NaN", ""] {
            assert_eq!(bad.parse::<Odds>(), Err(BadOdds(bad.to_owned())));
        }
    }

    #[test]
    fn a_range_is_drawn_to_both_its_ends() {
        let mut chance = Chance::new(2);
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| chance.below(4)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(chance.below(0), 0);
        assert_eq!(chance.up_to(Duration::ZERO), Duration::ZERO);
        assert_eq!(chance.one_of::<u8>(&[]), None);
    }
}
