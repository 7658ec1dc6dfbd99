//! An inner side in this process: two ends of a socket, one in the place of a TUN's queue, the other for who makes and reads inner
//! packets. It takes no interface, no routes and no privilege.
//!
//! Datagrams keep the packets apart, and each has the vnet header of a TUN in front, so a door sees no difference.

use super::vnet;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The longest packet that IP knows.
const MOST: usize = 65_535;
/// Octets that may lie between the ends, as far as the kernel lets us.
const BUFFER: usize = 4 << 20;

/// The worker's end. It never waits.
#[derive(Debug)]
pub struct WorkerEnd(OwnedFd);

impl From<WorkerEnd> for OwnedFd {
    fn from(end: WorkerEnd) -> Self {
        end.0
    }
}

/// The other end. It waits, a while at most.
#[derive(Debug)]
pub struct InnerEnd {
    socket: UnixDatagram,
    room: Vec<u8>,
}

/// Both ends. Whoever has ours waits `patience` at most to send or to receive.
///
/// # Errors
/// What the kernel says.
pub fn inner_pair(patience: Duration) -> io::Result<(WorkerEnd, InnerEnd)> {
    let (theirs, ours) = UnixDatagram::pair()?;
    theirs.set_nonblocking(true)?;
    ours.set_read_timeout(Some(patience))?;
    ours.set_write_timeout(Some(patience))?;
    for end in [&theirs, &ours] {
        SockRef::from(end).set_send_buffer_size(BUFFER)?;
    }
    Ok((WorkerEnd(theirs.into()), InnerEnd::new(ours)))
}

impl InnerEnd {
    fn new(socket: UnixDatagram) -> Self {
        Self { socket, room: vec![0; vnet::LEN + MOST] }
    }

    /// The same end for another thread. What is received by one is not received by the other.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn share(&self) -> io::Result<Self> {
        self.socket.try_clone().map(Self::new)
    }

    /// Sends an IP packet whose checksums are done.
    ///
    /// # Errors
    /// `WouldBlock` when the worker took nothing for as long as we wait; any other says that its end is closed.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(&[0; vnet::LEN]), IoSlice::new(packet)];
        SockRef::from(&self.socket).send_vectored(&parts).map(drop)
    }

    /// The next IP packet; `None` if none came for as long as we wait.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        match self.socket.recv(&mut self.room) {
            Ok(len) => Ok(self.room.get(vnet::LEN..len)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    #[test]
    fn packets_pass_whole_and_apart_with_a_vnet_header_that_says_nothing() {
        let (theirs, mut ours) = inner_pair(SOON).unwrap();
        let theirs = UnixDatagram::from(OwnedFd::from(theirs));
        for len in [20, 1400, MOST] {
            ours.send(&vec![0x45; len]).unwrap();
        }
        let mut room = vec![0; vnet::LEN + MOST];
        for len in [20, 1400, MOST] {
            assert_eq!(theirs.recv(&mut room).unwrap(), vnet::LEN + len);
            assert_eq!(room[..vnet::LEN], [0; vnet::LEN]);
            assert!(room[vnet::LEN..vnet::LEN + len].iter().all(|octet| *octet == 0x45));
            theirs.send(&room[..vnet::LEN + len]).unwrap();
        }
        for len in [20, 1400, MOST] {
            assert_eq!(ours.receive().unwrap(), Some(&vec![0x45; len][..]));
        }
        assert_eq!(ours.receive().unwrap(), None);
    }

    #[test]
    fn the_workers_end_never_waits_and_ours_not_for_ever() {
        let (theirs, ours) = inner_pair(SOON).unwrap();
        let theirs = UnixDatagram::from(OwnedFd::from(theirs));
        assert_eq!(theirs.recv(&mut [0; 64]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let packet = [0; 1400];
        let filled = std::iter::repeat_with(|| theirs.send(&packet)).find_map(Result::err).unwrap();
        assert_eq!(filled.kind(), io::ErrorKind::WouldBlock);
        let filled = std::iter::repeat_with(|| ours.send(&packet)).find_map(Result::err).unwrap();
        assert_eq!(filled.kind(), io::ErrorKind::WouldBlock);
        drop(theirs);
        assert_ne!(ours.send(&packet).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
