//! Traffic selectors, prepared for the packet path.
//!
//! Nearly every child SA of a headend has one plain range per family and side (`10.30.0.7` and `0.0.0.0/0`). Those
//! ranges stand here as numbers and cost two comparisons; what is narrower or more is looked at one by one.

use crate::contract::{Selector, Selectors};
use crate::wire::ip::{Addresses, IpPacket, Upper};
use std::net::IpAddr;

/// Both ends' selectors of one child SA.
pub struct Filter {
    local: Side,
    remote: Side,
}

struct Side {
    /// First plain range, empty (1..=0) if there is none.
    v4: (u32, u32),
    v6: (u128, u128),
    /// All others.
    more: Box<[Selector]>,
}

/// Which of a packet's ends a side is compared with.
#[derive(Clone, Copy)]
enum End {
    Source,
    Destination,
}

impl Filter {
    /// Reads the selectors once.
    pub fn new(selectors: &Selectors) -> Self {
        Self { local: Side::new(&selectors.local), remote: Side::new(&selectors.remote) }
    }

    /// Whether a packet that came out of the SA may: from `remote`, to `local` (RFC 4301 section 5.2).
    /// `packet` is what `ip` was read from.
    #[inline]
    pub fn allows_from_peer(&self, ip: &IpPacket, packet: &[u8]) -> bool {
        self.remote.holds(End::Source, ip, packet) && self.local.holds(End::Destination, ip, packet)
    }

    /// Whether a packet may go into the SA: from `local`, to `remote` (RFC 4301 section 5.1).
    #[inline]
    pub fn allows_to_peer(&self, ip: &IpPacket, packet: &[u8]) -> bool {
        self.local.holds(End::Source, ip, packet) && self.remote.holds(End::Destination, ip, packet)
    }
}

