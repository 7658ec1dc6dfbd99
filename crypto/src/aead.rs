//! AES-GCM (RFC 4106) and ChaCha20-Poly1305 (RFC 7634) for ESP, and for IKE's SK payload (RFC 5282).
//!
//! One frame, whichever library does the work:
//!
//! ```text
//! nonce = salt (4 octets, from the key material) | IV (8 octets, on the wire)     RFC 4106 section 4
//! AAD   = SPI | sequence number                  (ESP)                            RFC 4106 section 5
//!         SPI | high half | sequence number      (ESP with ESN)
//!         all that stands before the IV          (IKE)                            RFC 5282 section 5.1
//! ```

use zeroize::Zeroizing;

use crate::backend::{AeadKey, Refused};
use crate::esp_cipher::{BadIcv, Header};
use crate::suite::Encr;

/// Octets of salt at the end of the key material (RFC 4106 section 8.1, RFC 7634 section 2).
const SALT_LEN: usize = 4;
/// Octets of IV on the wire (RFC 4106 section 3.1, RFC 7634 section 2).
const IV_LEN: usize = 8;
/// Octets of nonce.
pub(crate) const NONCE_LEN: usize = SALT_LEN + IV_LEN;
/// Octets of ICV.
pub(crate) const ICV_LEN: usize = 16;

/// An AEAD with its key set up in the library behind `K`.
pub(crate) struct Aead<K> {
    salt: Zeroizing<[u8; SALT_LEN]>,
    key: K,
}

impl<K: AeadKey> Aead<K> {
    /// `None` if `encr` is no AEAD or `key_and_salt` has not its length.
    pub(crate) fn new(encr: Encr, key_and_salt: &[u8]) -> Option<Self> {
        let (key, salt) = key_and_salt.split_last_chunk()?;
        Some(Self { salt: Zeroizing::new(*salt), key: K::new(encr, key)? })
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
        let icv: &mut [u8; ICV_LEN] = icv.try_into().map_err(|_| Refused)?;
        *iv = counter.to_be_bytes();
        let aad = Aad::new(header).ok_or(Refused)?;
        self.key.seal(self.nonce(*iv), aad.octets(), body, icv)
    }

    #[inline]
    pub(crate) fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        let iv: [u8; IV_LEN] = iv.try_into().map_err(|_| BadIcv)?;
        let (body, icv) = body_and_icv.split_last_chunk_mut::<ICV_LEN>().ok_or(BadIcv)?;
        let aad = Aad::new(header).ok_or(BadIcv)?;
        self.key.open(self.nonce(iv), aad.octets(), body, icv).map_err(|Refused| BadIcv)
    }

    #[inline]
    fn nonce(&self, iv: [u8; IV_LEN]) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        let (salt_part, iv_part) = nonce.split_at_mut(SALT_LEN);
        salt_part.copy_from_slice(self.salt.as_slice());
        iv_part.copy_from_slice(&iv);
        nonce
    }
}

/// Additional authenticated data, whole in one place as the libraries want it.
enum Aad<'a> {
    AsGiven(&'a [u8]),
    Extended([u8; 12]),
}

impl<'a> Aad<'a> {
    /// `None` if there is a high half but `header` is not SPI and sequence number.
    #[inline]
    fn new(header: Header<'a>) -> Option<Self> {
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
    fn octets(&self) -> &[u8] {
        match self {
            Self::AsGiven(bytes) => bytes,
            Self::Extended(bytes) => bytes,
        }
    }
}
