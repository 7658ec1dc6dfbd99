//! What a session does when its cTCP connection brings nothing of what its client sends. As by IKEv1 (`v1/stalling.rs`) the client is
//! asked as soon as there is a suspicion, and whatever authentic comes after that is an answer.
//!
//! A client that is found to be cut off hears a reset alone: our question is under way, and nothing may be asked behind it
//! (RFC 7296 section 2.3).

use super::established::{Established, Service, Verdict};
use super::purpose::Purpose;
use crate::ike::service::{Node, warn_of_stall};
use crate::journal::What;
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, IkeFraming, StalledFlow, Stalling, Transport};
use adit_dataplane::time::Instant;

impl Established {
    /// The connection of its ESP has stalled, as far as a worker can tell.
    pub(crate) fn stalling(&mut self, now: Instant, node: &mut Node, stalled: &StalledFlow) -> Verdict {
        let Service::Tunnel(tunnel) = &self.service else { return Verdict::Stay };
        let is_its = (tunnel.key, tunnel.path) == (stalled.tunnel, EspPath::new(Transport::Ctcp, stalled.flow.path));
        if !is_its || self.peer.closed.takes(IkeFraming::Ctcp) {
            // It goes another way by now, or is about to.
            return Verdict::Stay;
        }
        let suspected = match stalled.stalling {
            // Who speaks IKEv2 here repeats what a proxy waits for, however long the line was down.
            Stalling::Silent | Stalling::Unanswered => return Verdict::Stay,
            Stalling::Suspected => None,
            Stalling::Certain => self.suspected.take(),
        };
        let Some(suspected) = suspected else {
            node.counters.stalls_suspected += 1;
            node.tell(&self.peer, What::StallSuspected(stalled.flow.id));
            tracing::debug!(flow = %stalled.flow.id, "nothing of the client's comes by its connection; asking whether it lives");
            self.suspected = Some(now);
            self.probe(now, node);
            return Verdict::Stay;
        };
        if self.heard() >= suspected {
            tracing::debug!(flow = %stalled.flow.id, "the client was heard after all");
            node.tell(&self.peer, What::StallRefuted(stalled.flow.id));
            return Verdict::Stay;
        }
        node.counters.stalls_ended += 1;
        warn_of_stall(now, node, &self.peer, &stalled.flow);
        Verdict::Gone(Cause::Stalled, None)
    }

    /// Asks whether the peer lives, however lately it was heard. A request that is under way asks as well.
    pub(crate) fn probe(&mut self, now: Instant, node: &mut Node) {
        let Ok(bytes) = self.ike.ask(now, node, Purpose::Liveness, &[]) else { return };
        self.peer.send(now, node, bytes);
    }
}
