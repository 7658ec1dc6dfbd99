//! Chance that nobody outside can foretell, and that costs next to nothing.

/// Numbers of an xorshift generator (Marsaglia, 2003).
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        // xorshift never leaves 0.
        Self(seed | 1)
    }

    /// The next one, all alike.
    #[inline]
    pub(super) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}
