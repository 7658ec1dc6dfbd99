//! Proofs by certificate (RFC 2409 section 5.1): the hash that a pre-shared key would prove, signed as it is.

use super::wire::{Chain, Id, IkeOffer, Payload};
use super::{choose, group};
use crate::config::checked::AuthV1;
use crate::ike::service::Node;
use crate::pki::{Authorities, UnixTime};
use crate::session::Cause;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::time::Instant;
use std::sync::Arc;

/// CERT …, ours first, and SIG over the hash.
pub(super) fn say(node: &mut Node, hash: &SecretBytes) -> Result<Vec<Payload>, Cause> {
    let own = node.config.certificate.clone().ok_or(Cause::NoCertificate)?;
    let certificate = |der: &Vec<u8>| Payload::Certificate(Payload::X509_SIGNATURE, der.clone());
    let mut payloads: Vec<Payload> = own.chain().iter().map(certificate).collect();
    // The hash leaves for the peer in this message.
    payloads.push(Payload::Signature(own.sign_ike_v1(hash.expose(), &mut *node.random)));
    Ok(payloads)
}

/// Whether an authority of the connection's vouches for the peer's certificate now, whether it is for this identity,
/// and whether its key has signed the hash.
pub(super) fn check(
    now: Instant,
    node: &Node,
    connection: usize,
    chain: &Chain<'_>,
    identity: &Id,
    hash: &SecretBytes,
) -> Result<(), Cause> {
    let authorities = authorities(node, connection).ok_or(Cause::NoCertificate)?;
    check_by(now, node, &authorities, chain, identity, hash)
}

/// The same, by these authorities.
pub(super) fn check_by(
    now: Instant,
    node: &Node,
    authorities: &Authorities,
    chain: &Chain<'_>,
    identity: &Id,
    hash: &SecretBytes,
) -> Result<(), Cause> {
    let shown = chain.payloads.iter().filter_map(|placed| match &placed.payload {
        Payload::Certificate(Payload::X509_SIGNATURE, der) => Some(der.as_slice()),
        _another => None,
    });
    let at = UnixTime::since_unix_epoch(node.unix_at_zero + now.since(Instant::ZERO));
    let certificate = authorities.verify(shown, at).map_err(|untrusted| {
        tracing::debug!(%untrusted, "the peer's certificate");
        Cause::UntrustedCertificate
    })?;
    if !certificate.is_for(identity) {
        return Err(Cause::WrongCertificate);
    }
    let signature = chain.signature().ok_or(Cause::WrongSignature)?;
    certificate.verify_ike_v1(hash.expose(), signature).map_err(|_bad| Cause::WrongSignature)
}

/// Whom we trust, for a client that sends its certificate only if it is asked. Nobody knows yet whose the client is, so
/// it hears of the authorities of all connections that it may be for, the empty request (anybody's) first: it is the
/// one that always fits.
pub(super) fn requests(node: &Node, offer: &IkeOffer) -> Vec<Payload> {
    let request = |subject: Vec<u8>| Payload::CertificateRequest(Payload::X509_SIGNATURE, subject);
    let subjects = group::connections(node)
        .filter(|named| named.login.modes.main() && choose::may_be(named.login, offer))
        .filter_map(|named| authorities(node, named.index))
        .flat_map(|authorities| authorities.subjects().to_vec());
    std::iter::once(Vec::new()).chain(subjects).map(request).collect()
}

pub(super) fn authorities(node: &Node, connection: usize) -> Option<Arc<Authorities>> {
    match &node.config.connections.get(connection)?.v1()?.auth {
        AuthV1::Rsa { authorities } | AuthV1::XauthRsa { authorities, .. } => Some(Arc::clone(authorities)),
        AuthV1::Psk { .. } | AuthV1::XauthPsk { .. } | AuthV1::Hybrid { .. } => None,
    }
}
