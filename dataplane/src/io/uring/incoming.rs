//! What arrives by itself: the multishot operations, their buffers, and the queue of what was not delivered yet.
#![expect(unsafe_code, reason = "the kernel writes into memory of ours")]

use super::buffers::{BufferRing, Slots};
use super::ring::{Completion, Entry, Ring, Tag};
use crate::io::ancillary::{CONTROL_LEN, NAME_LEN};
use crate::io::arrival::{Arrival, Delivered, SLOT, SLOT_GAP};
use crate::io::inner::{self, Inner};
use crate::io::message::{Unsound, arrival, count_unsound, empty_message};
use crate::io::udp::OuterSocket;
use crate::io::{DoorStats, vnet};
use crate::packet::{Burst, PacketBuf, Pool};
use io_uring::types::{Fd, RecvMsgOut};
use io_uring::{opcode, squeue};
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;

/// Slots for datagrams. Only the pages that were written to are real memory.
const OUTER_SLOTS: u16 = 256;
/// Large buffers from the pool that wait for inner packets: a burst, so that one look takes it and one send carries it.
const INNER_BUFFERS: u16 = 64;
/// What the kernel writes in front of a datagram: `struct io_uring_recvmsg_out`, name, control messages.
const BESIDE: usize = 16 + NAME_LEN.next_multiple_of(4) + CONTROL_LEN;
const OUTER_SLOT: usize = (BESIDE + SLOT + SLOT_GAP).next_multiple_of(64);

const OUTER_GROUP: u16 = 0;
const INNER_GROUP: u16 = 1;

/// An operation that goes on until it fails.
struct Standing {
    tag: Tag,
    fd: RawFd,
    armed: bool,
}

/// A packet not yet delivered.
enum Waiting {
    Outer { slot: u16, payload: usize, arrival: Arrival },
    Inner { number: u16, len: usize },
}

/// See the file's comment.
pub(super) struct Incoming {
    standing: Vec<Standing>,
    waiting: VecDeque<Waiting>,
    outer: BufferRing,
    slots: Slots,
    inner: BufferRing,
    /// What the kernel may write into, by number; not touched while it is here.
    lent: [Option<PacketBuf>; INNER_BUFFERS as usize],
    /// Numbers that no buffer was to be had for.
    unlent: Vec<u16>,
    spare: Inner,
    /// The inner interface was removed.
    gone: bool,
    /// How long name and control messages may be; the kernel reads it when a receive is armed.
    message: Box<libc::msghdr>,
}

impl Incoming {
    pub(super) fn new(ring: &Ring, outer: &[RawFd], tun: Option<RawFd>, waker: RawFd) -> io::Result<Self> {
        let mut message = Box::new(empty_message());
        message.msg_namelen = NAME_LEN as libc::socklen_t;
        message.msg_controllen = CONTROL_LEN;
        let standing = (outer.iter().enumerate().map(|(index, &fd)| (Tag::Outer(index), fd)))
            .chain(tun.map(|fd| (Tag::Inner, fd)))
            .chain([(Tag::Waker, waker)])
            .map(|(tag, fd)| Standing { tag, fd, armed: false })
            .collect();
        let mut new = Self {
            standing,
            waiting: VecDeque::with_capacity(usize::from(OUTER_SLOTS + INNER_BUFFERS)),
            outer: BufferRing::new(ring, OUTER_GROUP, OUTER_SLOTS)?,
            slots: Slots::new(usize::from(OUTER_SLOTS), OUTER_SLOT),
            inner: BufferRing::new(ring, INNER_GROUP, INNER_BUFFERS)?,
            lent: std::array::from_fn(|_| None),
            unlent: if tun.is_some() { (0..INNER_BUFFERS).collect() } else { Vec::new() },
            spare: Inner::default(),
            gone: false,
            message,
        };
        for slot in 0..OUTER_SLOTS {
            new.give(slot);
        }
        Ok(new)
    }

    /// Gives the kernel a slot.
    fn give(&mut self, slot: u16) {
        let address = self.slots.address(slot);
        // SAFETY: the slot is inside `slots`, and is read only after a completion named it.
        unsafe { self.outer.provide(address, BESIDE + SLOT, slot) };
    }

    /// Lends the kernel large buffers for inner packets, as far as the pool has any.
    pub(super) fn refill(&mut self, pool: &mut Pool) {
        while let Some(number) = self.unlent.pop() {
            let Some(buffer) = self.spare.buffer(pool) else {
                self.unlent.push(number);
                break;
            };
            let room = inner::room(self.lent[usize::from(number)].insert(buffer));
            let (address, len) = (room.as_mut_ptr(), room.len());
            // SAFETY: the buffer lies in `lent`, where nobody touches it until a completion has named it.
            unsafe { self.inner.provide(address, len, number) };
        }
    }

