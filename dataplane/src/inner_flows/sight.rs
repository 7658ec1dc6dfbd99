//! What a look at packets sees.

use super::key::{Ends, FlowKey};
use crate::wire::ip::{ICMP, ICMPV6, IPV4_HEADER, IpPacket, TCP, UDP, Upper};
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

/// Packets of one flow, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) key: FlowKey,
    pub(super) hash: u32,
    /// Where the flow probably lies.
    pub(super) hint: u32,
    pub(super) packets: u32,
    /// Of whole packets.
    pub(super) octets: u32,
    /// What their segments show, if one after the other they are as good as one.
    pub(super) tcp: Option<TcpSight>,
}

/// One TCP segment, or several without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TcpSight {
    pub(super) seq: Seq,
    pub(super) ack: Seq,
    /// Of payload.
    pub(super) octets: u32,
    pub(super) flags: TcpFlags,
    /// What a SYN announces.
    pub(super) mss: Option<u16>,
}

const ECHO_REPLY: u8 = 0;
const ECHO: u8 = 8;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// Two packets in a row that agree in this are of one flow, and nothing else of them need be read to know it. It is read of what most packets
/// are: whole TCP or UDP in IPv4 without options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    tunnel: u32,
    ports: u32,
    addresses: u64,
    protocol: u8,
}

impl Run {
    /// Beside it the packet, as long as its header says.
    #[inline]
    pub(super) fn of(tunnel: u32, packet: &[u8]) -> Option<(Self, &[u8])> {
        let [0x45, _, len_high, len_low, _, _, flags, offset, _, protocol @ (TCP | UDP), _, _, rest @ ..] = packet
        else {
            return None;
        };
        let (addresses, rest) = rest.split_first_chunk()?;
        let (ports, _) = rest.split_first_chunk()?;
        let (addresses, ports) = (u64::from_ne_bytes(*addresses), u32::from_ne_bytes(*ports));
        let packet = packet.get(..usize::from(u16::from_be_bytes([*len_high, *len_low])))?;
        let whole = u16::from_be_bytes([*flags, *offset]) & 0x3fff == 0 && packet.len() >= IPV4_HEADER + 4;
        whole.then_some((Self { tunnel, ports, addresses, protocol: *protocol }, packet))
    }
}

impl Sight {
    /// The same as [`Sight::of`] of the first packet of a run.
    #[inline]
    pub(super) fn of_run(run: Run, packet: &[u8], way: Way, generation: u32) -> Self {
        let Run { tunnel, ports, addresses, protocol } = run;
        let key = FlowKey::v4(way, u64::from_be(addresses), u32::from_be(ports), protocol, tunnel, generation);
        Self { key, hash: 0, hint: 0, packets: 1, octets: packet.len() as u32, tcp: TcpSight::in_v4(packet, protocol) }
    }

    /// `None` of what is no sound IP packet. A later fragment shows no ports; its flow is one of its own, without any. There is no hash yet.
    #[inline]
    pub(super) fn of(packet: &[u8], way: Way, tunnel: u32, generation: u32) -> Option<Self> {
        let ip = IpPacket::parse(packet)?;
        let packet = packet.get(..ip.len)?;
        let upper = Upper::parse(packet)?;
        let payload = packet.get(upper.at..)?;
        let ports = match (upper.ports, upper.protocol) {
            (None, _) => (0, 0),
            (Some(_), ICMP | ICMPV6) => echo_identifier(upper.protocol, payload),
            (Some(ports), _) => ports,
        };
        let ends = Ends { addresses: ip.addresses, ports, protocol: upper.protocol };
        let key = match way {
            Way::Up => FlowKey::up(ends, tunnel, generation),
            Way::Down => FlowKey::down(ends, tunnel, generation),
        };
        let tcp = if upper.protocol == TCP && upper.ports.is_some() { TcpSight::of(payload) } else { None };
        Some(Self { key, hash: 0, hint: 0, packets: 1, octets: ip.len as u32, tcp })
    }

    /// The next packet of its [`Run`]: added here, or a sight of its own.
    #[inline]
    pub(super) fn go_on(&mut self, packet: &[u8]) -> Option<Self> {
        let tcp = TcpSight::in_v4(packet, self.key.protocol());
        let octets = packet.len() as u32;
        match (&mut self.tcp, &tcp) {
            (None, None) => {}
            (Some(before), Some(segment)) if before.goes_on_with(segment) => {
                before.octets = before.octets.saturating_add(segment.octets);
                before.ack = segment.ack;
            }
            (Some(_) | None, Some(_)) | (Some(_), None) => return Some(Self { packets: 1, octets, tcp, ..*self }),
        }
        self.packets = self.packets.saturating_add(1);
        self.octets = self.octets.saturating_add(octets);
        None
    }
}

impl TcpSight {
    /// Of a whole packet by IPv4 without options.
    #[inline]
    fn in_v4(packet: &[u8], protocol: u8) -> Option<Self> {
        if protocol == TCP { packet.get(IPV4_HEADER..).and_then(Self::of) } else { None }
    }

    #[inline]
    fn of(segment: &[u8]) -> Option<Self> {
        let header = TcpHeader::parse(segment)?;
        let TcpHeader { seq, ack, flags, len, .. } = header;
        let mss = if flags.has(TcpFlags::SYN) { SynOffer::read(segment).mss } else { None };
        Some(Self { seq, ack, flags, octets: segment.len().saturating_sub(len) as u32, mss })
    }

    /// Octets that it takes of the sequence numbers.
    #[inline]
    pub(super) fn len(&self) -> usize {
        let counts = |flag| usize::from(self.flags.has(flag));
        self.octets as usize + counts(TcpFlags::SYN) + counts(TcpFlags::FIN)
    }

    /// Whether the next segment is as good as more of this one: data that follows, or another acknowledgment.
    #[inline]
    fn goes_on_with(&self, next: &Self) -> bool {
        let plain = |flags: TcpFlags| flags.octet() & !TcpFlags::PSH.octet() == TcpFlags::ACK.octet();
        plain(self.flags) && plain(next.flags) && self.seq.plus(self.octets as usize) == next.seq
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

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    #[test]
    fn the_short_way_sees_what_the_long_one_does() {
        check!().with_type::<(Vec<u8>, u8, bool)>().for_each(|(octets, kind, up)| {
            let mut packet = octets.clone();
            packet.resize(packet.len().max(60), 0);
            // Most octets are no packet: half of these are one, of TCP or UDP.
            if kind % 2 == 0 {
                let len = (packet.len() as u16).to_be_bytes();
                packet[..4].copy_from_slice(&[0x45, 0, len[0], len[1]]);
                packet[6..8].copy_from_slice(&[0x40, 0]);
                packet[9] = if kind % 4 == 0 { TCP } else { UDP };
            }
            let way = if *up { Way::Up } else { Way::Down };
            if let Some((run, whole)) = Run::of(7, &packet) {
                assert_eq!(Some(Sight::of_run(run, whole, way, 3)), Sight::of(&packet, way, 7, 3), "{packet:02x?}");
            }
        });
    }
}
