//! The anti-replay window (RFC 4303 section 3.4.3) as a ring of words (RFC 6479): sliding clears whole words and
//! never shifts bits.
//!
//! Checked before the ICV, accepted after it: a forged packet moves nothing.

use crate::fate::DropReason;

/// Sequence numbers seen, for one inbound SA.
pub struct ReplayWindow {
    /// A power of two of words, more than the window needs: the top word is only partly used.
    words: Box<[u64]>,
    /// Highest number accepted; 0 before the first.
    highest: u32,
    window: u32,
}

impl ReplayWindow {
    /// The smallest window: RFC 4303 section 3.4.3 wants 32 at least and 64 by default.
    pub const MIN: u32 = 64;
    /// The largest window: 8 KiB of bits.
    pub const MAX: u32 = 65_536;

    /// A window of `window` packets, brought to a multiple of 64 from [`Self::MIN`] to [`Self::MAX`].
    pub fn new(window: u32) -> Self {
        let window = window.clamp(Self::MIN, Self::MAX).next_multiple_of(u64::BITS);
        let words = (window / u64::BITS + 1).next_power_of_two();
        Self { words: vec![0; words as usize].into_boxed_slice(), highest: 0, window }
    }

    /// Whether `sequence` may be opened at all. Changes nothing.
    #[inline]
    pub fn check(&self, sequence: u32) -> Result<(), DropReason> {
        if sequence > self.highest {
            return Ok(());
        }
        if sequence == 0 {
            return Err(DropReason::ZeroSequence);
        }
        if self.highest - sequence >= self.window {
            return Err(DropReason::TooOld);
        }
        let (word, bit) = self.place(sequence);
        if self.words[word] & bit == 0 { Ok(()) } else { Err(DropReason::Replayed) }
    }

    /// Marks `sequence`, which was checked and whose ICV is good.
    #[inline]
    pub fn accept(&mut self, sequence: u32) {
        if sequence > self.highest {
            let (from, to) = (self.highest / u64::BITS, sequence / u64::BITS);
            let fresh = (to - from).min(self.words.len() as u32);
            for step in 0..fresh {
                let word = self.word(to - step);
                self.words[word] = 0;
            }
            self.highest = sequence;
        }
        let (word, bit) = self.place(sequence);
        self.words[word] |= bit;
    }

    /// Highest number accepted; 0 before the first.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    #[inline]
    fn word(&self, index: u32) -> usize {
        index as usize & (self.words.len() - 1)
    }

    #[inline]
    fn place(&self, sequence: u32) -> (usize, u64) {
        (self.word(sequence / u64::BITS), 1 << (sequence % u64::BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::{SecretRandom, SeededRandom};
    use std::collections::BTreeSet;

    /// The dull twin: all numbers ever accepted.
    #[derive(Default)]
    struct Twin {
        seen: BTreeSet<u32>,
    }

    impl Twin {
        fn check(&self, sequence: u32, window: u32) -> Result<(), DropReason> {
            let highest = self.seen.last().copied().unwrap_or(0);
            match sequence {
                0 => Err(DropReason::ZeroSequence),
                _ if sequence <= highest && highest - sequence >= window => Err(DropReason::TooOld),
                _ if self.seen.contains(&sequence) => Err(DropReason::Replayed),
                _ => Ok(()),
            }
        }
    }

    fn number(random: &mut SeededRandom) -> u32 {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    #[test]
    fn the_window_agrees_with_a_set_of_all_numbers() {
        for window in [64, 128, 192, 1024, 4096, 65_536] {
            for seed in 0..20 {
                let mut random = SeededRandom::new(seed);
                let (mut ring, mut twin) = (ReplayWindow::new(window), Twin::default());
                // A start, a middle where the number's bits carry, and the very end of the range.
                let mut centre = [1, 0x7fff_fff0, u32::MAX - 10_000][seed as usize % 3];
                for _ in 0..5_000 {
                    let ahead = (number(&mut random) % (window * 2)).min(u32::MAX - centre);
                    let behind = (number(&mut random) % (window * 2)).min(centre);
                    let sequence = centre + ahead - behind.min(centre + ahead);
                    let verdict = ring.check(sequence);
                    assert_eq!(verdict, twin.check(sequence, window), "{sequence} in a window of {window}");
                    if verdict.is_ok() && !number(&mut random).is_multiple_of(8) {
                        ring.accept(sequence);
                        twin.seen.insert(sequence);
                        centre = centre.max(ring.highest());
                    }
                }
            }
        }
    }

    #[test]
    fn a_leap_over_the_whole_ring_leaves_no_old_bit_behind() {
        for leap in [63, 64, 65, 127, 128, 1 << 20, u32::MAX - 64] {
            let mut window = ReplayWindow::new(64);
            (1..=64).for_each(|sequence| window.accept(sequence));
            window.accept(64 + leap);
            assert_eq!(window.check(64 + leap), Err(DropReason::Replayed));
            for back in 1..64.min(leap) {
                assert_eq!(window.check(64 + leap - back), Ok(()), "{back} below a leap of {leap}");
            }
        }
    }

    #[test]
    fn both_edges_of_the_window_are_where_the_rfc_puts_them() {
        let mut window = ReplayWindow::new(64);
        window.accept(100);
        assert_eq!(window.check(100), Err(DropReason::Replayed));
        assert_eq!(window.check(101), Ok(()));
        assert_eq!(window.check(37), Ok(()), "the 64th number from the right is in");
        assert_eq!(window.check(36), Err(DropReason::TooOld));
        assert_eq!(window.check(0), Err(DropReason::ZeroSequence));
    }

    #[test]
    fn sizes_are_brought_into_range() {
        for (asked, given) in [(0, 64), (64, 64), (65, 128), (1024, 1024), (65_536, 65_536), (u32::MAX, 65_536)] {
            assert_eq!(ReplayWindow::new(asked).window, given);
        }
    }

    #[test]
    fn checking_changes_nothing() {
        let window = ReplayWindow::new(64);
        for _ in 0..2 {
            assert_eq!(window.check(5), Ok(()));
        }
    }
}
