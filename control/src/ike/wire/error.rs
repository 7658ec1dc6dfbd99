//! Why bytes are not a message.

use super::reader::NoSubstructure;
use super::{IkeSpi, limits};

/// Why a datagram is not an IKEv2 message that adit takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer octets than a header has.
    #[error("{len} octets are too few for an IKE header")]
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
    /// Another major version (RFC 7296 section 2.5). What an answer needs comes along.
    #[error("major version {major} is not 2")]
    MajorVersion {
        /// The peer's major version.
        major: u8,
        /// Initiator's SPI.
        initiator_spi: IkeSpi,
        /// Responder's SPI.
        responder_spi: IkeSpi,
        /// Message ID.
        message_id: u32,
    },
    /// An exchange type that adit does not know.
    #[error("exchange type {0} is unknown")]
    BadExchange(u8),
    /// A payload breaks its own rules.
    #[error("payload {kind}: {fault}")]
    BadPayload {
        /// IANA payload type.
        kind: u8,
        /// Which rule.
        fault: Fault,
    },
    /// A payload of unknown type asks to be understood (RFC 7296 section 2.5).
    #[error("payload type {0} is unknown and critical")]
    UnsupportedCritical(u8),
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
    /// A substructure's "last" field disagrees with what follows.
    #[error("last-substructure field disagrees with the length")]
    LastSubstructure,
    /// The number of transforms disagrees with the proposal's length.
    #[error("number of transforms disagrees with the length")]
    TransformCount,
    /// The SA payload holds no proposal.
    #[error("no proposal")]
    NoProposal,
    /// A security protocol identifier that cannot stand here.
    #[error("protocol {0} cannot stand here")]
    Protocol(u8),
    /// SPI size or number do not fit the protocol.
    #[error("SPI size or number does not fit the protocol")]
    Spi,
    /// An identification type that adit does not know.
    #[error("identification type {0} is unknown")]
    IdKind(u8),
    /// An identity that is empty, too long, or no address where it should be one.
    #[error("identity of {0} octets does not fit its type")]
    IdLength(usize),
    /// A nonce outside 16 to 256 octets (RFC 7296 section 3.9).
    #[error("nonce of {0} octets is outside 16 to 256")]
    NonceLength(usize),
    /// A selector's length does not fit its type.
    #[error("selector length does not fit its type")]
    SelectorLength,
    /// A selector ends before it starts.
    #[error("selector range is upside down")]
    SelectorRange,
    /// The number of selectors disagrees with the payload's length, or is zero.
    #[error("number of selectors disagrees with the length")]
    SelectorCount,
    /// A CFG type outside 1 to 4.
    #[error("configuration type {0} is unknown")]
    ConfigKind(u8),
    /// Padding longer than the plaintext (RFC 7296 section 3.14).
    #[error("padding is longer than the plaintext")]
    Padding,
    /// A fragment beyond the total, or numbered 0, or not the first and yet with a first payload inside.
    #[error("fragment {number} of {total} cannot be")]
    FragmentNumber {
        /// Which.
        number: u16,
        /// Of how many.
        total: u16,
    },
    /// SK where it cannot stand: inside SK, or not last (RFC 7296 section 3.14).
    #[error("encrypted payload must be the last and the only one")]
    Nested,
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
    /// [`limits::MAX_DELETED_SPIS`]
    DeletedSpis,
    /// [`limits::MAX_CONFIG_ATTRIBUTES`]
    ConfigAttributes,
}

impl Limited {
    /// How many are allowed.
    pub const fn limit(self) -> usize {
        match self {
            Self::Payloads => limits::MAX_PAYLOADS,
            Self::Proposals => limits::MAX_PROPOSALS,
            Self::Transforms => limits::MAX_TRANSFORMS,
            Self::TransformAttributes => limits::MAX_TRANSFORM_ATTRIBUTES,
            Self::DeletedSpis => limits::MAX_DELETED_SPIS,
            Self::ConfigAttributes => limits::MAX_CONFIG_ATTRIBUTES,
        }
    }

    /// Of what, in the plural.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payloads => "payloads",
            Self::Proposals => "proposals",
            Self::Transforms => "transforms",
            Self::TransformAttributes => "attributes of a transform",
            Self::DeletedSpis => "SPIs to delete",
            Self::ConfigAttributes => "configuration attributes",
        }
    }
}
