//! Leases whose sessions are over and whose clients will be back: nobody else gets them for a while, unless there is no other.

use super::{Lease, Leases};
use crate::ike::wire::Id;
use crate::session::SessionId;
use adit_dataplane::time::Instant;
use std::collections::VecDeque;
use std::net::IpAddr;

/// So many are held at most; the oldest goes first.
pub(super) const MOST_HELD: usize = 4096;

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Held(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    until: Instant,
    owner: SessionId,
    identity: Id,
    lease: Lease,
}

impl Held {
    /// Addresses.
    pub(super) fn addresses(&self) -> usize {
        let of = |lease: &Lease| usize::from(lease.v4.is_some()) + usize::from(lease.v6.is_some());
        self.0.iter().map(|waiting| of(&waiting.lease)).sum()
    }

    /// Pools have other places. What has no address left is not held.
    pub(super) fn relocate(&mut self, relocate: impl Fn(&mut Lease)) {
        for waiting in &mut self.0 {
            relocate(&mut waiting.lease);
        }
        self.0.retain(|waiting| waiting.lease != Lease::default());
    }
}

impl Held {
    /// Of both families.
    pub(super) fn all_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let of = |lease: &Lease| [lease.v4.map(|v4| v4.address.into()), lease.v6.map(|v6| v6.address.into())];
        self.0.iter().flat_map(move |waiting| of(&waiting.lease)).flatten()
    }

    /// Who had them.
    pub(super) fn owners(&self) -> impl Iterator<Item = SessionId> {
        self.0.iter().map(|waiting| waiting.owner)
    }
}

impl Leases {
    /// A session is over and its client, who is known by `identity`, will be back: what it had is its own until then.
    pub fn hold(&mut self, owner: SessionId, identity: Id, lease: Lease, until: Instant) {
        self.held.0.push_back(Waiting { until, owner, identity, lease });
        if self.held.0.len() > MOST_HELD {
            self.release_oldest();
        }
    }

    /// What was held until now is anybody's again.
    pub fn release(&mut self, now: Instant) {
        self.release_where(|waiting| waiting.until <= now);
    }

    /// Its owner is back, and remembered by what is given back here.
    pub(super) fn release_to(&mut self, identity: &Id) {
        self.release_where(|waiting| waiting.identity == *identity);
    }

    /// Somebody is here who would get nothing otherwise. `None` if nothing is held.
    pub(super) fn release_oldest(&mut self) -> Option<()> {
        let Waiting { owner, lease, .. } = self.held.0.pop_front()?;
        self.give_back(owner, lease);
        Some(())
    }

    fn release_where(&mut self, goes: impl Fn(&Waiting) -> bool) {
        if !self.held.0.iter().any(&goes) {
            return;
        }
        let (gone, stays): (Vec<_>, Vec<_>) = self.held.0.drain(..).partition(goes);
        self.held.0 = stays.into();
        for Waiting { owner, lease, .. } in gone {
            self.give_back(owner, lease);
        }
    }
}
