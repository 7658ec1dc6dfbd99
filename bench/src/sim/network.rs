//! Who lives where: realms of addresses, with NATs between them.
//!
//! ```text
//!   realm 0, the internet:  headend    NAT a        NAT b        host without NAT
//!                                       │            │
//!   realms inside:                 hosts, or a NAT   hosts
//!                                       │
//!                                     hosts (behind two NATs)
//! ```

use super::datagram::Datagram;
use super::host::HostId;
use super::nat::{Blocked, Nat};
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Addresses mean something within one realm only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RealmId(usize);

/// One NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NatId(usize);

/// Why the network between the access lines did not deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undelivered {
    Blocked(Blocked),
    /// Nobody has this address.
    NoRoute,
}

#[derive(Debug, Clone, Copy)]
enum Resident {
    Host(HostId),
    Nat(NatId),
}

#[derive(Debug, Default)]
struct Realm {
    gateway: Option<NatId>,
    residents: BTreeMap<IpAddr, Resident>,
}

/// All realms and NATs.
#[derive(Debug)]
pub(crate) struct Network {
    realms: Vec<Realm>,
    /// Each with the realm outside of it and the one inside.
    nats: Vec<(Nat, RealmId, RealmId)>,
}

/// More translations than that are a circle.
const MOST_HOPS: usize = 8;

impl Network {
    pub(crate) const INTERNET: RealmId = RealmId(0);

    /// The internet, empty.
    pub(crate) fn new() -> Self {
        Self { realms: vec![Realm::default()], nats: Vec::new() }
    }

    /// `host` lives at `address`; whoever lived there does not any more.
    pub(crate) fn settle(&mut self, realm: RealmId, address: IpAddr, host: HostId) {
        if let Some(realm) = self.realms.get_mut(realm.0) {
            realm.residents.insert(address, Resident::Host(host));
        }
    }

    /// A NAT in `outside`, at `addresses` there, and a new realm behind it.
    pub(crate) fn add_nat(&mut self, outside: RealmId, addresses: &[IpAddr], nat: Nat) -> (NatId, RealmId) {
        let (id, inside) = (NatId(self.nats.len()), RealmId(self.realms.len()));
        if let Some(realm) = self.realms.get_mut(outside.0) {
            realm.residents.extend(addresses.iter().map(|address| (*address, Resident::Nat(id))));
        }
        self.nats.push((nat, outside, inside));
        self.realms.push(Realm { gateway: Some(id), residents: BTreeMap::new() });
        (id, inside)
    }

    pub(crate) fn nat_mut(&mut self, id: NatId) -> Option<&mut Nat> {
        self.nats.get_mut(id.0).map(|(nat, _, _)| nat)
    }

    /// Takes a datagram that was sent in `realm` to the host that it is for, its addresses translated on the way.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        mut realm: RealmId,
        datagram: &mut Datagram,
    ) -> Result<HostId, Undelivered> {
        for _ in 0..MOST_HOPS {
            let here = self.realms.get(realm.0).ok_or(Undelivered::NoRoute)?;
            match here.residents.get(&datagram.to.ip()) {
                Some(Resident::Host(host)) => return Ok(*host),
                Some(Resident::Nat(id)) => {
                    let (nat, _, inside) = self.nats.get(id.0).ok_or(Undelivered::NoRoute)?;
                    datagram.to = nat.inward(now, datagram.to, datagram.from).map_err(Undelivered::Blocked)?;
                    realm = *inside;
                }
                None => {
                    let gateway = here.gateway.and_then(|id| self.nats.get_mut(id.0));
                    let (nat, outside, _) = gateway.ok_or(Undelivered::NoRoute)?;
                    datagram.from = nat.outward(now, datagram.from, datagram.to).map_err(Undelivered::Blocked)?;
                    realm = *outside;
                }
            }
        }
        Err(Undelivered::NoRoute)
    }
}

