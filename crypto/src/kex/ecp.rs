//! ECP groups (RFC 5903): P-256, P-384 and P-521.

use aws_lc_rs::agreement::{self, Algorithm, ParsedPublicKey, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::random::SecretRandom;
use crate::secret::SecretBytes;

/// SEC 1 section 2.3.3's mark of an uncompressed point. A KE payload has x | y without it (RFC 5903 section 7).
const UNCOMPRESSED: u8 = 0x04;

/// Which curve.
#[derive(Clone, Copy)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Octets of a coordinate, and of a scalar.
    const fn len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
        }
    }

    /// Bits that the highest octet of a scalar may have: 521 bits leave one.
    const fn highest_octet(self) -> u8 {
        match self {
            Self::P256 | Self::P384 => 0xff,
            Self::P521 => 0x01,
        }
    }
}

/// A scalar; aws-lc wipes its memory when it frees it.
pub(super) struct Secret {
    curve: Curve,
    private: PrivateKey,
}

/// A scalar in 1..n by rejection (FIPS 186-5 appendix A.2.2): one draw is too large with a probability of 2^-32
/// for P-256, 2^-190 for P-384 and 2^-260 for P-521.
#[expect(clippy::expect_used, reason = "a scalar in range has a public value: only a lack of memory can fail")]
pub(super) fn generate(curve: Curve, random: &mut dyn SecretRandom) -> (Secret, Vec<u8>) {
    let mut scalar = Zeroizing::new(vec![0; curve.len()]);
    let private = loop {
        random.fill(&mut scalar);
        if let Some(highest) = scalar.first_mut() {
            *highest &= curve.highest_octet();
        }
        if let Ok(private) = PrivateKey::from_private_key(curve.algorithm(), &scalar) {
            break private;
        }
    };
    let public = private.compute_public_key().expect("a scalar in range has a public value");
    let point: Vec<u8> = public.as_ref().iter().skip(1).copied().collect();
    (Secret { curve, private }, point)
}

/// What aws-lc makes of a KE payload's octets; `None` unless they are x | y.
fn unparsed(curve: Curve, value: &[u8]) -> Option<UnparsedPublicKey<Vec<u8>>> {
    if value.len() != 2 * curve.len() {
        return None;
    }
    let mut point = Vec::with_capacity(1 + value.len());
    point.push(UNCOMPRESSED);
    point.extend_from_slice(value);
    Some(UnparsedPublicKey::new(curve.algorithm(), point))
}

/// Whether this is x | y of a point on the curve: some multiplications in the field, and no key exchange.
pub(super) fn may_be_public(curve: Curve, value: &[u8]) -> bool {
    unparsed(curve, value).is_some_and(|point| ParsedPublicKey::try_from(point).is_ok())
}

impl Secret {
    /// The x coordinate of the shared point (RFC 5903 section 9); `None` unless `peer` is x | y of a point on
    /// the curve. The curves have prime order, so such a point is of full order.
    pub(super) fn agree(&self, peer: &[u8]) -> Option<SecretBytes> {
        let peer = unparsed(self.curve, peer)?;
        agreement::agree(&self.private, peer, (), |shared| Ok(SecretBytes::from(shared))).ok()
    }
}
