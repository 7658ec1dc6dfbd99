//! An HMAC cut to the length that goes on the wire (RFC 2403, RFC 2404, RFC 4868).
//!
//! ```text
//! HMAC over  header | IV | ciphertext | high half     RFC 4303 sections 2.2.1 and 3.4.4.1
//! ```

use subtle::ConstantTimeEq;

use crate::backend::{MacKey, Refused};
use crate::esp_cipher::{BadIcv, Header};
use crate::suite::Integ;

/// An HMAC with its key set up in the library behind `M`.
pub(crate) struct TruncatedMac<M> {
    mac: M,
    icv_len: usize,
}

impl<M: MacKey> TruncatedMac<M> {
    /// `None` if the library does not have it or `key` has not its length.
    pub(crate) fn new(integ: Integ, key: &[u8]) -> Option<Self> {
        if key.len() != integ.key_len() {
            return None;
        }
        Some(Self { mac: M::new(integ, key)?, icv_len: integ.icv_len() })
    }

    /// Octets of ICV.
    pub(crate) fn icv_len(&self) -> usize {
        self.icv_len
    }

    /// Writes the ICV.
    pub(crate) fn sign(&self, header: Header<'_>, iv: &[u8], body: &[u8], icv: &mut [u8]) -> Result<(), Refused> {
        self.mac.tag(header, iv, body, |tag| match tag.get(..self.icv_len) {
            Some(truncated) if icv.len() == self.icv_len => {
                icv.copy_from_slice(truncated);
                Ok(())
            }
            Some(_) | None => Err(Refused),
        })
    }

    /// Compares the ICV, in a time that does not tell where it differs.
    pub(crate) fn verify(&self, header: Header<'_>, iv: &[u8], body: &[u8], icv: &[u8]) -> Result<(), BadIcv> {
        self.mac.tag(header, iv, body, |tag| match tag.get(..self.icv_len) {
            Some(truncated) if bool::from(truncated.ct_eq(icv)) => Ok(()),
            Some(_) | None => Err(BadIcv),
        })
    }
}
