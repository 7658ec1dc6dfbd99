//! What the peers of connections have shown, and whose place each may take.
//!
//! ```text
//! Unproven ─ somebody logs in there ──▶ Expected ─ a session vouches for it ──▶ Kept
//! ```
//! Only what is kept is off all limits. The others are in books of their own, so nobody who has shown less takes the place of somebody who has
//! shown more, and phase 1 of IKEv1's hybrid mode, behind which anybody gets, keeps nobody out.

use super::unproven::{Most, Unproven};
use super::{Carrier, Outlet};
use crate::carrier::ctcp::flow::LITTLE;
use crate::carrier::ctcp::slot::{Slot, Standing, Talk};
use crate::carrier::tcp::{RECEIVE, SEND};
use crate::contract::Path;
use crate::time::Instant;
use crate::wire::source::Source;
use foldhash::fast::FixedState;
use std::time::Duration;

/// A stream has room for what is under way from its first octet on, hundreds of times what a cTCP flow takes then. Who only begins streams
/// must not take all of the memory, or nobody could log in by cTCP. So of a limit streams have this part.
const STREAM: usize = 8;

// Parts of the memory that they may have, together less than all of it, so that some is left for sessions: streams of whoever has begun and of
// whoever logs in,
const UNPROVEN_STREAMS: usize = 5;
const EXPECTED_STREAMS: usize = 8;
// and likewise what goes by cTCP.
const UNPROVEN: usize = 7;
const EXPECTED: usize = 2;

/// Connections that are no session's.
pub(super) struct Books {
    unproven: Book,
    expected: Book,
}

/// Those of one standing.
struct Book {
    all: Unproven,
    /// Of those, streams that have all that they need.
    streams: Unproven,
}

impl Books {
    /// Nothing in them.
    pub(super) fn new(hasher: &FixedState) -> Self {
        let book = || Book { all: Unproven::new(hasher.clone()), streams: Unproven::new(hasher.clone()) };
        Self { unproven: book(), expected: book() }
    }

    /// This one has become a stream.
    pub(super) fn is_stream(&mut self, slot: &Slot, index: u32) {
        if let Some(book) = self.of(slot.standing) {
            book.streams.add(Source::of(slot.path.peer.ip()), slot.number, index);
        }
    }

    fn enter(&mut self, slot: &Slot, index: u32) {
        if let Some(book) = self.of(slot.standing) {
            book.all.add(Source::of(slot.path.peer.ip()), slot.number, index);
        }
        if matches!(slot.talk, Talk::Stream(_)) {
            self.is_stream(slot, index);
        }
    }

    fn leave(&mut self, slot: &Slot, index: u32) {
        if let Some(book) = self.of(slot.standing) {
            let source = Source::of(slot.path.peer.ip());
            book.all.remove(source, index);
            book.streams.remove(source, index);
        }
    }

    const fn of(&mut self, standing: Standing) -> Option<&mut Book> {
        match standing {
            Standing::Unproven(_) => Some(&mut self.unproven),
            Standing::Expected => Some(&mut self.expected),
            Standing::Kept => None,
        }
    }
}

impl Carrier {
    /// Its peer is somebody who logs in: if it is no session's within this time it ends, and until then nobody who has shown less takes its
    /// place. Said again, only the last time counts.
    pub fn expect(&mut self, now: Instant, path: &Path, within: Duration, outlet: &mut impl Outlet) {
        let Some(index) = self.at(path) else { return };
        match self.slot(index).map(|slot| slot.standing) {
            Some(Standing::Unproven(_)) => self.come_to_be_expected(now, index, path, outlet),
            Some(Standing::Expected) => {}
            // It is somebody's.
            Some(Standing::Kept) | None => return,
        }
        if let Some(slot) = self.slot(index) {
            slot.ends_at = Some(now + within);
        }
        self.touch(index);
    }

    /// This is what its peer has shown from now on.
    pub(super) fn stand(&mut self, index: u32, standing: Standing) {
        let Self { slots, books, .. } = self;
        let Some(slot) = slots.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        books.leave(slot, index);
        slot.standing = standing;
        books.enter(slot, index);
    }

    /// One with this standing is going to be there, and what is in its way ends.
    pub(super) fn make_room(&mut self, now: Instant, path: &Path, standing: Standing, outlet: &mut impl Outlet) {
        let most = match standing {
            Standing::Unproven(_) => Most {
                in_all: self.config.unproven.min(self.hold(UNPROVEN, LITTLE)),
                from_one: self.config.unproven_per_source,
            },
            Standing::Expected => {
                Most { in_all: self.hold(EXPECTED, LITTLE), from_one: self.config.expected_per_source }
            }
            Standing::Kept => return,
        };
        let source = Source::of(path.peer.ip());
        let gives_way = self.books.of(standing).and_then(|book| book.all.in_the_way_of(source, most));
        self.give_way(now, gives_way, outlet);
    }

    /// Likewise, a stream; what has this place is going to be it.
    pub(super) fn make_room_for_stream(&mut self, now: Instant, index: u32, outlet: &mut impl Outlet) {
        let Some((standing, path)) = self.slot(index).map(|slot| (slot.standing, slot.path)) else { return };
        self.make_room_for_stream_of(now, &path, standing, outlet);
    }

    fn make_room_for_stream_of(&mut self, now: Instant, path: &Path, standing: Standing, outlet: &mut impl Outlet) {
        let share = |many: usize| (many / STREAM).max(1);
        let most = match standing {
            Standing::Unproven(_) => Most {
                in_all: share(self.config.unproven).min(self.hold(UNPROVEN_STREAMS, RECEIVE + SEND)),
                from_one: share(self.config.unproven_per_source),
            },
            Standing::Expected => Most {
                in_all: self.hold(EXPECTED_STREAMS, RECEIVE + SEND),
                from_one: share(self.config.expected_per_source),
            },
            Standing::Kept => return,
        };
        let source = Source::of(path.peer.ip());
        let gives_way = self.books.of(standing).and_then(|book| book.streams.in_the_way_of(source, most));
        self.give_way(now, gives_way, outlet);
    }

    /// So many with `each` octets this part of the memory holds.
    fn hold(&self, part: usize, each: usize) -> usize {
        (self.config.memory / part / each).max(1)
    }

    fn come_to_be_expected(&mut self, now: Instant, index: u32, path: &Path, outlet: &mut impl Outlet) {
        self.make_room(now, path, Standing::Expected, outlet);
        if self.slot(index).is_some_and(|slot| matches!(slot.talk, Talk::Stream(_))) {
            self.make_room_for_stream_of(now, path, Standing::Expected, outlet);
        }
        self.stand(index, Standing::Expected);
    }

    fn give_way(&mut self, now: Instant, index: Option<u32>, outlet: &mut impl Outlet) {
        let path = index.and_then(|index| self.slot(index)).map(|slot| slot.path);
        if let Some(path) = path {
            self.end(now, &path, outlet);
            self.displaced += 1;
        }
    }

    /// How many have ended, since this was asked last, because others needed their places.
    pub const fn take_displaced(&mut self) -> u64 {
        std::mem::replace(&mut self.displaced, 0)
    }
}
