//! Mode config (draft-dukes-ike-mode-cfg-02, Cisco's Unity): what a client is told about itself. Who asks is answered
//! what it asked for and nothing else; who does not ask is told everything at once.

use super::wire::{Attribute, ConfigKind, ModeConfig, mode_config_number as number};
use crate::config::checked::{Connection, LocalLan, LoginV1, Pfs, SavePassword};
use crate::ike::service::Node;
use crate::lease::{Ask, Lease, Want};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

/// What the answers are made of.
pub(super) struct Given<'a> {
    pub(super) node: &'a Node,
    pub(super) connection: &'a Connection,
    pub(super) login: &'a LoginV1,
    pub(super) lease: &'a Lease,
    /// Of the user's own, where the server said so.
    pub(super) netmask: Option<Ipv4Addr>,
    /// Where Cisco's IPsec-over-UDP is to go, if the session is to use it.
    pub(super) cisco_udp_port: Option<NonZeroU16>,
}

impl Given<'_> {
    /// CFG_REPLY: of what is asked, what there is.
    pub(super) fn reply(&self, request: &ModeConfig) -> ModeConfig {
        let mut attributes = Vec::new();
        let mut asked = Vec::new();
        for kind in request.attributes.iter().map(|attribute| attribute.kind) {
            if !asked.contains(&kind) {
                asked.push(kind);
                self.put(kind, &mut attributes);
            }
        }
        ModeConfig { kind: ConfigKind::Reply, identifier: request.identifier, attributes }
    }

    /// CFG_SET: everything, for a client that waits to be told.
    pub(super) fn push(&self, identifier: u16, unity: Unity) -> ModeConfig {
        let plain = [number::IP4_ADDRESS, number::IP4_NETMASK, number::IP4_DNS, number::IP4_NBNS];
        let cisco = [
            number::UNITY_BANNER,
            number::UNITY_DEFAULT_DOMAIN,
            number::UNITY_SPLIT_DNS,
            number::UNITY_SPLIT_INCLUDE,
            number::UNITY_LOCAL_LAN,
            number::UNITY_SAVE_PASSWORD,
            number::UNITY_PFS,
            number::UNITY_BACKUP_SERVERS,
        ];
        let mut attributes = Vec::new();
        for kind in plain {
            self.put(kind, &mut attributes);
        }
        match unity {
            Unity::Spoken => cisco.into_iter().for_each(|kind| self.put(kind, &mut attributes)),
            Unity::Unknown => {}
        }
        ModeConfig { kind: ConfigKind::Set, identifier, attributes }
    }

    /// One attribute, as often as there is something to say.
    fn put(&self, kind: u16, out: &mut Vec<Attribute>) {
        let unity = &self.login.unity;
        let text = |text: &Option<String>| text.as_ref().map(|text| Attribute::long(kind, text.as_bytes()));
        let list = |list: &[String]| (!list.is_empty()).then(|| Attribute::long(kind, list.join(",").into_bytes()));
        match kind {
            number::IP4_ADDRESS => {
                out.extend(self.lease.v4.map(|leased| Attribute::long(kind, leased.address.octets())));
            }
            number::IP4_NETMASK if self.lease.v4.is_some() => {
                // One host, nothing else is on its link, unless the user's own server thinks otherwise.
                out.push(Attribute::long(kind, self.netmask.unwrap_or(Ipv4Addr::BROADCAST).octets()));
            }
            number::IP4_DNS => out.extend(self.dns().map(|server| Attribute::long(kind, server.octets()))),
            number::IP4_NBNS => out.extend(self.nbns().map(|server| Attribute::long(kind, server.octets()))),
            number::APPLICATION_VERSION => {
                out.push(Attribute::long(kind, concat!("adit ", env!("CARGO_PKG_VERSION")).as_bytes()));
            }
            number::UNITY_BANNER => out.extend(text(&unity.banner)),
            number::UNITY_DEFAULT_DOMAIN => out.extend(text(&unity.default_domain)),
            number::UNITY_SPLIT_DNS => out.extend(list(&unity.split_dns)),
            number::UNITY_BACKUP_SERVERS => out.extend(list(&unity.backup_servers)),
            number::UNITY_SAVE_PASSWORD => {
                out.push(Attribute::short(kind, u16::from(unity.save_password == SavePassword::Allowed)));
            }
            number::UNITY_PFS => out.push(Attribute::short(kind, u16::from(self.login.pfs == Pfs::Required))),
            number::UNITY_UDP_PORT => {
                out.extend(self.cisco_udp_port.map(|port| Attribute::short(kind, port.get())));
            }
            number::UNITY_SPLIT_INCLUDE => {
                let entries: Vec<u8> = self.networks().flat_map(|(net, mask)| split_entry(net, mask)).collect();
                if !entries.is_empty() {
                    out.push(Attribute::long(kind, entries));
                }
            }
            // "0.0.0.0/32" is what Cisco's clients take for the network they are in.
            number::UNITY_LOCAL_LAN if unity.local_lan == LocalLan::Included => {
                out.push(Attribute::long(kind, split_entry(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST)));
            }
            _not_ours_to_say => {}
        }
    }

    /// What goes through the tunnel; nothing if everything does.
    fn networks(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> {
        let everything =
            self.connection.networks.iter().any(|net| matches!(net, IpNet::V4(v4) if v4.prefix_len() == 0));
        self.connection.networks.iter().filter_map(move |network| match network {
            IpNet::V4(v4) if !everything => Some((v4.network(), v4.netmask())),
            IpNet::V4(_) | IpNet::V6(_) => None,
        })
    }

    fn pools(&self) -> impl Iterator<Item = &crate::config::checked::Pool> {
        self.lease.v4.and_then(|leased| self.node.config.pools.get(leased.pool)).into_iter()
    }

    fn dns(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.pools().flat_map(|pool| &pool.dns).filter_map(|server| match server {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        })
    }

    fn nbns(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.pools().flat_map(|pool| &pool.netbios_name_servers).copied()
    }
}

/// Whether the client speaks Cisco's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unity {
    Spoken,
    Unknown,
}

/// An entry of a list of networks: address, mask, then protocol and ports, which are zero: Cisco's own clients read
/// the ports in another order of octets.
fn split_entry(net: Ipv4Addr, mask: Ipv4Addr) -> Vec<u8> {
    [&net.octets()[..], &mask.octets(), &[0; 6]].concat()
}

/// The address that a client asks for: a value is a wish, none or zero wishes nothing.
pub(super) fn want(request: &ModeConfig) -> Want {
    let v4 = match request.find(number::IP4_ADDRESS).map(|attribute| attribute.value.octets()) {
        None => Ask::Nothing,
        Some(octets) => match octets.and_then(|octets| <[u8; 4]>::try_from(octets).ok()).map(Ipv4Addr::from) {
            Some(address) if !address.is_unspecified() => Ask::Rather(address),
            Some(_) | None => Ask::Any,
        },
    };
    Want { v4, v6: Ask::Nothing }
}
