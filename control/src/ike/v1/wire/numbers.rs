//! Numbers of the ISAKMP registries that belong to the messages' shape.

use super::Protocol;

/// Payload types (RFC 2408 section 3.1; 14 from the mode-config draft; 20 and 21 from RFC 3947 section 3.2).
pub(in crate::ike) mod kind {
    pub(in crate::ike) const NONE: u8 = 0;
    pub(in crate::ike) const SA: u8 = 1;
    pub(in crate::ike) const PROPOSAL: u8 = 2;
    pub(in crate::ike) const TRANSFORM: u8 = 3;
    pub(in crate::ike) const KE: u8 = 4;
    pub(in crate::ike) const ID: u8 = 5;
    pub(in crate::ike) const CERT: u8 = 6;
    pub(in crate::ike) const CERTREQ: u8 = 7;
    pub(in crate::ike) const HASH: u8 = 8;
    pub(in crate::ike) const SIG: u8 = 9;
    pub(in crate::ike) const NONCE: u8 = 10;
    pub(in crate::ike) const NOTIFY: u8 = 11;
    pub(in crate::ike) const DELETE: u8 = 12;
    pub(in crate::ike) const VENDOR_ID: u8 = 13;
    pub(in crate::ike) const ATTRIBUTES: u8 = 14;
    pub(in crate::ike) const NAT_D: u8 = 20;
    pub(in crate::ike) const NAT_OA: u8 = 21;
    /// NAT-D of draft-ietf-ipsec-nat-t-ike-00 to -03.
    pub(in crate::ike) const NAT_D_DRAFT: u8 = 130;
    /// NAT-OA of the same.
    pub(in crate::ike) const NAT_OA_DRAFT: u8 = 131;
    /// Cisco's fragment of a whole message.
    pub(in crate::ike) const FRAGMENT: u8 = 132;
}

/// Major version 1, minor version 0 (RFC 2408 section 3.1).
pub(super) const VERSION: u8 = 0x10;
/// Flag bits (RFC 2408 section 3.1).
pub(super) const FLAG_ENCRYPTED: u8 = 0x01;
/// See [`FLAG_ENCRYPTED`].
pub(super) const FLAG_COMMIT: u8 = 0x02;
/// Octets of the generic payload header (RFC 2408 section 3.2).
pub(in crate::ike) const GENERIC_LEN: usize = 4;
/// Where the length field stands in the header.
pub(in crate::ike) const LENGTH_AT: usize = 24;
/// The bit of an attribute's type that says "value, no length" (RFC 2408 section 3.3).
pub(super) const SHORT_ATTRIBUTE: u16 = 0x8000;
/// IPsec's domain of interpretation (RFC 2407 section 6.1).
pub(super) const DOI_IPSEC: u32 = 1;
/// SIT_IDENTITY_ONLY (RFC 2407 section 4.2.1).
pub(super) const SITUATION: u32 = 1;
/// Octets of an ISAKMP SPI: both cookies (RFC 2408 section 3.15).
pub(super) const COOKIES_LEN: u8 = 16;

impl Protocol {
    /// IANA number (RFC 2407 section 4.4.1).
    pub const fn iana(self) -> u8 {
        match self {
            Self::Isakmp => 1,
            Self::Ah => 2,
            Self::Esp => 3,
            Self::Ipcomp => 4,
            Self::Other(number) => number,
        }
    }

    /// From the IANA number.
    pub const fn from_iana(number: u8) -> Self {
        match number {
            1 => Self::Isakmp,
            2 => Self::Ah,
            3 => Self::Esp,
            4 => Self::Ipcomp,
            other => Self::Other(other),
        }
    }
}
