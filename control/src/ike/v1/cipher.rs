//! Encryption of messages and its chain of IVs (RFC 2409 section 5 and appendix B).
//!
//! Each phase has chains of its own: one for phase 1, one for each message ID of phase 2. A chain goes on with the last
//! block of whatever was sent or received last. [`Iv`]s are values: who opens a message gets the next IV beside it and
//! keeps it only when the HASH inside has proven who sent it, so a forged message cannot tear the chain.

use super::suite::Suite;
use super::wire::{
    Chain, GENERIC_LEN, Header, LENGTH_AT, Payload, Sealed, WireError, first_kind, kind, parse_inner, put_header,
    put_payloads,
};
use adit_crypto::cbc::{CbcKey, NotBlocks};
use adit_crypto::hash::hash;
use adit_crypto::secret::SecretBytes;

/// What encrypts an SA's messages. Both ends use the same key.
#[derive(Debug)]
pub struct MessageCipher {
    suite: Suite,
    key: CbcKey,
}

/// Where a chain stands: the IV of its next message. One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iv(Vec<u8>);

/// A message decrypted. Nobody has vouched for it until its HASH, or what it signs, has been checked.
#[derive(Debug)]
pub struct Opened {
    first: u8,
    plain: SecretBytes,
    /// Where the chain stands behind this message.
    pub next: Iv,
}

impl Iv {
    /// One block.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl MessageCipher {
    /// `key` has the cipher's length: `keys.rs` cuts it.
    #[expect(clippy::expect_used, reason = "the key schedule makes keys of exactly the cipher's length")]
    pub(super) fn new(suite: Suite, key: &SecretBytes) -> Self {
        let key = CbcKey::new(suite.cipher, key.expose()).expect("the key schedule makes keys of the cipher's length");
        Self { suite, key }
    }

    /// The first IV of phase 1: `hash(g^xi | g^xr)`, cut to a block.
    pub fn phase_1_iv(&self, public_i: &[u8], public_r: &[u8]) -> Iv {
        self.cut(hash(self.suite.hash, &[public_i, public_r]))
    }

    /// The first IV of an exchange of phase 2: `hash(last block of phase 1 | M-ID)`, cut to a block.
    pub fn exchange_iv(&self, phase_1: &Iv, message_id: u32) -> Iv {
        self.cut(hash(self.suite.hash, &[&phase_1.0, &message_id.to_be_bytes()]))
    }

    /// A whole message, without the non-ESP marker, and where the chain stands behind it.
    pub fn seal(&self, iv: &Iv, header: &Header, payloads: &[Payload]) -> (Vec<u8>, Iv) {
        let mut plain = Vec::with_capacity(512);
        put_payloads(&mut plain, payloads);
        self.encrypt(iv, header, first_kind(payloads), &SecretBytes::new(plain))
    }

    /// The same with a HASH payload in front. `hash` is given what it covers: everything behind it.
    pub fn seal_hashed(
        &self,
        iv: &Iv,
        header: &Header,
        payloads: &[Payload],
        hash: impl FnOnce(&[u8]) -> SecretBytes,
    ) -> (Vec<u8>, Iv) {
        let mut behind = Vec::with_capacity(512);
        put_payloads(&mut behind, payloads);
        let hash = hash(&behind);
        let mut plain = Vec::with_capacity(GENERIC_LEN + hash.len() + behind.len());
        plain.extend([first_kind(payloads), 0]);
        plain.extend(((GENERIC_LEN + hash.len()) as u16).to_be_bytes());
        // It leaves for the peer in this message.
        plain.extend(hash.expose());
        plain.extend(&behind);
        // XAUTH's answers hold a password.
        drop(SecretBytes::new(behind));
        self.encrypt(iv, header, kind::HASH, &SecretBytes::new(plain))
    }

    /// Decrypts. `Err` if it is no whole number of blocks.
    pub fn open(&self, iv: &Iv, sealed: &Sealed<'_>) -> Result<Opened, NotBlocks> {
        let mut plain = sealed.ciphertext.to_vec();
        self.key.decrypt(&iv.0, &mut plain)?;
        Ok(Opened { first: sealed.first, plain: SecretBytes::new(plain), next: self.last_block(sealed.ciphertext) })
    }

    fn encrypt(&self, iv: &Iv, header: &Header, first: u8, plain: &SecretBytes) -> (Vec<u8>, Iv) {
        let mut header = *header;
        header.flags.encrypted = true;
        // RFC 2409 section 5: "padded […] with zeros".
        let body_len = plain.len().next_multiple_of(self.suite.cipher.block_len());
        let mut message = Vec::with_capacity(Header::LEN + body_len);
        put_header(&mut message, &header, first);
        message.extend(plain.expose());
        message.resize(Header::LEN + body_len, 0);
        let total = (message.len() as u32).to_be_bytes();
        let (head, body) = message.split_at_mut(Header::LEN);
        head[LENGTH_AT..].copy_from_slice(&total);
        let sealed = self.key.encrypt(&iv.0, body);
        debug_assert_eq!(sealed, Ok(()), "padded to whole blocks, with an IV of one");
        let next = self.last_block(body);
        (message, next)
    }

    fn cut(&self, mut octets: Vec<u8>) -> Iv {
        octets.truncate(self.suite.cipher.block_len());
        Iv(octets)
    }

    fn last_block(&self, ciphertext: &[u8]) -> Iv {
        let at = ciphertext.len().saturating_sub(self.suite.cipher.block_len());
        Iv(ciphertext.get(at..).unwrap_or_default().to_vec())
    }
}

impl Opened {
    /// The payloads. `Err` is what a wrong key looks like too.
    pub fn chain(&self) -> Result<Chain<'_>, WireError> {
        parse_inner(self.first, self.plain.expose())
    }
}
