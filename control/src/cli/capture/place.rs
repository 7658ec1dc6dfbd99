//! Where a capture is written to.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// A file, or the standard output.
pub(super) enum Place {
    File(File),
    Out(io::Stdout),
}

impl Place {
    /// `-` is the standard output. A file is its owner's alone, even if it was there already. It may take long: a named pipe opens when somebody reads it.
    ///
    /// # Errors
    /// It cannot be opened, or others may read it and that cannot be changed. What was in it then still is.
    pub(super) fn open(name: &Path) -> io::Result<Self> {
        if name.as_os_str() == "-" {
            return Ok(Self::Out(io::stdout()));
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(name)?;
        let kept = file.metadata()?;
        // Devices and pipes are not ours to close, or to empty.
        if kept.is_file() {
            if kept.permissions().mode() & 0o077 != 0 {
                file.set_permissions(Permissions::from_mode(0o600))?;
            }
            file.set_len(0)?;
        }
        Ok(Self::File(file))
    }

    /// # Errors
    /// What the system says.
    pub(super) fn put(&mut self, piece: &[u8]) -> io::Result<Put> {
        match self {
            Self::File(file) => file.write_all(piece).map(|()| Put::All),
            Self::Out(out) => match out.write_all(piece).and_then(|()| out.flush()) {
                // Whoever reads has seen enough (`aditctl capture … -w - | tshark -c 10 -r -`).
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Put::NobodyReads),
                written => written.map(|()| Put::All),
            },
        }
    }
}

/// What has become of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there.
    All,
    /// Nobody wants it, or what comes after it.
    NobodyReads,
}
