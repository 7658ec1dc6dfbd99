//! What happens when a packet leaves its SA with something to tell.

use super::report::Reports;
use crate::contract::{Direction, WorkerCounters};
use crate::esp::{News, Tiding};
use crate::packet::{Meta, Standing};
use crate::sad::{Followed, Sad};
use crate::time::Instant;

/// Control hears of it. What the peer is owed at once does not wait for that: before anything goes out in this turn, its
/// first packet has begun what is sent on, and a peer that is elsewhere is followed.
#[cold]
pub(super) fn tell(
    news: News,
    sad: &mut Sad,
    slot: u32,
    meta: &Meta,
    reports: &mut Reports,
    counters: &WorkerCounters,
    now: Instant,
) {
    let Some(sa) = sad.inbound_mut(slot) else { return };
    let (spi, tunnel) = (sa.spi(), sa.tunnel());
    if news.holds(Tiding::FirstUse) {
        sad.first_used(slot);
        reports.first_use(spi);
    }
    reports.lifetime(spi, Direction::Inbound, news);
    if let Some(path) = meta.esp_path().filter(|_| news.holds(Tiding::Elsewhere)) {
        match sad.follow(now, slot, path) {
            Followed::Moved => {
                counters.moved_to(path.transport());
                reports.moved(tunnel, path);
            }
            Followed::Limited => counters.moves_limited(1),
            // Another connection between the same ports: nothing moves, but somebody has to vouch for it.
            Followed::Stays if meta.standing == Standing::New && sad.is_at(tunnel, path) => reports.moved(tunnel, path),
            Followed::Stays => {}
        }
    }
}
