//! Pools that change while addresses are in use.

use super::{FIRST_GIVEN, Lease, Leases, PoolRange, last_offset, v4_number};
use crate::config::checked::Pool;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// Whether a pool gives this address to clients.
pub fn gives(pool: &Pool, address: IpAddr) -> bool {
    let net = match address {
        IpAddr::V4(_) => pool.v4.map(IpNet::V4),
        IpAddr::V6(_) => pool.v6.map(IpNet::V6),
    };
    let Some(net) = net else { return false };
    let offset = number(address).checked_sub(number(net.network()));
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    offset.is_some_and(|offset| (FIRST_GIVEN..=last_offset(net)).contains(&offset))
}

impl Leases {
    /// From now on there are these pools, and these addresses in them are reserved. Who has an address of theirs keeps it, who had one last is remembered; what lies in none of
    /// them is forgotten.
    pub fn move_to(&mut self, pools: &[Pool], reserved: &BTreeSet<Ipv4Addr>) {
        let new = Self::new(pools, reserved, self.layout);
        let old = std::mem::replace(self, new);
        carry_over(&old.v4, &mut self.v4);
        carry_over(&old.v6, &mut self.v6);
        self.held = old.held;
        self.news = old.news;
        // What is held of a pool that is gone is nobody's.
        let (v4, v6) = (&self.v4, &self.v6);
        self.held.relocate(|lease| relocate(v4, v6, lease));
    }

    /// The pools of a session's addresses have other places now. What is in no pool any more is left out.
    pub fn relocate(&self, lease: &mut Lease) {
        relocate(&self.v4, &self.v6, lease);
    }
}

fn relocate(v4: &[Option<PoolRange>], v6: &[Option<PoolRange>], lease: &mut Lease) {
    if let Some(leased) = &mut lease.v4 {
        match place(v4, v4_number(leased.address)) {
            Some((pool, _)) => leased.pool = pool,
            None => lease.v4 = None,
        }
    }
    if let Some(leased) = &mut lease.v6 {
        match place(v6, u128::from(leased.address)) {
            Some((pool, _)) => leased.pool = pool,
            None => lease.v6 = None,
        }
    }
}

/// Pool and offset of an address that is given to clients.
pub(super) fn place(ranges: &[Option<PoolRange>], number: u128) -> Option<(usize, u64)> {
    ranges.iter().enumerate().find_map(|(pool, in_pool)| {
        let in_pool = in_pool.as_ref()?;
        let offset = in_pool.offset(number).filter(|offset| in_pool.range.has(*offset))?;
        Some((pool, offset))
    })
}

/// What was given back first is given back first again, so that its order stays.
fn carry_over(old: &[Option<PoolRange>], new: &mut [Option<PoolRange>]) {
    for in_pool in old.iter().flatten() {
        for (offset, holder) in in_pool.range.holders() {
            let Some((pool, offset)) = place(new, in_pool.first + u128::from(offset)) else { continue };
            if let Some(Some(there)) = new.get_mut(pool) {
                let _free = there.range.take_this(offset, holder.session, &holder.identity);
            }
        }
        for (offset, identity) in in_pool.range.given_back() {
            let Some((pool, offset)) = place(new, in_pool.first + u128::from(offset)) else { continue };
            if let Some(Some(there)) = new.get_mut(pool) {
                there.range.remember(offset, identity);
            }
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4_number(v4),
        IpAddr::V6(v6) => u128::from(v6),
    }
}
