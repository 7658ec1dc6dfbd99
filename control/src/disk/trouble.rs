//! What the disk does not take right now.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub file: PathBuf,
    /// What the system says.
    pub reason: String,
}

/// All there are, for whoever looks.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<PathBuf, String>>>);

impl Troubles {
    pub(super) fn all(&self) -> Vec<Trouble> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(file, reason)| Trouble { file: file.clone(), reason: reason.clone() }).collect()
    }

    /// It failed; said once.
    pub(super) fn begin(&self, file: &Path, error: &io::Error) {
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned(), error.to_string());
        if before.is_none() {
            tracing::error!(file = %file.display(), "state is not written: {error}; it is tried again, and everything else goes on");
        }
    }

    /// It is written.
    pub(super) fn end(&self, file: &Path) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(file).is_some() {
            tracing::info!(file = %file.display(), "state is written again");
        }
    }
}
