//! Configuration payloads (RFC 7296 section 3.15): who asks is answered what it asked for and nothing else.

use crate::config::checked::Connection;
use crate::ike::service::Node;
use crate::ike::wire::{Attribute, ConfigKind, ConfigPayload};
use crate::lease::{Ask, Lease, Want};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the client asks for an attribute.
fn asks(request: &ConfigPayload, kind: u16) -> bool {
    request.attributes.iter().any(|attribute| attribute.kind == kind)
}

/// CFG_REPLY.
pub(super) fn reply(node: &Node, request: &ConfigPayload, lease: &Lease, connection: &Connection) -> ConfigPayload {
    let mut attributes = Vec::new();
    let mut put = |kind, value: &[u8]| {
        if asks(request, kind) {
            attributes.push(Attribute { kind, value: value.to_vec() });
        }
    };
    if let Some(leased) = lease.v4 {
        put(Attribute::IP4_ADDRESS, &leased.address.octets());
        // One host, nothing else is on its link.
        put(Attribute::IP4_NETMASK, &[255; 4]);
    }
    if let Some(leased) = lease.v6 {
        let mut value = leased.address.octets().to_vec();
        value.push(128);
        put(Attribute::IP6_ADDRESS, &value);
    }
    for server in servers(node, lease) {
        match server {
            IpAddr::V4(v4) => put(Attribute::IP4_DNS, &v4.octets()),
            IpAddr::V6(v6) => put(Attribute::IP6_DNS, &v6.octets()),
        }
    }
    for network in &connection.networks {
        match network {
            IpNet::V4(v4) => put(Attribute::IP4_SUBNET, &[v4.network().octets(), v4.netmask().octets()].concat()),
            IpNet::V6(v6) => {
                let mut value = v6.network().octets().to_vec();
                value.push(v6.prefix_len());
                put(Attribute::IP6_SUBNET, &value);
            }
        }
    }
    ConfigPayload { kind: ConfigKind::Reply, attributes }
}

/// What the client asks for: a value in a request is a wish (RFC 7296 section 3.15.1). All zero wishes nothing.
pub(super) fn want(request: &ConfigPayload) -> Want {
    let wish = |kind| request.attributes.iter().find(|attribute| attribute.kind == kind).map(|found| &found.value[..]);
    let v4 = wish(Attribute::IP4_ADDRESS).map(|value| <[u8; 4]>::try_from(value).map(Ipv4Addr::from).ok());
    let v6 = wish(Attribute::IP6_ADDRESS).map(|value| value.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets)));
    let v4 = match v4 {
        None => Ask::Nothing,
        Some(Some(address)) if !address.is_unspecified() => Ask::Rather(address),
        Some(_) => Ask::Any,
    };
    let v6 = match v6 {
        None => Ask::Nothing,
        Some(Some(address)) if !address.is_unspecified() => Ask::Rather(address),
        Some(_) => Ask::Any,
    };
    Want { v4, v6 }
}

/// CFG_REQUEST for these, and for name servers (RFC 7296 section 3.15.1: a value is a wish, none wishes nothing).
pub(super) fn ask(want: Want) -> ConfigPayload {
    let v4 = match want.v4 {
        Ask::Nothing => None,
        Ask::Any => Some(Vec::new()),
        Ask::Rather(address) => Some(address.octets().to_vec()),
    };
    let v6 = match want.v6 {
        Ask::Nothing => None,
        Ask::Any => Some(Vec::new()),
        Ask::Rather(address) => Some([&address.octets()[..], &[128]].concat()),
    };
    let asked = |value: Option<Vec<u8>>, address, dns| {
        let dns = value.is_some().then(|| Attribute { kind: dns, value: Vec::new() });
        value.map(|value| Attribute { kind: address, value }).into_iter().chain(dns)
    };
    let v4 = asked(v4, Attribute::IP4_ADDRESS, Attribute::IP4_DNS);
    let v6 = asked(v6, Attribute::IP6_ADDRESS, Attribute::IP6_DNS);
    ConfigPayload { kind: ConfigKind::Request, attributes: v4.chain(v6).collect() }
}

/// Name servers of the pools that the lease is from, each once.
fn servers(node: &Node, lease: &Lease) -> Vec<IpAddr> {
    let from = [lease.v4.map(|leased| leased.pool), lease.v6.map(|leased| leased.pool)];
    let mut servers = Vec::new();
    for pool in from.into_iter().flatten().filter_map(|pool| node.config.pools.get(pool)) {
        for server in &pool.dns {
            if !servers.contains(server) {
                servers.push(*server);
            }
        }
    }
    servers
}
