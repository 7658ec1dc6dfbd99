//! What happens when: virtual time moves from one entry to the next and never waits.

use adit_dataplane::time::Instant;
use std::collections::BTreeMap;

/// Entries by time; those of one instant in the order in which they were entered.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<(Instant, u64), T>,
    entered: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), entered: 0 }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn enter(&mut self, at: Instant, what: T) {
        self.entries.insert((at, self.entered), what);
        self.entered += 1;
    }

    /// The next entry, if it is not later than `end`.
    pub(crate) fn next_until(&mut self, end: Instant) -> Option<(Instant, T)> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= end)?;
        let ((at, _), what) = entry.remove_entry();
        Some((at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_by_time_and_those_of_one_instant_in_order() {
        let mut agenda = Agenda::default();
        for (at, what) in [(30, 'd'), (10, 'a'), (20, 'b'), (20, 'c'), (40, 'e')] {
            agenda.enter(Instant::from_nanos(at), what);
        }
        let came: String =
            std::iter::from_fn(|| agenda.next_until(Instant::from_nanos(39))).map(|(_, what)| what).collect();
        assert_eq!((came.as_str(), agenda.entries.len()), ("abcd", 1));
        assert_eq!(agenda.next_until(Instant::from_nanos(40)), Some((Instant::from_nanos(40), 'e')));
    }
}
