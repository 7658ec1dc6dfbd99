//! Who wants to be called when: one deadline per owner, the earliest first.

use adit_dataplane::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// At most one deadline for each `K`.
#[derive(Debug)]
pub struct Timers<K> {
    queue: BTreeSet<(Instant, K)>,
    deadline: BTreeMap<K, Instant>,
}

impl<K> Default for Timers<K> {
    /// Nobody waits.
    fn default() -> Self {
        Self { queue: BTreeSet::new(), deadline: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// `key` wants to be called at `deadline` and at no other time; `None`: not at all.
    pub fn set(&mut self, key: K, deadline: Option<Instant>) {
        let before = match deadline {
            Some(deadline) => self.deadline.insert(key, deadline),
            None => self.deadline.remove(&key),
        };
        if before == deadline {
            return;
        }
        if let Some(before) = before {
            self.queue.remove(&(before, key));
        }
        if let Some(deadline) = deadline {
            self.queue.insert((deadline, key));
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out whoever has waited longest among those due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (deadline, key) = *self.queue.first()?;
        if deadline > now {
            return None;
        }
        self.queue.remove(&(deadline, key));
        self.deadline.remove(&key);
        Some(key)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.deadline.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn the_earliest_comes_first_and_a_new_deadline_replaces_the_old() {
        let mut timers = Timers::default();
        timers.set('a', Some(at(30)));
        timers.set('b', Some(at(20)));
        timers.set('c', Some(at(25)));
        timers.set('b', Some(at(40)));
        timers.set('c', None);
        timers.set('d', None);
        assert_eq!((timers.waiting(), timers.next()), (2, Some(at(30))));
        assert_eq!(timers.pop_due(at(29)), None);
        assert_eq!(timers.pop_due(at(40)), Some('a'));
        assert_eq!(timers.pop_due(at(40)), Some('b'));
        assert_eq!(timers.pop_due(at(40)), None);
        assert_eq!((timers.waiting(), timers.next()), (0, None));
    }

    /// The dull twin: a plain list.
    #[test]
    fn timers_agree_with_a_list() {
        let mut timers = Timers::default();
        let mut list: Vec<(u8, u64)> = Vec::new();
        let mut state = 1_u64;
        for _ in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (key, time, what) = ((state >> 60) as u8, state >> 40 & 0xff, state >> 33 & 3);
            match what {
                0 => {
                    list.retain(|(k, _)| *k != key);
                    timers.set(key, None);
                }
                1 | 2 => {
                    list.retain(|(k, _)| *k != key);
                    list.push((key, time));
                    timers.set(key, Some(at(time)));
                }
                _ => {
                    let due = list.iter().copied().map(|(k, t)| (t, k)).min().filter(|(t, _)| *t <= time);
                    list.retain(|(k, t)| Some((*t, *k)) != due);
                    assert_eq!(timers.pop_due(at(time)), due.map(|(_, k)| k));
                }
            }
            assert_eq!(timers.next(), list.iter().map(|(_, t)| at(*t)).min());
            assert_eq!(timers.waiting(), list.len());
        }
    }
}
