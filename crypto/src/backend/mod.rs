//! What a cryptographic library has to offer to carry [`crate::esp_cipher::EspCipher`], and the two that do.

pub(crate) mod aws_lc;
pub(crate) mod rustcrypto;

use crate::aead::{ICV_LEN, NONCE_LEN};
use crate::cbc_hmac::BLOCK_LEN;
use crate::esp_cipher::Header;
use crate::suite::{Encr, Integ};

/// The library would not do it: wrong lengths when sealing, a wrong tag when opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// An AEAD key. Works in place, allocates nothing.
pub(crate) trait AeadKey: Sized {
    /// `None` if `encr` is no AEAD or `key` (without salt) has not its length.
    fn new(encr: Encr, key: &[u8]) -> Option<Self>;

    fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], body: &mut [u8], icv: &mut [u8; ICV_LEN])
    -> Result<(), Refused>;

    /// On error `body` holds no plaintext.
    fn open(&self, nonce: [u8; NONCE_LEN], aad: &[u8], body: &mut [u8], icv: &[u8; ICV_LEN]) -> Result<(), Refused>;
}

/// An AES key for unpadded CBC. `body` is a multiple of the block. Works in place, allocates nothing.
pub(crate) trait BlockKey: Sized {
    /// `None` if `encr` is an AEAD or `key` has not its length.
    fn new(encr: Encr, key: &[u8]) -> Option<Self>;

    fn encrypt(&self, iv: &[u8; BLOCK_LEN], body: &mut [u8]) -> Result<(), Refused>;

    fn decrypt(&self, iv: &[u8; BLOCK_LEN], body: &mut [u8]) -> Result<(), Refused>;
}

/// An HMAC key with both pads absorbed once; every tag starts from a copy of that state.
pub(crate) trait MacKey: Sized {
    fn new(integ: Integ, key: &[u8]) -> Self;

    /// Hands the whole tag over `header | iv | body | high half` to `use_tag`.
    fn tag<R>(&self, header: Header<'_>, iv: &[u8], body: &[u8], use_tag: impl FnOnce(&[u8]) -> R) -> R;
}

#[cfg(test)]
mod tests;
