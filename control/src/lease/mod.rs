//! Leases: inner addresses from the configured pools.
//!
//! ```text
//!  10.30.0.0/24   .0 network   .1 the headend's own   .2 … .254 given   .255 broadcast
//!  fd30::/64      ::0 anycast  ::1 the headend's own  ::2 … given
//! ```
//!
//! An address names the worker that it belongs to ([`InnerLayout`]), so an address is looked for on the worker that
//! the session would best live on, and the session then lives where its address is.

mod claimant;
mod held;
mod kept;
mod moved;
mod news;
mod range;
mod view;

pub use claimant::Claimant;
pub use kept::{KeptLease, NotALease, entry, read_entry};
pub use view::{LeaseCursor, LeaseListing, LeasePage, LeaseView, PoolView, RangeView};

pub use moved::gives;
pub use news::{News, NotHeld, Standing, Whose};

use crate::config::checked::Pool;
use crate::session::SessionId;
use adit_dataplane::contract::{InnerLayout, WorkerId};
use held::Held;
use ipnet::IpNet;
use moved::place;
use news::Telling;
use range::{Lanes, Range};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses are taken, and by whom.
#[derive(Debug)]
pub struct Leases {
    layout: InnerLayout,
    v4: Vec<Option<PoolRange>>,
    v6: Vec<Option<PoolRange>>,
    held: Held,
    news: Telling,
}

/// What one family is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ask<A> {
    /// No address of this family.
    #[default]
    Nothing,
    /// Any.
    Any,
    /// This one if it is free, else any (RFC 7296 section 3.15.1).
    Rather(A),
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    /// INTERNAL_IP4_ADDRESS.
    pub v4: Ask<Ipv4Addr>,
    /// INTERNAL_IP6_ADDRESS.
    pub v6: Ask<Ipv6Addr>,
}

/// One address out of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leased<A> {
    /// The address.
    pub address: A,
    /// Index of the pool it is from.
    pub pool: usize,
}

/// What a session got, to be given back when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a lease that is not given back is lost until the daemon ends"]
pub struct Lease {
    /// IPv4.
    pub v4: Option<Leased<Ipv4Addr>>,
    /// IPv6.
    pub v6: Option<Leased<Ipv6Addr>>,
}

/// IPv4 comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

/// One family of the pool with this index.
type Place = (Family, usize);

/// No address of any family that was asked for is free.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no free address: {}", if .full.is_empty() { "no pool has the kind asked for".to_owned() } else { .full.join(", ") })]
pub struct PoolEmpty {
    /// One text per range that was tried: `pool office 10.30.0.0/30 (1 in use)`.
    pub full: Vec<String>,
}

/// The headend's own address in a pool's range: the first host. `None` if the range leaves no address to give.
pub fn headend_address(net: IpNet) -> Option<IpAddr> {
    if last_offset(net) < FIRST_GIVEN {
        return None;
    }
    Some(match net {
        IpNet::V4(net) => Ipv4Addr::from(u32::from(net.network()) | 1).into(),
        IpNet::V6(net) => Ipv6Addr::from(u128::from(net.network()) | 1).into(),
    })
}

impl Leases {
    /// All free. Pools are known by their index from now on. Addresses in `reserved` are somebody's own: only [`Leases::take_own`] gives them.
    pub fn new(pools: &[Pool], reserved: &BTreeSet<Ipv4Addr>, layout: InnerLayout) -> Self {
        let range = |pool: &Pool, net: Option<IpNet>| net.map(|net| PoolRange::new(&pool.name, net, reserved, layout));
        Self {
            layout,
            v4: pools.iter().map(|pool| range(pool, pool.v4.map(IpNet::V4))).collect(),
            v6: pools.iter().map(|pool| range(pool, pool.v6.map(IpNet::V6))).collect(),
            held: Held::default(),
            news: Telling::default(),
        }
    }

