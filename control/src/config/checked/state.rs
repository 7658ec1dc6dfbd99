//! What outlives the process.

use std::path::PathBuf;
use std::time::Duration;

/// Where state is kept, and how long it binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// An absolute path; `None` keeps nothing.
    pub directory: Option<PathBuf>,
    /// So long after a start or an end of ours nobody else gets the addresses of those who were here.
    pub hold_leases: Duration,
}

impl Default for State {
    fn default() -> Self {
        Self { directory: None, hold_leases: Duration::from_secs(600) }
    }
}
