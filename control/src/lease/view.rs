//! Pools and leases as the API shows them: copied.

use super::{Leases, PoolRange};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Bound;
use utoipa::ToSchema;

/// One pool of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// One for each family.
    pub ranges: Vec<RangeView>,
}

/// The addresses of one family in a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RangeView {
    /// As `10.30.0.0/16`.
    pub network: String,
    /// Addresses that clients can have; 2^53 stands for more, which JSON's readers could not count.
    pub size: u64,
    /// Addresses that sessions have.
    pub in_use: u64,
    /// Addresses of sessions that are over, kept for those who had them; others get them if nothing else is left.
    pub held: u64,
    /// Of `size`, addresses that are a `[[user]]`'s own: nobody else gets them, whether the user is here or not.
    pub reserved: u64,
    /// Of `in_use`, those of them.
    pub reserved_in_use: u64,
}

impl RangeView {
    /// Addresses that sessions have, of so many, without those that are a user's own.
    pub fn unreserved(&self) -> (u64, u64) {
        (self.in_use.saturating_sub(self.reserved_in_use), self.size.saturating_sub(self.reserved))
    }
}

/// One inner address that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaseView {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// The pool that it is from.
    pub pool: String,
    /// The session that has it, or had it; `s0` if that was before aditd was started.
    pub session: String,
    /// Whose it is.
    pub identity: String,
    /// `in_use`, or `held` for somebody who will be back.
    pub state: String,
}

/// Which page of leases: the order is that of pools, IPv4 first, and of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseListing {
    /// Behind this one.
    pub after: Option<LeaseCursor>,
    /// So many.
    pub limit: usize,
}

/// Where a page ends: range and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseCursor {
    /// Of all ranges.
    pub range: usize,
    /// In it.
    pub offset: u64,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasePage {
    /// In order.
    pub leases: Vec<LeaseView>,
    /// `None` if this was all.
    pub next: Option<LeaseCursor>,
}

impl Leases {
    /// All pools, as they are filled.
    pub fn pools(&self) -> Vec<PoolView> {
        let view = |in_pool: &PoolRange| {
            let held = self.held_in(in_pool);
            let (own_here, own_held): (Vec<_>, Vec<_>) =
                in_pool.range.reserved_in_use().partition(|offset| !self.held.has(in_pool.address(*offset)));
            RangeView {
                network: in_pool.net.to_string(),
                size: in_pool.range.size().min(1 << 53),
                in_use: (in_pool.range.in_use() as u64).saturating_sub(held),
                held: held.saturating_sub(own_held.len() as u64),
                reserved: in_pool.range.reserved().len() as u64,
                reserved_in_use: own_here.len() as u64,
            }
        };
        let both = self.v4.iter().zip(&self.v6);
        both.map(|(v4, v6)| PoolView {
            name: [v4, v6].into_iter().flatten().map(|in_pool| in_pool.name.clone()).next().unwrap_or_default(),
            ranges: [v4, v6].into_iter().flatten().map(view).collect(),
        })
        .collect()
    }

    /// A page of leases.
    pub fn list(&self, listing: LeaseListing) -> LeasePage {
        let mut page = LeasePage { leases: Vec::new(), next: None };
        let from = listing.after.map_or(0, |after| after.range);
        for (range, in_pool) in self.ranges().enumerate().skip(from) {
            let Some(in_pool) = in_pool else { continue };
            let behind = listing.after.filter(|after| after.range == range);
            let begin = behind.map_or(Bound::Unbounded, |after| Bound::Excluded(after.offset));
            for (offset, session, identity) in in_pool.range.taken((begin, Bound::Unbounded)) {
                if page.leases.len() >= listing.limit {
                    return page;
                }
                page.next = Some(LeaseCursor { range, offset });
                page.leases.push(LeaseView {
                    address: in_pool.address(offset),
                    pool: in_pool.name.clone(),
                    session: session.to_string(),
                    identity: identity.to_string(),
                    state: if self.held.has(in_pool.address(offset)) { "held" } else { "in_use" }.to_owned(),
                });
            }
        }
        LeasePage { next: None, ..page }
    }

    /// Both families of each pool, one after the other.
    fn ranges(&self) -> impl Iterator<Item = Option<&PoolRange>> {
        self.v4.iter().zip(&self.v6).flat_map(|(v4, v6)| [v4.as_ref(), v6.as_ref()])
    }

    fn held_in(&self, in_pool: &PoolRange) -> u64 {
        self.held.within(in_pool.net) as u64
    }
}

impl PoolRange {
    pub(super) fn address(&self, offset: u64) -> IpAddr {
        let number = self.first + u128::from(offset);
        match self.net.network() {
            IpAddr::V4(_) => Ipv4Addr::from(number as u32).into(),
            IpAddr::V6(_) => Ipv6Addr::from(number).into(),
        }
    }
}
