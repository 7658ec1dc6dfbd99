//! A new file that somebody writes piece by piece: a capture.

use super::files::{Growing, Means, make_folder_of};
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

/// A piece that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Untaken {
    /// Why.
    pub why: NoRoom,
    /// The piece, given back.
    pub octets: Vec<u8>,
}

/// Where a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is being made; pieces may wait for it already.
    Opening,
    /// It takes more.
    Open,
    /// All of it is on the disk.
    Finished,
    /// No more of it is written, for this reason. Of what was written before, whole pieces alone are there.
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
    /// It gives the piece back, with the reason.
    pub fn write(&mut self, octets: Vec<u8>) -> Result<(), Untaken> {
        let Some(left) = self.left.checked_sub(octets.len() as u64) else {
            return Err(Untaken { why: NoRoom::Limit, octets });
        };
        let share = match take(&self.room, octets.len()) {
            Ok(share) => share,
            Err(why) => return Err(Untaken { why, octets }),
        };
        let sent = self.pieces.send(Piece { octets, _share: share });
        sent.map_err(|failed| Untaken { why: NoRoom::Failed, octets: failed.0.octets })?;
        self.left = left;
        Ok(())
    }

    /// What is known of the file, for others and for later.
    pub fn written(&self) -> Written {
        Written(Arc::clone(&self.known))
    }

    /// No more comes. What became of the file shows the handle that is given back.
    pub fn finish(self) -> Written {
        self.written()
    }

    /// Where it stands.
    pub fn state(&self) -> WriterState {
        state(&self.known)
    }
}

/// Shows what has become of a file, whoever holds it.
#[derive(Debug, Clone)]
pub struct Written(Arc<Known>);

impl Written {
    /// Where it stands: open as long as pieces wait or may come.
    pub fn state(&self) -> WriterState {
        state(&self.0)
    }
}

/// In this order, so that no end is told before the last octets.
fn state(known: &Known) -> WriterState {
    let progress = known.progress();
    WriterState { written: known.written.load(Ordering::Acquire), progress }
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
        let known = Arc::new(Known { written: AtomicU64::new(0), progress: Mutex::new(Progress::Opening) });
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
        make_folder_of(&self.path)?;
        let mut file = Growing::create(means, &self.path)?;
        self.known.becomes(Progress::Open);
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
            self.known.written.store(file.length(), Ordering::Release);
        }
        if outcome.is_err() {
            // It fails for the first reason.
            let _not_cut = file.cut();
        }
        let synced = file.sync().await;
        file.close().await;
        outcome.and(synced)
    }
}

impl Drop for WriterTask {
    fn drop(&mut self) {
        match self.known.progress() {
            Progress::Opening | Progress::Open => {
                self.known.becomes(Progress::Failed("the disk's thread has ended".to_owned()));
            }
            Progress::Finished | Progress::Failed(_) => {}
        }
    }
}
