//! What every algorithm looks like from above: a packet in pieces goes in, sealed or opened in place.

use crate::backend::{KeptBySa, Refused};
use crate::esp_cipher::{BadIcv, Header};

/// One algorithm, or cipher and HMAC, with its keys set up. Works in place, allocates nothing.
pub(crate) trait Frame: KeptBySa {
    /// Encrypts `body`, writes `iv` and `icv`.
    fn seal(
        &self,
        header: Header<'_>,
        counter: u64,
        iv: &mut [u8],
        body: &mut [u8],
        icv: &mut [u8],
    ) -> Result<(), Refused>;

    /// Verifies, then decrypts. On error nothing of `body_and_icv` has been decrypted.
    fn open(&self, header: Header<'_>, iv: &[u8], body_and_icv: &mut [u8]) -> Result<(), BadIcv>;
}
