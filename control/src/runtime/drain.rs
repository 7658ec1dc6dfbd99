//! Draining: nobody new is let in, who is here may stay for a while, and then the daemon may end.

use super::clock;
use super::ike_thread::IkeThread;
use super::signals::Wish;
use crate::api::ask::DrainOrder;
use crate::api::views::DrainView;
use crate::journal::What;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// It is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    /// When those who are still here are told to go.
    until: Option<Instant>,
    /// They have been.
    told: bool,
    /// Whether the daemon ends when nobody is left.
    stop: bool,
}

impl IkeThread {
    pub(super) fn order_drain(&mut self, now: Instant, order: DrainOrder) {
        match order {
            DrainOrder::Begin { within, stop } => {
                let sessions = self.engine.sessions_in_all();
                tracing::info!(
                    sessions,
                    within = within.map(|within| within.as_secs()),
                    stop,
                    "draining: nobody new is let in"
                );
                self.engine.drain();
                self.drain = Some(Drain { until: within.map(|within| now + within), told: false, stop });
                self.feed.tell(now, What::Draining { sessions, within });
            }
            DrainOrder::Cancel => {
                if self.drain.take().is_some() {
                    tracing::info!("draining is over: everybody is let in");
                    self.engine.stop_draining();
                    self.feed.tell(now, What::DrainingOver);
                }
            }
        }
    }

    /// What is due of it.
    pub(super) fn drain_on(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        let now = clock::now();
        if !drain.told && drain.until.is_some_and(|until| until <= now) {
            drain.told = true;
            self.engine.end_all(now);
        }
        // Who does not answer is waited for as at any other end.
        if drain.stop && (drain.told || self.engine.is_idle()) {
            self.obey(Wish::Leave);
        }
    }

    /// When the next of it is due.
    pub(super) fn drain_at(&self) -> Option<Instant> {
        self.drain.filter(|drain| !drain.told)?.until
    }

    pub(super) fn drain_view(&self, now: Instant) -> Option<DrainView> {
        let Drain { until, stop, told: _ } = self.drain?;
        let left = until.map(|until| until.since(now.min(until)));
        Some(DrainView { left_seconds: left.as_ref().map(Duration::as_secs), stop })
    }
}
