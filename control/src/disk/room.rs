//! What may wait for the disk, in octets.

use super::NoRoom;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Each piece that waits weighs so much more than its octets: so many small ones are bounded, too.
const EACH: usize = 256;

/// Room that all share.
#[derive(Debug)]
pub(super) struct Room {
    left: AtomicUsize,
}

/// Taken from it, and given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Room>,
    octets: usize,
}

impl Room {
    pub(super) fn of(octets: usize) -> Self {
        Self { left: AtomicUsize::new(octets) }
    }
}

/// Room for one piece.
pub(super) fn take(room: &Arc<Room>, octets: usize) -> Result<Share, NoRoom> {
    let octets = octets.saturating_add(EACH);
    let taken = room.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(octets)).is_ok();
    taken.then(|| Share { room: Arc::clone(room), octets }).ok_or(NoRoom::Waiting)
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.left.fetch_add(self.octets, Ordering::Relaxed);
    }
}
