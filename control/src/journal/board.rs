//! Where the journal hangs: one task puts up what comes, readers take it from there at their own pace.

use super::{Arriving, Entry, EventId, EventsView, Journal, StoryView, Wanted};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// Readers of a stream of events at the same time.
const READERS: u32 = 64;

/// A handle to it. Only tasks of the API's thread have one, so nobody on another thread waits for its lock.
#[derive(Debug, Clone)]
pub struct Board {
    journal: Arc<Mutex<Journal>>,
    newest: watch::Receiver<u64>,
    readers: Arc<Semaphore>,
}

/// A reader's seat.
#[derive(Debug)]
pub struct Waiting {
    newest: watch::Receiver<u64>,
    _seat: OwnedSemaphorePermit,
}

/// Nothing will happen any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

impl Board {
    /// A board, and what puts up there all that arrives until the feed ends.
    pub fn new(journal: Journal, mut arriving: mpsc::Receiver<Arriving>) -> (Self, impl Future<Output = ()> + Send) {
        let journal = Arc::new(Mutex::new(journal));
        let (say, newest) = watch::channel(0);
        let board = Self { journal, newest, readers: Arc::new(Semaphore::new(READERS as usize)) };
        let journal = Arc::clone(&board.journal);
        let keeping = async move {
            while let Some(Arriving { number, unix, happening }) = arriving.recv().await {
                lock(&journal).enter(number, unix, happening);
                say.send_replace(number);
            }
        };
        (board, keeping)
    }

    /// A seat for one more reader, if there is any.
    pub fn sit_down(&self) -> Option<Waiting> {
        let seat = Arc::clone(&self.readers).try_acquire_owned().ok()?;
        Some(Waiting { newest: self.newest.clone(), _seat: seat })
    }

    /// Until all readers have left; only useful once the feed has ended.
    pub async fn is_empty(&self) {
        let _closed = self.readers.acquire_many(READERS).await;
    }

    /// See [`Journal::after`].
    pub fn after(&self, since: u64, wanted: &Wanted, limit: usize) -> (Vec<Arc<Entry>>, u64, u64) {
        lock(&self.journal).after(since, wanted, limit)
    }

    /// See [`Journal::page`].
    pub fn page(&self, since: u64, wanted: &Wanted, limit: usize) -> EventsView {
        lock(&self.journal).page(since, wanted, limit)
    }

    /// See [`Journal::story`].
    pub fn story(&self, name: &str) -> Option<StoryView> {
        lock(&self.journal).story(name)
    }

    /// See [`Journal::newest`].
    pub fn newest(&self) -> EventId {
        lock(&self.journal).newest()
    }
}

impl Waiting {
    /// Until something has happened after what has this number.
    ///
    /// # Errors
    /// Nothing will.
    pub async fn for_more_than(&mut self, seen: u64) -> Result<(), Closed> {
        self.newest.wait_for(|newest| *newest > seen).await.map(drop).map_err(|_over| Closed)
    }
}

fn lock(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}
