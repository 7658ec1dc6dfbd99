//! What one look at a packet sees.

use super::key::{Family, FlowKey};
use crate::wire::ip::{Addresses, ICMP, ICMPV6, IpPacket, TCP, Upper};
use crate::wire::tcp::{Seq, TcpFlags, TcpHeader};
use crate::wire::tcp_offer::SynOffer;

/// Which way through the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client.
    Up,
    /// To the client.
    Down,
}

/// Whose packet it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) tunnel: u32,
    pub(super) generation: u32,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) key: FlowKey,
    pub(super) hash: u32,
    /// Where the flow probably lies.
    pub(super) hint: u32,
    /// Of the whole packet.
    pub(super) octets: u32,
    pub(super) tcp: Option<TcpSight>,
}

/// One TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TcpSight {
    pub(super) seq: Seq,
    pub(super) ack: Seq,
    pub(super) flags: TcpFlags,
    /// Of payload.
    pub(super) octets: usize,
    /// What a SYN announces.
    pub(super) mss: Option<u16>,
}

const ECHO_REPLY: u8 = 0;
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

impl Sight {
    /// `None` of what is no sound IP packet. A later fragment shows no ports; its flow is one of its own, without any.
    #[inline]
    pub(super) fn of(packet: &[u8], way: Way, Owner { tunnel, generation }: Owner) -> Option<Self> {
        let ip = IpPacket::parse(packet)?;
        let packet = packet.get(..ip.len)?;
        let upper = Upper::parse(packet)?;
        let payload = packet.get(upper.at..)?;
        let (source_port, destination_port) = match (upper.ports, upper.protocol) {
            (None, _) => (0, 0),
            (Some(_), ICMP | ICMPV6) => echo_identifier(upper.protocol, payload),
            (Some(ports), _) => ports,
        };
        let (family, source, destination) = match ip.addresses {
            Addresses::V4 { source, destination } => (Family::V4, u128::from(source), u128::from(destination)),
            Addresses::V6 { source, destination } => (Family::V6, source, destination),
        };
        let ((client, client_port), (network, network_port)) = match way {
            Way::Up => ((source, source_port), (destination, destination_port)),
            Way::Down => ((destination, destination_port), (source, source_port)),
        };
        let protocol = upper.protocol;
        let key = FlowKey { client, network, tunnel, generation, client_port, network_port, protocol, family };
        let tcp = if protocol == TCP && upper.ports.is_some() { TcpSight::of(payload) } else { None };
        Some(Self { key, hash: 0, hint: 0, octets: ip.len as u32, tcp })
    }
}

impl TcpSight {
    #[inline]
    fn of(segment: &[u8]) -> Option<Self> {
        let header = TcpHeader::parse(segment)?;
        let TcpHeader { seq, ack, flags, len, .. } = header;
        let mss = if flags.has(TcpFlags::SYN) { SynOffer::read(segment).mss } else { None };
        Some(Self { seq, ack, flags, octets: segment.len().saturating_sub(len), mss })
    }

    /// Octets that it takes of the sequence numbers.
    #[inline]
    pub(super) fn len(&self) -> usize {
        let counts = |flag| usize::from(self.flags.has(flag));
        self.octets + counts(TcpFlags::SYN) + counts(TcpFlags::FIN)
    }
}

/// Question and answer have the same (RFC 792, RFC 4443 section 4); other messages have none.
fn echo_identifier(protocol: u8, message: &[u8]) -> (u16, u16) {
    match (protocol, message) {
        (ICMP, [ECHO | ECHO_REPLY, _, _, _, high, low, ..])
        | (ICMPV6, [ECHO_V6 | ECHO_REPLY_V6, _, _, _, high, low, ..]) => {
            let identifier = u16::from_be_bytes([*high, *low]);
            (identifier, identifier)
        }
        (_, _) => (0, 0),
    }
}
