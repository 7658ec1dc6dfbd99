//! The ISAKMP header (RFC 2408 section 3.1).

use super::IkeSpi;

/// Exchange types (RFC 2408 section 3.1, RFC 2409 appendix A, the mode-config draft).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// 2: "identity protection", main mode.
    MainMode,
    /// 4
    Aggressive,
    /// 5
    Informational,
    /// 6: mode config and XAUTH.
    Transaction,
    /// 32
    QuickMode,
}

impl Exchange {
    /// Every exchange.
    pub const ALL: [Self; 5] =
        [Self::MainMode, Self::Aggressive, Self::Informational, Self::Transaction, Self::QuickMode];

    /// IANA number.
    pub const fn iana(self) -> u8 {
        match self {
            Self::MainMode => 2,
            Self::Aggressive => 4,
            Self::Informational => 5,
            Self::Transaction => 6,
            Self::QuickMode => 32,
        }
    }

    /// From the IANA number.
    pub fn from_iana(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exchange| exchange.iana() == number)
    }

    /// For logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MainMode => "main mode",
            Self::Aggressive => "aggressive mode",
            Self::Informational => "informational",
            Self::Transaction => "transaction",
            Self::QuickMode => "quick mode",
        }
    }
}

/// The flags (RFC 2408 section 3.1). The third, "authentication only", means nothing in IKE and is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags {
    /// What follows the header is encrypted.
    pub encrypted: bool,
    /// The peer asks not to use the SA before a CONNECTED notification.
    pub commit: bool,
}

/// 28 octets before the first payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Cookie of who started phase 1; never zero.
    pub initiator_cookie: IkeSpi,
    /// Cookie of who answered; zero in the very first message.
    pub responder_cookie: IkeSpi,
    /// Which exchange.
    pub exchange: Exchange,
    /// How to read it.
    pub flags: Flags,
    /// Zero in phase 1, unique for each exchange of phase 2 (RFC 2408 section 3.1).
    pub message_id: u32,
}

impl Header {
    /// Octets on the wire.
    pub const LEN: usize = 28;
}