    /// Takes addresses out of the first of `pools` that has one free, each family for itself. The address asked for
    /// comes first, then the one that `identity` had last, then one never used, then the one free for longest; of
    /// the last two one on `worker` if there is any, and of the second family one on the worker of the first.
    ///
    /// If one family is to be had and another is not, the client gets the one (RFC 7296 section 3.15.4). What is held for others
    /// is given only if nothing else is left: of the family that is wanted, in these pools, what has been held for longest.
    pub fn take(
        &mut self,
        pools: &[usize],
        owner: SessionId,
        identity: &Claimant,
        want: Want,
        worker: WorkerId,
    ) -> Result<Lease, PoolEmpty> {
        self.release_to(identity);
        let mut full = Vec::new();
        let taker = Taker { owner, identity, worker };
        let v4 = self.take_one(Family::V4, pools, taker, want.v4.map(v4_number), &mut full);
        let v4 = v4.map(|(pool, number)| Leased { address: Ipv4Addr::from(number as u32), pool });
        let worker = v4.map_or(worker, |leased| self.layout.owner(leased.address.into()));
        let taker = Taker { worker, ..taker };
        let v6 = self.take_one(Family::V6, pools, taker, want.v6.map(u128::from), &mut full);
        if v4.is_none() && v6.is_none() && want != Want::default() {
            return Err(PoolEmpty { full });
        }
        let lease = Lease { v4, v6: v6.map(|(pool, number)| Leased { address: Ipv6Addr::from(number), pool }) };
        for address in lease.addresses() {
            let whose = Some(Whose { identity: identity.clone(), standing: Standing::Here });
            self.tell(News { address, whose });
        }
        Ok(lease)
    }

    /// As [`Leases::take`], an IPv4 address for whom the configuration has given just this one. What is held of it for somebody from before
    /// it was reserved is given up; if somebody has it, or these pools have not, another is taken.
    pub fn take_own(
        &mut self,
        pools: &[usize],
        owner: SessionId,
        identity: &Claimant,
        address: Ipv4Addr,
        worker: WorkerId,
    ) -> Result<Lease, PoolEmpty> {
        self.release_to(identity);
        if let Some((pool, offset)) = place(&self.v4, v4_number(address)).filter(|(pool, _)| pools.contains(pool)) {
            self.release_address(address.into());
            if let Some(Some(in_pool)) = self.v4.get_mut(pool)
                && in_pool.range.take_this(offset, owner, identity).is_some()
            {
                let whose = Some(Whose { identity: identity.clone(), standing: Standing::Here });
                self.tell(News { address: address.into(), whose });
                return Ok(Lease { v4: Some(Leased { address, pool }), v6: None });
            }
        }
        self.take(pools, owner, identity, Want { v4: Ask::Any, v6: Ask::Nothing }, worker)
    }

    /// Index of the pool, address as a number. `full` learns of the pools that have none.
    fn take_one(
        &mut self,
        family: Family,
        pools: &[usize],
        taker: Taker<'_>,
        ask: Ask<u128>,
        full: &mut Vec<String>,
    ) -> Option<(usize, u128)> {
        let rather = match ask {
            Ask::Nothing => return None,
            Ask::Any => None,
            Ask::Rather(address) => Some(address),
        };
        loop {
            if let Some(taken) = take_from(self.family(family), pools, taker, rather) {
                return Some(taken);
            }
            if self.release_oldest(family, pools).is_none() {
                let ranges = self.family(family);
                full.extend(pools.iter().filter_map(|pool| Some(ranges.get(*pool)?.as_ref()?.fullness())));
                return None;
            }
        }
    }

    fn family(&mut self, family: Family) -> &mut [Option<PoolRange>] {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// The worker that a session with this lease lives on. If the families disagree (an address asked for, or had
    /// before), IPv4 decides, and packets to the other are handed over. `None` without an address.
    pub fn worker(&self, lease: &Lease) -> Option<WorkerId> {
        let v4 = lease.v4.map(|leased| leased.address.into());
        let v6 = lease.v6.map(|leased| leased.address.into());
        v4.or(v6).map(|address| self.layout.owner(address))
    }

    /// Frees what `lease` holds, as far as `owner` still has it: giving back twice changes nothing.
    pub fn give_back(&mut self, owner: SessionId, lease: Lease) {
        let v4 = lease.v4.map(|leased| (&mut self.v4, leased.pool, v4_number(leased.address)));
        let v6 = lease.v6.map(|leased| (&mut self.v6, leased.pool, u128::from(leased.address)));
        for (ranges, pool, number) in [v4, v6].into_iter().flatten() {
            if let Some(Some(in_pool)) = ranges.get_mut(pool)
                && let Some(offset) = in_pool.offset(number)
                && in_pool.range.give_back(offset, owner).is_some()
            {
                let address = in_pool.address(offset);
                self.news.tell(News { address, whose: None });
            }
        }
    }

    /// Addresses in use, all pools and families together, without those that are held for somebody.
    pub fn in_use(&self) -> usize {
        let taken: usize = self.v4.iter().chain(&self.v6).flatten().map(|in_pool| in_pool.range.in_use()).sum();
        taken - self.held.addresses()
    }

    /// How full each pool's families are, for those who have no address of their own.
    pub fn fills(&self) -> Vec<PoolFill> {
        let fill = |in_pool: &PoolRange| PoolFill {
            name: format!("{} ({})", in_pool.name, in_pool.net),
            in_use: in_pool.range.in_use().saturating_sub(in_pool.range.reserved_in_use().count()) as u64,
            of: in_pool.range.size().saturating_sub(in_pool.range.reserved().len() as u64),
        };
        self.v4.iter().chain(&self.v6).flatten().map(fill).collect()
    }
}

/// How full one family of a pool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFill {
    /// The pool's name and the network.
    pub name: String,
    /// Addresses that are lent or held, without those that are a user's own,
    pub in_use: u64,
    /// of so many that are nobody's own; none if all are.
    pub of: u64,
}

