//! Encryption transforms (transform type 1): one row of facts for each.

use super::Weakness;

/// Encryption transforms (transform type 1), with the key length where it is an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encr {
    /// AES-GCM with a 128-bit key and a 16-octet ICV (RFC 4106).
    Aes128Gcm16,
    /// AES-GCM with a 192-bit key and a 16-octet ICV (RFC 4106).
    Aes192Gcm16,
    /// AES-GCM with a 256-bit key and a 16-octet ICV (RFC 4106).
    Aes256Gcm16,
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
    /// AES-GCM with a 128-bit key and a 12-octet ICV (RFC 4106).
    Aes128Gcm12,
    /// AES-GCM with a 192-bit key and a 12-octet ICV (RFC 4106).
    Aes192Gcm12,
    /// AES-GCM with a 256-bit key and a 12-octet ICV (RFC 4106).
    Aes256Gcm12,
    /// AES-GCM with a 128-bit key and an 8-octet ICV (RFC 4106).
    Aes128Gcm8,
    /// AES-GCM with a 192-bit key and an 8-octet ICV (RFC 4106).
    Aes192Gcm8,
    /// AES-GCM with a 256-bit key and an 8-octet ICV (RFC 4106).
    Aes256Gcm8,
    /// AES-CCM with a 128-bit key and a 16-octet ICV (RFC 4309).
    Aes128Ccm16,
    /// AES-CCM with a 192-bit key and a 16-octet ICV (RFC 4309).
    Aes192Ccm16,
    /// AES-CCM with a 256-bit key and a 16-octet ICV (RFC 4309).
    Aes256Ccm16,
    /// AES-CCM with a 128-bit key and a 12-octet ICV (RFC 4309).
    Aes128Ccm12,
    /// AES-CCM with a 192-bit key and a 12-octet ICV (RFC 4309).
    Aes192Ccm12,
    /// AES-CCM with a 256-bit key and a 12-octet ICV (RFC 4309).
    Aes256Ccm12,
    /// AES-CCM with a 128-bit key and an 8-octet ICV (RFC 4309).
    Aes128Ccm8,
    /// AES-CCM with a 192-bit key and an 8-octet ICV (RFC 4309).
    Aes192Ccm8,
    /// AES-CCM with a 256-bit key and an 8-octet ICV (RFC 4309).
    Aes256Ccm8,
    /// AES-CBC with a 128-bit key (RFC 3602).
    Aes128Cbc,
    /// AES-CBC with a 192-bit key (RFC 3602).
    Aes192Cbc,
    /// AES-CBC with a 256-bit key (RFC 3602).
    Aes256Cbc,
    /// Authentication alone, by AES-GMAC with a 128-bit key (RFC 4543).
    Aes128Gmac,
    /// Authentication alone, by AES-GMAC with a 192-bit key (RFC 4543).
    Aes192Gmac,
    /// Authentication alone, by AES-GMAC with a 256-bit key (RFC 4543).
    Aes256Gmac,
    /// Triple DES in CBC mode (RFC 2451).
    TripleDesCbc,
    /// No encryption (RFC 2410); the integrity transform beside it authenticates.
    Null,
}

/// What is to be known of one transform.
struct Facts {
    id: u16,
    key_bits: Option<u16>,
    key_len: usize,
    iv_len: usize,
    block_len: usize,
    /// `None` if it does not authenticate.
    icv_len: Option<usize>,
    secrecy: Secrecy,
    weakness: Option<Weakness>,
    name: &'static str,
}

/// Whether a transform hides what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// It does.
    Encrypts,
    /// It does not: good for ESP where secrecy is not wanted, never for IKE (RFC 7296 section 3.14: SK is encrypted).
    AuthenticatesOnly,
}

impl Encr {
    /// Every encryption transform, strongest habit first.
    pub const ALL: [Self; 27] = [
        Self::Aes128Gcm16,
        Self::Aes192Gcm16,
        Self::Aes256Gcm16,
        Self::ChaCha20Poly1305,
        Self::Aes128Gcm12,
        Self::Aes192Gcm12,
        Self::Aes256Gcm12,
        Self::Aes128Gcm8,
        Self::Aes192Gcm8,
        Self::Aes256Gcm8,
        Self::Aes128Ccm16,
        Self::Aes192Ccm16,
        Self::Aes256Ccm16,
        Self::Aes128Ccm12,
        Self::Aes192Ccm12,
        Self::Aes256Ccm12,
        Self::Aes128Ccm8,
        Self::Aes192Ccm8,
        Self::Aes256Ccm8,
        Self::Aes128Cbc,
        Self::Aes192Cbc,
        Self::Aes256Cbc,
        Self::Aes128Gmac,
        Self::Aes192Gmac,
        Self::Aes256Gmac,
        Self::TripleDesCbc,
        Self::Null,
    ];

