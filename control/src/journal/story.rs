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

/// All that are remembered. A session has one from its login on; whoever never logged in has none.
#[derive(Debug, Default)]
pub(super) struct Stories {
    by_session: BTreeMap<String, Story>,
    /// The one that has ended first is forgotten first.
    ended: VecDeque<String>,
}

#[derive(Debug)]
struct Story {
    first: Vec<Arc<Entry>>,
    last: VecDeque<Arc<Entry>>,
    left_out: u64,
    over: bool,
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
    /// What happened, in order: the first and the latest.
    pub events: Vec<Entry>,
    /// So many between them are not kept.
    pub left_out: u64,
}

impl Stories {
    /// Something has happened; it is part of a story, or of none.
    pub(super) fn take(&mut self, entry: &Arc<Entry>) {
        let Some(session) = &entry.session else { return };
        if entry.kind == Kind::Login && !self.by_session.contains_key(session) {
            if self.by_session.len() >= MOST {
                self.forget_oldest();
            }
            let story = Story { first: Vec::new(), last: VecDeque::new(), left_out: 0, over: false };
            self.by_session.insert(session.clone(), story);
        }
        let Some(story) = self.by_session.get_mut(session) else { return };
        if story.first.len() < FIRST {
            story.first.push(Arc::clone(entry));
        } else {
            story.last.push_back(Arc::clone(entry));
        }
        if story.last.len() > LAST {
            story.last.pop_front();
            story.left_out += 1;
        }
        if entry.kind == Kind::Logout && !story.over {
            story.over = true;
            self.ended.push_back(session.clone());
            if self.ended.len() > ENDED
                && let Some(oldest) = self.ended.pop_front()
            {
                self.by_session.remove(&oldest);
            }
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.by_session.iter().min_by_key(|(_, story)| story.begun()).map(|(session, _)| session.clone());
        if let Some(oldest) = oldest {
            self.by_session.remove(&oldest);
            self.ended.retain(|session| *session != oldest);
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
