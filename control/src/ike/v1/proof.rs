//! How both ends prove who they are in phase 1 (RFC 2409 sections 5.1 and 5.4, draft-ietf-ipsec-isakmp-hybrid-auth-05).

use super::keys::Skeyid;
use super::phase_1::{Standing, User};
use super::suite::Suite;
use super::wire::{AuthMethod, Chain, NotifyKind, Payload};
use crate::ike::service::Node;
use crate::session::Cause;
use adit_crypto::secret::SecretBytes;

/// What a proof is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A hash that only who knows the keys can make.
    Hash,
    /// A signature under it, by a certificate's key.
    Signature,
}

/// The responder's.
pub(super) const fn responders(method: AuthMethod) -> Kind {
    match method {
        AuthMethod::Psk | AuthMethod::XauthInitPsk | AuthMethod::XauthRespPsk | AuthMethod::HybridRespRsa => Kind::Hash,
        AuthMethod::Rsa | AuthMethod::XauthInitRsa | AuthMethod::XauthRespRsa | AuthMethod::HybridInitRsa => {
            Kind::Signature
        }
    }
}

/// The initiator's.
pub(super) const fn initiators(method: AuthMethod) -> Kind {
    match method {
        AuthMethod::Psk | AuthMethod::XauthInitPsk | AuthMethod::XauthRespPsk | AuthMethod::HybridInitRsa => Kind::Hash,
        AuthMethod::Rsa | AuthMethod::XauthInitRsa | AuthMethod::XauthRespRsa | AuthMethod::HybridRespRsa => {
            Kind::Signature
        }
    }
}

/// Whether a user is to be proven after phase 1, by the initiator.
pub(super) const fn wants_user(method: AuthMethod) -> User {
    match method {
        AuthMethod::XauthInitPsk | AuthMethod::XauthInitRsa | AuthMethod::HybridInitRsa => User::Asked,
        AuthMethod::Psk
        | AuthMethod::Rsa
        | AuthMethod::XauthRespPsk
        | AuthMethod::XauthRespRsa
        | AuthMethod::HybridRespRsa => User::NotAsked,
    }
}

/// What the initiator counts as once phase 1 is done. In hybrid mode its hash is under keys that come from the key exchange
/// alone, which anybody can do, so nothing is proven until the user is.
pub(super) const fn standing(method: AuthMethod) -> Standing {
    match method {
        AuthMethod::HybridInitRsa => Standing::HalfOpen,
        AuthMethod::Psk
        | AuthMethod::Rsa
        | AuthMethod::XauthInitPsk
        | AuthMethod::XauthRespPsk
        | AuthMethod::XauthInitRsa
        | AuthMethod::XauthRespRsa
        | AuthMethod::HybridRespRsa => Standing::Known,
    }
}

/// Whether a group's secret takes part in the keys.
pub(super) const fn keyed_by_secret(method: AuthMethod) -> bool {
    match method {
        AuthMethod::Psk | AuthMethod::XauthInitPsk | AuthMethod::XauthRespPsk => true,
        AuthMethod::Rsa
        | AuthMethod::XauthInitRsa
        | AuthMethod::XauthRespRsa
        | AuthMethod::HybridInitRsa
        | AuthMethod::HybridRespRsa => false,
    }
}

/// SKEYID: of the secret, or of the key exchange alone.
pub(super) fn skeyid(
    method: AuthMethod,
    suite: Suite,
    secret: &SecretBytes,
    shared: &SecretBytes,
    nonces: [&[u8]; 2],
) -> Skeyid {
    let [nonce_i, nonce_r] = nonces;
    match keyed_by_secret(method) {
        true => Skeyid::of_psk(suite, secret, nonce_i, nonce_r),
        false => Skeyid::of_signatures(suite, shared, nonce_i, nonce_r),
    }
}

/// A proof's payloads.
pub(super) fn say(node: &mut Node, kind: Kind, hash: &SecretBytes) -> Result<Vec<Payload>, Cause> {
    match kind {
        // It leaves for the peer in this message.
        Kind::Hash => Ok(vec![Payload::Hash(hash.expose().to_vec())]),
        Kind::Signature => super::signature::say(node, hash),
    }
}

/// Whether a hash is the expected one. The comparison takes constant time.
pub(super) fn is_right(chain: &Chain<'_>, hash: &SecretBytes) -> bool {
    chain.hash().is_some_and(|said| SecretBytes::from(said) == *hash)
}

/// In hybrid mode a Cisco client also shows that it knows the group's secret. Who says nothing is let through to
/// XAUTH, as other clients know no such thing; who says it must say it right.
pub(super) fn knows_secret(chain: &Chain<'_>, skeyid: &Skeyid, secret: &SecretBytes) -> bool {
    let mut said = chain.notifications().filter(|notify| notify.kind == NotifyKind::PresharedKeyHash);
    said.all(|notify| SecretBytes::from(notify.data.as_slice()) == skeyid.preshared_key_hash(secret))
}
