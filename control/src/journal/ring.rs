//! What is kept: the latest, so many and so many octets of them, and each session's story.

use super::happening::Happening;
use super::story::Stories;
use super::{Entry, EventId, EventsView, Kind, StoryView, Wanted};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Octets for each entry, on average.
const OCTETS_EACH: usize = 1024;
/// What peers make happen as often as they like gets one part of so many, each kind for itself.
const CHEAP_PART: usize = 8;

/// The journal of one life of the daemon's.
#[derive(Debug)]
pub struct Journal {
    life: u64,
    keep: usize,
    entries: BTreeMap<u64, Arc<Entry>>,
    octets: usize,
    /// Numbers of entries that are kept, of each kind that is cheap, apart from each other where somebody is named and where nobody is.
    cheap: BTreeMap<Cheap, VecDeque<u64>>,
    newest: u64,
    stories: Stories,
}

/// What shares a part of the journal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cheap {
    Named(Kind),
    Nameless(Kind),
}

impl Cheap {
    fn of(entry: &Entry) -> Self {
        match entry.identity {
            Some(_) => Self::Named(entry.kind),
            None => Self::Nameless(entry.kind),
        }
    }
}

impl Journal {
    /// Nothing has happened. `keep` entries are kept; `life` is the time of day of the daemon's start, in seconds.
    pub fn new(keep: usize, life: u64) -> Self {
        Self {
            life,
            keep,
            entries: BTreeMap::new(),
            octets: 0,
            cheap: BTreeMap::new(),
            newest: 0,
            stories: Stories::default(),
        }
    }

    /// Something has happened. Numbers go up; those left out have been lost on the way.
    pub fn enter(&mut self, number: u64, unix: Duration, happening: Happening) {
        let entry = Arc::new(Entry::new(EventId { life: self.life, number }, unix, happening));
        self.stories.take(&entry);
        self.newest = self.newest.max(number);
        self.octets += entry.octets();
        if entry.kind.is_cheap() {
            let numbers = self.cheap.entry(Cheap::of(&entry)).or_default();
            numbers.push_back(number);
            let most = (self.keep / CHEAP_PART).max(1);
            let oldest = if numbers.len() > most { numbers.pop_front() } else { None };
            if let Some(oldest) = oldest {
                self.forget(oldest);
            }
        }
        self.entries.insert(number, entry);
        while self.entries.len() > self.keep || self.octets > self.keep.saturating_mul(OCTETS_EACH) {
            let Some((oldest, entry)) = self.entries.pop_first() else { break };
            self.octets -= entry.octets();
            if let Some(numbers) = self.cheap.get_mut(&Cheap::of(&entry)) {
                numbers.retain(|number| *number != oldest);
            }
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            self.octets -= entry.octets();
        }
    }

    /// What has happened last; number 0 if nothing has.
    pub fn newest(&self) -> EventId {
        EventId { life: self.life, number: self.newest }
    }

    /// The next `limit` entries after a number that are wanted, how many are no longer there before the last of them, and up to which
    /// number that says all.
    pub fn after(&self, since: u64, wanted: &Wanted, limit: usize) -> (Vec<Arc<Entry>>, u64, u64) {
        let mut page = Vec::new();
        let (mut missed, mut seen) = (0, since);
        for (number, entry) in self.entries.range(since.saturating_add(1)..) {
            if page.len() == limit {
                return (page, missed, seen);
            }
            missed += number - seen - 1;
            seen = *number;
            if wanted.takes(entry) {
                page.push(Arc::clone(entry));
            }
        }
        let last = self.newest.max(seen);
        (page, missed + (last - seen), last)
    }

    /// The same as a page for the API.
    pub fn page(&self, since: u64, wanted: &Wanted, limit: usize) -> EventsView {
        let (page, missed, seen) = self.after(since, wanted, limit);
        let next = EventId { life: self.life, number: seen }.to_string();
        EventsView { events: page.iter().map(|entry| Entry::clone(entry)).collect(), missed, next }
    }

