//! Payloads (RFC 7296 sections 3.2 to 3.15) as data.

use super::{Id, Notify};
use adit_dataplane::contract::Selector;

/// Security protocol identifiers (RFC 7296 section 3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// 1
    Ike,
    /// 2
    Ah,
    /// 3
    Esp,
}

/// Transform types (RFC 7296 section 3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransformKind {
    /// 1
    Encr,
    /// 2
    Prf,
    /// 3
    Integ,
    /// 4
    KeyExchange,
    /// 5: extended sequence numbers
    Esn,
    /// Any other number.
    Other(u8),
}

/// One transform of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transform {
    /// What for.
    pub kind: TransformKind,
    /// IANA number.
    pub id: u16,
    /// The key-length attribute, in bits.
    pub key_bits: Option<u16>,
    /// It has an attribute that adit does not know: it cannot be chosen (RFC 7296 section 3.3.6).
    pub unknown_attribute: bool,
}

/// One proposal of an SA payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// Its number.
    pub number: u8,
    /// What it is for; a proposal for something else is not parsed into this.
    pub protocol: Protocol,
    /// The sender's SPI: empty in IKE_SA_INIT, 8 octets in an IKE rekey, 4 for ESP.
    pub spi: Vec<u8>,
    /// In the order of the wire.
    pub transforms: Vec<Transform>,
}

/// KE payload (RFC 7296 section 3.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyExchange {
    /// IANA number of the group.
    pub group: u16,
    /// Public value.
    pub public: Vec<u8>,
}

/// Delete payload (RFC 7296 section 3.11).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delete {
    /// IKE (then no SPI follows) or ESP.
    pub protocol: Protocol,
    /// The SPIs that the sender expects in inbound packets.
    pub spis: Vec<u32>,
}

/// CFG types (RFC 7296 section 3.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigKind {
    /// 1
    Request,
    /// 2
    Reply,
    /// 3
    Set,
    /// 4
    Ack,
}

/// One configuration attribute; the number is IANA's ("IKEv2 Configuration Payload Attribute Types").
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Attribute type without the reserved bit.
    pub kind: u16,
    /// May be empty in a request.
    pub value: Vec<u8>,
}

impl Attribute {
    /// INTERNAL_IP4_ADDRESS: 0 or 4 octets.
    pub const IP4_ADDRESS: u16 = 1;
    /// INTERNAL_IP4_NETMASK: 0 or 4 octets.
    pub const IP4_NETMASK: u16 = 2;
    /// INTERNAL_IP4_DNS: 0 or 4 octets.
    pub const IP4_DNS: u16 = 3;
    /// APPLICATION_VERSION: text.
    pub const APPLICATION_VERSION: u16 = 7;
    /// INTERNAL_IP6_ADDRESS: 0 or 17 octets, the last is the prefix length.
    pub const IP6_ADDRESS: u16 = 8;
    /// INTERNAL_IP6_DNS: 0 or 16 octets.
    pub const IP6_DNS: u16 = 10;
    /// INTERNAL_IP4_SUBNET: 0 or 8 octets.
    pub const IP4_SUBNET: u16 = 13;
    /// INTERNAL_IP6_SUBNET: 17 octets.
    pub const IP6_SUBNET: u16 = 15;
}

/// Configuration payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConfigPayload {
    /// Request, reply, set or ack.
    pub kind: ConfigKind,
    /// In the order of the wire.
    pub attributes: Vec<Attribute>,
}

/// A payload, parsed. SK is not among them: opening it gives these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Payload {
    /// 33
    Sa(Vec<Proposal>),
    /// 34
    Ke(KeyExchange),
    /// 35
    IdInitiator(Id),
    /// 36
    IdResponder(Id),
    /// 37: encoding and data
    Certificate(u8, Vec<u8>),
    /// 38: encoding and authorities
    CertificateRequest(u8, Vec<u8>),
    /// 39: method and data
    Auth(u8, Vec<u8>),
    /// 40: 16 to 256 octets
    Nonce(Vec<u8>),
    /// 41
    Notify(Notify),
    /// 42
    Delete(Delete),
    /// 43
    VendorId(Vec<u8>),
    /// 44
    TsInitiator(Vec<Selector>),
    /// 45
    TsResponder(Vec<Selector>),
    /// 47
    Configuration(ConfigPayload),
    /// 48
    Eap(Vec<u8>),
    /// Any other number; with its critical bit.
    Unknown(u8, bool),
}
