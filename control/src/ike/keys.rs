//! Key schedule and proof of identity (RFC 7296 sections 2.13 to 2.18). Secrets are wiped when dropped and never
//! shown; no function here takes time that depends on them.

use super::sk::SkCipher;
use super::wire::{Id, IkeSpi, id_body};
use crate::config::checked::IkeSuite;
use adit_crypto::esp_cipher::{Backend, BadKeyLength};
use adit_crypto::prf::{prf, prf_plus};
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::{CipherSuite, PrfId};

/// Everything that one IKE SA derives (RFC 7296 section 2.14).
#[derive(Debug, Clone)]
pub struct IkeKeys {
    suite: IkeSuite,
    /// Derives the children's keys and the next IKE SA's.
    pub sk_d: SecretBytes,
    /// Integrity of what the initiator sends; empty for an AEAD.
    pub sk_ai: SecretBytes,
    /// Integrity of what the responder sends; empty for an AEAD.
    pub sk_ar: SecretBytes,
    /// Encryption of what the initiator sends, with the salt of an AEAD.
    pub sk_ei: SecretBytes,
    /// Encryption of what the responder sends, with the salt of an AEAD.
    pub sk_er: SecretBytes,
    /// Goes into the initiator's AUTH.
    pub sk_pi: SecretBytes,
    /// Goes into the responder's AUTH.
    pub sk_pr: SecretBytes,
}

/// Keys of one direction of a child SA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectionKeys {
    /// Encryption, with the salt of an AEAD.
    pub encr: SecretBytes,
    /// Integrity; empty for an AEAD.
    pub integ: SecretBytes,
}

/// Keys of a child SA. "Initiator" is who started the exchange that made it, not the IKE SA's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildKeys {
    /// Taken from KEYMAT first (RFC 7296 section 2.17).
    pub initiator_to_responder: DirectionKeys,
    /// Taken after.
    pub responder_to_initiator: DirectionKeys,
}

/// One side of the proof of identity.
#[derive(Debug, Clone, Copy)]
pub struct AuthInput<'a> {
    /// The first message that this side sent, whole, without the non-ESP marker.
    pub first_message: &'a [u8],
    /// The other side's nonce.
    pub nonce_other: &'a [u8],
    /// SK_pi for the initiator, SK_pr for the responder.
    pub sk_p: &'a SecretBytes,
    /// This side's identity as it sent it.
    pub id: &'a Id,
}

impl IkeKeys {
    /// Keys of a new IKE SA: `SKEYSEED = prf(Ni | Nr, g^ir)` (RFC 7296 section 2.14).
    pub fn derive(
        suite: IkeSuite,
        shared: &SecretBytes,
        nonce_i: &[u8],
        nonce_r: &[u8],
        spi_i: IkeSpi,
        spi_r: IkeSpi,
    ) -> Self {
        let skeyseed = prf(suite.prf, &[nonce_i, nonce_r].concat(), &[shared.expose()]);
        Self::expand(suite, &skeyseed, nonce_i, nonce_r, spi_i, spi_r)
    }

    /// Keys of the IKE SA that follows `old`: `SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr)` with the old SA's
    /// PRF (RFC 7296 section 2.18). Nonces and SPIs are those of the rekey exchange.
    pub fn rekey(
        old: &Self,
        suite: IkeSuite,
        shared: &SecretBytes,
        nonce_i: &[u8],
        nonce_r: &[u8],
        spi_i: IkeSpi,
        spi_r: IkeSpi,
    ) -> Self {
        let skeyseed = prf(old.suite.prf, old.sk_d.expose(), &[shared.expose(), nonce_i, nonce_r]);
        Self::expand(suite, &skeyseed, nonce_i, nonce_r, spi_i, spi_r)
    }

    fn expand(
        suite: IkeSuite,
        skeyseed: &SecretBytes,
        nonce_i: &[u8],
        nonce_r: &[u8],
        spi_i: IkeSpi,
        spi_r: IkeSpi,
    ) -> Self {
        let prf_len = suite.prf.output_len();
        let integ_len = suite.cipher.integ_key_len();
        let encr_len = suite.cipher.encr().key_len();
        let seed = [nonce_i, nonce_r, &spi_i.0.to_be_bytes(), &spi_r.0.to_be_bytes()];
        let stream = prf_plus(suite.prf, skeyseed.expose(), &seed, 3 * prf_len + 2 * integ_len + 2 * encr_len);
        let mut cut = Cut(stream.expose());
        Self {
            suite,
            sk_d: cut.next(prf_len),
            sk_ai: cut.next(integ_len),
            sk_ar: cut.next(integ_len),
            sk_ei: cut.next(encr_len),
            sk_er: cut.next(encr_len),
            sk_pi: cut.next(prf_len),
            sk_pr: cut.next(prf_len),
        }
    }

    /// What these keys were made for.
    pub fn suite(&self) -> IkeSuite {
        self.suite
    }

    /// Seals or opens what the original initiator sends.
    pub fn initiator_cipher(&self, backend: Backend) -> Result<SkCipher, BadKeyLength> {
        SkCipher::new(backend, self.suite.cipher, self.sk_ei.expose(), self.sk_ai.expose())
    }

    /// Seals or opens what the original responder sends.
    pub fn responder_cipher(&self, backend: Backend) -> Result<SkCipher, BadKeyLength> {
        SkCipher::new(backend, self.suite.cipher, self.sk_er.expose(), self.sk_ar.expose())
    }

    /// Keys of a child SA: `KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr)` (RFC 7296 section 2.17). Nonces are those of
    /// the exchange that makes the child; `shared` is that exchange's own, if it had one.
    pub fn child_keymat(
        &self,
        child: CipherSuite,
        shared: Option<&SecretBytes>,
        nonce_i: &[u8],
        nonce_r: &[u8],
    ) -> ChildKeys {
        let (encr_len, integ_len) = (child.encr().key_len(), child.integ_key_len());
        let fresh = shared.map_or(&[][..], SecretBytes::expose);
        let seed = [fresh, nonce_i, nonce_r];
        let stream = prf_plus(self.suite.prf, self.sk_d.expose(), &seed, 2 * (encr_len + integ_len));
        let mut cut = Cut(stream.expose());
        let mut direction = || DirectionKeys { encr: cut.next(encr_len), integ: cut.next(integ_len) };
        ChildKeys { initiator_to_responder: direction(), responder_to_initiator: direction() }
    }
}

/// AUTH data of a pre-shared key (RFC 7296 section 2.15). Compare it as [`SecretBytes`]: that takes constant time.
pub fn psk_auth(prf_id: PrfId, psk: &SecretBytes, input: &AuthInput<'_>) -> SecretBytes {
    let key = prf(prf_id, psk.expose(), &[KEY_PAD]);
    let maced_id = prf(prf_id, input.sk_p.expose(), &[&id_body(input.id)]);
    prf(prf_id, key.expose(), &[input.first_message, input.nonce_other, maced_id.expose()])
}

/// RFC 7296 section 2.15: 17 octets, no terminator.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// Takes keys off a stream from the left.
struct Cut<'a>(&'a [u8]);

impl Cut<'_> {
    fn next(&mut self, len: usize) -> SecretBytes {
        debug_assert!(len <= self.0.len());
        let (key, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        SecretBytes::from(key)
    }
}
