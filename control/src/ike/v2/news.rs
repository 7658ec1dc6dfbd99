//! What the dataplane tells of a session, and where the peer is.

use super::established::{Established, Service};
use crate::ike::service::Node;
use crate::journal::What;
use adit_dataplane::contract::{EspPath, IkeDatagram, IkeFraming, Spi, TunnelKey};
use adit_dataplane::time::Instant;

impl Established {
    /// A peer behind a NAT is where its last authenticated message came from (RFC 7296 section 2.23), and so is one that opens another
    /// cTCP connection. Any other may take another transport from the same host. Called for messages inside the window only, for those
    /// cannot be replayed.
    pub(super) fn follow(&mut self, node: &mut Node, datagram: &IkeDatagram) {
        // RFC 9329 section 6.1: who comes by TCP is in the connection where its newest message came, whatever NAT detection found.
        let connects =
            self.peer.has_come() && (self.peer.framing, datagram.framing) == (IkeFraming::Tcp, IkeFraming::Tcp);
        let may_move = (self.peer.may_move_to(datagram) || connects)
            && match datagram.framing {
                IkeFraming::NonEspMarker | IkeFraming::Ctcp | IkeFraming::Tcp => true,
                IkeFraming::Bare => false,
            };
        if (datagram.path, datagram.framing) == (self.peer.path, self.peer.framing) {
            if let Service::Tunnel(tunnel) = &mut self.service {
                tunnel.came_along(node, datagram);
            }
            return;
        }
        if !may_move {
            return;
        }
        tracing::info!(from = %self.peer.path.peer, to = %datagram.path.peer, by = "IKE", "peer moved");
        node.counters.moves_by_ike += 1;
        let before = std::mem::replace(&mut self.peer.path, datagram.path);
        self.peer.framing = datagram.framing;
        self.ask_there(node);
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let was = tunnel.path.transport();
        if let Some(to) = tunnel.path.beside(datagram.path, datagram.framing) {
            tunnel.go(node, to);
        }
        let (from, to) = ((Some(was), before.peer), (Some(tunnel.path.transport()), datagram.path.peer));
        node.tell(&self.peer, What::Moved { from, to, by: "IKE" });
    }

    /// The worker says where packets go now. It has the last word: what it reports last is where they go, whether
    /// ESP moved the tunnel or we asked for it. IKE on port 4500 shares its NAT's mapping with ESP there, so it goes
    /// along; anything else says nothing about where IKE is.
    pub(crate) fn moved(&mut self, node: &mut Node, key: TunnelKey, path: EspPath) {
        if let Service::Tunnel(tunnel) = &mut self.service {
            let before = self.peer.path;
            tunnel.moved(node, &mut self.peer, key, path);
            if self.peer.path != before {
                self.ask_there(node);
            }
        }
    }

    /// The peer has used one of our SAs for the first time.
    pub(crate) fn first_use(&mut self, now: Instant, node: &mut Node, spi: Spi) {
        if let Service::Tunnel(tunnel) = &mut self.service {
            tunnel.first_use(now, node, spi);
        }
        self.go_on(now, node);
    }
}
