//! What one session has been through: how it began, and the latest.

use super::{Entry, Kind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use utoipa::ToSchema;

/// How a session began is told with so many,
const FIRST: usize = 8;
/// and the latest with so many.
const LAST: usize = 24;
/// Stories of sessions that have ended.
const ENDED: usize = 512;
/// Stories in all: of who has left without a word that came here, too.
const MOST: usize = 65_536;
/// Octets of all, [`Entry::octets`] each. The one of whom nothing was heard for the longest is forgotten first.
const OCTETS: usize = 64 << 20;

/// All that are remembered. A session has one from its login on; whoever never logged in has none.
#[derive(Debug)]
pub(super) struct Stories {
    by_session: BTreeMap<String, Story>,
    /// The one that has ended first is forgotten first.
    ended: VecDeque<String>,
    /// By the number of its latest entry.
    by_latest: BTreeMap<u64, String>,
    octets: usize,
    most_octets: usize,
}

#[derive(Debug, Default)]
struct Story {
    first: Vec<Arc<Entry>>,
    last: VecDeque<Arc<Entry>>,
    left_out: u64,
    over: bool,
    octets: usize,
    latest: u64,
}

/// Whether it says little that it has happened once more.
const fn is_routine(kind: Kind) -> bool {
    matches!(kind, Kind::Rekey | Kind::TransportMoved)
}

/// `GET /v1/sessions/ID/story`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoryView {
    /// `s17`
    pub session: String,
    /// Who that is.
    pub identity: String,
    /// Whether it has ended.
    pub over: bool,
    /// What happened, in order: the first and the latest. Rekeys one after the other, and moves, are told by the first of them and the latest,
    /// whose `left_out` counts those between.
    pub events: Vec<Entry>,
    /// So many between them are not kept.
    pub left_out: u64,
}

impl Default for Stories {
    fn default() -> Self {
        Self::of_octets(OCTETS)
    }
}

impl Stories {
    fn of_octets(most_octets: usize) -> Self {
        let (by_session, ended, by_latest) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        Self { by_session, ended, by_latest, octets: 0, most_octets }
    }

    /// Something has happened; it is part of a story, or of none.
    pub(super) fn take(&mut self, entry: &Arc<Entry>) {
        let Some(session) = &entry.session else { return };
        if entry.kind == Kind::Login && !self.by_session.contains_key(session) {
            self.by_session.insert(session.clone(), Story::default());
        }
        let Some(story) = self.by_session.get_mut(session) else { return };
        self.by_latest.remove(&story.latest);
        self.octets -= story.octets;
        story.take(Arc::clone(entry));
        self.octets += story.octets;
        self.by_latest.insert(story.latest, session.clone());
        if entry.kind == Kind::Logout && !story.over {
            story.over = true;
            self.ended.push_back(session.clone());
            if self.ended.len() > ENDED
                && let Some(oldest) = self.ended.pop_front()
            {
                self.forget(&oldest);
            }
        }
        while self.by_session.len() > MOST || self.octets > self.most_octets {
            let Some((_, quiet)) = self.by_latest.pop_first() else { break };
            self.ended.retain(|session| *session != quiet);
            self.forget(&quiet);
        }
    }

    fn forget(&mut self, session: &str) {
        if let Some(story) = self.by_session.remove(session) {
            self.by_latest.remove(&story.latest);
            self.octets -= story.octets;
        }
    }

    /// That of a session by its name, or of the newest by an identity: one that goes on rather than one that has ended.
    pub(super) fn of(&self, name: &str) -> Option<StoryView> {
        if let Some(story) = self.by_session.get(name) {
            return Some(story.view(name));
        }
        let of_whom = self.by_session.iter().filter(|(_, story)| story.identity() == name);
        let (session, story) = of_whom.max_by_key(|(_, story)| (!story.over, story.begun()))?;
        Some(story.view(session))
    }
}

impl Story {
    /// What comes again and again is told by the first and the latest of it: a day of rekeys washes out nothing else.
    fn take(&mut self, mut entry: Arc<Entry>) {
        self.latest = entry.number;
        let mut before = self.first.iter_mut().chain(&mut self.last).rev();
        if is_routine(entry.kind)
            && let (Some(latest), Some(one_before)) = (before.next(), before.next())
            && [latest.kind, one_before.kind] == [entry.kind; 2]
        {
            self.octets -= latest.octets();
            Arc::make_mut(&mut entry).left_out += latest.left_out + 1;
            self.octets += entry.octets();
            *latest = entry;
            return;
        }
        self.octets += entry.octets();
        if self.first.len() < FIRST {
            return self.first.push(entry);
        }
        self.last.push_back(entry);
        let gone = if self.last.len() > LAST { self.last.pop_front() } else { None };
        if let Some(gone) = gone {
            self.octets -= gone.octets();
            self.left_out += 1 + gone.left_out;
        }
    }

