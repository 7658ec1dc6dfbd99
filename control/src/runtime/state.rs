//! What outlives the process: its directory, what is read there at the start, and what is told to the disk from then on.

use super::aaa_thread::Shelf;
use super::clock;
use crate::disk::{Content, Disk, End, Found, Kept, Trouble, read};
use crate::ike::engine::Engine;
use crate::journal::What;
use crate::lease::{entry, read_entry};
use adit_dataplane::time::Instant;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whose each inner address is.
const LEASES: &str = "leases";
/// What RADIUS has not taken, and whose session is not over.
const BOOKS: &str = "books";
/// Held by the daemon that uses the directory.
const LOCK: &str = "lock";
/// More of a file is not read.
const MOST_OCTETS: u64 = 256 << 20;
/// No kept lease is held longer, whatever its file says: the longest that the configuration allows.
const LONGEST_HOLD: Duration = Duration::from_secs(86_400);
/// What somebody has set the clock by, rather than steered it.
const STEP: Duration = Duration::from_secs(2);

/// Why nothing is kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoState {
    /// The system says no.
    #[error("{what}: {source}")]
    System {
        /// At what.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Others could write what we read.
    #[error("others can write there (mode {0:04o}); run `chmod 700` on it")]
    OpenToOthers(u32),
    /// Two would write the same files.
    #[error("another aditd uses it")]
    InUse,
}

/// A directory that is ours.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Until it is dropped.
    _lock: File,
}

