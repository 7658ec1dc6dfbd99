//! What phase 1 agrees on, apart from who proves what.

use super::wire::IkeOffer;
use adit_crypto::suite::{CbcCipher, Hash, KexGroup, Weakness};
use std::fmt;

/// Algorithms of an IKEv1 SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Suite {
    /// Encrypts messages.
    pub cipher: CbcCipher,
    /// Hash, and with HMAC the PRF.
    pub hash: Hash,
    /// Key exchange.
    pub group: KexGroup,
}

impl Suite {
    /// What is weak in it, by the name it has in the configuration.
    pub fn weak(self) -> impl Iterator<Item = (&'static str, Weakness)> {
        let cipher = self.cipher.weakness().map(|weakness| (self.cipher.name(), weakness));
        let hash = self.hash.weakness().map(|weakness| (self.hash.name(), weakness));
        let group = self.group.weakness().map(|weakness| (self.group.name(), weakness));
        [cipher, hash, group].into_iter().flatten()
    }
}

impl From<IkeOffer> for Suite {
    fn from(offer: IkeOffer) -> Self {
        Self { cipher: offer.cipher, hash: offer.hash, group: offer.group }
    }
}

/// As the configuration writes it: `aes256-sha256-modp2048`.
impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.cipher.name(), self.hash.name(), self.group.name())
    }
}
