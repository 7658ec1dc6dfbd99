//! What the operator, or a test, wants of a session.

use super::{Engine, Stage, StageV1, ikev1};
use crate::ike::service::{CannotClose, Node, TimerKey};
use crate::ike::v2::{Established, NoRoom, Verdict};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{Selectors, Spi, Transport, Transports};
use adit_dataplane::time::Instant;
use std::time::Duration;

impl Engine {
    /// Ends a session: the peer is told. One that is not yet up ends without a word.
    pub fn disconnect(&mut self, now: Instant, id: SessionId) {
        self.end(now, id, Cause::Asked);
    }

    /// Ends a session for this reason.
    pub(super) fn end(&mut self, now: Instant, id: SessionId, cause: Cause) {
        // Not inside another session's span: a line is one session's.
        let _span = tracing::info_span!(parent: None, "session", session = %id).entered();
        match self.sessions.remove(&id) {
            Some(Stage::HalfOpen(half)) => self.half_open_ends(&half),
            Some(Stage::Calling(calling)) => self.hang_up(calling.held()),
            Some(Stage::Proving(proving)) => self.hang_up(proving.held()),
            Some(Stage::Established(session)) => self.settle(now, session, Verdict::Close(cause)),
            Some(Stage::V1(stage)) => self.close_v1(now, stage, cause),
            Some(closing @ Stage::Closing(_)) => {
                self.sessions.insert(id, closing);
            }
            None => {}
        }
    }

    /// Replaces a session's IKE SA as soon as it can (RFC 7296 section 2.8); by IKEv1 only who has started the session
    /// can, by another phase 1.
    pub fn rekey_ike(&mut self, now: Instant, id: SessionId) {
        match self.is_v1(id) {
            true => self.in_service_v1(id, |session, node| session.renew(now, node)),
            false => self.in_service(id, |session, node| session.rekey_ike(now, node)),
        };
    }

    /// Replaces a session's child SAs as soon as it can, one after the other.
    pub fn rekey_children(&mut self, now: Instant, id: SessionId) {
        match self.is_v1(id) {
            true => self.in_service_v1(id, |session, node| session.rekey_children(now, node)),
            false => self.in_service(id, |session, node| session.rekey_children(now, node)),
        };
    }

    /// Ends the child SA with this inbound SPI.
    pub fn delete_child(&mut self, now: Instant, id: SessionId, spi_in: Spi) {
        match self.is_v1(id) {
            true => self.in_service_v1(id, |session, node| session.delete_child(now, node, spi_in)),
            false => self.in_service(id, |session, node| session.delete_child(now, node, spi_in)),
        };
    }

    /// Asks the peer of a session whether it lives, however lately it was heard (RFC 3706, RFC 7296 section 2.4).
    pub fn probe(&mut self, now: Instant, id: SessionId) {
        match self.is_v1(id) {
            true => self.in_service_v1(id, |session, node| session.probe(now, node)),
            false => self.in_service(id, |session, node| session.probe(now, node)),
        };
    }

    /// This transport is closed to a session for so long, beside those that are closed already; those that are left come back. A client
    /// that has another goes on by that one.
    ///
    /// # Errors
    /// See [`CannotClose`].
    pub fn close_transport(
        &mut self,
        now: Instant,
        id: SessionId,
        transport: Transport,
        time: Duration,
        by: &str,
    ) -> Result<Transports, CannotClose> {
        let done = match self.is_v1(id) {
            true => self.in_service_v1(id, |session, node| session.close_transport(now, node, transport, time, by)),
            false => self.in_service(id, |session, node| session.close_transport(now, node, transport, time, by)),
        };
        done.unwrap_or(Err(CannotClose::NotUp))
    }

    /// Asks the peer for one more child SA with these selectors (RFC 7296 section 1.3.1).
    pub fn add_child(&mut self, now: Instant, id: SessionId, selectors: Selectors) -> Result<(), NoRoom> {
        self.in_service(id, |session, node| session.add_child(now, node, selectors)).unwrap_or(Err(NoRoom))
    }

    /// Something happens to a session that is up; then it wants to be called at another time, perhaps.
    pub(super) fn in_service<T>(
        &mut self,
        id: SessionId,
        act: impl FnOnce(&mut Established, &mut Node) -> T,
    ) -> Option<T> {
        let _span = tracing::info_span!("session", session = %id).entered();
        match self.sessions.get_mut(&id) {
            Some(Stage::Established(session)) => {
                let done = act(session, &mut self.node);
                self.node.timers.set(TimerKey::Session(id), session.deadline(&self.node));
                Some(done)
            }
            Some(Stage::HalfOpen(_) | Stage::Calling(_) | Stage::Proving(_) | Stage::Closing(_) | Stage::V1(_))
            | None => None,
        }
    }

    /// Whether this session came by IKEv1.
    pub(super) fn is_v1(&self, id: SessionId) -> bool {
        matches!(self.sessions.get(&id), Some(Stage::V1(_)))
    }

    /// Something happens to a session that is up; then it wants to be called at another time, perhaps.
    pub(super) fn in_service_v1<T>(
        &mut self,
        id: SessionId,
        act: impl FnOnce(&mut ikev1::Established, &mut Node) -> T,
    ) -> Option<T> {
        let _span = tracing::info_span!("session", session = %id).entered();
        let Some(Stage::V1(StageV1::Established(session))) = self.sessions.get_mut(&id) else { return None };
        let done = act(session, &mut self.node);
        self.node.timers.set(TimerKey::Session(id), session.deadline(&self.node));
        Some(done)
    }
}
