//! Phase 1 as the initiator is done: the responder has proven who it is.

use super::calling::{Next, Started};
use super::cipher::{Iv, MessageCipher};
use super::isakmp_sa::{Cookies, IsakmpSa, Phase1};
use super::keys::IkeKeys;
use super::life_time::end_of_ours;
use super::nat_seen::Traversal;
use super::phase_1::User;
use super::proof;
use super::wire::{Id, IkeOffer, Incoming};
use crate::ike::service::{Call, Held, Life, Node, Role};
use crate::session::SessionId;
use adit_dataplane::contract::{IkeFraming, Path, WorkerId};
use adit_dataplane::time::Instant;

/// The responder has proven who it is, and we have said our proof.
pub(crate) struct Reached {
    pub(crate) id: SessionId,
    pub(super) call: Call,
    pub(crate) worker: WorkerId,
    pub(crate) since: Instant,
    pub(crate) sa: IsakmpSa,
    /// The responder's.
    pub(crate) identity: Id,
    pub(super) traversal: Traversal,
    pub(crate) along: (Path, IkeFraming),
    pub(super) life: Life,
    /// Our last message, if nothing has shown yet that the responder has it.
    pub(super) last: Option<Vec<u8>>,
    pub(crate) user: User,
}

/// What both modes know when the responder's proof is good.
pub(super) struct End<'a> {
    /// Its last message.
    pub(super) incoming: &'a Incoming<'a>,
    pub(super) cookies: Cookies,
    pub(super) offer: IkeOffer,
    pub(super) keys: IkeKeys,
    pub(super) cipher: MessageCipher,
    /// Behind the last message of phase 1.
    pub(super) base: Iv,
    pub(super) identity: Id,
    pub(super) traversal: Traversal,
    pub(super) along: (Path, IkeFraming),
    /// Our last message, if nothing has shown yet that the responder has it.
    pub(super) last: Option<Vec<u8>>,
}

impl Started {
    /// The responder's proof is good.
    pub(super) fn reached(&self, now: Instant, node: &mut Node, end: End<'_>) -> Next {
        let End { incoming, cookies, offer, keys, cipher, base, identity, traversal, along, last } = end;
        let sa = IsakmpSa::new(Phase1 {
            role: Role::Initiator,
            cookies,
            keys,
            cipher,
            base,
            client: self.client.clone(),
            end: Some(end_of_ours(now, node, offer.life)),
            last: (incoming.bytes.to_vec(), Vec::new()),
        });
        Next::Proven(Box::new(Reached {
            id: self.id,
            call: self.call.clone(),
            worker: self.worker,
            since: self.since,
            sa,
            identity,
            traversal,
            along,
            life: self.life,
            last,
            user: proof::wants_user(offer.method),
        }))
    }
}

impl Reached {
    /// What it has taken.
    pub(crate) fn held(&self) -> Held {
        Held { id: self.id, ike: self.sa.spi(), worker: self.worker, esp: None }
    }
}
