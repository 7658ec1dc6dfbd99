//! Sessions by IKEv1 that we start.

use super::{Engine, Stage, StageV1};
use crate::ike::service::{CallFailed, TimerKey};
use crate::ike::v1::{CallStep, EnterStep, Entering, Established, Reached, Told, User, Verdict};
use crate::session::SessionId;
use adit_dataplane::time::Instant;

impl Engine {
    /// What the headend has told us about ourselves by mode config, in a session by IKEv1 that we have started.
    pub fn told(&self, id: SessionId) -> Option<&Told> {
        match self.sessions.get(&id) {
            Some(Stage::V1(StageV1::Established(session))) => session.told(),
            Some(_) | None => None,
        }
    }

    /// After every event in phase 1.
    pub(super) fn settle_call_v1(&mut self, now: Instant, step: CallStep) {
        match step {
            CallStep::Waits(calling) => {
                let id = calling.held().id;
                self.node.timers.set(TimerKey::Session(id), Some(calling.deadline()));
                self.sessions.insert(id, Stage::V1(StageV1::Calling(calling)));
            }
            CallStep::Reached(reached) => match reached.user {
                User::Asked => {
                    let entering = Entering::begin(now, &self.node, *reached);
                    self.settle_enter_v1(now, EnterStep::Waits(Box::new(entering)));
                }
                User::NotAsked => self.up_v1(now, *reached),
            },
            CallStep::Failed(held, failed) => {
                self.log_failure_v1(&failed);
                self.call_ended(held.id, failed.cause);
                self.hang_up(held);
            }
        }
    }

    /// After every event in XAUTH.
    pub(super) fn settle_enter_v1(&mut self, now: Instant, step: EnterStep) {
        match step {
            EnterStep::Waits(entering) => {
                let id = entering.reached.id;
                self.node.timers.set(TimerKey::Session(id), Some(entering.deadline()));
                self.sessions.insert(id, Stage::V1(StageV1::Entering(entering)));
            }
            EnterStep::In(reached) => self.up_v1(now, *reached),
            EnterStep::Over(entering, failed, farewell) => {
                self.log_failure_v1(&failed);
                self.call_ended(entering.reached.id, failed.cause);
                self.hang_up(entering.reached.held());
                if let Some(farewell) = farewell {
                    self.node.keep_farewell(now, farewell);
                }
            }
        }
    }

    fn up_v1(&mut self, now: Instant, reached: Reached) {
        let session = Established::begin_called(now, &mut self.node, reached);
        self.settle_v1(now, Box::new(session), Verdict::Stay);
    }

    fn log_failure_v1(&mut self, failed: &CallFailed) {
        self.node.counters.refusals += 1;
        tracing::warn!(
            cause = failed.cause.name(),
            why = failed.why,
            ike = "v1",
            "login failed: {}",
            failed.cause.sentence()
        );
    }
}
