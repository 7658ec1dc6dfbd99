//! Whether ESP's own numbers have gaps where the stream has holes, or the other way round.
//!
//! Numbers are taken as they come, before anything is opened: they say something of the path and move nothing.

use crate::wire::esp::HEADER_LEN;

/// A rekey overlaps with what it replaces.
const SPIS: usize = 2;
/// So far back a late packet is told from one that comes again.
const BACK: u32 = 64;

/// What a packet's number says of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// The number before it has come.
    None,
    /// Numbers before it have not.
    Some,
    /// Nothing: it is the first of its SPI, or comes late.
    Unknown,
}

/// Whether it is known that a packet begins where one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    Here,
    Perhaps,
}

/// The numbers of the last two SPIs.
#[derive(Debug, Default)]
pub(super) struct EspOrder {
    spis: [Option<Numbers>; SPIS],
    /// Packets.
    pub(super) seen: u64,
    /// Numbers that have not come.
    pub(super) missing: u64,
    /// That came after a later one.
    pub(super) late: u64,
    /// That came again.
    pub(super) again: u64,
}

#[derive(Debug, Clone, Copy)]
struct Numbers {
    spi: u32,
    highest: u32,
    /// Bit `n`: `highest - n` has come.
    come: u64,
}

impl EspOrder {
    /// A packet, from its SPI on. One that may be the end of a longer one is taken if its SPI is known.
    #[inline]
    pub(super) fn take(&mut self, esp: &[u8], begins: Begins) -> Gap {
        let Some(header) = esp.first_chunk::<HEADER_LEN>() else { return Gap::Unknown };
        let [a, b, c, d, e, f, g, h] = *header;
        let (spi, number) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let Some(numbers) = self.spis.iter_mut().flatten().find(|numbers| numbers.spi == spi) else {
            if begins == Begins::Here {
                self.seen += 1;
                self.spis.rotate_right(1);
                self.spis[0] = Some(Numbers { spi, highest: number, come: 1 });
            }
            return Gap::Unknown;
        };
        self.seen += 1;
        match number.wrapping_sub(numbers.highest) {
            0 => {
                self.again += 1;
                Gap::Unknown
            }
            ahead @ 1..=0x7fff_ffff => {
                numbers.highest = number;
                numbers.come = numbers.come.checked_shl(ahead).unwrap_or_default() | 1;
                self.missing += u64::from(ahead - 1);
                if ahead == 1 { Gap::None } else { Gap::Some }
            }
            behind => {
                let back = behind.wrapping_neg();
                // Further back nobody remembers: it counts as one that was missing.
                match back < BACK && numbers.come >> back & 1 == 1 {
                    true => self.again += 1,
                    false => {
                        numbers.come |= 1_u64.checked_shl(back).unwrap_or_default();
                        self.late += 1;
                        self.missing = self.missing.saturating_sub(1);
                    }
                }
                Gap::Unknown
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;
    use std::collections::BTreeSet;

    fn packet(spi: u32, number: u32) -> Vec<u8> {
        [spi.to_be_bytes(), number.to_be_bytes(), [0; 4]].concat()
    }

    fn counted(order: &EspOrder) -> (u64, u64, u64, u64) {
        (order.seen, order.missing, order.late, order.again)
    }

    #[test]
    fn what_is_missing_late_and_there_again_is_told_apart() {
        let mut order = EspOrder::default();
        let gaps: Vec<_> = [1, 2, 5, 3, 3, 6].map(|number| order.take(&packet(9, number), Begins::Here)).to_vec();
        assert_eq!(gaps, [Gap::Unknown, Gap::None, Gap::Some, Gap::Unknown, Gap::Unknown, Gap::None]);
        assert_eq!(counted(&order), (6, 1, 1, 1));
    }

    #[test]
    fn an_sa_that_replaces_another_has_numbers_of_its_own() {
        let mut order = EspOrder::default();
        for (spi, number) in [(1, 900), (2, 1), (1, 901), (2, 2), (3, 1), (3, 2), (2, 3)] {
            assert_ne!(order.take(&packet(spi, number), Begins::Here), Gap::Some);
        }
        assert_eq!(counted(&order), (7, 0, 0, 0));
        assert_eq!(order.take(&[1, 2, 3], Begins::Here), Gap::Unknown);
        assert_eq!(order.take(&packet(8, 1), Begins::Perhaps), Gap::Unknown);
        assert_eq!((counted(&order), order.take(&packet(2, 4), Begins::Perhaps)), ((7, 0, 0, 0), Gap::None));
    }

    /// A set of numbers does the same.
    #[test]
    fn any_numbers_within_memory_are_counted_as_a_set_counts_them() {
        check!().with_type::<Vec<u8>>().for_each(|steps| {
            let (mut order, mut twin, mut highest) = (EspOrder::default(), BTreeSet::from([1000_u32]), 1000_u32);
            order.take(&packet(7, 1000), Begins::Here);
            for step in steps {
                let number = (highest + u32::from(*step)).saturating_sub(63).max(1000);
                order.take(&packet(7, number), Begins::Perhaps);
                twin.insert(number);
                highest = highest.max(number);
            }
            assert_eq!(order.missing, u64::from(highest - 999) - twin.len() as u64);
            assert_eq!(order.again, steps.len() as u64 + 1 - twin.len() as u64);
        });
    }
}
