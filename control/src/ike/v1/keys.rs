//! Key schedule and hashes (RFC 2409 sections 5 and 5.5, appendix B). Secrets are wiped when dropped and never shown; no
//! function here takes time that depends on them. Names follow RFC 2409 section 3.2: `_b` is a payload's body.
//!
//! Compare hashes as [`SecretBytes`]: that takes constant time.

use super::cipher::MessageCipher;
use super::suite::Suite;
use super::wire::{IkeSpi, Protocol};
use crate::ike::keys::DirectionKeys;
use adit_crypto::prf::prf;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::{CipherSuite, PrfId};

/// SKEYID: what only the two ends of phase 1 can know, before anything is derived from it.
#[derive(Debug, Clone)]
pub struct Skeyid {
    suite: Suite,
    /// SKEYID.
    pub skeyid: SecretBytes,
}

/// What the hashes of phase 1 cover, seen from neither end.
#[derive(Debug, Clone, Copy)]
pub struct Transcript<'a> {
    /// g^xi, as it stood in KE.
    pub public_i: &'a [u8],
    /// g^xr.
    pub public_r: &'a [u8],
    /// CKY-I.
    pub cookie_i: IkeSpi,
    /// CKY-R.
    pub cookie_r: IkeSpi,
    /// SAi_b: all proposals of the initiator, not what was chosen.
    pub sa_i: &'a [u8],
}

/// Everything that phase 1 derives for phase 2 and itself.
#[derive(Debug, Clone)]
pub struct IkeKeys {
    suite: Suite,
    /// Makes the keys of ESP SAs.
    pub skeyid_d: SecretBytes,
    /// Authenticates exchanges of phase 2.
    pub skeyid_a: SecretBytes,
    /// What encrypts messages, cut from SKEYID_e or grown out of it.
    pub cipher_key: SecretBytes,
}

/// What quick mode mixes into the keys of an ESP SA.
#[derive(Debug, Clone, Copy)]
pub struct QuickInput<'a> {
    /// g(qm)^xy, with PFS.
    pub shared: Option<&'a SecretBytes>,
    /// Ni_b.
    pub nonce_i: &'a [u8],
    /// Nr_b.
    pub nonce_r: &'a [u8],
}

impl Skeyid {
    /// For pre-shared keys: `prf(pre-shared-key, Ni_b | Nr_b)`.
    pub fn of_psk(suite: Suite, psk: &SecretBytes, nonce_i: &[u8], nonce_r: &[u8]) -> Self {
        Self { suite, skeyid: prf(suite.hash.prf(), psk.expose(), &[nonce_i, nonce_r]) }
    }

    /// For signatures and hybrid: `prf(Ni_b | Nr_b, g^xy)`.
    pub fn of_signatures(suite: Suite, shared: &SecretBytes, nonce_i: &[u8], nonce_r: &[u8]) -> Self {
        Self { suite, skeyid: prf(suite.hash.prf(), &[nonce_i, nonce_r].concat(), &[shared.expose()]) }
    }

    /// HASH_I: `prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b)`. With signatures it is what is signed.
    pub fn hash_i(&self, over: &Transcript<'_>, id_i: &[u8]) -> SecretBytes {
        let (cookie_i, cookie_r) = (over.cookie_i.0.to_be_bytes(), over.cookie_r.0.to_be_bytes());
        self.prf(&[over.public_i, over.public_r, &cookie_i, &cookie_r, over.sa_i, id_i])
    }

    /// HASH_R: `prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b)`. With signatures it is what is signed.
    pub fn hash_r(&self, over: &Transcript<'_>, id_r: &[u8]) -> SecretBytes {
        let (cookie_i, cookie_r) = (over.cookie_i.0.to_be_bytes(), over.cookie_r.0.to_be_bytes());
        self.prf(&[over.public_r, over.public_i, &cookie_r, &cookie_i, over.sa_i, id_r])
    }

    /// `prf(SKEYID, group secret)`: what a Cisco client says in hybrid mode (notification 40503) to show that it knows
    /// the group's secret, which takes no part in SKEYID there.
    pub fn preshared_key_hash(&self, group_secret: &SecretBytes) -> SecretBytes {
        self.prf(&[group_secret.expose()])
    }

    /// SKEYID_d, SKEYID_a, SKEYID_e, each from the one before and g^xy, and the key that encrypts messages.
    pub fn derive(&self, shared: &SecretBytes, cookie_i: IkeSpi, cookie_r: IkeSpi) -> IkeKeys {
        let (cookie_i, cookie_r) = (cookie_i.0.to_be_bytes(), cookie_r.0.to_be_bytes());
        let next =
            |previous: &[u8], number: u8| self.prf(&[previous, shared.expose(), &cookie_i, &cookie_r, &[number]]);
        let skeyid_d = next(&[], 0);
        let skeyid_a = next(skeyid_d.expose(), 1);
        let skeyid_e = next(skeyid_a.expose(), 2);
        IkeKeys { suite: self.suite, skeyid_d, skeyid_a, cipher_key: cipher_key(self.suite, &skeyid_e) }
    }

