//! The MODP groups (RFC 2409 section 6, RFC 3526): a safe prime each, and the generator 2.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U512, U768, U1024, U1536, U2048, U3072, U4096, Uint};
use std::sync::LazyLock;
use zeroize::{Zeroize, Zeroizing};

use super::modp_prime::{MODP_768, MODP_1024, MODP_1536, MODP_2048, MODP_3072, MODP_4096};
use crate::random::SecretRandom;
use crate::secret::SecretBytes;

/// Which group.
#[derive(Clone, Copy)]
pub(super) enum Prime {
    Bits768,
    Bits1024,
    Bits1536,
    Bits2048,
    Bits3072,
    Bits4096,
}

/// What Montgomery's multiplication wants to know of a prime, worked out when it is first used.
type Params<const LIMBS: usize> = LazyLock<FixedMontyParams<LIMBS>>;

static PARAMS_768: Params<{ U768::LIMBS }> = LazyLock::new(|| FixedMontyParams::new_vartime(MODP_768));
static PARAMS_1024: Params<{ U1024::LIMBS }> = LazyLock::new(|| FixedMontyParams::new_vartime(MODP_1024));
static PARAMS_1536: Params<{ U1536::LIMBS }> = LazyLock::new(|| FixedMontyParams::new_vartime(MODP_1536));
static PARAMS_2048: Params<{ U2048::LIMBS }> = LazyLock::new(|| FixedMontyParams::new_vartime(MODP_2048));
static PARAMS_3072: Params<{ U3072::LIMBS }> = LazyLock::new(|| FixedMontyParams::new_vartime(MODP_3072));
static PARAMS_4096: Params<{ U4096::LIMBS }> = LazyLock::new(|| FixedMontyParams::new_vartime(MODP_4096));

/// A secret exponent, wiped on drop. It lies in memory of its own, so that moving it leaves no copy.
pub(super) struct Secret {
    prime: Prime,
    exponent: Box<Zeroizing<U512>>,
}

pub(super) fn generate(prime: Prime, random: &mut dyn SecretRandom) -> (Secret, Vec<u8>) {
    let mut octets = Zeroizing::new([0; U512::BYTES]);
    let (_, drawn) = octets.split_at_mut(U512::BYTES - prime.exponent_len());
    random.fill(drawn);
    // The highest bit is always set: an exponent of full length, never 0 or 1.
    if let Some(highest) = drawn.first_mut() {
        *highest |= 0x80;
    }
    let secret = Secret { prime, exponent: Box::new(Zeroizing::new(U512::from_be_slice(octets.as_ref()))) };
    let public = secret.public().expose().to_vec();
    (secret, public)
}

impl Prime {
    /// Octets of a secret exponent: no fewer bits than RFC 3526 section 8 asks at its higher estimate of strength (240,
    /// 320, 420 and 480 from the group of 1536 bits upwards).
    const fn exponent_len(self) -> usize {
        match self {
            Self::Bits768 | Self::Bits1024 | Self::Bits1536 => 32,
            Self::Bits2048 => 40,
            Self::Bits3072 => 56,
            Self::Bits4096 => 64,
        }
    }
}

/// Whether this is a public value of the group, as [`Secret::agree`] says.
pub(super) fn may_be_public(prime: Prime, value: &[u8]) -> bool {
    match prime {
        Prime::Bits768 => public_in(&PARAMS_768, value).is_some(),
        Prime::Bits1024 => public_in(&PARAMS_1024, value).is_some(),
        Prime::Bits1536 => public_in(&PARAMS_1536, value).is_some(),
        Prime::Bits2048 => public_in(&PARAMS_2048, value).is_some(),
        Prime::Bits3072 => public_in(&PARAMS_3072, value).is_some(),
        Prime::Bits4096 => public_in(&PARAMS_4096, value).is_some(),
    }
}

fn public_in<const LIMBS: usize>(params: &FixedMontyParams<LIMBS>, value: &[u8]) -> Option<Uint<LIMBS>> {
    if value.len() != Uint::<LIMBS>::BYTES {
        return None;
    }
    let value = Uint::<LIMBS>::from_be_slice(value);
    let prime: &Odd<Uint<LIMBS>> = params.modulus();
    let largest = prime.get().wrapping_sub(&Uint::from_u8(2));
    (value >= Uint::from_u8(2) && value <= largest).then_some(value)
}

impl Secret {
    /// 2^exponent.
    fn public(&self) -> SecretBytes {
        match self.prime {
            Prime::Bits768 => self.raise(&PARAMS_768, &U768::from_u8(2)),
            Prime::Bits1024 => self.raise(&PARAMS_1024, &U1024::from_u8(2)),
            Prime::Bits1536 => self.raise(&PARAMS_1536, &U1536::from_u8(2)),
            Prime::Bits2048 => self.raise(&PARAMS_2048, &U2048::from_u8(2)),
            Prime::Bits3072 => self.raise(&PARAMS_3072, &U3072::from_u8(2)),
            Prime::Bits4096 => self.raise(&PARAMS_4096, &U4096::from_u8(2)),
        }
    }

    /// `None` unless `peer` is as long as the prime p with 1 < peer < p - 1 (RFC 6989 section 2.1: p is a safe prime, so
    /// the values left out are all there is of small order).
    pub(super) fn agree(&self, peer: &[u8]) -> Option<SecretBytes> {
        match self.prime {
            Prime::Bits768 => self.agree_in(&PARAMS_768, peer),
            Prime::Bits1024 => self.agree_in(&PARAMS_1024, peer),
            Prime::Bits1536 => self.agree_in(&PARAMS_1536, peer),
            Prime::Bits2048 => self.agree_in(&PARAMS_2048, peer),
            Prime::Bits3072 => self.agree_in(&PARAMS_3072, peer),
            Prime::Bits4096 => self.agree_in(&PARAMS_4096, peer),
        }
    }

    fn agree_in<const LIMBS: usize>(&self, params: &FixedMontyParams<LIMBS>, peer: &[u8]) -> Option<SecretBytes> {
        Some(self.raise(params, &public_in(params, peer)?))
    }

    /// base^exponent mod p, left-padded to the prime's length (RFC 7296 section 2.14, RFC 2409 section 5), in time that
    /// depends on the exponent's length alone.
    fn raise<const LIMBS: usize>(&self, params: &FixedMontyParams<LIMBS>, base: &Uint<LIMBS>) -> SecretBytes {
        let bits = 8 * self.prime.exponent_len() as u32;
        let mut power = FixedMontyForm::new(base, params).pow_bounded_exp(&**self.exponent, bits);
        let mut value = Zeroizing::new(power.retrieve());
        power.zeroize();
        let mut octets = value.to_be_bytes();
        value.zeroize();
        let secret = SecretBytes::from(octets.as_ref());
        octets.as_mut().zeroize();
        secret
    }
}
