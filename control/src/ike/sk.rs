//! The encrypted payload (RFC 7296 section 3.14; for AEAD ciphers RFC 5282), one direction each, whole or in
//! fragments (RFC 7383 section 2.5).

use super::wire::{
    FRAGMENT_HEADER_LEN, Fault, GENERIC_LEN, Header, Incoming, Joined, LENGTH_AT, Payload, Sealed, SkPayload,
    SkfPayload, WireError, first_kind, kind, parse_inner, put_header, put_payloads,
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
        let mut plain = Vec::with_capacity(1024);
        put_payloads(&mut plain, payloads);
        let mut message = Vec::with_capacity(1024);
        self.put_sealed(&mut message, header, first_kind(payloads), Part::All, &plain);
        message
    }

    /// The same in messages of at most `limit` octets, one after the other; a single one if it fits. Each says its
    /// own length, so [`messages`](super::wire::messages) finds them again.
    pub fn seal_in_fragments(&mut self, limit: usize, header: &Header, payloads: &[Payload]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(1024);
        put_payloads(&mut plain, payloads);
        let mut out = Vec::with_capacity(1024);
        let first_inner = first_kind(payloads);
        if self.room(limit, Part::All) >= plain.len() {
            self.put_sealed(&mut out, header, first_inner, Part::All, &plain);
            return out;
        }
        let room = self.room(limit, Part::One { number: 1, total: 1 }).max(1);
        let total = plain.len().div_ceil(room) as u16;
        for (chunk, number) in plain.chunks(room).zip(1..=u16::MAX) {
            // RFC 7383 section 2.5: the first says what is inside, the others do not.
            let first_inner = if number == 1 { first_inner } else { kind::NONE };
            self.put_sealed(&mut out, header, first_inner, Part::One { number, total }, chunk);
        }
        out
    }

    /// The payloads inside SK, once its ICV has proven who sent it.
    pub fn open(&self, incoming: &Incoming<'_>) -> Result<Vec<Payload>, SkError> {
        match incoming.sealed {
            Sealed::Whole(sk) => Ok(parse_inner(sk.first_inner, &self.opened(&sk)?)?),
            Sealed::Joined(Joined { first_inner, plain }) => Ok(parse_inner(first_inner, plain)?),
            Sealed::Nothing | Sealed::Fragment(_) => Err(SkError::BadIcv),
        }
    }

    /// The octets inside one fragment, once its ICV has proven who sent it.
    pub fn open_fragment(&self, skf: &SkfPayload<'_>) -> Result<Vec<u8>, SkError> {
        self.opened(&skf.sk)
    }

    fn opened(&self, sk: &SkPayload<'_>) -> Result<Vec<u8>, SkError> {
        let suite = self.cipher.suite();
        let (iv, sealed) = sk.body.split_at_checked(suite.encr().iv_len()).ok_or(SkError::BadIcv)?;
        let body_len = sealed.len().checked_sub(suite.icv_len()).ok_or(SkError::BadIcv)?;
        if body_len == 0 || body_len % suite.encr().block_len() != 0 {
            return Err(SkError::BadIcv);
        }
        let mut plain = sealed.to_vec();
        self.cipher.open(sk.associated.into(), iv, &mut plain).map_err(|_bad_icv| SkError::BadIcv)?;
        plain.truncate(body_len);

        let bad_padding = WireError::BadPayload { kind: kind::SK, fault: Fault::Padding };
        let pad = plain.pop().ok_or(SkError::BadIcv)?;
        let inner_len = plain.len().checked_sub(usize::from(pad)).ok_or(bad_padding)?;
        plain.truncate(inner_len);
        Ok(plain)
    }

    /// How much plaintext a message of `limit` octets has room for.
    fn room(&self, limit: usize, part: Part) -> usize {
        let suite = self.cipher.suite();
        let around = Header::LEN + part.header_len() + suite.encr().iv_len() + suite.icv_len();
        let body = limit.saturating_sub(around) / suite.encr().block_len() * suite.encr().block_len();
        // The octet that says how long the padding is.
        body.saturating_sub(1)
    }

    /// One message with `plain` inside SK or SKF.
    fn put_sealed(&mut self, out: &mut Vec<u8>, header: &Header, first_inner: u8, part: Part, plain: &[u8]) {
        let suite = self.cipher.suite();
        let (iv_len, block, icv_len) = (suite.encr().iv_len(), suite.encr().block_len(), suite.icv_len());
        // Padding of any content, then its length, up to the block (RFC 7296 section 3.14).
        let body_len = (plain.len() + 1).next_multiple_of(block);
        let sk_len = part.header_len() + iv_len + body_len + icv_len;
        debug_assert!(sk_len <= usize::from(u16::MAX));

        let start = out.len();
        put_header(out, header, part.kind());
        out.extend([first_inner, 0]);
        out.extend((sk_len as u16).to_be_bytes());
        if let Part::One { number, total } = part {
            out.extend(number.to_be_bytes());
            out.extend(total.to_be_bytes());
        }
        let associated_len = out.len() - start;
        out.resize(out.len() + iv_len, 0);
        out.extend(plain);
        out.resize(start + associated_len + iv_len + body_len - 1, 0);
        out.push((body_len - 1 - plain.len()) as u8);
        out.resize(out.len() + icv_len, 0);

        let (_, message) = out.split_at_mut(start);
        let total_len = (message.len() as u32).to_be_bytes();
        message[LENGTH_AT..Header::LEN].copy_from_slice(&total_len);
        let (associated, rest) = message.split_at_mut(associated_len);
        let (iv, rest) = rest.split_at_mut(iv_len);
        let (body, icv) = rest.split_at_mut(body_len);
        self.cipher.seal((&*associated).into(), self.counter, iv, body, icv);
        self.counter += 1;
    }
}

/// How much of a message goes into an encrypted payload.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// SK.
    All,
    /// SKF.
    One { number: u16, total: u16 },
}

impl Part {
    const fn kind(self) -> u8 {
        match self {
            Self::All => kind::SK,
            Self::One { .. } => kind::SKF,
        }
    }

    const fn header_len(self) -> usize {
        match self {
            Self::All => GENERIC_LEN,
            Self::One { .. } => FRAGMENT_HEADER_LEN,
        }
    }
}

impl fmt::Debug for SkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SkCipher({})", self.cipher.suite())
    }
}
