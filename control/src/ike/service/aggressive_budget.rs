//! How many aggressive modes one source gets answered in a second (RFC 2409 section 5.4 answers the first message with a
//! key exchange and a proof, before anything is known of who sent it).
//!
//! Above the rate the first message is refused without a word, rather than delayed: a delayed answer would have to be
//! remembered, which is what a flood is after, and a client repeats its first message anyway.

use crate::ike::counters::Ignored;
use adit_dataplane::time::Instant;
use adit_dataplane::wire::source::Source;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long a source's are counted.
const ROUND: Duration = Duration::from_secs(1);
/// Sources that are counted in a round; whoever comes after them waits for the next.
const MOST_SOURCES: usize = 4096;

/// A count for each source in this round.
#[derive(Debug, Default)]
pub(crate) struct AggressiveBudget {
    round: Instant,
    taken: BTreeMap<Source, u32>,
}

impl AggressiveBudget {
    /// Takes one from `address`, of at most `limit` in a round.
    pub(crate) fn take(&mut self, now: Instant, address: IpAddr, limit: u32) -> Result<(), Ignored> {
        if now.since(self.round) >= ROUND {
            self.round = now;
            self.taken.clear();
        }
        let source = Source::of(address);
        let taken = self.taken.get(&source).copied().unwrap_or_default();
        let known = taken > 0 || self.taken.len() < MOST_SOURCES;
        if taken >= limit || !known {
            return Err(Ignored::AggressiveTooOften);
        }
        self.taken.insert(source, taken + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_gets_its_limit_in_each_second_and_memory_is_bounded() {
        let mut budget = AggressiveBudget::default();
        let at = |millis: u64| Instant::ZERO + Duration::from_millis(10_000 + millis);
        let mut got = |now| (0..50).filter(|_| budget.take(now, [192, 0, 2, 1].into(), 4).is_ok()).count();
        assert_eq!([got(at(0)), got(at(999)), got(at(1000))], [4, 0, 4]);
        let others = (0..10_000_u32).filter(|n| budget.take(at(1500), std::net::Ipv4Addr::from(*n).into(), 4).is_ok());
        assert_eq!((others.count(), budget.taken.len()), (MOST_SOURCES - 1, MOST_SOURCES));
    }
}
