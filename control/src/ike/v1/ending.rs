//! How a session ends.

use super::established::{Established, Former, Service, Verdict};
use super::grant::lease_identity;
use crate::ike::service::{Connections, Farewell, LeaseFate, Node, Traffic};
use crate::session::Cause;
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
        node.tell_no_service(now, &self.peer, cause);
        if let Some(unsaid) = node.log_budget.take(now) {
            tracing::warn!(cause = cause.name(), identity = %self.peer.identity, group = %self.group,
                peer = %self.peer.path.peer, unsaid, "login refused: {}", cause.sentence());
        }
        self.close(node, cause)
    }

    /// The dataplane lets go of it, and the books are closed.
    pub(crate) fn stop_service(&mut self, now: Instant, node: &mut Node, cause: Cause) -> Traffic {
        self.drop_exchanges(node);
        if let Some(again) = self.called.as_mut().and_then(|called| called.again.take()) {
            node.forget_ike_spi(again.spi());
        }
        let fate = LeaseFate::after(cause, now, &node.config, || lease_identity(self));
        let traffic = match std::mem::replace(&mut self.service, Service::Nothing { since: now }) {
            Service::Tunnel(tunnel) => {
                Connections::of(&self.peer, &tunnel).end(node, cause);
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
