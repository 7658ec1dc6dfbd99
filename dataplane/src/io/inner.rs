//! A packet that the kernel wrote, vnet header in front, into a large buffer from the pool: what is small moves into
//! a small buffer, and the large one is used again.

use super::message::Unsound;
use super::vnet;
use crate::packet::{Burst, Channel, PacketBuf, Pool};
use std::io;

/// Octets read from the inner side in one receive: a super-packet becomes dozens of packets, and a turn has to end.
pub(super) const BUDGET: usize = 4 * 65_536;

/// What reading says when someone has removed the interface.
pub(super) const GONE: i32 = libc::EBADFD;

/// The same, for whoever waits: there is nothing left to wait for.
pub(super) fn gone() -> io::Error {
    io::Error::other("the inner network's interface was removed")
}

/// Large buffers that wait for the next read.
#[derive(Default)]
pub(super) struct Inner {
    spare: Vec<PacketBuf>,
}

impl Inner {
    /// A large buffer; `None` if the pool is out of them.
    pub(super) fn buffer(&mut self, pool: &mut Pool) -> Option<PacketBuf> {
        self.spare.pop().or_else(|| pool.take_large())
    }

    /// Takes back a buffer that nothing was read into.
    pub(super) fn keep(&mut self, buffer: PacketBuf) {
        self.spare.push(buffer);
    }

    /// Puts the packet, `len` octets with its vnet header, into the burst. What is not sound stays out of it.
    pub(super) fn deliver(
        &mut self,
        mut buffer: PacketBuf,
        len: usize,
        pool: &mut Pool,
        burst: &mut Burst,
    ) -> Result<(), Unsound> {
        let header = room(&mut buffer).first_chunk::<{ vnet::LEN }>().copied();
        let read = header.filter(|_| len > vnet::LEN).map(vnet::read);
        let Some(Ok((segments, checksum))) = read else {
            self.keep(buffer);
            return Err(Unsound::Malformed);
        };
        let len = len - vnet::LEN;
        if buffer.set_range(PacketBuf::HEADROOM, len).is_none() {
            self.keep(buffer);
            return Err(Unsound::Truncated);
        }
        let small_room = pool.sizes().small_capacity.saturating_sub(PacketBuf::HEADROOM + PacketBuf::TAILROOM);
        let small = if len <= small_room { pool.take_small() } else { None };
        let mut packet = match small {
            Some(mut small) => {
                if let Some(room) = small.extend_back(len) {
                    room.copy_from_slice(buffer.bytes());
                }
                buffer.reset();
                self.keep(buffer);
                small
            }
            None => buffer,
        };
        packet.meta.channel = Channel::Inner;
        packet.meta.segments = segments;
        packet.meta.checksum = checksum;
        burst.push(packet);
        Ok(())
    }
}

/// Where the kernel writes: the vnet header ends where the packet starts, and the tailroom stays free.
pub(super) fn room(buffer: &mut PacketBuf) -> &mut [u8] {
    let end = buffer.capacity() - PacketBuf::TAILROOM;
    &mut buffer.memory_mut()[PacketBuf::HEADROOM - vnet::LEN..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fate::Fate;
    use crate::packet::{PoolSizes, Segments};

    #[test]
    fn small_packets_move_to_small_buffers_and_super_packets_keep_theirs() {
        let mut pool = Pool::new(PoolSizes { small: 2, small_capacity: 2048, large: 2 });
        let (mut inner, mut burst) = (Inner::default(), Burst::new());
        for (len, segments) in [(100, 0u16), (40_000, 1400)] {
            let mut buffer = inner.buffer(&mut pool).unwrap();
            let [size_0, size_1] = segments.to_ne_bytes();
            let kind = u8::from(segments > 0);
            room(&mut buffer)[..10].copy_from_slice(&[1, kind, 0, 0, size_0, size_1, 20, 0, 16, 0]);
            room(&mut buffer)[10..10 + len].fill(len as u8);
            assert_eq!(inner.deliver(buffer, 10 + len, &mut pool, &mut burst), Ok(()));
        }
        assert_eq!(pool.free(), (1, 1));
        assert_eq!((burst[0].len(), burst[0].capacity(), burst[0].meta.segments), (100, 2048, Segments::One));
        assert_eq!((burst[1].len(), burst[1].meta.segments), (40_000, Segments::Tcp { payload: 1400 }));
        assert_eq!(burst[1].meta.fate, Fate::Forward);
        assert!(burst.iter().all(|packet| packet.bytes().iter().all(|&octet| octet == packet.len() as u8)));
        for len in [0, 9, 10] {
            let buffer = inner.buffer(&mut pool).unwrap();
            assert_eq!(inner.deliver(buffer, len, &mut pool, &mut burst), Err(Unsound::Malformed));
        }
        assert_eq!(burst.len(), 2, "what has no packet behind its header is none");
    }
}
