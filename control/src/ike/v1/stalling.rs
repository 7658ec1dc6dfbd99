//! What a session does when its cTCP connection brings nothing of what its client sends: nobody but the client could send it
//! again, and a Cisco client does not. It would notice by itself after minutes, so it is told, and comes back.
//!
//! What the worker reports rests on numbers in TCP headers alone. So the client is asked inside IKE as soon as there is a
//! suspicion (RFC 3706), and whatever authentic comes after that, by any way, is an answer: nothing that somebody has made up
//! about its connection ends a session whose client can be heard.
//!
//! ```text
//! suspicion ── asked ── a quarter of stall_after ── asked again ── another quarter ──▶ it ends
//!          └── the worker is certain, and nothing was heard ────────────────────────▶ it ends
//! ```

use super::dpd;
use super::established::{Established, Service, Verdict};
use super::wire::{NotifyKind, Vendor};
use crate::ike::service::{Node, warn_of_stall};
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, Finding, FlowReport, PathClass, StalledFlow, Stalling, Transport};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// That a connection brings nothing.
pub(super) struct Suspicion {
    since: Instant,
    /// The whole of it.
    after: Duration,
    asked: Asked,
    /// What the worker said last.
    flow: FlowReport,
}

/// How often the client was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Once,
    Twice,
}

impl Suspicion {
    /// When the client is asked again, or has not answered.
    fn due(&self) -> Instant {
        let parts = match self.asked {
            Asked::Once => 4,
            Asked::Twice => 2,
        };
        self.since + self.after / parts
    }
}

impl Established {
    /// The connection of its ESP has stalled, as far as a worker can tell.
    pub(crate) fn stalling(&mut self, now: Instant, node: &mut Node, stalled: &StalledFlow) -> Verdict {
        let Service::Tunnel(tunnel) = &self.service else { return Verdict::Stay };
        if (tunnel.key, tunnel.path) != (stalled.tunnel, EspPath::new(Transport::Ctcp, stalled.flow.path)) {
            // It goes another way by now.
            return Verdict::Stay;
        }
        let mut flow = stalled.flow;
        match stalled.stalling {
            // It repeats what a proxy waits for, however long the line was down.
            Stalling::Silent if self.sa.client.is(Vendor::Repeats) => return Verdict::Stay,
            Stalling::Silent => {
                // Whose SYN has options and who repeats nothing has a proxy before it.
                flow.diagnosis.path = PathClass::Splitter;
                flow.diagnosis.finding = Finding::Stalled;
            }
            Stalling::Suspected | Stalling::Certain => {}
        }
        self.forget_suspicion();
        match (&mut self.suspicion, stalled.stalling) {
            (Some(suspicion), Stalling::Certain) => {
                suspicion.flow = flow;
                self.end_stalled(now, node)
            }
            (Some(suspicion), Stalling::Silent | Stalling::Suspected) => {
                suspicion.flow = flow;
                Verdict::Stay
            }
            (None, Stalling::Silent | Stalling::Suspected | Stalling::Certain) => {
                node.counters.stalls_suspected += 1;
                tracing::debug!(flow = %flow.id, "nothing of the client's comes by its connection; asking whether it lives");
                let after = node.config.ctcp.stall_after.unwrap_or(Duration::MAX);
                self.suspicion = Some(Box::new(Suspicion { since: now, after, asked: Asked::Once, flow }));
                self.probe(now, node);
                Verdict::Stay
            }
        }
    }

    /// When [`Established::look_for_answer`] has something to do. Who cannot be asked is believed to be there until the worker is certain.
    pub(super) fn suspicion_due(&self) -> Option<Instant> {
        let suspicion = self.suspicion.as_ref().filter(|_| self.sa.client.is(Vendor::Dpd))?;
        Some(suspicion.due())
    }

    /// The client has been asked, and its time to answer has come.
    pub(super) fn look_for_answer(&mut self, now: Instant, node: &mut Node) -> Verdict {
        if self.suspicion_due().is_none_or(|due| due > now) {
            return Verdict::Stay;
        }
        self.forget_suspicion();
        match self.suspicion.as_mut().map(|suspicion| std::mem::replace(&mut suspicion.asked, Asked::Twice)) {
            None => Verdict::Stay,
            Some(Asked::Once) => {
                if let Some(number) = self.dpd.asking() {
                    let question = dpd::payload(NotifyKind::RUThere, self.sa.cookies(), number);
                    self.inform(now, node, question);
                }
                Verdict::Stay
            }
            Some(Asked::Twice) => self.end_stalled(now, node),
        }
    }

    /// Whoever was heard since is there.
    fn forget_suspicion(&mut self) {
        let heard = self.heard();
        if let Some(suspicion) = self.suspicion.take_if(|suspicion| heard >= suspicion.since) {
            tracing::debug!(flow = %suspicion.flow.id, "the client was heard after all");
        }
    }

    fn end_stalled(&mut self, now: Instant, node: &mut Node) -> Verdict {
        let Some(suspicion) = self.suspicion.take() else { return Verdict::Stay };
        node.counters.stalls_ended += 1;
        warn_of_stall(now, node, &self.peer.identity, &suspicion.flow);
        self.close(node, Cause::Stalled)
    }
}
