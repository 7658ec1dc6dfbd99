//! Files by either means.

use super::ring::RingFile;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Nobody else reads what is ours.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// How this thread writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    /// Through io_uring.
    Ring,
    /// By system calls that wait.
    Plain,
}

/// A file that grows.
pub(super) struct Growing {
    handle: Handle,
    length: u64,
}

enum Handle {
    Ring(RingFile),
    Plain(File),
}

impl Growing {
    /// A new file. It follows no link: what is there already is an error.
    pub(super) fn create(means: Means, path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
        let handle = match means {
            Means::Ring => Handle::Ring(RingFile::of(file)?),
            Means::Plain => Handle::Plain(file),
        };
        Ok(Self { handle, length: 0 })
    }

    /// Behind what is there. After an error nobody knows how much of it is.
    pub(super) async fn append(&mut self, octets: Vec<u8>) -> io::Result<()> {
        let (at, more) = (self.length, octets.len() as u64);
        match &self.handle {
            Handle::Ring(file) => file.write(octets, at).await?,
            Handle::Plain(file) => file.write_all_at(&octets, at)?,
        }
        self.length += more;
        Ok(())
    }

    /// Takes away what a piece has left that was not written to its end.
    pub(super) fn cut(&self) -> io::Result<()> {
        match &self.handle {
            Handle::Ring(file) => file.cut(self.length),
            Handle::Plain(file) => file.set_len(self.length),
        }
    }

    /// What was written survives a loss of power.
    pub(super) async fn sync(&self) -> io::Result<()> {
        match &self.handle {
            Handle::Ring(file) => file.sync().await,
            Handle::Plain(file) => file.sync_data(),
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) async fn close(self) {
        match self.handle {
            // All that could fail has been synced before.
            Handle::Ring(file) => drop(file.close().await),
            Handle::Plain(file) => drop(file),
        }
    }
}

/// Makes the folder that this file is to lie in, if it is not there.
pub(super) fn make_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder),
        None => Ok(()),
    }
}

/// Writes a new file beside `path`, and puts it there once it is whole and on the disk. It can grow from then on.
pub(super) async fn replace(means: Means, path: &Path, octets: Vec<u8>) -> io::Result<Growing> {
    let beside = beside(path);
    // Left by somebody who was killed.
    match fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match put(means, path, &beside, octets).await {
        Ok(file) => Ok(file),
        Err(error) => {
            // It has the room that the next try needs.
            let _gone = fs::remove_file(&beside);
            Err(error)
        }
    }
}

async fn put(means: Means, path: &Path, beside: &Path, octets: Vec<u8>) -> io::Result<Growing> {
    let mut file = Growing::create(means, beside)?;
    let written = match file.append(octets).await {
        Ok(()) => file.sync().await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        file.close().await;
        return Err(error);
    }
    fs::rename(beside, path)?;
    sync_folder(path)?;
    Ok(file)
}

/// A name counts as written when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}
