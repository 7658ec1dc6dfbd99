//! CREATE_CHILD_SA requests (RFC 7296 section 1.3): which of the three it is.

use super::established::{Established, Which};
use super::ike_sa::IkeSa;
use super::purpose::Purpose;
use super::shape::{self, Misshapen, notify};
use super::{new_child, rekey_child, rekey_ike};
use crate::ike::service::Node;
use crate::ike::wire::{NotifyKind, Payload, Protocol};
use adit_dataplane::time::Instant;

/// What the exchange made: the answer, and after an IKE rekey the IKE SA that takes over once it is sent.
pub(super) struct Made {
    pub(super) payloads: Vec<Payload>,
    pub(super) next_ike_sa: Option<NextIkeSa>,
}

/// The peer's.
pub(super) struct NextIkeSa {
    pub(super) ike: IkeSa,
    /// The lower of the exchange's nonces (RFC 7296 section 2.8.2).
    pub(super) lowest: Vec<u8>,
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
    // RFC 7296 section 2.25.2: what is rekeyed already, or about to be, makes nothing new.
    if which != Which::Current {
        return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new()));
    }
    let proposals = shape::sa(payloads)?;
    // A proposal for AH is none that we could take.
    if proposals.iter().all(|proposal| proposal.protocol == Protocol::Ike) {
        return rekey_ike::answer(now, node, session, payloads);
    }
    // RFC 7296 section 2.25.2: we are rekeying the IKE SA.
    if let Some(Purpose::RekeyIke(_)) = session.ike.ids.under_way() {
        return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new()));
    }
    match shape::notifies(payloads).find(|notify| notify.kind == NotifyKind::RekeySa) {
        Some(rekeyed) => rekey_child::answer(now, node, session, rekeyed, payloads),
        None => new_child::answer(now, node, session, payloads),
    }
}
