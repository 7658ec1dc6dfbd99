//! Questions about flows inside tunnels on their way through the IKE thread: to the workers and back.

use super::clock;
use super::ike_thread::IkeThread;
use super::outbox::WorkerGone;
use crate::config::checked::FlowTable;
use crate::flows::{FlowCursor, InnerFlowsView, NoFlows, Walk, Walked, Wanted};
use adit_dataplane::contract::{Command, InnerFlowPage, WorkerId};
use tokio::sync::oneshot;

/// Who waits for flows.
pub(super) type Answer = oneshot::Sender<Result<InnerFlowsView, NoFlows>>;

impl IkeThread {
    /// Somebody asks for flows.
    pub(super) fn ask_for_inner_flows(&mut self, wanted: &Wanted, answer: Answer) -> Result<(), WorkerGone> {
        let refusal = match (self.flows.table, wanted.session.map(|session| self.engine.tunnel_of(session))) {
            (FlowTable::Off, _) => NoFlows::Off,
            (FlowTable::On, Some(None)) => NoFlows::NoSuchSession,
            (FlowTable::On, tunnel) => {
                let from = wanted.after.unwrap_or(FlowCursor::START);
                let limit = wanted.limit.clamp(1, Wanted::MOST);
                match self.walks.ask(Walk { only: tunnel.flatten(), from, limit, asked_by: answer }) {
                    Ok(command) => return self.send_page(command),
                    Err(answer) => {
                        let _gone = answer.send(Err(NoFlows::Busy));
                        return Ok(());
                    }
                }
            }
        };
        let _gone = answer.send(Err(refusal));
        Ok(())
    }

    /// A page of a worker's has come.
    pub(super) fn take_inner_flows(&mut self, page: InnerFlowPage) -> Result<(), WorkerGone> {
        let (more, walked) = self.walks.page(page, |answer| !answer.is_closed());
        self.send_page(more)?;
        let Some(walked) = walked else { return Ok(()) };
        let view = InnerFlowsView::new(&walked, self.flows.sample, |tunnel| self.engine.owner_of(tunnel));
        let Walked { asked_by, .. } = walked;
        let _gone = asked_by.send(Ok(view));
        Ok(())
    }

    /// A cursor may name a worker that there is not: then there is nothing more.
    fn send_page(&mut self, command: Option<(WorkerId, Command)>) -> Result<(), WorkerGone> {
        match command {
            Some((worker, command)) if worker.index() < self.dataplane.workers.len() => {
                self.outbox.send(clock::now(), &self.dataplane.workers, worker, command)
            }
            Some((_nobody, Command::TellInnerFlows(page))) => self.take_inner_flows(*page),
            Some(_) | None => Ok(()),
        }
    }
}
