//! AES-CBC (RFC 3602) or 3DES-CBC (RFC 2451) with a truncated HMAC: encrypt, then authenticate.

use crate::backend::{BlockKey, MacKey, Refused};
use crate::esp_cipher::{BadIcv, Header};
use crate::frame::Frame;
use crate::truncated_mac::TruncatedMac;

/// A CBC cipher with blocks (and so an IV) of `BLOCK` octets, and an HMAC, set up in the libraries behind `C` and `M`.
pub(crate) struct CbcHmac<C, M, const BLOCK: usize> {
    pub(crate) cipher: C,
    pub(crate) mac: TruncatedMac<M>,
}

impl<C: BlockKey<BLOCK>, M: MacKey, const BLOCK: usize> Frame for CbcHmac<C, M, BLOCK> {
    fn seal(
        &self,
        header: Header<'_>,
        counter: u64,
        iv: &mut [u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), Refused> {
        let iv: &mut [u8; BLOCK] = iv.try_into().map_err(|_| Refused)?;
        if !body.len().is_multiple_of(BLOCK) || icv.len() != self.mac.icv_len() {
            return Err(Refused);
        }
        // The IV is the counter's block encrypted under the same key (NIST SP 800-38A appendix C, first method).
        // One block of CBC from an IV of zero is that block encryption.
        *iv = [0; BLOCK];
        *iv.last_chunk_mut().ok_or(Refused)? = counter.to_be_bytes();
        self.cipher.encrypt(&[0; BLOCK], iv)?;
        self.cipher.encrypt(iv, body)?;
        self.mac.sign(header, iv, body, icv)
    }

    fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        let iv: &[u8; BLOCK] = iv.try_into().map_err(|_| BadIcv)?;
        let body_len = body_and_icv.len().checked_sub(self.mac.icv_len()).ok_or(BadIcv)?;
        let (body, icv) = body_and_icv.split_at_mut_checked(body_len).ok_or(BadIcv)?;
        if !body.len().is_multiple_of(BLOCK) {
            return Err(BadIcv);
        }
        self.mac.verify(header, iv, body, icv)?;
        self.cipher.decrypt(iv, body).map_err(|Refused| BadIcv)
    }
}
