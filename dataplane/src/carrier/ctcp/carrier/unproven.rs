//! Connections of one standing that no session has vouched for: how many there are, whose, and which gives way when there are too many.
//!
//! All of them can use our answers, so none is forged; but whoever is there first must not keep everybody else out. So the
//! oldest of the source that has most ends when another begins: a login is over in seconds, and who only holds places loses them.

use crate::wire::source::Source;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::VecDeque;

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Most {
    /// From everywhere,
    pub(super) in_all: usize,
    /// and from one IPv4 address or IPv6 /64.
    pub(super) from_one: usize,
}

/// Of each source, the oldest first.
pub(super) struct Unproven {
    by_source: HashMap<Source, VecDeque<Place>, FixedState>,
    all: usize,
}

/// Where one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Counted on this worker, so that the lower is the older.
    number: u64,
    index: u32,
}

impl Unproven {
    /// None. `hasher` has a key of its own: peers choose their addresses.
    pub(super) const fn new(hasher: FixedState) -> Self {
        Self { by_source: HashMap::with_hasher(hasher), all: 0 }
    }

    /// One more.
    pub(super) fn add(&mut self, source: Source, number: u64, index: u32) {
        self.by_source.entry(source).or_default().push_back(Place { number, index });
        self.all += 1;
    }

    /// One less, if it is one of them.
    pub(super) fn remove(&mut self, source: Source, index: u32) {
        let Some(places) = self.by_source.get_mut(&source) else { return };
        let Some(at) = places.iter().position(|place| place.index == index) else { return };
        places.remove(at);
        if places.is_empty() {
            self.by_source.remove(&source);
        }
        self.all -= 1;
    }

    /// Which has to end before one more of this source's may begin, if any.
    pub(super) fn in_the_way_of(&self, source: Source, most: Most) -> Option<u32> {
        let own = self.by_source.get(&source).filter(|places| places.len() >= most.from_one);
        if let Some(oldest) = own.and_then(VecDeque::front) {
            return Some(oldest.index);
        }
        if self.all < most.in_all {
            return None;
        }
        let oldest = self.by_source.values().filter_map(|places| Some((places.len(), *places.front()?)));
        oldest.max_by_key(|(many, oldest)| (*many, Reverse(oldest.number))).map(|(_, oldest)| oldest.index)
    }
}
