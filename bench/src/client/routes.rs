//! What is routed into the interface: networks that are meant, as far as the session can carry them, and never the headend itself, for
//! the tunnel's own packets go there.
//!
//! No route of the host's is made or changed for that. A network with the headend in it is routed in pieces that leave it out, each more
//! special than the host's own route to the headend; everything in two halves, each more special than the host's default route. All of
//! it belongs to the interface, and goes with it, however the process ends.

use adit_dataplane::contract::IpNet;
use std::net::IpAddr;

/// `network` without the headend's address, in the order of their size. `nearest`: the prefix of the host's own route to the headend. If
/// that is the longer one it counts more than `network`, which may stay whole.
pub(super) fn around(network: IpNet, headend: IpAddr, nearest: u8) -> Vec<IpNet> {
    if network.contains(&headend) && nearest <= network.prefix_len() {
        // Everything else is in the half of the network where the headend is not, or in the other; and so on with that one.
        return (network.prefix_len() + 1..=network.max_prefix_len())
            .filter_map(|len| other_half(headend, len))
            .collect();
    }
    match network.prefix_len() {
        0 => network.subnets(1).into_iter().flatten().flat_map(|half| around(half, headend, nearest)).collect(),
        _ => vec![network.trunc()],
    }
}

/// The network of this length whose addresses differ from this one in the last bit of the prefix.
fn other_half(address: IpAddr, len: u8) -> Option<IpNet> {
    let other: IpAddr = match address {
        IpAddr::V4(v4) => std::net::Ipv4Addr::from_bits(v4.to_bits() ^ (1 << (32 - len))).into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() ^ (1 << (128 - len))).into(),
    };
    IpNet::new(other, len).ok().map(|net| net.trunc())
}

/// What is typed is meant: an address inside must be there for all of it, and more than the headend itself.
///
/// # Errors
/// Which network cannot be carried, a sentence.
pub(super) fn can_carry(typed: &[IpNet], addresses: &[IpAddr], headend: IpAddr) -> Result<(), String> {
    if let Some(network) = typed.iter().find(|network| **network == IpNet::from(headend)) {
        return Err(format!("--route {network}: that is the headend itself, where the tunnel's own packets go"));
    }
    match typed.iter().find(|network| !has_family(addresses, network)) {
        Some(network) => {
            let family = if network.addr().is_ipv4() { "IPv4" } else { "IPv6" };
            Err(format!("--route {network}: the headend gave no {family} address, so nothing can be sent there"))
        }
        None => Ok(()),
    }
}

/// Of what the headend names, what can be carried and is no default route. What cannot is said.
pub(super) fn of_headend(named: &[IpNet], addresses: &[IpAddr], headend: IpAddr) -> Vec<IpNet> {
    let named: Vec<IpNet> = named.iter().copied().filter(|network| *network != IpNet::from(headend)).collect();
    let (carried, not): (Vec<IpNet>, Vec<IpNet>) = named.iter().partition(|network| has_family(addresses, network));
    for network in not {
        eprintln!("adit-bench client: {network} is behind the headend, which gave no address of that family: no route");
    }
    let (default, routes): (Vec<IpNet>, Vec<IpNet>) =
        carried.into_iter().partition(|network| network.prefix_len() == 0);
    if routes.is_empty() && (!default.is_empty() || named.is_empty()) {
        eprintln!(
            "adit-bench client: the headend wants everything in the tunnel; nothing is, for nobody has asked for that \
             here: name networks by --route, 0.0.0.0/0 for all"
        );
    }
    routes
}

fn has_family(addresses: &[IpAddr], network: &IpNet) -> bool {
    addresses.iter().any(|address| address.is_ipv4() == network.addr().is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Addresses at and beside every border there is near the headend.
    fn probes(network: IpNet, headend: IpAddr) -> Vec<IpAddr> {
        let beside = |bit: u32| match headend {
            IpAddr::V4(v4) => std::net::Ipv4Addr::from_bits(v4.to_bits() ^ 1_u32.checked_shl(bit).unwrap_or(1)).into(),
            IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() ^ 1_u128.checked_shl(bit).unwrap_or(1)).into(),
        };
        (0..128).map(beside).chain([headend, network.network(), network.broadcast()]).collect()
    }

    #[test]
    fn a_network_is_routed_whole_but_for_the_headend_in_it() {
        for (network, headend) in [
            ("0.0.0.0/0", "198.51.100.2"),
            ("128.0.0.0/1", "198.51.100.2"),
            ("10.0.0.0/8", "10.0.0.0"),
            ("10.0.0.0/8", "10.255.255.255"),
            ("198.51.100.2/31", "198.51.100.2"),
            ("::/0", "2001:db8:100::2"),
            ("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let (network, headend) = (net(network), ip(headend));
            let around = around(network, headend, 0);
            assert_eq!(around.len(), usize::from(network.max_prefix_len() - network.prefix_len()));
            for probe in probes(network, headend) {
                let routes = around.iter().filter(|route| route.contains(&probe)).count();
                let meant = network.contains(&probe) && probe != headend;
                assert_eq!(routes, usize::from(meant), "{probe} in {network} around {headend}");
            }
        }
        assert!(around(net("198.51.100.2/32"), ip("198.51.100.2"), 0).is_empty());
    }

    #[test]
    fn a_network_that_takes_the_headend_from_nobody_stays_as_it_is() {
        for (network, headend, nearest) in [
            ("10.20.0.0/24", "198.51.100.2", 0),
            ("fd20::/64", "198.51.100.2", 0),
            // The headend is in our own network, whose other hosts stay there.
            ("192.168.0.0/16", "192.168.1.2", 24),
            ("10.0.0.0/8", "10.1.2.3", 9),
        ] {
            assert_eq!(around(net(network), ip(headend), nearest), [net(network)]);
        }
        assert_eq!(around(net("10.0.0.0/8"), ip("10.1.2.3"), 8).len(), 24, "as long as ours: one of the two would win");
        for (headend, nearest) in [("2001:db8::2", 0), ("192.168.1.2", 24)] {
            let halves = [net("0.0.0.0/1"), net("128.0.0.0/1")];
            assert_eq!(
                around(net("0.0.0.0/0"), ip(headend), nearest),
                halves,
                "whoever has the default route keeps it"
            );
        }
        assert_eq!(around(net("0.0.0.0/0"), ip("192.168.1.2"), 1).len(), 1 + 31);
    }

    #[test]
    fn what_is_typed_must_be_carried_and_of_what_the_headend_names_the_rest_is_left_out() {
        let (v4, headend) = ([ip("10.30.0.2")], ip("198.51.100.2"));
        let both = [v4[0], ip("fd30::2")];
        assert_eq!(can_carry(&[net("10.20.0.0/24")], &v4, headend), Ok(()));
        let refused = can_carry(&[net("10.20.0.0/24"), net("fd20::/48")], &v4, headend).unwrap_err();
        assert!(refused.starts_with("--route fd20::/48: ") && refused.contains("IPv6"), "{refused}");
        assert_eq!(can_carry(&[net("fd20::/48")], &both, headend), Ok(()));
        assert!(can_carry(&[net("198.51.100.2/32")], &v4, headend).unwrap_err().contains("headend itself"));
        let named = [net("10.20.0.0/24"), net("fd20::/48"), net("0.0.0.0/0"), net("198.51.100.2/32")];
        assert_eq!(of_headend(&named, &v4, headend), named[..1]);
        assert_eq!(of_headend(&named, &both, headend), named[..2]);
        assert!(of_headend(&[], &v4, headend).is_empty());
    }
}
