//! The IKE header (RFC 7296 section 3.1).

use std::fmt;

/// One end's IKE SPI. Zero only where the responder's is not yet known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct IkeSpi(pub u64);

impl fmt::Debug for IkeSpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Exchange types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// 34
    IkeSaInit,
    /// 35
    IkeAuth,
    /// 36
    CreateChildSa,
    /// 37
    Informational,
}

/// The two flags that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags {
    /// The sender is the original initiator of the IKE SA.
    pub initiator: bool,
    /// The message is a response.
    pub response: bool,
}

/// 28 octets before the first payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The original initiator's SPI.
    pub initiator_spi: IkeSpi,
    /// The original responder's SPI.
    pub responder_spi: IkeSpi,
    /// Which exchange.
    pub exchange: Exchange,
    /// Who sends, request or response.
    pub flags: Flags,
    /// Message ID.
    pub message_id: u32,
}

impl Header {
    /// Octets on the wire.
    pub const LEN: usize = 28;
}
