//! How sessions go on and how they end.

use super::{Engine, Stage};
use crate::ike::service::{Farewell, Origin, Peer, TimerKey, Traffic};
use crate::ike::v2::{Closing, Established, Verdict};
use crate::ike::wire::Id;
use crate::session::{Cause, SessionId};
use adit_dataplane::time::Instant;

impl Engine {
    /// After every event in a session's life.
    pub(super) fn settle(&mut self, now: Instant, mut session: Box<Established>, verdict: Verdict) {
        match verdict {
            Verdict::Stay => {
                let id = session.peer.id;
                self.node.timers.set(TimerKey::Session(id), session.deadline(&self.node));
                self.sessions.insert(id, Stage::Established(session));
            }
            Verdict::Close(cause) => {
                let closing = Closing::begin(now, &mut self.node, *session, cause);
                self.settle_closing(now, Box::new(closing), Verdict::Stay);
            }
            Verdict::Gone(cause, farewell) => {
                session.connections().end(&mut self.node, cause);
                session.stop_service(now, &mut self.node, cause);
                session.forget_ike_sas(now, &mut self.node);
                let traffic = session.traffic();
                self.gone(now, &session.peer, cause, traffic, farewell);
                self.node.tell_logout(now, &session.peer, cause, traffic);
            }
        }
    }

    /// After every event in the end of a session's life.
    pub(super) fn settle_closing(&mut self, now: Instant, mut closing: Box<Closing>, verdict: Verdict) {
        match verdict {
            // It is closing already, for the first cause.
            Verdict::Stay | Verdict::Close(_) => {
                self.node.timers.set(TimerKey::Session(closing.peer.id), Some(closing.deadline()));
                self.sessions.insert(closing.peer.id, Stage::Closing(closing));
            }
            Verdict::Gone(cause, farewell) => {
                std::mem::take(&mut closing.connections).end(&mut self.node, cause);
                closing.forget_ike_sa(&mut self.node);
                self.gone(now, &closing.peer, cause, closing.traffic, farewell);
                self.node.tell_logout(now, &closing.peer, cause, closing.traffic);
            }
        }
    }

    /// A session's deadline has come.
    pub(super) fn session_timeout(&mut self, now: Instant, id: SessionId) {
        let _span = tracing::info_span!("session", session = %id).entered();
        match self.sessions.remove(&id) {
            Some(Stage::HalfOpen(half)) => {
                self.half_open_ends(&half);
                self.node.tell_refusal(now, half.stranger(None), Cause::HalfOpenTimeout);
                if let Some(unsaid) = self.node.log_budget.take(now) {
                    tracing::info!(
                        cause = Cause::HalfOpenTimeout.name(),
                        peer = %half.path.peer,
                        unsaid,
                        "login failed: {}",
                        Cause::HalfOpenTimeout.sentence()
                    );
                }
            }
            Some(Stage::Calling(calling)) => {
                let called = calling.timeout(now, &mut self.node);
                self.settle_call(now, called);
            }
            Some(Stage::Proving(proving)) => {
                let called = proving.timeout(now, &mut self.node);
                self.settle_call(now, called);
            }
            Some(Stage::Established(mut session)) => {
                let verdict = session.timeout(now, &mut self.node);
                self.settle(now, session, verdict);
            }
            Some(Stage::V1(stage)) => self.timeout_v1(now, stage),
            Some(Stage::Closing(mut closing)) => {
                let verdict = closing.timeout(now, &mut self.node);
                self.settle_closing(now, closing, verdict);
            }
            None => {}
        }
    }

    /// The same identity is here again and has lost its older sessions (RFC 7296 section 2.4). They end without a
    /// word: there is nobody to hear it.
    pub(super) fn replace_older(&mut self, now: Instant, identity: &Id) {
        let Some(older) = self.by_identity.get(&identity.folded()).cloned() else { return };
        for id in older {
            // Not inside the new session's span: a line is one session's.
            let _span = tracing::info_span!(parent: None, "session", session = %id).entered();
            let verdict = Verdict::Gone(Cause::InitialContact, None);
            match self.sessions.remove(&id) {
                Some(Stage::Established(session)) => self.settle(now, session, verdict),
                Some(Stage::Closing(closing)) => self.settle_closing(now, closing, verdict),
                // They have no identity yet, so they are not found by one.
                Some(Stage::HalfOpen(half)) => self.half_open_ends(&half),
                Some(Stage::Calling(calling)) => self.hang_up(calling.held()),
                Some(Stage::Proving(proving)) => self.hang_up(proving.held()),
                // They are known by their users.
                Some(Stage::V1(stage)) => self.close_v1(now, stage, Cause::InitialContact),
                None => {}
            }
        }
    }

    pub(super) fn gone(
        &mut self,
        now: Instant,
        peer: &Peer,
        cause: Cause,
        traffic: Traffic,
        farewell: Option<Farewell>,
    ) {
        self.node.installer.session_left(peer.worker);
        self.node.timers.set(TimerKey::Session(peer.id), None);
        self.node.timers.set(TimerKey::Reassembly(peer.id), None);
        match peer.origin {
            Origin::Came(arrival) => self.arrivals.left(&arrival),
            Origin::Called => self.call_ended(peer.id, cause),
        }
        let identity = peer.identity.folded();
        if let Some(ids) = self.by_identity.get_mut(&identity) {
            ids.remove(&peer.id);
            if ids.is_empty() {
                self.by_identity.remove(&identity);
            }
        }
        if let Some(farewell) = farewell {
            self.node.keep_farewell(now, farewell);
        }
        tracing::info!(
            cause = cause.name(),
            identity = %peer.identity,
            up_seconds = now.since(peer.login).as_secs(),
            bytes_in = traffic.bytes_in,
            bytes_out = traffic.bytes_out,
            packets_in = traffic.packets_in,
            packets_out = traffic.packets_out,
            "logout: {}",
            cause.sentence()
        );
    }
}
