//! AES-CBC (RFC 3602) with a truncated HMAC (RFC 2404, RFC 4868): encrypt, then authenticate.
//!
//! ```text
//! HMAC over  header | IV | ciphertext | high half     RFC 4303 sections 2.2.1 and 3.4.4.1
//! ```

use subtle::ConstantTimeEq;

use crate::backend::{BlockKey, MacKey, Refused};
use crate::esp_cipher::{BadIcv, Header};
use crate::suite::{Encr, Integ};

/// Octets of an AES block, and of the IV on the wire (RFC 3602 section 3).
pub(crate) const BLOCK_LEN: usize = 16;

/// A CBC cipher and an HMAC with their keys set up in the library behind `C` and `M`.
pub(crate) struct CbcHmac<C, M> {
    cipher: C,
    mac: M,
    icv_len: usize,
}

impl<C: BlockKey, M: MacKey> CbcHmac<C, M> {
    /// `None` if `encr` is an AEAD or a key has not its length.
    pub(crate) fn new(encr: Encr, encr_key: &[u8], integ: Integ, integ_key: &[u8]) -> Option<Self> {
        if integ_key.len() != integ.key_len() {
            return None;
        }
        Some(Self { cipher: C::new(encr, encr_key)?, mac: M::new(integ, integ_key), icv_len: integ.icv_len() })
    }

    pub(crate) fn seal(
        &self,
        header: Header<'_>,
        counter: u64,
        iv: &mut [u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), Refused> {
        let iv: &mut [u8; BLOCK_LEN] = iv.try_into().map_err(|_| Refused)?;
        if !body.len().is_multiple_of(BLOCK_LEN) || icv.len() != self.icv_len {
            return Err(Refused);
        }
        // The IV is the counter's block encrypted under the same key (NIST SP 800-38A appendix C, first method).
        // One block of CBC from an IV of zero is that block encryption.
        *iv = [0; BLOCK_LEN];
        let (_, low) = iv.split_at_mut(BLOCK_LEN - size_of::<u64>());
        low.copy_from_slice(&counter.to_be_bytes());
        self.cipher.encrypt(&[0; BLOCK_LEN], iv)?;
        self.cipher.encrypt(iv, body)?;
        self.mac.tag(header, iv, body, |tag| match tag.get(..self.icv_len) {
            Some(truncated) => {
                icv.copy_from_slice(truncated);
                Ok(())
            }
            None => Err(Refused),
        })
    }

    pub(crate) fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        let iv: &[u8; BLOCK_LEN] = iv.try_into().map_err(|_| BadIcv)?;
        let body_len = body_and_icv.len().checked_sub(self.icv_len).ok_or(BadIcv)?;
        let (body, icv) = body_and_icv.split_at_mut_checked(body_len).ok_or(BadIcv)?;
        if !body.len().is_multiple_of(BLOCK_LEN) {
            return Err(BadIcv);
        }
        self.mac.tag(header, iv, body, |tag| match tag.get(..self.icv_len) {
            Some(truncated) if bool::from(truncated.ct_eq(icv)) => Ok(()),
            Some(_) | None => Err(BadIcv),
        })?;
        self.cipher.decrypt(iv, body).map_err(|Refused| BadIcv)
    }
}
