//! Notification payloads (RFC 2408 section 3.14, RFC 2407 section 4.6.3, RFC 3706, and Cisco's).

use super::Protocol;
use crate::ike::wire::notify_kinds;

notify_kinds! {
    InvalidPayloadType = 1,
    DoiNotSupported = 2,
    SituationNotSupported = 3,
    InvalidCookie = 4,
    InvalidMajorVersion = 5,
    InvalidMinorVersion = 6,
    InvalidExchangeType = 7,
    InvalidFlags = 8,
    InvalidMessageId = 9,
    InvalidProtocolId = 10,
    InvalidSpi = 11,
    InvalidTransformId = 12,
    AttributesNotSupported = 13,
    NoProposalChosen = 14,
    BadProposalSyntax = 15,
    PayloadMalformed = 16,
    InvalidKeyInformation = 17,
    InvalidIdInformation = 18,
    InvalidCertEncoding = 19,
    InvalidCertificate = 20,
    CertTypeUnsupported = 21,
    InvalidCertAuthority = 22,
    InvalidHashInformation = 23,
    AuthenticationFailed = 24,
    InvalidSignature = 25,
    AddressNotification = 26,
    NotifySaLifetime = 27,
    CertificateUnavailable = 28,
    UnsupportedExchangeType = 29,
    UnequalPayloadLengths = 30,
    Connected = 16384,
    ResponderLifetime = 24576,
    ReplayStatus = 24577,
    InitialContact = 24578,
    RUThere = 36136,
    RUThereAck = 36137,
    UnityHeartbeat = 40500,
    UnityLoadBalance = 40501,
    UnityUnknown40502 = 40502,
    PresharedKeyHash = 40503,
}

impl NotifyKind {
    /// Whether it says that something failed (RFC 2408 section 3.14.1: types below 16384).
    pub const fn is_error(self) -> bool {
        self.iana() < 16_384
    }
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notify {
    /// What it is about.
    pub protocol: Protocol,
    /// The SA it is about: 16 octets of cookies, 4 of an ESP SPI, or nothing.
    pub spi: Vec<u8>,
    /// What it says.
    pub kind: NotifyKind,
    /// More of it.
    pub data: Vec<u8>,
}
