//! A NAT for UDP, described as RFC 4787 describes one: by how it maps, what it filters and how long it remembers.
//!
//! ```text
//!    inside                          outside
//!  10.0.0.7:4500 ──▶ to A:4500 ──▶ 203.0.113.9:31007   one mapping for all destinations (endpoint-independent),
//!                                                      one per address, or one per address and port
//! ```
//! Not modelled: parity and preservation of ports, which IKE must not depend on (RFC 7296 section 2.23).

use super::chance::Chance;
use adit_dataplane::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How much of the far end something depends on (RFC 4787 sections 4.1 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dependence {
    EndpointIndependent,
    AddressDependent,
    AddressAndPortDependent,
}

impl Dependence {
    pub(crate) const ALL: [Self; 3] =
        [Self::EndpointIndependent, Self::AddressDependent, Self::AddressAndPortDependent];

    /// As much of `far` as counts.
    fn of(self, far: SocketAddr) -> Far {
        match self {
            Self::EndpointIndependent => Far::Any,
            Self::AddressDependent => Far::Address(far.ip()),
            Self::AddressAndPortDependent => Far::Endpoint(far),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Far {
    Any,
    Address(IpAddr),
    Endpoint(SocketAddr),
}

/// What kind of NAT it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Behaviour {
    pub(crate) mapping: Dependence,
    pub(crate) filtering: Dependence,
    /// A mapping without outbound traffic for so long is forgotten (RFC 4787 section 4.3, REQ-5 and REQ-6).
    pub(crate) timeout: Duration,
}

/// Why a NAT let something fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Nobody inside has this port, or not any more.
    NoMapping,
    /// The mapping is not open to this sender.
    Filtered,
    /// Every port is in use.
    NoPort,
}

/// One NAT box.
#[derive(Debug)]
pub(crate) struct Nat {
    behaviour: Behaviour,
    /// Its addresses outside; mappings are made on the current one.
    addresses: Vec<IpAddr>,
    current: usize,
    next_port: u16,
    mappings: BTreeMap<SocketAddr, Mapping>,
    by_inside: BTreeMap<(SocketAddr, Far), SocketAddr>,
}

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    far: Far,
    /// To whom something was sent, as far as the filter cares.
    open_to: BTreeSet<Far>,
    refreshed: Instant,
}

/// Below are the ports of servers.
const FIRST_PORT: u16 = 1024;

impl Nat {
    /// `None` without an address outside.
    pub(crate) fn new(behaviour: Behaviour, addresses: Vec<IpAddr>, chance: &mut Chance) -> Option<Self> {
        if addresses.is_empty() {
            return None;
        }
        let span = u64::from(u16::MAX - FIRST_PORT);
        let next_port = FIRST_PORT + u16::try_from(chance.below(span)).unwrap_or_default();
        let (mappings, by_inside) = (BTreeMap::new(), BTreeMap::new());
        Some(Self { behaviour, addresses, current: 0, next_port, mappings, by_inside })
    }

    /// A datagram leaves: its source outside.
    pub(crate) fn outward(&mut self, now: Instant, inside: SocketAddr, to: SocketAddr) -> Result<SocketAddr, Blocked> {
        let far = self.behaviour.mapping.of(to);
        let living = self.by_inside.get(&(inside, far)).copied().filter(|outside| self.lives(now, *outside));
        let outside = match living {
            Some(outside) => outside,
            None => self.map(now, inside, far)?,
        };
        if let Some(mapping) = self.mappings.get_mut(&outside) {
            mapping.refreshed = now;
            mapping.open_to.insert(self.behaviour.filtering.of(to));
        }
        Ok(outside)
    }

    /// A datagram arrives from outside: whom inside it is for.
    pub(crate) fn inward(&self, now: Instant, outside: SocketAddr, from: SocketAddr) -> Result<SocketAddr, Blocked> {
        if !self.lives(now, outside) {
            return Err(Blocked::NoMapping);
        }
        let mapping = self.mappings.get(&outside).ok_or(Blocked::NoMapping)?;
        match mapping.open_to.contains(&self.behaviour.filtering.of(from)) {
            true => Ok(mapping.inside),
            false => Err(Blocked::Filtered),
        }
    }

    /// It restarts: all mappings are forgotten, and new ones are made on its next address.
    pub(crate) fn rebind(&mut self) {
        self.mappings.clear();
        self.by_inside.clear();
        self.current = (self.current + 1) % self.addresses.len();
    }

    fn lives(&self, now: Instant, outside: SocketAddr) -> bool {
        self.mappings.get(&outside).is_some_and(|mapping| now.since(mapping.refreshed) < self.behaviour.timeout)
    }

    fn map(&mut self, now: Instant, inside: SocketAddr, far: Far) -> Result<SocketAddr, Blocked> {
        let address = self.addresses.get(self.current).copied().ok_or(Blocked::NoPort)?;
        for _ in FIRST_PORT..=u16::MAX {
            let outside = SocketAddr::new(address, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if self.lives(now, outside) {
                continue;
            }
            let mapping = Mapping { inside, far, open_to: BTreeSet::new(), refreshed: now };
            if let Some(dead) = self.mappings.insert(outside, mapping) {
                self.by_inside.remove(&(dead.inside, dead.far));
            }
            self.by_inside.insert((inside, far), outside);
            return Ok(outside);
        }
        Err(Blocked::NoPort)
    }
}

#[cfg(test)]
mod tests {
    use super::Dependence::*;
    use super::*;

    const A: &str = "198.51.100.1:4500";
    const A_OTHER_PORT: &str = "198.51.100.1:500";
    const B: &str = "198.51.100.2:4500";

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn nat(mapping: Dependence, filtering: Dependence) -> Nat {
        let behaviour = Behaviour { mapping, filtering, timeout: Duration::from_secs(120) };
        let addresses = vec!["203.0.113.1".parse().unwrap(), "203.0.113.2".parse().unwrap()];
        Nat::new(behaviour, addresses, &mut Chance::new(1)).unwrap()
    }

    #[test]
    fn a_mapping_depends_on_as_much_of_the_far_end_as_rfc_4787_section_4_1_says() {
        let inside = socket("10.0.0.7:4500");
        for (mapping, want) in [(EndpointIndependent, 1), (AddressDependent, 2), (AddressAndPortDependent, 3)] {
            let mut nat = nat(mapping, EndpointIndependent);
            let outside: BTreeSet<_> =
                [A, A_OTHER_PORT, B, A].map(|far| nat.outward(at(1), inside, socket(far)).unwrap()).into();
            assert_eq!(outside.len(), want, "{mapping:?}");
            assert!(outside.iter().all(|outside| nat.inward(at(1), *outside, socket(A)) == Ok(inside)));
        }
    }

    #[test]
    fn a_filter_lets_in_as_rfc_4787_section_5_says() {
        for (filtering, want) in [
            (EndpointIndependent, [true, true, true]),
            (AddressDependent, [true, true, false]),
            (AddressAndPortDependent, [true, false, false]),
        ] {
            let mut nat = nat(EndpointIndependent, filtering);
            let outside = nat.outward(at(1), socket("10.0.0.7:4500"), socket(A)).unwrap();
            let passed = [A, A_OTHER_PORT, B].map(|far| nat.inward(at(2), outside, socket(far)).is_ok());
            assert_eq!(passed, want, "{filtering:?}");
        }
    }

    #[test]
    fn two_inside_never_share_a_port_outside() {
        let mut nat = nat(EndpointIndependent, AddressAndPortDependent);
        let one = nat.outward(at(1), socket("10.0.0.7:4500"), socket(A)).unwrap();
        let other = nat.outward(at(1), socket("10.0.0.8:4500"), socket(A)).unwrap();
        assert_ne!(one, other);
        assert_eq!(nat.inward(at(1), other, socket(A)), Ok(socket("10.0.0.8:4500")));
    }

    #[test]
    fn a_mapping_is_forgotten_without_outbound_traffic_and_only_then() {
        let mut nat = nat(EndpointIndependent, EndpointIndependent);
        let inside = socket("10.0.0.7:4500");
        let outside = nat.outward(at(0), inside, socket(A)).unwrap();
        assert_eq!(nat.outward(at(119), inside, socket(A)), Ok(outside));
        // What comes in does not refresh (RFC 4787 REQ-6: it may, so nobody can rely on it).
        assert_eq!(nat.inward(at(230), outside, socket(A)), Ok(inside));
        assert_eq!(nat.inward(at(239), outside, socket(A)), Err(Blocked::NoMapping));
        assert_ne!(nat.outward(at(240), inside, socket(A)), Ok(outside));
    }

    #[test]
    fn after_rebinding_the_old_mapping_is_dead_and_the_new_one_elsewhere() {
        let mut nat = nat(EndpointIndependent, EndpointIndependent);
        let inside = socket("10.0.0.7:4500");
        let before = nat.outward(at(0), inside, socket(A)).unwrap();
        nat.rebind();
        assert_eq!(nat.inward(at(1), before, socket(A)), Err(Blocked::NoMapping));
        let after = nat.outward(at(1), inside, socket(A)).unwrap();
        assert_ne!(before.ip(), after.ip());
    }

    #[test]
    fn ports_wrap_and_are_used_again_only_when_dead() {
        let mut nat = nat(AddressAndPortDependent, EndpointIndependent);
        let inside = socket("10.0.0.7:4500");
        let far = |n: u16| SocketAddr::from(([198, 51, 100, 1], n));
        let all: BTreeSet<_> = (FIRST_PORT..=u16::MAX).map(|n| nat.outward(at(0), inside, far(n)).unwrap()).collect();
        assert_eq!(all.len(), usize::from(u16::MAX - FIRST_PORT) + 1);
        assert_eq!(nat.outward(at(1), inside, far(1)), Err(Blocked::NoPort));
        assert!(nat.outward(at(120), inside, far(1)).is_ok());
        assert_eq!(nat.mappings.len(), nat.by_inside.len());
    }
}
