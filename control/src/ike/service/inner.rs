//! The inner side of a session: whose addresses there are, and what leads into its tunnel.

use crate::config::checked::Connection;
use crate::ike::narrow::{selector_of_address, selector_of_net};
use crate::lease::Lease;
use adit_dataplane::contract::{Selector, Selectors};
use ipnet::IpNet;
use std::net::IpAddr;

/// Whose inner addresses they are, and what leads into the tunnel.
pub(crate) enum Inner {
    /// The peer's, out of our pools: they lead into the tunnel.
    Lent(Lease),
    /// Ours, given by the peer; the networks behind it lead into the tunnel. Where several tunnels go to one network,
    /// the last to come has the route.
    Given { addresses: Vec<IpAddr>, networks: Vec<IpNet> },
}

impl Inner {
    /// IPv4 first.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Lent(lease) => addresses(lease),
            Self::Given { addresses, networks: _ } => addresses.clone(),
        }
    }

    /// What a child SA may carry: what is behind us and what is behind the peer.
    pub(crate) fn selectors(&self, connection: &Connection) -> Selectors {
        let addresses = self.addresses();
        let has = |network: &&IpNet| match network {
            IpNet::V4(_) => addresses.iter().any(IpAddr::is_ipv4),
            IpNet::V6(_) => addresses.iter().any(IpAddr::is_ipv6),
        };
        let networks: Vec<Selector> = connection.networks.iter().filter(has).copied().map(selector_of_net).collect();
        let hosts: Vec<Selector> = addresses.iter().copied().map(selector_of_address).collect();
        match self {
            Self::Lent(_) => Selectors { local: networks, remote: hosts },
            Self::Given { .. } => Selectors { local: hosts, remote: networks },
        }
    }

    /// Addresses of ours in networks that lead into the tunnel: what comes out of it for them must not go back in.
    pub(crate) fn kept_inside(&self) -> Vec<IpAddr> {
        match self {
            Self::Lent(_) => Vec::new(),
            Self::Given { addresses, networks } => {
                let is_there = |address: &&IpAddr| networks.iter().any(|network| network.contains(*address));
                addresses.iter().filter(is_there).copied().collect()
            }
        }
    }

    /// What leads into the tunnel.
    pub(crate) fn routes(&self) -> Vec<IpNet> {
        match self {
            Self::Lent(lease) => addresses(lease).into_iter().map(IpNet::from).collect(),
            Self::Given { addresses: _, networks } => networks.clone(),
        }
    }
}

/// The addresses of a lease, IPv4 first.
pub(crate) fn addresses(lease: &Lease) -> Vec<IpAddr> {
    let v4 = lease.v4.map(|leased| IpAddr::V4(leased.address));
    let v6 = lease.v6.map(|leased| IpAddr::V6(leased.address));
    [v4, v6].into_iter().flatten().collect()
}
