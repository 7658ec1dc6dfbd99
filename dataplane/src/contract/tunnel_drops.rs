//! What was dropped of one tunnel's packets: one writer with plain relaxed stores, any number of readers.

use super::counters::add;
use crate::fate::DropReason;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One tunnel's drops, by reason. Only packets whose tunnel is known are counted here: those whose SPI is an SA's, and
/// those that have found their tunnel by their inner destination. What another worker drops of them is not (a full ring
/// between two workers, a cTCP connection that another worker owns); the workers' counters have it.
#[derive(Debug)]
pub struct TunnelDrops([AtomicU64; DropReason::ALL.len()]);

impl Default for TunnelDrops {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl TunnelDrops {
    /// The owning worker: a packet ended here.
    pub fn dropped(&self, reason: DropReason) {
        if let Some(counter) = self.0.get(reason as usize) {
            add(counter, 1);
        }
    }

    /// Anyone reads: reasons that there were, in the order of [`DropReason::ALL`], with packets.
    pub fn totals(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let all = DropReason::ALL.iter().zip(&self.0).map(|(reason, counter)| (*reason, counter.load(Relaxed)));
        all.filter(|(_, packets)| *packets > 0)
    }
}
