//! Whether first messages are taken: yes, or from those who are here already, or no.
//!
//! Nobody is told to go elsewhere: what stands in the clear anybody could say (RFC 7296 section 2.21.1), so clients believe none of it,
//! and try another headend only when this one is silent.

use super::{Engine, Stage, StageV1};
use crate::ike::counters::Ignored;
use crate::session::{Cause, SessionId};
use adit_dataplane::time::Instant;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// How old the list of addresses may be that sessions come from: they move.
const FRESH: Duration = Duration::from_secs(1);

/// Whether new sessions are taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Door {
    /// From anywhere.
    #[default]
    Open,
    /// Only from addresses that sessions come from, so that their clients can log in anew: IKEv1's must before their phase 1 ends. Who has
    /// no session and comes from there all the same, behind the same NAT, is refused once it has proven who it is.
    Draining {
        /// Those.
        known: BTreeSet<IpAddr>,
        /// Until when the list is good.
        until: Instant,
    },
    /// From nowhere, for we are a client: whom we call we call. Its configuration has the secret of a real headend's, and in aggressive
    /// mode any answer would hand out a hash of it.
    Client,
    /// From nowhere.
    Shut,
}

impl Engine {
    /// We are a client: nobody comes in, ever. Sessions that we start are as before.
    pub fn only_call(&mut self) {
        match self.door {
            Door::Open | Door::Draining { .. } => self.door = Door::Client,
            Door::Client | Door::Shut => {}
        }
    }

    /// Nobody new comes in from now on. Who is here stays, with everything that belongs to that.
    pub fn drain(&mut self) {
        match self.door {
            Door::Open => self.door = Door::Draining { known: BTreeSet::new(), until: Instant::ZERO },
            Door::Draining { .. } | Door::Client | Door::Shut => {}
        }
    }

    /// Everybody comes in again.
    pub fn stop_draining(&mut self) {
        match self.door {
            Door::Draining { .. } => self.door = Door::Open,
            Door::Open | Door::Client | Door::Shut => {}
        }
    }

    /// Whether only those come in who are here.
    pub(super) fn is_draining(&self) -> bool {
        match self.door {
            Door::Draining { .. } => true,
            Door::Open | Door::Client | Door::Shut => false,
        }
    }

    /// Whoever is still here is told to go.
    pub fn end_all(&mut self, now: Instant) {
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.end(now, id, Cause::Drained);
        }
    }

    /// Whether a first message from there is looked at.
    pub(super) fn lets_in(&mut self, now: Instant, source: IpAddr) -> Result<(), Ignored> {
        let stale = matches!(self.door, Door::Draining { until, .. } if until <= now);
        if stale {
            let known = self.sessions.values().filter_map(Stage::source).collect();
            self.door = Door::Draining { known, until: now + FRESH };
        }
        match &self.door {
            Door::Open => Ok(()),
            Door::Draining { known, .. } if known.contains(&source) => Ok(()),
            Door::Draining { .. } => Err(Ignored::Draining),
            Door::Client => Err(Ignored::ClientOnly),
            Door::Shut => Err(Ignored::ShuttingDown),
        }
    }
}

impl Stage {
    /// Where a session that is up comes from.
    fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Established(session) => Some(session.peer.path.peer.ip()),
            Self::V1(StageV1::Established(session)) => Some(session.peer.path.peer.ip()),
            Self::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_))
            | Self::HalfOpen(_)
            | Self::Calling(_)
            | Self::Proving(_)
            | Self::Closing(_) => None,
        }
    }
}
