//! ICMP messages of our own: a packet does not fit the tunnel.

use super::ip::{Addresses, Fragment, ICMP, ICMPV6, IPV4_HEADER, IPV6_HEADER, IPV6_LEAST_MTU, IpPacket, Upper};
use crate::offload::Sum;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Octets of an ICMP error before the packet it quotes.
const ERROR_HEADER: usize = 8;
/// The most octets of an ICMP error over IPv4 (RFC 1812 section 4.3.2.3).
const MOST_V4: usize = 576;
/// The most octets of an ICMPv6 error: the least MTU of IPv6 (RFC 4443 section 2.4 (c)).
const MOST_V6: usize = IPV6_LEAST_MTU as usize;
/// No message of [`too_big`] is longer.
pub const MOST: usize = MOST_V6;
/// We are the first hop.
const TTL: u8 = 64;

/// Writes into `out` what tells the sender of `packet` that only `mtu` octets fit: "fragmentation needed"
/// (RFC 792, RFC 1191 section 4) or "packet too big" (RFC 4443 section 3.2). Returns its length.
///
/// It speaks with the address of the packet's destination: that lies behind the tunnel, as seen from the sender, so
/// that no reverse path filter takes offence.
///
/// `None` if the sender is not to be told: it lets routers fragment (IPv4 without DF), or the packet is an ICMP
/// error, a later fragment, or has an address that nobody can answer to (RFC 1122 section 3.2.2,
/// RFC 4443 section 2.4 (e)).
pub fn too_big(packet: &[u8], mtu: u16, out: &mut [u8; MOST]) -> Option<usize> {
    let ip = IpPacket::parse(packet)?;
    let upper = Upper::parse(packet)?;
    if upper.fragment == Fragment::Later {
        return None;
    }
    let kind = upper.ports.map(|(type_and_code, _)| type_and_code.to_be_bytes()[0]);
    match ip.addresses {
        Addresses::V4 { source, destination } => {
            let dont_fragment = packet.get(6)? & 0x40 != 0;
            // Only these ask or answer (RFC 792, RFC 950); every other type reports an error.
            let error = upper.protocol == ICMP && !matches!(kind, Some(0 | 8 | 13..=18));
            let (from, to) = (Ipv4Addr::from(destination), Ipv4Addr::from(source));
            if !dont_fragment || error || !answers_v4(from) || !answers_v4(to) {
                return None;
            }
            let quoted = packet.get(..ip.len.min(MOST_V4 - IPV4_HEADER - ERROR_HEADER))?;
            let len = IPV4_HEADER + ERROR_HEADER + quoted.len();
            let (header, rest) = out.split_first_chunk_mut::<IPV4_HEADER>()?;
            *header = [0; IPV4_HEADER];
            header[0] = 0x45;
            header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            header[8] = TTL;
            header[9] = ICMP;
            header[12..16].copy_from_slice(&from.octets());
            header[16..20].copy_from_slice(&to.octets());
            let sum = Sum::default().bytes(header).checksum();
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            let [high, low] = mtu.to_be_bytes();
            let message = rest.get_mut(..ERROR_HEADER + quoted.len())?;
            write_error(message, [3, 4, 0, 0, 0, 0, high, low], quoted, Sum::default());
            Some(len)
        }
        Addresses::V6 { source, destination } => {
            // Errors have the high bit of the type clear (RFC 4443 section 2.1).
            let error = upper.protocol == ICMPV6 && kind.is_none_or(|kind| kind < 128);
            let (from, to) = (Ipv6Addr::from(destination), Ipv6Addr::from(source));
            if error || !answers_v6(from) || !answers_v6(to) {
                return None;
            }
            let quoted = packet.get(..ip.len.min(MOST_V6 - IPV6_HEADER - ERROR_HEADER))?;
            let payload = (ERROR_HEADER + quoted.len()) as u16;
            let (header, rest) = out.split_first_chunk_mut::<IPV6_HEADER>()?;
            *header = [0; IPV6_HEADER];
            header[0] = 0x60;
            header[4..6].copy_from_slice(&payload.to_be_bytes());
            header[6] = ICMPV6;
            header[7] = TTL;
            header[8..24].copy_from_slice(&from.octets());
            header[24..40].copy_from_slice(&to.octets());
            // The pseudo-header (RFC 8200 section 8.1).
            let pseudo = Sum::default().bytes(&header[8..40]).word(payload).word(ICMPV6.into());
            let [high, low] = mtu.to_be_bytes();
            let message = rest.get_mut(..payload.into())?;
            write_error(message, [2, 0, 0, 0, 0, 0, high, low], quoted, pseudo);
            Some(IPV6_HEADER + usize::from(payload))
        }
    }
}

