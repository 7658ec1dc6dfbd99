//! The headers that sockets took off an outer packet, put back for those who look at it.
//!
//! What the kernel did not tell is as adit would send it: TTL 64, no identification, no options. Over IPv4, UDP's checksum is left out, which
//! RFC 768 allows; over IPv6 it is worked out where all octets are there.

use adit_dataplane::contract::{CaptureWay, Captured, OuterForm, Path};
use adit_dataplane::wire::ip::{IPV4_HEADER, IPV6_HEADER, TCP, UDP, UDP_HEADER};
use adit_dataplane::wire::traffic_class::TrafficClass;
use std::net::{IpAddr, SocketAddr};

const ESP: u8 = 50;
const TTL: u8 = 64;

/// The packet from its IP header on, as far as it was copied, and the length that it had.
pub(super) fn with_headers(packet: &Captured, path: Path, form: OuterForm, class: TrafficClass) -> (Vec<u8>, usize) {
    let (from, to) = match packet.way {
        CaptureWay::Up => (path.peer, path.local),
        CaptureWay::Down => (path.local, path.peer),
    };
    let (protocol, marker) = match form {
        OuterForm::Udp => (UDP, Some(0)),
        OuterForm::UdpNonEsp => (UDP, Some(4)),
        OuterForm::UdpNonIke => (UDP, Some(8)),
        OuterForm::Segment => (TCP, None),
        OuterForm::Esp | OuterForm::Streamed => (ESP, None),
    };
    let carried = packet.len as usize + marker.map_or(0, |marker| UDP_HEADER + marker);
    let mut octets = ip_header(from.ip(), to.ip(), protocol, class, carried);
    let header = octets.len();
    if let Some(marker) = marker {
        octets.extend(from.port().to_be_bytes());
        octets.extend(to.port().to_be_bytes());
        octets.extend(short(carried).to_be_bytes());
        octets.extend([0; 2]);
        octets.resize(octets.len() + marker, 0);
    }
    octets.extend(&packet.octets);
    if marker.is_some() && from.is_ipv6() && packet.octets.len() == packet.len as usize {
        let sum = udp_checksum(from, to, octets.get(header..).unwrap_or_default());
        if let Some(field) = octets.get_mut(header + 6..header + 8) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }
    (octets, header + carried)
}

fn ip_header(from: IpAddr, to: IpAddr, protocol: u8, class: TrafficClass, carried: usize) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let [high, low] = short(IPV4_HEADER + carried).to_be_bytes();
            let mut header = vec![0x45, class.octet(), high, low, 0, 0, 0, 0, TTL, protocol, 0, 0];
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = !folded(words(&header));
            header.splice(10..12, sum.to_be_bytes());
            header
        }
        (from, to) => {
            let (high, low) = (0x60 | class.octet() >> 4, class.octet() << 4);
            let [length_high, length_low] = short(carried).to_be_bytes();
            let mut header = Vec::with_capacity(IPV6_HEADER);
            header.extend([high, low, 0, 0, length_high, length_low, protocol, TTL]);
            header.extend(wide(from));
            header.extend(wide(to));
            header
        }
    }
}

/// Both ends are of one family; an IPv4 address here would be one that is written as IPv6.
fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

fn short(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// RFC 8200 section 8.1.
fn udp_checksum(from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> u16 {
    let pseudo = words(&wide(from.ip())) + words(&wide(to.ip())) + datagram.len() as u64 + u64::from(UDP);
    match !folded(pseudo + words(datagram)) {
        0 => u16::MAX,
        sum => sum,
    }
}

/// RFC 1071.
fn words(octets: &[u8]) -> u64 {
    let (pairs, last) = octets.as_chunks::<2>();
    let last = last.first().map_or(0, |octet| u64::from(*octet) << 8);
    pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum::<u64>() + last
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_dataplane::contract::Sight;
    use adit_dataplane::time::Instant;
    use adit_dataplane::wire::ip::IpPacket;

    fn path(peer: &str, local: &str) -> Path {
        Path { local: local.parse().unwrap(), peer: peer.parse().unwrap() }
    }

    fn packet(way: CaptureWay, len: u32, octets: &[u8]) -> Captured {
        Captured { at: Instant::ZERO, way, sight: Sight::Inner, len, octets: octets.to_vec(), dropped: None }
    }

    #[test]
    fn every_form_has_sound_headers_of_the_right_length_by_both_families() {
        let v4 = path("198.51.100.7:40000", "192.0.2.1:4500");
        let v6 = path("[2001:db8::7]:40000", "[2001:db8:1::1]:4500");
        let class = TrafficClass::from_octet(0xb9);
        for (path, header) in [(v4, 20), (v6, 40)] {
            for (form, protocol, between) in [
                (OuterForm::Udp, 17, 8),
                (OuterForm::UdpNonEsp, 17, 12),
                (OuterForm::UdpNonIke, 17, 16),
                (OuterForm::Esp, 50, 0),
                (OuterForm::Segment, 6, 0),
                (OuterForm::Streamed, 50, 0),
            ] {
                for way in [CaptureWay::Up, CaptureWay::Down] {
                    let (octets, len) = with_headers(&packet(way, 5, &[1, 2, 3, 4, 5]), path, form, class);
                    assert_eq!((octets.len(), len), (header + between + 5, header + between + 5), "{form:?}");
                    let ip = IpPacket::parse(&octets).unwrap();
                    let (from, to) = match way {
                        CaptureWay::Up => (path.peer, path.local),
                        CaptureWay::Down => (path.local, path.peer),
                    };
                    assert_eq!((ip.addresses.source(), ip.addresses.destination()), (from.ip(), to.ip()));
                    assert_eq!((ip.len, TrafficClass::of(&octets)), (len, class));
                    assert_eq!(octets[if header == 20 { 9 } else { 6 }], protocol);
                    assert_eq!(octets[octets.len() - 5..], [1, 2, 3, 4, 5]);
                    if header == 20 {
                        assert_eq!(folded(words(&octets[..20])), 0xffff);
                    }
                    if between > 0 {
                        assert_eq!(octets[header..header + 2], from.port().to_be_bytes());
                        assert_eq!(octets[header + 2..header + 4], to.port().to_be_bytes());
                        assert_eq!(octets[header + 4..header + 6], ((between + 5) as u16).to_be_bytes());
                        assert!(octets[header + 8..octets.len() - 5].iter().all(|octet| *octet == 0));
                    }
                }
            }
        }
    }

    #[test]
    fn udp_s_checksum_is_worked_out_over_ipv6_where_everything_is_there() {
        let path = path("[2001:db8::7]:40000", "[2001:db8:1::1]:4500");
        let class = TrafficClass::from_octet(0);
        let (octets, _) = with_headers(&packet(CaptureWay::Up, 3, &[1, 2, 3]), path, OuterForm::Udp, class);
        let pseudo = words(&octets[8..40]) + 11 + 17;
        assert_eq!(folded(pseudo + words(&octets[40..])), 0xffff);
        let (octets, len) = with_headers(&packet(CaptureWay::Up, 900, &[1, 2, 3]), path, OuterForm::Udp, class);
        assert_eq!((octets[46..48].to_vec(), len), (vec![0, 0], 948));
    }
}
