//! io_uring, by `tokio-uring`: the one place that names it.

use std::future::Future;
use std::io;

/// Requests under way at once: each file has one, and one more for its end.
const ENTRIES: u32 = 64;

/// The ring of this thread.
pub(super) struct Ring(tokio_uring::Runtime);

/// A file that is written through it.
pub(super) struct RingFile {
    through: tokio_uring::fs::File,
    /// The same one, for what no ring does.
    beside: std::fs::File,
}

impl Ring {
    /// # Errors
    /// The kernel has no io_uring, or forbids it.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(tokio_uring::Runtime::new(tokio_uring::builder().entries(ENTRIES))?))
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl RingFile {
    pub(super) fn of(file: std::fs::File) -> io::Result<Self> {
        let beside = file.try_clone()?;
        Ok(Self { through: tokio_uring::fs::File::from_std(file), beside })
    }

    pub(super) async fn write(&self, octets: Vec<u8>, at: u64) -> io::Result<()> {
        let (written, _octets) = self.through.write_all_at(octets, at).await;
        written
    }

    pub(super) async fn sync(&self) -> io::Result<()> {
        self.through.sync_data().await
    }

    pub(super) fn cut(&self, length: u64) -> io::Result<()> {
        self.beside.set_len(length)
    }

    pub(super) async fn close(self) -> io::Result<()> {
        self.through.close().await
    }
}
