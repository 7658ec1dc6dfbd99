//! Which tunnel is a session's.

use super::{Engine, Stage, StageV1};
use crate::session::SessionId;
use adit_dataplane::contract::TunnelKey;

impl Engine {
    /// The tunnel of an established session.
    pub fn tunnel_of(&self, session: SessionId) -> Option<TunnelKey> {
        match self.sessions.get(&session)? {
            Stage::Established(session) => session.tunnel(),
            Stage::V1(StageV1::Established(session)) => session.tunnel(),
            Stage::HalfOpen(_) | Stage::Calling(_) | Stage::Proving(_) | Stage::Closing(_) => None,
            Stage::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_)) => None,
        }
    }
}
