//! From the IKE thread to whoever keeps the journal. It never waits: what finds no room is lost, and its number with it.

use super::Happening;
use adit_dataplane::time::Instant;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// What may wait to be taken in.
const WAITING: usize = 4096;

/// One happening under way.
#[derive(Debug)]
pub struct Arriving {
    /// Counted from 1.
    pub number: u64,
    /// The time of day.
    pub unix: Duration,
    /// What it is.
    pub happening: Happening,
}

/// The telling end.
#[derive(Debug)]
pub struct Feed {
    sender: Sender<Arriving>,
    unix_at_zero: Duration,
    next: u64,
}

/// Both ends. `unix_at_zero` is the time of day when the clock was zero.
pub fn feed(unix_at_zero: Duration) -> (Feed, Receiver<Arriving>) {
    let (sender, receiver) = channel(WAITING);
    (Feed { sender, unix_at_zero, next: 1 }, receiver)
}

impl Feed {
    /// The time of day when the clock was zero, as it is known now.
    pub fn set_time_of_day(&mut self, unix_at_zero: Duration) {
        self.unix_at_zero = unix_at_zero;
    }

    /// Tells it, if there is room.
    pub fn tell(&mut self, now: Instant, happening: impl Into<Happening>) {
        let unix = self.unix_at_zero + now.since(Instant::ZERO);
        let arriving = Arriving { number: self.next, unix, happening: happening.into() };
        self.next += 1;
        // Full: the gap in the numbers says so. Closed: nobody reads any more.
        let _lost = self.sender.try_send(arriving);
    }
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    #[test]
    fn times_are_those_of_the_clock_as_it_is_set() {
        let (mut feed, mut taken) = feed(Duration::ZERO);
        let now = Instant::ZERO + Duration::from_secs(7);
        feed.tell(now, What::DaemonLeaving);
        feed.set_time_of_day(Duration::from_secs(1_795_804_200));
        feed.tell(now, What::DaemonLeaving);
        let times: Vec<_> = std::iter::from_fn(|| taken.try_recv().ok()).map(|told| told.unix.as_secs()).collect();
        assert_eq!(times, [7, 1_795_804_207]);
    }

    #[test]
    fn nobody_is_waited_for_and_what_is_lost_leaves_a_gap() {
        let (mut feed, mut taken) = feed(Duration::from_secs(1_000));
        for _ in 0..WAITING + 3 {
            feed.tell(Instant::ZERO + Duration::from_secs(1), What::DaemonLeaving);
        }
        let first = taken.try_recv().unwrap();
        assert_eq!((first.number, first.unix), (1, Duration::from_secs(1_001)));
        feed.tell(Instant::ZERO, What::DaemonLeaving);
        let last = std::iter::from_fn(|| taken.try_recv().ok()).last().unwrap();
        assert_eq!(last.number, WAITING as u64 + 4);
        drop(taken);
        feed.tell(Instant::ZERO, What::DaemonLeaving);
    }
}
