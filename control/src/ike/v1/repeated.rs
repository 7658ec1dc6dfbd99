//! A message of ours that waits for its answer, repeated until it comes or patience ends.

use crate::ike::service::{Patience, Retry};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// One message and its timer.
#[derive(Debug)]
pub(super) struct Repeated {
    bytes: Vec<u8>,
    tries: u32,
    due: Instant,
    wait: Duration,
}

impl Repeated {
    /// It goes out now for the first time.
    pub(super) fn new(now: Instant, patience: &Patience, bytes: Vec<u8>) -> Self {
        Self { bytes, tries: 0, due: now + patience.initial, wait: patience.initial }
    }

    /// When [`Repeated::retry`] has something to say.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// It is `now`: is it to be sent again?
    pub(super) fn retry(&mut self, now: Instant, patience: &Patience) -> Retry<'_> {
        if self.due > now {
            return Retry::NotYet;
        }
        if self.tries >= patience.tries {
            return Retry::Dead;
        }
        self.tries += 1;
        self.wait = patience.next(self.wait);
        self.due = now + self.wait;
        Retry::Again(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_repeated_with_growing_waits_until_patience_ends() {
        let patience = Patience { initial: Duration::from_secs(4), factor: 2.0, tries: 2 };
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut repeated = Repeated::new(at(0), &patience, vec![7]);
        assert_eq!(repeated.retry(at(3), &patience), Retry::NotYet);
        assert_eq!(repeated.retry(at(4), &patience), Retry::Again(&[7]));
        assert_eq!(repeated.due(), at(12));
        assert_eq!(repeated.retry(at(12), &patience), Retry::Again(&[7]));
        assert_eq!(repeated.retry(at(28), &patience), Retry::Dead);
    }
}
