//! A ring of provided buffers: we push addresses, the kernel takes one per packet and says its number.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use super::ring::Ring;
use io_uring::types::BufRingEntry;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel wants the ring to start on a page.
#[repr(C, align(4096))]
struct Page([u8; 4096]);

/// The shared ring. Its memory is freed on drop: unregister it before.
pub(super) struct BufferRing {
    pages: NonNull<[Page]>,
    group: u16,
    mask: u16,
    tail: u16,
    /// Buffers that the kernel has.
    provided: usize,
}

impl BufferRing {
    /// Registers an empty ring for `entries` (a power of two) buffers as `group`.
    pub(super) fn new(ring: &Ring, group: u16, entries: u16) -> io::Result<Self> {
        debug_assert!(entries.is_power_of_two());
        let octets = usize::from(entries) * size_of::<BufRingEntry>();
        let pages = std::iter::repeat_with(|| Page([0; 4096])).take(octets.div_ceil(4096)).collect::<Box<[Page]>>();
        let pages = NonNull::from(Box::leak(pages));
        let new = Self { pages, group, mask: entries - 1, tail: 0, provided: 0 };
        let address = new.entry(0).as_ptr() as u64;
        // SAFETY: the pages hold `entries` entries, and stay until the door has unregistered the group.
        unsafe { ring.ring.submitter().register_buf_ring_with_flags(address, entries, group, 0)? };
        Ok(new)
    }

    /// Gives the kernel a buffer.
    ///
    /// # Safety
    /// `address..address + len` must be valid for writes and touched by nobody until a completion names `number`, or
    /// every operation on the group has ended.
    pub(super) unsafe fn provide(&mut self, address: *mut u8, len: usize, number: u16) {
        let mut entry = self.entry(self.tail & self.mask);
        // SAFETY: inside the pages; the kernel reads an entry only after the tail has passed it.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(address as u64);
        entry.set_len(len as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        self.provided += 1;
        // SAFETY: the first entry of a registered ring; its last field is the ring's tail.
        let tail = unsafe { BufRingEntry::tail(self.entry(0).as_ptr()) };
        // SAFETY: aligned, valid as long as the pages, and shared with the kernel only.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// A completion named one of the buffers.
    pub(super) fn taken(&mut self) {
        self.provided -= 1;
    }

    /// Buffers that the kernel has.
    pub(super) fn provided(&self) -> usize {
        self.provided
    }

    pub(super) fn group(&self) -> u16 {
        self.group
    }

    fn entry(&self, index: u16) -> NonNull<BufRingEntry> {
        // SAFETY: `index` is at most `mask`, and so many entries fit the pages.
        unsafe { self.pages.cast::<BufRingEntry>().add(usize::from(index)) }
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: the pages came from a box, and the kernel has let go of them.
        drop(unsafe { Box::from_raw(self.pages.as_ptr()) });
    }
}

/// Memory in slots of one size that the kernel writes into.
pub(super) struct Slots {
    memory: NonNull<[u8]>,
    size: usize,
}

impl Slots {
    pub(super) fn new(count: usize, size: usize) -> Self {
        // Zeroed memory comes untouched from the system: a page is real once a packet was written to it.
        let memory = vec![0; count * size].into_boxed_slice();
        Self { memory: NonNull::from(Box::leak(memory)), size }
    }

    /// Where a slot is, for the kernel.
    pub(super) fn address(&self, slot: u16) -> *mut u8 {
        assert!((usize::from(slot) + 1) * self.size <= self.memory.len());
        // SAFETY: inside the memory, as just checked.
        unsafe { self.memory.cast::<u8>().add(usize::from(slot) * self.size).as_ptr() }
    }

    /// A slot's first `len` octets.
    ///
    /// # Safety
    /// The kernel must have given the slot back, and must not get it again while the slice lives.
    pub(super) unsafe fn bytes(&self, slot: u16, len: usize) -> &[u8] {
        // SAFETY: `address` checked that the slot is inside, and the caller that it is ours.
        unsafe { std::slice::from_raw_parts(self.address(slot), len.min(self.size)) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: the memory came from a box, and the kernel has let go of it.
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}
