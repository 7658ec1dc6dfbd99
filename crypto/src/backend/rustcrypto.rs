//! The RustCrypto crates: portable, no C. Their `zeroize` features wipe key schedules when dropped.

use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};
use cbc::{Decryptor, Encryptor};
use chacha20poly1305::ChaCha20Poly1305;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::{AeadKey, BlockKey, MacKey, Refused};
use crate::aead::{ICV_LEN, NONCE_LEN};
use crate::cbc_hmac::BLOCK_LEN;
use crate::esp_cipher::Header;
use crate::suite::{Encr, Integ};

pub(crate) enum RustCryptoAead {
    Aes128Gcm(Aes128Gcm),
    Aes256Gcm(Aes256Gcm),
    ChaCha20Poly1305(ChaCha20Poly1305),
}

impl AeadKey for RustCryptoAead {
    fn new(encr: Encr, key: &[u8]) -> Option<Self> {
        match encr {
            Encr::Aes128Gcm16 => Aes128Gcm::new_from_slice(key).ok().map(Self::Aes128Gcm),
            Encr::Aes256Gcm16 => Aes256Gcm::new_from_slice(key).ok().map(Self::Aes256Gcm),
            Encr::ChaCha20Poly1305 => ChaCha20Poly1305::new_from_slice(key).ok().map(Self::ChaCha20Poly1305),
            Encr::Aes128Cbc | Encr::Aes256Cbc => None,
        }
    }

    #[inline]
    fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        body: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Refused> {
        let (nonce, body) = (Array(nonce), body.into());
        let tag = match self {
            Self::Aes128Gcm(key) => key.encrypt_inout_detached(&nonce, aad, body),
            Self::Aes256Gcm(key) => key.encrypt_inout_detached(&nonce, aad, body),
            Self::ChaCha20Poly1305(key) => key.encrypt_inout_detached(&nonce, aad, body),
        };
        *icv = tag.map_err(|_| Refused)?.0;
        Ok(())
    }

    #[inline]
    fn open(&self, nonce: [u8; NONCE_LEN], aad: &[u8], body: &mut [u8], icv: &[u8; ICV_LEN]) -> Result<(), Refused> {
        let (nonce, icv, body) = (Array(nonce), Array(*icv), body.into());
        // All three verify first and leave the ciphertext alone when the tag is wrong.
        let opened = match self {
            Self::Aes128Gcm(key) => key.decrypt_inout_detached(&nonce, aad, body, &icv),
            Self::Aes256Gcm(key) => key.decrypt_inout_detached(&nonce, aad, body, &icv),
            Self::ChaCha20Poly1305(key) => key.decrypt_inout_detached(&nonce, aad, body, &icv),
        };
        opened.map_err(|_| Refused)
    }
}

pub(crate) enum RustCryptoCbc {
    Aes128(Aes128),
    Aes256(Aes256),
}

impl BlockKey for RustCryptoCbc {
    fn new(encr: Encr, key: &[u8]) -> Option<Self> {
        match encr {
            Encr::Aes128Cbc => Aes128::new_from_slice(key).ok().map(Self::Aes128),
            Encr::Aes256Cbc => Aes256::new_from_slice(key).ok().map(Self::Aes256),
            Encr::Aes128Gcm16 | Encr::Aes256Gcm16 | Encr::ChaCha20Poly1305 => None,
        }
    }

    fn encrypt(&self, iv: &[u8; BLOCK_LEN], body: &mut [u8]) -> Result<(), Refused> {
        let (blocks, rest) = Array::slice_as_chunks_mut(body);
        if !rest.is_empty() {
            return Err(Refused);
        }
        let iv = Array(*iv);
        match self {
            Self::Aes128(key) => Encryptor::inner_iv_init(key, &iv).encrypt_blocks(blocks),
            Self::Aes256(key) => Encryptor::inner_iv_init(key, &iv).encrypt_blocks(blocks),
        }
        Ok(())
    }

    fn decrypt(&self, iv: &[u8; BLOCK_LEN], body: &mut [u8]) -> Result<(), Refused> {
        let (blocks, rest) = Array::slice_as_chunks_mut(body);
        if !rest.is_empty() {
            return Err(Refused);
        }
        let iv = Array(*iv);
        match self {
            Self::Aes128(key) => Decryptor::inner_iv_init(key, &iv).decrypt_blocks(blocks),
            Self::Aes256(key) => Decryptor::inner_iv_init(key, &iv).decrypt_blocks(blocks),
        }
        Ok(())
    }
}

pub(crate) enum RustCryptoMac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl MacKey for RustCryptoMac {
    fn new(integ: Integ, key: &[u8]) -> Self {
        match integ {
            Integ::HmacSha1_96 => Self::Sha1(keyed(key)),
            Integ::HmacSha256_128 => Self::Sha256(keyed(key)),
            Integ::HmacSha384_192 => Self::Sha384(keyed(key)),
            Integ::HmacSha512_256 => Self::Sha512(keyed(key)),
        }
    }

    fn tag<R>(&self, header: Header<'_>, iv: &[u8], body: &[u8], use_tag: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Sha1(mac) => tag(mac.clone(), header, iv, body, use_tag),
            Self::Sha256(mac) => tag(mac.clone(), header, iv, body, use_tag),
            Self::Sha384(mac) => tag(mac.clone(), header, iv, body, use_tag),
            Self::Sha512(mac) => tag(mac.clone(), header, iv, body, use_tag),
        }
    }
}

/// An HMAC with its key absorbed.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 section 2); the error cannot occur")]
pub(crate) fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn tag<M: Mac, R>(mut mac: M, header: Header<'_>, iv: &[u8], body: &[u8], use_tag: impl FnOnce(&[u8]) -> R) -> R {
    mac.update(header.bytes);
    mac.update(iv);
    mac.update(body);
    if let Some(high) = header.esn_high {
        mac.update(&high.to_be_bytes());
    }
    use_tag(&mac.finalize().into_bytes())
}
