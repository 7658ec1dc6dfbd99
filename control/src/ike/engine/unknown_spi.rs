//! ESP with an SPI that no SA has (RFC 7296 section 1.5): its sender hears of it, inside its IKE SA if there is one. Nothing
//! of such a packet is authenticated, so it changes nothing and is answered with fewer octets than it has.

use super::{Engine, Stage};
use crate::ike::counters::Ignored;
use crate::ike::wire::{Exchange, Flags, Header, IkeSpi, Notify, NotifyKind, Payload, build};
use adit_dataplane::contract::{EspPath, IkeFraming, Path, Transport, Wayward, WorkerId};
use adit_dataplane::time::Instant;

/// Where IKE is without NAT.
const IKE_PORT: u16 = 500;

impl Engine {
    /// A worker has found a packet that belongs to no SA.
    pub(super) fn unknown_spi(&mut self, now: Instant, worker: WorkerId, wayward: Wayward) {
        let comes_there = |stage: &Stage| match stage {
            Stage::Established(session) => session.esp_path() == Some(wayward.path),
            Stage::V1(_) | Stage::HalfOpen(_) | Stage::Calling(_) | Stage::Proving(_) | Stage::Closing(_) => false,
        };
        match self.sessions.iter().find(|(_, stage)| comes_there(stage)).map(|(id, _)| *id) {
            Some(id) => {
                self.in_service(id, |session, node| session.tell_unknown_spi(now, node, wayward.spi));
            }
            None => self.tell_stranger_unknown_spi(now, worker, wayward),
        }
    }

    /// In the clear it is a hint, and nobody may answer it.
    fn tell_stranger_unknown_spi(&mut self, now: Instant, worker: WorkerId, wayward: Wayward) {
        let Some((path, framing)) = ike_beside(wayward.path) else { return };
        // RFC 7296 section 1.5: no SPIs would mean anything to the peer, so they may be zero; flags as in a request.
        let header = Header {
            initiator_spi: IkeSpi::default(),
            responder_spi: IkeSpi::default(),
            exchange: Exchange::Informational,
            flags: Flags { initiator: true, response: false },
            message_id: 0,
        };
        let data = wayward.spi.to_be_bytes().to_vec();
        let bytes = build(&header, &[Payload::Notify(Notify { about: None, kind: NotifyKind::InvalidSpi, data })]);
        if bytes.len() + framing.marker_len() > wayward.len {
            return self.node.ignore(Ignored::WouldAmplify);
        }
        if self.node.error_budget.take(now, path.peer.ip()).is_err() {
            return self.node.ignore(Ignored::Unanswered);
        }
        self.node.counters.strangers_told += 1;
        self.node.send_ike(worker, path, framing, bytes);
    }
}

/// Where IKE goes to who sends ESP from there, if that can be known: behind a NAT, only on a port that both share.
fn ike_beside(esp: EspPath) -> Option<(Path, IkeFraming)> {
    let Path { mut local, mut peer } = esp.path();
    match esp.transport() {
        Transport::NatT => Some((esp.path(), IkeFraming::NonEspMarker)),
        Transport::Esp => {
            local.set_port(IKE_PORT);
            peer.set_port(IKE_PORT);
            Some((Path { local, peer }, IkeFraming::Bare))
        }
        Transport::Ctcp => Some((esp.path(), IkeFraming::Ctcp)),
        Transport::Tcp => Some((esp.path(), IkeFraming::Tcp)),
        // Theirs is IKEv1, which has no such answer.
        Transport::NatT500 | Transport::CiscoUdp => None,
    }
}
