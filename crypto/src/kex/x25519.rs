//! Curve25519 for IKEv2 (RFC 8031).

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::random::SecretRandom;
use crate::secret::SecretBytes;

/// Octets of scalar, public value and shared secret (RFC 7748 section 5).
const LEN: usize = 32;

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