    /// What a session, or the newest of an identity's, has been through.
    pub fn story(&self, name: &str) -> Option<StoryView> {
        self.stories.of(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{What, Who};
    use super::*;
    use crate::session::{Cause, SessionId};

    fn who(session: u32, identity: &str) -> Option<Who> {
        Some(Who {
            session: Some(SessionId(session)),
            identity: Some(identity.to_owned()),
            connection: None,
            peer: "192.0.2.1:4500".parse().unwrap(),
        })
    }

    fn login() -> What {
        let (nat, addresses, algorithms) = (super::super::Spell::Off, vec![], "a suite".to_owned());
        What::Login { ike: "v2", transport: None, nat, addresses, algorithms }
    }

    fn logout(cause: Cause) -> What {
        What::Logout { cause, up: Duration::from_secs(9), bytes_in: 1, bytes_out: 2 }
    }

    fn refused() -> What {
        What::LoginRefused { cause: Cause::WrongPsk, left_out: 0 }
    }

    fn rekey() -> What {
        What::Rekey { what: super::super::Renewed::Child, by: super::super::By::Us }
    }

    /// Fills a journal with what is given, numbered from 1.
    fn journal(keep: usize, all: impl IntoIterator<Item = (u32, What)>) -> Journal {
        let mut journal = Journal::new(keep, 5);
        for (number, (session, what)) in (1..).zip(all) {
            journal.enter(number, Duration::ZERO, Happening { who: who(session, "alice"), what });
        }
        journal
    }

    fn numbers(page: &[Arc<Entry>]) -> Vec<u64> {
        page.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn the_latest_are_kept_and_who_reads_on_hears_how_many_are_gone() {
        let journal = journal(4, (0..10).map(|at| (at, login())));
        let all = Wanted::default();
        let (page, missed, seen) = journal.after(0, &all, 100);
        assert_eq!((numbers(&page), missed, seen), (vec![7, 8, 9, 10], 6, 10));
        let (page, missed, seen) = journal.after(7, &all, 2);
        assert_eq!((numbers(&page), missed, seen), (vec![8, 9], 0, 9));
        let (page, missed, seen) = journal.after(10, &all, 2);
        assert_eq!((numbers(&page), missed, seen), (vec![], 0, 10));
        let view = journal.page(8, &all, 1);
        assert_eq!((view.events.len(), &view.next[..]), (1, "5-9"));
    }

    #[test]
    fn what_was_lost_on_the_way_is_missed_too() {
        let mut journal = Journal::new(10, 5);
        for number in [1, 2, 6] {
            journal.enter(number, Duration::ZERO, Happening { who: None, what: What::DaemonLeaving });
        }
        let (page, missed, seen) = journal.after(1, &Wanted::default(), 10);
        assert_eq!((numbers(&page), missed, seen), (vec![2, 6], 3, 6));
    }

    #[test]
    fn a_flood_of_refused_logins_pushes_out_nothing_else() {
        let flood = (0..10_000).map(|_| (9, refused()));
        let journal = journal(64, [(1, login()), (1, logout(Cause::Stalled))].into_iter().chain(flood));
        let (page, missed, _) = journal.after(0, &Wanted::default(), 1000);
        assert_eq!(page.len(), 2 + 64 / CHEAP_PART);
        assert_eq!(numbers(&page)[..3], [1, 2, 10_002 - 7]);
        assert_eq!(missed, 10_000 - 8);
    }

    #[test]
    fn who_names_nobody_pushes_out_nobody_who_is_named() {
        let mut journal = journal(64, [(1, refused())]);
        let nobody = Who { session: None, identity: None, connection: None, peer: "192.0.2.2:500".parse().unwrap() };
        for number in 2..1000 {
            let happening = Happening { who: Some(nobody.clone()), what: refused() };
            journal.enter(number, Duration::ZERO, happening);
        }
        let (page, ..) = journal.after(0, &Wanted::default(), 100);
        assert_eq!((page.len(), numbers(&page)[0]), (1 + 64 / CHEAP_PART, 1));
    }

    #[test]
    fn the_octets_that_are_kept_are_limited_too() {
        let long = "x".repeat(10 * OCTETS_EACH);
        let mut journal = Journal::new(20, 5);
        for number in 1..=20 {
            journal.enter(number, Duration::ZERO, Happening { who: who(1, &long), what: login() });
        }
        let (page, missed, _) = journal.after(0, &Wanted::default(), 100);
        assert_eq!((page.len(), missed), (1, 19), "each is half of what may be kept, and a little more");
        assert!(journal.octets <= 20 * OCTETS_EACH);
    }

    #[test]
    fn only_what_is_wanted_comes() {
        let journal = journal(20, [(1, login()), (2, login()), (1, rekey()), (1, logout(Cause::Asked))]);
        let pages = [
            (Wanted { kinds: vec![Kind::Login], ..Wanted::default() }, vec![1, 2]),
            (Wanted { session: Some("s1".to_owned()), ..Wanted::default() }, vec![1, 3, 4]),
            (Wanted { kinds: vec![Kind::Rekey, Kind::Logout], session: Some("s2".to_owned()), identity: None }, vec![]),
            (Wanted { identity: Some("bob".to_owned()), ..Wanted::default() }, vec![]),
        ];
        for (wanted, expected) in pages {
            let (page, missed, seen) = journal.after(0, &wanted, 100);
            assert_eq!((numbers(&page), missed, seen), (expected, 0, 4), "{wanted:?}");
        }
    }

    #[test]
    fn a_story_keeps_its_beginning_and_its_end_and_outlives_its_session() {
        let flow = "c0-1".parse().unwrap();
        let (suspected, refuted) = (What::StallSuspected(flow), What::StallRefuted(flow));
        let spells = (0..500).flat_map(|_| [(1, suspected.clone()), (1, refuted.clone())]);
        let mut all: Vec<_> = [(1, login())].into_iter().chain(spells).collect();
        all.push((1, logout(Cause::PeerDead)));
        all.extend((0..100).map(|_| (2, refused())));
        let journal = journal(16, all);
        let story = journal.story("s1").unwrap();
        assert_eq!((story.events.len(), story.left_out, story.over), (8 + 24, 1002 - 32, true));
        assert_eq!(story.events.first().unwrap().kind, Kind::Login);
        assert_eq!(story.events.last().unwrap().reason.as_deref(), Some("peer_dead"));
        assert_eq!(journal.story("s2"), None, "whoever never logged in has none");
    }

    #[test]
    fn an_identitys_story_is_that_of_its_newest_session_and_old_ones_are_forgotten() {
        let one = |session| [(session, login()), (session, logout(Cause::PeerDeleted))];
        let ended: Vec<_> = (1..=600).flat_map(one).collect();
        let mut journal = journal(4, ended);
        assert_eq!(journal.story("alice").unwrap().session, "s600");
        assert_eq!(journal.story("s88"), None);
        assert!(journal.story("s89").is_some());
        journal.enter(9_000, Duration::ZERO, Happening { who: who(700, "alice"), what: login() });
        journal.enter(9_001, Duration::ZERO, Happening { who: who(701, "alice"), what: login() });
        journal.enter(9_002, Duration::ZERO, Happening { who: who(701, "alice"), what: logout(Cause::Asked) });
        assert_eq!(journal.story("alice").unwrap().session, "s700", "it goes on");
        assert_eq!(journal.story("nobody"), None);
    }
}
