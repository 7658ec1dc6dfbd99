//! The disk: one thread that writes files, so that no packet and no login ever waits for one.
//!
//! ```text
//!  IKE thread ── put, remove ──▶ Kept ────┐
//!  AAA thread ── put, remove ──▶ Kept ────┤  bounded, never waits      one task for each file
//!  captures ───── write ───────▶ Writer ──┴──────────────────────▶ disk thread ──▶ io_uring, else std::fs
//! ```
//!
//! io_uring is used through `tokio-uring`, which has no maintainer: `ring.rs` alone names it. Where io_uring is forbidden the same
//! thread uses plain system calls, and says so once.
//!
//! What the disk refuses stops the disk's own work and nothing else. A [`Kept`] map tries again by itself and shows its
//! [`Trouble`] meanwhile; a [`Writer`] has failed, as its [`WriterState`] says.

mod files;
mod kept;
mod record;
mod ring;
mod room;
mod thread;
mod trouble;
mod writer;

pub use kept::Kept;
pub use record::{Content, End, Found, read};
pub use trouble::{Trouble, Troubles};
pub use writer::{NoRoom, Progress, Untaken, Writer, WriterState, Written};

use kept::Keeper;
use room::Room;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use thread::Job;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use writer::WriterTask;

/// Octets that may wait for the disk, of all writers together.
const WAITING: usize = 16 << 20;
/// How often a thread that was told to end is looked at.
const JOIN_STEP: Duration = Duration::from_millis(5);

/// The handle: cheap to clone, and nothing it does waits.
#[derive(Debug, Clone)]
pub struct Disk {
    jobs: UnboundedSender<Job>,
    room: Arc<Room>,
    troubles: Troubles,
}

/// The thread behind it.
#[derive(Debug)]
pub struct DiskThread {
    jobs: UnboundedSender<Job>,
    thread: JoinHandle<()>,
}

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start() -> io::Result<(Self, DiskThread)> {
        Self::start_with(thread::Allowed::Ring)
    }

    fn start_with(allowed: thread::Allowed) -> io::Result<(Self, DiskThread)> {
        let (jobs, taken) = unbounded_channel();
        let thread = std::thread::Builder::new().name("disk".to_owned()).spawn(move || thread::run(allowed, taken))?;
        let disk = Self { jobs: jobs.clone(), room: Arc::new(Room::of(WAITING)), troubles: Troubles::default() };
        Ok((disk, DiskThread { jobs, thread }))
    }

    /// Begins a file of `limit` octets at most, with mode 0600, that must not be there yet; its folder is made if need be. What
    /// hinders it shows in [`Writer::state`].
    pub fn create(&self, path: impl Into<PathBuf>, limit: u64) -> Writer {
        let (writer, task) = WriterTask::new(path.into(), limit, Arc::clone(&self.room));
        self.hand_in(Job::Write(task));
        writer
    }

    /// Puts a small file of mode 0600 in the place of another: whoever reads, even after a crash, finds one of the two whole. It may
    /// be there a little later.
    ///
    /// # Errors
    /// Too much waits for the disk.
    pub fn replace(&self, path: impl Into<PathBuf>, octets: Vec<u8>) -> Result<(), NoRoom> {
        let share = room::take(&self.room, octets.len())?;
        self.hand_in(Job::Replace { path: path.into(), octets, share, troubles: self.troubles.clone() });
        Ok(())
    }

    /// Keeps a map in this file from now on. `content` is what it holds already; see [`read`].
    pub fn keep(&self, path: impl Into<PathBuf>, content: Content) -> Kept {
        let (kept, keeper) = Keeper::new(path.into(), content, self.troubles.clone());
        self.hand_in(Job::Keep(keeper));
        kept
    }

    /// What is not written right now, by file.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.troubles.all()
    }

    /// Others have all the room until this is dropped.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> Vec<impl Drop> {
        let mut shares = Vec::new();
        for octets in [1 << 20, 1 << 10, 0] {
            shares.extend(std::iter::from_fn(|| room::take(&self.room, octets).ok()));
        }
        shares
    }

    fn hand_in(&self, job: Job) {
        // A thread that has ended takes nothing: what is handed in then shows itself as failed when it is dropped.
        let _ended = self.jobs.send(job);
    }
}

impl DiskThread {
    /// Lets it write what waits, and waits for that, so long at most.
    pub fn end(self, patience: Duration) {
        let _ended = self.jobs.send(Job::End);
        let mut left = patience.as_nanos() / JOIN_STEP.as_nanos();
        while !self.thread.is_finished() {
            let Some(fewer) = left.checked_sub(1) else {
                return tracing::error!("the disk does not take what is left to write");
            };
            left = fewer;
            #[expect(
                clippy::disallowed_methods,
                reason = "the way out may wait; the standard library joins without a limit"
            )]
            std::thread::sleep(JOIN_STEP);
        }
        let _panicked = self.thread.join();
    }
}

#[cfg(test)]
mod tests;
