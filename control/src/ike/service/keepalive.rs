//! NAT keepalives (RFC 3948 section 4): when we are behind a NAT and have sent nothing for a while, one octet keeps
//! its mapping alive.

use super::{Behind, Node, Peer, Tunnel};
use adit_dataplane::contract::{Command, IkeFraming, Keepalive, KeepaliveForm};
use adit_dataplane::time::Instant;

/// When nothing has been sent for long enough.
pub(crate) fn due(node: &Node, peer: &Peer, tunnel: Option<&Tunnel>) -> Option<Instant> {
    let interval = node.config.ike.natt_keepalive;
    let sent = tunnel.map_or(peer.sent, |tunnel| peer.sent.max(tunnel.last_sent()));
    match (peer.nat.us, peer.framing) {
        (Behind::Nat, IkeFraming::NonEspMarker) if !interval.is_zero() => Some(sent + interval),
        (Behind::Nat | Behind::Nothing, IkeFraming::Bare | IkeFraming::NonEspMarker) => None,
    }
}

/// Sends one if it is time.
pub(crate) fn send_if_quiet(now: Instant, node: &mut Node, peer: &mut Peer, tunnel: Option<&Tunnel>) {
    if due(node, peer, tunnel).is_none_or(|due| due > now) {
        return;
    }
    peer.sent = now;
    let keepalive = Keepalive { path: peer.path, form: KeepaliveForm::NatT };
    node.installer.command(peer.worker, Command::SendKeepalive(keepalive));
}
