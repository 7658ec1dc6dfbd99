//! CBC alone, for IKEv1's messages (RFC 2409 appendix B). Nothing here authenticates, so nothing here is for ESP: what
//! was decrypted is worth nothing until the HASH inside has been checked.

use des::TdesEde3;
use std::fmt;

use crate::backend::BlockKey;
use crate::backend::aws_lc::AwsLcCbc;
use crate::backend::rustcrypto::RustCryptoCbc;
use crate::suite::CbcCipher;
use crate::wiping::{FOR_KEYS, wiping};

/// A key set up for both directions.
pub struct CbcKey {
    cipher: CbcCipher,
    key: Key,
}

enum Key {
    Aes(Box<AwsLcCbc>),
    TripleDes(Box<RustCryptoCbc<TdesEde3>>),
}

/// What was to be encrypted or decrypted is no multiple of the block, or the IV is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a whole number of blocks")]
pub struct NotBlocks;

impl CbcKey {
    /// `None` unless `key` has the cipher's length.
    pub fn new(cipher: CbcCipher, key: &[u8]) -> Option<Self> {
        if key.len() != cipher.key_len() {
            return None;
        }
        let key = wiping::<FOR_KEYS, _>(|| match cipher {
            CbcCipher::Aes128 | CbcCipher::Aes192 | CbcCipher::Aes256 => Some(Key::Aes(Box::new(AwsLcCbc::new(key)?))),
            CbcCipher::TripleDes => Some(Key::TripleDes(Box::new(RustCryptoCbc::new(key)?))),
        });
        key.map(|key| Self { cipher, key })
    }

    /// What it is a key of.
    pub const fn cipher(&self) -> CbcCipher {
        self.cipher
    }

    /// Encrypts in place.
    pub fn encrypt(&self, iv: &[u8], body: &mut [u8]) -> Result<(), NotBlocks> {
        let whole = body.len().is_multiple_of(self.cipher.block_len());
        match (&self.key, whole) {
            (Key::Aes(key), true) => key.encrypt(iv.try_into().map_err(|_| NotBlocks)?, body).map_err(|_| NotBlocks),
            (Key::TripleDes(key), true) => {
                key.encrypt(iv.try_into().map_err(|_| NotBlocks)?, body).map_err(|_| NotBlocks)
            }
            (Key::Aes(_) | Key::TripleDes(_), false) => Err(NotBlocks),
        }
    }

    /// Decrypts in place. Whoever changed a bit on the way changed what comes out: check it.
    pub fn decrypt(&self, iv: &[u8], body: &mut [u8]) -> Result<(), NotBlocks> {
        let whole = body.len().is_multiple_of(self.cipher.block_len());
        match (&self.key, whole) {
            (Key::Aes(key), true) => key.decrypt(iv.try_into().map_err(|_| NotBlocks)?, body).map_err(|_| NotBlocks),
            (Key::TripleDes(key), true) => {
                key.decrypt(iv.try_into().map_err(|_| NotBlocks)?, body).map_err(|_| NotBlocks)
            }
            (Key::Aes(_) | Key::TripleDes(_), false) => Err(NotBlocks),
        }
    }
}

impl fmt::Debug for CbcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CbcKey({})", self.cipher.name())
    }
}
