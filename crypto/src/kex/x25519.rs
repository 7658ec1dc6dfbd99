//! Curve25519 for IKEv2 (RFC 8031).

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::random::SecretRandom;
use crate::secret::SecretBytes;

/// Octets of scalar, public value and shared secret (RFC 7748 section 5).
const LEN: usize = 32;

/// p = 2^255 - 19 plus or minus one, and p, little-endian: they differ in their lowest octet alone.
const AROUND_P: [u8; LEN] = {
    let mut p = [0xff; LEN];
    p[LEN - 1] = 0x7f;
    p
};

/// The x coordinates of the points of order 8 (RFC 7748 section 6.1 refers to them), little-endian.
const OF_ORDER_8: [[u8; LEN]; 2] = [
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
];

/// Whether this is a public value that leads to a shared secret other than zero: none of the points of small order, on the
/// curve or its twist, whose x is 0, 1 or -1 or stands above; 0 and 1 also come as p and p + 1. [`Secret::agree`] looks at
/// what comes out all the same.
pub(super) fn may_be_public(value: &[u8]) -> bool {
    let Ok(mut x) = <[u8; LEN]>::try_from(value) else { return false };
    // RFC 7748 section 5: the highest bit means nothing.
    x[LEN - 1] &= 0x7f;
    let (lowest, others) = (x[0], &x[1..]);
    let zero_or_one = lowest <= 1 && others.iter().all(|octet| *octet == 0);
    let around_p = (0xec..=0xee).contains(&lowest) && *others == AROUND_P[1..];
    !zero_or_one && !around_p && !OF_ORDER_8.contains(&x)
}

/// A scalar; aws-lc wipes its memory when it frees it.
pub(super) struct Secret(PrivateKey);

#[expect(
    clippy::expect_used,
    reason = "every 32 octets are a scalar (RFC 7748 section 5 clamps them): only a lack of memory can fail"
)]
pub(super) fn generate(random: &mut dyn SecretRandom) -> (Secret, Vec<u8>) {
    let mut scalar = Zeroizing::new([0; LEN]);
    random.fill(scalar.as_mut());
    let private =
        PrivateKey::from_private_key(&agreement::X25519, scalar.as_ref()).expect("every 32 octets are a scalar");
    let public = private.compute_public_key().expect("every scalar has a public value");
    (Secret(private), public.as_ref().to_vec())
}

impl Secret {
    /// `None` unless `peer` is 32 octets that lead to a shared secret other than zero
    /// (RFC 8031 section 5 with RFC 7748 section 6.1).
    pub(super) fn agree(&self, peer: &[u8]) -> Option<SecretBytes> {
        let peer = UnparsedPublicKey::new(&agreement::X25519, peer);
        let shared = agreement::agree(&self.0, peer, (), |shared| Ok(SecretBytes::from(shared))).ok()?;
        // aws-lc refuses the all-zero result by itself; the rule is written here too because it is our duty.
        (shared != SecretBytes::new(vec![0; LEN])).then_some(shared)
    }
}
