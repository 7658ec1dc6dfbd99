//! The desk as others see it: copied, no secrets.

use super::super::radius::{Before, Line, Standing};
use adit_dataplane::time::Instant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The desk, copied for the API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct DeskView {
    /// Questions without an answer yet.
    pub questions: usize,
    /// Passwords of local users that wait for their check.
    pub checks: usize,
    /// Sessions with a record that no server has taken yet.
    pub accounts: usize,
    /// Records that a server has taken.
    pub records_written: u64,
    /// Records that were given up.
    pub records_lost: u64,
    /// Every port of every server.
    pub servers: Vec<LineView>,
}

/// One port of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineView {
    /// Address and port.
    pub server: String,
    /// `logins` or `accounting`.
    pub port: String,
    /// `ready`, or `dead`: it did not answer when it was asked last. For a while it is passed over, then asked again. `unknown` if that while is
    /// over and nobody asks it, because one before it answers.
    pub state: String,
    /// Requests under way.
    pub waiting: usize,
    /// Requests so far.
    pub requests: u64,
    /// Requests sent again.
    pub repeats: u64,
    /// Answers.
    pub answers: u64,
    /// Requests that no answer came to.
    pub unanswered: u64,
    /// Packets that were no good answers.
    pub ignored: u64,
}

impl LineView {
    /// Of all lines to one kind of port, in the order in which they are asked.
    pub(super) fn all<'a, J: 'a>(now: Instant, lines: impl Iterator<Item = &'a Line<J>>, port: &str) -> Vec<Self> {
        let mut before = Before::Nobody;
        let view = |line: &Line<J>| {
            let standing = line.standing(now, before);
            if standing == Standing::Ready {
                before = Before::Somebody;
            }
            Self::new(line, standing, port)
        };
        lines.map(view).collect()
    }

    fn new<J>(line: &Line<J>, standing: Standing, port: &str) -> Self {
        let counters = line.counters;
        let state = match standing {
            Standing::Ready => "ready",
            Standing::Dead => "dead",
            Standing::Unknown => "unknown",
        };
        Self {
            server: line.to.to_string(),
            port: port.to_owned(),
            state: state.to_owned(),
            waiting: line.waiting(),
            requests: counters.requests,
            repeats: counters.repeats,
            answers: counters.answers,
            unanswered: counters.unanswered,
            ignored: counters.ignored,
        }
    }
}
