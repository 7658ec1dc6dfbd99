//! Messages in fragments (RFC 7383): held until they are whole, then taken as if they had come so.

use super::{Engine, Stage};
use crate::ike::counters::Ignored;
use crate::ike::service::TimerKey;
use crate::ike::v2::Taken;
use crate::ike::wire::{Incoming, SkfPayload};
use crate::session::SessionId;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// How long fragments of an unfinished message are held. Adit's own choice: longer than the first retransmissions of
/// the clients we know, which may have to bring the rest.
const HELD: Duration = Duration::from_secs(30);

impl Engine {
    /// One fragment for one of a session's IKE SAs.
    pub(super) fn fragment(
        &mut self,
        now: Instant,
        id: SessionId,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
        skf: &SkfPayload<'_>,
    ) {
        let Some(sa) = self.sessions.get_mut(&id).and_then(|stage| stage.ike_sa(&incoming.header)) else {
            return self.node.ignore(Ignored::UnknownSpi);
        };
        match sa.take_fragment(incoming, skf) {
            Taken::Held => self.node.timers.set(TimerKey::Reassembly(id), Some(now + HELD)),
            Taken::Whole(message) => {
                if !sa.holds_fragments() {
                    self.node.timers.set(TimerKey::Reassembly(id), None);
                }
                tracing::debug!(exchange = ?incoming.header.exchange, fragments = skf.total, "came in fragments");
                self.node.counters.messages_joined += 1;
                self.message(now, id, datagram, &message.incoming());
            }
            Taken::Again(bytes) => match self.sessions.get(&id) {
                Some(Stage::Established(session)) if session.peer.closed.takes(datagram.framing) => {
                    self.node.ignore(Ignored::TransportClosed);
                }
                Some(Stage::Established(session)) => {
                    let (worker, proven) = (session.peer.worker, session.peer.path);
                    self.node.answer_again(worker, proven, datagram, bytes);
                }
                Some(Stage::Closing(closing)) => {
                    let (worker, proven) = (closing.peer.worker, closing.peer.path);
                    self.node.answer_again(worker, proven, datagram, bytes);
                }
                // It has answered nothing in its IKE SA yet.
                Some(Stage::HalfOpen(_) | Stage::Calling(_) | Stage::Proving(_) | Stage::V1(_)) | None => {
                    self.node.ignore(Ignored::OldMessageId);
                }
            },
            Taken::Ignored(reason) => self.node.ignore(reason),
        }
    }

    /// The rest has not come in time.
    pub(super) fn forget_fragments(&mut self, id: SessionId) {
        match self.sessions.get_mut(&id) {
            Some(Stage::HalfOpen(half)) => half.ike.forget_fragments(),
            Some(Stage::Proving(proving)) => proving.ike_sa().forget_fragments(),
            Some(Stage::Established(session)) => session.forget_fragments(),
            Some(Stage::Closing(closing)) => closing.ike.forget_fragments(),
            Some(Stage::Calling(_) | Stage::V1(_)) | None => {}
        }
    }
}
