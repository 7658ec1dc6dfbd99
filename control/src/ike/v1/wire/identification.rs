//! Identification payloads (RFC 2407 section 4.6.2): who somebody is in phase 1, what traffic is meant in phase 2.

use super::{Fault, Id, IdKind, limits};
use crate::ike::wire::reader::Reader;
use crate::ike::wire::writer::put_address;
use adit_dataplane::contract::Selector;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// One identification.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identification {
    /// Who, or which addresses.
    pub whom: Whom,
    /// IP protocol; 0 is any. In phase 1 it is 0 or UDP (RFC 2407 section 4.6.2).
    pub protocol: u8,
    /// 0 is any. In phase 1 it is 0 or 500; peers behind a NAT say 4500 too.
    pub port: u16,
}

/// The data of an identification.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whom {
    /// One address, a name, a key ID …: the types that IKEv2 has too, with the same numbers.
    One(Id),
    /// ID_IPV4_ADDR_SUBNET (4) or ID_IPV6_ADDR_SUBNET (6); bits behind the mask are kept as they were sent.
    Subnet(IpNet),
    /// ID_IPV4_ADDR_RANGE (7) or ID_IPV6_ADDR_RANGE (8).
    Range(RangeInclusive<IpAddr>),
}

/// Types that IKEv1 alone has (RFC 2407 section 4.6.2.1).
const IPV4_SUBNET: u8 = 4;
const IPV6_SUBNET: u8 = 6;
const IPV4_RANGE: u8 = 7;
const IPV6_RANGE: u8 = 8;

impl Identification {
    /// An identity as phase 1 has it, with neither protocol nor port.
    pub const fn of(id: Id) -> Self {
        Self { whom: Whom::One(id), protocol: 0, port: 0 }
    }

    /// Traffic as phase 2 has it. `None` if the selector is for several ports but not for all: IKEv1 cannot say that.
    pub fn of_selector(selector: &Selector) -> Option<Self> {
        let port = match (*selector.ports.start(), *selector.ports.end()) {
            (0, u16::MAX) => 0,
            // Port 0 alone would read as any.
            (first, last) if first == last && first != 0 => first,
            (_, _) => return None,
        };
        let (first, last) = (*selector.addresses.start(), *selector.addresses.end());
        let whom = if first == last {
            Whom::One(address_id(first))
        } else {
            subnet_between(first, last).map_or_else(|| Whom::Range(first..=last), Whom::Subnet)
        };
        Some(Self { whom, protocol: selector.protocol, port })
    }

    /// Who, if it is one that phase 1 may name.
    pub fn id(&self) -> Option<&Id> {
        match &self.whom {
            Whom::One(id) => Some(id),
            Whom::Subnet(_) | Whom::Range(_) => None,
        }
    }

    /// Which traffic, if it names addresses.
    pub fn selector(&self) -> Option<Selector> {
        let addresses = match &self.whom {
            Whom::One(id) => {
                let address = address_of(id)?;
                address..=address
            }
            Whom::Subnet(IpNet::V4(net)) => net.network().into()..=net.broadcast().into(),
            Whom::Subnet(IpNet::V6(net)) => net.network().into()..=net.broadcast().into(),
            Whom::Range(range) => range.clone(),
        };
        let ports = if self.port == 0 { 0..=u16::MAX } else { self.port..=self.port };
        Some(Selector { addresses, protocol: self.protocol, ports })
    }

