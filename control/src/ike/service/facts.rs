//! What a reload has to know of a session in service, and what changes in it when connections and pools have other places.

use super::inner::{Inner, addresses};
use super::node::Node;
use super::peer::Peer;
use super::tunnel::Tunnel;
use crate::aaa::UserName;
use crate::lease::Leases;
use crate::reload::SessionFacts;

/// Of a session in service, with the user of our own that it is.
pub(crate) fn facts(node: &Node, peer: &Peer, tunnel: Option<&Tunnel>, user: Option<&UserName>) -> SessionFacts {
    let connection = node.connection(peer.connection).map(|connection| connection.name.clone());
    let lent = tunnel.and_then(|tunnel| match &tunnel.inner {
        Inner::Lent(lease) => Some(addresses(lease)),
        Inner::Given { .. } => None,
    });
    let living = tunnel.into_iter().flat_map(|tunnel| &tunnel.children).filter(|child| !child.is_draining());
    SessionFacts {
        id: peer.id,
        identity: peer.identity.to_string(),
        connection: connection.unwrap_or_default(),
        user: user.cloned(),
        addresses: lent.unwrap_or_default(),
        networks: living.flat_map(|child| child.selectors.local.iter().cloned()).collect(),
        class: peer.policy.class.clone(),
        transport: tunnel.map(|tunnel| tunnel.path.transport()),
    }
}

impl Tunnel {
    /// Pools have other places now.
    pub(crate) fn find_pools(&mut self, leases: &Leases) {
        match &mut self.inner {
            Inner::Lent(lease) => leases.relocate(lease),
            Inner::Given { .. } => {}
        }
    }
}