    /// The name is strongSwan's spelling.
    const fn facts(self) -> Facts {
        match self {
            Self::Aes128Gcm16 => gcm(20, 128, 16, "aes128gcm16"),
            Self::Aes192Gcm16 => gcm(20, 192, 16, "aes192gcm16"),
            Self::Aes256Gcm16 => gcm(20, 256, 16, "aes256gcm16"),
            Self::ChaCha20Poly1305 => Facts { key_bits: None, ..gcm(28, 256, 16, "chacha20poly1305") },
            Self::Aes128Gcm12 => gcm(19, 128, 12, "aes128gcm12"),
            Self::Aes192Gcm12 => gcm(19, 192, 12, "aes192gcm12"),
            Self::Aes256Gcm12 => gcm(19, 256, 12, "aes256gcm12"),
            Self::Aes128Gcm8 => gcm(18, 128, 8, "aes128gcm8"),
            Self::Aes192Gcm8 => gcm(18, 192, 8, "aes192gcm8"),
            Self::Aes256Gcm8 => gcm(18, 256, 8, "aes256gcm8"),
            Self::Aes128Ccm16 => ccm(16, 128, 16, "aes128ccm16"),
            Self::Aes192Ccm16 => ccm(16, 192, 16, "aes192ccm16"),
            Self::Aes256Ccm16 => ccm(16, 256, 16, "aes256ccm16"),
            Self::Aes128Ccm12 => ccm(15, 128, 12, "aes128ccm12"),
            Self::Aes192Ccm12 => ccm(15, 192, 12, "aes192ccm12"),
            Self::Aes256Ccm12 => ccm(15, 256, 12, "aes256ccm12"),
            Self::Aes128Ccm8 => ccm(14, 128, 8, "aes128ccm8"),
            Self::Aes192Ccm8 => ccm(14, 192, 8, "aes192ccm8"),
            Self::Aes256Ccm8 => ccm(14, 256, 8, "aes256ccm8"),
            Self::Aes128Cbc => cbc(128, "aes128"),
            Self::Aes192Cbc => cbc(192, "aes192"),
            Self::Aes256Cbc => cbc(256, "aes256"),
            Self::Aes128Gmac => gmac(128, "aes128gmac"),
            Self::Aes192Gmac => gmac(192, "aes192gmac"),
            Self::Aes256Gmac => gmac(256, "aes256gmac"),
            Self::TripleDesCbc => Facts {
                id: 3,
                key_bits: None,
                key_len: 24,
                iv_len: 8,
                block_len: 8,
                icv_len: None,
                secrecy: Secrecy::Encrypts,
                weakness: Some(Weakness("its blocks of 64 bits leak after some gigabytes under one key")),
                name: "3des",
            },
            Self::Null => Facts {
                id: 11,
                key_bits: None,
                key_len: 0,
                iv_len: 0,
                block_len: 1,
                icv_len: None,
                secrecy: Secrecy::AuthenticatesOnly,
                weakness: Some(Weakness("it encrypts nothing")),
                name: "null",
            },
        }
    }

    /// IANA transform ID and, where the registry wants one, the key-length attribute in bits.
    pub const fn iana(self) -> (u16, Option<u16>) {
        let facts = self.facts();
        (facts.id, facts.key_bits)
    }

    /// The transform with this IANA ID and key length, if adit has it.
    pub fn from_iana(id: u16, key_bits: Option<u16>) -> Option<Self> {
        Self::ALL.into_iter().find(|encr| encr.iana() == (id, key_bits))
    }

    /// Whether it authenticates by itself (no integrity transform beside it).
    pub const fn is_aead(self) -> bool {
        self.facts().icv_len.is_some()
    }

    /// Octets of ICV on the wire, if it authenticates by itself.
    pub const fn icv_len(self) -> Option<usize> {
        self.facts().icv_len
    }

    /// Octets of keying material, with the salt at its end: 4 octets (RFC 4106 section 8.1, RFC 4543 section 5,
    /// RFC 7634 section 2), 3 for CCM (RFC 4309 section 7.1).
    pub const fn key_len(self) -> usize {
        self.facts().key_len
    }

    /// Octets of IV on the wire.
    pub const fn iv_len(self) -> usize {
        self.facts().iv_len
    }

    /// What the plaintext (with padding) is a multiple of.
    pub const fn block_len(self) -> usize {
        self.facts().block_len
    }

    /// Whether it hides what it carries.
    pub const fn secrecy(self) -> Secrecy {
        self.facts().secrecy
    }

    /// Why nobody should use it, if so.
    pub const fn weakness(self) -> Option<Weakness> {
        self.facts().weakness
    }

    /// The name used in config and logs, as strongSwan spells it.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }
}

const fn gcm(id: u16, bits: u16, icv_len: usize, name: &'static str) -> Facts {
    Facts {
        id,
        key_bits: Some(bits),
        key_len: bits as usize / 8 + 4,
        iv_len: 8,
        block_len: 1,
        icv_len: Some(icv_len),
        secrecy: Secrecy::Encrypts,
        weakness: None,
        name,
    }
}

const fn ccm(id: u16, bits: u16, icv_len: usize, name: &'static str) -> Facts {
    Facts { key_len: bits as usize / 8 + 3, ..gcm(id, bits, icv_len, name) }
}

const fn gmac(bits: u16, name: &'static str) -> Facts {
    Facts { secrecy: Secrecy::AuthenticatesOnly, ..gcm(21, bits, 16, name) }
}

const fn cbc(bits: u16, name: &'static str) -> Facts {
    Facts {
        id: 12,
        key_bits: Some(bits),
        key_len: bits as usize / 8,
        iv_len: 16,
        block_len: 16,
        icv_len: None,
        secrecy: Secrecy::Encrypts,
        weakness: None,
        name,
    }
}
