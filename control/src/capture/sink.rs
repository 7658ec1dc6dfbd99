//! Where a capture's octets go.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Takes octets in their order. Called by the capture thread alone, which may wait for it: packets that come meanwhile wait in the rings, and
/// what finds no room there is counted.
pub trait Sink: Send {
    /// Appends these.
    ///
    /// # Errors
    /// The disk takes no more.
    fn write(&mut self, octets: Vec<u8>) -> io::Result<()>;
}

/// A file of its own, that nobody but its owner may read.
#[derive(Debug)]
pub struct FileSink(File);

impl FileSink {
    /// A new file; its folder is made if it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(Self)
    }
}

impl Sink for FileSink {
    fn write(&mut self, octets: Vec<u8>) -> io::Result<()> {
        self.0.write_all(&octets)
    }
}
