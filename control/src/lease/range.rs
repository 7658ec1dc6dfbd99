//! Offsets of one range: which are taken, which are free, which were free for longest, and on which worker each lies.
//!
//! Memory grows with what has been touched, never with the size of the range, and what has been touched is bounded:
//! a client that asks for a new address of a /64 at every login gains nothing.

use super::Claimant;
use crate::session::SessionId;
use adit_dataplane::contract::{InnerLayout, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Bound, RangeInclusive};

/// Addresses given back that are remembered with who had them. When there are so many, the oldest is given again
/// even if there are addresses never used.
pub(super) const MAX_REMEMBERED: usize = 65_536;

/// State of one range.
#[derive(Debug)]
pub(super) struct Range {
    offsets: RangeInclusive<u64>,
    /// Given only to whom they are for.
    reserved: BTreeSet<u64>,
    lanes: Lanes,
    /// One per worker.
    free: Vec<Free>,
    used: BTreeMap<u64, Holder>,
    /// By offset: when it was given back, and by whom.
    freed: BTreeMap<u64, (Turn, Claimant)>,
    /// The offset that an identity gave back last, as long as it is in `freed`.
    last_of: BTreeMap<Claimant, u64>,
    turn: Turn,
}

/// Counts what was given back: the order of the queues.
type Turn = u64;

/// What lies on one worker and is free.
///
/// Every offset of the worker's below `fresh` is in `used` or in `freed`, or reserved; above it most are in neither.
#[derive(Debug, Clone)]
struct Free {
    /// No offset of the worker's below it was never used.
    fresh: u64,
    /// What was given back, by time.
    queue: BTreeMap<Turn, u64>,
}

/// Which worker each offset's address belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes {
    pub(super) layout: InnerLayout,
    /// The address at offset 0.
    pub(super) first: IpAddr,
}

impl Lanes {
    /// Whose address this is.
    pub(super) fn owner(self, offset: u64) -> WorkerId {
        let address = match self.first {
            IpAddr::V4(first) => Ipv4Addr::from(u32::from(first).wrapping_add(offset as u32)).into(),
            IpAddr::V6(first) => Ipv6Addr::from(u128::from(first).wrapping_add(offset.into())).into(),
        };
        self.layout.owner(address)
    }

    /// All workers, this one first.
    fn from(self, worker: WorkerId) -> impl Iterator<Item = usize> {
        let workers = self.layout.workers();
        (0..workers).map(move |step| (worker.index() + step) % workers)
    }
}

#[derive(Debug)]
pub(super) struct Holder {
    pub(super) session: SessionId,
    pub(super) identity: Claimant,
}

impl Range {
    /// All free. An empty range gives nothing, and what is reserved only by [`Range::take_this`].
    pub(super) fn new(offsets: RangeInclusive<u64>, reserved: BTreeSet<u64>, lanes: Lanes) -> Self {
        let free = Free { fresh: *offsets.start(), queue: BTreeMap::new() };
        let reserved = reserved.into_iter().filter(|offset| offsets.contains(offset)).collect();
        Self {
            offsets,
            reserved,
            lanes,
            free: vec![free; lanes.layout.workers()],
            used: BTreeMap::new(),
            freed: BTreeMap::new(),
            last_of: BTreeMap::new(),
            turn: 0,
        }
    }

    /// Whether this offset is given to anybody at all.
    pub(super) fn has(&self, offset: u64) -> bool {
        self.offsets.contains(&offset)
    }

    /// Who has what.
    pub(super) fn holders(&self) -> impl Iterator<Item = (u64, &Holder)> {
        self.used.iter().map(|(offset, holder)| (*offset, holder))
    }

    /// What was given back and by whom, the first first.
    pub(super) fn given_back(&self) -> impl Iterator<Item = (u64, &Claimant)> {
        let mut freed: Vec<(Turn, u64, &Claimant)> =
            self.freed.iter().map(|(offset, (turn, identity))| (*turn, *offset, identity)).collect();
        freed.sort_unstable_by_key(|(turn, ..)| *turn);
        freed.into_iter().map(|(_, offset, identity)| (offset, identity))
    }

    /// This offset is free, and this identity had it last.
    pub(super) fn remember(&mut self, offset: u64, identity: &Claimant) {
        let nobody = SessionId(0);
        if self.take_this(offset, nobody, identity).is_some() {
            let _given_back = self.give_back(offset, nobody);
        }
    }

    pub(super) fn in_use(&self) -> usize {
        self.used.len()
    }

