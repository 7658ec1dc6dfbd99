//! A worker's packets: allocated once at start, then only taken and put back.

use super::PacketBuf;

/// How many buffers of each class, and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSizes {
    /// Buffers for ordinary packets.
    pub small: usize,
    /// Octets of each, headroom and tailroom included.
    pub small_capacity: usize,
    /// Buffers for super-packets.
    pub large: usize,
}

impl PoolSizes {
    /// Octets of a super-packet's buffer: 64 KiB of packet with room in front and behind.
    pub const LARGE_CAPACITY: usize = PacketBuf::HEADROOM + 65_536 + PacketBuf::TAILROOM;
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { small: 4096, small_capacity: 2048, large: 128 }
    }
}

/// Free buffers in two classes.
pub struct Pool {
    small: Vec<PacketBuf>,
    large: Vec<PacketBuf>,
    sizes: PoolSizes,
}

impl Pool {
    /// Allocates all of them.
    pub fn new(sizes: PoolSizes) -> Self {
        let fill = |n, capacity| std::iter::repeat_with(|| PacketBuf::allocate(capacity)).take(n).collect();
        Self {
            small: fill(sizes.small, sizes.small_capacity),
            large: fill(sizes.large, PoolSizes::LARGE_CAPACITY),
            sizes,
        }
    }

    /// A buffer for an ordinary packet, reset; `None` when all are out.
    pub fn take_small(&mut self) -> Option<PacketBuf> {
        self.small.pop()
    }

    /// A buffer for a super-packet, reset; `None` when all are out.
    pub fn take_large(&mut self) -> Option<PacketBuf> {
        self.large.pop()
    }

    /// A buffer, reset, that holds a packet of `len` octets with its tailroom left free; `None` when all are out.
    pub fn take(&mut self, len: usize) -> Option<PacketBuf> {
        let small = PacketBuf::HEADROOM + len + PacketBuf::TAILROOM <= self.sizes.small_capacity;
        if small { self.take_small() } else { self.take_large() }
    }

    /// Back into its class.
    pub fn put(&mut self, mut packet: PacketBuf) {
        packet.reset();
        if packet.capacity() == self.sizes.small_capacity {
            self.small.push(packet);
        } else {
            self.large.push(packet);
        }
    }

    /// Free buffers: small, large.
    pub fn free(&self) -> (usize, usize) {
        (self.small.len(), self.large.len())
    }

    /// What it was made with.
    pub fn sizes(&self) -> PoolSizes {
        self.sizes
    }
}
