//! Opens the doors and starts the workers.

use crate::config::checked::Config;
use adit_dataplane::contract::{ClusterSlot, Dataplane, SpiLayout};
use std::thread::JoinHandle;

/// A dataplane at work.
pub struct Started {
    /// Control's end.
    pub dataplane: Dataplane,
    /// One per worker; they end after `Command::Stop`.
    pub threads: Vec<JoinHandle<std::io::Result<()>>>,
    /// How packets move, as `io` names it.
    pub io: String,
    /// What the kernel or the privileges lack, a sentence each.
    pub lacks: Vec<String>,
}

/// Why it does not start. The text says what the operator can do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Stand-in until the doors and workers are merged.
    #[error("this build has no dataplane yet")]
    NotBuilt,
}

/// Starts as `config` says.
pub fn start(config: &Config) -> Result<Started, StartError> {
    let _ = (config, ClusterSlot(0), |random: &mut dyn adit_crypto::random::SecretRandom| {
        SpiLayout::new(ClusterSlot(0), random)
    });
    Err(StartError::NotBuilt)
}