    /// Offsets that are reserved.
    pub(super) fn reserved(&self) -> &BTreeSet<u64> {
        &self.reserved
    }

    /// Those that are reserved and that somebody has, or that are held for somebody.
    pub(super) fn reserved_in_use(&self) -> impl Iterator<Item = u64> {
        self.reserved.iter().copied().filter(|offset| self.used.contains_key(offset))
    }

    /// Offsets that can be given.
    pub(super) fn size(&self) -> u64 {
        (self.offsets.end() + 1).saturating_sub(*self.offsets.start())
    }

    /// Who has what in this part of it.
    pub(super) fn taken(&self, part: (Bound<u64>, Bound<u64>)) -> impl Iterator<Item = (u64, SessionId, &Claimant)> {
        self.used.range(part).map(|(offset, holder)| (*offset, holder.session, &holder.identity))
    }

    /// This offset, if it is free and for anybody.
    pub(super) fn take_asked(&mut self, offset: u64, session: SessionId, identity: &Claimant) -> Option<u64> {
        if self.reserved.contains(&offset) {
            return None;
        }
        self.take_this(offset, session, identity)
    }

    /// This offset, if it is free.
    pub(super) fn take_this(&mut self, offset: u64, session: SessionId, identity: &Claimant) -> Option<u64> {
        if !self.offsets.contains(&offset) || self.used.contains_key(&offset) {
            return None;
        }
        self.forget(offset);
        self.used.insert(offset, Holder { session, identity: identity.clone() });
        Some(offset)
    }

    /// What this identity had last, if it is still free.
    pub(super) fn take_remembered(&mut self, session: SessionId, identity: &Claimant) -> Option<u64> {
        let offset = *self.last_of.get(identity)?;
        self.take_this(offset, session, identity)
    }

    /// One on this worker, only if there is none one on another: one never used, else the one free for longest.
    pub(super) fn take_any(&mut self, worker: WorkerId, session: SessionId, identity: &Claimant) -> Option<u64> {
        let offset = self.lanes.from(worker).find_map(|lane| self.next_free(lane))?;
        self.take_this(offset, session, identity)
    }

    /// Frees an offset if this session has it. `None` if it has not.
    pub(super) fn give_back(&mut self, offset: u64, session: SessionId) -> Option<()> {
        if self.used.get(&offset).is_none_or(|holder| holder.session != session) {
            return None;
        }
        let Holder { identity, .. } = self.used.remove(&offset)?;
        if self.reserved.contains(&offset) {
            // It waits for nobody else, so that nobody has to be remembered.
            return Some(());
        }
        let Some(free) = self.free.get_mut(self.lanes.owner(offset).index()) else { return Some(()) };
        if offset >= free.fresh && self.freed.len() >= MAX_REMEMBERED {
            // It counts as never used again: `fresh` will come by.
            return Some(());
        }
        self.turn += 1;
        free.queue.insert(self.turn, offset);
        self.last_of.insert(identity.clone(), offset);
        self.freed.insert(offset, (self.turn, identity));
        Some(())
    }

    fn next_free(&mut self, lane: usize) -> Option<u64> {
        let never_used = if self.freed.len() < MAX_REMEMBERED { self.next_fresh(lane) } else { None };
        never_used.or_else(|| self.free.get(lane)?.queue.first_key_value().map(|(_, offset)| *offset))
    }

    fn next_fresh(&mut self, lane: usize) -> Option<u64> {
        let fresh = &mut self.free.get_mut(lane)?.fresh;
        while self.offsets.contains(fresh) {
            let taken = || self.used.contains_key(fresh) || self.freed.contains_key(fresh);
            let known = || taken() || self.reserved.contains(fresh);
            if self.lanes.owner(*fresh).index() == lane && !known() {
                return Some(*fresh);
            }
            *fresh += 1;
        }
        None
    }

    /// Takes an offset out of what is remembered as freed.
    fn forget(&mut self, offset: u64) {
        let Some((turn, identity)) = self.freed.remove(&offset) else { return };
        if let Some(free) = self.free.get_mut(self.lanes.owner(offset).index()) {
            free.queue.remove(&turn);
        }
        if self.last_of.get(&identity) == Some(&offset) {
            self.last_of.remove(&identity);
        }
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        assert_eq!(self.free.iter().map(|free| free.queue.len()).sum::<usize>(), self.freed.len());
        assert!(self.last_of.len() <= self.freed.len());
        self.used.len() + self.freed.len()
    }
}
