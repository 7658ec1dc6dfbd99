//! Whose phase 1 it is. A group that nobody has configured is answered as some connection would answer, with a secret
//! of its own that nobody knows: neither the answer nor the time it takes tells which groups there are.

use super::choose::may_be;
use super::wire::{Id, IkeOffer};
use crate::config::checked::{AuthV1, LoginV1};
use crate::ike::service::Node;
use adit_crypto::prf::prf;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::PrfId;
use adit_dataplane::contract::Transports;

/// A connection by IKEv1, by its index.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) index: usize,
    pub(super) login: &'a LoginV1,
}

/// What is known of whoever says this name.
pub(super) struct Group<'a> {
    /// `None`: nobody has configured it.
    pub(super) connection: Option<usize>,
    /// How it is answered: as this connection would be.
    pub(super) like: Named<'a>,
    pub(super) secret: SecretBytes,
}

/// All connections by IKEv1, in order.
pub(super) fn connections(node: &Node) -> impl Iterator<Item = Named<'_>> + Clone {
    let connections = node.config.connections.iter().enumerate();
    connections.filter_map(|(index, connection)| Some(Named { index, login: connection.v1()? }))
}

/// Whether a connection is for this identity.
pub(super) fn is_for(node: &Node, index: usize, identity: &Id) -> bool {
    let connection = node.config.connections.get(index);
    connection.is_some_and(|connection| connection.remote_ids.iter().any(|pattern| pattern.matches(identity)))
}

/// How ESP may come in that connection.
pub(super) fn transports(node: &Node, index: usize) -> Transports {
    let of_connection = node.config.connections.get(index).map(|connection| connection.transports);
    of_connection.unwrap_or_default().and(node.config.listen.transports())
}

/// How ESP may come of a main mode while nobody knows whose it is: as any of its connections takes it.
pub(super) fn main_mode_transports(node: &Node) -> Transports {
    let main = connections(node).filter(|named| named.login.modes.main());
    main.flat_map(|named| transports(node, named.index).iter()).collect()
}

/// The group that an aggressive mode is for. `None`: no connection takes aggressive mode at all.
pub(super) fn aggressive<'a>(node: &'a Node, identity: &Id) -> Option<Group<'a>> {
    let takes: Vec<Named<'a>> = connections(node).filter(|named| named.login.modes.aggressive()).collect();
    let found = takes.iter().find(|named| is_for(node, named.index, identity)).copied();
    // Both are worked out in any case.
    let (stand_in, nobodys) = nobody(node, identity, &takes)?;
    let like = found.unwrap_or(stand_in);
    let secret = match (found, like.login.auth.secret()) {
        (Some(_), Some(secret)) => secret.clone(),
        (Some(_), None) | (None, _) => nobodys,
    };
    Some(Group { connection: found.map(|named| named.index), like, secret })
}

/// For a name that nobody has: one of the connections and a secret, the same each time.
fn nobody<'a>(node: &'a Node, identity: &Id, takes: &[Named<'a>]) -> Option<(Named<'a>, SecretBytes)> {
    let of = |what: &[u8]| {
        prf(PrfId::HmacSha256, node.nobodys_psk.expose(), &[what, &[identity.kind.iana()], &identity.bytes])
    };
    let number =
        of(b"connection").expose().iter().fold(0_usize, |n, octet| (n << 8 | usize::from(*octet)) % takes.len().max(1));
    Some((*takes.get(number)?, of(b"secret")))
}

/// Connections whose group secret may be the one that a main mode was keyed with, before the peer says who it is: all
/// that would have agreed to what was agreed on. Every one of them is tried, whichever it is.
pub(super) fn main_mode_candidates(node: &Node, offer: &IkeOffer) -> Vec<(usize, SecretBytes)> {
    /// Each costs a few hashes.
    const MOST: usize = 64;
    connections(node)
        .filter(|named| named.login.modes.main() && may_be(named.login, offer))
        .filter_map(|named| match &named.login.auth {
            AuthV1::Psk { secret } | AuthV1::XauthPsk { secret, .. } => Some((named.index, secret.clone())),
            AuthV1::Rsa { .. } | AuthV1::XauthRsa { .. } | AuthV1::Hybrid { .. } => None,
        })
        .take(MOST)
        .collect()
}
