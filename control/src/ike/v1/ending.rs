//! How a session ends.

use super::established::{Established, Former, Service, Verdict};
use super::grant::lease_identity;
use crate::ike::service::{Farewell, LeaseFate, Node, Traffic, Tunnel};
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, IkeFraming, Transport};
use adit_dataplane::time::Instant;

impl Established {
    /// Ends it: the peer is told, once; who asks again is told again for a while.
    pub(crate) fn close(&mut self, node: &mut Node, cause: Cause) -> Verdict {
        let bytes = self.sa.goodbye(node);
        node.send_ike(self.peer.worker, self.peer.path, self.peer.framing, bytes.clone());
        Verdict::Gone(cause, Some(Farewell::to_anything(self.sa.spi(), bytes)))
    }

    /// It has proven everything and may not in all the same.
    pub(crate) fn refuse(&mut self, now: Instant, node: &mut Node, cause: Cause) -> Verdict {
        node.counters.refusals += 1;
        if let Some(unsaid) = node.log_budget.take(now) {
            tracing::warn!(cause = cause.name(), identity = %self.peer.identity, group = %self.group,
                peer = %self.peer.path.peer, unsaid, "login refused: {}", cause.sentence());
        }
        self.close(node, cause)
    }

    /// What is left of its cTCP connections would wait for packets that will not come. Where another session has come instead,
    /// it may be on the same connection, and who is gone hears nothing.
    fn end_connections(&self, node: &mut Node, tunnel: &Tunnel, cause: Cause) {
        if matches!(cause, Cause::InitialContact | Cause::TakenOver) {
            return;
        }
        node.end_connection(tunnel.key, tunnel.path);
        let ike = EspPath::new(Transport::Ctcp, self.peer.path);
        if self.peer.framing == IkeFraming::Ctcp && ike != tunnel.path {
            node.end_connection(tunnel.key, ike);
        }
    }

    /// The dataplane lets go of it, and the books are closed.
    pub(crate) fn stop_service(&mut self, now: Instant, node: &mut Node, cause: Cause) -> Traffic {
        self.drop_exchanges(node);
        if let Some(again) = self.called.as_mut().and_then(|called| called.again.take()) {
            node.forget_ike_spi(again.spi());
        }
        let fate = match cause {
            Cause::Stalled => {
                LeaseFate::Held { known_by: lease_identity(self), until: now + node.config.ctcp.hold_lease }
            }
            _goes => LeaseFate::GivenBack,
        };
        let traffic = match std::mem::replace(&mut self.service, Service::Nothing { since: now }) {
            Service::Tunnel(tunnel) => {
                self.end_connections(node, &tunnel, cause);
                tunnel.take_down(node, fate)
            }
            Service::Nothing { .. } => Traffic::default(),
        };
        self.books.close(now, node, traffic, cause);
        node.forget_ike_spi(self.sa.spi());
        for Former { sa, .. } in self.former.drain(..) {
            node.forget_ike_spi(sa.spi());
        }
        traffic
    }
}
