//! A datagram that the kernel wrote into a door's own memory, on its way into packets.
//!
//! Doors receive into slots of 64 KiB and copy: so any datagram fits, whatever its size; datagrams that the kernel
//! joined (UDP_GRO) come apart here; the kernel never writes into a pool's buffers while others hold them; and a
//! slot is the kernel's again at once. The copy of 1400 octets that were just written costs some 30 ns, the kernel's
//! way to get them here 20 to 80 times as much.

use crate::contract::Path;
use crate::packet::{Burst, Channel, PacketBuf, Pool};
use crate::wire::traffic_class::TrafficClass;

/// Octets of a slot: the longest UDP payload, and what UDP_GRO may join.
pub(super) const SLOT: usize = 65_536;
/// Octets left free between slots: were they a power of two apart, the beginnings of all would share a few cache sets.
pub(super) const SLOT_GAP: usize = 1536;

/// What lies in a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) channel: Channel,
    pub(super) path: Path,
    pub(super) class: TrafficClass,
    /// It came in fragments, the longest of so many octets.
    pub(super) longest_fragment: Option<u16>,
    /// Octets in all.
    pub(super) len: usize,
    /// Octets of each datagram (the last may have less), if it is several.
    pub(super) segment: Option<usize>,
    /// Octets delivered so far.
    pub(super) done: usize,
}

/// How far a delivery got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The slot is free.
    All,
    /// The limit was reached.
    Limit,
    /// The pool is empty.
    Starved,
}

impl Arrival {
    /// Copies the datagrams in `payload` (the slot's first `len` octets) into packets, until all are there, `burst`
    /// is `until` long or the pool is empty.
    pub(super) fn deliver(&mut self, payload: &[u8], pool: &mut Pool, burst: &mut Burst, until: usize) -> Delivered {
        let small_room = pool.sizes().small_capacity.saturating_sub(PacketBuf::HEADROOM + PacketBuf::TAILROOM);
        loop {
            if burst.len() >= until {
                return Delivered::Limit;
            }
            let rest = payload.get(self.done..).unwrap_or_default();
            let datagram = &rest[..self.segment.unwrap_or(rest.len()).min(rest.len())];
            let taken = if datagram.len() <= small_room { pool.take_small() } else { pool.take_large() };
            let Some(mut packet) = taken else { return Delivered::Starved };
            let Some(room) = packet.extend_back(datagram.len()) else {
                pool.put(packet);
                return Delivered::Starved;
            };
            room.copy_from_slice(datagram);
            packet.meta.channel = self.channel;
            packet.meta.path = Some(self.path);
            packet.meta.outer_class = self.class;
            packet.meta.longest_fragment = self.longest_fragment;
            burst.push(packet);
            self.done += datagram.len();
            if self.done >= self.len {
                return Delivered::All;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PoolSizes;

    fn arrival(len: usize, segment: Option<usize>) -> Arrival {
        let path = Path { local: "127.0.0.1:4500".parse().unwrap(), peer: "127.0.0.1:9".parse().unwrap() };
        let (channel, class) = (Channel::NatT, TrafficClass::default());
        Arrival { channel, path, class, longest_fragment: None, len, segment, done: 0 }
    }

    fn pool() -> Pool {
        Pool::new(PoolSizes { small: 4, small_capacity: 2048, large: 1 })
    }

    #[test]
    fn joined_datagrams_come_apart_over_as_many_calls_as_the_limit_makes_of_it() {
        let (mut pool, mut burst) = (pool(), Burst::new());
        let payload: Vec<u8> = (0..35).collect();
        let mut arrival = arrival(35, Some(10));
        assert_eq!(arrival.deliver(&payload, &mut pool, &mut burst, 3), Delivered::Limit);
        assert_eq!(arrival.deliver(&payload, &mut pool, &mut burst, 3), Delivered::Limit);
        assert_eq!(arrival.deliver(&payload, &mut pool, &mut burst, 9), Delivered::All);
        let all: Vec<u8> = burst.iter().flat_map(|packet| packet.bytes().to_vec()).collect();
        assert_eq!(all, payload);
        assert_eq!(burst.iter().map(PacketBuf::len).collect::<Vec<_>>(), [10, 10, 10, 5]);
    }

    #[test]
    fn an_empty_datagram_is_one_packet_and_the_largest_gets_a_large_buffer() {
        let (mut pool, mut burst) = (pool(), Burst::new());
        assert_eq!(arrival(0, None).deliver(&[], &mut pool, &mut burst, 9), Delivered::All);
        assert_eq!(arrival(65_507, None).deliver(&[7; 65_507], &mut pool, &mut burst, 9), Delivered::All);
        assert_eq!(burst.iter().map(PacketBuf::len).collect::<Vec<_>>(), [0, 65_507]);
        assert_eq!(pool.free(), (3, 0));
        assert_eq!(arrival(65_507, None).deliver(&[7; 65_507], &mut pool, &mut burst, 9), Delivered::Starved);
    }
}