    fn prf(&self, parts: &[&[u8]]) -> SecretBytes {
        prf(self.suite.hash.prf(), self.skeyid.expose(), parts)
    }
}

impl IkeKeys {
    /// What these keys were made for.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Encrypts and decrypts this SA's messages, of both ends.
    pub fn cipher(&self) -> MessageCipher {
        MessageCipher::new(self.suite, &self.cipher_key)
    }

    /// HASH(1) of quick mode, and the hash of every informational and transaction message: `prf(SKEYID_a, M-ID |
    /// everything behind the HASH payload)` (RFC 2409 sections 5.5 and 5.7, draft-dukes-ike-mode-cfg-02 section 3.1).
    pub fn hash_1(&self, message_id: u32, behind: &[u8]) -> SecretBytes {
        self.prf_a(&[&message_id.to_be_bytes(), behind])
    }

    /// HASH(2) of quick mode: `prf(SKEYID_a, M-ID | Ni_b | everything behind the HASH payload)`.
    pub fn hash_2(&self, message_id: u32, nonce_i: &[u8], behind: &[u8]) -> SecretBytes {
        self.prf_a(&[&message_id.to_be_bytes(), nonce_i, behind])
    }

    /// HASH(3) of quick mode: `prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b)`.
    pub fn hash_3(&self, message_id: u32, nonce_i: &[u8], nonce_r: &[u8]) -> SecretBytes {
        self.prf_a(&[&[0], &message_id.to_be_bytes(), nonce_i, nonce_r])
    }

    /// Keys of the ESP SA with this SPI, that is of the direction towards the end which chose it (RFC 2409 section 5.5):
    /// encryption first, then integrity (RFC 2401 section 4.4.3's order, which everybody keeps).
    pub fn esp(&self, suite: CipherSuite, spi: u32, input: &QuickInput<'_>) -> DirectionKeys {
        let (encr_len, integ_len) = (suite.encr().key_len(), suite.integ_key_len());
        let keymat = self.keymat(Protocol::Esp, &spi.to_be_bytes(), input, encr_len + integ_len);
        let (encr, integ) = keymat.expose().split_at(encr_len.min(keymat.len()));
        DirectionKeys { encr: SecretBytes::from(encr), integ: SecretBytes::from(integ) }
    }

    /// `KEYMAT = K1 | K2 | …` with `Kn = prf(SKEYID_d, Kn-1 | [g(qm)^xy |] protocol | SPI | Ni_b | Nr_b)`.
    fn keymat(&self, protocol: Protocol, spi: &[u8], input: &QuickInput<'_>, len: usize) -> SecretBytes {
        let shared = input.shared.map_or(&[][..], SecretBytes::expose);
        let seed = [shared, &[protocol.iana()], spi, input.nonce_i, input.nonce_r];
        grow(self.suite.hash.prf(), &self.skeyid_d, &[], &seed, len)
    }

    fn prf_a(&self, parts: &[&[u8]]) -> SecretBytes {
        prf(self.suite.hash.prf(), self.skeyid_a.expose(), parts)
    }
}

/// SKEYID_e cut to the cipher's key, or `K1 | K2 | …` with `K1 = prf(SKEYID_e, 0)`, `Kn = prf(SKEYID_e, Kn-1)` if it is
/// too short (RFC 2409 appendix B).
fn cipher_key(suite: Suite, skeyid_e: &SecretBytes) -> SecretBytes {
    let len = suite.cipher.key_len();
    match skeyid_e.expose().get(..len) {
        Some(key) => SecretBytes::from(key),
        None => grow(suite.hash.prf(), skeyid_e, &[0], &[], len),
    }
}

/// `K1 | K2 | …` cut to `len` octets, with `K1 = prf(key, first | seed)` and `Kn = prf(key, Kn-1 | seed)`.
fn grow(id: PrfId, key: &SecretBytes, first: &[u8], seed: &[&[u8]], len: usize) -> SecretBytes {
    let mut previous = SecretBytes::from(first);
    // Room for every block at once, so that no copy of the keys stays behind in memory that grew.
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        let parts: Vec<&[u8]> = std::iter::once(previous.expose()).chain(seed.iter().copied()).collect();
        let next = prf(id, key.expose(), &parts);
        out.extend(next.expose().iter().take(len - out.len()));
        previous = next;
    }
    SecretBytes::new(out)
}
