//! Liveness checks (RFC 7296 section 2.4): an empty INFORMATIONAL request when nothing authenticated came for a
//! while, IKE or ESP. An answer proves life, silence to all retransmissions proves death.

use super::established::Established;
use super::purpose::Purpose;
use crate::ike::service::Node;
use adit_dataplane::time::Instant;

/// When the peer has been quiet for long enough. Never while a request is under way: that one will tell.
pub(super) fn due(node: &Node, session: &Established) -> Option<Instant> {
    let delay = node.config.ike.dpd_delay;
    let may_ask = !delay.is_zero() && session.ike.ids.next_request().is_ok();
    may_ask.then(|| session.heard() + delay)
}

/// Asks if it is time.
pub(super) fn ask_if_quiet(now: Instant, node: &mut Node, session: &mut Established) {
    if due(node, session).is_none_or(|due| due > now) {
        return;
    }
    let Ok(bytes) = session.ike.ask(now, node, Purpose::Liveness, &[]) else { return };
    tracing::debug!("asking whether the peer lives");
    session.peer.sent = now;
    node.send_ike(session.peer.worker, session.peer.path, session.peer.framing, bytes);
}
