//! A session that has several ways leaves one that brings nothing any more.
//!
//! We have sent, or asked, and nothing authentic comes: then the headend is asked, and if it does not answer everything goes the next way.
//! It is only a move: whichever way the session is heard by, it goes on.

use adit_control::ike::engine::{Asking, Call, Engine};
use adit_control::session::SessionId;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// So often around, and whoever was not heard is gone: then IKE's own patience decides.
const ROUNDS: usize = 2;

pub(super) struct Switch {
    calls: Vec<Call>,
    /// Half of the silence that is too long.
    half: Duration,
    way: usize,
    asked: Option<Instant>,
    /// Since it was heard.
    moves: usize,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    Ask,
    Move,
}

impl Switch {
    pub(super) fn new(calls: Vec<Call>, after: Duration) -> Self {
        Self { calls, half: after / 2, way: 0, asked: None, moves: 0 }
    }

    /// The session has begun this way.
    pub(super) fn begin(&mut self, way: usize) {
        self.way = way;
    }

    /// After everything that has happened.
    pub(super) fn look(&mut self, now: Instant, engine: &mut Engine, session: SessionId) {
        let Some(pulse) = engine.pulse(session) else { return };
        let owed = pulse.asking == Asking::Something || pulse.sent > pulse.heard;
        match self.step(now, pulse.heard, owed) {
            Step::Nothing => {}
            Step::Ask => engine.probe(now, session),
            Step::Move => {
                if let Some(call) = self.calls.get(self.way) {
                    engine.go_by(now, session, call);
                }
            }
        }
    }

    fn step(&mut self, now: Instant, heard: Instant, owed: bool) -> Step {
        if self.calls.len() < 2 {
            return Step::Nothing;
        }
        if !owed || now.since(heard) < self.half {
            (self.asked, self.moves) = (None, 0);
            return Step::Nothing;
        }
        match self.asked {
            None => {
                self.asked = Some(now);
                Step::Ask
            }
            Some(asked) if now.since(asked) >= self.half && self.moves < ROUNDS * self.calls.len() => {
                self.way = (self.way + 1) % self.calls.len();
                self.moves += 1;
                self.asked = Some(now);
                Step::Move
            }
            Some(_) => Step::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::config::tests::calls_of;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn switch(transports: &str) -> Switch {
        Switch::new(calls_of(transports), Duration::from_secs(3))
    }

    #[test]
    fn silence_is_asked_about_and_then_left_way_after_way_until_it_is_heard() {
        let mut switch = switch("ctcp,nat-t");
        let heard = at(10_000);
        for (now, owed, step, way) in [
            (11_400, true, Step::Nothing, 0),
            (11_600, true, Step::Ask, 0),
            (13_000, true, Step::Nothing, 0),
            (13_100, true, Step::Move, 1),
            (14_500, true, Step::Nothing, 1),
            (14_600, true, Step::Move, 0),
            (16_100, true, Step::Move, 1),
            (17_600, true, Step::Move, 0),
            // Nobody is there: IKE's patience decides.
            (30_000, true, Step::Nothing, 0),
        ] {
            assert_eq!((switch.step(at(now), heard, owed), switch.way), (step, way), "at {now}");
        }
        assert_eq!(switch.step(at(30_100), at(30_050), true), Step::Nothing, "it is back");
        assert_eq!(switch.step(at(31_600), at(30_050), true), Step::Ask, "and silent again");
    }

    #[test]
    fn whoever_owes_nothing_may_be_silent_and_one_way_is_never_left() {
        let mut several = switch("ctcp,nat-t");
        for now in 0..100 {
            assert_eq!(several.step(at(now * 1000), at(0), false), Step::Nothing);
        }
        let mut one = switch("ctcp");
        for now in 0..100 {
            assert_eq!(one.step(at(now * 1000), at(0), true), Step::Nothing);
        }
    }

    #[test]
    fn an_answer_to_the_question_ends_it() {
        let mut switch = switch("ctcp,nat-t");
        assert_eq!(switch.step(at(2000), at(0), true), Step::Ask);
        assert_eq!(switch.step(at(2100), at(2050), true), Step::Nothing);
        assert_eq!(switch.step(at(3700), at(2050), true), Step::Ask, "not a move");
        assert_eq!(switch.way, 0);
    }
}
