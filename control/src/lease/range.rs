//! Offsets of one range: which are taken, which are free, which were free for longest.
//!
//! Memory grows with what has been touched, never with the size of the range, and what has been touched is bounded:
//! a client that asks for a new address of a /64 at every login gains nothing.

use crate::ike::wire::Id;
use crate::session::SessionId;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Addresses given back that are remembered with who had them. When there are so many, the oldest is given again
/// even if there are addresses never used.
pub(super) const MAX_REMEMBERED: usize = 65_536;

/// State of one range.
///
/// Every offset below `fresh` is in `used` or in `freed`; above it most are in neither.
#[derive(Debug)]
pub(super) struct Range {
    offsets: RangeInclusive<u64>,
    /// The lowest offset that may never have been used.
    fresh: u64,
    used: BTreeMap<u64, Holder>,
    /// By offset: when it was given back, and by whom.
    freed: BTreeMap<u64, (Turn, Id)>,
    /// By time.
    queue: BTreeMap<Turn, u64>,
    /// The offset that an identity gave back last, as long as it is in `freed`.
    last_of: BTreeMap<Id, u64>,
    turn: Turn,
}

/// Counts what was given back: the order of the queue.
type Turn = u64;

#[derive(Debug)]
struct Holder {
    session: SessionId,
    identity: Id,
}

impl Range {
    /// All free. An empty range gives nothing.
    pub(super) fn new(offsets: RangeInclusive<u64>) -> Self {
        Self {
            fresh: *offsets.start(),
            offsets,
            used: BTreeMap::new(),
            freed: BTreeMap::new(),
            queue: BTreeMap::new(),
            last_of: BTreeMap::new(),
            turn: 0,
        }
    }

    pub(super) fn in_use(&self) -> usize {
        self.used.len()
    }

    /// This offset, if it is free.
    pub(super) fn take_this(&mut self, offset: u64, session: SessionId, identity: &Id) -> Option<u64> {
        if !self.offsets.contains(&offset) || self.used.contains_key(&offset) {
            return None;
        }
        self.forget(offset);
        self.used.insert(offset, Holder { session, identity: identity.clone() });
        Some(offset)
    }

    /// What this identity had last, if it is still free.
    pub(super) fn take_remembered(&mut self, session: SessionId, identity: &Id) -> Option<u64> {
        let offset = *self.last_of.get(identity)?;
        self.take_this(offset, session, identity)
    }

    /// One never used, else the one free for longest.
    pub(super) fn take_any(&mut self, session: SessionId, identity: &Id) -> Option<u64> {
        let never_used = if self.freed.len() < MAX_REMEMBERED { self.next_fresh() } else { None };
        let offset = never_used.or_else(|| self.queue.first_key_value().map(|(_, offset)| *offset))?;
        self.take_this(offset, session, identity)
    }

    /// Frees an offset if this session has it.
    pub(super) fn give_back(&mut self, offset: u64, session: SessionId) {
        if self.used.get(&offset).is_none_or(|holder| holder.session != session) {
            return;
        }
        let Some(Holder { identity, .. }) = self.used.remove(&offset) else { return };
        if offset >= self.fresh && self.freed.len() >= MAX_REMEMBERED {
            // It counts as never used again: `fresh` will come by.
            return;
        }
        self.turn += 1;
        self.queue.insert(self.turn, offset);
        self.last_of.insert(identity.clone(), offset);
        self.freed.insert(offset, (self.turn, identity));
    }

    fn next_fresh(&mut self) -> Option<u64> {
        while self.used.contains_key(&self.fresh) || self.freed.contains_key(&self.fresh) {
            self.fresh += 1;
        }
        self.offsets.contains(&self.fresh).then_some(self.fresh)
    }

    /// Takes an offset out of what is remembered as freed.
    fn forget(&mut self, offset: u64) {
        let Some((turn, identity)) = self.freed.remove(&offset) else { return };
        self.queue.remove(&turn);
        if self.last_of.get(&identity) == Some(&offset) {
            self.last_of.remove(&identity);
        }
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        assert_eq!(self.queue.len(), self.freed.len());
        assert!(self.last_of.len() <= self.freed.len());
        self.used.len() + self.freed.len()
    }
}
