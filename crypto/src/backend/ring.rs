//! `ring`: AES-GCM on VAES and VPCLMULQDQ with registers of 256 bits, where AWS-LC wants AVX-512 for them.
//!
//! It does not wipe its keys, so that is done here: a key lies in a box, which it never leaves, and ends there by being
//! overwritten with another key. `crypto/tests/wiped.rs` looks for what is left.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, Tag, UnboundKey};
use std::sync::LazyLock;
use zeroize::optimization_barrier;

use super::{AeadKey, Refused};

/// AES-GCM with an ICV of 16 octets.
pub(crate) struct RingGcm(Box<LessSafeKey>);

/// What a key is overwritten with: as long as any other, and of the same variant, since the CPU alone decides on that.
static BLANK: LazyLock<Option<LessSafeKey>> = LazyLock::new(|| keyed(&AES_128_GCM, &[0; 16]));

impl RingGcm {
    /// `None` if `key` (without salt) is none of AES-128 or AES-256; the library has no AES-192.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        // Without something to overwrite keys with there shall be none.
        BLANK.as_ref()?;
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _no_such_key => return None,
        };
        keyed(algorithm, key).map(|key| Self(Box::new(key)))
    }
}

fn keyed(algorithm: &'static Algorithm, key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

impl AeadKey<12, 16> for RingGcm {
    #[inline]
    fn seal(&self, nonce: [u8; 12], aad: &[u8], body: &mut [u8], icv: &mut [u8; 16]) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| Refused)?;
        icv.copy_from_slice(tag.as_ref());
        Ok(())
    }

    #[inline]
    fn open(&self, nonce: [u8; 12], aad: &[u8], body: &mut [u8], icv: &[u8; 16]) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        match self.0.open_in_place_separate_tag(nonce, Aad::from(aad), Tag::from(*icv), body, 0..) {
            Ok(_) => Ok(()),
            Err(_) => {
                // The library clears what it decrypted, but does not promise to.
                body.fill(0);
                Err(Refused)
            }
        }
    }
}

impl Drop for RingGcm {
    fn drop(&mut self) {
        if let Some(blank) = &*BLANK {
            (*self.0).clone_from(blank);
            optimization_barrier(&*self.0);
        }
    }
}
