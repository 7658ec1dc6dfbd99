//! What of the journal somebody wants to read, and what comes of that.

use super::{Entry, Kind};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

/// A place in the journal of one life of the daemon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    /// The time of day when that began, in seconds: numbers of another life say nothing here.
    pub life: u64,
    /// Counted from 1.
    pub number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.life, self.number)
    }
}

/// Neither a number nor an event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("\"since\" is the number of an event, or its id (\"1795801400-17\"); 0 is before the first")]
pub struct BadSince;

/// After which event to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// By its number, in this life.
    Number(u64),
    /// By its id.
    Id(EventId),
}

impl Since {
    /// The number in this life, whose newest event is given; what another life has seen is nothing of this one, and neither is what has
    /// not been yet.
    pub fn in_life(self, newest: EventId) -> u64 {
        let number = match self {
            Self::Number(number) => number,
            Self::Id(id) if id.life == newest.life => id.number,
            Self::Id(_another_life) => 0,
        };
        if number > newest.number { 0 } else { number }
    }
}

impl FromStr for Since {
    type Err = BadSince;

    fn from_str(text: &str) -> Result<Self, BadSince> {
        let number = |text: &str| text.parse::<u64>().map_err(|_no_number| BadSince);
        match text.split_once('-') {
            Some((life, of_it)) => Ok(Self::Id(EventId { life: number(life)?, number: number(of_it)? })),
            None => Ok(Self::Number(number(text)?)),
        }
    }
}

/// Which events; everything that is left out lets all pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Of one of these kinds.
    pub kinds: Vec<Kind>,
    /// About this session.
    pub session: Option<String>,
    /// About who is, or claims to be, this.
    pub identity: Option<String>,
}

impl Wanted {
    /// Whether this is one.
    pub fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, has: &Option<String>| wanted.is_none() || wanted == has;
        (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
            && is(&self.session, &entry.session)
            && is(&self.identity, &entry.identity)
    }
}

/// A page of `GET /v1/events` as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsView {
    /// In the order in which they happened.
    pub events: Vec<Entry>,
    /// Events after `since`, of any kind, that are no longer kept.
    pub missed: u64,
    /// What to give as `since` for the next page.
    pub next: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_number_or_an_id_and_another_lifes_id_is_the_beginning() {
        let newest = EventId { life: 5, number: 20 };
        for (text, number) in [("17", 17), ("5-17", 17), ("5-20", 20), ("4-17", 0), ("21", 0), ("5-21", 0)] {
            assert_eq!(text.parse::<Since>().unwrap().in_life(newest), number, "{text}");
        }
        for wrong in ["", "-", "x", "5-", "-5", "5-1-1", "99999999999999999999"] {
            assert_eq!(wrong.parse::<Since>(), Err(BadSince), "{wrong:?}");
        }
    }
}
