//! What a reload would do, before anything of it is done.

use super::SessionFacts;
use crate::config::checked::Config;
use crate::config::difference::{Change, Effect, difference};
use crate::session::SessionId;
use std::collections::BTreeSet;

/// Every change, and the sessions that each ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the documented file.
    pub steps: Vec<Step>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub change: Change,
    /// Whom it ends, oldest first.
    pub ends: Vec<SessionFacts>,
    /// How many sessions go on with it.
    pub go_on: usize,
}

/// Whether a plan can be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is different.
    NothingToDo,
    /// All of it, at once.
    Ready,
    /// None of it while aditd runs.
    NeedsRestart,
}

impl Plan {
    /// From the configuration in force to another, with these sessions up.
    pub fn new(old: &Config, new: &Config, sessions: &[SessionFacts]) -> Self {
        let step = |change: Change| {
            let ends = match &change.effect {
                Effect::Touches(touched) => {
                    sessions.iter().filter(|session| session.is_ended_by(touched, old, new)).cloned().collect()
                }
                Effect::AtOnce | Effect::Live(_) | Effect::NewLogins | Effect::NextKeys | Effect::Restart(_) => {
                    Vec::new()
                }
            };
            let go_on = match &change.effect {
                Effect::Live(whose) => sessions.iter().filter(|session| session.is(whose)).count(),
                Effect::AtOnce | Effect::Touches(_) | Effect::NewLogins | Effect::NextKeys | Effect::Restart(_) => 0,
            };
            Step { change, ends, go_on }
        };
        Self { steps: difference(old, new).into_iter().map(step).collect() }
    }

    /// Whether it can be carried out.
    pub fn verdict(&self) -> Verdict {
        let restarts = |step: &Step| matches!(step.change.effect, Effect::Restart(_));
        match (self.steps.is_empty(), self.steps.iter().any(restarts)) {
            (true, _) => Verdict::NothingToDo,
            (false, true) => Verdict::NeedsRestart,
            (false, false) => Verdict::Ready,
        }
    }

    /// The sessions that end, each once.
    pub fn ends(&self) -> BTreeSet<SessionId> {
        self.steps.iter().flat_map(|step| &step.ends).map(|session| session.id).collect()
    }
}

impl Step {
    /// What it means, in words.
    pub fn sentence(&self) -> String {
        match (&self.change.effect, &self.ends[..]) {
            (Effect::AtOnce, _) => "at once; no session ends".to_owned(),
            (Effect::Live(_), _) => match (self.go_on, self.change.key) {
                (0, _) => "at once; it is no session's".to_owned(),
                (1, "idle_timeout" | "session_timeout") => {
                    "at once; 1 session goes on with it, or ends if that time has passed for it".to_owned()
                }
                (n, "idle_timeout" | "session_timeout") => {
                    format!("at once; {n} sessions go on with it, or end if that time has passed for them")
                }
                (1, _) => "at once; 1 session goes on with it".to_owned(),
                (n, _) => format!("at once; {n} sessions go on with it"),
            },
            (Effect::NewLogins, _) => "for new logins; sessions stay as they are".to_owned(),
            (Effect::NextKeys, _) => "for new logins, and for sessions with their next keys".to_owned(),
            (Effect::Restart(why), _) => format!("needs a restart: {why}"),
            (Effect::Touches(_), []) => "at once; no session ends".to_owned(),
            (Effect::Touches(touched), [_]) => {
                format!("at once; 1 session {} and ends: {}", touched.why(), self.named())
            }
            (Effect::Touches(touched), ends) => {
                format!("at once; {} sessions {} and end: {}", ends.len(), touched.whys(), self.named())
            }
        }
    }

    fn named(&self) -> String {
        const MOST: usize = 20;
        let name = |session: &SessionFacts| format!("{} {}", session.id, session.identity);
        let mut names: Vec<String> = self.ends.iter().take(MOST).map(name).collect();
        if let Some(more) = self.ends.len().checked_sub(MOST).filter(|more| *more > 0) {
            names.push(format!("and {more} more"));
        }
        names.join(", ")
    }
}
