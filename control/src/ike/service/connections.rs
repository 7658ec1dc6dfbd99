//! The connections of a session that ends. What is left of them would wait for packets that will not come, so each end is told.

use super::node::Node;
use super::peer::Peer;
use super::tunnel::Tunnel;
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, IkeFraming, Path, Transport, TunnelKey};

/// The connection that IKE is in, if it is in one.
pub(crate) fn connection(framing: IkeFraming, path: Path) -> Option<EspPath> {
    match framing {
        IkeFraming::Ctcp => Some(EspPath::new(Transport::Ctcp, path)),
        IkeFraming::Tcp => Some(EspPath::new(Transport::Tcp, path)),
        IkeFraming::Bare | IkeFraming::NonEspMarker => None,
    }
}

/// Its IKE's, and all that it has vouched for and may have left for another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Vec<(TunnelKey, EspPath)>);

impl Connections {
    /// As they are now.
    pub(crate) fn of(peer: &Peer, tunnel: &Tunnel) -> Self {
        let ike = connection(peer.framing, peer.path).filter(|ike| !tunnel.connections().contains(ike));
        Self(tunnel.connections().iter().copied().chain(ike).map(|path| (tunnel.key, path)).collect())
    }

    /// Behind all that was said. Where another session has come instead, it may be on the same connection, and who is gone hears
    /// nothing.
    pub(crate) fn end(self, node: &mut Node, cause: Cause) {
        if matches!(cause, Cause::InitialContact | Cause::Replaced | Cause::TakenOver) {
            return;
        }
        for (tunnel, path) in self.0 {
            node.end_connection(tunnel, path);
        }
    }
}
