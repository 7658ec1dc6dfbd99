//! NAT keepalives (RFC 3948 section 4): when we are behind a NAT and have sent nothing for a while, one octet keeps
//! its mapping alive.

use super::{Behind, Node, Peer, Tunnel};
use adit_dataplane::contract::{Command, IkeFraming, Keepalive, KeepaliveForm, Transport};
use adit_dataplane::time::Instant;

/// When nothing has been sent for long enough.
pub(crate) fn due(node: &Node, peer: &Peer, tunnel: Option<&Tunnel>) -> Option<Instant> {
    let interval = node.config.ike.natt_keepalive;
    let sent = tunnel.map_or(peer.sent, |tunnel| peer.sent.max(tunnel.last_sent()));
    let kept = peer.nat.us == Behind::Nat && form(peer, tunnel).is_some();
    (kept && !interval.is_zero()).then(|| sent + interval)
}

/// What it looks like where IKE goes, if its mapping carries anything but IKE.
fn form(peer: &Peer, tunnel: Option<&Tunnel>) -> Option<KeepaliveForm> {
    match (peer.framing, tunnel.map(|tunnel| tunnel.path.transport())) {
        (IkeFraming::NonEspMarker, _) => Some(KeepaliveForm::NatT),
        (IkeFraming::Bare, Some(Transport::NatT500)) => Some(KeepaliveForm::NatT500),
        // RFC 9329 section 6.6: TCP has its own.
        (IkeFraming::Bare | IkeFraming::Ctcp | IkeFraming::Tcp, _) => None,
    }
}

/// Sends one if it is time.
pub(crate) fn send_if_quiet(now: Instant, node: &mut Node, peer: &mut Peer, tunnel: Option<&Tunnel>) {
    if due(node, peer, tunnel).is_none_or(|due| due > now) {
        return;
    }
    let Some(form) = form(peer, tunnel) else { return };
    peer.sent = now;
    let keepalive = Keepalive { path: peer.path, form };
    node.installer.command(peer.worker, Command::SendKeepalive(keepalive));
}