    /// Queues the operations that have ended, if the kernel has buffers for them.
    pub(super) fn arm(&mut self, ring: &mut Ring) {
        for standing in self.standing.iter_mut().filter(|standing| !standing.armed) {
            let fd = Fd(standing.fd);
            let entry = match standing.tag {
                Tag::Outer(_) if self.outer.provided() > 0 => {
                    opcode::RecvMsgMulti::new(fd, &raw const *self.message, self.outer.group()).build()
                }
                Tag::Inner if self.inner.provided() > 0 && !self.gone => {
                    // io-uring 0.7.15 overwrites the flags here; with `Fixed` files FIXED_FILE would be lost.
                    opcode::ReadMulti::new(fd, 0, self.inner.group()).build().flags(squeue::Flags::BUFFER_SELECT)
                }
                Tag::Waker => opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build(),
                Tag::Outer(_) | Tag::Inner | Tag::Flight(_) => continue,
            };
            // SAFETY: `message` and the buffers live until the door has seen the operation end; the files too.
            let entry = unsafe { Entry::new(entry) };
            standing.armed = ring.try_push(&entry, standing.tag).is_ok();
        }
    }

    /// Takes a completion of one of the standing operations.
    pub(super) fn note(&mut self, tag: Tag, completion: Completion, outer: &[OuterSocket], stats: &mut DoorStats) {
        if !completion.more {
            for standing in self.standing.iter_mut().filter(|standing| standing.tag == tag) {
                standing.armed = false;
            }
        }
        stats.starved += u64::from(completion.result == -libc::ENOBUFS);
        self.gone |= tag == Tag::Inner && completion.result == -inner::GONE;
        let len = usize::try_from(completion.result).unwrap_or(0);
        match (tag, completion.buffer) {
            (Tag::Outer(index), Some(slot)) => {
                self.outer.taken();
                match self.parse(slot, len, outer.get(index)) {
                    Ok((payload, arrival)) => self.waiting.push_back(Waiting::Outer { slot, payload, arrival }),
                    Err(unsound) => {
                        count_unsound(stats, unsound);
                        self.give(slot);
                    }
                }
            }
            (Tag::Inner, Some(number)) => {
                self.inner.taken();
                self.waiting.push_back(Waiting::Inner { number, len });
            }
            (Tag::Outer(_) | Tag::Inner, None) | (Tag::Waker | Tag::Flight(_), _) => {}
        }
    }

    /// Where the payload starts, and what is known about it.
    fn parse(&self, slot: u16, len: usize, outer: Option<&OuterSocket>) -> Result<(usize, Arrival), Unsound> {
        // SAFETY: a completion just named the slot; it is given back later.
        let bytes = unsafe { self.slots.bytes(slot, len) };
        let message = RecvMsgOut::parse(bytes, &self.message).map_err(|()| Unsound::Malformed)?;
        if message.is_payload_truncated() {
            return Err(Unsound::Truncated);
        }
        let payload = message.payload_data();
        let start = bytes.len() - payload.len();
        let arrival = outer.and_then(|o| arrival(&o.bound, message.name_data(), message.control_data(), payload));
        Ok((start, arrival.ok_or(Unsound::Malformed)?))
    }

    /// Whether the inner interface was removed.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether nothing waits to be delivered.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Turns the first that waits into packets. Returns whether to go on.
    pub(super) fn deliver(
        &mut self,
        pool: &mut Pool,
        burst: &mut Burst,
        until: usize,
        budget: &mut usize,
        stats: &mut DoorStats,
    ) -> bool {
        match self.waiting.front_mut() {
            Some(Waiting::Outer { slot, payload, arrival }) => {
                let slot = *slot;
                // SAFETY: the slot was named by a completion, and is given back below, after its last use.
                let bytes = unsafe { self.slots.bytes(slot, *payload + arrival.len) };
                let done = arrival.deliver(bytes.get(*payload..).unwrap_or_default(), pool, burst, until);
                if done == Delivered::All {
                    self.waiting.pop_front();
                    self.give(slot);
                }
                done == Delivered::All
            }
            Some(Waiting::Inner { number, len }) => {
                let (number, len) = (*number, *len);
                self.waiting.pop_front();
                let buffer = self.lent[usize::from(number)].take();
                if let Some(Err(unsound)) = buffer.map(|buffer| self.spare.deliver(buffer, len, pool, burst)) {
                    count_unsound(stats, unsound);
                }
                self.unlent.push(number);
                self.refill(pool);
                *budget = budget.saturating_sub(len.max(vnet::LEN));
                true
            }
            None => false,
        }
    }

    /// Whether the kernel has no operation left that could write.
    pub(super) fn is_quiet(&self) -> bool {
        self.standing.iter().all(|standing| !standing.armed)
    }

    /// Takes the buffer rings from the kernel.
    pub(super) fn unregister(&self, ring: &Ring) {
        for group in [OUTER_GROUP, INNER_GROUP] {
            let _ = ring.ring.submitter().unregister_buf_ring(group);
        }
    }
}
