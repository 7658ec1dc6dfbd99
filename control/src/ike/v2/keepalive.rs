//! NAT keepalives (RFC 3948 section 4): when we are behind a NAT and have sent nothing for a while, one octet keeps
//! its mapping alive.

use super::established::{Established, Service};
use crate::ike::service::{Behind, Node};
use adit_dataplane::contract::{Command, IkeFraming, Keepalive, KeepaliveForm};
use adit_dataplane::time::Instant;

/// When nothing has been sent for long enough.
pub(super) fn due(node: &Node, session: &Established) -> Option<Instant> {
    let interval = node.config.ike.natt_keepalive;
    let sent = match &session.service {
        Service::Tunnel(tunnel) => session.peer.sent.max(tunnel.last_sent()),
        Service::Childless { .. } => session.peer.sent,
    };
    match (session.peer.nat.us, session.peer.framing) {
        (Behind::Nat, IkeFraming::NonEspMarker) if !interval.is_zero() => Some(sent + interval),
        (Behind::Nat | Behind::Nothing, IkeFraming::Bare | IkeFraming::NonEspMarker | IkeFraming::Ctcp) => None,
    }
}

/// Sends one if it is time.
pub(super) fn send_if_quiet(now: Instant, node: &mut Node, session: &mut Established) {
    if due(node, session).is_none_or(|due| due > now) {
        return;
    }
    session.peer.sent = now;
    let keepalive = Keepalive { path: session.peer.path, form: KeepaliveForm::NatT };
    node.installer.command(session.peer.worker, Command::SendKeepalive(keepalive));
}
