//! Leases whose sessions are over and whose clients will be back: nobody else gets them for a while, unless there is no other.

use super::{Claimant, Family, Lease, Leases, News, Place, Standing, Whose};
use crate::session::SessionId;
use adit_dataplane::time::Instant;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// So many are held at most, as many as there may be sessions and each family apart; the oldest goes first.
pub(super) const MOST_HELD: usize = 131_072;

/// All of them, each found by its owner, by its time and by its age.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_turn: BTreeMap<Turn, Waiting>,
    by_identity: BTreeSet<(Claimant, Turn)>,
    by_time: BTreeSet<(Instant, Turn)>,
    by_place: BTreeSet<(Place, Turn)>,
    addresses: BTreeMap<IpAddr, Turn>,
    turn: Turn,
}

/// Counts what came: the order.
type Turn = u64;

#[derive(Debug)]
struct Waiting {
    until: Instant,
    owner: SessionId,
    identity: Claimant,
    lease: Lease,
}

impl Held {
    /// Addresses.
    pub(super) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// Pools have other places. What has no address left is not held.
    pub(super) fn relocate(&mut self, relocate: impl Fn(&mut Lease)) {
        for waiting in self.by_turn.values_mut() {
            relocate(&mut waiting.lease);
        }
        let addresses = |(turn, waiting): (&Turn, &Waiting)| {
            waiting.lease.addresses().map(|address| (address, *turn)).collect::<Vec<_>>()
        };
        self.addresses = self.by_turn.iter().flat_map(addresses).collect();
        let places =
            |(turn, waiting): (&Turn, &Waiting)| waiting.lease.places().map(|place| (place, *turn)).collect::<Vec<_>>();
        self.by_place = self.by_turn.iter().flat_map(places).collect();
        let empty = self.by_turn.iter().filter(|(_, waiting)| waiting.lease == Lease::default());
        for turn in empty.map(|(turn, _)| *turn).collect::<Vec<_>>() {
            self.take(turn);
        }
    }

    /// Whether this one is held.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address)
    }

    /// How many in this network.
    pub(super) fn within(&self, net: IpNet) -> usize {
        self.addresses.range(net.network()..=net.broadcast()).count()
    }

    fn put(&mut self, waiting: Waiting) {
        self.turn += 1;
        self.by_identity.insert((waiting.identity.clone(), self.turn));
        self.by_time.insert((waiting.until, self.turn));
        self.by_place.extend(waiting.lease.places().map(|place| (place, self.turn)));
        self.addresses.extend(waiting.lease.addresses().map(|address| (address, self.turn)));
        self.by_turn.insert(self.turn, waiting);
    }

    fn take(&mut self, turn: Turn) -> Option<Waiting> {
        let waiting = self.by_turn.remove(&turn)?;
        self.by_identity.remove(&(waiting.identity.clone(), turn));
        self.by_time.remove(&(waiting.until, turn));
        for place in waiting.lease.places() {
            self.by_place.remove(&(place, turn));
        }
        for address in waiting.lease.addresses() {
            self.addresses.remove(&address);
        }
        Some(waiting)
    }

    /// Of what is held in one of these places, what has been so for longest.
    fn oldest_in(&self, places: impl Iterator<Item = Place>) -> Option<Turn> {
        let oldest = |place| Some(self.by_place.range((place, 0)..=(place, Turn::MAX)).next()?.1);
        places.filter_map(oldest).min()
    }

    fn next_of(&self, identity: &Claimant) -> Option<Turn> {
        let (_, turn) = self.by_identity.range((identity.clone(), 0)..=(identity.clone(), Turn::MAX)).next()?;
        Some(*turn)
    }
}

impl Leases {
    /// A session is over and its client, who is known by `identity`, will be back: what it had is its own until then.
    pub fn hold(&mut self, owner: SessionId, identity: Claimant, lease: Lease, until: Instant) {
        for address in lease.addresses() {
            self.tell(News {
                address,
                whose: Some(Whose { identity: identity.clone(), standing: Standing::Held(until) }),
            });
        }
        self.held.put(Waiting { until, owner, identity, lease });
        if self.held.by_turn.len() > MOST_HELD
            && let Some((oldest, _)) = self.held.by_turn.first_key_value()
        {
            self.release_this(*oldest);
        }
    }

    /// Tells again of what is held, and until when.
    pub fn tell_held(&mut self) {
        for Waiting { until, identity, lease, .. } in self.held.by_turn.values() {
            for address in lease.addresses() {
                let standing = Standing::Held(*until);
                self.news.tell(News { address, whose: Some(Whose { identity: identity.clone(), standing }) });
            }
        }
    }

    /// What was held until now is anybody's again.
    pub fn release(&mut self, now: Instant) {
        while let Some((_, turn)) = self.held.by_time.first().copied().filter(|(until, _)| *until <= now) {
            self.release_this(turn);
        }
    }

    /// Its owner is back, and remembered by what is given back here.
    pub(super) fn release_to(&mut self, identity: &Claimant) {
        while let Some(turn) = self.held.next_of(identity) {
            self.release_this(turn);
        }
    }

    /// Somebody is here who would get nothing of this family otherwise. `None` if nothing is held in any of these pools.
    pub(super) fn release_oldest(&mut self, family: Family, pools: &[usize]) -> Option<()> {
        let turn = self.held.oldest_in(pools.iter().map(|pool| (family, *pool)))?;
        self.release_this(turn);
        Some(())
    }

    /// Whoever it is held for.
    pub(super) fn release_address(&mut self, address: IpAddr) {
        if let Some(turn) = self.held.addresses.get(&address) {
            self.release_this(*turn);
        }
    }

    fn release_this(&mut self, turn: Turn) {
        if let Some(Waiting { owner, lease, .. }) = self.held.take(turn) {
            self.give_back(owner, lease);
        }
    }
}
