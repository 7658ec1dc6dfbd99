//! Data attributes (RFC 2408 section 3.3): in transforms and in mode config.

use super::mode_config::number;
use super::numbers::SHORT_ATTRIBUTE;
use std::fmt;

/// One attribute; what its number means depends on where it stands. Never shows a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Type, without the format bit.
    pub kind: u16,
    /// In the form it had.
    pub value: Value,
}

/// The two forms of a value. Peers insist on the form they know: vpnc takes the Cisco UDP port only in the short one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// TV: two octets in the place of the length.
    Short(u16),
    /// TLV: may be empty, which in a mode-config request asks for it.
    Long(Vec<u8>),
}

impl Attribute {
    /// In the short form.
    pub const fn short(kind: u16, value: u16) -> Self {
        Self { kind: kind & !SHORT_ATTRIBUTE, value: Value::Short(value) }
    }

    /// In the long form.
    pub fn long(kind: u16, value: impl Into<Vec<u8>>) -> Self {
        Self { kind: kind & !SHORT_ATTRIBUTE, value: Value::Long(value.into()) }
    }

    /// Whether it holds what a user keeps secret. No attribute of a transform has these numbers.
    pub(super) const fn is_secret(&self) -> bool {
        matches!(
            self.kind,
            number::XAUTH_USER_PASSWORD | number::XAUTH_PASSCODE | number::XAUTH_NEXT_PIN | number::XAUTH_ANSWER
        )
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() {
            return write!(f, "Attribute({}, secret)", self.kind);
        }
        write!(f, "Attribute({}, {:?})", self.kind, self.value)
    }
}

impl Value {
    /// As a number, from either form (RFC 2409 appendix A: variable-length values up to what fits are taken).
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Short(value) => Some(u64::from(*value)),
            Self::Long(octets) => {
                let significant = octets.iter().position(|octet| *octet != 0).map_or(&[][..], |at| &octets[at..]);
                if octets.is_empty() || significant.len() > 8 {
                    return None;
                }
                Some(significant.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)))
            }
        }
    }

    /// The octets of the long form; a short value has none.
    pub fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::Short(_) => None,
            Self::Long(octets) => Some(octets),
        }
    }
}
