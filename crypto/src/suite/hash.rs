//! Hash functions, as IKEv1 names them (RFC 2409 appendix A): one row of facts for each.

use super::{MD5, PrfId, Weakness};

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180-4).
    Sha1,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-384 (FIPS 180-4).
    Sha384,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl Hash {
    /// Every hash function.
    pub const ALL: [Self; 5] = [Self::Sha256, Self::Sha384, Self::Sha512, Self::Sha1, Self::Md5];

    /// Value of the hash attribute of IKEv1 ("Internet Key Exchange (IKE) Attributes", attribute 2).
    pub const fn ike_v1(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha1 => 2,
            Self::Sha256 => 4,
            Self::Sha384 => 5,
            Self::Sha512 => 6,
        }
    }

    /// The hash with this value of IKEv1's hash attribute, if adit has it.
    pub fn from_ike_v1(value: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.ike_v1() == value)
    }

    /// Octets of output.
    pub const fn output_len(self) -> usize {
        self.prf().output_len()
    }

    /// HMAC with it: what IKEv1 uses as its PRF where none is negotiated, and none ever is (RFC 2409 section 4).
    pub const fn prf(self) -> PrfId {
        match self {
            Self::Md5 => PrfId::HmacMd5,
            Self::Sha1 => PrfId::HmacSha1,
            Self::Sha256 => PrfId::HmacSha256,
            Self::Sha384 => PrfId::HmacSha384,
            Self::Sha512 => PrfId::HmacSha512,
        }
    }

    /// Why nobody should use it, if so. SHA-1 is not named here: what IKE asks of it, HMAC and one-wayness, stands.
    pub const fn weakness(self) -> Option<Weakness> {
        match self {
            Self::Md5 => Some(MD5),
            Self::Sha1 | Self::Sha256 | Self::Sha384 | Self::Sha512 => None,
        }
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}
