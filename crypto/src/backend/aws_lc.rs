//! `aws-lc-rs`: AES-NI, AVX-512 and friends chosen at run time. Its contexts wipe themselves when dropped.
//!
//! It has no CCM, no GCM with a cut ICV, no MD5, and Triple DES only in a build of all of AWS-LC.
//!
//! Nothing here allocates, with one exception outside our reach: the first failed `open` of a thread makes
//! AWS-LC allocate that thread's error queue, of fixed size.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::{AeadKey, BlockKey, MacKey, Refused};
use crate::esp_cipher::{Backend, Header};
use crate::suite::Integ;

/// AES-GCM or ChaCha20-Poly1305 with an ICV of 16 octets.
pub(crate) struct AwsLcAead(LessSafeKey);

impl AwsLcAead {
    /// `None` if `key` (without salt) is none of AES.
    pub(crate) fn gcm(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Self::new(&AES_128_GCM, key),
            24 => Self::new(&AES_192_GCM, key),
            32 => Self::new(&AES_256_GCM, key),
            _no_aes_key => None,
        }
    }

    /// `None` if `key` (without salt) has not its length.
    pub(crate) fn chacha20_poly1305(key: &[u8]) -> Option<Self> {
        Self::new(&CHACHA20_POLY1305, key)
    }

    fn new(algorithm: &'static Algorithm, key: &[u8]) -> Option<Self> {
        Some(Self(LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?)))
    }
}

impl AeadKey<12, 16> for AwsLcAead {
    #[inline]
    fn seal(&self, nonce: [u8; 12], aad: &[u8], body: &mut [u8], icv: &mut [u8; 16]) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_scatter(nonce, Aad::from(aad), body, &[], icv).map_err(|_| Refused)
    }

    #[inline]
    fn open(&self, nonce: [u8; 12], aad: &[u8], body: &mut [u8], icv: &[u8; 16]) -> Result<(), Refused> {
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

/// Unpadded AES-CBC. The library keeps both key schedules in either key.
pub(crate) struct AwsLcCbc {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

impl AwsLcCbc {
    /// `None` if `key` is none of AES.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &AES_128,
            24 => &AES_192,
            32 => &AES_256,
            _no_aes_key => return None,
        };
        Some(Self {
            encrypting: EncryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?,
            decrypting: DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?,
        })
    }
}

impl BlockKey<16> for AwsLcCbc {
    fn encrypt(&self, iv: &[u8; 16], body: &mut [u8]) -> Result<(), Refused> {
        let iv = EncryptionContext::Iv128(FixedLength::from(iv));
        self.encrypting.less_safe_encrypt(body, iv).map(drop).map_err(|_| Refused)
    }

    fn decrypt(&self, iv: &[u8; 16], body: &mut [u8]) -> Result<(), Refused> {
        let iv = DecryptionContext::Iv128(FixedLength::from(iv));
        self.decrypting.decrypt(body, iv).map(drop).map_err(|_| Refused)
    }
}

pub(crate) struct AwsLcMac(hmac::Key);

impl MacKey for AwsLcMac {
    const BACKEND: Backend = Backend::AwsLc;

    fn new(integ: Integ, key: &[u8]) -> Option<Self> {
        let algorithm = match integ {
            Integ::HmacMd5_96 => return None,
            Integ::HmacSha1_96 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Integ::HmacSha256_128 => hmac::HMAC_SHA256,
            Integ::HmacSha384_192 => hmac::HMAC_SHA384,
            Integ::HmacSha512_256 => hmac::HMAC_SHA512,
        };
        Some(Self(hmac::Key::new(algorithm, key)))
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
