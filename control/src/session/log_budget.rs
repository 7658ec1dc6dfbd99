//! How many lines strangers may cause: whoever has proven nothing must not fill the disk with log.

use adit_dataplane::time::Instant;
use std::time::Duration;

/// Lines that may come at once.
const BURST: u32 = 20;
/// One more line each.
const REFILL: Duration = Duration::from_millis(200);

/// A bucket of log lines for what unproven peers cause.
#[derive(Debug)]
pub(crate) struct LogBudget {
    lines: u32,
    refilled: Instant,
    unsaid: u64,
}

impl Default for LogBudget {
    fn default() -> Self {
        Self { lines: BURST, refilled: Instant::ZERO, unsaid: 0 }
    }
}

impl LogBudget {
    /// Takes a line. `Some(n)`: say it, and that `n` before it were not said.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        let refills = now.since(self.refilled).as_nanos() / REFILL.as_nanos();
        if refills > 0 {
            self.lines = u32::try_from(refills).unwrap_or(BURST).saturating_add(self.lines).min(BURST);
            self.refilled = now;
        }
        if self.lines == 0 {
            self.unsaid += 1;
            return None;
        }
        self.lines -= 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cause_a_burst_of_lines_and_then_a_trickle() {
        let mut budget = LogBudget::default();
        let start = Instant::ZERO + Duration::from_secs(9);
        let said = (0..100).filter(|_| budget.take(start).is_some()).count();
        assert_eq!(said, BURST as usize);
        assert_eq!(budget.take(start + REFILL), Some(80));
        assert_eq!(budget.take(start + REFILL), None);
        assert_eq!(budget.take(start + REFILL * 1000), Some(1));
    }
}
