//! From a flow's hash to its place: open addressing with linear probing, half full at most, of a size that never changes. What is removed
//! leaves no mark: what was pushed on by it moves back.

/// No place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Beside the place stands the whole hash, so that neither a look-up nor moving back touches any flow but those that probably are the right one.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    place: u32,
}

const EMPTY: Slot = Slot { hash: 0, place: NOWHERE };

/// Hash → place.
pub(super) struct Index {
    slots: Vec<Slot>,
    mask: usize,
}

impl Index {
    /// For so many places at most.
    pub(super) fn new(places: u32) -> Self {
        let slots = (places.max(1) as usize * 2).next_power_of_two();
        Self { slots: vec![EMPTY; slots], mask: slots - 1 }
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// The first place with this hash; for most the only one.
    #[inline]
    pub(super) fn first(&self, hash: u32) -> u32 {
        self.find(hash, |_| true)
    }

    /// The place with this hash that `is_it` says is the right one, or [`NOWHERE`].
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> u32 {
        let mut at = hash as usize & self.mask;
        // At least half of all slots are empty, so this ends.
        while let Some(slot) = self.slots.get(at) {
            if slot.place == NOWHERE || slot.hash == hash && is_it(slot.place) {
                return slot.place;
            }
            at = (at + 1) & self.mask;
        }
        NOWHERE
    }

    /// Adds a place that is not there.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32, place: u32) {
        let mut at = hash as usize & self.mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.place == NOWHERE {
                *slot = Slot { hash, place };
                return;
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Takes a place out.
    #[inline]
    pub(super) fn remove(&mut self, hash: u32, place: u32) {
        let mut hole = hash as usize & self.mask;
        loop {
            match self.slots.get(hole) {
                Some(slot) if slot.place == place => break,
                Some(slot) if slot.place != NOWHERE => hole = (hole + 1) & self.mask,
                Some(_) | None => return,
            }
        }
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let Some(slot) = self.slots.get(at).copied().filter(|slot| slot.place != NOWHERE) else { break };
            // It may move back into the hole unless its home lies behind that: it would not be found in front of its home.
            let from_home = at.wrapping_sub(slot.hash as usize) & self.mask;
            let from_hole = at.wrapping_sub(hole) & self.mask;
            if from_home >= from_hole {
                self.put(hole, slot);
                hole = at;
            }
        }
        self.put(hole, EMPTY);
    }

    #[inline]
    fn put(&mut self, at: usize, slot: Slot) {
        if let Some(room) = self.slots.get_mut(at) {
            *room = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;
    use std::collections::BTreeMap;

    #[test]
    fn whatever_comes_and_goes_is_found_exactly_if_it_is_there() {
        // Few hashes, so that they meet; the dull twin is a list by place.
        check!().with_type::<Vec<(u8, u8, bool)>>().for_each(|steps| {
            let (mut index, mut twin) = (Index::new(32), BTreeMap::new());
            for (hash, place, comes) in steps {
                // Homes at the end of the table, too, so that runs wrap.
                let (hash, place) = (u32::from(*hash % 12).wrapping_sub(6), u32::from(*place % 32));
                match (comes, twin.get(&place).copied()) {
                    (true, None) => {
                        index.insert(hash, place);
                        twin.insert(place, hash);
                    }
                    (false, Some(hash)) => {
                        index.remove(hash, place);
                        twin.remove(&place);
                    }
                    (true, Some(_)) | (false, None) => {}
                }
                for place in 0..32 {
                    let of = twin.get(&place).copied();
                    for hash in (0..12).map(|hash: u32| hash.wrapping_sub(6)) {
                        let found = index.find(hash, |candidate| candidate == place);
                        assert_eq!(found == place, of == Some(hash), "{place} by {hash}");
                    }
                }
            }
        });
    }
}
