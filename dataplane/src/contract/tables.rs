//! Inner routes: which tunnel an inner destination belongs to. Control builds a table and publishes it whole.

use super::TunnelKey;
use adit_crypto::random::SecretRandom;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use std::hash::Hash;
use std::net::IpAddr;

/// Where an inner packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// Into this tunnel.
    Tunnel(TunnelKey),
    /// To the inner door: an address of our own, where a network that leads into a tunnel has it.
    Inside,
}

/// Longest-prefix match over inner prefixes. What is in no tunnel goes to the inner door.
///
/// One hash map per prefix length in use, the longest first: a headend's routes are leases, so there is one length
/// per family and a look-up is one probe.
#[derive(Debug, Clone)]
pub struct Routes {
    v4: Family<u32>,
    v6: Family<u128>,
}

/// A prefix length and the networks that have it.
type Length<A> = (u8, HashMap<A, NextHop, FixedState>);

#[derive(Debug, Clone)]
struct Family<A> {
    /// Longest first; none is empty.
    lengths: Vec<Length<A>>,
    hasher: FixedState,
}

impl Routes {
    /// An empty table, its hashes seeded from `random` so that nobody outside can aim at one bucket.
    pub fn new(random: &mut dyn SecretRandom) -> Self {
        let mut seed = [0; 8];
        random.fill(&mut seed);
        let hasher = FixedState::with_seed(u64::from_ne_bytes(seed));
        Self { v4: Family { lengths: Vec::new(), hasher: hasher.clone() }, v6: Family { lengths: Vec::new(), hasher } }
    }

    /// Adds or replaces a prefix. Its host bits do not count.
    pub fn insert(&mut self, prefix: IpNet, next_hop: NextHop) {
        match prefix {
            IpNet::V4(net) => self.v4.insert(net.prefix_len(), net.network().into(), next_hop),
            IpNet::V6(net) => self.v6.insert(net.prefix_len(), net.network().into(), next_hop),
        }
    }

    /// Takes a prefix away.
    pub fn remove(&mut self, prefix: &IpNet) -> Option<NextHop> {
        match prefix {
            IpNet::V4(net) => self.v4.remove(net.prefix_len(), &net.network().into()),
            IpNet::V6(net) => self.v6.remove(net.prefix_len(), &net.network().into()),
        }
    }

    /// The longest prefix that holds `address`.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<NextHop> {
        match address {
            IpAddr::V4(address) => {
                let bits = u32::from(address);
                self.v4.lookup(|len| bits & u32::MAX.checked_shl(u32::BITS - u32::from(len)).unwrap_or(0))
            }
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                self.v6.lookup(|len| bits & u128::MAX.checked_shl(u128::BITS - u32::from(len)).unwrap_or(0))
            }
        }
    }

    /// Number of prefixes.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<A: Hash + Eq> Family<A> {
    fn insert(&mut self, len: u8, network: A, next_hop: NextHop) {
        match self.find(len) {
            Ok(at) => {
                self.lengths[at].1.insert(network, next_hop);
            }
            Err(at) => {
                let mut networks = HashMap::with_hasher(self.hasher.clone());
                networks.insert(network, next_hop);
                self.lengths.insert(at, (len, networks));
            }
        }
    }

    fn remove(&mut self, len: u8, network: &A) -> Option<NextHop> {
        let at = self.find(len).ok()?;
        let removed = self.lengths[at].1.remove(network);
        if self.lengths[at].1.is_empty() {
            self.lengths.remove(at);
        }
        removed
    }

    /// Where this length stands, or would. Compared the wrong way round: the longest comes first.
    fn find(&self, len: u8) -> Result<usize, usize> {
        self.lengths.binary_search_by(|(known, _)| len.cmp(known))
    }

    #[inline]
    fn lookup(&self, masked: impl Fn(u8) -> A) -> Option<NextHop> {
        self.lengths.iter().find_map(|(len, networks)| networks.get(&masked(*len)).copied())
    }

    fn len(&self) -> usize {
        self.lengths.iter().map(|(_, networks)| networks.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::WorkerId;
    use adit_crypto::random::SeededRandom;
    use ipnet::{Ipv4Net, Ipv6Net};
    use std::collections::BTreeMap;

    fn number(random: &mut SeededRandom) -> u32 {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn net(random: &mut SeededRandom) -> IpNet {
        // Few distinct leading octets, so that prefixes hold each other.
        let bits = number(random) & 0x0303_ff0f;
        if number(random).is_multiple_of(2) {
            Ipv4Net::new(bits.into(), (number(random) % 33) as u8).unwrap().trunc().into()
        } else {
            let bits = u128::from(bits) << 96 | u128::from(number(random) & 3);
            Ipv6Net::new(bits.into(), (number(random) % 129) as u8).unwrap().trunc().into()
        }
    }

    /// The dull twin.
    fn scan(table: &BTreeMap<IpNet, NextHop>, address: IpAddr) -> Option<NextHop> {
        let holding = table.iter().filter(|(net, _)| net.contains(&address));
        holding.max_by_key(|(net, _)| net.prefix_len()).map(|(_, hop)| *hop)
    }

    #[test]
    fn look_up_agrees_with_a_linear_scan_while_routes_come_and_go() {
        for seed in 0..30 {
            let mut random = SeededRandom::new(seed);
            let (mut routes, mut table) = (Routes::new(&mut SeededRandom::new(seed)), BTreeMap::new());
            for slot in 0..200 {
                let prefix = net(&mut random);
                if slot % 3 == 2 {
                    let gone = table.keys().nth(number(&mut random) as usize % table.len()).copied().unwrap();
                    assert_eq!(routes.remove(&gone), table.remove(&gone));
                } else {
                    let hop = NextHop::Tunnel(TunnelKey { worker: WorkerId(0), slot });
                    routes.insert(prefix, hop);
                    table.insert(prefix, hop);
                }
                assert_eq!(routes.len(), table.len());
                for _ in 0..20 {
                    let address = net(&mut random).addr();
                    assert_eq!(routes.lookup(address), scan(&table, address), "{address}");
                }
            }
        }
    }

    #[test]
    fn the_shortest_and_the_longest_prefix_work_and_host_bits_do_not_count() {
        let mut routes = Routes::new(&mut SeededRandom::new(0));
        let hop = |slot| NextHop::Tunnel(TunnelKey { worker: WorkerId(0), slot });
        routes.insert("0.0.0.0/0".parse().unwrap(), hop(1));
        routes.insert("10.0.0.7/32".parse().unwrap(), hop(2));
        routes.insert("10.0.0.200/24".parse().unwrap(), hop(3));
        routes.insert("::/0".parse().unwrap(), hop(4));
        routes.insert("fd00::1/128".parse().unwrap(), hop(5));
        for (address, slot) in [("192.0.2.1", 1), ("10.0.0.7", 2), ("10.0.0.8", 3), ("::1", 4), ("fd00::1", 5)] {
            assert_eq!(routes.lookup(address.parse().unwrap()), Some(hop(slot)), "{address}");
        }
        assert_eq!(routes.remove(&"10.0.0.0/24".parse().unwrap()), Some(hop(3)));
        assert_eq!(routes.remove(&"10.0.0.0/24".parse().unwrap()), None);
        assert_eq!(routes.lookup("10.0.0.8".parse().unwrap()), Some(hop(1)));
    }
}
