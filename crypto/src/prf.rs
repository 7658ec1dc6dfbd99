//! PRF and prf+ (RFC 7296 section 2.13).
//!
//! The outputs here are secrets (SKEYSEED, SK_*, KEYMAT). The RustCrypto `hmac` is used because it wipes its
//! state and hands the output over in memory that can be wiped; what both were moved through is wiped with the stack.
//! A handshake makes a few dozen of these calls, so speed does not decide.

use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::backend::rustcrypto::keyed;
use crate::secret::SecretBytes;
use crate::suite::PrfId;
use crate::wiping::{FOR_PRF, wiping};

/// The counter octet of prf+ starts at 1 and must not wrap (RFC 7296 section 2.13).
const MAX_BLOCKS: u8 = 255;

/// `prf(key, parts[0] | parts[1] | …)`: `id.output_len()` octets. The key may have any length.
pub fn prf(id: PrfId, key: &[u8], parts: &[&[u8]]) -> SecretBytes {
    let mut out = Vec::with_capacity(id.output_len());
    wiping::<FOR_PRF, _>(|| Keyed::new(id, key).append(&[], parts, &[], &mut out));
    SecretBytes::new(out)
}

/// `prf+(key, seed[0] | seed[1] | …)` cut to `len` octets.
///
/// RFC 7296 section 2.13 defines no more than 255 blocks; asking for more is a mistake of the caller and
/// gives those 255 blocks, which the caller's split of the key material then finds too short.
pub fn prf_plus(id: PrfId, key: &[u8], seed: &[&[u8]], len: usize) -> SecretBytes {
    wiping::<FOR_PRF, _>(|| blocks(id, key, seed, len))
}

fn blocks(id: PrfId, key: &[u8], seed: &[&[u8]], len: usize) -> SecretBytes {
    let block = id.output_len();
    let len_defined = len.min(usize::from(MAX_BLOCKS) * block);
    debug_assert_eq!(len, len_defined, "prf+ is defined up to 255 blocks");

    // Room for every block at once, so that no copy of the key material stays behind in memory that grew.
    let mut out = Vec::with_capacity(len_defined.next_multiple_of(block));
    let keyed = Keyed::new(id, key);
    let mut previous = Zeroizing::new(Vec::with_capacity(block));
    for counter in 1..=MAX_BLOCKS {
        if out.len() >= len_defined {
            break;
        }
        // T1 = prf (K, S | 0x01), T2 = prf (K, T1 | S | 0x02), …
        let start = out.len();
        keyed.append(&previous, seed, &[counter], &mut out);
        previous.clear();
        previous.extend(out.iter().skip(start));
    }
    for surplus in out.iter_mut().skip(len_defined) {
        surplus.zeroize();
    }
    out.truncate(len_defined);
    SecretBytes::new(out)
}

/// A PRF with its key set up.
enum Keyed {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Keyed {
    fn new(id: PrfId, key: &[u8]) -> Self {
        match id {
            PrfId::HmacMd5 => Self::Md5(keyed(key)),
            PrfId::HmacSha1 => Self::Sha1(keyed(key)),
            PrfId::HmacSha256 => Self::Sha256(keyed(key)),
            PrfId::HmacSha384 => Self::Sha384(keyed(key)),
            PrfId::HmacSha512 => Self::Sha512(keyed(key)),
        }
    }

    /// Appends one output block over `before | parts | after` to `out`, which has room for it.
    fn append(&self, before: &[u8], parts: &[&[u8]], after: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Md5(mac) => append(mac.clone(), before, parts, after, out),
            Self::Sha1(mac) => append(mac.clone(), before, parts, after, out),
            Self::Sha256(mac) => append(mac.clone(), before, parts, after, out),
            Self::Sha384(mac) => append(mac.clone(), before, parts, after, out),
            Self::Sha512(mac) => append(mac.clone(), before, parts, after, out),
        }
    }
}

fn append<M: Mac>(mut mac: M, before: &[u8], parts: &[&[u8]], after: &[u8], out: &mut Vec<u8>) {
    mac.update(before);
    for part in parts {
        mac.update(part);
    }
    mac.update(after);
    let mut block = mac.finalize().into_bytes();
    out.extend_from_slice(&block);
    block.zeroize();
}
