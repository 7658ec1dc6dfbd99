//! Where clients live: homes behind NATs of every behaviour, behind a second NAT of their carrier's, or on the internet
//! themselves, over IPv4 or IPv6.

use super::chance::Chance;
use super::host::HostId;
use super::line::{Fragments, Line};
use super::nat::{Behaviour, Dependence, Nat};
use super::network::{NatId, Network, RealmId};
use super::world::World;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The headend's addresses.
pub(crate) const HEADEND_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
pub(crate) const HEADEND_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// One client's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) host: HostId,
    /// Its own, as it knows it.
    pub(crate) own: IpAddr,
    /// Of the headend, in the same family.
    pub(crate) headend: IpAddr,
    /// The NAT of its home.
    pub(crate) nat: Option<NatId>,
}

/// Hands out places; one line in four drops IP fragments.
pub(crate) struct Neighbourhood {
    line: Line,
    /// Public addresses handed out.
    public: u32,
    home: Option<Home>,
    carrier: Option<Carrier>,
}

/// A NAT with room for more hosts behind it.
struct Home {
    nat: NatId,
    inside: RealmId,
    hosts: u8,
    room: u8,
}

/// A carrier's NAT, with homes behind it.
struct Carrier {
    inside: RealmId,
    homes: u8,
}

/// Long enough for a client that sends something every 20 seconds (RFC 4787 REQ-5 has two minutes as the least).
const MAPPING_TIMEOUT: Duration = Duration::from_secs(120);
const MOST_IN_A_HOME: u64 = 6;
const HOMES_OF_A_CARRIER: u8 = 20;

impl Neighbourhood {
    /// The headend is there, and switched off. Clients will have access lines like `line`.
    pub(crate) fn new(world: &mut World, line: Line) -> Self {
        let own = Line::perfect(Duration::from_millis(1));
        let headend = world.add_host(Network::INTERNET, &[HEADEND_V4, HEADEND_V6], own.clone(), own);
        debug_assert_eq!(headend, HostId::HEADEND);
        Self { line, public: 0, home: None, carrier: None }
    }

    /// A new client somewhere; `None` only if a NAT cannot be made.
    pub(crate) fn move_in(&mut self, world: &mut World, chance: &mut Chance) -> Option<Address> {
        self.line.fragments = match chance.below(4) {
            0 => Fragments::Dropped,
            _ => Fragments::Carried,
        };
        match chance.below(10) {
            0 => {
                let own = self.public_v4();
                Some(self.settle(world, Network::INTERNET, own, HEADEND_V4, None))
            }
            1 => {
                self.public += 1;
                let own = Ipv6Addr::from(0x2001_0db8_0001_u128 << 80 | u128::from(self.public));
                Some(self.settle(world, Network::INTERNET, own.into(), HEADEND_V6, None))
            }
            _ => self.move_in_at_home(world, chance),
        }
    }

    fn move_in_at_home(&mut self, world: &mut World, chance: &mut Chance) -> Option<Address> {
        let mut home = match self.home.take() {
            Some(home) if home.hosts < home.room => home,
            Some(_) | None => self.build_home(world, chance)?,
        };
        home.hosts += 1;
        // Every home has the same addresses inside, as homes have.
        let own = IpAddr::from([192, 168, 1, 10 + home.hosts]);
        let (inside, nat) = (home.inside, home.nat);
        self.home = Some(home);
        Some(self.settle(world, inside, own, HEADEND_V4, Some(nat)))
    }

    fn build_home(&mut self, world: &mut World, chance: &mut Chance) -> Option<Home> {
        let (outside, addresses) = match chance.below(4) {
            0 => {
                let carrier = match self.carrier.take() {
                    Some(carrier) if carrier.homes < HOMES_OF_A_CARRIER => carrier,
                    Some(_) | None => self.build_carrier(world, chance)?,
                };
                let homes = carrier.homes + 1;
                let at = [1, 2].map(|n| IpAddr::from([100, 64, homes, n]));
                self.carrier = Some(Carrier { homes, ..carrier });
                (carrier.inside, at)
            }
            _ => (Network::INTERNET, [self.public_v4(), self.public_v4()]),
        };
        let nat = Nat::new(behaviour(chance)?, addresses.to_vec(), chance)?;
        let (nat, inside) = world.network.add_nat(outside, &addresses, nat);
        let room = 1 + u8::try_from(chance.below(MOST_IN_A_HOME)).unwrap_or_default();
        Some(Home { nat, inside, hosts: 0, room })
    }

    fn build_carrier(&mut self, world: &mut World, chance: &mut Chance) -> Option<Carrier> {
        let addresses = [self.public_v4()];
        let nat = Nat::new(behaviour(chance)?, addresses.to_vec(), chance)?;
        let (_, inside) = world.network.add_nat(Network::INTERNET, &addresses, nat);
        Some(Carrier { inside, homes: 0 })
    }

    fn settle(&self, world: &mut World, realm: RealmId, own: IpAddr, headend: IpAddr, nat: Option<NatId>) -> Address {
        let host = world.add_host(realm, &[own], self.line.clone(), self.line.clone());
        Address { host, own, headend, nat }
    }

    /// From 20.0.0.0 on: nobody else in these worlds has those.
    fn public_v4(&mut self) -> IpAddr {
        self.public += 1;
        Ipv4Addr::from(20 << 24 | self.public).into()
    }
}

fn behaviour(chance: &mut Chance) -> Option<Behaviour> {
    let (mapping, filtering) = (*chance.one_of(&Dependence::ALL)?, *chance.one_of(&Dependence::ALL)?);
    Some(Behaviour { mapping, filtering, timeout: MAPPING_TIMEOUT })
}
