//! Another configuration while sessions are up.

use super::{Engine, Stage, StageV1};
use crate::config::Renumbering;
use crate::config::checked::Config;
use crate::ike::service::{Node, TimerKey};
use crate::reload::{Plan, SessionFacts, Verdict};
use crate::session::{Cause, SessionId};
use adit_dataplane::time::Instant;
use std::sync::Arc;

impl Engine {
    /// What another configuration would change, and which sessions it would end.
    pub fn plan(&self, new: &Config) -> Plan {
        Plan::new(self.config(), new, &self.facts())
    }

    /// Takes another configuration, whole. What does not fit it any more ends, and its peer is told. Comes back: what the plan was.
    ///
    /// # Errors
    /// Some of it needs a restart: nothing has changed.
    pub fn reconfigure(&mut self, now: Instant, new: Arc<Config>) -> Result<Plan, Plan> {
        let plan = self.plan(&new);
        match plan.verdict() {
            Verdict::NothingToDo => return Ok(plan),
            Verdict::NeedsRestart => return Err(plan),
            Verdict::Ready => {}
        }
        // By the old configuration: their leases and their users are found by its places.
        for id in plan.ends() {
            self.end(now, id, Cause::Reconfigured);
        }
        let places = Renumbering::new(self.config(), &new);
        self.node.installer.reconfigured(Arc::clone(&new), places.clone());
        self.arrivals.limit_to(&new.ike);
        self.node.take_config(new);
        self.hang_up_calls();
        for stage in self.sessions.values_mut() {
            stage.renumber(&places);
            stage.find_pools(&self.node.leases);
        }
        // Not before all have their connections: a policy is found by that.
        for stage in self.sessions.values_mut() {
            stage.take_policy(&mut self.node);
        }
        self.find_users_anew();
        self.set_deadlines();
        Ok(plan)
    }

    /// Of every session, and every login that knows its connection, unless it ends already.
    fn facts(&self) -> Vec<SessionFacts> {
        let facts = |stage: &Stage| match stage {
            Stage::Established(session) => Some(session.facts(&self.node)),
            Stage::V1(StageV1::Established(session)) => Some(session.facts(&self.node)),
            Stage::V1(StageV1::Login(login)) => Some(login.facts(&self.node)),
            Stage::HalfOpen(_) | Stage::Calling(_) | Stage::Proving(_) | Stage::Closing(_) => None,
            Stage::V1(StageV1::HalfOpen(_) | StageV1::Calling(_) | StageV1::Entering(_)) => None,
        };
        self.sessions.values().filter_map(facts).collect()
    }

    /// No key of a file leads to a call, so whoever calls and reloads has to call again.
    fn hang_up_calls(&mut self) {
        let calls = self.sessions.iter().filter(|(_, stage)| stage.is_call());
        let calls: Vec<SessionId> = calls.map(|(id, _)| *id).collect();
        for id in calls {
            match self.sessions.remove(&id) {
                Some(Stage::Calling(calling)) => self.hang_up(calling.held()),
                Some(Stage::Proving(proving)) => self.hang_up(proving.held()),
                Some(Stage::V1(StageV1::Calling(calling))) => self.hang_up(calling.held()),
                Some(Stage::V1(StageV1::Entering(entering))) => self.hang_up(entering.reached.held()),
                Some(other @ (Stage::HalfOpen(_) | Stage::Established(_) | Stage::Closing(_))) => {
                    self.sessions.insert(id, other);
                }
                Some(other @ Stage::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Established(_))) => {
                    self.sessions.insert(id, other);
                }
                None => {}
            }
        }
    }

    /// Delays may be others now. A login under way keeps the time that it was given.
    fn set_deadlines(&mut self) {
        for (id, stage) in &mut self.sessions {
            let deadline = match stage {
                Stage::Established(session) => session.deadline(&self.node),
                Stage::V1(StageV1::Established(session)) => session.deadline(&self.node),
                Stage::HalfOpen(_) | Stage::Calling(_) | Stage::Proving(_) | Stage::Closing(_) => continue,
                Stage::V1(StageV1::HalfOpen(_) | StageV1::Login(_)) => continue,
                Stage::V1(StageV1::Calling(_) | StageV1::Entering(_)) => continue,
            };
            self.node.timers.set(TimerKey::Session(*id), deadline);
        }
    }
}

impl Stage {
    /// Connections have other places now. Calls are over by then.
    fn renumber(&mut self, places: &Renumbering) {
        match self {
            // Whose it is is not known before its IKE_AUTH.
            Self::HalfOpen(_) => {}
            Self::Calling(_) | Self::Proving(_) | Self::V1(StageV1::Calling(_) | StageV1::Entering(_)) => {}
            Self::Established(session) => session.peer.connection = places.place(session.peer.connection),
            Self::Closing(closing) => closing.peer.connection = places.place(closing.peer.connection),
            Self::V1(StageV1::HalfOpen(half)) => half.renumber(places),
            Self::V1(StageV1::Login(login)) => login.renumber(places),
            Self::V1(StageV1::Established(session)) => session.renumber(places),
        }
    }

    /// What it may is what the configuration says now.
    fn take_policy(&mut self, node: &mut Node) {
        match self {
            Self::Established(session) => session.take_policy(node),
            Self::V1(StageV1::Established(session)) => session.take_policy(node),
            Self::HalfOpen(_) | Self::Calling(_) | Self::Proving(_) | Self::Closing(_) => {}
            Self::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_)) => {}
        }
    }

    /// Pools have other places now.
    fn find_pools(&mut self, leases: &crate::lease::Leases) {
        match self {
            Self::Established(session) => session.find_pools(leases),
            Self::V1(StageV1::Established(session)) => session.find_pools(leases),
            Self::HalfOpen(_) | Self::Calling(_) | Self::Proving(_) | Self::Closing(_) => {}
            Self::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_)) => {}
        }
    }
}
