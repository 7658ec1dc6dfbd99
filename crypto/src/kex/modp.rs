//! The 2048-bit MODP group, number 14 (RFC 3526 section 3).

use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams, FixedMontyParams};
use crypto_bigint::{Odd, U320, U2048};
use zeroize::{Zeroize, Zeroizing};

use crate::random::SecretRandom;
use crate::secret::SecretBytes;

/// Octets of the modulus.
const LEN: usize = 256;

/// Octets of a secret exponent: 320 bits, what RFC 3526 section 8 asks of group 14 at its higher estimate of
/// strength (160 bits).
const EXPONENT_LEN: usize = 40;

/// p = 2^2048 - 2^1984 - 1 + 2^64 * ( [2^1918 pi] + 124476 ) (RFC 3526 section 3).
const PRIME: Odd<U2048> = Odd::<U2048>::from_be_hex(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
     3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
);

/// The generator (RFC 3526 section 3).
const GENERATOR: U2048 = U2048::from_u8(2);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Group14;

impl ConstMontyParams<{ U2048::LIMBS }> for Group14 {
    const LIMBS: usize = U2048::LIMBS;
    const PARAMS: FixedMontyParams<{ U2048::LIMBS }> = FixedMontyParams::new_vartime(PRIME);
}

type Residue = ConstMontyForm<Group14, { U2048::LIMBS }>;

/// A secret exponent, wiped on drop.
pub(super) struct Secret(Zeroizing<U320>);

pub(super) fn generate(random: &mut dyn SecretRandom) -> (Secret, Vec<u8>) {
    let mut bytes = Zeroizing::new([0; EXPONENT_LEN]);
    random.fill(bytes.as_mut());
    // The highest bit is always set: an exponent of full length, never 0 or 1.
    bytes[0] |= 0x80;
    let secret = Secret(Zeroizing::new(U320::from_be_slice(bytes.as_ref())));
    let public = secret.raise(&GENERATOR).expose().to_vec();
    (secret, public)
}

impl Secret {
    /// `None` unless `peer` is 256 octets with 1 < peer < p - 1 (RFC 6989 section 2.1: p is a safe prime, so the
    /// values left out are all there is of small order).
    pub(super) fn agree(&self, peer: &[u8]) -> Option<SecretBytes> {
        if peer.len() != LEN {
            return None;
        }
        let peer = U2048::from_be_slice(peer);
        let largest = PRIME.get().wrapping_sub(&U2048::from_u8(2));
        if peer < U2048::from_u8(2) || peer > largest {
            return None;
        }
        Some(self.raise(&peer))
    }

    /// base^exponent mod p, left-padded to 256 octets, in time that does not depend on the exponent.
    fn raise(&self, base: &U2048) -> SecretBytes {
        let mut power = Residue::new(base).pow(&*self.0);
        let mut value = Zeroizing::new(power.retrieve());
        power.zeroize();
        let mut octets = value.to_be_bytes();
        value.zeroize();
        let secret = SecretBytes::from(octets.as_ref());
        octets.as_mut().zeroize();
        secret
    }
}
