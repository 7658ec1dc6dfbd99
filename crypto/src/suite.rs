//! What IANA numbered: transforms of IKEv2 and ESP, with their lengths. Facts live here once.
//!
//! Registry: "Internet Key Exchange Version 2 (IKEv2) Parameters".

/// Encryption transforms (transform type 1), with the key length where it is an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encr {
    /// AES-CBC with a 128-bit key (RFC 3602).
    Aes128Cbc,
    /// AES-CBC with a 256-bit key (RFC 3602).
    Aes256Cbc,
    /// AES-GCM with a 128-bit key and a 16-octet ICV (RFC 4106).
    Aes128Gcm16,
    /// AES-GCM with a 256-bit key and a 16-octet ICV (RFC 4106).
    Aes256Gcm16,
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
}

impl Encr {
    /// Every encryption transform, strongest habit first.
    pub const ALL: [Self; 5] =
        [Self::Aes128Gcm16, Self::Aes256Gcm16, Self::ChaCha20Poly1305, Self::Aes128Cbc, Self::Aes256Cbc];

    /// IANA transform ID and, where the registry wants one, the key-length attribute in bits.
    pub const fn iana(self) -> (u16, Option<u16>) {
        match self {
            Self::Aes128Cbc => (12, Some(128)),
            Self::Aes256Cbc => (12, Some(256)),
            Self::Aes128Gcm16 => (20, Some(128)),
            Self::Aes256Gcm16 => (20, Some(256)),
            Self::ChaCha20Poly1305 => (28, None),
        }
    }

    /// The transform with this IANA ID and key length, if adit has it.
    pub fn from_iana(id: u16, key_bits: Option<u16>) -> Option<Self> {
        Self::ALL.into_iter().find(|encr| encr.iana() == (id, key_bits))
    }

    /// Whether it authenticates by itself (no integrity transform beside it).
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::Aes128Gcm16 | Self::Aes256Gcm16 | Self::ChaCha20Poly1305)
    }

    /// Octets of keying material, the 4-octet salt of RFC 4106 section 8.1 included.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Cbc => 16,
            Self::Aes256Cbc => 32,
            Self::Aes128Gcm16 => 16 + 4,
            Self::Aes256Gcm16 | Self::ChaCha20Poly1305 => 32 + 4,
        }
    }

    /// Octets of IV on the wire.
    pub const fn iv_len(self) -> usize {
        if self.is_aead() { 8 } else { 16 }
    }

    /// What the plaintext (with padding) is a multiple of.
    pub const fn block_len(self) -> usize {
        if self.is_aead() { 1 } else { 16 }
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Cbc => "aes128",
            Self::Aes256Cbc => "aes256",
            Self::Aes128Gcm16 => "aes128gcm16",
            Self::Aes256Gcm16 => "aes256gcm16",
            Self::ChaCha20Poly1305 => "chacha20poly1305",
        }
    }
}

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
}

impl Integ {
    /// Every integrity transform.
    pub const ALL: [Self; 4] = [Self::HmacSha256_128, Self::HmacSha384_192, Self::HmacSha512_256, Self::HmacSha1_96];

    /// IANA transform ID.
    pub const fn iana(self) -> u16 {
        match self {
            Self::HmacSha1_96 => 2,
            Self::HmacSha256_128 => 12,
            Self::HmacSha384_192 => 13,
            Self::HmacSha512_256 => 14,
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
        }
    }

    /// Octets of ICV on the wire.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 12,
            Self::HmacSha256_128 => 16,
            Self::HmacSha384_192 => 24,
            Self::HmacSha512_256 => 32,
        }
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1_96 => "sha1",
            Self::HmacSha256_128 => "sha256",
            Self::HmacSha384_192 => "sha384",
            Self::HmacSha512_256 => "sha512",
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
}

impl PrfId {
    /// Every PRF.
    pub const ALL: [Self; 4] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512, Self::HmacSha1];

    /// IANA transform ID.
    pub const fn iana(self) -> u16 {
        match self {
            Self::HmacSha1 => 2,
            Self::HmacSha256 => 5,
            Self::HmacSha384 => 6,
            Self::HmacSha512 => 7,
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
        }
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "prfsha1",
            Self::HmacSha256 => "prfsha256",
            Self::HmacSha384 => "prfsha384",
            Self::HmacSha512 => "prfsha512",
        }
    }
}

/// Key exchange methods (transform type 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KexGroup {
    /// 2048-bit MODP (RFC 3526).
    Modp2048,
    /// 256-bit random ECP (RFC 5903).
    Ecp256,
    /// 384-bit random ECP (RFC 5903).
    Ecp384,
    /// Curve25519 (RFC 8031).
    X25519,
}

impl KexGroup {
    /// Every group.
    pub const ALL: [Self; 4] = [Self::X25519, Self::Ecp256, Self::Ecp384, Self::Modp2048];

    /// IANA transform ID.
    pub const fn iana(self) -> u16 {
        match self {
            Self::Modp2048 => 14,
            Self::Ecp256 => 19,
            Self::Ecp384 => 20,
            Self::X25519 => 31,
        }
    }

    /// The group with this IANA ID, if adit has it.
    pub fn from_iana(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.iana() == id)
    }

    /// Octets of the public value in a KE payload.
    pub const fn public_len(self) -> usize {
        match self {
            Self::Modp2048 => 256,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
            Self::X25519 => 32,
        }
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Modp2048 => "modp2048",
            Self::Ecp256 => "ecp256",
            Self::Ecp384 => "ecp384",
            Self::X25519 => "x25519",
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
        match self.integ {
            Some(integ) => integ.icv_len(),
            None => 16,
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
