//! Inner addresses that name their owner.
//!
//! Unlike an SPI, an inner address is not ours to make up, so the rule is as plain as can be: the last 32 bits, as a
//! number, modulo the workers. Neighbouring leases then lie on different workers, control can choose a lease for a
//! worker, and the kernel can tell the worker from the packet alone, without a table that would have to be kept up.

use super::WorkerId;
use std::net::IpAddr;
use std::num::NonZero;

/// Which worker an inner address belongs to. Copied to all who need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InnerLayout {
    workers: NonZero<u8>,
}

impl InnerLayout {
    /// For so many workers: at least one, and no more than [`WorkerId::MAX_WORKERS`].
    pub fn new(workers: usize) -> Self {
        let workers = u8::try_from(workers.min(WorkerId::MAX_WORKERS)).ok().and_then(NonZero::new);
        Self { workers: workers.unwrap_or(NonZero::<u8>::MIN) }
    }

    /// How many there are.
    pub fn workers(self) -> usize {
        usize::from(self.workers.get())
    }

    /// Whose address this is.
    pub fn owner(self, address: IpAddr) -> WorkerId {
        let last = match address {
            IpAddr::V4(address) => u32::from(address),
            IpAddr::V6(address) => (u128::from(address) & u128::from(u32::MAX)) as u32,
        };
        WorkerId((last % u32::from(self.workers.get())) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_addresses_belong_to_workers_in_turn_in_both_families() {
        let layout = InnerLayout::new(3);
        // 10.30.0.0 is 169 738 240 and ::1:0 is 65 536; both leave 1 when divided by 3.
        for (v4, v6, owner) in
            [("10.30.0.0", "fd30::1:0", 1), ("10.30.0.1", "fd30::1:1", 2), ("10.30.0.2", "fd30::1:2", 0)]
        {
            assert_eq!(layout.owner(v4.parse().unwrap()), WorkerId(owner), "{v4}");
            assert_eq!(layout.owner(v6.parse().unwrap()), WorkerId(owner), "{v6}");
        }
    }

    #[test]
    fn every_number_of_workers_makes_a_layout_that_names_only_those() {
        for (workers, counted) in [(0, 1), (1, 1), (64, 64), (65, 64), (usize::MAX, 64)] {
            let layout = InnerLayout::new(workers);
            assert_eq!(layout.workers(), counted);
            let last = layout.owner("255.255.255.255".parse().unwrap());
            assert!(last.index() < counted, "{last:?}");
        }
    }
}
