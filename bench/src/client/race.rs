//! Several ways to a headend: their first messages race. Whoever is answered first goes on alone, for a login under way by two ways could
//! end the other's session.

use adit_control::ike::engine::{Call, CannotCall, Engine};
use adit_control::session::{Cause, SessionId, SessionState};
use adit_dataplane::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// A call that was answered, and then not heard where everything goes from then on, is given up for another way after so many times the
/// wait for an answer.
const STUCK: u32 = 3;

pub(super) struct Race {
    calls: Vec<Call>,
    /// How long the next call waits for an answer to the one before.
    wait: Duration,
    /// Ways that are still to be tried, in this order.
    untried: VecDeque<usize>,
    under_way: Vec<Attempt>,
}

struct Attempt {
    way: usize,
    session: SessionId,
    begun: Instant,
    progress: Progress,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing has come.
    Called,
    /// The first message was answered.
    Answered(Instant),
    /// The way is good: what it waits for now, perhaps for long, is the headend's or the user's to say. Another call would ask the user
    /// once more.
    Heard,
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

/// Who calls.
pub(super) trait Caller {
    fn connect(&mut self, now: Instant, call: Call) -> Result<SessionId, CannotCall>;
    fn disconnect(&mut self, now: Instant, session: SessionId);
    fn state(&self, session: SessionId) -> Option<SessionState>;
    fn is_answered(&self, session: SessionId) -> bool;
    fn is_heard(&self, session: SessionId) -> bool;
    fn why_ended(&self, session: SessionId) -> Option<Cause>;
}

impl Caller for Engine {
    fn connect(&mut self, now: Instant, call: Call) -> Result<SessionId, CannotCall> {
        Self::connect(self, now, call)
    }

    fn disconnect(&mut self, now: Instant, session: SessionId) {
        Self::disconnect(self, now, session);
    }

    fn state(&self, session: SessionId) -> Option<SessionState> {
        Self::state(self, session)
    }

    fn is_answered(&self, session: SessionId) -> bool {
        Self::is_answered(self, session)
    }

    fn is_heard(&self, session: SessionId) -> bool {
        Self::is_heard(self, session)
    }

    fn why_ended(&self, session: SessionId) -> Option<Cause> {
        Self::why_ended(self, session)
    }
}

impl Race {
    pub(super) fn new(calls: Vec<Call>, wait: Duration) -> Self {
        let untried = (0..calls.len()).collect();
        Self { calls, wait, untried, under_way: Vec::new() }
    }

    /// After everything that has happened.
    pub(super) fn look(&mut self, now: Instant, caller: &mut impl Caller) -> Standing {
        for attempt in &mut self.under_way {
            attempt.look(now, caller);
        }
        if let Some(ahead) = self.under_way.iter().position(|attempt| attempt.progress != Progress::Called) {
            let ahead = self.under_way.swap_remove(ahead);
            self.hang_up(now, caller);
            match caller.state(ahead.session) {
                Some(SessionState::Up) => return Standing::Won { session: ahead.session, way: ahead.way },
                Some(SessionState::Connecting | SessionState::Closing) => self.under_way.push(ahead),
                None if ahead.died_of_its_way(caller) => {}
                // It has answered, and what it said was no.
                None => return Standing::Lost,
            }
        }
        self.under_way.retain(|attempt| caller.state(attempt.session).is_some());
        let due = self.under_way.last().map(|last| match last.progress {
            Progress::Called => Some(last.begun + self.wait),
            Progress::Answered(answered) => Some(answered + self.wait * STUCK),
            Progress::Heard => None,
        });
        if due.is_some_and(|due| due.is_none_or(|due| due > now)) {
            return Standing::Running;
        }
        let Some(way) = self.untried.front().copied() else {
            return if self.under_way.is_empty() { Standing::Lost } else { Standing::Running };
        };
        if self.under_way.iter().any(|attempt| attempt.progress != Progress::Called) {
            self.hang_up(now, caller);
        }
        let Some(call) = self.calls.get(way).cloned() else { return Standing::Lost };
        match caller.connect(now, call) {
            Ok(session) => {
                self.untried.retain(|untried| *untried != way);
                self.under_way.push(Attempt { way, session, begun: now, progress: Progress::Called });
                Standing::Running
            }
            Err(cannot) => Standing::Cannot(cannot),
        }
    }

    /// Ways that were not answered yet are tried again, should the one that was lead nowhere.
    fn hang_up(&mut self, now: Instant, caller: &mut impl Caller) {
        for attempt in self.under_way.drain(..).rev() {
            caller.disconnect(now, attempt.session);
            if attempt.progress == Progress::Called {
                self.untried.push_front(attempt.way);
            }
        }
    }
}

impl Attempt {
    fn look(&mut self, now: Instant, caller: &impl Caller) {
        self.progress = match self.progress {
            Progress::Called | Progress::Answered(_) if caller.is_heard(self.session) => Progress::Heard,
            Progress::Called if caller.is_answered(self.session) => Progress::Answered(now),
            as_before => as_before,
        };
    }

    /// It is over, and another way may do better.
    fn died_of_its_way(&self, caller: &impl Caller) -> bool {
        match caller.why_ended(self.session) {
            // UDP 500 passes, and 4500 does not, as an example.
            Some(Cause::PeerDead) => self.progress != Progress::Heard,
            // Native ESP, and a NAT is in the way.
            Some(cause) => cause == Cause::NoUdpEncapsulation,
            None => false,
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
            Self { engine, race: Race::new(calls, WAIT) }
        }

        /// How it stands, and how many calls are under way.
        fn look(&mut self, millis: u64) -> (Standing, usize) {
            let now = at(millis);
            if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                self.engine.handle_timeout(now);
            }
            let standing = self.race.look(now, &mut self.engine);
            (standing, self.engine.holdings().calls)
        }
    }

