//! How fast a tunnel's packets may come and go.

use std::num::NonZeroU64;
use std::time::Duration;

/// A limit for one direction: so many bits a second on average, and so many octets at once.
///
/// Both count inner packets, IP header and all. At least [`Rate::LEAST_BURST`] octets may come at once: no IP packet is
/// longer, so none is too long for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    bits_per_second: NonZeroU64,
    burst: u64,
}

/// Both directions of a tunnel; `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rates {
    /// From the peer.
    pub up: Option<Rate>,
    /// To the peer.
    pub down: Option<Rate>,
}

impl Rate {
    /// The least burst in octets.
    pub const LEAST_BURST: u64 = 64 << 10;
    /// The largest burst in octets.
    pub const MOST_BURST: u64 = 1 << 30;
    /// The highest rate in bits a second; what is faster counts as this.
    pub const FASTEST: u64 = 1_000_000_000_000;

    /// So many bits a second; `burst` is the time in which as much may come at once as comes in it on average. `None` if no bits may come at
    /// all: that is no limit but a lock.
    pub fn new(bits_per_second: u64, burst: Duration) -> Option<Self> {
        let bits_per_second = NonZeroU64::new(bits_per_second.min(Self::FASTEST))?;
        let bits = u128::from(bits_per_second.get()) * burst.as_nanos() / 1_000_000_000;
        let octets = u64::try_from(bits / 8).unwrap_or(u64::MAX);
        Some(Self { bits_per_second, burst: octets.clamp(Self::LEAST_BURST, Self::MOST_BURST) })
    }

    /// Bits a second on average.
    pub const fn bits_per_second(self) -> u64 {
        self.bits_per_second.get()
    }

    /// Octets at once.
    pub const fn burst(self) -> u64 {
        self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_a_time_of_the_rate_and_holds_any_packet() {
        for (bits, millis, burst) in [
            (100_000_000, 100, 1_250_000),
            (8_000, 100, Rate::LEAST_BURST),
            (100_000_000, 0, Rate::LEAST_BURST),
            (u64::MAX, 10_000, Rate::MOST_BURST),
        ] {
            let rate = Rate::new(bits, Duration::from_millis(millis)).unwrap();
            assert_eq!((rate.burst(), rate.bits_per_second()), (burst, bits.min(Rate::FASTEST)));
        }
        assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
    }
}
