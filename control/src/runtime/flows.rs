//! Questions about connections by cTCP and in real TCP on their way through the IKE thread: to all workers and back.

use super::clock;
use super::ike_thread::IkeThread;
use super::outbox::WorkerGone;
use crate::api::ask::{CannotMove, MoveOrder};
use crate::ctcp::{ClearView, ConnectionQuery, ListedConnections, MoveView, Surveyed, Which};
use crate::ike::engine::CannotClose;
use crate::session::SessionId;
use adit_dataplane::contract::{Command, FlowId, FlowPage, Path, Transport, TunnelKey, WorkerId};
use tokio::sync::oneshot;

/// Who waits for a survey of all connections, and what for.
#[derive(Debug)]
pub(super) enum FlowQuestion {
    Show(ConnectionQuery, oneshot::Sender<ListedConnections>),
    Clear(Which, oneshot::Sender<ClearView>),
    Move(MoveOrder, oneshot::Sender<Result<MoveView, CannotMove>>),
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
        let Some(Surveyed { flows, streams, asked_by }) = done else { return Ok(()) };
        let names = || {
            let flows = flows.iter().map(|flow| (flow.id, flow.path));
            flows.chain(streams.iter().map(|stream| (stream.id, stream.path)))
        };
        for question in asked_by {
            // Who asked may have gone in the meantime.
            match question {
                FlowQuestion::Show(query, answer) => {
                    drop(answer.send(query.page(&flows, &streams, |tunnel| self.engine.owner_of(tunnel))));
                }
                FlowQuestion::Move(order, answer) => {
                    let of_flows = flows.iter().map(|flow| (Transport::Ctcp, flow.id, flow.path, flow.tunnel));
                    let of_streams =
                        streams.iter().map(|stream| (Transport::Tcp, stream.id, stream.path, stream.tunnel));
                    let meant = of_flows.chain(of_streams).find(|(_, id, ..)| *id == order.connection);
                    let moved = match meant {
                        None => Err(CannotMove::NoSuchConnection),
                        Some((transport, id, path, tunnel)) => {
                            let moved = self.close_transport(&order, transport, tunnel);
                            if moved.is_ok() {
                                self.send_all(vec![(id.worker, Command::ClearConnection { path, number: id.number })])?;
                            }
                            moved
                        }
                    };
                    let _gone = answer.send(moved);
                }
                FlowQuestion::Clear(which, answer) => {
                    let meant: Vec<_> = names().filter(|(id, _)| which.means(*id)).collect();
                    let clear = |(id, path): &(FlowId, Path)| {
                        (id.worker, Command::ClearConnection { path: *path, number: id.number })
                    };
                    self.send_all(meant.iter().map(clear).collect())?;
                    if !meant.is_empty() {
                        tracing::info!(connections = meant.len(), "TCP connections are ended as the operator wants");
                    }
                    let _gone = answer.send(ClearView { cleared: meant.len() });
                }
            }
        }
        Ok(())
    }

    /// Before its connection is reset, so that nothing of the session's comes back to another one.
    fn close_transport(
        &mut self,
        order: &MoveOrder,
        transport: Transport,
        tunnel: Option<TunnelKey>,
    ) -> Result<MoveView, CannotMove> {
        let (session, _) = self.owner(tunnel).ok_or(CannotMove::NotUp)?;
        let left = self.engine.close_transport(clock::now(), session, transport, order.time, &order.by);
        let left = left.map_err(|why| match why {
            CannotClose::NotUp => CannotMove::NotUp,
            CannotClose::NoOther => CannotMove::NoOther(session),
            CannotClose::WeHaveCalled => CannotMove::WeHaveCalled(session),
        })?;
        let left = left.iter().map(|transport| transport.to_string()).collect();
        let (session, closed) = (session.to_string(), transport.to_string());
        Ok(MoveView { session, closed, seconds: order.time.as_secs(), left })
    }

    fn owner(&self, tunnel: Option<TunnelKey>) -> Option<(SessionId, String)> {
        tunnel.and_then(|tunnel| self.engine.owner_of(tunnel))
    }

    fn send_all(&mut self, commands: Vec<(WorkerId, Command)>) -> Result<(), WorkerGone> {
        let now = clock::now();
        for (worker, command) in commands {
            self.outbox.send(now, &self.dataplane.workers, worker, command)?;
        }
        Ok(())
    }
}
