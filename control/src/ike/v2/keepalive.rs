//! NAT keepalives of a session by IKEv2.

use super::established::{Established, Service};
use crate::ike::service::{Node, Tunnel, keepalive_due, keepalive_if_quiet};
use adit_dataplane::time::Instant;

/// When one is due.
pub(super) fn due(node: &Node, session: &Established) -> Option<Instant> {
    keepalive_due(node, &session.peer, tunnel(&session.service))
}

/// Sends one if it is time.
pub(super) fn send_if_quiet(now: Instant, node: &mut Node, session: &mut Established) {
    keepalive_if_quiet(now, node, &mut session.peer, tunnel(&session.service));
}

fn tunnel(service: &Service) -> Option<&Tunnel> {
    match service {
        Service::Tunnel(tunnel) => Some(tunnel),
        Service::Childless { .. } => None,
    }
}