/// `message` is as long as the error's header and what it quotes.
fn write_error(message: &mut [u8], header: [u8; ERROR_HEADER], quoted: &[u8], pseudo: Sum) {
    let Some((front, rest)) = message.split_first_chunk_mut::<ERROR_HEADER>() else { return };
    *front = header;
    rest.copy_from_slice(quoted);
    let sum = pseudo.bytes(front).bytes(rest).checksum();
    front[2..4].copy_from_slice(&sum.to_be_bytes());
}

fn answers_v4(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast())
}

fn answers_v6(address: Ipv6Addr) -> bool {
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(len: u16, flags: u8, protocol: u8) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 1, flags, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 9, 0, 2];
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        packet.resize(len.into(), 3);
        packet
    }

    fn v6(len: u16, next_header: u8) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next_header, 64, 0xfd];
        packet[4..6].copy_from_slice(&(len - 40).to_be_bytes());
        packet.resize(24, 1);
        packet.push(0xfd);
        packet.resize(40, 2);
        packet.resize(len.into(), 200);
        packet
    }

    #[test]
    fn an_ipv4_sender_that_forbids_fragments_is_told_what_fits() {
        for len in [28, 500, 548, 549, 1500] {
            let (packet, mut out) = (v4(len, 0x40, 17), [0; MOST]);
            let written = too_big(&packet, 1400, &mut out).unwrap();
            let message = &out[..written];
            assert_eq!(IpPacket::parse(message).unwrap().len, written);
            assert!(written <= 576);
            assert_eq!(Sum::default().bytes(&message[..20]).checksum(), 0);
            assert_eq!(Sum::default().bytes(&message[20..]).checksum(), 0);
            assert_eq!((&message[12..16], &message[16..20]), (&packet[16..20], &packet[12..16]));
            assert_eq!(message[20..22], [3, 4]);
            assert_eq!(message[26..28], 1400u16.to_be_bytes());
            assert_eq!(message[28..], packet[..written - 28]);
        }
    }

    #[test]
    fn an_ipv6_sender_is_always_told() {
        for len in [48, 1232, 1233, 1500] {
            let (packet, mut out) = (v6(len, 17), [0; MOST]);
            let written = too_big(&packet, 1390, &mut out).unwrap();
            let message = &out[..written];
            assert_eq!(IpPacket::parse(message).unwrap().len, written);
            assert!(written <= 1280);
            let pseudo = Sum::default().bytes(&message[8..40]).word((written - 40) as u16).word(58);
            assert_eq!(pseudo.bytes(&message[40..]).checksum(), 0);
            assert_eq!((message[40], message[41], &message[44..48]), (2, 0, &[0, 0, 5, 110][..]));
            assert_eq!(message[48..], packet[..written - 48]);
        }
    }

    #[test]
    fn nobody_is_told_who_must_not_be() {
        let mut out = [0; MOST];
        assert_eq!(too_big(&v4(1500, 0, 17), 1400, &mut out), None, "routers may fragment");
        assert_eq!(too_big(&v4(1500, 0x40, 1), 1400, &mut out), None, "type 3 is an error itself");
        let mut ping = v4(1500, 0x40, 1);
        ping[20] = 8;
        assert!(too_big(&ping, 1400, &mut out).is_some());
        let mut later = v4(1500, 0x40, 17);
        later[7] = 1;
        assert_eq!(too_big(&later, 1400, &mut out), None, "a later fragment");
        let mut multicast = v4(1500, 0x40, 17);
        multicast[16] = 224;
        assert_eq!(too_big(&multicast, 1400, &mut out), None, "to a group");
        let mut error = v6(1500, 58);
        error[40] = 127;
        assert_eq!(too_big(&error, 1400, &mut out), None, "an ICMPv6 error");
        error[40] = 128;
        assert!(too_big(&error, 1400, &mut out).is_some());
    }
}
