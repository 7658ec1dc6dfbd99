//! Which hash is to stand in a message of phase 2 (RFC 2409 section 5.5): the exchange that it belongs to decides.

use super::established::Established;
use super::isakmp_sa::begins;
use super::wire::{Chain, Exchange};
use adit_crypto::secret::SecretBytes;

/// Which hash is to stand in a message.
pub(super) enum Expected {
    First,
    Second { nonce_i: Vec<u8> },
    Third { hash: SecretBytes },
}

impl Expected {
    /// Whether a message with this hash, and these payloads, can be of this exchange.
    pub(super) fn stands_in(&self, exchange: Exchange, chain: &Chain<'_>) -> bool {
        match self {
            Self::First => begins(exchange, chain),
            Self::Second { .. } | Self::Third { .. } => exchange == Exchange::QuickMode,
        }
    }
}

impl Established {
    /// Which hash stands in the next message with this ID.
    pub(super) fn expected_hash(&self, message_id: u32) -> Expected {
        if let Some(answered) = self.answered.iter().find(|answered| answered.message_id == message_id) {
            let hash = self.sa.keys().hash_3(message_id, &answered.nonce_i, &answered.nonce_r);
            return Expected::Third { hash };
        }
        let yielded = self.yielded.as_ref().filter(|yielded| yielded.quick.message_id == message_id);
        let yielded = yielded.map(|yielded| yielded.quick.nonce.clone());
        match self.asked.as_ref().and_then(|asked| asked.quick_nonce(message_id)).or(yielded) {
            Some(nonce_i) => Expected::Second { nonce_i },
            None => Expected::First,
        }
    }
}
