//! Mann and Whitney's rank sum: whether one sample tends to be larger than another, whatever they are distributed like.

use std::time::Duration;

/// Two samples compared.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct RankSum {
    /// The share of pairs in which the second sample's is the larger; half of those that are equal.
    pub(crate) share: f64,
    /// How far that is from one half, in standard deviations of what chance alone would do.
    pub(crate) z: f64,
}

impl RankSum {
    /// Compares. Empty samples are alike.
    pub(crate) fn of(first: &[Duration], second: &[Duration]) -> Self {
        if first.is_empty() || second.is_empty() {
            return Self { share: 0.5, z: 0.0 };
        }
        let mut sorted = first.to_vec();
        sorted.sort_unstable();
        let below = |value: &Duration| sorted.partition_point(|other| other < value);
        let not_above = |value: &Duration| sorted.partition_point(|other| other <= value);
        let wins: f64 = second.iter().map(|value| (below(value) + not_above(value)) as f64 / 2.0).sum();
        let (n, m) = (first.len() as f64, second.len() as f64);
        let deviation = (n * m * (n + m + 1.0) / 12.0).sqrt();
        Self { share: wins / (n * m), z: (wins - n * m / 2.0) / deviation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(of: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        of.into_iter().map(Duration::from_micros).collect()
    }

    #[test]
    fn the_share_is_the_dull_count_over_all_pairs() {
        let (first, second) = (micros([1, 3, 3, 8, 9]), micros([2, 3, 7, 7]));
        let mut dull = 0.0;
        for one in &first {
            for other in &second {
                dull += if other > one {
                    1.0
                } else if other == one {
                    0.5
                } else {
                    0.0
                };
            }
        }
        assert!((RankSum::of(&first, &second).share - dull / 20.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_alike_scores_nothing_and_what_is_apart_much() {
        let alike = RankSum::of(&micros(0..500), &micros(0..500));
        assert!(alike.z.abs() < 1e-9 && (alike.share - 0.5).abs() < 1e-9, "{alike:?}");
        let apart = RankSum::of(&micros(0..500), &micros(500..1000));
        assert!(apart.z > 20.0 && apart.share > 0.999, "{apart:?}");
        assert!((RankSum::of(&[], &micros(0..5)).share - 0.5).abs() < 1e-9);
    }
}
