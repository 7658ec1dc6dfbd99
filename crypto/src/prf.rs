//! PRF and prf+ (RFC 7296 section 2.13).

use crate::secret::SecretBytes;
use crate::suite::PrfId;

/// `prf(key, parts[0] | parts[1] | …)`.
pub fn prf(id: PrfId, key: &[u8], parts: &[&[u8]]) -> SecretBytes {
    let _ = (id, key, parts);
    todo!()
}

/// `prf+(key, seed)` cut to `len` octets (at most 255 blocks).
pub fn prf_plus(id: PrfId, key: &[u8], seed: &[&[u8]], len: usize) -> SecretBytes {
    let _ = (id, key, seed, len);
    todo!()
}
