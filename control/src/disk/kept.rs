//! A map that is kept in a file. The telling end changes it and never waits; the disk's thread writes the changes behind each other
//! and, when the file is much longer than what it says, all of it anew.

use super::files::{Growing, Means, replace};
use super::record::{self, Content, MOST_ENTRIES, MOST_KEY, MOST_VALUE};
use super::trouble::Troubles;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// Changes that may wait. Of each key only the last counts, so a disk that stands still fills no memory.
const MOST_WAITING: usize = MOST_ENTRIES;
/// So long after a change it survives a loss of power, too. What was written survives the end of the process in any case.
const SYNC_AFTER: Duration = Duration::from_secs(1);
/// After the first failure,
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// and twice as long after each other, but no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A file is written anew when it is so much longer than what it says, and
const SLACK: u64 = 256 << 10;
/// so many times as long.
const TIMES: u64 = 4;

/// The telling end. Clones tell the same file.
#[derive(Debug, Clone)]
pub struct Kept(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    changes: Mutex<Changes>,
    /// Somebody has told something.
    told: Notify,
}

#[derive(Debug, Default)]
struct Changes {
    by_key: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    lost: u64,
}

impl Kept {
    /// This key has this value from now on.
    pub fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    /// This key has none.
    pub fn remove(&self, key: Vec<u8>) {
        self.change(key, None);
    }

    fn change(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let too_long = key.len() > MOST_KEY || value.as_ref().is_some_and(|value| value.len() > MOST_VALUE);
        {
            let mut changes = self.0.changes.lock().unwrap_or_else(PoisonError::into_inner);
            let full = changes.by_key.len() >= MOST_WAITING && !changes.by_key.contains_key(&key);
            match too_long || full {
                true => changes.lost += 1,
                false => drop(changes.by_key.insert(key, value)),
            }
        }
        self.0.told.notify_one();
    }
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    waiting: Arc<Waiting>,
    content: Content,
    /// Octets that it needs as records.
    weight: u64,
    troubles: Troubles,
}

/// Where the file stands.
enum File {
    /// It is as `content` says, when what was appended is there.
    Good { file: Growing, sync_at: Option<Instant> },
    /// It may say less, and is to be written anew.
    Behind { again_at: Instant, pause: Duration },
}

impl Keeper {
    pub(super) fn new(path: PathBuf, content: Content, troubles: Troubles) -> (Kept, Self) {
        let waiting = Arc::new(Waiting::default());
        let weight = content.iter().map(|(key, value)| record::weight(key, value)).sum();
        (Kept(Arc::clone(&waiting)), Self { path, waiting, content, weight, troubles })
    }

    /// Until the disk's thread ends.
    pub(super) async fn run(mut self, means: Means, mut leaving: watch::Receiver<bool>) {
        let mut file = self.write_anew(means, FIRST_PAUSE).await;
        loop {
            let wake = match &file {
                File::Good { sync_at, .. } => *sync_at,
                File::Behind { again_at, .. } => Some(*again_at),
            };
            let wait = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let ends = tokio::select! {
                () = self.waiting.told.notified() => false,
                () = wait => false,
                _left = leaving.wait_for(|leaving| *leaving) => true,
            };
            file = self.turn(means, file).await;
            if ends {
                return self.end(means, file).await;
            }
        }
    }

    /// Writes what is due.
    async fn turn(&mut self, means: Means, file: File) -> File {
        let records = self.take_changes();
        let now = Instant::now();
        match file {
            File::Good { file, sync_at } => match append(file, records, sync_at, now).await {
                Ok((file, _)) if file.length() > SLACK + TIMES * self.weight => {
                    file.close().await;
                    self.write_anew(means, FIRST_PAUSE).await
                }
                Ok((file, sync_at)) => File::Good { file, sync_at },
                Err(error) => {
                    self.troubles.begin(&self.path, &error);
                    File::Behind { again_at: now + FIRST_PAUSE, pause: FIRST_PAUSE }
                }
            },
            File::Behind { again_at, pause } if now >= again_at => {
                self.write_anew(means, (pause * 2).min(LONGEST_PAUSE)).await
            }
            behind @ File::Behind { .. } => behind,
        }
    }

    async fn write_anew(&self, means: Means, pause: Duration) -> File {
        match replace(means, &self.path, record::snapshot(&self.content)).await {
            Ok(file) => {
                self.troubles.end(&self.path);
                File::Good { file, sync_at: None }
            }
            Err(error) => {
                self.troubles.begin(&self.path, &error);
                File::Behind { again_at: Instant::now() + pause, pause }
            }
        }
    }

    /// One more try for what is behind.
    async fn end(&self, means: Means, file: File) {
        let file = match file {
            File::Good { file, .. } => Some(file),
            File::Behind { .. } => match self.write_anew(means, FIRST_PAUSE).await {
                File::Good { file, .. } => Some(file),
                File::Behind { .. } => None,
            },
        };
        if let Some(file) = file {
            if let Err(error) = file.sync().await {
                self.troubles.begin(&self.path, &error);
            }
            file.close().await;
        }
    }

    /// Into the map, and as records.
    fn take_changes(&mut self) -> Vec<u8> {
        let Changes { by_key, mut lost } =
            std::mem::take(&mut *self.waiting.changes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut records = Vec::new();
        for (key, value) in by_key {
            match value {
                Some(_) if self.content.len() >= MOST_ENTRIES && !self.content.contains_key(&key) => lost += 1,
                Some(value) => {
                    record::put(&mut records, &key, &value);
                    self.weight += record::weight(&key, &value);
                    if let Some(before) = self.content.get(&key) {
                        self.weight -= record::weight(&key, before);
                    }
                    self.content.insert(key, value);
                }
                // What nobody has heard of need not be taken back.
                None => {
                    if let Some(before) = self.content.remove(&key) {
                        self.weight -= record::weight(&key, &before);
                        record::remove(&mut records, &key);
                    }
                }
            }
        }
        if lost > 0 {
            tracing::error!(file = %self.path.display(), lost, "state is too large to be kept; some of it is left out");
        }
        records
    }
}

/// Writes records, and syncs if it is time to.
async fn append(
    mut file: Growing,
    records: Vec<u8>,
    sync_at: Option<Instant>,
    now: Instant,
) -> io::Result<(Growing, Option<Instant>)> {
    let mut sync_at = sync_at;
    let written = match records.is_empty() {
        true => Ok(()),
        false => {
            sync_at = sync_at.or(Some(now + SYNC_AFTER));
            file.append(records).await
        }
    };
    let outcome = match written {
        Ok(()) if sync_at.is_some_and(|at| at <= now) => {
            sync_at = None;
            file.sync().await
        }
        written => written,
    };
    match outcome {
        Ok(()) => Ok((file, sync_at)),
        Err(error) => {
            file.close().await;
            Err(error)
        }
    }
}
