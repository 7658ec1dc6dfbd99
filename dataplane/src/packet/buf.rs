//! One packet in its own memory, written once: headers are put in front, trailers behind.

use super::Meta;

/// Memory, the part of it that is the packet, and what is known about it.
///
/// ```text
/// |<-- headroom -->|<-- len -->|<-- tailroom -->|
/// memory           start
/// ```
pub struct PacketBuf {
    memory: Box<[u8]>,
    start: u32,
    len: u32,
    /// What the stages know about it.
    pub meta: Meta,
}

impl PacketBuf {
    /// Room in front that every received packet has: outer headers, ESP header and IV fit.
    pub const HEADROOM: usize = 256;
    /// Room behind that every small packet has: padding, trailer, ICV.
    pub const TAILROOM: usize = 128;

    /// An empty packet in fresh memory. Pools call it at start; the packet path never does.
    pub fn allocate(capacity: usize) -> Self {
        Self {
            memory: vec![0; capacity].into_boxed_slice(),
            start: Self::HEADROOM as u32,
            len: 0,
            meta: Meta::default(),
        }
    }

    /// Back to empty with full headroom.
    pub fn reset(&mut self) {
        self.start = Self::HEADROOM as u32;
        self.len = 0;
        self.meta = Meta::default();
    }

    /// The packet.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start as usize..(self.start + self.len) as usize]
    }

    /// The packet.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start as usize..(self.start + self.len) as usize]
    }

    /// All of the memory, for a door to receive into.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    /// Says which part of the memory is the packet; `None` (and no change) if it does not fit.
    pub fn set_range(&mut self, start: usize, len: usize) -> Option<()> {
        if start.checked_add(len)? > self.memory.len() {
            return None;
        }
        self.start = start as u32;
        self.len = len as u32;
        Some(())
    }

    /// Octets of the packet.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Offset of the packet in its memory.
    pub fn start(&self) -> usize {
        self.start as usize
    }

    /// Octets of memory in all.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Octets free behind the packet.
    pub fn tailroom(&self) -> usize {
        self.memory.len() - (self.start + self.len) as usize
    }

    /// Takes `n` octets off the front; `None` if there are not that many.
    pub fn strip_front(&mut self, n: usize) -> Option<()> {
        if n > self.len() {
            return None;
        }
        self.start += n as u32;
        self.len -= n as u32;
        Some(())
    }

    /// Keeps the first `len` octets; `None` if there are not that many.
    pub fn truncate(&mut self, len: usize) -> Option<()> {
        if len > self.len() {
            return None;
        }
        self.len = len as u32;
        Some(())
    }

    /// Makes room for `n` octets in front; `None` if the headroom is too small. Their content is stale.
    pub fn extend_front(&mut self, n: usize) -> Option<&mut [u8]> {
        if n > self.start() {
            return None;
        }
        self.start -= n as u32;
        self.len += n as u32;
        Some(&mut self.bytes_mut()[..n])
    }

    /// Makes room for `n` octets behind; `None` if the tailroom is too small. Their content is stale.
    pub fn extend_back(&mut self, n: usize) -> Option<&mut [u8]> {
        if n > self.tailroom() {
            return None;
        }
        let len = self.len();
        self.len += n as u32;
        Some(&mut self.bytes_mut()[len..])
    }
}
