//! What IANA numbered: transforms of IKEv2 and ESP, attributes of IKEv1, with their lengths. Facts live here once.
//!
//! Registries: "Internet Key Exchange Version 2 (IKEv2) Parameters", "Internet Key Exchange (IKE) Attributes".

mod cbc_cipher;
mod encr;
mod hash;
mod kex_group;

pub use cbc_cipher::CbcCipher;
pub use encr::{Encr, Secrecy};
pub use hash::Hash;
pub use kex_group::KexGroup;

/// Why an algorithm is refused unless someone asks for it in so many words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weakness(pub &'static str);

/// MD5 in any role.
const MD5: Weakness = Weakness("MD5 has been broken since 2004");

/// Integrity transforms (transform type 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integ {
    /// HMAC-SHA1-96 (RFC 2404).
    HmacSha1_96,
    /// HMAC-SHA2-256-128 (RFC 4868).
    HmacSha256_128,
    /// HMAC-SHA2-384-192 (RFC 4868).
    HmacSha384_192,
    /// HMAC-SHA2-512-256 (RFC 4868).
    HmacSha512_256,
    /// HMAC-MD5-96 (RFC 2403).
    HmacMd5_96,
}

impl Integ {
    /// Every integrity transform.
    pub const ALL: [Self; 5] =
        [Self::HmacSha256_128, Self::HmacSha384_192, Self::HmacSha512_256, Self::HmacSha1_96, Self::HmacMd5_96];

    /// IANA transform ID.
    pub const fn iana(self) -> u16 {
        match self {
            Self::HmacSha1_96 => 2,
            Self::HmacSha256_128 => 12,
            Self::HmacSha384_192 => 13,
            Self::HmacSha512_256 => 14,
            Self::HmacMd5_96 => 1,
        }
    }

    /// The transform with this IANA ID, if adit has it.
    pub fn from_iana(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|integ| integ.iana() == id)
    }

    /// Octets of key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 20,
            Self::HmacSha256_128 => 32,
            Self::HmacSha384_192 => 48,
            Self::HmacSha512_256 => 64,
            Self::HmacMd5_96 => 16,
        }
    }

    /// Octets of ICV on the wire.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 12,
            Self::HmacSha256_128 => 16,
            Self::HmacSha384_192 => 24,
            Self::HmacSha512_256 => 32,
            Self::HmacMd5_96 => 12,
        }
    }

    /// Why nobody should use it, if so.
    pub const fn weakness(self) -> Option<Weakness> {
        match self {
            Self::HmacMd5_96 => Some(MD5),
            Self::HmacSha1_96 | Self::HmacSha256_128 | Self::HmacSha384_192 | Self::HmacSha512_256 => None,
        }
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1_96 => "sha1",
            Self::HmacSha256_128 => "sha256",
            Self::HmacSha384_192 => "sha384",
            Self::HmacSha512_256 => "sha512",
            Self::HmacMd5_96 => "md5",
        }
    }
}

/// Pseudo-random functions (transform type 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrfId {
    /// PRF_HMAC_SHA1 (RFC 2104).
    HmacSha1,
    /// PRF_HMAC_SHA2_256 (RFC 4868).
    HmacSha256,
    /// PRF_HMAC_SHA2_384 (RFC 4868).
    HmacSha384,
    /// PRF_HMAC_SHA2_512 (RFC 4868).
    HmacSha512,
    /// PRF_HMAC_MD5 (RFC 2104).
    HmacMd5,
}

impl PrfId {
    /// Every PRF.
    pub const ALL: [Self; 5] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512, Self::HmacSha1, Self::HmacMd5];

    /// IANA transform ID.
    pub const fn iana(self) -> u16 {
        match self {
            Self::HmacSha1 => 2,
            Self::HmacSha256 => 5,
            Self::HmacSha384 => 6,
            Self::HmacSha512 => 7,
            Self::HmacMd5 => 1,
        }
    }

    /// The PRF with this IANA ID, if adit has it.
    pub fn from_iana(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|prf| prf.iana() == id)
    }

    /// Octets of output, and of preferred key (RFC 7296 section 2.14).
    pub const fn output_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
            Self::HmacMd5 => 16,
        }
    }

    /// Why nobody should use it, if so.
    pub const fn weakness(self) -> Option<Weakness> {
        match self {
            Self::HmacMd5 => Some(MD5),
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512 => None,
        }
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "prfsha1",
            Self::HmacSha256 => "prfsha256",
            Self::HmacSha384 => "prfsha384",
            Self::HmacSha512 => "prfsha512",
            Self::HmacMd5 => "prfmd5",
        }
    }
}

