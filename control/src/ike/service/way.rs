//! The way that a session goes: its IKE's, and its ESP's.

use super::{Call, Carriage, Node, Peer, Tunnel};
use adit_dataplane::contract::{Command, EspPath, IkeFraming, Move, Path, Transport};

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
        (peer.path, peer.framing) = (self.ike, self.framing);
        let from = std::mem::replace(&mut tunnel.path, self.esp);
        tracing::info!(was = %from.transport(), transport = %self.esp.transport(), to = %self.ike.peer, "going another way");
        if from != self.esp {
            node.keep_connection(tunnel.key, self.esp);
            let order = Move { tunnel: tunnel.key, from, to: self.esp };
            node.installer.command(tunnel.key.worker, Command::MoveTunnel(Box::new(order)));
        }
    }
}

/// Whether IKE may follow a peer that has not been found behind a NAT to where it speaks from: as ESP does (`Following::SameHosts`), to
/// another transport but not to another host.
pub(crate) fn is_between_the_same_hosts(one: Path, other: Path) -> bool {
    one.local.ip() == other.local.ip() && one.peer.ip() == other.peer.ip()
}
