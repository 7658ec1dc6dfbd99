//! `aws-lc-rs`: AES-NI, AVX-512 and friends chosen at run time. Its contexts wipe themselves when dropped.
//!
//! Nothing here allocates, with one exception outside our reach: the first failed `open` of a thread makes
//! AWS-LC allocate that thread's error queue, of fixed size.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::{AeadKey, BlockKey, MacKey, Refused};
use crate::aead::{ICV_LEN, NONCE_LEN};
use crate::cbc_hmac::BLOCK_LEN;
use crate::esp_cipher::Header;
use crate::suite::{Encr, Integ};

pub(crate) struct AwsLcAead(LessSafeKey);

impl AeadKey for AwsLcAead {
    fn new(encr: Encr, key: &[u8]) -> Option<Self> {
        let algorithm = match encr {
            Encr::Aes128Gcm16 => &AES_128_GCM,
            Encr::Aes256Gcm16 => &AES_256_GCM,
            Encr::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            Encr::Aes128Cbc | Encr::Aes256Cbc => return None,
        };
        Some(Self(LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?)))
    }

    #[inline]
    fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        body: &mut [u8],
        icv: &mut [u8; ICV_LEN],
    ) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_scatter(nonce, Aad::from(aad), body, &[], icv).map_err(|_| Refused)
    }

    #[inline]
    fn open(&self, nonce: [u8; NONCE_LEN], aad: &[u8], body: &mut [u8], icv: &[u8; ICV_LEN]) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.0.open_in_place_separate_tag(nonce, Aad::from(aad), icv, body) {
            Ok(_) => Ok(()),
            Err(_) => {
                // AWS-LC decrypts and authenticates in one pass. It clears its output when the tag is wrong, but
                // the wrapper documents the contents as unspecified, so it is made certain here.
                body.fill(0);
                Err(Refused)
            }
        }
    }
}

/// Unpadded CBC. The library keeps both key schedules in either key.
pub(crate) struct AwsLcCbc {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

impl BlockKey for AwsLcCbc {
    fn new(encr: Encr, key: &[u8]) -> Option<Self> {
        let algorithm = match encr {
            Encr::Aes128Cbc => &AES_128,
            Encr::Aes256Cbc => &AES_256,
            Encr::Aes128Gcm16 | Encr::Aes256Gcm16 | Encr::ChaCha20Poly1305 => return None,
        };
        Some(Self {
            encrypting: EncryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?,
            decrypting: DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?,
        })
    }

    fn encrypt(&self, iv: &[u8; BLOCK_LEN], body: &mut [u8]) -> Result<(), Refused> {
        let iv = EncryptionContext::Iv128(FixedLength::from(iv));
        self.encrypting.less_safe_encrypt(body, iv).map(drop).map_err(|_| Refused)
    }

    fn decrypt(&self, iv: &[u8; BLOCK_LEN], body: &mut [u8]) -> Result<(), Refused> {
        let iv = DecryptionContext::Iv128(FixedLength::from(iv));
        self.decrypting.decrypt(body, iv).map(drop).map_err(|_| Refused)
    }
}

pub(crate) struct AwsLcMac(hmac::Key);

impl MacKey for AwsLcMac {
    fn new(integ: Integ, key: &[u8]) -> Self {
        let algorithm = match integ {
            Integ::HmacSha1_96 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Integ::HmacSha256_128 => hmac::HMAC_SHA256,
            Integ::HmacSha384_192 => hmac::HMAC_SHA384,
            Integ::HmacSha512_256 => hmac::HMAC_SHA512,
        };
        Self(hmac::Key::new(algorithm, key))
    }

    fn tag<R>(&self, header: Header<'_>, iv: &[u8], body: &[u8], use_tag: impl FnOnce(&[u8]) -> R) -> R {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(header.bytes);
        context.update(iv);
        context.update(body);
        if let Some(high) = header.esn_high {
            context.update(&high.to_be_bytes());
        }
        use_tag(context.sign().as_ref())
    }
}
