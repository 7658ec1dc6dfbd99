//! How many error notifications strangers get: they are never protected and easily asked for in somebody else's name
//! (RFC 7296 sections 2.5 and 2.21.4 want a limit).

use adit_dataplane::time::Instant;
use adit_dataplane::wire::source::Source;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Answers that may go out at once, to all.
const BURST: u32 = 100;
/// One more for all each.
const REFILL: Duration = Duration::from_millis(10);
/// Answers for one source in a [`ROUND`].
const PER_SOURCE: u32 = 5;
/// How long a source's answers are counted.
const ROUND: Duration = Duration::from_secs(1);

/// A bucket for all, and a count for each source that took from it in this round; so the counts are never more than
/// the bucket gives in a round.
#[derive(Debug)]
pub(crate) struct ErrorBudget {
    left: u32,
    refilled: Instant,
    round: Instant,
    taken: BTreeMap<Source, u32>,
}

impl Default for ErrorBudget {
    /// Full.
    fn default() -> Self {
        Self { left: BURST, refilled: Instant::ZERO, round: Instant::ZERO, taken: BTreeMap::new() }
    }
}

/// No answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent;

impl ErrorBudget {
    /// Takes one answer to `address`.
    pub(crate) fn take(&mut self, now: Instant, address: IpAddr) -> Result<(), Spent> {
        let refills = now.since(self.refilled).as_nanos() / REFILL.as_nanos();
        if refills > 0 {
            self.left = u32::try_from(refills).unwrap_or(BURST).saturating_add(self.left).min(BURST);
            self.refilled = now;
        }
        if now.since(self.round) >= ROUND {
            self.round = now;
            self.taken.clear();
        }
        let source = Source::of(address);
        let taken = self.taken.get(&source).copied().unwrap_or_default();
        if self.left == 0 || taken >= PER_SOURCE {
            return Err(Spent);
        }
        self.left -= 1;
        self.taken.insert(source, taken + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(10_000 + millis)
    }

    #[test]
    fn one_source_gets_five_a_second() {
        let mut budget = ErrorBudget::default();
        let mut got = |now| (0..50).filter(|_| budget.take(now, [192, 0, 2, 1].into()).is_ok()).count();
        assert_eq!(got(at(0)), 5);
        assert_eq!(got(at(999)), 0);
        assert_eq!(got(at(1000)), 5);
    }

    #[test]
    fn all_sources_together_get_a_burst_and_then_a_hundred_a_second_and_no_memory_grows() {
        let mut budget = ErrorBudget::default();
        let mut host = 0_u32;
        let mut got = |now| {
            let count = (0..1000).filter(|_| {
                host += 1;
                budget.take(now, std::net::Ipv4Addr::from(host).into()).is_ok()
            });
            (count.count(), budget.taken.len())
        };
        assert_eq!(got(at(0)), (100, 100));
        assert_eq!(got(at(500)), (50, 150));
        assert_eq!(got(at(1000)), (50, 50));
        assert_eq!(got(at(90_000)), (100, 100));
    }
}
