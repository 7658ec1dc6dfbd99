//! The ring itself: set-up, queueing, entering, completions.
#![expect(unsafe_code, reason = "queued operations carry pointers")]

use super::flight::Flights;
use super::incoming::Incoming;
use crate::io::{DoorStats, clock};
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, opcode, squeue};
use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::time::Duration;

/// Operations queued before the kernel has to be entered.
const QUEUE: u32 = 256;
/// Completions that find room: all provided buffers and all flights, several times over.
const COMPLETIONS: u32 = 4096;

/// What a completion is about. Travels as `user_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// The receive on this outer socket.
    Outer(usize),
    /// The read on the TUN queue.
    Inner,
    /// The poll on the waker.
    Waker,
    /// This flight.
    Flight(usize),
}

impl Tag {
    fn pack(self) -> u64 {
        let (kind, index) = match self {
            Self::Outer(index) => (0, index),
            Self::Inner => (1, 0),
            Self::Waker => (2, 0),
            Self::Flight(index) => (3, index),
        };
        kind << 32 | index as u64
    }

    fn unpack(data: u64) -> Self {
        let index = (data & 0xffff_ffff) as usize;
        match data >> 32 {
            0 => Self::Outer(index),
            1 => Self::Inner,
            2 => Self::Waker,
            _ => Self::Flight(index),
        }
    }
}

/// How an operation ended, or went on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    /// Octets, or a negative errno.
    pub(super) result: i32,
    /// The provided buffer it used.
    pub(super) buffer: Option<u16>,
    /// More will come of the same operation.
    pub(super) more: bool,
}

/// The ring, to be used by the thread that made it.
pub(super) struct Ring {
    pub(super) ring: IoUring,
}

/// Whether io_uring can do what the door needs; else why not, in words that follow "io_uring is not usable".
///
/// It tries on a thread of its own: a ring's end interrupts system calls of the thread that made it.
pub(in crate::io) fn probe() -> Result<(), String> {
    let tried = std::thread::Builder::new().name("uring-probe".to_owned()).spawn(try_it);
    let outcome = tried.map(std::thread::JoinHandle::join).map_err(|error| error.to_string())?;
    outcome.unwrap_or_else(|_| Err("trying it failed".to_owned()))
}

fn try_it() -> Result<(), String> {
    let ring = Ring::new().map_err(|error| refusal(&error))?;
    let mut probe = Probe::new();
    ring.ring.submitter().register_probe(&mut probe).map_err(|error| refusal(&error))?;
    let needed = [
        (opcode::RecvMsgMulti::CODE, "recvmsg"),
        (opcode::SendMsg::CODE, "sendmsg"),
        (opcode::Writev::CODE, "writev"),
        (opcode::PollAdd::CODE, "poll"),
        // The youngest: Linux 6.7. All flags and kinds of buffers in use are older.
        (opcode::ReadMulti::CODE, "multishot read"),
    ];
    match needed.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, name)) => Err(format!("this kernel's has no {name}; Linux 6.7 has")),
        None => Ok(()),
    }
}

fn refusal(error: &io::Error) -> String {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match (error.raw_os_error(), disabled.trim()) {
        (Some(libc::EPERM), "1" | "2") => format!("sysctl kernel.io_uring_disabled is {}", disabled.trim()),
        (Some(libc::EPERM | libc::EACCES), _) => "forbidden, as by a container's seccomp profile".to_owned(),
        (Some(libc::ENOSYS), _) => "this kernel has none, or a seccomp profile hides it".to_owned(),
        (Some(libc::EINVAL), _) => "this kernel's is older than Linux 6.1".to_owned(),
        (Some(libc::ENOMEM), _) => "the limit on locked memory is too low".to_owned(),
        _ => error.to_string(),
    }
}

