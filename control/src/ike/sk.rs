//! The encrypted payload (RFC 7296 section 3.14; for AEAD ciphers RFC 5282), one direction each.

use super::wire::{
    Fault, GENERIC_LEN, Header, Incoming, LENGTH_AT, Payload, WireError, first_kind, kind, parse_inner, put_header,
    put_payloads,
};
use adit_crypto::esp_cipher::{Backend, BadKeyLength, EspCipher};
use adit_crypto::suite::CipherSuite;
use std::fmt;

/// What protects one direction of an IKE SA. Seals with SK_ei/SK_ai what the initiator sends, or opens it.
pub struct SkCipher {
    cipher: EspCipher,
    /// Messages sealed so far: the next IV. Retransmissions send the sealed bytes again.
    counter: u64,
}

/// Why SK cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkError {
    /// There is no SK payload, it is too short, or its ICV does not verify: anybody may have sent this.
    #[error("integrity check failed")]
    BadIcv,
    /// The peer itself sent something that cannot be read (RFC 7296 section 2.21.2: answer INVALID_SYNTAX).
    #[error(transparent)]
    Syntax(#[from] WireError),
}

impl SkCipher {
    /// Sets the keys up: `sk_e` with its salt for an AEAD (RFC 5282 section 7.1), `sk_a` empty for an AEAD.
    pub fn new(backend: Backend, suite: CipherSuite, sk_e: &[u8], sk_a: &[u8]) -> Result<Self, BadKeyLength> {
        Ok(Self { cipher: EspCipher::new(backend, suite, sk_e, sk_a)?, counter: 0 })
    }

    /// A whole message, without the non-ESP marker, with `payloads` inside SK.
    pub fn seal(&mut self, header: &Header, payloads: &[Payload]) -> Vec<u8> {
        let suite = self.cipher.suite();
        let (iv_len, block, icv_len) = (suite.encr().iv_len(), suite.encr().block_len(), suite.icv_len());

        let mut message = Vec::with_capacity(1024);
        put_header(&mut message, header, kind::SK);
        message.extend([first_kind(payloads), 0, 0, 0]);
        let associated_len = message.len();
        message.resize(associated_len + iv_len, 0);
        let body_at = message.len();
        put_payloads(&mut message, payloads);
        // Padding of any content, then its length, up to the block (RFC 7296 section 3.14).
        let pad = (message.len() - body_at + 1).next_multiple_of(block) - (message.len() - body_at + 1);
        message.resize(message.len() + pad, 0);
        message.push(pad as u8);
        let body_len = message.len() - body_at;
        message.resize(message.len() + icv_len, 0);

        let total = message.len();
        let sk_len = total - (associated_len - GENERIC_LEN);
        debug_assert!(sk_len <= usize::from(u16::MAX));
        message[LENGTH_AT..Header::LEN].copy_from_slice(&(total as u32).to_be_bytes());
        message[associated_len - 2..associated_len].copy_from_slice(&(sk_len as u16).to_be_bytes());

        let (associated, rest) = message.split_at_mut(associated_len);
        let (iv, rest) = rest.split_at_mut(iv_len);
        let (body, icv) = rest.split_at_mut(body_len);
        self.cipher.seal((&*associated).into(), self.counter, iv, body, icv);
        self.counter += 1;
        message
    }

    /// The payloads inside SK, once its ICV has proven who sent it.
    pub fn open(&self, incoming: &Incoming<'_>) -> Result<Vec<Payload>, SkError> {
        let suite = self.cipher.suite();
        let sk = incoming.sk.ok_or(SkError::BadIcv)?;
        let (iv, sealed) = sk.body.split_at_checked(suite.encr().iv_len()).ok_or(SkError::BadIcv)?;
        let body_len = sealed.len().checked_sub(suite.icv_len()).ok_or(SkError::BadIcv)?;
        if body_len == 0 || body_len % suite.encr().block_len() != 0 {
            return Err(SkError::BadIcv);
        }
        let mut plain = sealed.to_vec();
        self.cipher.open(sk.associated.into(), iv, &mut plain).map_err(|_bad_icv| SkError::BadIcv)?;
        plain.truncate(body_len);

        let bad_padding = WireError::BadPayload { kind: kind::SK, fault: Fault::Padding };
        let (pad, front) = plain.split_last().ok_or(SkError::BadIcv)?;
        let inner_len = front.len().checked_sub(usize::from(*pad)).ok_or(bad_padding)?;
        Ok(parse_inner(sk.first_inner, front.get(..inner_len).unwrap_or_default())?)
    }
}

impl fmt::Debug for SkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SkCipher({})", self.cipher.suite())
    }
}
