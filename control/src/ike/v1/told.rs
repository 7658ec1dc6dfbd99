//! What a headend's mode config has told us about ourselves (draft-dukes-ike-mode-cfg-02, Cisco's Unity), for whoever
//! drives the engine.

use super::wire::{Attribute, ModeConfig, mode_config_number as number};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;

/// All of it that adit knows. Nothing of it is obeyed but the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Ours, inside.
    pub address: Ipv4Addr,
    /// Of the network that it is in.
    pub netmask: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Name servers for NetBIOS.
    pub netbios_name_servers: Vec<Ipv4Addr>,
    /// To be shown to the user.
    pub banner: Option<String>,
    /// Domain of short names.
    pub default_domain: Option<String>,
    /// Domains that the name servers answer for; none is all.
    pub split_dns: Vec<String>,
    /// Networks behind the headend; none is everything.
    pub networks: Vec<Ipv4Net>,
    /// Headends to try when this one does not answer.
    pub backup_servers: Vec<String>,
    /// Whether the password may be kept, if that is said.
    pub save_password: Option<bool>,
    /// Whether quick modes must have a key exchange of their own, if that is said.
    pub pfs: Option<bool>,
    /// UDP port of the headend's for Cisco's IPsec over UDP, if it does that.
    pub cisco_udp_port: Option<NonZeroU16>,
}

/// Octets of a network in a list: address, mask, protocol and ports.
const ENTRY: usize = 14;

impl Told {
    /// `None` without an address: then there is nothing to be told about.
    pub(super) fn of(config: &ModeConfig) -> Option<Self> {
        let address = addresses(config, number::IP4_ADDRESS).find(|address| !address.is_unspecified())?;
        let flag = |kind| config.find(kind).and_then(|attribute| attribute.value.number()).map(|value| value != 0);
        Some(Self {
            address,
            netmask: addresses(config, number::IP4_NETMASK).next(),
            dns: addresses(config, number::IP4_DNS).collect(),
            netbios_name_servers: addresses(config, number::IP4_NBNS).collect(),
            banner: text(config, number::UNITY_BANNER),
            default_domain: text(config, number::UNITY_DEFAULT_DOMAIN),
            split_dns: list(config, number::UNITY_SPLIT_DNS),
            networks: octets(config, number::UNITY_SPLIT_INCLUDE).flat_map(networks).collect(),
            backup_servers: list(config, number::UNITY_BACKUP_SERVERS),
            save_password: flag(number::UNITY_SAVE_PASSWORD),
            pfs: flag(number::UNITY_PFS),
            cisco_udp_port: config.find(number::UNITY_UDP_PORT).and_then(port),
        })
    }
}

fn octets(config: &ModeConfig, kind: u16) -> impl Iterator<Item = &[u8]> {
    let such = move |attribute: &&Attribute| attribute.kind == kind;
    config.attributes.iter().filter(such).filter_map(|attribute| attribute.value.octets())
}

fn addresses(config: &ModeConfig, kind: u16) -> impl Iterator<Item = Ipv4Addr> {
    octets(config, kind).filter_map(|octets| <[u8; 4]>::try_from(octets).ok()).map(Ipv4Addr::from)
}

fn port(attribute: &Attribute) -> Option<NonZeroU16> {
    NonZeroU16::new(u16::try_from(attribute.value.number()?).ok()?)
}

/// Whatever octets stand there: a message is bounded, and so is this.
fn text(config: &ModeConfig, kind: u16) -> Option<String> {
    octets(config, kind).next().map(|octets| String::from_utf8_lossy(octets).into_owned())
}

fn list(config: &ModeConfig, kind: u16) -> Vec<String> {
    let words = text(config, kind).unwrap_or_default();
    words.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn networks(entries: &[u8]) -> impl Iterator<Item = Ipv4Net> {
    entries.chunks_exact(ENTRY).filter_map(|entry| {
        let address = Ipv4Addr::from(*entry.first_chunk::<4>()?);
        let mask = Ipv4Addr::from(*entry.get(4..)?.first_chunk::<4>()?);
        Ipv4Net::with_netmask(address, mask).ok().map(|net| net.trunc())
    })
}

#[cfg(test)]
mod tests {
    use super::super::wire::ConfigKind;
    use super::*;

    #[test]
    fn what_cannot_be_read_is_left_out_and_without_an_address_there_is_nothing() {
        let told = |attributes| Told::of(&ModeConfig { kind: ConfigKind::Reply, identifier: 1, attributes });
        assert_eq!(told(vec![Attribute::long(number::IP4_DNS, [10, 0, 0, 53])]), None);
        assert_eq!(told(vec![Attribute::long(number::IP4_ADDRESS, [0; 4])]), None);
        assert_eq!(told(vec![Attribute::long(number::IP4_ADDRESS, [10, 0, 0])]), None);
        let mut entries = [[10, 1, 2, 3], [255, 255, 0, 0]].concat();
        entries.extend([0; 6]);
        entries.extend([[10, 9, 9, 9], [255, 0, 255, 0]].concat());
        entries.extend([0; 6]);
        entries.extend([7; 5]);
        let read = told(vec![
            Attribute::long(number::IP4_ADDRESS, [10, 30, 0, 2]),
            Attribute::long(number::IP4_DNS, [10, 0, 0, 53]),
            Attribute::long(number::IP4_DNS, [1, 2, 3]),
            Attribute::long(number::UNITY_SPLIT_INCLUDE, entries),
            Attribute::long(number::UNITY_SPLIT_DNS, *b"a.example, ,b.example"),
            Attribute::long(number::UNITY_BANNER, [0xff, b'!']),
            Attribute::short(number::UNITY_PFS, 1),
            Attribute::short(number::UNITY_UDP_PORT, 10_000),
        ]);
        let read = read.unwrap();
        assert_eq!((read.address, read.dns), ([10, 30, 0, 2].into(), vec![[10, 0, 0, 53].into()]));
        assert_eq!(read.networks, ["10.1.0.0/16".parse().unwrap()]);
        assert_eq!(read.split_dns, ["a.example", "b.example"]);
        assert_eq!((read.banner.as_deref(), read.pfs, read.save_password), (Some("\u{fffd}!"), Some(true), None));
        assert_eq!(read.cisco_udp_port, NonZeroU16::new(10_000));
    }
}
