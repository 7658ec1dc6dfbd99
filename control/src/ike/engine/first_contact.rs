//! What comes from nowhere: IKE_SA_INIT, and what belongs to an IKE SA that is over.

use super::{Engine, Stage};
use crate::ike::counters::Ignored;
use crate::ike::service::{Arrival, Stranger, Toll, Version};
use crate::ike::v2::{Refused, ask_for_cookie, respond, unsupported_critical};
use crate::ike::wire::{Exchange, Header, IkeSpi, NotifyKind, WireError, limits, parse};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{IkeDatagram, WorkerId};
use adit_dataplane::time::Instant;

impl Engine {
    /// A request without our SPI: IKE_SA_INIT, or nothing (RFC 7296 section 3.1).
    pub(super) fn first_contact(&mut self, now: Instant, worker: WorkerId, datagram: &IkeDatagram, header: Header) {
        if header.exchange != Exchange::IkeSaInit || header.flags.response || header.message_id != 0 {
            return self.node.ignore(Ignored::UnexpectedExchange);
        }
        let arrival = Arrival { version: Version::V2, spi_i: header.initiator_spi, source: datagram.path.peer };
        if header.initiator_spi == IkeSpi::default() {
            return self.node.ignore(Ignored::Malformed);
        }
        if datagram.bytes.len() > limits::MAX_FIRST_MESSAGE {
            return self.node.ignore(Ignored::TooLong);
        }
        if let Some(id) = self.arrivals.find(&arrival) {
            // RFC 7296 section 2.1: the same question gets the same answer, and makes no second state.
            return match self.sessions.get(&id) {
                Some(Stage::HalfOpen(half)) if half.request == datagram.bytes => {
                    self.node.counters.answered_again += 1;
                    let bytes = half.response.clone();
                    self.node.send_ike(worker, datagram.path, datagram.framing, bytes);
                }
                Some(_) | None => {
                    self.node.ignore(Ignored::SpiTaken);
                }
            };
        }
        // Who has begun before may go on.
        if let Err(reason) = self.lets_in(now, datagram.path.peer.ip()) {
            return self.node.ignore(reason);
        }
        if let Err(full) = self.arrivals.room(&arrival) {
            return self.node.ignore(full);
        }
        let id = SessionId(self.next_id);
        let incoming = parse(&datagram.bytes);
        if let (Ok(incoming), Toll::Cookie) = (&incoming, self.arrivals.toll(datagram.path.peer.ip())) {
            match ask_for_cookie(now, &mut self.node, datagram, incoming) {
                None => tracing::debug!(peer = %datagram.path.peer, "cookie returned"),
                Some(Ok(bytes)) => {
                    // No budget for these: whoever spends it would keep everybody else out, which is what cookies are
                    // to prevent. They are shorter than any first message.
                    tracing::debug!(peer = %datagram.path.peer, "cookie asked for");
                    return self.node.send_ike(worker, datagram.path, datagram.framing, bytes);
                }
                Some(Err(reason)) => return self.node.ignore(reason),
            }
        }
        let outcome = match incoming {
            Ok(incoming) => respond(now, &mut self.node, id, worker, datagram, &incoming),
            Err(WireError::UnsupportedCritical(kind)) => Err(unsupported_critical(header, datagram.bytes.len(), kind)),
            Err(_) => Err(Refused::Silence(Ignored::Malformed)),
        };
        match outcome {
            Ok(half) => {
                let _span = tracing::info_span!("session", session = %id).entered();
                tracing::debug!(peer = %datagram.path.peer, suite = %half.suite(), "half-open");
                self.next_id = self.unused_id(self.next_id);
                self.arrivals.came(arrival, id);
                let bytes = half.response.clone();
                self.node.send_ike(worker, datagram.path, datagram.framing, bytes);
                self.keep_half_open(Box::new(half));
            }
            Err(Refused::Answer { cause: Cause::WrongGroup, bytes, offered, wanted }) => {
                // Choosing another group is part of the game (RFC 7296 section 1.2), and needs no budget.
                tracing::debug!(peer = %datagram.path.peer, offered, wanted, "another group is wanted");
                self.node.send_ike(worker, datagram.path, datagram.framing, bytes);
            }
            Err(Refused::Answer { cause, bytes, offered, wanted }) => {
                match self.node.error_budget.take(now, datagram.path.peer.ip()) {
                    Ok(()) => self.node.send_ike(worker, datagram.path, datagram.framing, bytes),
                    Err(_spent) => self.node.ignore(Ignored::Unanswered),
                }
                self.node.counters.refusals += 1;
                self.node.tell_refusal(now, Stranger::at(datagram.path.peer), cause);
                if let Some(unsaid) = self.node.log_budget.take(now) {
                    tracing::warn!(cause = cause.name(), peer = %datagram.path.peer, offered, wanted, unsaid,
                        "login refused: {}", cause.sentence());
                }
            }
            Err(Refused::Silence(reason)) => self.node.ignore(reason),
        }
    }

    /// The peer may not have got our last answer, or that it was one. Whoever has lost us is told so
    /// (RFC 7296 section 2.21.4); it will not believe that, and ask whether we live.
    pub(super) fn after_the_end(&mut self, now: Instant, worker: WorkerId, datagram: &IkeDatagram, spi: IkeSpi) {
        match self.node.farewells.answer(spi, &datagram.bytes).map(<[u8]>::to_vec) {
            // From wherever it comes: nothing is left that knows the way to the peer.
            Some(bytes) if bytes.len() > datagram.bytes.len() => self.node.ignore(Ignored::WouldAmplify),
            Some(bytes) => {
                self.node.counters.answered_again += 1;
                self.node.send_ike(worker, datagram.path, datagram.framing, bytes);
            }
            None if self.node.farewells.remember(spi) => self.node.ignore(Ignored::UnknownSpi),
            None => self.node.tell_stranger(now, worker, datagram, NotifyKind::InvalidIkeSpi, Ignored::UnknownSpi),
        }
    }

    /// The next number that no living session has; numbers come again after four thousand million logins.
    pub(super) fn unused_id(&self, last: u32) -> u32 {
        let mut next = last;
        loop {
            next = next.wrapping_add(1).max(1);
            if !self.sessions.contains_key(&SessionId(next)) {
                return next;
            }
        }
    }
}
