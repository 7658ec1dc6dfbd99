//! What a cryptographic library has to offer to carry [`crate::esp_cipher::EspCipher`], and the three that do.

pub(crate) mod aws_lc;
pub(crate) mod choice;
pub(crate) mod ring;
pub(crate) mod rustcrypto;

use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::esp_cipher::{Backend, Header};
use crate::suite::Integ;

/// The library would not do it: wrong lengths when sealing, a wrong tag when opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// What an SA may keep for its lifetime, on whatever thread owns it.
pub(crate) trait KeptBySa: Send + Sync + UnwindSafe + RefUnwindSafe + 'static {}

impl<T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static> KeptBySa for T {}

/// An AEAD key. Works in place, allocates nothing.
pub(crate) trait AeadKey<const NONCE: usize, const ICV: usize>: KeptBySa {
    fn seal(&self, nonce: [u8; NONCE], aad: &[u8], body: &mut [u8], icv: &mut [u8; ICV]) -> Result<(), Refused>;

    /// On error `body` holds no plaintext.
    fn open(&self, nonce: [u8; NONCE], aad: &[u8], body: &mut [u8], icv: &[u8; ICV]) -> Result<(), Refused>;
}

/// A key for unpadded CBC. `body` is a multiple of the block. Works in place, allocates nothing.
pub(crate) trait BlockKey<const BLOCK: usize>: KeptBySa {
    fn encrypt(&self, iv: &[u8; BLOCK], body: &mut [u8]) -> Result<(), Refused>;

    fn decrypt(&self, iv: &[u8; BLOCK], body: &mut [u8]) -> Result<(), Refused>;
}

/// An HMAC key with both pads absorbed once; every tag starts from a copy of that state.
pub(crate) trait MacKey: Sized + KeptBySa {
    /// Whose it is.
    const BACKEND: Backend;

    /// `None` if the library does not have the hash.
    fn new(integ: Integ, key: &[u8]) -> Option<Self>;

    /// Hands the whole tag over `header | iv | body | high half` to `use_tag`.
    fn tag<R>(&self, header: Header<'_>, iv: &[u8], body: &[u8], use_tag: impl FnOnce(&[u8]) -> R) -> R;
}

#[cfg(test)]
mod tests;
