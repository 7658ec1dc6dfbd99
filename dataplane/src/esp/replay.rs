//! The anti-replay window (RFC 4303 section 3.4.3) as a ring of words (RFC 6479): sliding clears whole words and
//! never shifts bits.
//!
//! Checked before the ICV, accepted after it: a forged packet moves nothing.

use crate::contract::SequenceNumbers;
use crate::fate::DropReason;

/// Sequence numbers seen, for one inbound SA.
pub struct ReplayWindow {
    /// A power of two of words, more than the window needs: the top word is only partly used.
    words: Box<[u64]>,
    /// Highest number accepted; 0 before the first.
    highest: u64,
    window: u32,
    numbers: SequenceNumbers,
}

impl ReplayWindow {
    /// The smallest window: RFC 4303 section 3.4.3 wants 32 at least and 64 by default.
    pub const MIN: u32 = 64;
    /// The largest window: 8 KiB of bits. Far below 2³¹, the most that RFC 4303 appendix A2 can tell apart.
    pub const MAX: u32 = 65_536;

    /// A window of `window` packets, brought to a multiple of 64 from [`Self::MIN`] to [`Self::MAX`].
    pub fn new(window: u32, numbers: SequenceNumbers) -> Self {
        let window = window.clamp(Self::MIN, Self::MAX).next_multiple_of(u64::BITS);
        let words = (window / u64::BITS + 1).next_power_of_two();
        Self { words: vec![0; words as usize].into_boxed_slice(), highest: 0, window, numbers }
    }

    /// The whole number of a packet that bears `wire`, if it may be opened at all. Changes nothing.
    #[inline]
    pub fn check(&self, wire: u32) -> Result<u64, DropReason> {
        let number = match self.numbers {
            SequenceNumbers::Plain => u64::from(wire),
            SequenceNumbers::Extended => self.extend(wire)?,
        };
        if number > self.highest {
            return Ok(number);
        }
        if number == 0 {
            return Err(DropReason::ZeroSequence);
        }
        if self.highest - number >= u64::from(self.window) {
            return Err(DropReason::TooOld);
        }
        let (word, bit) = self.place(number);
        if self.words[word] & bit == 0 { Ok(number) } else { Err(DropReason::Replayed) }
    }

    /// Marks `number`, which was checked and whose ICV is good.
    #[inline]
    pub fn accept(&mut self, number: u64) {
        if number > self.highest {
            let (from, to) = (self.highest / WORD, number / WORD);
            let fresh = (to - from).min(self.words.len() as u64);
            for step in 0..fresh {
                let word = self.word(to - step);
                self.words[word] = 0;
            }
            self.highest = number;
        }
        let (word, bit) = self.place(number);
        self.words[word] |= bit;
    }

    /// Highest number accepted; 0 before the first.
    #[inline]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The high half that is not on the wire (RFC 4303 appendix A2): of all numbers that end in `wire` the first that
    /// is not left of the window. Whether the guess is right is for the ICV to say, which covers it.
    ///
    /// ```text
    ///            window           the next 2³² - window numbers
    ///          |<------>|------------------------------------------------|
    ///       bottom   highest
    /// ```
    ///
    /// DEVIATES: after 2³² lost packets in a row the guess is wrong for good, and the resynchronisation of appendix A3
    /// is not there; dead peer detection and rekeying replace such an SA.
    #[inline]
    fn extend(&self, wire: u32) -> Result<u64, DropReason> {
        let bottom = i128::from(self.highest) - i128::from(self.window - 1);
        let ahead = wire.wrapping_sub(bottom as u32);
        let number = bottom + i128::from(ahead);
        if number < 0 {
            return Err(DropReason::TooOld);
        }
        u64::try_from(number).map_err(|_| DropReason::SequenceExhausted)
    }

    #[inline]
    fn word(&self, index: u64) -> usize {
        index as usize & (self.words.len() - 1)
    }

    #[inline]
    fn place(&self, number: u64) -> (usize, u64) {
        (self.word(number / WORD), 1 << (number % WORD))
    }
}

