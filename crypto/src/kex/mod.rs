//! Key exchange: X25519, ECP-256/384/521, MODP-768 to MODP-4096.
//!
//! Every secret scalar comes from the [`SecretRandom`] passed in, so that the same seed makes the same run again.
//! The curves are `aws-lc-rs`', MODP is `crypto-bigint`'s (aws-lc-rs has no finite-field Diffie-Hellman).

mod ecp;
mod modp;
mod modp_prime;
mod x25519;

use crate::random::SecretRandom;
use crate::secret::SecretBytes;
use crate::suite::KexGroup;
use crate::wiping::{FOR_KEYS, FOR_MODP, wiping};

/// The peer's public value cannot be used: wrong length, not on the curve, or of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("public value is not valid for {}", .0.name())]
pub struct BadPublicValue(pub KexGroup);

/// One side's ephemeral key pair. Consumed by [`KeyPair::agree`].
pub struct KeyPair {
    group: KexGroup,
    public: Vec<u8>,
    secret: Secret,
}

enum Secret {
    X25519(x25519::Secret),
    Ecp(ecp::Secret),
    Modp(modp::Secret),
}

impl KeyPair {
    /// A fresh pair from `random`.
    pub fn generate(group: KexGroup, random: &mut dyn SecretRandom) -> Self {
        let (secret, public) = match group {
            KexGroup::Ecp256 => ecp(ecp::Curve::P256, random),
            KexGroup::Ecp384 => ecp(ecp::Curve::P384, random),
            KexGroup::Ecp521 => ecp(ecp::Curve::P521, random),
            KexGroup::X25519 => x25519(random),
            KexGroup::Modp768 => modp(modp::Prime::Bits768, random),
            KexGroup::Modp1024 => modp(modp::Prime::Bits1024, random),
            KexGroup::Modp1536 => modp(modp::Prime::Bits1536, random),
            KexGroup::Modp2048 => modp(modp::Prime::Bits2048, random),
            KexGroup::Modp3072 => modp(modp::Prime::Bits3072, random),
            KexGroup::Modp4096 => modp(modp::Prime::Bits4096, random),
        };
        debug_assert_eq!(public.len(), group.public_len());
        Self { group, public, secret }
    }

    /// The group this pair is of.
    pub fn group(&self) -> KexGroup {
        self.group
    }

    /// The public value as it stands in a KE payload (RFC 7296 section 3.4, RFC 5903 section 7, RFC 8031):
    /// `group().public_len()` octets.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// g^ir as RFC 7296 section 2.14 and RFC 2409 section 5 want it: 32 octets for X25519, x alone for the ECP groups
    /// (RFC 5903 section 9, for both versions of IKE), left-padded to the length of the modulus for the MODP groups.
    pub fn agree(self, peer: &[u8]) -> Result<SecretBytes, BadPublicValue> {
        self.try_agree(peer)
    }

    /// The same, for who cannot know yet whether this value is its peer's: of several that claim to be, one may be.
    pub fn try_agree(&self, peer: &[u8]) -> Result<SecretBytes, BadPublicValue> {
        let shared = match &self.secret {
            Secret::X25519(secret) => wiping::<FOR_KEYS, _>(|| secret.agree(peer)),
            Secret::Ecp(secret) => wiping::<FOR_KEYS, _>(|| secret.agree(peer)),
            Secret::Modp(secret) => wiping::<FOR_MODP, _>(|| secret.agree(peer)),
        };
        shared.ok_or(BadPublicValue(self.group))
    }
}

/// A fresh pair for a peer whose value has come already: our public value, and what both agree on, as of
/// [`KeyPair::agree`]. The value is looked at first: one that cannot be used costs nothing that it could be sent for, and
/// nothing is drawn for it.
///
/// # Errors
/// The peer's value cannot be used.
pub fn answer(
    group: KexGroup,
    random: &mut dyn SecretRandom,
    peer: &[u8],
) -> Result<(Vec<u8>, SecretBytes), BadPublicValue> {
    if !may_be_public(group, peer) {
        return Err(BadPublicValue(group));
    }
    let pair = KeyPair::generate(group, random);
    let public = pair.public().to_vec();
    Ok((public, pair.agree(peer)?))
}

/// Whether [`KeyPair::agree`] can use this value, told without a key exchange.
fn may_be_public(group: KexGroup, value: &[u8]) -> bool {
    match group {
        KexGroup::Ecp256 => ecp::may_be_public(ecp::Curve::P256, value),
        KexGroup::Ecp384 => ecp::may_be_public(ecp::Curve::P384, value),
        KexGroup::Ecp521 => ecp::may_be_public(ecp::Curve::P521, value),
        KexGroup::X25519 => x25519::may_be_public(value),
        KexGroup::Modp768 => modp::may_be_public(modp::Prime::Bits768, value),
        KexGroup::Modp1024 => modp::may_be_public(modp::Prime::Bits1024, value),
        KexGroup::Modp1536 => modp::may_be_public(modp::Prime::Bits1536, value),
        KexGroup::Modp2048 => modp::may_be_public(modp::Prime::Bits2048, value),
        KexGroup::Modp3072 => modp::may_be_public(modp::Prime::Bits3072, value),
        KexGroup::Modp4096 => modp::may_be_public(modp::Prime::Bits4096, value),
    }
}

fn x25519(random: &mut dyn SecretRandom) -> (Secret, Vec<u8>) {
    let (secret, public) = wiping::<FOR_KEYS, _>(|| x25519::generate(random));
    (Secret::X25519(secret), public)
}

fn ecp(curve: ecp::Curve, random: &mut dyn SecretRandom) -> (Secret, Vec<u8>) {
    let (secret, public) = wiping::<FOR_KEYS, _>(|| ecp::generate(curve, random));
    (Secret::Ecp(secret), public)
}

fn modp(prime: modp::Prime, random: &mut dyn SecretRandom) -> (Secret, Vec<u8>) {
    let (secret, public) = wiping::<FOR_MODP, _>(|| modp::generate(prime, random));
    (Secret::Modp(secret), public)
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("group", &self.group).finish_non_exhaustive()
    }
}