impl Network {
    /// Whom a datagram from the internet would reach now.
    pub(crate) fn reached(&self, now: Instant, datagram: &Datagram) -> Option<HostId> {
        let (mut realm, mut to) = (Self::INTERNET, datagram.to);
        for _ in 0..MOST_HOPS {
            match self.realms.get(realm.0)?.residents.get(&to.ip())? {
                Resident::Host(host) => return Some(*host),
                Resident::Nat(id) => {
                    let (nat, _, inside) = self.nats.get(id.0)?;
                    to = nat.inward(now, to, datagram.from).ok()?;
                    realm = *inside;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::chance::Chance;
    use super::super::datagram::Body;
    use super::super::nat::{Behaviour, Dependence};
    use super::*;
    use std::time::Duration;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nat(outside: &str) -> (Vec<IpAddr>, Nat) {
        let behaviour = Behaviour {
            mapping: Dependence::EndpointIndependent,
            filtering: Dependence::AddressAndPortDependent,
            timeout: Duration::from_secs(120),
        };
        let addresses = vec![address(outside)];
        (addresses.clone(), Nat::new(behaviour, addresses, &mut Chance::new(1)).unwrap())
    }

    fn datagram(from: &str, to: &str) -> Datagram {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        Datagram { from, to, body: Body::Keepalive, sender: HostId(0), sent: Instant::ZERO }
    }

    #[test]
    fn a_datagram_finds_its_way_out_of_two_nats_and_its_answer_back_in() {
        let mut network = Network::new();
        let (headend, client) = (HostId(0), HostId(1));
        network.settle(Network::INTERNET, address("198.51.100.1"), headend);
        let (at, outer) = nat("203.0.113.1");
        let (_, carrier) = network.add_nat(Network::INTERNET, &at, outer);
        let (at, inner) = nat("100.64.0.5");
        let (home_nat, home) = network.add_nat(carrier, &at, inner);
        network.settle(home, address("192.168.1.10"), client);

        let now = Instant::ZERO;
        let mut question = datagram("192.168.1.10:4500", "198.51.100.1:4500");
        assert_eq!(network.deliver(now, home, &mut question), Ok(headend));
        assert_eq!(question.from.ip(), address("203.0.113.1"));
        let mut answer = Datagram { from: question.to, to: question.from, ..question.clone() };
        assert_eq!(network.reached(now, &answer), Some(client));
        assert_eq!(network.deliver(now, Network::INTERNET, &mut answer), Ok(client));
        assert_eq!(answer.to, "192.168.1.10:4500".parse().unwrap());

        let mut stranger =
            Datagram { from: "198.51.100.9:4500".parse().unwrap(), to: question.from, ..question.clone() };
        let filtered = Err(Undelivered::Blocked(Blocked::Filtered));
        assert_eq!(network.deliver(now, Network::INTERNET, &mut stranger), filtered);
        network.nat_mut(home_nat).unwrap().rebind();
        let mut late = Datagram { from: question.to, to: question.from, ..question };
        let forgotten = Err(Undelivered::Blocked(Blocked::NoMapping));
        assert_eq!(network.deliver(now, Network::INTERNET, &mut late), forgotten);
    }

    #[test]
    fn one_private_address_may_be_many_hosts() {
        let mut network = Network::new();
        network.settle(Network::INTERNET, address("198.51.100.1"), HostId(0));
        let sources: Vec<_> = (1..=3_usize)
            .map(|n| {
                let (at, nat) = nat(&format!("203.0.113.{n}"));
                let (_, home) = network.add_nat(Network::INTERNET, &at, nat);
                network.settle(home, address("192.168.1.10"), HostId(n));
                let mut question = datagram("192.168.1.10:500", "198.51.100.1:500");
                assert_eq!(network.deliver(Instant::ZERO, home, &mut question), Ok(HostId(0)));
                (HostId(n), question)
            })
            .collect();
        for (host, question) in sources {
            let mut answer = Datagram { from: question.to, to: question.from, ..question };
            assert_eq!(network.deliver(Instant::ZERO, Network::INTERNET, &mut answer), Ok(host));
        }
        let mut nobody = datagram("198.51.100.1:500", "203.0.113.77:500");
        assert_eq!(network.deliver(Instant::ZERO, Network::INTERNET, &mut nobody), Err(Undelivered::NoRoute));
    }
}