impl<A> Ask<A> {
    fn map<B>(self, number: impl FnOnce(A) -> B) -> Ask<B> {
        match self {
            Self::Nothing => Ask::Nothing,
            Self::Any => Ask::Any,
            Self::Rather(address) => Ask::Rather(number(address)),
        }
    }
}

/// The first offset that is given: 0 is the network's, 1 the headend's.
const FIRST_GIVEN: u64 = 2;

/// One family of one pool. Addresses of both families are handled as numbers.
#[derive(Debug)]
struct PoolRange {
    name: String,
    net: IpNet,
    first: u128,
    range: Range,
}

impl PoolRange {
    fn new(pool: &str, net: IpNet, reserved: &BTreeSet<Ipv4Addr>, layout: InnerLayout) -> Self {
        let first = match net {
            IpNet::V4(net) => v4_number(net.network()),
            IpNet::V6(net) => u128::from(net.network()),
        };
        let lanes = Lanes { layout, first: net.network() };
        let reserved = match net {
            IpNet::V4(net) => reserved
                .range(net.network()..=net.broadcast())
                .map(|own| u64::from(u32::from(*own) - u32::from(net.network())))
                .collect(),
            IpNet::V6(_) => BTreeSet::new(),
        };
        Self { name: pool.to_owned(), net, first, range: Range::new(FIRST_GIVEN..=last_offset(net), reserved, lanes) }
    }

    fn offset(&self, number: u128) -> Option<u64> {
        u64::try_from(number.checked_sub(self.first)?).ok()
    }

    fn fullness(&self) -> String {
        let reserved = match self.range.reserved().len() - self.range.reserved_in_use().count() {
            0 => String::new(),
            count => format!(", {count} reserved"),
        };
        format!("pool {} {} ({} in use{reserved})", self.name, self.net, self.range.in_use())
    }
}

/// Who takes an address, and where it had best lie.
#[derive(Clone, Copy)]
struct Taker<'a> {
    owner: SessionId,
    identity: &'a Claimant,
    worker: WorkerId,
}

/// Index of the pool, address as a number.
fn take_from(
    ranges: &mut [Option<PoolRange>],
    pools: &[usize],
    taker: Taker<'_>,
    rather: Option<u128>,
) -> Option<(usize, u128)> {
    let Taker { owner, identity, worker } = taker;
    // What each pool is asked, and only when all have said no, the next.
    type Try<'a> = &'a dyn Fn(&mut PoolRange) -> Option<u64>;
    let asked_for: Try<'_> = &|in_pool| {
        let offset = in_pool.offset(rather?)?;
        in_pool.range.take_asked(offset, owner, identity)
    };
    let had_last: Try<'_> = &|in_pool| in_pool.range.take_remembered(owner, identity);
    let any: Try<'_> = &|in_pool| in_pool.range.take_any(worker, owner, identity);
    for attempt in [asked_for, had_last, any] {
        for pool in pools {
            if let Some(Some(in_pool)) = ranges.get_mut(*pool)
                && let Some(offset) = attempt(in_pool)
            {
                return Some((*pool, in_pool.first + u128::from(offset)));
            }
        }
    }
    None
}

/// The last offset that is given: not IPv4's broadcast. An IPv6 range is cut at 2⁶⁴ addresses.
fn last_offset(net: IpNet) -> u64 {
    match net {
        IpNet::V4(net) => (1_u64 << (32 - net.prefix_len())).saturating_sub(2),
        IpNet::V6(net) => 1_u64.checked_shl(u32::from(128 - net.prefix_len())).map_or(u64::MAX - 1, |size| size - 1),
    }
}

fn v4_number(address: Ipv4Addr) -> u128 {
    u128::from(u32::from(address))
}

#[cfg(test)]
mod tests;
