//! What an engine draws: each key pair, nonce and cookie draws its own octets, so work that was not done drew none.

use super::World;
use adit_control::config::checked::Config;
use adit_control::ike::engine::Engine;
use adit_crypto::random::{SecretRandom, SeededRandom};
use adit_dataplane::contract::{ClusterSlot, SpiLayout};
use adit_dataplane::time::Instant;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Remembers how many octets were drawn each time.
#[derive(Debug)]
struct Counted {
    inner: SeededRandom,
    drawn: Arc<Mutex<Vec<usize>>>,
}

impl SecretRandom for Counted {
    fn fill(&mut self, out: &mut [u8]) {
        self.drawn.lock().unwrap().push(out.len());
        self.inner.fill(out);
    }
}

/// A world, and what its engine draws.
pub fn counted(config: Config) -> (World, Arc<Mutex<Vec<usize>>>) {
    let drawn = Arc::default();
    let random = Box::new(Counted { inner: SeededRandom::new(2), drawn: Arc::clone(&drawn) });
    let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
    let engine = Engine::new(Arc::new(config), 2, layout, random);
    let now = Instant::ZERO + Duration::from_secs(1000);
    (World { engine, dataplane: Default::default(), now, before: None, met: 0 }, drawn)
}

/// What no key exchange of this group can be done with, by its length or its value.
pub fn no_public_values(group: adit_crypto::suite::KexGroup) -> Vec<Vec<u8>> {
    let len = group.public_len();
    let mut one = vec![0; len];
    one[len - 1] = 1;
    let mut values = vec![vec![0; len], vec![7; len - 1], vec![7; len + 1]];
    if group == adit_crypto::suite::KexGroup::X25519 {
        // Little-endian (RFC 7748 section 5).
        one.reverse();
    } else {
        values.push(vec![0xff; len]);
    }
    values.push(one);
    values
}
