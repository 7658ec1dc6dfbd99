//! The API's socket: who may connect is a matter of file permissions.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A live daemon has it.
    #[error("another aditd answers on {}: stop it, or give this one another --socket", .0.display())]
    InUse(PathBuf),
    /// Something else stands there.
    #[error("{} exists and is no socket: remove it, or choose another --socket", .0.display())]
    NotASocket(PathBuf),
    /// The system says no.
    #[error("{}: {what}: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// At what.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// The listening socket; its file goes when this does.
#[derive(Debug)]
pub struct ApiSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: a file that somebody else made in the meantime is not ours to remove.
    file: (u64, u64),
}

impl ApiSocket {
    /// Makes the socket's folder (0755) and the socket (0660). One left behind by a killed daemon is replaced.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |what| move |source| SocketError::Io { path: path.to_owned(), what, source };
        if let Some(folder) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
            made.map_err(failed("making the socket's folder"))?;
        }
        remove_stale(path)?;
        // Bound under another name and renamed with its permissions: nobody can connect before they are set.
        let draft = path.with_extension(format!("{}~", std::process::id()));
        drop(std::fs::remove_file(&draft));
        let listener = UnixListener::bind(&draft).map_err(failed("binding the socket"))?;
        let finish = || -> io::Result<(u64, u64)> {
            std::fs::set_permissions(&draft, Permissions::from_mode(0o660))?;
            listener.set_nonblocking(true)?;
            std::fs::rename(&draft, path)?;
            let metadata = path.symlink_metadata()?;
            Ok((metadata.dev(), metadata.ino()))
        };
        let file = finish().map_err(|source| {
            drop(std::fs::remove_file(&draft));
            failed("making the socket")(source)
        })?;
        Ok(Self { listener, path: path.to_owned(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle to the listening socket, for the thread that serves it.
    ///
    /// # Errors
    /// The process has no free file descriptor.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        if self.path.symlink_metadata().is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file) {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |what| move |source| SocketError::Io { path: path.to_owned(), what, source };
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at what is there")(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_somebody) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("removing the socket of a daemon that is gone"))
        }
        Err(error) => Err(failed("asking who is there")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_for_root_and_its_group_and_goes_with_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run").join("aditd.sock");
        let socket = ApiSocket::bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o660);
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "no draft is left behind");
    }

    #[test]
    fn a_socket_that_a_killed_daemon_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "it is left behind");
        let _socket = ApiSocket::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_socket_that_a_daemon_answers_on_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        let _first = ApiSocket::bind(&path).unwrap();
        let error = ApiSocket::bind(&path).unwrap_err();
        assert!(error.to_string().starts_with("another aditd answers on "), "{error}");
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_file_that_is_no_socket_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(ApiSocket::bind(&path), Err(SocketError::NotASocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_socket_that_somebody_else_made_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        let socket = ApiSocket::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
