//! Acknowledgments ahead of what has come, for a box that counts octets on a long line.
//!
//! Such a box lets 64 to 128 KiB pass that it has seen nobody acknowledge. What it has seen and we have not is on its way to us: more than
//! that, on a long and fast line, and then it shuts for good. So beside what has come we acknowledge what must have left it, step
//! by step. A box throws away what acknowledges more than it has seen; a Cisco client looks at no acknowledgment. Real TCP would take
//! it for what it says, so it never gets one.

use crate::time::Instant;
use crate::wire::tcp::Seq;
use std::time::Duration;

/// As long as less than this is under way, no box minds.
const LEAST: usize = 48 * 1024;
/// Half of a window: there is always one that a box can believe and that is not long behind.
const STEP: usize = 32 * 1024;
/// So many steps at most.
const MOST: usize = 16;

/// What is under way to us, as far as can be told.
#[derive(Debug)]
pub(super) struct Ladder {
    /// When the count of octets began.
    since: Instant,
    octets: usize,
    /// As many came during the last way there and back.
    under_way: usize,
}

impl Ladder {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, octets: 0, under_way: 0 }
    }

    /// So many octets have come; the way there and back takes `rtt` at least.
    #[inline]
    pub(super) fn came(&mut self, now: Instant, octets: usize, rtt: Duration) {
        let passed = now.since(self.since);
        if passed >= rtt {
            // After a pause nothing is known.
            self.under_way = if passed < 2 * rtt { self.octets } else { 0 };
            (self.since, self.octets) = (now, 0);
        }
        self.octets += octets;
    }

    /// What to acknowledge beside `ack`, in order.
    pub(super) fn rungs(&self, ack: Seq) -> impl Iterator<Item = Seq> + use<> {
        // A quarter more than that: the line may be getting faster.
        let reach = if self.under_way < LEAST { 0 } else { self.under_way + self.under_way / 4 };
        (1..=MOST).map(|step| step * STEP).take_while(move |ahead| *ahead <= reach).map(move |ahead| ack.plus(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: Seq = Seq::new(u32::MAX - 40_000);
    const RTT: Duration = Duration::from_millis(200);

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(9) + Duration::from_millis(millis)
    }

    fn rungs(ladder: &Ladder) -> Vec<usize> {
        ladder.rungs(ACK).map(|rung| rung.octets_since(ACK) / 1024).collect()
    }

    #[test]
    fn a_fast_stream_on_a_long_line_is_acknowledged_ahead_by_what_is_under_way() {
        let mut ladder = Ladder::new(at(0));
        for millis in 0..1000 {
            ladder.came(at(millis), 700, RTT);
        }
        // 140 000 octets in 200 ms, and a quarter more: 170 KiB.
        assert_eq!(rungs(&ladder), [32, 64, 96, 128, 160]);
        ladder.came(at(5000), 700, RTT);
        assert_eq!(rungs(&ladder), [0; 0], "after a pause");
    }

    #[test]
    fn a_slow_stream_or_a_short_line_needs_none_and_there_are_never_more_than_sixteen() {
        for (octets, rtt, steps) in [(200, RTT, 0), (700, Duration::from_millis(20), 0), (65_000, RTT, 16)] {
            let mut ladder = Ladder::new(at(0));
            for millis in 0..1000 {
                ladder.came(at(millis), octets, rtt);
            }
            assert_eq!(rungs(&ladder).len(), steps, "{octets} octets a millisecond");
        }
    }
}
