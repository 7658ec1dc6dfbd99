//! What was sent and what came back.

use super::datagram::Mark;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

const MICRO: f64 = 1e3;

/// Counts echoes, each packet's once.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// A bit for each number.
    seen: Vec<u64>,
    received: u64,
    again: u64,
    foreign: u64,
    /// Nanoseconds.
    round_trips: Histogram<u64>,
    /// When the last came, in nanoseconds.
    last: u64,
}

/// What is printed.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Report {
    sent: u64,
    received: u64,
    lost_percent: f64,
    /// Echoes of what had come back before.
    again: u64,
    /// Inner packets that were no echoes.
    foreign: u64,
    /// `None` if nothing came back.
    round_trip_us: Option<RoundTrips>,
    /// Of inner packets with their headers.
    sent_mbit_s: f64,
    received_mbit_s: f64,
    seconds: f64,
}

/// Microseconds.
#[derive(Debug, PartialEq, Serialize)]
struct RoundTrips {
    least: f64,
    quarter: f64,
    median: f64,
    three_quarters: f64,
    most: f64,
}

/// How much was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sent {
    pub(super) packets: u64,
    /// Of each, with its headers.
    pub(super) octets: u64,
    /// From the first to the last, and the time until the next would have been due.
    pub(super) within: Duration,
}

/// Nanoseconds of the longest round trip that is told from longer ones: an hour. A histogram without a limit does not grow for what it
/// clamps.
const MOST: u64 = 3_600_000_000_000;

impl Tally {
    /// # Errors
    /// Never: the precision is one that there is.
    pub(super) fn new() -> Result<Self, hdrhistogram::CreationError> {
        let round_trips = Histogram::new_with_max(MOST, 3)?;
        Ok(Self { seen: Vec::new(), received: 0, again: 0, foreign: 0, round_trips, last: 0 })
    }

    /// An echo of one of `sent` packets came.
    pub(super) fn echo(&mut self, mark: Mark, sent: u64, now: u64) {
        if mark.number >= sent {
            return self.foreign();
        }
        let (word, bit) = ((mark.number / 64) as usize, 1 << (mark.number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.again += 1;
            return;
        }
        self.seen[word] |= bit;
        self.received += 1;
        self.last = now;
        self.round_trips.saturating_record(now.saturating_sub(mark.sent));
    }

    /// Something else came.
    pub(super) fn foreign(&mut self) {
        self.foreign += 1;
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn report(&self, sent: Sent) -> Report {
        let mbit_s = |packets: u64, seconds: f64| match seconds > 0.0 {
            true => (packets * sent.octets * 8) as f64 / seconds / 1e6,
            false => 0.0,
        };
        let lost = sent.packets.saturating_sub(self.received);
        let at = |quantile| self.round_trips.value_at_quantile(quantile) as f64 / MICRO;
        let within = sent.within.as_secs_f64();
        Report {
            sent: sent.packets,
            received: self.received,
            lost_percent: if sent.packets > 0 { lost as f64 * 100.0 / sent.packets as f64 } else { 0.0 },
            again: self.again,
            foreign: self.foreign,
            round_trip_us: (self.received > 0).then(|| RoundTrips {
                least: self.round_trips.min() as f64 / MICRO,
                quarter: at(0.25),
                median: at(0.5),
                three_quarters: at(0.75),
                most: self.round_trips.max() as f64 / MICRO,
            }),
            sent_mbit_s: mbit_s(sent.packets, within),
            received_mbit_s: mbit_s(self.received, within.max(self.last as f64 / 1e9)),
            seconds: within,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_counts_once_and_one_that_was_never_sent_not_at_all() {
        let mut tally = Tally::new().unwrap();
        for number in [0, 70, 1, 70, 99, 100, u64::MAX] {
            tally.echo(Mark { number, sent: 1_000_000 }, 100, 1_500_000);
        }
        let report = tally.report(Sent { packets: 100, octets: 1250, within: Duration::from_secs(1) });
        assert_eq!((report.sent, report.received, report.again, report.foreign), (100, 4, 1, 2));
        assert!((report.lost_percent - 96.0).abs() < 1e-9);
        assert!((report.sent_mbit_s - 1.0).abs() < 1e-9 && (report.received_mbit_s - 0.04).abs() < 1e-9);
        let trips = report.round_trip_us.unwrap();
        for trip in [trips.least, trips.quarter, trips.median, trips.three_quarters, trips.most] {
            assert!((trip - 500.0).abs() < 1.0, "{trip}");
        }
    }

    #[test]
    fn nothing_sent_and_nothing_received_are_numbers_too() {
        let report = Tally::new().unwrap().report(Sent::default());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((json["lost_percent"].as_f64(), json["sent_mbit_s"].as_f64()), (Some(0.0), Some(0.0)));
        assert!(json["round_trip_us"].is_null());
    }
}
