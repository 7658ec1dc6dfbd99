//! Sessions that we start.

use super::{Door, Engine, Given, Stage, ikev1};
use crate::config::checked::Login;
use crate::ike::service::{Call, CallFailed, Carriage, Held, TimerKey};
use crate::ike::v2::{Called, Calling, Verdict};
use crate::lease::Ask;
use crate::session::{Cause, SessionId};
use adit_dataplane::time::Instant;

/// Of so many calls it is remembered why they ended: more than anybody has under way who wants to know.
const MOST_ENDED: usize = 16;

/// Why a call was not even begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotCall {
    /// We are leaving.
    #[error("adit is leaving")]
    ShuttingDown,
    /// As many sessions as the configuration allows.
    #[error("as many sessions as the configuration allows are up")]
    Full,
    /// The configuration has no such connection, or it proposes nothing.
    #[error("no such connection")]
    NoSuchConnection,
    /// IKEv1 gives IPv4 addresses, and none is wanted.
    #[error("a session by IKEv1 needs an inner IPv4 address")]
    NoAddressWanted,
    /// Cisco's IPsec over UDP is announced by IKEv1's mode config.
    #[error("Cisco's IPsec over UDP knows IKEv1 alone")]
    OnlyIkev1,
    /// RFC 9329 is about IKEv2.
    #[error("IKE in real TCP knows IKEv2 alone")]
    OnlyIkev2,
}

impl Engine {
    /// Starts a session with a peer (RFC 7296 section 1.2, RFC 2409 section 5): [`Engine::state`] tells how it goes, `None` that it failed
    /// or is over.
    pub fn connect(&mut self, now: Instant, call: Call) -> Result<SessionId, CannotCall> {
        if self.door == Door::Shut {
            return Err(CannotCall::ShuttingDown);
        }
        if self.sessions.len() >= self.node.config.ike.session_limit {
            return Err(CannotCall::Full);
        }
        let id = SessionId(self.next_id);
        let _span = tracing::info_span!("session", session = %id).entered();
        match self.node.connection(call.connection).map(|connection| &connection.login) {
            None => return Err(CannotCall::NoSuchConnection),
            Some(Login::V2(_)) => {
                if call.carriage == Carriage::CiscoUdp {
                    return Err(CannotCall::OnlyIkev1);
                }
                let calling = Calling::begin(now, &mut self.node, id, call).ok_or(CannotCall::NoSuchConnection)?;
                self.next_id = self.unused_id(self.next_id);
                self.settle_call(now, Called::Waits(Box::new(calling)));
            }
            Some(Login::V1(_)) => {
                if call.carriage == Carriage::Tcp {
                    return Err(CannotCall::OnlyIkev2);
                }
                if call.want.v4 == Ask::Nothing {
                    return Err(CannotCall::NoAddressWanted);
                }
                let worker = self.node.installer.least_loaded();
                let calling = ikev1::Calling::begin(now, &mut self.node, id, worker, call);
                let calling = calling.ok_or(CannotCall::NoSuchConnection)?;
                self.node.installer.session_came(worker);
                self.next_id = self.unused_id(self.next_id);
                self.settle_call_v1(now, ikev1::CallStep::Waits(Box::new(calling)));
            }
        }
        Ok(id)
    }

    /// What the headend has told us about ourselves in IKE_AUTH, in a session by IKEv2 that we have started.
    pub fn given(&self, id: SessionId) -> Option<&Given> {
        match self.sessions.get(&id) {
            Some(Stage::Established(session)) => session.given(),
            Some(_) | None => None,
        }
    }

    /// Why a session is over that we have started. Of the last few of these, without calls that we hung up before there were keys.
    pub fn why_ended(&self, id: SessionId) -> Option<Cause> {
        self.calls_ended.iter().rev().find(|(ended, _)| *ended == id).map(|(_, cause)| *cause)
    }

    /// A session is over that we have started.
    pub(super) fn call_ended(&mut self, id: SessionId, cause: Cause) {
        if self.calls_ended.len() == MOST_ENDED {
            self.calls_ended.pop_front();
        }
        self.calls_ended.push_back((id, cause));
    }

    /// After every event in a call.
    pub(super) fn settle_call(&mut self, now: Instant, called: Called) {
        match called {
            Called::Waits(calling) => {
                let id = calling.held().id;
                self.node.timers.set(TimerKey::Session(id), Some(calling.deadline()));
                self.sessions.insert(id, Stage::Calling(calling));
            }
            Called::Proves(proving) => {
                let id = proving.held().id;
                self.node.timers.set(TimerKey::Session(id), Some(proving.deadline()));
                self.sessions.insert(id, Stage::Proving(proving));
            }
            Called::Up(session) => self.settle(now, session, Verdict::Stay),
            Called::Closes(closing) => self.settle_closing(now, closing, Verdict::Stay),
            Called::Failed(held, CallFailed { cause, why }) => {
                self.node.counters.refusals += 1;
                tracing::warn!(cause = cause.name(), why, "login failed: {}", cause.sentence());
                self.call_ended(held.id, cause);
                self.hang_up(held);
            }
        }
    }

    /// Without a word.
    pub(super) fn hang_up(&mut self, held: Held) {
        self.node.timers.set(TimerKey::Session(held.id), None);
        self.node.timers.set(TimerKey::Reassembly(held.id), None);
        held.let_go(&mut self.node);
    }
}