impl Side {
    fn new(selectors: &[Selector]) -> Self {
        let mut side = Self { v4: (1, 0), v6: (1, 0), more: Box::default() };
        let mut more = Vec::new();
        for selector in selectors {
            match (selector.addresses.start(), selector.addresses.end()) {
                (IpAddr::V4(first), IpAddr::V4(last)) if is_plain(selector) && side.v4 == (1, 0) => {
                    side.v4 = ((*first).into(), (*last).into());
                }
                (IpAddr::V6(first), IpAddr::V6(last)) if is_plain(selector) && side.v6 == (1, 0) => {
                    side.v6 = ((*first).into(), (*last).into());
                }
                (IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => more.push(selector.clone()),
            }
        }
        side.more = more.into();
        side
    }

    #[inline]
    fn holds(&self, end: End, ip: &IpPacket, packet: &[u8]) -> bool {
        let plain = match (ip.addresses, end) {
            (Addresses::V4 { source, .. }, End::Source) => within(source, self.v4),
            (Addresses::V4 { destination, .. }, End::Destination) => within(destination, self.v4),
            (Addresses::V6 { source, .. }, End::Source) => within(source, self.v6),
            (Addresses::V6 { destination, .. }, End::Destination) => within(destination, self.v6),
        };
        plain || (!self.more.is_empty() && any(&self.more, end, ip, packet))
    }
}

#[inline]
fn within<A: PartialOrd + Copy>(address: A, (first, last): (A, A)) -> bool {
    first <= address && address <= last
}

fn is_plain(selector: &Selector) -> bool {
    selector.protocol == 0 && any_port(selector)
}

fn any_port(selector: &Selector) -> bool {
    selector.ports == (0..=u16::MAX)
}

/// The rule itself.
fn any(selectors: &[Selector], end: End, ip: &IpPacket, packet: &[u8]) -> bool {
    let address = match end {
        End::Source => ip.addresses.source(),
        End::Destination => ip.addresses.destination(),
    };
    selectors.iter().any(|selector| {
        // `IpAddr` orders every IPv4 address before every IPv6 one, so a range of one family holds none of the other.
        if !selector.addresses.contains(&address) {
            return false;
        }
        if is_plain(selector) {
            return true;
        }
        let Some(upper) = Upper::parse(packet) else { return false };
        if selector.protocol != 0 && selector.protocol != upper.protocol {
            return false;
        }
        let port = upper.ports.map(|(source, destination)| match end {
            End::Source => source,
            End::Destination => destination,
        });
        // A packet whose ports cannot be seen matches only where any port is allowed (OPAQUE, RFC 4301 section 4.4.1.1).
        any_port(selector) || port.is_some_and(|port| selector.ports.contains(&port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::{SecretRandom, SeededRandom};
    use std::ops::RangeInclusive;

    fn udp(source: [u8; 4], destination: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend(source);
        packet.extend(destination);
        packet.extend(ports.0.to_be_bytes());
        packet.extend(ports.1.to_be_bytes());
        packet.extend([0, 8, 0, 0]);
        packet
    }

    fn range(from: [u8; 4], to: [u8; 4], protocol: u8, ports: RangeInclusive<u16>) -> Selector {
        Selector { addresses: from.into()..=to.into(), protocol, ports }
    }

    /// From the peer, to the peer.
    fn allowed(selectors: &Selectors, packet: &[u8]) -> (bool, bool) {
        let ip = IpPacket::parse(packet).unwrap();
        let filter = Filter::new(selectors);
        (filter.allows_from_peer(&ip, packet), filter.allows_to_peer(&ip, packet))
    }

    #[test]
    fn both_ends_of_each_range_belong_to_it() {
        let selectors = Selectors {
            local: vec![range([10, 20, 0, 0], [10, 20, 0, 255], 0, 0..=u16::MAX)],
            remote: vec![range([10, 30, 0, 7], [10, 30, 0, 7], 17, 1000..=1001)],
        };
        for (last, port, verdict) in [(0, 1000, true), (255, 1001, true), (255, 999, false), (255, 1002, false)] {
            let packet = udp([10, 30, 0, 7], [10, 20, 0, last], (port, 53));
            assert_eq!(allowed(&selectors, &packet), (verdict, false));
            let back = udp([10, 20, 0, last], [10, 30, 0, 7], (53, port));
            assert_eq!(allowed(&selectors, &back), (false, verdict));
        }
        for (source, destination) in [
            ([10, 30, 0, 6], [10, 20, 0, 1]),
            ([10, 30, 0, 8], [10, 20, 0, 1]),
            ([10, 30, 0, 7], [10, 19, 255, 255]),
            ([10, 30, 0, 7], [10, 20, 1, 0]),
        ] {
            assert_eq!(allowed(&selectors, &udp(source, destination, (1000, 53))), (false, false));
        }
    }

    #[test]
    fn a_later_fragment_has_no_ports_to_match() {
        let any = range([0; 4], [255; 4], 0, 0..=u16::MAX);
        let narrow = range([10, 30, 0, 7], [10, 30, 0, 7], 17, 1000..=1000);
        let selectors = Selectors { local: vec![any], remote: vec![narrow] };
        let mut packet = udp([10, 30, 0, 7], [1, 1, 1, 1], (1000, 53));
        assert_eq!(allowed(&selectors, &packet), (true, false));
        packet[7] = 1;
        assert_eq!(allowed(&selectors, &packet), (false, false));
    }

    #[test]
    fn no_selector_allows_nothing_and_families_do_not_mix() {
        let packet = udp([10, 30, 0, 7], [1, 1, 1, 1], (1, 2));
        assert_eq!(allowed(&Selectors::default(), &packet), (false, false));
        let v6 = Selector { addresses: [0; 16].into()..=[255; 16].into(), protocol: 0, ports: 0..=u16::MAX };
        let selectors = Selectors { local: vec![v6.clone()], remote: vec![v6] };
        assert_eq!(allowed(&selectors, &packet), (false, false));
    }

    #[test]
    fn the_fast_path_agrees_with_the_rule() {
        let mut random = SeededRandom::new(1);
        let mut octet = |below: u8| {
            let mut byte = [0];
            random.fill(&mut byte);
            byte[0] % below
        };
        for _ in 0..3000 {
            let mut side = |n: u8| -> Vec<Selector> {
                (0..n)
                    .map(|_| {
                        let (a, b) = (octet(6), octet(6));
                        let ports = if octet(2) == 0 { 0..=u16::MAX } else { octet(3).into()..=octet(6).into() };
                        range([10, 0, 0, a.min(b)], [10, 0, 0, a.max(b)], octet(2) * 17, ports)
                    })
                    .collect()
            };
            let selectors = Selectors { local: side(3), remote: side(2) };
            let packet = udp([10, 0, 0, octet(6)], [10, 0, 0, octet(6)], (octet(6).into(), octet(6).into()));
            let ip = IpPacket::parse(&packet).unwrap();
            let dull = |local_end, remote_end| {
                any(&selectors.local, local_end, &ip, &packet) && any(&selectors.remote, remote_end, &ip, &packet)
            };
            let expected = (dull(End::Destination, End::Source), dull(End::Source, End::Destination));
            assert_eq!(allowed(&selectors, &packet), expected, "{selectors:?}");
        }
    }
}
