//! Several ways to a headend: their first messages race. Whoever is answered first goes on alone, for a login under way by two ways could
//! end the other's session.

use adit_control::ike::engine::{Call, CannotCall, Engine};
use adit_control::session::{SessionId, SessionState};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// A call that was answered is given up for another way after so many times the wait for an answer.
const STUCK: u32 = 3;

pub(super) struct Race {
    calls: Vec<Call>,
    /// How long the next call waits for an answer to the one before.
    wait: Duration,
    next: usize,
    under_way: Vec<Attempt>,
}

struct Attempt {
    way: usize,
    session: SessionId,
    begun: Instant,
    answered: Option<Instant>,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Running,
    /// Logged in, by this way.
    Won {
        session: SessionId,
        way: usize,
    },
    /// Nobody answers, or the headend has refused.
    Lost,
    /// It could not be begun.
    Cannot(CannotCall),
}

impl Race {
    pub(super) fn new(calls: Vec<Call>, wait: Duration) -> Self {
        Self { calls, wait, next: 0, under_way: Vec::new() }
    }

    /// After everything that has happened.
    pub(super) fn look(&mut self, now: Instant, engine: &mut Engine) -> Standing {
        for attempt in self.under_way.iter_mut().filter(|attempt| attempt.answered.is_none()) {
            attempt.answered = engine.is_answered(attempt.session).then_some(now);
        }
        if let Some(ahead) = self.under_way.iter().position(|attempt| attempt.answered.is_some()) {
            let ahead = self.under_way.swap_remove(ahead);
            self.hang_up(now, engine);
            match engine.state(ahead.session) {
                Some(SessionState::Up) => return Standing::Won { session: ahead.session, way: ahead.way },
                Some(SessionState::Connecting | SessionState::Closing) => self.under_way.push(ahead),
                // It has answered, and what it said was no.
                None => return Standing::Lost,
            }
        }
        self.under_way.retain(|attempt| engine.state(attempt.session).is_some());
        let due = self.under_way.last().map(|last| match last.answered {
            None => last.begun + self.wait,
            Some(answered) => answered + self.wait * STUCK,
        });
        if due.is_some_and(|due| due > now) {
            return Standing::Running;
        }
        let Some(call) = self.calls.get(self.next).cloned() else {
            return if self.under_way.is_empty() { Standing::Lost } else { Standing::Running };
        };
        if self.under_way.iter().any(|attempt| attempt.answered.is_some()) {
            self.hang_up(now, engine);
        }
        match engine.connect(now, call) {
            Ok(session) => {
                self.under_way.push(Attempt { way: self.next, session, begun: now, answered: None });
                self.next += 1;
                Standing::Running
            }
            Err(cannot) => Standing::Cannot(cannot),
        }
    }

    fn hang_up(&mut self, now: Instant, engine: &mut Engine) {
        for attempt in self.under_way.drain(..) {
            engine.disconnect(now, attempt.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::config::tests::setup_of;
    use adit_crypto::random::SeededRandom;
    use adit_dataplane::contract::{ClusterSlot, SpiLayout};
    use std::sync::Arc;

    struct World {
        engine: Engine,
        race: Race,
    }

    impl World {
        fn new(transports: &str) -> Self {
            let (config, calls) = setup_of(transports);
            let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
            let engine = Engine::new(Arc::new(config), 1, layout, Box::new(SeededRandom::new(2)));
            Self { engine, race: Race::new(calls, Duration::from_secs(2)) }
        }

        /// How it stands, and how many calls are under way.
        fn look(&mut self, millis: u64) -> (Standing, usize) {
            let now = Instant::ZERO + Duration::from_millis(millis);
            if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                self.engine.handle_timeout(now);
            }
            let standing = self.race.look(now, &mut self.engine);
            (standing, self.engine.holdings().calls)
        }
    }

    #[test]
    fn the_next_way_is_tried_beside_the_one_that_is_not_answered_and_all_end_when_nobody_answers() {
        let mut world = World::new("nat-t,ctcp,esp");
        for (millis, calls) in [(0, 1), (1900, 1), (2000, 2), (3900, 2), (4000, 3), (8000, 3)] {
            assert_eq!(world.look(millis), (Standing::Running, calls), "at {millis}");
        }
        // Each has its own patience.
        let mut last = (Standing::Running, 3);
        for millis in (8000..60_000).step_by(200) {
            last = world.look(millis);
        }
        assert_eq!(last, (Standing::Lost, 0));
        assert!(world.engine.is_idle());
    }

    #[test]
    fn what_cannot_be_begun_is_said() {
        let mut world = World::new("nat-t");
        world.engine.shut_down(Instant::ZERO);
        assert_eq!(world.look(0), (Standing::Cannot(CannotCall::ShuttingDown), 0));
    }
}
