//! What of ours is lost, as far as the peer's acknowledgments and the clock say.
//!
//! | what shows | says | as |
//! |---|---|---|
//! | more than two segments have come behind a hole, or all of a few but one | it is lost | RFC 6675 section 4, RFC 5827 section 3.1 |
//! | the acknowledgment goes on, not yet to what had been said when a loss showed | the next one is lost, too | RFC 6582 section 3.2 |
//! | something has come that was said well after what went again | that is lost again | RFC 8985 section 6.2 |
//! | nothing goes on for longer than an answer takes | the first is lost, or the last | RFC 8985 section 7.2, RFC 6298 |
//!
//! Only ever of the first that is not acknowledged: that is the one that smoltcp can repeat.

use super::round_trip::RoundTrip;
use crate::time::Instant;
use crate::wire::tcp::Seq;
use crate::wire::tcp_offer::Selected;
use std::time::Duration;

/// A peer may take so long before it acknowledges a segment that comes alone: real TCP's least timeout.
const ALONE: Duration = Duration::from_millis(200);
/// What a clock and two queues may add where more is under way.
const SEVERAL: Duration = Duration::from_millis(10);
/// So often nothing goes on before it is left to smoltcp, which waits longer and longer and begins slowly.
const WAITS: u32 = 3;

/// Whether it is to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// It is lost.
    Lost,
    /// It may be on its way.
    Coming,
}

/// How much is under way, and in what pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    /// Behind all that was said.
    pub(super) said: Seq,
    /// Octets of data in a segment.
    pub(super) size: usize,
}

/// What is known of what was said.
#[derive(Debug)]
pub(super) struct Losses {
    acknowledged: Seq,
    /// When that went on, or something went where nothing was under way.
    since: Instant,
    /// What was said when the segment there went again, and when that was.
    again: Option<(Seq, Instant)>,
    /// Up to here losses belong to one that has shown.
    recover: Option<Seq>,
    /// How often nothing went on for too long.
    waits: u32,
}

impl Losses {
    /// Nothing is under way.
    pub(super) const fn new(now: Instant, ours: Seq) -> Self {
        Self { acknowledged: ours, since: now, again: None, recover: None, waits: 0 }
    }

    /// The highest acknowledgment.
    pub(super) const fn acknowledged(&self) -> Seq {
        self.acknowledged
    }

    /// The peer says that all up to `ack` has come, and what of the rest.
    pub(super) fn heard(&mut self, now: Instant, ack: Seq, selected: Selected, way: UnderWay) -> First {
        if ack.is_after(way.said) || self.acknowledged.is_after(ack) {
            return First::Coming;
        }
        let goes_on = ack.is_after(self.acknowledged);
        if goes_on {
            (self.acknowledged, self.since, self.again, self.waits) = (ack, now, None, 0);
            self.recover.take_if(|recover| !recover.is_after(ack));
        }
        let under_way = way.said.octets_since(ack);
        if under_way == 0 {
            return First::Coming;
        }
        let lost = match self.again {
            // It was said before all that: what came before it went again says nothing of that.
            Some((said, _)) => selected.highest.octets_since(said) > 2 * way.size,
            None => {
                let few = under_way <= 4 * way.size && under_way.saturating_sub(selected.octets) <= way.size;
                let behind = selected.octets > 2 * way.size || few && selected.octets > 0;
                behind || goes_on && self.recover.is_some()
            }
        };
        if lost { First::Lost } else { First::Coming }
    }

    /// Data that begins here goes, for the first time or again.
    pub(super) fn went(&mut self, now: Instant, begins: Seq, way: UnderWay) {
        if begins == way.said && begins == self.acknowledged {
            self.since = now;
        }
        if begins == self.acknowledged && way.said.is_after(begins) {
            self.again = Some((way.said, now));
            self.recover = Some(self.recover.map_or(way.said, |recover| recover.later(way.said)));
        }
    }

    /// When the clock says that something is lost, if nothing goes on until then.
    pub(super) fn due(&self, trip: &RoundTrip, way: UnderWay) -> Option<Instant> {
        let under_way = way.said.octets_since(self.acknowledged);
        if under_way == 0 || self.waits >= WAITS {
            return None;
        }
        let slack = if under_way <= way.size { ALONE } else { SEVERAL };
        let last = self.again.map_or(self.since, |(_, at)| at.max(self.since));
        Some(last + (trip.patience()? + slack) * (1 << self.waits))
    }