/// How ESP packets are numbered (transform type 5, RFC 4303 sections 2.2 and 2.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SequenceNumbers {
    /// 32 bits, all of them on the wire.
    Plain,
    /// 64 bits, the low half on the wire.
    Extended,
}

impl SequenceNumbers {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Extended, Self::Plain];

    /// IANA transform ID.
    pub const fn iana(self) -> u16 {
        match self {
            Self::Plain => 0,
            Self::Extended => 1,
        }
    }

    /// The transform with this IANA ID, if adit has it.
    pub fn from_iana(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|numbers| numbers.iana() == id)
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "noesn",
            Self::Extended => "esn",
        }
    }
}

/// What protects ESP packets or IKE's SK payload: an AEAD alone, or a cipher with an integrity transform.
/// There is no way to build one that does not authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CipherSuite {
    encr: Encr,
    integ: Option<Integ>,
}

impl CipherSuite {
    /// Every suite that can be built.
    pub fn all() -> impl Iterator<Item = Self> {
        let integs = || Integ::ALL.into_iter().map(Some).chain([None]);
        Encr::ALL.into_iter().flat_map(move |encr| integs().filter_map(move |integ| Self::new(encr, integ)))
    }

    /// `None` if an AEAD comes with an integrity transform or a plain cipher without one.
    pub const fn new(encr: Encr, integ: Option<Integ>) -> Option<Self> {
        match (encr.is_aead(), integ) {
            (true, None) | (false, Some(_)) => Some(Self { encr, integ }),
            (true, Some(_)) | (false, None) => None,
        }
    }

    /// The encryption transform.
    pub const fn encr(self) -> Encr {
        self.encr
    }

    /// The integrity transform, unless the cipher authenticates by itself.
    pub const fn integ(self) -> Option<Integ> {
        self.integ
    }

    /// Octets of ICV on the wire.
    pub const fn icv_len(self) -> usize {
        match (self.integ, self.encr.icv_len()) {
            (Some(integ), _) => integ.icv_len(),
            (None, Some(icv_len)) => icv_len,
            // `new` lets no suite through that has neither.
            (None, None) => 0,
        }
    }

    /// Octets of integrity key; 0 for an AEAD.
    pub const fn integ_key_len(self) -> usize {
        match self.integ {
            Some(integ) => integ.key_len(),
            None => 0,
        }
    }
}

impl std::fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.encr.name())?;
        match self.integ {
            Some(integ) => write!(f, "-{}", integ.name()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transform_is_found_again_by_its_number() {
        for encr in Encr::ALL {
            let (id, bits) = encr.iana();
            assert_eq!(Encr::from_iana(id, bits), Some(encr));
        }
        for integ in Integ::ALL {
            assert_eq!(Integ::from_iana(integ.iana()), Some(integ));
        }
        for prf in PrfId::ALL {
            assert_eq!(PrfId::from_iana(prf.iana()), Some(prf));
        }
        for group in KexGroup::ALL {
            assert_eq!(KexGroup::from_iana(group.iana()), Some(group));
        }
        for hash in Hash::ALL {
            assert_eq!(Hash::from_ike_v1(hash.ike_v1()), Some(hash));
        }
        for cipher in CbcCipher::ALL {
            let (value, bits) = cipher.ike_v1();
            assert_eq!(CbcCipher::from_ike_v1(value, bits), Some(cipher));
        }
        for numbers in SequenceNumbers::ALL {
            assert_eq!(SequenceNumbers::from_iana(numbers.iana()), Some(numbers));
        }
    }

    #[test]
    fn a_suite_that_does_not_authenticate_cannot_be_built() {
        assert!(CipherSuite::new(Encr::Aes128Cbc, None).is_none());
        assert!(CipherSuite::new(Encr::Aes128Gcm16, Some(Integ::HmacSha256_128)).is_none());
    }
}
