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
//!
//! A client may be heard and get nothing: a proxy takes what we send, and keeps it or cuts it into what the client cannot read. So
//! who is sent to and sends no ESP itself has to answer just what it is asked. It is asked four times, because a proxy that cuts may let
//! some through.

use super::dpd;
use super::established::{Established, Service, Verdict};
use super::wire::{NotifyKind, Vendor};
use crate::ike::service::{Node, warn_of_stall};
use crate::journal::What;
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, Finding, FlowReport, IkeFraming, PathClass, StalledFlow, Stalling, Transport};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// That a connection brings nothing.
pub(super) struct Suspicion {
    since: Instant,
    /// The whole of it.
    after: Duration,
    /// What ends it.
    refuted: Refuted,
    /// How often the client was asked,
    asked: u32,
    /// and with what, if it can be.
    number: Option<u32>,
    /// What the worker said last.
    flow: FlowReport,
}

/// What says that it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuted {
    /// Whatever comes from the client.
    ByAnything,
    /// What shows that the client gets what we send: its answer, or its ESP.
    ByAnswer,
}

impl Suspicion {
    /// How often the client is asked at most.
    fn questions(&self) -> u32 {
        match self.refuted {
            Refuted::ByAnything => 2,
            Refuted::ByAnswer => 4,
        }
    }

    /// When the client is asked again, or has not answered.
    fn due(&self) -> Instant {
        self.since + self.after / 2 * self.asked / self.questions()
    }
}

impl Established {
    /// The connection of its ESP has stalled, as far as a worker can tell.
    pub(crate) fn stalling(&mut self, now: Instant, node: &mut Node, stalled: &StalledFlow) -> Verdict {
        let Service::Tunnel(tunnel) = &self.service else { return Verdict::Stay };
        let is_its = (tunnel.key, tunnel.path) == (stalled.tunnel, EspPath::new(Transport::Ctcp, stalled.flow.path));
        if !is_its || self.peer.closed.takes(IkeFraming::Ctcp) {
            // It goes another way by now, or is about to.
            return Verdict::Stay;
        }
        let mut flow = stalled.flow;
        match stalled.stalling {
            // It repeats what a proxy waits for, however long the line was down.
            Stalling::Silent | Stalling::Unanswered if self.sa.client.is(Vendor::Repeats) => return Verdict::Stay,
            Stalling::Silent | Stalling::Unanswered => {
                // Whose SYN has options and who repeats nothing has a proxy before it.
                flow.diagnosis.path = PathClass::Splitter;
                flow.diagnosis.finding = Finding::Stalled;
            }
            Stalling::Suspected | Stalling::Certain => {}
        }
        self.forget_suspicion(node);
        match (&mut self.suspicion, stalled.stalling) {
            (Some(suspicion), Stalling::Certain) => {
                suspicion.flow = flow;
                self.end_stalled(now, node)
            }
            (Some(suspicion), Stalling::Silent | Stalling::Unanswered | Stalling::Suspected) => {
                suspicion.flow = flow;
                Verdict::Stay
            }
            (None, Stalling::Silent | Stalling::Suspected | Stalling::Certain) => {
                tracing::debug!(flow = %flow.id, "nothing of the client's comes by its connection; asking whether it lives");
                self.suspect(now, node, flow, Refuted::ByAnything);
                Verdict::Stay
            }
            (None, Stalling::Unanswered) => {
                tracing::debug!(flow = %flow.id, "the client is sent to and says nothing; asking whether anything arrives");
                self.suspect(now, node, flow, Refuted::ByAnswer);
                Verdict::Stay
            }
        }
    }

    fn suspect(&mut self, now: Instant, node: &mut Node, flow: FlowReport, refuted: Refuted) {
        node.counters.stalls_suspected += 1;
        node.tell(&self.peer, What::StallSuspected(flow.id));
        self.probe(now, node);
        let (after, number) = (node.config.ctcp.stall_after.unwrap_or(Duration::MAX), self.dpd.asking());
        self.suspicion = Some(Box::new(Suspicion { since: now, after, refuted, asked: 1, number, flow }));
    }

    /// The client has answered a question with this number.
    pub(super) fn answers_suspicion(&mut self, node: &mut Node, number: u32) {
        if let Some(suspicion) = self.suspicion.take_if(|suspicion| suspicion.number == Some(number)) {
            node.tell(&self.peer, What::StallRefuted(suspicion.flow.id));
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
        self.forget_suspicion(node);
        let Some(suspicion) = &mut self.suspicion else { return Verdict::Stay };
        if suspicion.asked >= suspicion.questions() {
            return self.end_stalled(now, node);
        }
        suspicion.asked += 1;
        if let Some(number) = suspicion.number {
            let question = dpd::payload(NotifyKind::RUThere, self.sa.cookies(), number);
            self.inform(now, node, question);
        }
        Verdict::Stay
    }

    /// Who was heard since, in the way that matters.
    fn forget_suspicion(&mut self, node: &mut Node) {
        let (heard, used) = (self.heard(), self.used());
        let refutes = |suspicion: &Suspicion| match suspicion.refuted {
            Refuted::ByAnything => heard,
            Refuted::ByAnswer => used,
        };
        if let Some(suspicion) = self.suspicion.take_if(|suspicion| refutes(suspicion) >= suspicion.since) {
            tracing::debug!(flow = %suspicion.flow.id, "the client was heard after all");
            node.tell(&self.peer, What::StallRefuted(suspicion.flow.id));
        }
    }

    fn end_stalled(&mut self, now: Instant, node: &mut Node) -> Verdict {
        let Some(mut suspicion) = self.suspicion.take() else { return Verdict::Stay };
        let cause = match self.heard() >= suspicion.since {
            // It says that it is there, and not what it was asked.
            true => {
                suspicion.flow.diagnosis.finding = Finding::Cut;
                Cause::Unheard
            }
            false => Cause::Stalled,
        };
        node.counters.stalls_ended += 1;
        warn_of_stall(now, node, &self.peer, &suspicion.flow);
        self.close(node, cause)
    }
}
