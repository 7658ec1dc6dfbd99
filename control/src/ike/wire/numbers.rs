//! IANA numbers of the IKEv2 registry that belong to the messages' shape. The algorithms' numbers live in
//! `adit_crypto::suite`, the notifications' in [`super::NotifyKind`].

use super::{ConfigKind, Exchange, IdKind, Protocol, TransformKind};

/// Payload types (RFC 7296 section 3.2).
pub(in crate::ike) mod kind {
    pub(in crate::ike) const NONE: u8 = 0;
    pub(in crate::ike) const SA: u8 = 33;
    pub(in crate::ike) const KE: u8 = 34;
    pub(in crate::ike) const ID_I: u8 = 35;
    pub(in crate::ike) const ID_R: u8 = 36;
    pub(in crate::ike) const CERT: u8 = 37;
    pub(in crate::ike) const CERTREQ: u8 = 38;
    pub(in crate::ike) const AUTH: u8 = 39;
    pub(in crate::ike) const NONCE: u8 = 40;
    pub(in crate::ike) const NOTIFY: u8 = 41;
    pub(in crate::ike) const DELETE: u8 = 42;
    pub(in crate::ike) const VENDOR_ID: u8 = 43;
    pub(in crate::ike) const TS_I: u8 = 44;
    pub(in crate::ike) const TS_R: u8 = 45;
    pub(in crate::ike) const SK: u8 = 46;
    pub(in crate::ike) const CP: u8 = 47;
    pub(in crate::ike) const EAP: u8 = 48;
    /// RFC 7383 section 2.5.
    pub(in crate::ike) const SKF: u8 = 53;
}

/// Major version 2, minor version 0 (RFC 7296 section 3.1).
pub(in crate::ike) const VERSION: u8 = 0x20;
/// Flag bits (RFC 7296 section 3.1).
pub(in crate::ike) const FLAG_INITIATOR: u8 = 0x08;
/// See [`FLAG_INITIATOR`].
pub(in crate::ike) const FLAG_RESPONSE: u8 = 0x20;
/// The critical bit of the generic payload header (RFC 7296 section 3.2).
pub(in crate::ike) const CRITICAL: u8 = 0x80;
/// Octets of the generic payload header (RFC 7296 section 3.2).
pub(in crate::ike) const GENERIC_LEN: usize = 4;
/// Octets before the IV of an SKF payload: its generic header and two numbers (RFC 7383 section 2.5).
pub(in crate::ike) const FRAGMENT_HEADER_LEN: usize = 8;
/// "More follow" of a proposal and of a transform (RFC 7296 sections 3.3.1 and 3.3.2).
pub(super) const MORE_PROPOSALS: u8 = 2;
/// See [`MORE_PROPOSALS`].
pub(super) const MORE_TRANSFORMS: u8 = 3;
/// Key length, with the bit that says "value, no length" (RFC 7296 section 3.3.5).
pub(super) const KEY_LENGTH_ATTRIBUTE: u16 = 0x8000 | 14;
/// TS_IPV4_ADDR_RANGE (RFC 7296 section 3.13.1).
pub(super) const TS_IPV4: u8 = 7;
/// TS_IPV6_ADDR_RANGE (RFC 7296 section 3.13.1).
pub(super) const TS_IPV6: u8 = 8;

impl Exchange {
    /// IANA number.
    pub const fn iana(self) -> u8 {
        match self {
            Self::IkeSaInit => 34,
            Self::IkeAuth => 35,
            Self::CreateChildSa => 36,
            Self::Informational => 37,
        }
    }

    /// From the IANA number.
    pub const fn from_iana(number: u8) -> Option<Self> {
        match number {
            34 => Some(Self::IkeSaInit),
            35 => Some(Self::IkeAuth),
            36 => Some(Self::CreateChildSa),
            37 => Some(Self::Informational),
            _ => None,
        }
    }
}

impl Protocol {
    /// IANA number.
    pub const fn iana(self) -> u8 {
        match self {
            Self::Ike => 1,
            Self::Ah => 2,
            Self::Esp => 3,
        }
    }

    /// From the IANA number.
    pub const fn from_iana(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ike),
            2 => Some(Self::Ah),
            3 => Some(Self::Esp),
            _ => None,
        }
    }
}

impl TransformKind {
    /// IANA number.
    pub const fn iana(self) -> u8 {
        match self {
            Self::Encr => 1,
            Self::Prf => 2,
            Self::Integ => 3,
            Self::KeyExchange => 4,
            Self::Esn => 5,
            Self::Other(number) => number,
        }
    }

    /// From the IANA number.
    pub const fn from_iana(number: u8) -> Self {
        match number {
            1 => Self::Encr,
            2 => Self::Prf,
            3 => Self::Integ,
            4 => Self::KeyExchange,
            5 => Self::Esn,
            other => Self::Other(other),
        }
    }
}

impl IdKind {
    /// IANA number.
    pub const fn iana(self) -> u8 {
        match self {
            Self::Ipv4 => 1,
            Self::Fqdn => 2,
            Self::Email => 3,
            Self::Ipv6 => 5,
            Self::DistinguishedName => 9,
            Self::GeneralName => 10,
            Self::KeyId => 11,
        }
    }

    /// From the IANA number.
    pub const fn from_iana(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ipv4),
            2 => Some(Self::Fqdn),
            3 => Some(Self::Email),
            5 => Some(Self::Ipv6),
            9 => Some(Self::DistinguishedName),
            10 => Some(Self::GeneralName),
            11 => Some(Self::KeyId),
            _ => None,
        }
    }
}

impl ConfigKind {
    /// IANA number.
    pub const fn iana(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::Set => 3,
            Self::Ack => 4,
        }
    }

    /// From the IANA number.
    pub const fn from_iana(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Request),
            2 => Some(Self::Reply),
            3 => Some(Self::Set),
            4 => Some(Self::Ack),
            _ => None,
        }
    }
}
