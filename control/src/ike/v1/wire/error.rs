//! Why bytes are not a message.

use super::limits;
use crate::ike::wire::reader::NoSubstructure;

/// Why a datagram is not an IKEv1 message that adit takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer octets than a header has.
    #[error("{len} octets are too few for an ISAKMP header")]
    TooShort {
        /// Octets received.
        len: usize,
    },
    /// The header's length is not the datagram's.
    #[error("header says {header} octets, datagram has {datagram}")]
    LengthMismatch {
        /// As the header says.
        header: u32,
        /// As received.
        datagram: usize,
    },
    /// Another major version.
    #[error("major version {0} is not 1")]
    MajorVersion(u8),
    /// The initiator's cookie is zero, which is none (RFC 2408 section 2.5.3: it identifies the SA).
    #[error("the initiator's cookie is zero")]
    NoCookie,
    /// An exchange type that adit does not know.
    #[error("exchange type {0} is unknown")]
    BadExchange(u8),
    /// What is encrypted is empty or no multiple of 8 octets, the smallest block there is.
    #[error("{0} encrypted octets are no whole blocks")]
    BadSealedLength(usize),
    /// A payload breaks its own rules.
    #[error("payload {kind}: {fault}")]
    BadPayload {
        /// ISAKMP payload type.
        kind: u8,
        /// Which rule.
        fault: Fault,
    },
    /// More than adit's own [`limits`] allow.
    #[error("more than {} {}", .0.limit(), .0.name())]
    TooMany(Limited),
}

/// The rule that a payload breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ends before its fields do.
    #[error("ends too early")]
    Truncated,
    /// Octets are left over.
    #[error("octets left over")]
    Trailing,
    /// The generic header's length is below 4 or beyond the message.
    #[error("length field does not fit the message")]
    Length,
    /// A field that must be zero is not: what decrypted to this was decrypted with another key, or was damaged.
    #[error("reserved octet is not zero")]
    Reserved,
    /// A domain of interpretation other than IPsec's (RFC 2407 section 4.2).
    #[error("domain of interpretation {0} is not IPsec's")]
    Doi(u32),
    /// A situation other than SIT_IDENTITY_ONLY (RFC 2407 section 4.2).
    #[error("situation {0:#x} is not identity alone")]
    Situation(u32),
    /// A substructure's "next payload" field disagrees with what follows.
    #[error("next-payload field disagrees with the length")]
    LastSubstructure,
    /// The number of transforms disagrees with the proposal's length.
    #[error("number of transforms disagrees with the length")]
    TransformCount,
    /// The SA payload holds no proposal, or a proposal no transform.
    #[error("no proposal, or one without a transform")]
    NoProposal,
    /// An attribute longer than any that is known.
    #[error("attribute of {0} octets")]
    AttributeLength(usize),
    /// SPI size or number do not fit the protocol.
    #[error("SPI size or number does not fit the protocol")]
    Spi,
    /// An identification type that adit does not know.
    #[error("identification type {0} is unknown")]
    IdKind(u8),
    /// An identity that is empty, too long, or no address where it should be one.
    #[error("identity of {0} octets does not fit its type")]
    IdLength(usize),
    /// A netmask with a hole, or a range that ends before it starts.
    #[error("address range is upside down or has holes")]
    IdRange,
    /// A nonce outside 8 to 256 octets (RFC 2409 section 5).
    #[error("nonce of {0} octets is outside 8 to 256")]
    NonceLength(usize),
    /// A mode-config message type outside 1 to 4.
    #[error("mode-config type {0} is unknown")]
    ConfigKind(u8),
    /// An original address of a type other than the two addresses'.
    #[error("original address of type {0}")]
    OriginalAddress(u8),
    /// A fragment numbered 0, empty, or beside other payloads.
    #[error("fragment is empty, numbered 0 or not alone")]
    Fragment,
}

impl From<NoSubstructure> for Fault {
    fn from(none: NoSubstructure) -> Self {
        match none {
            NoSubstructure::Truncated => Self::Truncated,
            NoSubstructure::Next => Self::LastSubstructure,
        }
    }
}

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// [`limits::MAX_PAYLOADS`]
    Payloads,
    /// [`limits::MAX_PROPOSALS`]
    Proposals,
    /// [`limits::MAX_TRANSFORMS`]
    Transforms,
    /// [`limits::MAX_TRANSFORM_ATTRIBUTES`]
    TransformAttributes,
    /// [`limits::MAX_CONFIG_ATTRIBUTES`]
    ConfigAttributes,
    /// [`limits::MAX_DELETED_SPIS`]
    DeletedSpis,
    /// [`limits::MAX_PADDING`]
    Padding,
}

impl Limited {
    /// How many are allowed.
    pub const fn limit(self) -> usize {
        match self {
            Self::Payloads => limits::MAX_PAYLOADS,
            Self::Proposals => limits::MAX_PROPOSALS,
            Self::Transforms => limits::MAX_TRANSFORMS,
            Self::TransformAttributes => limits::MAX_TRANSFORM_ATTRIBUTES,
            Self::ConfigAttributes => limits::MAX_CONFIG_ATTRIBUTES,
            Self::DeletedSpis => limits::MAX_DELETED_SPIS,
            Self::Padding => limits::MAX_PADDING,
        }
    }

    /// Of what, in the plural.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payloads => "payloads",
            Self::Proposals => "proposals",
            Self::Transforms => "transforms",
            Self::TransformAttributes => "attributes of a transform",
            Self::ConfigAttributes => "mode-config attributes",
            Self::DeletedSpis => "SPIs to delete",
            Self::Padding => "octets of padding",
        }
    }
}
