//! What the dataplane tells of a session, and where the peer is.

use super::established::{Established, Service};
use super::rekey;
use crate::ike::service::Node;
use crate::journal::What;
use adit_dataplane::contract::{Direction, EspPath, IkeDatagram, IkeFraming, Path, Reached, Spi, TunnelKey};
use adit_dataplane::time::Instant;

impl Established {
    /// A message that cannot be an old one: the peer lives, and is where it came from.
    pub(super) fn fresh(&mut self, now: Instant, node: &mut Node, datagram: &IkeDatagram) {
        self.peer.heard = now;
        self.dpd.heard();
        let may_move = self.peer.may_move_to(datagram)
            && match (self.peer.framing, datagram.framing) {
                (IkeFraming::Bare, _) | (_, IkeFraming::NonEspMarker | IkeFraming::Ctcp | IkeFraming::Tcp) => true,
                (IkeFraming::NonEspMarker | IkeFraming::Ctcp | IkeFraming::Tcp, IkeFraming::Bare) => false,
            };
        if may_move && datagram.path != self.peer.path {
            node.counters.moves_by_ike += 1;
            self.peer.framing = datagram.framing;
            self.relocate(node, datagram.path, "IKE");
        }
        if let Service::Tunnel(tunnel) = &mut self.service
            && (datagram.path, datagram.framing) == (self.peer.path, self.peer.framing)
        {
            tunnel.came_along(node, datagram);
        }
    }

    /// IKE goes there from now on, and the tunnel with it.
    pub(super) fn relocate(&mut self, node: &mut Node, to: Path, by: &'static str) {
        if to == self.peer.path {
            return;
        }
        tracing::info!(from = %self.peer.path.peer, to = %to.peer, by, "peer moved");
        let before = std::mem::replace(&mut self.peer.path, to);
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let was = tunnel.path.transport();
        if let Some(to) = tunnel.path.beside(to, self.peer.framing) {
            tunnel.go(node, to);
        }
        let (from, to) = ((Some(was), before.peer), (Some(tunnel.path.transport()), to.peer));
        node.tell(&self.peer, What::Moved { from, to, by });
    }

    /// The peer has used one of our SAs for the first time.
    pub(crate) fn first_use(&mut self, now: Instant, node: &mut Node, spi: Spi) {
        rekey::first_use(now, node, self, spi);
        self.logged_in(now, node);
        // Its third message may be under way still: a worker tells of a first packet before it hands over what came
        // with it.
        self.go_on(now, node);
    }

    /// An SA has reached a limit of its lifetime.
    pub(crate) fn lifetime(
        &mut self,
        now: Instant,
        node: &mut Node,
        pair: Spi,
        direction: Direction,
        reached: Reached,
    ) {
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let Some(index) = tunnel.child_from(pair) else { return };
        tracing::info!(spi_in = %pair, ?direction, ?reached, "child SA has reached a limit");
        if let Some(child) = tunnel.children.get_mut(index) {
            child.life.rekey = Some(now);
        }
        match reached {
            Reached::Soft => {}
            Reached::Hard => tunnel.doom(now, node, index),
        }
        self.go_on(now, node);
    }

    /// The worker says where packets go now. It has the last word. IKE shares its NAT's mapping with ESP in
    /// the same port, so it goes along; anything else says nothing about where IKE is.
    pub(crate) fn moved(&mut self, node: &mut Node, key: TunnelKey, path: EspPath) {
        if let Service::Tunnel(tunnel) = &mut self.service {
            tunnel.moved(node, &mut self.peer, key, path);
        }
    }
}