    /// Reads the body of an ID payload.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(body);
        let [number, protocol] = reader.array().ok_or(Fault::Truncated)?;
        let port = reader.u16().ok_or(Fault::Truncated)?;
        let bytes = reader.rest();
        let length = || Fault::IdLength(bytes.len());
        let whom = match number {
            IPV4_SUBNET => {
                let [address, mask] = halves::<4>(bytes).ok_or_else(length)?.map(Ipv4Addr::from);
                Whom::Subnet(Ipv4Net::with_netmask(address, mask).map_err(|_hole| Fault::IdRange)?.into())
            }
            IPV6_SUBNET => {
                let [address, mask] = halves::<16>(bytes).ok_or_else(length)?.map(Ipv6Addr::from);
                Whom::Subnet(Ipv6Net::with_netmask(address, mask).map_err(|_hole| Fault::IdRange)?.into())
            }
            IPV4_RANGE => range(halves::<4>(bytes).ok_or_else(length)?.map(|octets| Ipv4Addr::from(octets).into()))?,
            IPV6_RANGE => range(halves::<16>(bytes).ok_or_else(length)?.map(|octets| Ipv6Addr::from(octets).into()))?,
            other => {
                let kind = IdKind::from_iana(other).ok_or(Fault::IdKind(other))?;
                let fits = match kind {
                    IdKind::Ipv4 => bytes.len() == 4,
                    IdKind::Ipv6 => bytes.len() == 16,
                    IdKind::Fqdn | IdKind::Email | IdKind::DistinguishedName | IdKind::GeneralName | IdKind::KeyId => {
                        (1..=limits::MAX_ID_LEN).contains(&bytes.len())
                    }
                };
                if !fits {
                    return Err(length());
                }
                Whom::One(Id { kind, bytes: bytes.to_vec() })
            }
        };
        Ok(Self { whom, protocol, port })
    }

    /// Writes the body of an ID payload.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let number = match &self.whom {
            Whom::One(id) => id.kind.iana(),
            Whom::Subnet(IpNet::V4(_)) => IPV4_SUBNET,
            Whom::Subnet(IpNet::V6(_)) => IPV6_SUBNET,
            Whom::Range(range) if range.start().is_ipv4() => IPV4_RANGE,
            Whom::Range(_) => IPV6_RANGE,
        };
        out.extend([number, self.protocol]);
        out.extend(self.port.to_be_bytes());
        match &self.whom {
            Whom::One(id) => out.extend(&id.bytes),
            Whom::Subnet(net) => [net.addr(), net.netmask()].into_iter().for_each(|address| put_address(out, address)),
            Whom::Range(range) => [range.start(), range.end()].into_iter().for_each(|end| put_address(out, *end)),
        }
    }
}

fn halves<const N: usize>(bytes: &[u8]) -> Option<[[u8; N]; 2]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    Some([*first, *<&[u8; N]>::try_from(rest).ok()?])
}

fn range([first, last]: [IpAddr; 2]) -> Result<Whom, Fault> {
    if first > last {
        return Err(Fault::IdRange);
    }
    Ok(Whom::Range(first..=last))
}

/// The one subnet that spans exactly these two addresses.
fn subnet_between(first: IpAddr, last: IpAddr) -> Option<IpNet> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let prefix = (u32::from(first) ^ u32::from(last)).leading_zeros();
            let net = Ipv4Net::new(first, u8::try_from(prefix).ok()?).ok()?;
            (net.network() == first && net.broadcast() == last).then_some(IpNet::V4(net))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let prefix = (u128::from(first) ^ u128::from(last)).leading_zeros();
            let net = Ipv6Net::new(first, u8::try_from(prefix).ok()?).ok()?;
            (net.network() == first && net.broadcast() == last).then_some(IpNet::V6(net))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn address_id(address: IpAddr) -> Id {
    match address {
        IpAddr::V4(v4) => Id { kind: IdKind::Ipv4, bytes: v4.octets().to_vec() },
        IpAddr::V6(v6) => Id { kind: IdKind::Ipv6, bytes: v6.octets().to_vec() },
    }
}

fn address_of(id: &Id) -> Option<IpAddr> {
    match id.kind {
        IdKind::Ipv4 => <[u8; 4]>::try_from(id.bytes.as_slice()).ok().map(IpAddr::from),
        IdKind::Ipv6 => <[u8; 16]>::try_from(id.bytes.as_slice()).ok().map(IpAddr::from),
        IdKind::Fqdn | IdKind::Email | IdKind::DistinguishedName | IdKind::GeneralName | IdKind::KeyId => None,
    }
}