/// Numbers of one word.
const WORD: u64 = u64::BITS as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use SequenceNumbers::{Extended, Plain};
    use adit_crypto::random::{SecretRandom, SeededRandom};
    use std::collections::BTreeSet;

    /// The dull twin: all numbers ever accepted, and RFC 4303 appendix A2 in its own words.
    #[derive(Default)]
    struct Twin {
        seen: BTreeSet<u64>,
    }

    impl Twin {
        fn check(&self, wire: u32, window: u32, numbers: SequenceNumbers) -> Result<u64, DropReason> {
            let highest = self.seen.last().copied().unwrap_or(0);
            let number = match numbers {
                Plain => u64::from(wire),
                Extended => {
                    let (th, tl, w) = (highest >> 32, highest as u32, window);
                    let seqh = if tl >= w - 1 {
                        // Case A: the window is within one subspace.
                        if wire >= tl - (w - 1) { Some(th) } else { (th < u64::from(u32::MAX)).then(|| th + 1) }
                    } else {
                        // Case B: it spans two.
                        if wire >= tl.wrapping_sub(w - 1) { th.checked_sub(1) } else { Some(th) }
                    };
                    let Some(seqh) = seqh else {
                        return Err(if th == 0 { DropReason::TooOld } else { DropReason::SequenceExhausted });
                    };
                    seqh << 32 | u64::from(wire)
                }
            };
            match number {
                0 => Err(DropReason::ZeroSequence),
                _ if number <= highest && highest - number >= u64::from(window) => Err(DropReason::TooOld),
                _ if self.seen.contains(&number) => Err(DropReason::Replayed),
                _ => Ok(number),
            }
        }
    }

    fn number(random: &mut SeededRandom) -> u32 {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    /// Walks around `centre` with 5000 numbers near it, of which seven in eight prove genuine.
    fn walk(window: u32, numbers: SequenceNumbers, seed: u64, mut centre: u64, end: u64) {
        let mut random = SeededRandom::new(seed);
        let (mut ring, mut twin) = (ReplayWindow::new(window, numbers), Twin::default());
        // The first packet takes the window there, as far as one packet can.
        if numbers == Extended {
            let steps = (1..).map(|step| step << 31).take_while(|n| *n < centre).take(8);
            let start: Vec<u64> = if centre >> 40 == 0 { steps.collect() } else { Vec::new() };
            for number in start {
                ring.accept(number);
                twin.seen.insert(number);
            }
            if centre >> 40 != 0 {
                ring.accept(centre);
                twin.seen.insert(centre);
            }
        }
        for _ in 0..5_000 {
            let ahead = u64::from(number(&mut random) % (window * 2)).min(end - centre);
            let behind = u64::from(number(&mut random) % (window * 2));
            let sequence = (centre + ahead).saturating_sub(behind);
            let verdict = ring.check(sequence as u32);
            assert_eq!(verdict, twin.check(sequence as u32, window, numbers), "{sequence} in a window of {window}");
            if let Ok(accepted) = verdict
                && !number(&mut random).is_multiple_of(8)
            {
                ring.accept(accepted);
                twin.seen.insert(accepted);
                centre = centre.max(ring.highest()).min(end);
            }
        }
    }

    #[test]
    fn the_window_agrees_with_a_set_of_all_numbers() {
        for window in [64, 128, 192, 1024, 4096, 65_536] {
            for seed in 0..20 {
                // A start, a middle where the number's bits carry, and the very end of the range.
                let last = u64::from(u32::MAX);
                let centre = [1, 0x7fff_fff0, last - 10_000][seed as usize % 3];
                walk(window, Plain, seed, centre, last);
                // The start, both sides of the first 2³², a later one, and the very end.
                let centre = [1, last - 3000, last + 3000, (5 << 32) - 100, u64::MAX - 10_000][seed as usize % 5];
                walk(window, Extended, seed, centre, u64::MAX);
            }
        }
    }

    #[test]
    fn without_extension_the_last_number_is_the_end() {
        let mut window = ReplayWindow::new(64, Plain);
        window.accept(window.check(u32::MAX).unwrap());
        for again in 0..10 {
            assert!(window.check(again).is_err(), "{again} would be a second round");
        }
        assert_eq!(window.check(u32::MAX), Err(DropReason::Replayed));
        assert_eq!(window.check(u32::MAX - 1), Ok(u64::from(u32::MAX) - 1));
    }

    #[test]
    fn the_high_half_follows_the_window_over_the_boundary_and_back_into_it() {
        let mut window = ReplayWindow::new(64, Extended);
        window.accept(window.check(1 << 31).unwrap());
        window.accept(window.check(u32::MAX).unwrap());
        assert_eq!(window.check(0), Ok(1 << 32), "number 0 is never sent, 2³² is");
        window.accept(1 << 32);
        assert_eq!(window.check(0), Err(DropReason::Replayed));
        assert_eq!(window.check(u32::MAX), Err(DropReason::Replayed));
        assert_eq!(window.check(u32::MAX - 1), Ok(u64::from(u32::MAX) - 1), "late, and of the first round");
        assert_eq!(window.check(u32::MAX - 62), Ok(u64::from(u32::MAX) - 62), "the left edge");
        // One further left can only be a packet of the second round.
        assert_eq!(window.check(u32::MAX - 63), Ok((1 << 32) + u64::from(u32::MAX) - 63));
    }

    #[test]
    fn before_the_first_packet_nothing_counts_as_older() {
        let window = ReplayWindow::new(64, Extended);
        assert_eq!(window.check(0), Err(DropReason::ZeroSequence));
        assert_eq!(window.check(1), Ok(1));
        assert_eq!(window.check(u32::MAX - 63), Ok(u64::from(u32::MAX) - 63));
        assert_eq!(window.check(u32::MAX - 62), Err(DropReason::TooOld), "of a round before the first");
    }

    #[test]
    fn extended_numbers_end_where_64_bits_end() {
        let mut window = ReplayWindow::new(64, Extended);
        window.accept(u64::MAX);
        assert_eq!(window.check(0), Err(DropReason::SequenceExhausted));
        assert_eq!(window.check(u32::MAX), Err(DropReason::Replayed));
        assert_eq!(window.check(u32::MAX - 63), Ok(u64::MAX - 63));
        assert_eq!(window.check(u32::MAX - 64), Err(DropReason::SequenceExhausted));
    }

    #[test]
    fn a_leap_over_the_whole_ring_leaves_no_old_bit_behind() {
        for leap in [63, 64, 65, 127, 128, 1 << 20, u32::MAX - 64] {
            for numbers in [Plain, Extended] {
                let mut window = ReplayWindow::new(64, numbers);
                (1..=64).for_each(|sequence| window.accept(sequence));
                window.accept(u64::from(64 + leap));
                assert_eq!(window.check(64 + leap), Err(DropReason::Replayed));
                for back in 1..64.min(leap) {
                    let number = 64 + leap - back;
                    assert_eq!(window.check(number), Ok(number.into()), "{back} below a leap of {leap}");
                }
            }
        }
    }

    #[test]
    fn both_edges_of_the_window_are_where_the_rfc_puts_them() {
        let mut window = ReplayWindow::new(64, Plain);
        window.accept(100);
        assert_eq!(window.check(100), Err(DropReason::Replayed));
        assert_eq!(window.check(101), Ok(101));
        assert_eq!(window.check(37), Ok(37), "the 64th number from the right is in");
        assert_eq!(window.check(36), Err(DropReason::TooOld));
        assert_eq!(window.check(0), Err(DropReason::ZeroSequence));
    }

    #[test]
    fn sizes_are_brought_into_range() {
        for (asked, given) in [(0, 64), (64, 64), (65, 128), (1024, 1024), (65_536, 65_536), (u32::MAX, 65_536)] {
            assert_eq!(ReplayWindow::new(asked, Plain).window, given);
        }
    }

    #[test]
    fn checking_changes_nothing() {
        let window = ReplayWindow::new(64, Plain);
        for _ in 0..2 {
            assert_eq!(window.check(5), Ok(5));
        }
    }
}
