//! Traffic selector narrowing (RFC 7296 section 2.9).

use adit_dataplane::contract::Selector;
use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};
use std::fmt;
use std::net::IpAddr;

/// At most so many selectors come out: what one TS payload can count (RFC 7296 section 3.13).
pub const MAX_NARROWED: usize = 255;

/// What of `offered` is `allowed`, in the order of the offer. Empty means TS_UNACCEPTABLE.
///
/// A selector inside one that came before it is left out.
pub fn narrow(offered: &[Selector], allowed: &[Selector]) -> Vec<Selector> {
    let mut narrowed: Vec<Selector> = Vec::new();
    let pairs = offered.iter().flat_map(|offered| allowed.iter().map(move |allowed| (offered, allowed)));
    for selector in pairs.filter_map(|(offered, allowed)| intersect(offered, allowed)) {
        if narrowed.len() == MAX_NARROWED {
            break;
        }
        if !narrowed.iter().any(|before| contains(before, &selector)) {
            narrowed.push(selector);
        }
    }
    narrowed
}

/// Every packet to or from `net`.
pub fn selector_of_net(net: IpNet) -> Selector {
    Selector { addresses: net.network()..=net.broadcast(), protocol: 0, ports: 0..=u16::MAX }
}

/// Every packet to or from `address`.
pub fn selector_of_address(address: IpAddr) -> Selector {
    Selector { addresses: address..=address, protocol: 0, ports: 0..=u16::MAX }
}

/// The networks that make up the selector's addresses, fewest first to last (at most 62 for IPv4, 254 for IPv6).
/// Protocol and ports are not in them.
pub fn nets_of_selector(selector: &Selector) -> Vec<IpNet> {
    match (*selector.addresses.start(), *selector.addresses.end()) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
        }
        (IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => Vec::new(),
    }
}

/// `10.20.0.0/24`, `10.0.0.1-10.0.0.9`, and where narrower `10.20.0.0/24[udp/53]`, `…[17/1000-2000]`, `…[*/53]`.
pub struct Shown<'a>(pub &'a Selector);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { addresses, protocol, ports } = self.0;
        match one_net(*addresses.start(), *addresses.end()) {
            Some(net) => write!(f, "{net}")?,
            None => write!(f, "{}-{}", addresses.start(), addresses.end())?,
        }
        if *protocol == 0 && *ports == (0..=u16::MAX) {
            return Ok(());
        }
        match *protocol {
            0 => f.write_str("[*")?,
            1 => f.write_str("[icmp")?,
            6 => f.write_str("[tcp")?,
            17 => f.write_str("[udp")?,
            58 => f.write_str("[icmpv6")?,
            other => write!(f, "[{other}")?,
        }
        match (*ports.start(), *ports.end()) {
            (0, u16::MAX) => f.write_str("]"),
            (first, last) if first == last => write!(f, "/{first}]"),
            (first, last) => write!(f, "/{first}-{last}]"),
        }
    }
}

fn intersect(one: &Selector, other: &Selector) -> Option<Selector> {
    let first_address = same_family_max(*one.addresses.start(), *other.addresses.start())?;
    let last_address = (*one.addresses.end()).min(*other.addresses.end());
    let protocol = match (one.protocol, other.protocol) {
        (0, protocol) | (protocol, 0) => protocol,
        (same, protocol) if same == protocol => same,
        (_different, _) => return None,
    };
    let ports = (*one.ports.start()).max(*other.ports.start())..=(*one.ports.end()).min(*other.ports.end());
    let addresses = first_address..=last_address;
    (!addresses.is_empty() && !ports.is_empty()).then_some(Selector { addresses, protocol, ports })
}

fn contains(outer: &Selector, inner: &Selector) -> bool {
    let addresses =
        outer.addresses.contains(inner.addresses.start()) && outer.addresses.contains(inner.addresses.end());
    let ports = outer.ports.contains(inner.ports.start()) && outer.ports.contains(inner.ports.end());
    addresses && ports && (outer.protocol == 0 || outer.protocol == inner.protocol)
}

/// `IpAddr` orders every IPv4 address before every IPv6 address: comparing across families would mean nothing.
fn same_family_max(one: IpAddr, other: IpAddr) -> Option<IpAddr> {
    (one.is_ipv4() == other.is_ipv4()).then(|| one.max(other))
}

