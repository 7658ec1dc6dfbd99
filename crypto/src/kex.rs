//! Key exchange: X25519, ECP-256/384, MODP-2048.

use crate::random::SecretRandom;
use crate::secret::SecretBytes;
use crate::suite::KexGroup;

/// The peer's public value cannot be used: wrong length, not on the curve, or of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("public value is not valid for {}", .0.name())]
pub struct BadPublicValue(pub KexGroup);

/// One side's ephemeral key pair. Consumed by [`KeyPair::agree`].
pub struct KeyPair {
    group: KexGroup,
}

impl KeyPair {
    /// A fresh pair from `random`.
    pub fn generate(group: KexGroup, random: &mut dyn SecretRandom) -> Self {
        let _ = random;
        Self { group }
    }

    /// The group this pair is of.
    pub fn group(&self) -> KexGroup {
        self.group
    }

    /// The public value as it stands in a KE payload (RFC 7296 section 3.4, RFC 5903, RFC 8031).
    pub fn public(&self) -> &[u8] {
        todo!()
    }

    /// g^ir as RFC 7296 section 2.14 wants it.
    pub fn agree(self, peer: &[u8]) -> Result<SecretBytes, BadPublicValue> {
        let _ = peer;
        todo!()
    }
}
