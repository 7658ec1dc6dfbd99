//! What a headend has told us about ourselves in IKE_AUTH, for whoever drives the engine.

use crate::ike::narrow::nets_of_selector;
use crate::ike::wire::{Attribute, ConfigPayload};
use adit_dataplane::contract::Selector;
use ipnet::IpNet;
use std::net::IpAddr;

/// By its configuration payload and its traffic selectors (RFC 7296 sections 2.9 and 2.19). Nothing of it is obeyed but
/// the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given {
    /// Ours, inside: at most one of each family, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Name servers, IPv4 first.
    pub dns: Vec<IpAddr>,
    /// Networks behind the headend (TSr), whole ones: protocols and ports are left out.
    pub networks: Vec<IpNet>,
}

/// More networks than this are no list that somebody wrote.
const MOST_NETWORKS: usize = 256;

impl Given {
    /// Without networks: they stand in the selectors.
    pub(super) fn of(reply: &ConfigPayload) -> Self {
        let values = |kind| {
            let such = move |attribute: &&Attribute| attribute.kind == kind;
            reply.attributes.iter().filter(such).map(|attribute| &attribute.value[..])
        };
        let v4 = |kind| values(kind).filter_map(|value| Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)));
        let v6 = |kind| values(kind).filter_map(|value| Some(IpAddr::from(*value.first_chunk::<16>()?)));
        Self {
            addresses: v4(Attribute::IP4_ADDRESS).take(1).chain(v6(Attribute::IP6_ADDRESS).take(1)).collect(),
            dns: v4(Attribute::IP4_DNS).chain(v6(Attribute::IP6_DNS)).collect(),
            networks: Vec::new(),
        }
    }

    /// With those behind the peer.
    pub(super) fn behind(self, remote: &[Selector]) -> Self {
        Self { networks: remote.iter().flat_map(nets_of_selector).take(MOST_NETWORKS).collect(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ike::wire::ConfigKind;

    #[test]
    fn one_address_of_each_family_counts_and_what_cannot_be_read_does_not() {
        let attribute = |kind, value: &[u8]| Attribute { kind, value: value.to_vec() };
        let mut v6 = [0xfd; 16].to_vec();
        v6.push(128);
        let attributes = vec![
            attribute(Attribute::IP6_ADDRESS, &v6),
            attribute(Attribute::IP4_ADDRESS, &[10, 30, 0]),
            attribute(Attribute::IP4_ADDRESS, &[10, 30, 0, 1]),
            attribute(Attribute::IP4_ADDRESS, &[10, 30, 0, 2]),
            attribute(Attribute::IP4_DNS, &[10, 20, 0, 2]),
            attribute(Attribute::IP6_DNS, &[0xfd; 16]),
            attribute(Attribute::IP6_DNS, &[0xfd; 3]),
        ];
        let given = Given::of(&ConfigPayload { kind: ConfigKind::Reply, attributes });
        assert_eq!(given.addresses, [IpAddr::from([10, 30, 0, 1]), IpAddr::from([0xfd; 16])]);
        assert_eq!(given.dns, [IpAddr::from([10, 20, 0, 2]), IpAddr::from([0xfd; 16])]);
        let range = |first: [u8; 4], last: [u8; 4]| Selector {
            addresses: first.into()..=last.into(),
            protocol: 0,
            ports: 0..=u16::MAX,
        };
        let behind =
            given.clone().behind(&[range([10, 20, 0, 0], [10, 20, 0, 255]), range([10, 9, 0, 1], [10, 9, 0, 2])]);
        assert_eq!(behind.networks, ["10.20.0.0/24", "10.9.0.1/32", "10.9.0.2/32"].map(|net| net.parse().unwrap()));
        let most = given.behind(&vec![range([10, 0, 0, 1], [10, 255, 255, 254]); 64]);
        assert_eq!(most.networks.len(), MOST_NETWORKS);
    }
}
