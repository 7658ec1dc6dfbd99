//! One IKE SA follows another in a session (RFC 7296 sections 2.8, 2.8.2 and 2.18), and ends.

use super::established::{Established, Verdict, Which, farewell};
use super::ike_sa::IkeSa;
use super::purpose::Purpose;
use crate::ike::service::Node;
use crate::ike::wire::Incoming;
use crate::journal::{By, Renewed, What};
use crate::session::Cause;
use adit_dataplane::time::Instant;

impl Established {
    /// The peer has rekeyed the IKE SA. Children are the session's and stay (RFC 7296 section 2.18). If we are rekeying
    /// it as well, the nonces will decide (section 2.8.2).
    pub(super) fn succeed(&mut self, now: Instant, node: &mut Node, next: IkeSa, lowest: Vec<u8>) {
        if let Some(Purpose::RekeyIke(_)) = self.ike.ids.under_way() {
            return self.others.add_rival(next, lowest);
        }
        tracing::info!(suite = %next.suite(), by = "the peer", "IKE SA rekeyed");
        node.tell(&self.peer, What::Rekey { what: Renewed::Ike, by: By::Peer });
        let old = std::mem::replace(&mut self.ike, next);
        self.others.await_delete(now, node, old);
    }

    /// We delete an IKE SA that is not in use.
    pub(super) fn part_with(&mut self, now: Instant, node: &mut Node, ike: IkeSa) {
        if let Some(bytes) = self.others.part_with(now, node, ike) {
            self.peer.send(now, node, bytes);
        }
    }

    /// The peer has deleted an IKE SA.
    pub(super) fn deleted(
        &mut self,
        now: Instant,
        node: &mut Node,
        which: Which,
        incoming: &Incoming<'_>,
        answer: Vec<u8>,
    ) -> Verdict {
        match which {
            Which::Other(at) => {
                if let Some(ike) = self.others.get(at) {
                    node.keep_farewell(now, farewell(ike, incoming, answer));
                }
                self.others.forget(node, at);
                Verdict::Stay
            }
            Which::Current => {
                let last = farewell(&self.ike, incoming, answer);
                let Some((rival, _)) = self.others.take_rival() else {
                    return Verdict::Gone(Cause::PeerDeleted, Some(last));
                };
                // RFC 7296 section 2.8.2: the peer has not seen our rekey and has finished its own.
                tracing::info!(suite = %rival.suite(), by = "the peer", "IKE SA rekeyed");
                node.tell(&self.peer, What::Rekey { what: Renewed::Ike, by: By::Peer });
                let mut old = std::mem::replace(&mut self.ike, rival);
                if let Some(mut purpose) = old.ids.forget() {
                    purpose.let_go(node);
                }
                node.forget_ike_spi(old.spi());
                node.keep_farewell(now, last);
                Verdict::Stay
            }
        }
    }

    /// Nothing is asked any more; what was under way comes to nothing.
    pub(crate) fn forget_ike_sas(&mut self, now: Instant, node: &mut Node) {
        if let Some(mut purpose) = self.ike.ids.forget() {
            purpose.let_go(node);
        }
        node.forget_ike_spi(self.ike.spi());
        std::mem::take(&mut self.others).forget_all(now, node);
    }
}