impl Ring {
    /// Completions are worked out when this thread asks for them and not in between, which costs half as much.
    pub(super) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(QUEUE)?;
        Ok(Self { ring })
    }

    /// Queues an operation; enters the kernel first if the queue is full.
    pub(super) fn push(&mut self, entry: &Entry, tag: Tag, stats: &mut DoorStats) -> io::Result<()> {
        if self.ring.submission().is_full() {
            stats.system_calls += 1;
            self.enter()?;
        }
        self.try_push(entry, tag).map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    /// Queues an operation if there is room.
    pub(super) fn try_push(&mut self, entry: &Entry, tag: Tag) -> Result<(), squeue::PushError> {
        let entry = entry.0.clone().user_data(tag.pack());
        // SAFETY: whoever made the `Entry` promised that what it points to stays until its last completion.
        unsafe { self.ring.submission().push(&entry) }
    }

    /// Hands what is queued to the kernel and lets it work out what is due; does not wait.
    pub(super) fn enter(&self) -> io::Result<()> {
        match self.ring.submit() {
            Ok(_) => Ok(()),
            // interrupted, or completions to be taken first: the next call goes on
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Hands what is queued to the kernel, no more: what has arrived stays there.
    pub(super) fn hand_over(&mut self) -> io::Result<()> {
        let queued = self.ring.submission().len() as u32;
        // SAFETY: whoever made an `Entry` promised that what it points to stays; there is no argument.
        match unsafe { self.ring.submitter().enter::<libc::sigset_t>(queued, 0, 0, None) } {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Does what [`Self::enter`] does, and waits for news up to `limit`. What comes before `coalesce` is over gathers until then: the
    /// thread wakes once for all of it; what comes later ends the wait at once, so a rare packet is not delayed.
    pub(super) fn wait(&self, limit: Duration, coalesce: Duration) -> io::Result<()> {
        let gathers = !coalesce.is_zero() && coalesce < limit;
        let mut limit = limit;
        if gathers && !self.ring.params().is_feature_min_timeout() {
            clock::nap(coalesce);
            limit -= coalesce;
        }
        let limit = Timespec::new().sec(limit.as_secs()).nsec(limit.subsec_nanos());
        let mut arguments = SubmitArgs::new().timespec(&limit);
        let mut wanted = 1;
        if gathers && self.ring.params().is_feature_min_timeout() {
            // More than there are operations to report anything.
            wanted = COMPLETIONS as usize;
            arguments = arguments.min_wait_usec(coalesce.as_micros() as u32);
        }
        match self.ring.submitter().submit_with_args(wanted, &arguments) {
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) || error.raw_os_error() == Some(libc::ETIME) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether operations wait to be handed over.
    pub(super) fn has_queued(&mut self) -> bool {
        !self.ring.submission().is_empty()
    }

    /// Whether entering the kernel would bring something.
    pub(super) fn is_due(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.taskrun() || queue.cq_overflow() || !queue.is_empty()
    }

    /// Whether there are completions.
    pub(super) fn has_news(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// The next completion.
    pub(super) fn next(&mut self) -> Option<(Tag, Completion)> {
        let entry = self.ring.completion().next()?;
        let completion = Completion {
            result: entry.result(),
            buffer: io_uring::cqueue::buffer_select(entry.flags()),
            more: io_uring::cqueue::more(entry.flags()),
        };
        Some((Tag::unpack(entry.user_data()), completion))
    }

    /// Cancels all operations; their completions follow.
    pub(super) fn cancel_all(&self) {
        // What is only queued cannot be cancelled: hand it over first.
        let _ = self.enter();
        // "Not found" is what it says when nothing is left.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

/// An operation to be queued. What it points to stays where it is, untouched, until its last completion.
pub(super) struct Entry(squeue::Entry);

impl Entry {
    /// # Safety
    /// What `entry` points to must stay where it is, untouched, until its last completion.
    pub(super) unsafe fn new(entry: squeue::Entry) -> Self {
        Self(entry)
    }
}

/// Frees what the kernel may have had its hands on. Called once, with every operation ended.
pub(super) fn drop_in_place(incoming: &mut ManuallyDrop<Incoming>, flights: &mut ManuallyDrop<Flights>) {
    debug_assert!(incoming.is_quiet() && flights.are_quiet());
    // SAFETY: the door is being dropped and does not use it again.
    unsafe { ManuallyDrop::drop(incoming) };
    // SAFETY: as above.
    unsafe { ManuallyDrop::drop(flights) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_travel_there_and_back() {
        for tag in [Tag::Outer(0), Tag::Outer(7), Tag::Inner, Tag::Waker, Tag::Flight(0), Tag::Flight(255)] {
            assert_eq!(Tag::unpack(tag.pack()), tag);
        }
    }

    #[test]
    fn a_refusal_is_said_in_words() {
        for (errno, word) in [(libc::ENOSYS, "kernel"), (libc::EINVAL, "6.1"), (libc::ENOMEM, "memory")] {
            assert!(refusal(&io::Error::from_raw_os_error(errno)).contains(word));
        }
        assert!(!refusal(&io::Error::from_raw_os_error(libc::EPERM)).is_empty());
    }
}
