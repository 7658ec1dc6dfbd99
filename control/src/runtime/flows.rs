//! Questions about cTCP connections on their way through the IKE thread: to all workers and back.

use super::clock;
use super::ike_thread::IkeThread;
use super::outbox::WorkerGone;
use crate::ctcp::{ClearView, FlowView, Surveyed, Which};
use adit_dataplane::contract::{Command, FlowPage, FlowReport, WorkerId};
use tokio::sync::oneshot;

/// Who waits for a survey of all connections, and what for.
#[derive(Debug)]
pub(super) enum FlowQuestion {
    Show(oneshot::Sender<Vec<FlowView>>),
    Clear(Which, oneshot::Sender<ClearView>),
}

impl IkeThread {
    /// Somebody asks for connections, or wants some to end.
    pub(super) fn ask_for_flows(&mut self, question: FlowQuestion) -> Result<(), WorkerGone> {
        let commands = self.survey.ask(question);
        self.send_all(commands)
    }

    /// A page of a worker's has come.
    pub(super) fn take_flows(&mut self, worker: WorkerId, page: FlowPage) -> Result<(), WorkerGone> {
        let (more, done) = self.survey.page(worker, page);
        self.send_all(more)?;
        let Some(Surveyed { flows, asked_by }) = done else { return Ok(()) };
        for question in asked_by {
            // Who asked may have gone in the meantime.
            match question {
                FlowQuestion::Show(answer) => drop(answer.send(self.flow_views(&flows))),
                FlowQuestion::Clear(which, answer) => {
                    let meant: Vec<_> = flows.iter().filter(|flow| which.means(flow)).collect();
                    let clear = |flow: &&FlowReport| {
                        let (path, number) = (flow.path, flow.id.number);
                        (flow.id.worker, Command::ClearConnection { path, number })
                    };
                    self.send_all(meant.iter().map(clear).collect())?;
                    if !meant.is_empty() {
                        tracing::info!(connections = meant.len(), "cTCP connections are ended as the operator wants");
                    }
                    let _gone = answer.send(ClearView { cleared: meant.len() });
                }
            }
        }
        Ok(())
    }

    fn flow_views(&self, flows: &[FlowReport]) -> Vec<FlowView> {
        let view = |flow: &FlowReport| {
            let session = flow.tunnel.and_then(|tunnel| self.engine.owner_of(tunnel));
            FlowView::new(flow, session)
        };
        flows.iter().map(view).collect()
    }

    fn send_all(&mut self, commands: Vec<(WorkerId, Command)>) -> Result<(), WorkerGone> {
        let now = clock::now();
        for (worker, command) in commands {
            self.outbox.send(now, &self.dataplane.workers, worker, command)?;
        }
        Ok(())
    }
}
