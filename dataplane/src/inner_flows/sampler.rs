//! Which packets are looked at.

use super::chance::Chance;

/// One of so many, at distances that nobody can foretell: what comes in a rhythm is neither always seen nor never.
#[derive(Debug)]
pub(super) struct Sampler {
    one_of: u32,
    /// Packets until the next that is looked at.
    left: u32,
    chance: Chance,
}

impl Sampler {
    /// One of `one_of`; of 0 or 1, all.
    pub(super) fn new(one_of: u32, seed: u64) -> Self {
        Self { one_of: one_of.max(1), left: 0, chance: Chance::new(seed) }
    }

    /// What each packet that is looked at stands for.
    #[inline]
    pub(super) fn one_of(&self) -> u32 {
        self.one_of
    }

    /// Whether this packet is looked at.
    #[inline]
    pub(super) fn looks(&mut self) -> Looks {
        if self.one_of == 1 {
            return Looks::At;
        }
        if self.left > 0 {
            self.left -= 1;
            return Looks::Past;
        }
        // From 0 to twice the mean, all alike.
        let choices = u64::from(self.one_of) * 2 - 1;
        self.left = ((u64::from(self.chance.next()) * choices) >> 32) as u32;
        Looks::At
    }
}

/// See [`Sampler::looks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looks {
    At,
    Past,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_so_many_is_looked_at_and_never_in_a_rhythm() {
        for (one_of, least, most) in [(1, 100_000, 100_000), (2, 49_000, 51_000), (100, 900, 1100)] {
            let mut sampler = Sampler::new(one_of, 7);
            let seen: Vec<usize> = (0..100_000).filter(|_| sampler.looks() == Looks::At).collect();
            assert!((least..=most).contains(&seen.len()), "one of {one_of}: {}", seen.len());
            let mut distances: Vec<usize> = seen.windows(2).map(|pair| pair[1] - pair[0]).collect();
            distances.sort_unstable();
            distances.dedup();
            assert!(distances.len() == 1 || one_of > 1 && distances.len() > one_of as usize, "{distances:?}");
        }
    }
}
