//! CREATE_CHILD_SA requests (RFC 7296 section 1.3): which of the three it is.

use super::established::{Established, Service, Which};
use super::ike_sa::IkeSa;
use super::node::Node;
use super::shape::{self, Misshapen, notify};
use super::{rekey_child, rekey_ike};
use crate::ike::wire::{NotifyKind, Payload, Protocol};
use adit_dataplane::time::Instant;

/// What the exchange made: the answer, and after an IKE rekey the IKE SA that takes over once it is sent.
pub(super) struct Made {
    pub(super) payloads: Vec<Payload>,
    pub(super) next_ike_sa: Option<IkeSa>,
}

impl Made {
    /// Nothing but a notification: the IKE SA stays as it is (RFC 7296 section 2.21.3).
    pub(super) fn refusal(kind: NotifyKind, data: Vec<u8>) -> Self {
        Self { payloads: vec![notify(kind, data)], next_ike_sa: None }
    }
}

/// Answers one.
pub(super) fn answer(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    which: Which,
    payloads: &[Payload],
) -> Result<Made, Misshapen> {
    // RFC 7296 section 2.25.2: what is rekeyed already makes nothing new.
    if which == Which::Former {
        return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new()));
    }
    let proposals = shape::sa(payloads)?;
    // A proposal for AH is none that we could take.
    if proposals.iter().all(|proposal| proposal.protocol == Protocol::Ike) {
        return rekey_ike::answer(now, node, session, payloads);
    }
    let rekeyed = shape::notifies(payloads).find(|notify| notify.kind == NotifyKind::RekeySa);
    match (rekeyed, &mut session.service) {
        (Some(rekeyed), Service::Tunnel(tunnel)) => {
            let peer = (session.peer.id, session.peer.connection);
            rekey_child::answer(now, node, peer, &session.ike.keys, tunnel, rekeyed, payloads)
        }
        (Some(rekeyed), Service::Childless { .. }) => Ok(rekey_child::not_found(rekeyed)),
        // One child SA to a session, for now (RFC 7296 section 1.3 allows an end to refuse more).
        (None, Service::Tunnel(_) | Service::Childless { .. }) => {
            Ok(Made::refusal(NotifyKind::NoAdditionalSas, Vec::new()))
        }
    }
}
