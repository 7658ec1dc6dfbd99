//! No encryption (RFC 2410) with a truncated HMAC: the packet is authentic and readable by everyone.

use crate::backend::{MacKey, Refused};
use crate::esp_cipher::{BadIcv, Header};
use crate::frame::Frame;
use crate::truncated_mac::TruncatedMac;

/// An HMAC alone. There is no IV (RFC 2410 section 2.2).
pub(crate) struct NullHmac<M>(pub(crate) TruncatedMac<M>);

impl<M: MacKey> Frame for NullHmac<M> {
    fn seal(
        &self,
        header: Header<'_>,
        _counter: u64,
        iv: &mut [u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), Refused> {
        let iv: &mut [u8; 0] = iv.try_into().map_err(|_| Refused)?;
        self.0.sign(header, iv, body, icv)
    }

    fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv> {
        let iv: [u8; 0] = iv.try_into().map_err(|_| BadIcv)?;
        let body_len = body_and_icv.len().checked_sub(self.0.icv_len()).ok_or(BadIcv)?;
        let (body, icv) = body_and_icv.split_at_checked(body_len).ok_or(BadIcv)?;
        self.0.verify(header, &iv, body, icv)
    }
}
