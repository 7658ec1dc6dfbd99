//! From a half-open SA to a session: IKE_AUTH, or too late.

use super::{Engine, Stage};
use crate::ike::counters::Ignored;
use crate::ike::service::{Contact, TimerKey};
use crate::ike::sk::SkError;
use crate::ike::v2::{Established, HalfOpen, LoginRefused, Proven, Verdict, prove, refuse_login};
use crate::ike::wire::{Exchange, Incoming, NotifyKind, WireError};
use crate::session::Cause;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;

impl Engine {
    /// A half-open SA takes IKE_AUTH and nothing else; until the ICV is good, nothing changes.
    pub(super) fn half_open(
        &mut self,
        now: Instant,
        half: Box<HalfOpen>,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) {
        let header = incoming.header;
        let expected = header.exchange == Exchange::IkeAuth && !header.flags.response && header.message_id == 1;
        if !expected || !half.ike.is_addressed(&header) {
            self.node.ignore(Ignored::UnexpectedExchange);
            return self.keep_half_open(half);
        }
        let opened = match half.ike.open(incoming) {
            Err(SkError::BadIcv) => {
                self.node.ignore(Ignored::BadIcv);
                return self.keep_half_open(half);
            }
            Err(SkError::Syntax(WireError::UnsupportedCritical(kind))) => Err(LoginRefused::unsupported_critical(kind)),
            Err(SkError::Syntax(error)) => Err(LoginRefused::unreadable(error)),
            Ok(payloads) => Ok(payloads),
        };
        let payloads = match opened {
            Ok(payloads) => payloads,
            Err(refused) => return self.refuse(now, *half, &refused, datagram, incoming),
        };
        match prove(&half, &self.node, &payloads).and_then(|proven| self.admit(now, proven)) {
            Ok(proven) => self.log_in(now, *half, proven, datagram, incoming),
            Err(refused) => self.refuse(now, *half, &refused, datagram, incoming),
        }
    }

    /// Waits for IKE_AUTH, not for ever.
    pub(super) fn keep_half_open(&mut self, half: Box<HalfOpen>) {
        let deadline = half.since + self.node.config.ike.half_open_timeout;
        self.node.timers.set(TimerKey::Session(half.id), Some(deadline));
        self.sessions.insert(half.id, Stage::HalfOpen(half));
    }

    /// It led to nothing.
    pub(super) fn half_open_ends(&mut self, half: &HalfOpen) {
        self.arrivals.no_longer_half_open(&half.arrival);
        self.arrivals.left(&half.arrival);
        self.node.forget_ike_spi(half.ike.spi());
        self.node.timers.set(TimerKey::Session(half.id), None);
        self.node.timers.set(TimerKey::Reassembly(half.id), None);
    }

    /// Somebody whom we know: older sessions go if they are lost, and then there must be room.
    fn admit<'a>(&mut self, now: Instant, proven: Proven<'a>) -> Result<Proven<'a>, Box<LoginRefused>> {
        let is_new = !self.by_identity.contains_key(&proven.identity.folded());
        if is_new && self.is_draining() {
            let refused = LoginRefused::new(Cause::Drained, NotifyKind::NoAdditionalSas);
            return Err(Box::new(LoginRefused { identity: Some(proven.identity.clone()), ..refused }));
        }
        // RFC 7296 section 2.4: sent inside SK by somebody who has proven the identity, so it may be believed.
        if proven.contact == Contact::Initial {
            self.replace_older(now, proven.identity);
        }
        let Some(leave) = self.who_leaves(proven.identity, proven.connection) else {
            let refused = LoginRefused::new(Cause::LoginLimit, NotifyKind::NoAdditionalSas);
            return Err(Box::new(LoginRefused { identity: Some(proven.identity.clone()), ..refused }));
        };
        if self.is_full(leave.len()) {
            let limit = self.node.config.ike.session_limit;
            let refused = LoginRefused::new(Cause::SessionLimit, NotifyKind::NoAdditionalSas);
            return Err(Box::new(LoginRefused {
                identity: Some(proven.identity.clone()),
                wanted: format!("fewer than {limit} sessions"),
                ..refused
            }));
        }
        // Nobody goes for one who stays out.
        for id in leave {
            self.end(now, id, Cause::Replaced);
        }
        Ok(proven)
    }

    /// Whether there are as many sessions as there may be, without the one that wants in and so many that leave for it. Those that are
    /// ending have let go of everything but their IKE SA: as many of them as there may be sessions do not count.
    ///
    /// The one that wants in is half-open or waits, and has been taken out of `sessions`.
    pub(super) fn is_full(&self, leave: usize) -> bool {
        let limit = self.node.config.ike.session_limit;
        let others = self.arrivals.without_a_place().saturating_sub(1);
        let here = self.sessions.len().saturating_sub(others).saturating_sub(leave);
        let ending = || self.sessions.values().filter(|stage| matches!(stage, Stage::Closing(_))).count();
        here >= limit && here - ending().min(limit).min(here) >= limit
    }

    fn log_in(
        &mut self,
        now: Instant,
        half: HalfOpen,
        proven: Proven<'_>,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) {
        self.arrivals.no_longer_half_open(&half.arrival);
        self.by_identity.entry(proven.identity.folded()).or_default().insert(half.id);
        let session = Established::begin(now, &mut self.node, half, proven, datagram, incoming);
        self.settle(now, Box::new(session), Verdict::Stay);
    }

    fn refuse(
        &mut self,
        now: Instant,
        half: HalfOpen,
        refused: &LoginRefused,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) {
        self.half_open_ends(&half);
        self.node.counters.refusals += 1;
        self.node.tell_refusal(now, half.stranger(refused.identity.as_ref()), refused.cause);
        if let Some(unsaid) = self.node.log_budget.take(now) {
            tracing::warn!(
                cause = refused.cause.name(),
                peer = %datagram.path.peer,
                identity = refused.identity.as_ref().map(tracing::field::display),
                offered = refused.offered,
                wanted = refused.wanted,
                unsaid,
                "login refused: {}",
                refused.cause.sentence()
            );
        }
        let worker = half.worker;
        let farewell = refuse_login(half, refused, incoming);
        self.node.send_ike(worker, datagram.path, datagram.framing, farewell.answer.clone());
        self.node.keep_farewell(now, farewell);
    }
}
