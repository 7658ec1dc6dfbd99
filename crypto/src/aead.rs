//! AES-GCM (RFC 4106), AES-CCM (RFC 4309) and ChaCha20-Poly1305 (RFC 7634) for ESP, and for IKE's SK payload
//! (RFC 5282).
//!
//! One frame, whichever library does the work:
//!
//! ```text
//! nonce = salt (4 octets, CCM: 3; from the key material) | IV (8 octets, on the wire)     RFC 4106 section 4
//! AAD   = SPI | sequence number                  (ESP)                                    RFC 4106 section 5
//!         SPI | high half | sequence number      (ESP with ESN)
//!         all that stands before the IV          (IKE)                                    RFC 5282 section 5.1
//! ```

use zeroize::Zeroizing;

use crate::backend::{AeadKey, Refused};
use crate::esp_cipher::{BadIcv, Header};
use crate::frame::Frame;

/// Octets of IV on the wire (RFC 4106 section 3.1, RFC 4309 section 3.1, RFC 7634 section 2).
pub(crate) const IV_LEN: usize = 8;

/// An AEAD with its key set up in the library behind `K`.
pub(crate) struct Aead<K, const NONCE: usize, const ICV: usize> {
    /// The salt, and room for the IV.
    nonce: Zeroizing<[u8; NONCE]>,
    key: K,
}

impl<K: AeadKey<NONCE, ICV>, const NONCE: usize, const ICV: usize> Aead<K, NONCE, ICV> {
    /// `None` if there is no salt behind the key, or `set_up` does not take the key.
    pub(crate) fn new(key_and_salt: &[u8], set_up: impl FnOnce(&[u8]) -> Option<K>) -> Option<Self> {
        let salt_len = NONCE.checked_sub(IV_LEN)?;
        let (key, salt) = key_and_salt.split_at_checked(key_and_salt.len().checked_sub(salt_len)?)?;
        let mut nonce = Zeroizing::new([0; NONCE]);
        nonce.get_mut(..salt_len)?.copy_from_slice(salt);
        Some(Self { nonce, key: set_up(key)? })
    }

    #[inline]
    pub(crate) fn seal(
        &self,
        header: Header<'_>,
        counter: u64,
        iv: &mut [u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), Refused> {
        let iv: &mut [u8; IV_LEN] = iv.try_into().map_err(|_| Refused)?;
        let icv: &mut [u8; ICV] = icv.try_into().map_err(|_| Refused)?;
        *iv = counter.to_be_bytes();
        let aad = Aad::new(header).ok_or(Refused)?;
        self.key.seal(self.nonce(*iv), aad.octets(), body, icv)
    }

    #[inline]
    pub(crate) fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        let iv: [u8; IV_LEN] = iv.try_into().map_err(|_| BadIcv)?;
        let (body, icv) = body_and_icv.split_last_chunk_mut::<ICV>().ok_or(BadIcv)?;
        let aad = Aad::new(header).ok_or(BadIcv)?;
        self.key.open(self.nonce(iv), aad.octets(), body, icv).map_err(|Refused| BadIcv)
    }

    #[inline]
    pub(crate) fn nonce(&self, iv: [u8; IV_LEN]) -> [u8; NONCE] {
        let mut nonce = *self.nonce;
        if let Some(iv_part) = nonce.last_chunk_mut() {
            *iv_part = iv;
        }
        nonce
    }

    #[inline]
    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

impl<K: AeadKey<NONCE, ICV>, const NONCE: usize, const ICV: usize> Frame for Aead<K, NONCE, ICV> {
    fn seal(
        &self,
        header: Header<'_>,
        counter: u64,
        iv: &mut [u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), Refused> {
        Aead::seal(self, header, counter, iv, body, icv)
    }

    fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        Aead::open(self, header, iv, body_and_icv)
    }
}

/// Additional authenticated data, whole in one place as the libraries want it.
pub(crate) enum Aad<'a> {
    AsGiven(&'a [u8]),
    Extended([u8; 12]),
}

impl<'a> Aad<'a> {
    /// `None` if there is a high half but `header` is not SPI and sequence number.
    #[inline]
    pub(crate) fn new(header: Header<'a>) -> Option<Self> {
        let Some(high) = header.esn_high else {
            return Some(Self::AsGiven(header.bytes));
        };
        let &[s0, s1, s2, s3, n0, n1, n2, n3] = header.bytes else {
            return None;
        };
        let [h0, h1, h2, h3] = high.to_be_bytes();
        Some(Self::Extended([s0, s1, s2, s3, h0, h1, h2, h3, n0, n1, n2, n3]))
    }

    #[inline]
    pub(crate) fn octets(&self) -> &[u8] {
        match self {
            Self::AsGiven(bytes) => bytes,
            Self::Extended(bytes) => bytes,
        }
    }
}
