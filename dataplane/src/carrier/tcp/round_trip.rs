//! How long an acknowledgment takes (RFC 6298), by one segment at a time. smoltcp knows it, but tells nobody.

use crate::time::Instant;
use crate::wire::tcp::Seq;
use std::time::Duration;

/// The way there and back.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    /// Behind the segment that is being timed, and since when.
    timed: Option<(Seq, Instant)>,
    measured: Option<Measured>,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
    least: Duration,
}

impl RoundTrip {
    /// Data that ends here has gone, for the first time.
    pub(super) fn sent(&mut self, now: Instant, end: Seq) {
        self.timed.get_or_insert((end, now));
    }

    /// Something has gone again: nobody could tell what is acknowledged then (section 3, Karn's algorithm).
    pub(super) const fn repeated(&mut self) {
        self.timed = None;
    }

    /// All has come up to here.
    pub(super) fn acknowledged(&mut self, now: Instant, ack: Seq) {
        let Some((_, since)) = self.timed.take_if(|(end, _)| !end.is_after(ack)) else { return };
        let took = now.since(since);
        self.measured = Some(match self.measured {
            None => Measured { smoothed: took, variation: took / 2, least: took },
            Some(Measured { smoothed, variation, least }) => Measured {
                smoothed: (7 * smoothed + took) / 8,
                variation: (3 * variation + smoothed.abs_diff(took)) / 4,
                least: least.min(took),
            },
        });
    }

    /// An answer that takes longer has probably been lost on its way, or what it would have answered (RFC 6298 section 2, RFC 8985
    /// section 7.2); `None` before it was measured.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.measured.map(|Measured { smoothed, variation, .. }| (smoothed + 4 * variation).max(2 * smoothed))
    }

    /// Smoothed; `None` before it was measured.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.smoothed)
    }

    /// The least that was measured.
    pub(super) fn least(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_is_timed_at_a_time_and_none_that_went_twice() {
        let mut trip = RoundTrip::default();
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let seq = |octets: usize| Seq::new(u32::MAX - 50).plus(octets);
        trip.sent(at(0), seq(100));
        trip.sent(at(10), seq(200));
        trip.acknowledged(at(20), seq(99));
        assert_eq!(trip.smoothed(), None);
        trip.acknowledged(at(40), seq(200));
        assert_eq!((trip.smoothed(), trip.least()), (Some(Duration::from_millis(40)), Some(Duration::from_millis(40))));
        trip.sent(at(50), seq(300));
        trip.repeated();
        trip.acknowledged(at(51), seq(300));
        trip.sent(at(60), seq(400));
        trip.acknowledged(at(84), seq(400));
        assert_eq!((trip.smoothed(), trip.least()), (Some(Duration::from_millis(38)), Some(Duration::from_millis(24))));
    }
}
