//! What main and aggressive mode have in common: refusals, nonces, vendor IDs, and what a good proof leads to.

use super::client::Client;
use super::isakmp_sa::{Cookies, IsakmpSa, clear};
use super::nat_seen::Traversal;
use super::wire::{AuthMethod, Chain, Exchange, Id, NotifyKind, Payload, Vendor};
use crate::config::checked::LoginV1;
use crate::ike::counters::Ignored;
use crate::ike::login_times::LoginClock;
use crate::ike::propose::NoProposal;
pub(super) use crate::ike::service::Contact;
use crate::ike::service::Stranger;
use crate::ike::service::{Arrival, Node};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{IkeFraming, Path, WorkerId};
use adit_dataplane::time::Instant;

/// Why a first message led to nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nobody is told.
    Silence(Ignored),
    /// The log says why, and the peer that it was refused.
    Answer { cause: Cause, kind: NotifyKind, offered: String, wanted: String },
}

impl Refused {
    /// Nothing that was offered is allowed.
    pub(super) fn no_proposal(none: &NoProposal) -> Self {
        let (offered, wanted) = (none.offered.clone(), none.wanted.clone());
        Self::Answer { cause: Cause::NoIkeProposal, kind: NotifyKind::NoProposalChosen, offered, wanted }
    }
}

/// Somebody has proven what phase 1 asks for: the group, or more; in hybrid mode nothing.
pub(crate) struct Proven {
    pub(crate) id: SessionId,
    pub(crate) arrival: Arrival,
    pub(crate) connection: usize,
    /// The group, or the peer itself.
    pub(crate) identity: Id,
    pub(crate) path: Path,
    pub(super) framing: IkeFraming,
    pub(crate) worker: WorkerId,
    pub(crate) sa: IsakmpSa,
    pub(super) traversal: Traversal,
    pub(super) contact: Contact,
    pub(super) since: Instant,
    pub(crate) user: User,
    pub(crate) standing: Standing,
    pub(crate) clock: LoginClock,
}

impl Proven {
    /// Who that is, for the journal.
    pub(crate) fn stranger(&self) -> Stranger {
        let identity = Some(self.identity.to_string());
        Stranger { session: Some(self.id), identity, connection: Some(self.connection), peer: self.path.peer }
    }
}

/// What the initiator counts as, for the limits on who may be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Half-open: anybody could have come so far. Its user is still to be proven.
    HalfOpen,
    /// Somebody whom we know.
    Known,
}

/// Whether a user has to be proven too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// By XAUTH.
    Asked,
    /// Phase 1 was enough.
    NotAsked,
}

impl Contact {
    /// As a protected message says.
    pub(super) fn of(chain: &Chain<'_>) -> Self {
        match chain.notifications().any(|notify| notify.kind == NotifyKind::InitialContact) {
            true => Self::Initial,
            false => Self::Further,
        }
    }
}

/// A connection's part that only IKEv1 has.
pub(super) fn login_of(node: &Node, connection: usize) -> Option<&LoginV1> {
    node.config.connections.get(connection)?.v1()
}

/// A nonce of ours no longer than the peer's, so that the answer is not longer for it: 8 to 32 octets (RFC 2409
/// section 5 allows 8 to 256).
pub(super) fn nonce_for(node: &mut Node, theirs: &[u8]) -> Vec<u8> {
    node.random_bytes(theirs.len().clamp(8, 32))
}

/// What we say about ourselves: nothing that the peer has not said first. The most needed comes first.
pub(super) fn vendor_ids(client: &Client, method: AuthMethod) -> Vec<Payload> {
    let xauth = match method {
        AuthMethod::XauthInitPsk
        | AuthMethod::XauthRespPsk
        | AuthMethod::XauthInitRsa
        | AuthMethod::XauthRespRsa
        | AuthMethod::HybridInitRsa
        | AuthMethod::HybridRespRsa => Some(Vendor::Xauth),
        AuthMethod::Psk | AuthMethod::Rsa => None,
    };
    let others = [Vendor::Dpd, Vendor::Unity, Vendor::Fragmentation];
    let known = xauth.into_iter().chain(others).filter(|vendor| client.is(*vendor));
    known.map(|vendor| Payload::VendorId(vendor.octets())).collect()
}

/// The vendor ID of the NAT traversal that was chosen.
pub(super) fn traversal_id(traversal: &Traversal) -> Option<Payload> {
    traversal.version.map(|version| Payload::VendorId(Vendor::NatTraversal(version).octets()))
}

/// A message in the clear that is to be no longer than `most`: what can be missed is left out from the end. If that
/// does not help, nothing is left out, and the answer has to wait.
pub(super) fn clear_within(
    most: usize,
    cookies: Cookies,
    exchange: Exchange,
    needed: &[Payload],
    more: &[Payload],
) -> Vec<u8> {
    let with = |count: usize| {
        let payloads: Vec<Payload> = needed.iter().chain(more.iter().take(count)).cloned().collect();
        clear(cookies, exchange, &payloads)
    };
    (0..=more.len()).rev().map(with).find(|bytes| bytes.len() <= most).unwrap_or_else(|| with(more.len()))
}
