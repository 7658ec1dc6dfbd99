//! What a session does when its cTCP connection brings nothing of what its client sends: nobody but the client could send it
//! again, and a Cisco client does not. It would notice by itself after minutes, so it is told, and comes back.
//!
//! What the worker reports rests on numbers in TCP headers alone. So the client is asked inside IKE as soon as there is a
//! suspicion (RFC 3706), and whatever authentic comes after that, by any way, is an answer: nothing that somebody has made up
//! about its connection ends a session whose client can be heard.

use super::established::{Established, Service, Verdict};
use crate::ctcp::remedy;
use crate::ike::service::Node;
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, FlowReport, StalledFlow, Stalling, Transport};
use adit_dataplane::time::Instant;

impl Established {
    /// The connection of its ESP has stalled, as far as a worker can tell.
    pub(crate) fn stalling(&mut self, now: Instant, node: &mut Node, stalled: &StalledFlow) -> Verdict {
        let Service::Tunnel(tunnel) = &self.service else { return Verdict::Stay };
        if (tunnel.key, tunnel.path) != (stalled.tunnel, EspPath::new(Transport::Ctcp, stalled.flow.path)) {
            // It goes another way by now.
            return Verdict::Stay;
        }
        let suspected = match stalled.stalling {
            Stalling::Suspected => None,
            Stalling::Certain => self.suspected.take(),
        };
        let Some(suspected) = suspected else {
            node.counters.stalls_suspected += 1;
            tracing::debug!(flow = %stalled.flow.id, "nothing of the client's comes by its connection; asking whether it lives");
            self.suspected = Some(now);
            self.probe(now, node);
            return Verdict::Stay;
        };
        if self.heard() >= suspected {
            tracing::debug!(flow = %stalled.flow.id, "the client was heard after all");
            return Verdict::Stay;
        }
        node.counters.stalls_ended += 1;
        self.warn_of(now, node, &stalled.flow);
        self.close(node, Cause::Stalled)
    }

    /// What the operator is told, with what to do about it.
    fn warn_of(&self, now: Instant, node: &mut Node, flow: &FlowReport) {
        let Some(unsaid) = node.log_budget.take(now) else { return };
        let (told, stall) = (&flow.diagnosis, flow.evidence.stall);
        let remedy = remedy(told, flow.path.local);
        tracing::warn!(reason = remedy.reason, flow = %flow.id, identity = %self.peer.identity, peer = %flow.path.peer,
            local = %flow.path.local, client = told.peer.name(), path = told.path.name(), sure = told.path_sure.0,
            stalled_seconds = stall.map(|stall| stall.since.as_secs()), missing_octets = stall.map(|stall| stall.missing),
            unsaid, "cTCP connection stalled: {}", remedy.sentence);
        for line in remedy.lines() {
            tracing::warn!(reason = remedy.reason, "remedy: {line}");
        }
    }
}
