//! SPIs that name their owner.
//!
//! ```text
//!  inside:   | cluster : 3 | worker : 6 | slot : 20 | random : 3 |
//!                          ↓ keyed permutation (4-round Feistel over two 16-bit halves)
//!  outside:  | 32 bits that look random; 0..=255 never occur (RFC 4303 section 2.1) |
//! ```
//!
//! The permutation hides load and order from outside; it is not a secret that protects anything: packets are
//! authenticated by their ICV. It is built of multiply, add, shift, xor on 32 bits, so that the kernel's
//! classic BPF can undo it and steer a packet to its worker.

use super::WorkerId;
use adit_crypto::random::SecretRandom;
use std::fmt;
use std::num::NonZero;

/// An inbound SPI. Values 0..=255 are reserved (RFC 4303 section 2.1), so `Option<Spi>` is four octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(NonZero<u32>);

impl Spi {
    /// `None` for the reserved values.
    pub const fn new(value: u32) -> Option<Self> {
        match NonZero::new(value) {
            Some(nonzero) if value > 255 => Some(Self(nonzero)),
            _ => None,
        }
    }

    /// As it stands on the wire (host order).
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Debug for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.get())
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// This node's place in a cluster, 0 to 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClusterSlot(pub u8);

/// What an SPI says inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpiParts {
    /// Which node.
    pub cluster: ClusterSlot,
    /// Which worker there.
    pub worker: WorkerId,
    /// Which slot of its SAD, below 2²⁰.
    pub slot: u32,
}

/// One Feistel round: `(half · multiplier + addend) >> 12`, low 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Odd.
    pub multiplier: u32,
    /// Any.
    pub addend: u32,
}

/// The keyed permutation. Copied to all who need to read an SPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiLayout {
    cluster: ClusterSlot,
    rounds: [Round; 4],
}

impl SpiLayout {
    /// Lowest bit of the worker field inside.
    pub const WORKER_SHIFT: u32 = 23;
    /// Lowest bit of the slot field inside.
    pub const SLOT_SHIFT: u32 = 3;
    /// One more than the highest slot.
    pub const SLOTS: u32 = 1 << 20;
    const CLUSTER_SHIFT: u32 = 29;
    const RANDOM_MASK: u32 = 0b111;

    /// A layout with a fresh key.
    pub fn new(cluster: ClusterSlot, random: &mut dyn SecretRandom) -> Self {
        let mut word = || {
            let mut bytes = [0; 4];
            random.fill(&mut bytes);
            u32::from_ne_bytes(bytes)
        };
        let rounds = std::array::from_fn(|_| Round { multiplier: word() | 1, addend: word() });
        Self { cluster, rounds }
    }

    /// The rounds, for whoever writes the kernel's steering program.
    pub fn rounds(&self) -> &[Round; 4] {
        &self.rounds
    }

    /// An SPI for this owner; `filler` is random (its low 3 bits count). `None` if the outcome is reserved:
    /// try another filler.
    pub fn encode(&self, worker: WorkerId, slot: u32, filler: u32) -> Option<Spi> {
        debug_assert!(worker.index() < WorkerId::MAX_WORKERS && slot < Self::SLOTS && self.cluster.0 < 8);
        let inside = u32::from(self.cluster.0) << Self::CLUSTER_SHIFT
            | u32::from(worker.0) << Self::WORKER_SHIFT
            | slot << Self::SLOT_SHIFT
            | filler & Self::RANDOM_MASK;
        Spi::new(self.permute(inside))
    }

    /// What the SPI says inside. Any 32 bits say something; the SAD compares the whole SPI.
    pub fn decode(&self, spi: Spi) -> SpiParts {
        let inside = self.unpermute(spi.get());
        SpiParts {
            cluster: ClusterSlot((inside >> Self::CLUSTER_SHIFT) as u8),
            worker: WorkerId((inside >> Self::WORKER_SHIFT & 0x3f) as u8),
            slot: inside >> Self::SLOT_SHIFT & (Self::SLOTS - 1),
        }
    }

    fn permute(&self, value: u32) -> u32 {
        let (mut left, mut right) = (value >> 16, value & 0xffff);
        for round in &self.rounds {
            (left, right) = (right, left ^ round.mix(right));
        }
        left << 16 | right
    }

    fn unpermute(&self, value: u32) -> u32 {
        let (mut left, mut right) = (value >> 16, value & 0xffff);
        for round in self.rounds.iter().rev() {
            (left, right) = (right ^ round.mix(left), left);
        }
        left << 16 | right
    }
}

impl Round {
    /// What one half contributes to the other.
    pub fn mix(self, half: u32) -> u32 {
        half.wrapping_mul(self.multiplier).wrapping_add(self.addend) >> 12 & 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::SeededRandom;

    #[test]
    fn an_spi_says_inside_what_was_put_in() {
        for seed in 0..50 {
            let layout = SpiLayout::new(ClusterSlot((seed % 8) as u8), &mut SeededRandom::new(seed));
            for worker in [0, 1, 2, 31, 63] {
                for slot in [0, 1, 2, 4095, 65_536, SpiLayout::SLOTS - 1] {
                    for filler in 0..8 {
                        let Some(spi) = layout.encode(WorkerId(worker), slot, filler) else { continue };
                        assert!(spi.get() > 255);
                        let parts = layout.decode(spi);
                        assert_eq!((parts.worker.0, parts.slot), (worker, slot));
                        assert_eq!(parts.cluster, layout.cluster);
                    }
                }
            }
        }
    }

    #[test]
    fn neighbouring_slots_do_not_look_alike_outside() {
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(7));
        let spis: Vec<u32> = (0..1000).filter_map(|slot| layout.encode(WorkerId(0), slot, 0)).map(Spi::get).collect();
        let increasing = spis.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((300..700).contains(&increasing), "{increasing} of 999 neighbours are in order");
    }
}
