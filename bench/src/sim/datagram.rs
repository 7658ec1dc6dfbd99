//! What travels: UDP datagrams of IKE, ESP and NAT keepalives.

use super::host::HostId;
use adit_control::ike::v1::wire as v1;
use adit_control::ike::wire::{Exchange, Header, parse_header};
use adit_dataplane::contract::IkeFraming;
use adit_dataplane::time::Instant;
use std::net::SocketAddr;

/// One UDP datagram. `sender` and `sent` are for the world to know; no end sees them.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) body: Body,
    pub(crate) sender: HostId,
    pub(crate) sent: Instant,
}

/// What is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    Ike {
        framing: IkeFraming,
        bytes: Vec<u8>,
    },
    /// From and to port 500 it has a marker in front of it.
    Esp(Esp),
    /// RFC 3948 section 4.
    Keepalive,
}

/// An ESP packet (RFC 4303 section 2), sealed with the SA's own keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Esp {
    pub(crate) spi: u32,
    pub(crate) sequence: u32,
    pub(crate) iv: Vec<u8>,
    /// Ciphertext and ICV.
    pub(crate) sealed: Vec<u8>,
}

/// What somebody on the way can see of a datagram: it is by this that scripts choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ike(Exchange, Direction),
    Esp,
    Keepalive,
}

/// Whether an IKE message is protected, as anybody can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapping {
    Sealed,
    Clear,
}

/// Which half of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Direction {
    Request,
    Response,
}

impl Body {
    const UDP_AND_IPV4: usize = 28;
    const MARKER: usize = 4;
    const ESP_HEADER: usize = 8;
    /// The type of the first payload, in the IKE header (RFC 7296 section 3.1).
    const FIRST_PAYLOAD_AT: usize = 16;
    /// RFC 7296 section 3.14.
    const SK: u8 = 46;
    /// RFC 7383 section 2.5.
    const SKF: u8 = 53;

    /// Octets of the IP packet that holds it, were it IPv4.
    pub(crate) fn packet_len(&self) -> usize {
        let udp = match self {
            Self::Ike { framing: IkeFraming::Bare | IkeFraming::Ctcp | IkeFraming::Tcp, bytes } => bytes.len(),
            Self::Ike { framing: IkeFraming::NonEspMarker, bytes } => Self::MARKER + bytes.len(),
            Self::Esp(esp) => Self::ESP_HEADER + esp.iv.len() + esp.sealed.len(),
            Self::Keepalive => 1,
        };
        Self::UDP_AND_IPV4 + udp
    }

    /// The header of IKEv2, if it has one.
    pub(crate) fn ike_header(&self) -> Option<Header> {
        match self {
            Self::Ike { bytes, .. } => parse_header(bytes).ok(),
            Self::Esp(_) | Self::Keepalive => None,
        }
    }

    /// The header of IKEv1, if it has one.
    pub(crate) fn v1_header(&self) -> Option<v1::Header> {
        match self {
            Self::Ike { bytes, .. } => v1::parse_header(bytes).ok(),
            Self::Esp(_) | Self::Keepalive => None,
        }
    }

    /// Whether its content is protected. No IKE message of these worlds has anything in front of that.
    pub(crate) fn wrapping(&self) -> Wrapping {
        match self {
            Self::Ike { bytes, .. } => match bytes.get(Self::FIRST_PAYLOAD_AT) {
                Some(&(Self::SK | Self::SKF)) => Wrapping::Sealed,
                Some(_) | None => Wrapping::Clear,
            },
            Self::Esp(_) => Wrapping::Sealed,
            Self::Keepalive => Wrapping::Clear,
        }
    }

    /// What it looks like from outside.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Ike { .. } => self.ike_header().map(|header| Kind::Ike(header.exchange, direction(&header))),
            Self::Esp(_) => Some(Kind::Esp),
            Self::Keepalive => Some(Kind::Keepalive),
        }
    }
}

/// Which half of its exchange a message is.
pub(crate) fn direction(header: &Header) -> Direction {
    match header.flags.response {
        true => Direction::Response,
        false => Direction::Request,
    }
}
