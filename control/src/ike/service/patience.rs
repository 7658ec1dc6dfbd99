//! How often a request of ours is repeated, and how long each wait is.

use std::time::Duration;

/// How our own requests are repeated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// Wait before the first retransmission.
    pub initial: Duration,
    /// Each next wait is so many times as long.
    pub factor: f64,
    /// Retransmissions before giving up.
    pub tries: u32,
}

/// What a timer makes of our request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry<'a> {
    /// Nothing is due.
    NotYet,
    /// Send these octets again.
    Again(&'a [u8]),
    /// The last try went unanswered: the peer counts as dead (RFC 7296 section 2.4).
    Dead,
}

impl Patience {
    /// The wait after this one: at most a day, whatever the factor, for a duration must not overflow.
    pub(crate) fn next(&self, wait: Duration) -> Duration {
        const LONGEST: Duration = Duration::from_secs(86_400);
        Duration::try_from_secs_f64(wait.as_secs_f64() * self.factor).unwrap_or(LONGEST).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_no_further_than_a_day() {
        let next =
            |wait, factor| Patience { initial: Duration::ZERO, factor, tries: 1 }.next(Duration::from_secs(wait));
        assert_eq!(next(80_000, 1e300), Duration::from_secs(86_400));
        assert_eq!(next(10, f64::NAN), Duration::from_secs(86_400));
        assert_eq!(next(10, 2.0), Duration::from_secs(20));
    }
}
