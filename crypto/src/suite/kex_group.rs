//! Key exchange methods (transform type 4): one row of facts for each.

use super::Weakness;

/// Key exchange methods (transform type 4). IKEv1 numbers its groups the same (RFC 2409 section 6, RFC 3526, RFC 5903).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KexGroup {
    /// 768-bit MODP (RFC 2409 section 6.1).
    Modp768,
    /// 1024-bit MODP (RFC 2409 section 6.2).
    Modp1024,
    /// 1536-bit MODP (RFC 3526).
    Modp1536,
    /// 2048-bit MODP (RFC 3526).
    Modp2048,
    /// 3072-bit MODP (RFC 3526).
    Modp3072,
    /// 4096-bit MODP (RFC 3526).
    Modp4096,
    /// 256-bit random ECP (RFC 5903).
    Ecp256,
    /// 384-bit random ECP (RFC 5903).
    Ecp384,
    /// 521-bit random ECP (RFC 5903).
    Ecp521,
    /// Curve25519 (RFC 8031).
    X25519,
}

/// What is to be known of one group.
struct Facts {
    id: u16,
    /// Octets of the public value.
    public_len: usize,
    weakness: Option<Weakness>,
    name: &'static str,
}

impl KexGroup {
    /// Every group, strongest habit first.
    pub const ALL: [Self; 10] = [
        Self::X25519,
        Self::Ecp256,
        Self::Ecp384,
        Self::Ecp521,
        Self::Modp2048,
        Self::Modp3072,
        Self::Modp4096,
        Self::Modp1536,
        Self::Modp1024,
        Self::Modp768,
    ];

    /// The name is strongSwan's spelling.
    const fn facts(self) -> Facts {
        match self {
            Self::Modp768 => Facts {
                weakness: Some(Weakness("its discrete logarithms have been computed")),
                ..good(1, 96, "modp768")
            },
            Self::Modp1024 => Facts {
                weakness: Some(Weakness("its discrete logarithms are within reach of a state")),
                ..good(2, 128, "modp1024")
            },
            Self::Modp1536 => good(5, 192, "modp1536"),
            Self::Modp2048 => good(14, 256, "modp2048"),
            Self::Modp3072 => good(15, 384, "modp3072"),
            Self::Modp4096 => good(16, 512, "modp4096"),
            Self::Ecp256 => good(19, 64, "ecp256"),
            Self::Ecp384 => good(20, 96, "ecp384"),
            Self::Ecp521 => good(21, 132, "ecp521"),
            Self::X25519 => good(31, 32, "x25519"),
        }
    }

    /// IANA transform ID, and value of IKEv1's group attribute.
    pub const fn iana(self) -> u16 {
        self.facts().id
    }

    /// The group with this IANA ID, if adit has it.
    pub fn from_iana(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.iana() == id)
    }

    /// Octets of the public value in a KE payload.
    pub const fn public_len(self) -> usize {
        self.facts().public_len
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

const fn good(id: u16, public_len: usize, name: &'static str) -> Facts {
    Facts { id, public_len, weakness: None, name }
}