    fn identity(&self) -> &str {
        self.first.first().and_then(|entry| entry.identity.as_deref()).unwrap_or_default()
    }

    fn begun(&self) -> u64 {
        self.first.first().map_or(0, |entry| entry.number)
    }

    fn view(&self, session: &str) -> StoryView {
        StoryView {
            session: session.to_owned(),
            identity: self.identity().to_owned(),
            over: self.over,
            events: self.first.iter().chain(&self.last).map(|entry| Entry::clone(entry)).collect(),
            left_out: self.left_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{By, EventId, Happening, Renewed, Spell, What, Who};
    use super::*;
    use crate::session::{Cause, SessionId};
    use std::time::Duration;

    fn entry(number: u64, session: u32, what: What) -> Arc<Entry> {
        let peer = "192.0.2.1:4500".parse().unwrap();
        let (session, identity) = (Some(SessionId(session)), Some("alice".to_owned()));
        let who = Some(Who { session, identity, connection: None, peer });
        Arc::new(Entry::new(EventId { life: 5, number }, Duration::ZERO, Happening { who, what }))
    }

    fn login() -> What {
        let (nat, addresses, algorithms) = (Spell::Off, vec![], "a suite".to_owned());
        What::Login { ike: "v2", transport: None, nat, addresses, algorithms }
    }

    fn rekey() -> What {
        What::Rekey { what: Renewed::Child, by: By::Us }
    }

    fn moved(port: u16) -> What {
        let place = |port| (None, ([192, 0, 2, 1], port).into());
        What::Moved { from: place(port), to: place(port + 1), by: "ESP" }
    }

    #[test]
    fn what_comes_again_and_again_washes_out_nothing() {
        let mut stories = Stories::default();
        let mut all = vec![login(), moved(1)];
        all.extend((0..1000).map(|_| rekey()));
        all.extend((10..30).map(moved));
        all.extend((0..50).map(|_| rekey()));
        all.push(What::Logout { cause: Cause::PeerDead, up: Duration::from_secs(9), bytes_in: 1, bytes_out: 2 });
        let count = all.len() as u64;
        for (number, what) in (1..).zip(all) {
            stories.take(&entry(number, 1, what));
        }
        let story = stories.of("s1").unwrap();
        let told: Vec<_> = story.events.iter().map(|entry| (entry.kind, entry.number, entry.left_out)).collect();
        assert_eq!(
            told,
            [
                (Kind::Login, 1, 0),
                (Kind::TransportMoved, 2, 0),
                (Kind::Rekey, 3, 0),
                (Kind::Rekey, 1002, 998),
                (Kind::TransportMoved, 1003, 0),
                (Kind::TransportMoved, 1022, 18),
                (Kind::Rekey, 1023, 0),
                (Kind::Rekey, 1072, 48),
                (Kind::Logout, 1073, 0),
            ]
        );
        assert_eq!((story.left_out, count), (0, 1073));
    }

    /// As it is counted, and as it is.
    fn octets(stories: &Stories) -> [usize; 2] {
        let all = stories.by_session.values().flat_map(|story| story.first.iter().chain(&story.last));
        [stories.octets, all.map(|entry| entry.octets()).sum()]
    }

    #[test]
    fn all_together_have_so_many_octets_and_who_was_quiet_for_the_longest_is_forgotten() {
        let each = entry(1, 1, login()).octets();
        let mut stories = Stories::of_octets(10 * each);
        let mut number = 0;
        let mut tell = |stories: &mut Stories, session, what| {
            number += 1;
            stories.take(&entry(number, session, what));
            let [counted, there] = octets(stories);
            assert!(counted == there && counted <= 10 * each, "{counted} {there}");
            assert_eq!(stories.by_latest.len(), stories.by_session.len());
        };
        for session in 1..=9 {
            tell(&mut stories, session, login());
        }
        tell(&mut stories, 1, rekey());
        for session in 10..=12 {
            tell(&mut stories, session, login());
        }
        let left: Vec<_> = (1..=12).filter(|session| stories.of(&format!("s{session}")).is_some()).collect();
        assert_eq!(left, [1, 5, 6, 7, 8, 9, 10, 11, 12], "s1 was heard of after s2, s3 and s4");
        tell(&mut stories, 2, rekey());
        assert_eq!(stories.of("s2"), None, "a story has a beginning or is none");
    }

    #[test]
    fn octets_are_counted_of_what_is_there() {
        let mut stories = Stories::default();
        for number in 0..500_u16 {
            let what = match number {
                0 => login(),
                number if number % 5 < 2 => moved(number),
                _ => rekey(),
            };
            stories.take(&entry(number.into(), 1, what));
            let [counted, there] = octets(&stories);
            assert_eq!(counted, there, "{number}");
        }
        let story = stories.of("s1").unwrap();
        let told = story.events.iter().map(|entry| entry.left_out + 1).sum::<u64>() + story.left_out;
        assert_eq!((story.events.len(), told), (8 + 24, 500), "each is told or counted");
    }
}
