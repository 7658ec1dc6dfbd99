//! Sessions of ours by several ways: what tells that one leads nowhere, and going another.

use super::{Engine, Stage, StageV1};
use crate::ike::service::Call;
use crate::session::SessionId;
use adit_dataplane::time::Instant;

/// When a session was last heard, and whether it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// When anything authentic last came, IKE or ESP.
    pub heard: Instant,
    /// When a packet last went out; the epoch if none did.
    pub sent: Instant,
    /// Whether the peer owes an answer.
    pub asking: Asking,
}

/// Whether the peer owes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// It does.
    Something,
    /// It does not.
    Nothing,
}

impl Engine {
    /// Whether a call has been answered at all: then packets pass, there and back.
    pub fn is_answered(&self, id: SessionId) -> bool {
        match self.sessions.get(&id) {
            Some(Stage::Calling(_)) | None => false,
            Some(Stage::V1(StageV1::Calling(calling))) => calling.is_answered(),
            Some(Stage::HalfOpen(_) | Stage::Proving(_) | Stage::Established(_) | Stage::Closing(_)) => true,
            Some(Stage::V1(
                StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Entering(_) | StageV1::Established(_),
            )) => true,
        }
    }

    /// Whether a call has come so far that the headend was heard where everything goes from then on, such as UDP 4500: what it still
    /// waits for is no more the way's, but the headend's or the user's. By IKEv1 that is XAUTH's first question.
    pub fn is_heard(&self, id: SessionId) -> bool {
        match self.sessions.get(&id) {
            Some(Stage::Calling(_) | Stage::Proving(_) | Stage::HalfOpen(_)) | None => false,
            Some(Stage::V1(StageV1::Entering(entering))) => entering.is_heard(),
            Some(Stage::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_))) => false,
            Some(Stage::Established(_) | Stage::Closing(_) | Stage::V1(StageV1::Established(_))) => true,
        }
    }

    /// Of a session that is up.
    pub fn pulse(&self, id: SessionId) -> Option<Pulse> {
        match self.sessions.get(&id)? {
            Stage::Established(session) => Some(session.pulse()),
            Stage::V1(StageV1::Established(session)) => Some(session.pulse()),
            Stage::HalfOpen(_) | Stage::Calling(_) | Stage::Proving(_) | Stage::Closing(_) => None,
            Stage::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_)) => None,
        }
    }

    /// All of a session that we have started goes as this call would go, to the same peer, from now on: it is asked for a sign
    /// of life there at once, and follows what it hears.
    pub fn go_by(&mut self, now: Instant, id: SessionId, call: &Call) {
        match self.is_v1(id) {
            true => self.in_service_v1(id, |session, node| session.go_by(now, node, call)),
            false => self.in_service(id, |session, node| session.go_by(now, node, call)),
        };
    }
}
