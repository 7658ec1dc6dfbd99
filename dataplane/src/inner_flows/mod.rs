//! The flows inside a worker's tunnels: who talks to whom, how much, how fast, and what TCP's segments tell.
//!
//! Sans-IO, of one worker, no lock. All memory is taken at the start; a packet allocates nothing. When all places are taken, the flow that has
//! been idle longest goes, at once if it was idle for a second, else by chance ([`admission`]); packets of those that are not let in are counted
//! together.
//!
//! ```text
//! packet ─▶ Sight ─▶ Index: hash → place ─▶ Entry: key, list by age │ traffic │ TCP      (a cache line each)
//! ```
//!
//! A burst is looked at in passes, each over all packets, so that what the memory has to bring for one is on its way while the others
//! are looked at.

mod admission;
mod chance;
mod entry;
mod index;
mod key;
mod sampler;
mod sight;
mod table;
mod tcp_watch;
#[cfg(test)]
mod tests;

pub use sight::Way;
pub use table::InnerFlows;

/// How many flows, and which packets are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InnerFlowsConfig {
    /// Flows of all workers together.
    pub limit: u32,
    /// One packet of so many is looked at.
    pub sample: u32,
    /// Random, and known to nobody else.
    pub seed: [u8; 16],
}

impl InnerFlowsConfig {
    /// One of so many workers' share.
    #[must_use]
    pub fn share(self, worker: u8, workers: usize) -> Self {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        let mut seed = self.seed;
        if let Some(octet) = seed.first_mut() {
            *octet ^= worker;
        }
        Self { limit: (self.limit / workers).max(1), seed, ..self }
    }
}

impl std::fmt::Debug for InnerFlowsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { limit, sample, seed: _ } = self;
        f.debug_struct("InnerFlowsConfig").field("limit", limit).field("sample", sample).finish_non_exhaustive()
    }
}
