//! The two doors of chance: secret randomness for keys and nonces, seeded randomness for simulations.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// A source that is good enough for keys. Machines take `&mut dyn SecretRandom`, so that a
/// simulation can hand them a seeded one.
pub trait SecretRandom: Send {
    /// Fills `out` with bytes that nobody can predict.
    fn fill(&mut self, out: &mut [u8]);
}

/// The operating system's source.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl SecretRandom for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    #[expect(clippy::expect_used, reason = "without randomness no key may be made: stopping is the only safe answer")]
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the operating system gives randomness");
    }
}

/// ChaCha20 from a seed: for simulations and tests, so that a run can be replayed.
#[derive(Debug, Clone)]
pub struct SeededRandom(ChaCha20Rng);

impl SeededRandom {
    /// The same seed gives the same bytes.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }
}

impl SecretRandom for SeededRandom {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }
}