    /// What the clock says now.
    pub(super) fn wait(&mut self, now: Instant, trip: &RoundTrip, way: UnderWay) -> First {
        match self.due(trip, way) {
            Some(due) if due <= now => {
                self.waits += 1;
                First::Lost
            }
            Some(_) | None => First::Coming,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1000;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(1000) + Duration::from_millis(ms)
    }

    /// Numbers wrap in the middle of it.
    fn seq(octets: usize) -> Seq {
        Seq::new(u32::MAX - 2500).plus(octets)
    }

    fn way(said: usize) -> UnderWay {
        UnderWay { said: seq(said), size: SIZE }
    }

    fn selected(octets: usize, highest: usize) -> Selected {
        Selected { octets, highest: seq(highest) }
    }

    /// So many segments have gone.
    fn sent(segments: usize) -> Losses {
        let mut losses = Losses::new(at(0), seq(0));
        (0..segments).for_each(|number| losses.went(at(0), seq(number * SIZE), way(number * SIZE)));
        losses
    }

    /// An answer takes 40 ms, so that 120 are too long.
    fn trip() -> RoundTrip {
        let mut trip = RoundTrip::default();
        trip.sent(at(0), seq(0));
        trip.acknowledged(at(40), seq(0));
        assert_eq!(trip.patience(), Some(Duration::from_millis(120)));
        trip
    }

    #[test]
    fn more_than_two_segments_behind_a_hole_say_that_it_is_lost_until_it_has_gone_again() {
        let mut losses = sent(10);
        assert_eq!(losses.heard(at(40), seq(1000), selected(2000, 4000), way(10_000)), First::Coming);
        assert_eq!(losses.heard(at(40), seq(1000), selected(2001, 4001), way(10_000)), First::Lost);
        losses.went(at(40), seq(1000), way(10_000));
        assert_eq!(losses.heard(at(41), seq(1000), selected(7000, 10_000), way(10_000)), First::Coming);
    }

    #[test]
    fn of_a_few_all_but_one_say_so_and_of_many_they_do_not() {
        assert_eq!(sent(3).heard(at(40), seq(0), selected(1000, 2000), way(3000)), First::Coming);
        assert_eq!(sent(3).heard(at(40), seq(0), selected(2000, 3000), way(3000)), First::Lost);
        assert_eq!(sent(2).heard(at(40), seq(0), selected(1000, 2000), way(2000)), First::Lost);
        assert_eq!(sent(2).heard(at(40), seq(0), selected(0, 0), way(2000)), First::Coming);
        assert_eq!(sent(5).heard(at(40), seq(0), selected(2000, 3000), way(5000)), First::Coming);
    }

    #[test]
    fn an_acknowledgment_that_goes_on_among_losses_names_the_next_and_behind_them_does_not() {
        let mut losses = sent(10);
        losses.heard(at(40), seq(1000), selected(3000, 5000), way(10_000));
        losses.went(at(40), seq(1000), way(10_000));
        losses.went(at(40), seq(10_000), way(10_000));
        assert_eq!(losses.heard(at(80), seq(6000), selected(0, 6000), way(11_000)), First::Lost);
        losses.went(at(80), seq(6000), way(11_000));
        losses.went(at(80), seq(11_000), way(11_000));
        assert_eq!(losses.heard(at(120), seq(11_000), selected(0, 11_000), way(12_000)), First::Coming);
        assert_eq!(losses.heard(at(120), seq(11_500), selected(0, 11_500), way(12_000)), First::Coming);
    }

    #[test]
    fn what_went_again_is_lost_again_when_something_has_come_that_was_said_well_after_it() {
        let mut losses = sent(10);
        losses.heard(at(40), seq(1000), selected(3000, 5000), way(10_000));
        losses.went(at(40), seq(1000), way(10_000));
        assert_eq!(losses.heard(at(80), seq(1000), selected(9000, 12_000), way(14_000)), First::Coming);
        assert_eq!(losses.heard(at(80), seq(1000), selected(9001, 12_001), way(14_000)), First::Lost);
        losses.went(at(80), seq(1000), way(14_000));
        assert_eq!(losses.heard(at(81), seq(1000), selected(12_000, 14_000), way(14_000)), First::Coming);
    }

    #[test]
    fn silence_says_so_after_an_answers_time_then_twice_that_and_then_it_is_left_to_smoltcp() {
        let (mut losses, trip) = (sent(2), trip());
        let mut said_so = Vec::new();
        for ms in 0..10_000 {
            if losses.wait(at(ms), &trip, way(2000)) == First::Lost {
                said_so.push(ms);
                losses.went(at(ms), seq(0), way(2000));
            }
        }
        assert_eq!(said_so, [130, 130 + 260, 130 + 260 + 520]);
        losses.heard(at(10_000), seq(1000), selected(0, 0), way(2000));
        assert_eq!(losses.due(&trip, way(2000)), Some(at(10_000 + 320)), "one alone may be acknowledged late");
        losses.heard(at(10_001), seq(2000), selected(0, 0), way(2000));
        assert_eq!(losses.due(&trip, way(2000)), None, "nothing is under way");
        losses.went(at(20_000), seq(2000), way(2000));
        assert_eq!(losses.due(&trip, way(3000)), Some(at(20_320)), "the silence before counts for nothing");
        assert_eq!(losses.due(&RoundTrip::default(), way(3000)), None, "how long is too long is not known yet");
    }

    #[test]
    fn an_acknowledgment_that_cannot_be_or_is_old_changes_nothing() {
        let mut losses = sent(10);
        losses.heard(at(40), seq(2000), selected(0, 0), way(10_000));
        for ack in [0, 1999, 10_001, 1 << 30] {
            assert_eq!(losses.heard(at(50), seq(ack), selected(5000, 9000), way(10_000)), First::Coming);
            assert_eq!((losses.acknowledged(), losses.since), (seq(2000), at(40)));
        }
    }
}
