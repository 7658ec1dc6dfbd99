//! How long turns take: a histogram that one worker writes and anybody reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper ends in microseconds; what takes longer than the last comes behind it.
const UP_TO: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 10_000];
const BUCKETS: usize = UP_TO.len() + 1;

/// The worker's.
#[derive(Debug, Default)]
pub(super) struct BurstClock {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

/// A reading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BurstTimes {
    buckets: [u64; BUCKETS],
    /// Of all of them.
    pub sum: Duration,
}

impl BurstClock {
    /// The owning worker, after a turn that found something.
    pub(super) fn took(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = UP_TO.partition_point(|micros| micros * 1_000 < nanos);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
        }
        self.nanos.store(self.nanos.load(Relaxed).wrapping_add(nanos), Relaxed);
    }

    pub(super) fn read(&self) -> BurstTimes {
        BurstTimes {
            buckets: std::array::from_fn(|i| self.buckets.get(i).map_or(0, |bucket| bucket.load(Relaxed))),
            sum: Duration::from_nanos(self.nanos.load(Relaxed)),
        }
    }
}

impl BurstTimes {
    /// Turns up to each end, not those up to the end before; the last has none.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let ends = UP_TO.iter().map(|micros| Some(Duration::from_micros(*micros))).chain([None]);
        ends.zip(self.buckets)
    }

    /// All turns that found something.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_once_where_it_belongs_ends_included() {
        let clock = BurstClock::default();
        for nanos in [0, 1_000, 1_001, 2_000, 9_999_999, 10_000_000, 10_000_001] {
            clock.took(Duration::from_nanos(nanos));
        }
        let read = clock.read();
        let counted: Vec<u64> = read.buckets().map(|(_, n)| n).collect();
        assert_eq!(counted, [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1]);
        assert_eq!((read.count(), read.sum), (7, Duration::from_nanos(30_004_001)));
        assert!(read.buckets().map(|(end, _)| end).take(12).is_sorted(), "ends only grow");
    }
}
