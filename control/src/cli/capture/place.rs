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
    /// `-` is the standard output. A file is its owner's alone, even if it was there already.
    ///
    /// # Errors
    /// It cannot be opened, or others may read it and that cannot be changed.
    pub(super) fn open(name: &Path) -> io::Result<Self> {
        if name.as_os_str() == "-" {
            return Ok(Self::Out(io::stdout()));
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(name)?;
        let kept = file.metadata()?;
        // Devices and pipes are not ours to close.
        if kept.is_file() && kept.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
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
