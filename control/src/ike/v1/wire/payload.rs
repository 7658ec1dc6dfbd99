//! Payloads (RFC 2408 sections 3.4 to 3.16) as data.

use super::{Attribute, Identification, IkeSpi, ModeConfig, NatNumbers, Notify};
use std::net::IpAddr;

/// Security protocol identifiers (RFC 2407 section 4.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// 1
    Isakmp,
    /// 2
    Ah,
    /// 3
    Esp,
    /// 4
    Ipcomp,
    /// Any other number: a proposal with it is kept, because others with its number stand or fall with it.
    Other(u8),
}

/// One proposal of an SA payload (RFC 2408 section 3.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proposal {
    /// Those with the same number are to be taken together (RFC 2408 section 4.2).
    pub number: u8,
    /// What it is for.
    pub protocol: Protocol,
    /// The sender's SPI: 4 octets for ESP, none or anything in phase 1 (RFC 2408 section 3.5: ignored there).
    pub spi: Vec<u8>,
    /// In the order of the wire: the sender's preference.
    pub transforms: Vec<Transform>,
}

/// One transform of a proposal (RFC 2408 section 3.6), as it stood. [`Transform::ike`] and [`Transform::esp`] say
/// what it means. Who chooses it sends it back unchanged (RFC 2409 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transform {
    /// Its number.
    pub number: u8,
    /// KEY_IKE (1) in phase 1, the cipher in phase 2.
    pub id: u8,
    /// In the order of the wire.
    pub attributes: Vec<Attribute>,
}

/// Delete payload (RFC 2408 section 3.15).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Delete {
    /// Phase-1 SAs, by their cookies: initiator's, responder's.
    Isakmp(Vec<(IkeSpi, IkeSpi)>),
    /// ESP SAs, by the SPIs that the sender expects in inbound packets.
    Esp(Vec<u32>),
    /// SAs of a protocol that adit does not run.
    Other(Protocol),
}

/// A payload, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Payload {
    /// 1, under IPsec's domain of interpretation and identity alone.
    Sa(Vec<Proposal>),
    /// 4: public value. Its group is the one that the SA payload named.
    Ke(Vec<u8>),
    /// 5
    Id(Identification),
    /// 6: encoding (4 is X.509 for signatures) and data.
    Certificate(u8, Vec<u8>),
    /// 7: encoding and authority; may be empty.
    CertificateRequest(u8, Vec<u8>),
    /// 8
    Hash(Vec<u8>),
    /// 9
    Signature(Vec<u8>),
    /// 10: 8 to 256 octets
    Nonce(Vec<u8>),
    /// 11
    Notify(Notify),
    /// 12
    Delete(Delete),
    /// 13
    VendorId(Vec<u8>),
    /// 14: mode config and XAUTH.
    ModeConfig(ModeConfig),
    /// 20 or 130: hash of an address and port.
    NatD(NatNumbers, Vec<u8>),
    /// 21 or 131: address before translation (transport mode wants it; adit ignores it).
    NatOa(NatNumbers, IpAddr),
    /// Any other number, skipped (RFC 2408 section 5.1 lets one discard the message, but Cisco's clients send
    /// payloads of their own).
    Unknown(u8, Vec<u8>),
}

impl Payload {
    /// CERT encoding "X.509 certificate - signature" (RFC 2408 section 3.9).
    pub const X509_SIGNATURE: u8 = 4;
}
