//! Both proofs of phase 1, seen from the initiator: the responder's is checked, ours is said (RFC 2409 section 5).

use super::calling::{Started, Wrong};
use super::isakmp_sa::Cookies;
use super::keys::Skeyid;
use super::wire::{AuthMethod, Chain, Id, Notify, NotifyKind, Payload, Protocol};
use super::{proof, signature};
use crate::ike::service::{Contact, Node};
use crate::session::Cause;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::time::Instant;

/// Whether the responder is who we want to talk to.
pub(super) fn check(
    now: Instant,
    node: &Node,
    started: &Started,
    method: AuthMethod,
    chain: &Chain<'_>,
    identity: &Id,
    hash_r: &SecretBytes,
) -> Result<(), Wrong> {
    let call = &started.call;
    match proof::responders(method) {
        proof::Kind::Hash if !proof::is_right(chain, hash_r) => {
            return Err(Wrong::doubt(Cause::WrongPsk, "HASH_R by another secret"));
        }
        proof::Kind::Hash => {}
        proof::Kind::Signature => {
            let authorities = call.v1.authorities.clone().or_else(|| signature::authorities(node, call.connection));
            let authorities = authorities
                .ok_or_else(|| Wrong::doubt(Cause::NoCertificate, "nobody to vouch for the headend's certificate"))?;
            signature::check_by(now, node, &authorities, chain, identity, hash_r)
                .map_err(|cause| Wrong::doubt(cause, identity))?;
        }
    }
    match super::group::is_for(node, call.connection, identity) {
        true => Ok(()),
        false => Err(Wrong::doubt(Cause::WrongResponderIdentity, identity)),
    }
}

/// Our proof, with what goes beside it: that we have lost what we had, if so, and in hybrid mode that we know the
/// group's secret.
pub(super) fn say(
    node: &mut Node,
    started: &Started,
    method: AuthMethod,
    cookies: Cookies,
    skeyid: &Skeyid,
    hash_i: &SecretBytes,
) -> Result<Vec<Payload>, Wrong> {
    let said = proof::say(node, proof::initiators(method), hash_i);
    let mut payloads = said.map_err(|cause| Wrong::doubt(cause, "we have no certificate"))?;
    let spi = [cookies.initiator.0.to_be_bytes(), cookies.responder.0.to_be_bytes()].concat();
    let notify = |kind, data| Payload::Notify(Notify { protocol: Protocol::Isakmp, spi: spi.clone(), kind, data });
    match started.call.contact {
        Contact::Initial => payloads.push(notify(NotifyKind::InitialContact, Vec::new())),
        Contact::Further => {}
    }
    let secret = started.login(node)?.auth.secret();
    if let (false, Some(secret)) = (proof::keyed_by_secret(method), secret) {
        let hash = skeyid.preshared_key_hash(secret);
        // It leaves for the peer in this message.
        payloads.push(notify(NotifyKind::PresharedKeyHash, hash.expose().to_vec()));
    }
    Ok(payloads)
}

/// What the keys depend on besides the key exchange; nothing where certificates prove everything.
pub(super) fn secret(started: &Started, node: &Node) -> Result<SecretBytes, Wrong> {
    let secret = started.login(node)?.auth.secret().cloned();
    Ok(secret.unwrap_or_else(|| SecretBytes::new(Vec::new())))
}