fn one_net(first: IpAddr, last: IpAddr) -> Option<IpNet> {
    let net = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let prefix = (u32::from(first) ^ u32::from(last)).leading_zeros();
            IpNet::V4(Ipv4Net::new(first, u8::try_from(prefix).ok()?).ok()?)
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let prefix = (u128::from(first) ^ u128::from(last)).leading_zeros();
            IpNet::V6(Ipv6Net::new(first, u8::try_from(prefix).ok()?).ok()?)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    };
    (net.network() == first && net.broadcast() == last).then_some(net)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    fn net(text: &str) -> Selector {
        selector_of_net(text.parse().unwrap())
    }

    fn range(first: &str, last: &str) -> Selector {
        Selector { addresses: first.parse().unwrap()..=last.parse().unwrap(), protocol: 0, ports: 0..=u16::MAX }
    }

    fn shown(selectors: &[Selector]) -> Vec<String> {
        selectors.iter().map(|selector| Shown(selector).to_string()).collect()
    }

    #[test]
    fn everything_is_narrowed_to_what_is_allowed() {
        let offered = [net("0.0.0.0/0"), net("::/0")];
        let allowed = [net("10.20.0.0/24"), net("fd20::/64"), net("10.21.0.0/16")];
        assert_eq!(shown(&narrow(&offered, &allowed)), ["10.20.0.0/24", "10.21.0.0/16", "fd20::/64"]);
    }

    #[test]
    fn the_order_of_the_offer_stays_and_what_is_covered_already_is_left_out() {
        let packet = Selector { protocol: 6, ports: 80..=80, ..range("10.20.0.2", "10.20.0.2") };
        let allowed = [net("10.20.0.0/24")];
        let offered = [packet, net("10.0.0.0/8"), range("10.20.0.7", "10.20.0.9")];
        assert_eq!(shown(&narrow(&offered, &allowed)), ["10.20.0.2/32[tcp/80]", "10.20.0.0/24"]);
    }

    #[test]
    fn families_do_not_mix_and_strangers_have_nothing_in_common() {
        assert!(narrow(&[net("0.0.0.0/0")], &[net("::/0")]).is_empty());
        assert!(narrow(&[net("10.0.0.0/24")], &[net("10.0.1.0/24")]).is_empty());
        assert!(narrow(&[], &[net("::/0")]).is_empty());
        let tcp = Selector { protocol: 6, ..net("10.0.0.0/24") };
        let udp = Selector { protocol: 17, ..net("10.0.0.0/24") };
        assert!(narrow(&[tcp], &[udp]).is_empty());
        let low = Selector { ports: 0..=1023, ..net("10.0.0.0/24") };
        let high = Selector { ports: 1024..=u16::MAX, ..net("10.0.0.0/24") };
        assert!(narrow(&[low], &[high]).is_empty());
    }

    #[test]
    fn selectors_read_as_networks_where_they_are_and_as_ranges_where_not() {
        assert_eq!(Shown(&net("0.0.0.0/0")).to_string(), "0.0.0.0/0");
        assert_eq!(Shown(&net("::/0")).to_string(), "::/0");
        assert_eq!(Shown(&range("10.0.0.1", "10.0.0.1")).to_string(), "10.0.0.1/32");
        assert_eq!(Shown(&range("10.0.0.1", "10.0.0.2")).to_string(), "10.0.0.1-10.0.0.2");
        assert_eq!(Shown(&Selector { ports: 53..=53, ..net("fd20::/64") }).to_string(), "fd20::/64[*/53]");
        let udp = Selector { protocol: 17, ports: 1000..=2000, ..net("10.0.0.0/8") };
        assert_eq!(Shown(&udp).to_string(), "10.0.0.0/8[udp/1000-2000]");
        assert_eq!(Shown(&Selector { protocol: 89, ..net("10.0.0.0/8") }).to_string(), "10.0.0.0/8[89]");
    }

    #[test]
    fn a_range_falls_into_networks_and_a_network_stays_one() {
        let nets = |selector: &Selector| nets_of_selector(selector).iter().map(IpNet::to_string).collect::<Vec<_>>();
        assert_eq!(nets(&net("10.20.0.0/24")), ["10.20.0.0/24"]);
        assert_eq!(nets(&net("::/0")), ["::/0"]);
        assert_eq!(nets(&range("10.0.0.1", "10.0.0.6")), ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]);
        assert_eq!(nets(&range("0.0.0.1", "255.255.255.254")).len(), 62);
        assert_eq!(nets(&range("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")).len(), 254);
    }

    /// The dull twin: a tiny world of 8 addresses, 3 protocols and 4 ports, looked at point by point.
    #[test]
    fn a_point_passes_exactly_if_both_sides_let_it_pass() {
        type Tiny = (u8, u8, u8, u8, u8);
        fn tiny(&(a, b, protocol, p, q): &Tiny) -> Selector {
            let address = |low: u8| IpAddr::from([10, 0, 0, low % 8]);
            let (a, b) = (a % 8, b % 8);
            let (p, q) = (u16::from(p % 4), u16::from(q % 4));
            Selector {
                addresses: address(a.min(b))..=address(a.max(b)),
                protocol: protocol % 3,
                ports: p.min(q)..=p.max(q),
            }
        }
        fn passes(selectors: &[Selector], address: IpAddr, protocol: u8, port: u16) -> bool {
            selectors.iter().any(|selector| {
                selector.addresses.contains(&address)
                    && (selector.protocol == 0 || selector.protocol == protocol)
                    && selector.ports.contains(&port)
            })
        }
        check!().with_type::<(Vec<Tiny>, Vec<Tiny>)>().for_each(|(offered, allowed)| {
            let offered: Vec<_> = offered.iter().take(6).map(tiny).collect();
            let allowed: Vec<_> = allowed.iter().take(6).map(tiny).collect();
            let narrowed = narrow(&offered, &allowed);
            for low in 0..8 {
                for protocol in 1..3 {
                    for port in 0..4 {
                        let address = IpAddr::from([10, 0, 0, low]);
                        let both =
                            passes(&offered, address, protocol, port) && passes(&allowed, address, protocol, port);
                        assert_eq!(passes(&narrowed, address, protocol, port), both);
                    }
                }
            }
        });
    }

    #[test]
    fn the_outcome_is_bounded() {
        let many: Vec<_> = (0..64).map(|n| range(&format!("10.0.{n}.0"), "10.255.0.0")).rev().collect();
        let ports: Vec<_> = (0..64).map(|n| Selector { ports: n..=n, ..net("10.0.0.0/8") }).collect();
        assert_eq!(narrow(&many, &ports).len(), MAX_NARROWED);
    }
}
