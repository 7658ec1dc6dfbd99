//! The way that a session goes: its IKE's, and its ESP's.

use super::{Call, Carriage, Node, Peer, Tunnel};
use crate::journal::What;
use adit_dataplane::contract::{EspPath, IkeFraming, Path, Transport};

/// Both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    esp: EspPath,
    ike: Path,
    framing: IkeFraming,
}

impl Way {
    /// Of a call that is not begun but goes on with a session: what NAT detection found counts no more, so IKE is on port 4500, and ESP
    /// beside it unless the connection has native ESP alone. `None`: Cisco's UDP needs a login of its own.
    pub(crate) fn of(node: &Node, call: &Call) -> Option<Self> {
        let transports = node.connection(call.connection)?.transports;
        match call.carriage {
            Carriage::Detected => {
                let esp = match transports.contains(Transport::NatT) {
                    true => EspPath::new(Transport::NatT, call.natt),
                    false => EspPath::new(Transport::Esp, call.path),
                };
                Some(Self { esp, ike: call.natt, framing: IkeFraming::NonEspMarker })
            }
            Carriage::CiscoUdp => None,
            Carriage::Ctcp => {
                let esp = EspPath::new(Transport::Ctcp, call.path);
                Some(Self { esp, ike: call.path, framing: IkeFraming::Ctcp })
            }
            Carriage::Tcp => {
                let esp = EspPath::new(Transport::Tcp, call.path);
                Some(Self { esp, ike: call.path, framing: IkeFraming::Tcp })
            }
        }
    }

    /// A session goes it from now on.
    pub(crate) fn take(self, node: &mut Node, peer: &mut Peer, tunnel: &mut Tunnel) {
        let before = std::mem::replace(&mut peer.path, self.ike);
        peer.framing = self.framing;
        let (was, transport) = (tunnel.path.transport(), self.esp.transport());
        tracing::info!(%was, %transport, to = %self.ike.peer, "going another way");
        tunnel.go(node, self.esp);
        let (from, to) = ((Some(was), before.peer), (Some(transport), self.ike.peer));
        node.tell(peer, What::Moved { from, to, by: "us" });
    }
}
