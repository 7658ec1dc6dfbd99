//! RSA as IKEv1 signs with it (RFC 2409 section 5.1): "as a private key encryption in PKCS #1 format and not as a signature
//! in PKCS #1 format (which includes the OID of the hash algorithm)". The hash is padded as it is, without DigestInfo.
//!
//! RustCrypto's `rsa`, because `aws-lc-rs` has no such signature. Every signature is blinded with the randomness that is
//! passed in; nothing here decrypts.

use ::rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey, RsaPrivateKeyRef, RsaPublicKeyRef};
use ::rsa::pkcs8::der::Decode;
use ::rsa::pkcs8::spki::SubjectPublicKeyInfoRef;
use ::rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, PrivateKeyInfoRef};
use ::rsa::traits::PublicKeyParts;
use ::rsa::{Pkcs1v15Sign, PrivateKey, PublicKey};
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use std::fmt;

use crate::random::SecretRandom;

/// Bits of modulus that a key must have.
pub const MIN_BITS: u32 = 2048;
/// Bits of modulus that a key may have.
pub const MAX_BITS: u32 = PublicKey::MAX_SIZE as u32;

/// A key that signs. The library wipes it when it is dropped.
#[derive(Clone)]
pub struct RsaPrivateKey(PrivateKey);

/// A key that verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey(PublicKey);

/// Why octets are no key that adit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRsaKey {
    /// Not an RSA key in this encoding, or one whose numbers do not belong together.
    #[error("it is no RSA key, or a damaged one")]
    NotRsa,
    /// Shorter than [`MIN_BITS`].
    #[error("its modulus has {0} bits, at least {MIN_BITS} are wanted")]
    TooShort(u32),
    /// Longer than [`MAX_BITS`].
    #[error("its modulus has {0} bits, at most {MAX_BITS} are taken")]
    TooLong(u32),
}

/// The signature is not of this key over this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

impl RsaPrivateKey {
    /// From PKCS #8 (`BEGIN PRIVATE KEY`).
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, BadRsaKey> {
        let pkcs1 = || PrivateKeyInfoRef::from_der(der).map(|info| private_bits(info.private_key.as_bytes()));
        Self::checked(PrivateKey::from_pkcs8_der(der).map_err(|_| refused(pkcs1().ok().flatten()))?)
    }

    /// From PKCS #1 (`BEGIN RSA PRIVATE KEY`).
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, BadRsaKey> {
        Self::checked(PrivateKey::from_pkcs1_der(der).map_err(|_| refused(private_bits(der)))?)
    }

    fn checked(key: PrivateKey) -> Result<Self, BadRsaKey> {
        of_good_length(&key)?;
        key.validate().map_err(|_| BadRsaKey::NotRsa)?;
        Ok(Self(key))
    }

    /// The other half.
    pub fn public(&self) -> RsaPublicKey {
        RsaPublicKey(self.0.to_public_key())
    }

    /// Signs HASH_I or HASH_R. As long as the modulus.
    #[expect(clippy::expect_used, reason = "a checked key of 2048 bits has room for every hash and can sign it")]
    pub fn sign_ike_v1(&self, hash: &[u8], random: &mut dyn SecretRandom) -> Vec<u8> {
        self.0
            .sign_with_rng(&mut Blinding(random), Pkcs1v15Sign::new_unprefixed(), hash)
            .expect("a checked key can sign a hash")
    }
}

impl RsaPublicKey {
    /// From a certificate's SubjectPublicKeyInfo.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, BadRsaKey> {
        let pkcs1 = || public_bits(SubjectPublicKeyInfoRef::from_der(der).ok()?.subject_public_key.as_bytes()?);
        Self::checked(PublicKey::from_public_key_der(der).map_err(|_| refused(pkcs1()))?)
    }

    /// From PKCS #1's RSAPublicKey.
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, BadRsaKey> {
        Self::checked(PublicKey::from_pkcs1_der(der).map_err(|_| refused(public_bits(der)))?)
    }

    fn checked(key: PublicKey) -> Result<Self, BadRsaKey> {
        of_good_length(&key)?;
        Ok(Self(key))
    }

    /// Octets of modulus, and of a signature.
    pub fn signature_len(&self) -> usize {
        self.0.size()
    }

    /// Whether `signature` is this key's over `hash`: HASH_I or HASH_R.
    pub fn verify_ike_v1(&self, hash: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.0.verify(Pkcs1v15Sign::new_unprefixed(), hash, signature).map_err(|_| BadSignature)
    }
}

fn of_good_length(key: &impl PublicKeyParts) -> Result<(), BadRsaKey> {
    match key.n().bit_width() {
        short @ ..MIN_BITS => Err(BadRsaKey::TooShort(short)),
        MIN_BITS..=MAX_BITS => Ok(()),
        long => Err(BadRsaKey::TooLong(long)),
    }
}

/// Why the library takes none with a modulus of so many bits: it does not say. `None` has no modulus.
fn refused(bits: Option<u32>) -> BadRsaKey {
    bits.filter(|bits| *bits > MAX_BITS).map_or(BadRsaKey::NotRsa, BadRsaKey::TooLong)
}

fn private_bits(pkcs1: &[u8]) -> Option<u32> {
    bits(RsaPrivateKeyRef::from_der(pkcs1).ok()?.modulus.as_bytes())
}

fn public_bits(pkcs1: &[u8]) -> Option<u32> {
    bits(RsaPublicKeyRef::from_der(pkcs1).ok()?.modulus.as_bytes())
}

/// Of an unsigned number.
fn bits(octets: &[u8]) -> Option<u32> {
    let whole = u32::try_from(octets.len()).ok()?.checked_mul(8)?;
    whole.checked_sub(octets.first()?.leading_zeros())
}

/// Our door of chance, as the library wants it.
struct Blinding<'a>(&'a mut dyn SecretRandom);

impl TryRng for Blinding<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut octets = [0; 4];
        self.0.fill(&mut octets);
        Ok(u32::from_le_bytes(octets))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut octets = [0; 8];
        self.0.fill(&mut octets);
        Ok(u64::from_le_bytes(octets))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Blinding<'_> {}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPrivateKey({} bits)", self.0.n().bit_width())
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bits)", self.0.n().bit_width())
    }
}
