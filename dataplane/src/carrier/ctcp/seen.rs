//! Which octets of the peer's have come, and which are missing.

use crate::wire::tcp::Seq;

/// So many pieces are remembered behind the first hole; one more, and that hole is given up.
const MOST_PIECES: usize = 16;

/// What a segment adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// None of it had come.
    New,
    /// Some of it had come.
    Partly,
    /// All of it had come, or was given up.
    Old,
}

/// What has come of a stream: everything before the floor (or it was given up), and pieces behind it.
#[derive(Debug, Clone)]
pub struct Seen {
    floor: Seq,
    /// First octet and the one behind the last. In order, with holes between them and before the first.
    pieces: Vec<(Seq, Seq)>,
}

impl Seen {
    /// Nothing yet of what begins here.
    pub const fn new(start: Seq) -> Self {
        Self { floor: start, pieces: Vec::new() }
    }

    /// Everything before this has come or was given up.
    pub const fn floor(&self) -> Seq {
        self.floor
    }

    /// Behind the last octet that has come.
    pub fn highest(&self) -> Seq {
        self.pieces.last().map_or(self.floor, |(_, end)| *end)
    }

    /// Octets of the first hole; 0 if there is none.
    pub fn hole(&self) -> usize {
        self.pieces.first().map_or(0, |(start, _)| start.octets_since(self.floor))
    }

    /// Whether something is missing that was sent before what has come.
    pub const fn has_hole(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Octets that have come behind the first hole.
    pub fn beyond(&self) -> usize {
        self.pieces.iter().map(|(start, end)| end.octets_since(*start)).sum()
    }

    /// `len` octets from `seq` on have come.
    #[inline]
    pub fn take(&mut self, seq: Seq, len: usize) -> Novelty {
        // Nearly always.
        if seq == self.floor && self.pieces.is_empty() && len > 0 {
            self.floor = seq.plus(len);
            return Novelty::New;
        }
        self.take_out_of_order(seq, len)
    }

    fn take_out_of_order(&mut self, seq: Seq, len: usize) -> Novelty {
        let (start, end) = (seq.later(self.floor), seq.plus(len));
        if !end.is_after(start) {
            return Novelty::Old;
        }
        let mut novelty = if start == seq { Novelty::New } else { Novelty::Partly };
        // Pieces that touch it become one with it.
        let first = self.pieces.iter().take_while(|(_, piece_end)| start.is_after(*piece_end)).count();
        let touching = self.pieces[first..].iter().take_while(|(piece_start, _)| !piece_start.is_after(end)).count();
        let (mut from, mut to) = (start, end);
        for (piece_start, piece_end) in &self.pieces[first..first + touching] {
            if !piece_start.is_after(start) && !end.is_after(*piece_end) {
                return Novelty::Old;
            }
            if end.is_after(*piece_start) && piece_end.is_after(start) {
                novelty = Novelty::Partly;
            }
            if from.is_after(*piece_start) {
                from = *piece_start;
            }
            to = to.later(*piece_end);
        }
        self.pieces.splice(first..first + touching, [(from, to)]);
        if from == self.floor {
            self.climb();
        }
        if self.pieces.len() > MOST_PIECES {
            self.give_up();
        }
        novelty
    }

    /// The first hole will not be filled: how long it was.
    pub fn give_up(&mut self) -> usize {
        let hole = self.hole();
        self.climb();
        hole
    }

    /// Onto the end of the first piece.
    fn climb(&mut self) {
        if !self.pieces.is_empty() {
            (_, self.floor) = self.pieces.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;
    use std::collections::BTreeSet;

    #[test]
    fn what_comes_in_order_moves_the_floor_across_the_wrap() {
        let mut seen = Seen::new(Seq::new(u32::MAX - 5));
        assert_eq!(seen.take(Seq::new(u32::MAX - 5), 10), Novelty::New);
        assert_eq!((seen.floor(), seen.highest(), seen.hole()), (Seq::new(4), Seq::new(4), 0));
        assert_eq!(seen.take(Seq::new(u32::MAX - 5), 10), Novelty::Old);
    }

    #[test]
    fn a_hole_stays_until_it_is_filled_or_given_up() {
        let mut seen = Seen::new(Seq::new(100));
        assert_eq!(seen.take(Seq::new(120), 10), Novelty::New);
        assert_eq!((seen.floor().get(), seen.highest().get(), seen.hole(), seen.beyond()), (100, 130, 20, 10));
        let mut skipped = seen.clone();
        assert_eq!(skipped.give_up(), 20);
        assert_eq!((skipped.floor().get(), skipped.has_hole()), (130, false));
        assert_eq!(seen.take(Seq::new(100), 25), Novelty::Partly);
        assert_eq!((seen.floor().get(), seen.has_hole()), (130, false));
    }

    /// A set of octets does the same, slowly.
    #[test]
    fn any_segments_are_seen_as_a_set_of_octets_sees_them() {
        check!().with_type::<Vec<(u8, u8)>>().for_each(|segments| {
            let start = u32::MAX - 60;
            let mut seen = Seen::new(Seq::new(start));
            let mut twin: BTreeSet<u64> = BTreeSet::new();
            let mut floor = 0_u64;
            for (at, len) in segments {
                let (at, len) = (u64::from(*at), u64::from(*len % 40));
                let octets = at..at + len;
                let new = octets.clone().filter(|octet| *octet >= floor && !twin.contains(octet)).count() as u64;
                let expected = match new {
                    0 => Novelty::Old,
                    all if all == len => Novelty::New,
                    _ => Novelty::Partly,
                };
                assert_eq!(seen.take(Seq::new(start.wrapping_add(at as u32)), len as usize), expected);
                twin.extend(octets.filter(|octet| *octet >= floor));
                let climb = |floor: &mut u64, twin: &mut BTreeSet<u64>| {
                    while twin.remove(floor) {
                        *floor += 1;
                    }
                };
                climb(&mut floor, &mut twin);
                let pieces = |twin: &BTreeSet<u64>| twin.iter().filter(|octet| !twin.contains(&(*octet + 1))).count();
                if pieces(&twin) > MOST_PIECES {
                    floor = *twin.first().unwrap();
                    climb(&mut floor, &mut twin);
                }
                assert_eq!(seen.floor(), Seq::new(start.wrapping_add(floor as u32)));
                let highest = twin.last().map_or(floor, |last| last + 1);
                assert_eq!(seen.highest(), Seq::new(start.wrapping_add(highest as u32)));
                assert_eq!(seen.beyond(), twin.len());
                assert_eq!(seen.hole() as u64, twin.first().map_or(0, |first| first - floor));
            }
        });
    }
}
