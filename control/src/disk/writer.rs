//! A new file that somebody writes piece by piece: a capture.

use super::files::{Growing, Means};
use super::room::{Room, Share, take};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// Why a piece was not taken. Nothing of it will be in the file; later pieces may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The disk does not keep up.
    #[error("too much waits for the disk")]
    Waiting,
    /// The file would be longer than it may be.
    #[error("the file is as long as it may be")]
    Limit,
    /// The file has failed.
    #[error("the file could not be written")]
    Failed,
}

/// Where a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It takes more.
    Open,
    /// All of it is on the disk.
    Finished,
    /// No more of it is written, for this reason.
    Failed(String),
}

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterState {
    /// Octets that have been written.
    pub written: u64,
    /// Where it stands.
    pub progress: Progress,
}

/// Writes it. Dropped, it finishes the file.
#[derive(Debug)]
pub struct Writer {
    pieces: UnboundedSender<Piece>,
    room: Arc<Room>,
    /// Octets of the file that are still to be taken.
    left: u64,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Piece {
    octets: Vec<u8>,
    /// Held until they are written.
    _share: Share,
}

/// Both ends see it.
#[derive(Debug)]
struct Known {
    written: AtomicU64,
    progress: Mutex<Progress>,
}

impl Known {
    fn becomes(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Writer {
    /// Takes a piece, all of it or nothing. It never waits.
    ///
    /// # Errors
    /// See [`NoRoom`].
    pub fn write(&mut self, octets: Vec<u8>) -> Result<(), NoRoom> {
        let left = self.left.checked_sub(octets.len() as u64).ok_or(NoRoom::Limit)?;
        let share = take(&self.room, octets.len())?;
        self.pieces.send(Piece { octets, _share: share }).map_err(|_failed| NoRoom::Failed)?;
        self.left = left;
        Ok(())
    }

    /// No more comes. What became of the file shows the state of the handle that is given back.
    pub fn finish(self) -> Finished {
        Finished(Arc::clone(&self.known))
    }

    /// Where it stands.
    pub fn state(&self) -> WriterState {
        state(&self.known)
    }
}

/// What is known of a file that takes no more.
#[derive(Debug, Clone)]
pub struct Finished(Arc<Known>);

impl Finished {
    /// Where it stands: open as long as pieces wait.
    pub fn state(&self) -> WriterState {
        state(&self.0)
    }
}

fn state(known: &Known) -> WriterState {
    WriterState { written: known.written.load(Ordering::Relaxed), progress: known.progress() }
}

/// The writing end.
#[derive(Debug)]
pub(super) struct WriterTask {
    path: PathBuf,
    pieces: UnboundedReceiver<Piece>,
    known: Arc<Known>,
}

impl WriterTask {
    pub(super) fn new(path: PathBuf, limit: u64, room: Arc<Room>) -> (Writer, Self) {
        let (sender, pieces) = unbounded_channel();
        let known = Arc::new(Known { written: AtomicU64::new(0), progress: Mutex::new(Progress::Open) });
        let writer = Writer { pieces: sender, room, left: limit, known: Arc::clone(&known) };
        (writer, Self { path, pieces, known })
    }

    /// Until its writer finishes, or the disk's thread ends: then what waits is written.
    pub(super) async fn run(mut self, means: Means, mut leaving: watch::Receiver<bool>) {
        let outcome = self.write_all(means, &mut leaving).await;
        self.known.becomes(match outcome {
            Ok(()) => Progress::Finished,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), "a file could not be written: {error}");
                Progress::Failed(error.to_string())
            }
        });
    }

    async fn write_all(&mut self, means: Means, leaving: &mut watch::Receiver<bool>) -> io::Result<()> {
        let mut file = Growing::create(means, &self.path)?;
        let mut outcome = Ok(());
        while outcome.is_ok() {
            let piece = tokio::select! {
                biased;
                piece = self.pieces.recv() => piece,
                // Not before all that waits has been taken.
                _left = leaving.wait_for(|leaving| *leaving) => None,
            };
            let Some(Piece { octets, _share }) = piece else { break };
            outcome = file.append(octets).await;
            self.known.written.store(file.length(), Ordering::Relaxed);
        }
        let synced = file.sync().await;
        file.close().await;
        outcome.and(synced)
    }
}

impl Drop for WriterTask {
    fn drop(&mut self) {
        if self.known.progress() == Progress::Open {
            self.known.becomes(Progress::Failed("the disk's thread has ended".to_owned()));
        }
    }
}