impl Folder {
    /// Makes it if it is not there (0700), and takes it.
    pub(super) fn open(path: &Path) -> Result<Self, NoState> {
        let system = |what| move |source| NoState::System { what, source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(system("making the directory"))?;
        let mode = path.metadata().map_err(system("looking at the directory"))?.mode();
        if mode & 0o022 != 0 {
            return Err(NoState::OpenToOthers(mode & 0o7777));
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(system("opening the file named lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(NoState::InUse),
            Err(TryLockError::Error(source)) => Err(system("locking the file named lock")(source)),
        }
    }

    /// What this file holds, as far as it can be read. What cannot is put aside as `NAME.damaged`.
    pub(super) fn read(&self, name: &str) -> Content {
        let path = self.path.join(name);
        let mut octets = Vec::new();
        match File::open(&path).and_then(|file| file.take(MOST_OCTETS).read_to_end(&mut octets)) {
            Ok(_octets) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Content::new(),
            Err(error) => {
                // What is written from now on takes its place.
                let put_aside = self.put_aside(name);
                tracing::warn!(file = %path.display(), put_aside,
                    "state could not be read: {error}; what stands before that is used");
            }
        }
        let Found { content, end } = read(&octets);
        match end {
            End::Whole | End::Torn => {}
            End::Damaged { at } => {
                let kept = self.put_aside(name);
                tracing::warn!(file = %path.display(), octet = at, entries = content.len(), put_aside = kept,
                    "state is damaged from this octet on; what stands before it is used");
            }
        }
        content
    }

    /// Whether it is there as `NAME.damaged` now.
    fn put_aside(&self, name: &str) -> bool {
        fs::rename(self.path.join(name), self.path.join(format!("{name}.damaged"))).is_ok()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// What the IKE thread has to do with the disk.
pub(super) struct Keeping {
    disk: Disk,
    leases: Option<Kept>,
    unix_at_zero: Duration,
    /// What was told of.
    told: Vec<Trouble>,
    /// The directory, if it cannot be used.
    lost: Option<Trouble>,
}

impl Keeping {
    /// Opens what the configuration names, and gives the engine what is there.
    pub(super) fn begin(
        disk: Disk,
        engine: &mut Engine,
        folder: &Option<Result<Folder, Trouble>>,
        unix_at_zero: Duration,
    ) -> Self {
        let (folder, lost) = match folder {
            Some(Ok(folder)) => (Some(folder), None),
            Some(Err(trouble)) => (None, Some(trouble.clone())),
            None => (None, None),
        };
        let leases = folder.map(|folder| {
            engine.keep_leases();
            let content = folder.read(LEASES);
            let left_out = restore(engine, &content, unix_at_zero);
            let kept = disk.keep(folder.file(LEASES), content);
            for key in left_out {
                kept.remove(key);
            }
            kept
        });
        Self { disk, leases, unix_at_zero, told: Vec::new(), lost }
    }

    /// The time of day when the clock was zero, as it is known now. If somebody has set the clock, until when leases are held is written anew.
    pub(super) fn set_time_of_day(&mut self, unix_at_zero: Duration, engine: &mut Engine) {
        if self.unix_at_zero.abs_diff(unix_at_zero) >= STEP {
            engine.tell_held_leases();
        }
        self.unix_at_zero = unix_at_zero;
    }

    /// Hands on what has become of leases.
    pub(super) fn write_down(&self, engine: &mut Engine) {
        let Some(leases) = &self.leases else { return };
        while let Some(news) = engine.poll_lease() {
            match entry(&news, self.unix_at_zero) {
                (key, Some(value)) => leases.put(key, value),
                (key, None) => leases.remove(key),
            }
        }
    }

    /// What has changed since the last look.
    pub(super) fn look(&mut self) -> Vec<What> {
        let now: Vec<Trouble> = self.lost.iter().cloned().chain(self.disk.troubles()).collect();
        let is_in = |all: &[Trouble], one: &Trouble| all.iter().any(|other| other.file == one.file);
        let file = |trouble: &Trouble| trouble.file.display().to_string();
        let begun = now.iter().filter(|trouble| !is_in(&self.told, trouble));
        let begun = begun.map(|trouble| What::StateNotWritten { file: file(trouble), reason: trouble.reason.clone() });
        let over = self.told.iter().filter(|trouble| !is_in(&now, trouble));
        let over = over.map(|trouble| What::StateWritten { file: file(trouble) });
        let news = begun.chain(over).collect();
        self.told = now;
        news
    }

    /// A sentence for each file that is not written.
    pub(super) fn lacks(&self) -> impl Iterator<Item = String> {
        let sentence = |trouble: &Trouble| format!("{} is not written: {}", trouble.file.display(), trouble.reason);
        self.told.iter().map(sentence)
    }
}

/// The directory that the configuration names. What hinders it is said, and everything else goes on.
pub(super) fn open(directory: Option<&Path>) -> Option<Result<Folder, Trouble>> {
    let path = directory?;
    let opened = Folder::open(path);
    Some(opened.map_err(|error| {
        tracing::warn!(directory = %path.display(), "nothing is kept beyond the end of this process: {error}");
        Trouble { file: path.to_owned(), reason: error.to_string() }
    }))
}

/// Books of another run, and where they go on.
pub(super) fn shelf(disk: &Disk, folder: &Option<Result<Folder, Trouble>>) -> Option<Shelf> {
    let Some(Ok(folder)) = folder else { return None };
    let content = folder.read(BOOKS);
    Some(Shelf { kept: disk.keep(folder.file(BOOKS), content.clone()), content })
}

/// Holds what was kept for its owners; entries that do not hold come back.
fn restore(engine: &mut Engine, content: &Content, unix_at_zero: Duration) -> Vec<Vec<u8>> {
    let now = clock::now();
    let (mut held, mut left_out) = (0_usize, Vec::new());
    for (key, value) in content {
        let kept = match read_entry(key, value) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(key = %key.escape_ascii(), "a lease is left out: {error}");
                left_out.push(key.clone());
                continue;
            }
        };
        let hold_leases = engine.config().state.hold_leases;
        let until = match kept.until {
            // He was here when we ended.
            None => now + hold_leases,
            Some(until) => {
                let until = Duration::from_secs(until).saturating_sub(unix_at_zero);
                (Instant::ZERO + until.min(now.since(Instant::ZERO) + LONGEST_HOLD)).max(Instant::ZERO)
            }
        };
        match engine.restore_lease(now, kept.address, &kept.identity, until) {
            Ok(()) => held += 1,
            Err(error) => {
                tracing::warn!(address = %kept.address, "a lease is left out: {error}");
                left_out.push(key.clone());
            }
        }
    }
    if held > 0 || !left_out.is_empty() {
        tracing::info!(leases = held, left_out = left_out.len(), "leases of another run are held for their owners");
    }
    left_out
}

#[cfg(test)]
mod tests;
