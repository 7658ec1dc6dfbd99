//! What control is told of connections, and how it ends them.

use super::Carrier;
use crate::carrier::ctcp::Outlet;
use crate::carrier::ctcp::cookie::SynOptions;
use crate::carrier::ctcp::diagnosis::diagnose;
use crate::carrier::ctcp::flow::Flow;
use crate::carrier::ctcp::slot::{Slot, Talk};
use crate::carrier::ctcp::stall::Stalling;
use crate::contract::{
    Evidence, FlowId, FlowPage, FlowReport, Path, Stall, StreamEvidence, StreamReport, StreamState, TunnelKey, WorkerId,
};
use crate::time::Instant;
use std::time::Duration;

/// Between our last words and the reset.
const MOMENT: Duration = Duration::from_millis(500);
/// Places that are looked at for one page: a table with many gaps must not hold the packets up.
const PLACES: usize = 4096;

impl Carrier {
    /// Fills a page with connections, from where it says that it begins.
    pub fn tell(&self, now: Instant, page: &mut FlowPage) {
        let first = page.from as usize;
        for (place, slot) in self.slots.iter().enumerate().skip(first) {
            if page.is_full() || place - first >= PLACES {
                page.next = u32::try_from(place).ok();
                return;
            }
            let Some(slot) = slot else { continue };
            match &slot.talk {
                Talk::Ctcp(flow) => page.flows.push(slot.report(now, self.worker, flow)),
                Talk::Begins(begins) => {
                    let (state, evidence) = (StreamState::Begins, begins.evidence());
                    page.streams.push(slot.report_stream(now, self.worker, state, evidence));
                }
                Talk::Stream(stream) => {
                    let (state, evidence) = (stream.state(), stream.evidence());
                    page.streams.push(slot.report_stream(now, self.worker, state, evidence));
                }
            }
        }
        page.next = None;
    }

    /// The connection ends if this tunnel's session was the last that vouched for it; its peer is told. Real TCP that hears of a reset may
    /// throw away what it has not yet handed on, and our last words with it: it has a moment for that.
    pub fn end_of(&mut self, now: Instant, path: &Path, tunnel: TunnelKey, outlet: &mut impl Outlet) {
        let Some(index) = self.at(path) else { return };
        let Some(slot) = self.slot(index).filter(|slot| slot.tunnel == Some(tunnel)) else { return };
        match &mut slot.talk {
            // No session has it.
            Talk::Begins(_) => return,
            Talk::Stream(stream) => stream.leave(now),
            Talk::Ctcp(flow) => match flow.syn_options() {
                SynOptions::None => return self.end(now, path, outlet),
                SynOptions::Some => slot.ends_at = Some(now + MOMENT),
            },
        }
        self.touch(index);
    }

    /// The connection with this number ends; its peer is told, and whoever vouched for it is not asked.
    pub fn clear(&mut self, now: Instant, path: &Path, number: u64, outlet: &mut impl Outlet) {
        let index = self.at(path);
        if index.and_then(|index| self.slot(index)).is_some_and(|slot| slot.number == number) {
            self.end(now, path, outlet);
        }
    }

    /// Stalls that control has not been told of.
    pub fn stalls(&mut self) -> impl Iterator<Item = (Stalling, FlowReport)> {
        self.stalls.drain(..)
    }
}

impl Slot {
    /// Notes what control is to be told of a stall that has to last `after`, and when there will be more to tell. Only a
    /// session's connection has anything to lose by one.
    #[inline]
    pub(super) fn look_for_stall(
        &mut self,
        now: Instant,
        after: Duration,
        worker: WorkerId,
        stalls: &mut Vec<(Stalling, FlowReport)>,
    ) -> Option<Instant> {
        self.tunnel?;
        let Talk::Ctcp(flow) = &self.talk else { return None };
        let stalling = flow.stalling(now, after);
        // One that is over may begin again.
        if stalling != self.told {
            self.told = stalling;
            stalls.extend(stalling.map(|stalling| (stalling, self.report(now, worker, flow).if_stalled())));
        }
        flow.stalling_due(self.told, after)
    }

    fn report_stream(
        &self,
        now: Instant,
        worker: WorkerId,
        state: StreamState,
        evidence: StreamEvidence,
    ) -> StreamReport {
        StreamReport {
            id: FlowId { worker, number: self.number },
            path: self.path,
            tunnel: self.tunnel,
            state,
            age: now.since(self.since),
            silent: now.since(self.heard_at()),
            evidence,
        }
    }

    fn report(&self, now: Instant, worker: WorkerId, flow: &Flow) -> FlowReport {
        let evidence = flow.evidence(now);
        FlowReport {
            id: FlowId { worker, number: self.number },
            path: self.path,
            tunnel: self.tunnel,
            stalling: self.told,
            age: now.since(self.since),
            silent: now.since(flow.heard_at()),
            evidence,
            diagnosis: diagnose(&evidence),
        }
    }
}

impl FlowReport {
    /// What would follow if the suspicion is right: who asks the peer hears whether it is.
    fn if_stalled(mut self) -> Self {
        if let Some(stall) = self.evidence.stall {
            let evidence =
                Evidence { stall: Some(Stall { advances: stall.advances.max(1), ..stall }), ..self.evidence };
            self.diagnosis = diagnose(&evidence);
        }
        self
    }
}
