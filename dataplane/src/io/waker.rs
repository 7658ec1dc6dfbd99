//! Ends a worker's wait from another thread: an eventfd that its wait watches too.
#![expect(unsafe_code, reason = "eventfd is a system call without a safe door")]

use crate::contract::Wake;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The eventfd, and whether it was written since it was last read: a second wake costs no system call.
pub(super) struct EventWaker {
    event: File,
    called: AtomicBool,
}

impl EventWaker {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let event = unsafe { File::from_raw_fd(fd) };
        Ok(Self { event, called: AtomicBool::new(false) })
    }

    /// Whether someone called; costs no system call.
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Takes the call; returns whether there was one.
    pub(super) fn take(&self) -> bool {
        if !self.is_called() {
            return false;
        }
        // The event first: a call after it writes again, and at worst ends one wait too many.
        self.drain()
    }

    /// The same for who has seen that the event can be read. Then it is read whatever the flag says: a call that raised the
    /// flag, and was taken before it wrote, leaves the event behind, and it would end every wait from then on.
    pub(super) fn drain(&self) -> bool {
        let read = (&self.event).read(&mut [0; 8]).is_ok();
        self.called.swap(false, Ordering::AcqRel) || read
    }
}

impl Wake for EventWaker {
    fn wake(&self) {
        if !self.called.swap(true, Ordering::AcqRel) {
            // It fails only when 2^64 - 2 calls are pending.
            let _ = (&self.event).write(&1u64.to_ne_bytes());
        }
    }
}

impl AsFd for EventWaker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_taken_once() {
        let waker = EventWaker::new().unwrap();
        assert!(!waker.take());
        waker.wake();
        waker.wake();
        assert!(waker.is_called());
        assert!(waker.take());
        assert!(!waker.take());
        assert!((&waker.event).read(&mut [0; 8]).is_err(), "the event is drained");
    }

    #[test]
    fn a_call_that_is_taken_before_it_has_written_leaves_nothing_behind() {
        let waker = EventWaker::new().unwrap();
        // The halves of a call, and who takes it in between.
        waker.called.store(true, Ordering::Release);
        assert!(waker.take());
        (&waker.event).write_all(&1u64.to_ne_bytes()).unwrap();
        assert!(!waker.take(), "without a look at the event nobody knows");
        assert!(waker.drain());
        assert!((&waker.event).read(&mut [0; 8]).is_err(), "the event is drained");
        assert!(!waker.drain());
        waker.wake();
        assert!(waker.take(), "the next call is heard");
    }
}
