//! Notify payloads (RFC 7296 section 3.10).

use super::Protocol;

/// A registry of notifications, for either version of IKE.
macro_rules! notify_kinds {
    ($($variant:ident = $number:literal,)+) => {
        /// Notify message types that adit knows; all others are kept by number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the registry's names")]
        pub enum NotifyKind {
            $($variant,)+
            /// Any other number.
            Other(u16),
        }

        impl NotifyKind {
            /// The number on the wire, IANA's or one that a vendor took.
            pub const fn iana(self) -> u16 {
                match self { $(Self::$variant => $number,)+ Self::Other(number) => number }
            }

            /// From the number.
            pub const fn from_iana(number: u16) -> Self {
                match number { $($number => Self::$variant,)+ other => Self::Other(other) }
            }
        }
    };
}

pub(in crate::ike) use notify_kinds;

notify_kinds! {
    UnsupportedCriticalPayload = 1,
    InvalidIkeSpi = 4,
    InvalidMajorVersion = 5,
    InvalidSyntax = 7,
    InvalidMessageId = 9,
    InvalidSpi = 11,
    NoProposalChosen = 14,
    InvalidKePayload = 17,
    AuthenticationFailed = 24,
    SinglePairRequired = 34,
    NoAdditionalSas = 35,
    InternalAddressFailure = 36,
    FailedCpRequired = 37,
    TsUnacceptable = 38,
    InvalidSelectors = 39,
    TemporaryFailure = 43,
    ChildSaNotFound = 44,
    InitialContact = 16384,
    SetWindowSize = 16385,
    AdditionalTsPossible = 16386,
    IpcompSupported = 16387,
    NatDetectionSourceIp = 16388,
    NatDetectionDestinationIp = 16389,
    Cookie = 16390,
    UseTransportMode = 16391,
    HttpCertLookupSupported = 16392,
    RekeySa = 16393,
    EspTfcPaddingNotSupported = 16394,
    NonFirstFragmentsAlso = 16395,
    MobikeSupported = 16396,
    EapOnlyAuthentication = 16417,
    ChildlessIkev2Supported = 16418,
    IkeFragmentationSupported = 16430,
    SignatureHashAlgorithms = 16431,
}

impl NotifyKind {
    /// Whether it says that something failed (RFC 7296 section 3.10.1: types below 16384).
    pub const fn is_error(self) -> bool {
        self.iana() < 16_384
    }
}

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notify {
    /// The SA it is about, if it is about one.
    pub about: Option<(Protocol, Vec<u8>)>,
    /// What it says.
    pub kind: NotifyKind,
    /// More of it.
    pub data: Vec<u8>,
}