    const WAIT: Duration = Duration::from_secs(2);

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// Calls as they are told to go. The first is session 1.
    #[derive(Default)]
    struct Played {
        stations: Vec<Station>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Station {
        Called,
        Answered,
        Heard,
        Up,
        Over(Cause),
        HungUp,
    }

    impl Played {
        fn station(&self, session: SessionId) -> Station {
            self.stations[session.0 as usize - 1]
        }
    }

    impl Caller for Played {
        fn connect(&mut self, _: Instant, _: Call) -> Result<SessionId, CannotCall> {
            self.stations.push(Station::Called);
            Ok(SessionId(self.stations.len() as u32))
        }

        fn disconnect(&mut self, _: Instant, session: SessionId) {
            self.stations[session.0 as usize - 1] = Station::HungUp;
        }

        fn state(&self, session: SessionId) -> Option<SessionState> {
            match self.station(session) {
                Station::Called | Station::Answered | Station::Heard => Some(SessionState::Connecting),
                Station::Up => Some(SessionState::Up),
                Station::Over(_) | Station::HungUp => None,
            }
        }

        fn is_answered(&self, session: SessionId) -> bool {
            matches!(self.station(session), Station::Answered | Station::Heard | Station::Up)
        }

        fn is_heard(&self, session: SessionId) -> bool {
            matches!(self.station(session), Station::Heard | Station::Up)
        }

        fn why_ended(&self, session: SessionId) -> Option<Cause> {
            match self.station(session) {
                Station::Over(cause) => Some(cause),
                Station::Called | Station::Answered | Station::Heard | Station::Up | Station::HungUp => None,
            }
        }
    }

    /// At these times the newest call comes to these stations; how it stands in the end, and what became of all calls.
    fn play(transports: &str, script: &[(u64, Station)], until: u64) -> (Standing, Vec<Station>) {
        let (mut race, mut played) = (Race::new(setup_of(transports).1, WAIT), Played::default());
        let mut script = script.iter().peekable();
        let mut standing = Standing::Running;
        for millis in (0..=until).step_by(100) {
            while let Some((_, station)) = script.next_if(|(when, _)| *when <= millis) {
                *played.stations.last_mut().unwrap() = *station;
            }
            standing = race.look(at(millis), &mut played);
            if standing != Standing::Running {
                break;
            }
        }
        (standing, played.stations)
    }

    #[test]
    fn a_login_that_waits_for_its_user_is_not_called_again_by_another_way() {
        use Station::*;
        let script = [(100, Answered), (200, Heard), (55_000, Up)];
        let won = Standing::Won { session: SessionId(1), way: 0 };
        assert_eq!(play("nat-t,ctcp", &script, 60_000), (won, vec![Up]));
        let given_up = [(100, Answered), (200, Heard), (55_000, Over(Cause::PeerDead))];
        assert_eq!(play("nat-t,ctcp", &given_up, 60_000), (Standing::Lost, vec![Over(Cause::PeerDead)]), "asked once");
        assert_eq!(
            play("nat-t,ctcp", &[(100, Answered)], 6_100),
            (Standing::Running, vec![HungUp, Called]),
            "not heard"
        );
    }

    #[test]
    fn a_way_that_leads_nowhere_is_left_for_the_next_and_a_refusal_ends_the_race() {
        use Station::*;
        let dead = [(100, Answered), (1000, Over(Cause::PeerDead))];
        assert_eq!(play("nat-t,ctcp", &dead, 1000), (Standing::Running, vec![Over(Cause::PeerDead), Called]));
        assert_eq!(play("nat-t", &dead, 1000), (Standing::Lost, vec![Over(Cause::PeerDead)]), "there is none");
        let no_way = Over(Cause::NoUdpEncapsulation);
        for before in [Answered, Heard] {
            let script = [(100, before), (1000, no_way), (1500, Heard), (1600, Up)];
            let won = Standing::Won { session: SessionId(2), way: 1 };
            assert_eq!(play("esp,nat-t", &script, 2000), (won, vec![no_way, Up]));
            for cause in [Cause::Refused, Cause::WrongPsk, Cause::WrongResponderIdentity, Cause::PoolEmpty] {
                let refused = [(100, before), (1000, Over(cause))];
                assert_eq!(play("esp,nat-t", &refused, 2000), (Standing::Lost, vec![Over(cause)]));
            }
        }
    }

    #[test]
    fn a_way_that_was_hung_up_for_another_is_tried_again_when_that_leads_nowhere() {
        use Station::*;
        let calls = setup_of("nat-t,ctcp,esp").1;
        let (mut race, mut played) = (Race::new(calls, WAIT), Played::default());
        for millis in [0, 2000] {
            assert_eq!(race.look(at(millis), &mut played), Standing::Running);
        }
        played.stations[0] = Answered;
        assert_eq!(race.look(at(2100), &mut played), Standing::Running);
        assert_eq!(played.stations, [Answered, HungUp]);
        played.stations[0] = Over(Cause::PeerDead);
        assert_eq!(race.look(at(3000), &mut played), Standing::Running);
        played.stations[2] = Heard;
        race.look(at(3100), &mut played);
        played.stations[2] = Up;
        assert_eq!(race.look(at(3200), &mut played), Standing::Won { session: SessionId(3), way: 1 });
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
