//! Who is at the other end of a session.

use super::arrivals::Arrival;
use super::closed::Closed;
use super::nat::{Behind, Nat};
use super::node::Node;
use super::policy::Policy;
use crate::ike::wire::Id;
use crate::session::SessionId;
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path, WorkerId};
use adit_dataplane::time::Instant;

/// Who the peer is and where; stays the same through rekeys, and to the end.
pub(crate) struct Peer {
    pub(crate) id: SessionId,
    pub(crate) identity: Id,
    pub(crate) connection: usize,
    pub(crate) origin: Origin,
    pub(crate) nat: Nat,
    pub(crate) worker: WorkerId,
    pub(crate) path: Path,
    pub(crate) framing: IkeFraming,
    pub(crate) login: Instant,
    /// When an authenticated IKE message last came.
    pub(crate) heard: Instant,
    /// When an IKE message last went out.
    pub(crate) sent: Instant,
    /// What it may.
    pub(crate) policy: Policy,
    /// How it may not come for a while.
    pub(crate) closed: Closed,
}

impl Peer {
    /// A message of ours, to where it is. Where that way is closed to it, nothing goes out: it counts as silent.
    pub(crate) fn send(&mut self, now: Instant, node: &mut Node, bytes: Vec<u8>) {
        self.sent = now;
        if !self.closed.takes(self.framing) {
            node.send_ike(self.worker, self.path, self.framing, bytes);
        }
    }

    /// Whether it has come to us. Whom we have called goes where we go.
    pub(crate) fn has_come(&self) -> bool {
        match self.origin {
            Origin::Came(_) => true,
            Origin::Called => false,
        }
    }

    /// Whether IKE may follow it to where this comes from, as far as NAT detection, who has begun and what is closed to it go.
    pub(crate) fn may_move_to(&self, datagram: &IkeDatagram) -> bool {
        if self.closed.takes(datagram.framing) {
            return false;
        }
        match self.nat.peer {
            // Whom we have called answers to where we are, whatever transport that is.
            Behind::Nat => self.has_come() || datagram.framing == self.framing,
            // As ESP does (`Following::SameHosts`): to another transport but not to another host.
            Behind::Nothing => {
                self.has_come() && datagram.framing != self.framing && datagram.path.is_between_the_hosts_of(self.path)
            }
        }
    }
}

/// How it came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By the peer's IKE_SA_INIT.
    Came(Arrival),
    /// By ours.
    Called,
}
