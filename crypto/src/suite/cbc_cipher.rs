//! Block ciphers in CBC mode for IKEv1's own messages: one row of facts for each.

use super::{Encr, Weakness};

/// What encrypts IKEv1 messages (RFC 2409 appendix B). It authenticates nothing: a HASH inside does that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CbcCipher {
    /// AES with a 128-bit key (RFC 3602).
    Aes128,
    /// AES with a 192-bit key (RFC 3602).
    Aes192,
    /// AES with a 256-bit key (RFC 3602).
    Aes256,
    /// Triple DES (RFC 2409 appendix B).
    TripleDes,
}

impl CbcCipher {
    /// Every cipher.
    pub const ALL: [Self; 4] = [Self::Aes128, Self::Aes192, Self::Aes256, Self::TripleDes];

    /// Value of the encryption attribute of IKEv1 ("Internet Key Exchange (IKE) Attributes", attribute 1) and, where
    /// the cipher wants one, of the key-length attribute in bits.
    pub const fn ike_v1(self) -> (u16, Option<u16>) {
        match self {
            Self::Aes128 => (7, Some(128)),
            Self::Aes192 => (7, Some(192)),
            Self::Aes256 => (7, Some(256)),
            Self::TripleDes => (5, None),
        }
    }

    /// The cipher with these values of IKEv1's attributes, if adit has it.
    pub fn from_ike_v1(value: u16, key_bits: Option<u16>) -> Option<Self> {
        Self::ALL.into_iter().find(|cipher| cipher.ike_v1() == (value, key_bits))
    }

    /// The same cipher as IKEv2 and ESP number it.
    const fn encr(self) -> Encr {
        match self {
            Self::Aes128 => Encr::Aes128Cbc,
            Self::Aes192 => Encr::Aes192Cbc,
            Self::Aes256 => Encr::Aes256Cbc,
            Self::TripleDes => Encr::TripleDesCbc,
        }
    }

    /// Octets of key.
    pub const fn key_len(self) -> usize {
        self.encr().key_len()
    }

    /// Octets of a block, and of an IV.
    pub const fn block_len(self) -> usize {
        self.encr().block_len()
    }

    /// Why nobody should use it, if so.
    pub const fn weakness(self) -> Option<Weakness> {
        self.encr().weakness()
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        self.encr().name()
    }
}
