//! Which hash is to stand in a message of phase 2 (RFC 2409 section 5.5): the exchange that it belongs to decides.

use super::established::{Established, Which};
use super::isakmp_sa::{Cookies, begins};
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
    pub(super) fn expected_hash(&self, which: Which, cookies: Cookies, message_id: u32) -> Expected {
        // What was answered before another phase 1 took the session over may still be finished.
        if let Some(answered) = self.answered.iter().find(|answered| answered.is(cookies, message_id)) {
            return Expected::Third { hash: answered.hash_3.clone() };
        }
        if which != Which::Current {
            return Expected::First;
        }
        let yielded = self.yielded.as_ref().filter(|yielded| yielded.quick.message_id == message_id);
        let yielded = yielded.map(|yielded| yielded.quick.nonce.clone());
        match self.asked.as_ref().and_then(|asked| asked.quick_nonce(message_id)).or(yielded) {
            Some(nonce_i) => Expected::Second { nonce_i },
            None => Expected::First,
        }
    }
}
