//! How many there are, for who asks often.

use super::{Engine, Stage, StageV1};
use crate::session::SessionState;

/// Sessions and child SAs, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Sessions that are up.
    pub up: usize,
    /// Sessions that are about to be, or about to end.
    pub pending: usize,
    /// Of these, logins from outside that nobody has proven anything in.
    pub half_open: usize,
    /// Child SAs, those that drain after a rekey, too.
    pub sas: usize,
}

impl Engine {
    /// All of it by one walk over the sessions.
    pub fn tally(&self) -> Tally {
        let (half_open, ..) = self.arrivals.counts();
        let mut tally = Tally { half_open, ..Tally::default() };
        for stage in self.sessions.values() {
            match stage.state() {
                SessionState::Up => tally.up += 1,
                SessionState::Connecting | SessionState::Closing => tally.pending += 1,
            }
            tally.sas += stage.sa_count();
        }
        tally
    }
}

impl Stage {
    fn sa_count(&self) -> usize {
        match self {
            Self::Established(session) => session.sa_count(),
            Self::V1(StageV1::Established(session)) => session.sa_count(),
            Self::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_))
            | Self::HalfOpen(_)
            | Self::Calling(_)
            | Self::Proving(_)
            | Self::Closing(_) => 0,
        }
    }
}
