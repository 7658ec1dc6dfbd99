//! What the peer has not acknowledged, octet for octet as it was sent: whatever is sent again must be the same, or a box on
//! the way calls it an attack.

use crate::wire::tcp::Seq;
use std::collections::VecDeque;

/// Octets that a ring begins with, once something is sent.
pub(super) const LEAST: usize = 16 * 1024;

/// The segments that were sent last, as far as there is room for them.
#[derive(Debug)]
pub struct Ring {
    /// The first octet of the first segment.
    start: Seq,
    /// Octets of the segments, in order.
    segments: VecDeque<u16>,
    /// Where octet `n` of the stream is: at `n` modulo the length, a power of two or 0.
    octets: Vec<u8>,
    /// Octets in use.
    held: usize,
    /// Octets at most,
    most: usize,
    /// and at the moment.
    room: usize,
}

/// One segment of a ring's, in two parts if it goes across its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent<'a> {
    /// Of the first octet.
    pub seq: Seq,
    /// The octets.
    pub parts: [&'a [u8]; 2],
}

impl Sent<'_> {
    /// Octets.
    pub const fn len(&self) -> usize {
        self.parts[0].len() + self.parts[1].len()
    }

    /// Whether there are none; there never are.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Ring {
    /// For a stream that begins at `start`. Takes no memory before something is sent, and `most` octets at most, rounded down to
    /// a power of two.
    pub const fn new(start: Seq, most: usize) -> Self {
        let most = if most.is_power_of_two() || most == 0 { most } else { most.next_power_of_two() / 2 };
        Self { start, segments: VecDeque::new(), octets: Vec::new(), held: 0, most, room: most }
    }

    /// Octets that are held.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Octets that may be held.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// It takes no more memory than it has.
    pub const fn freeze(&mut self) {
        self.room = self.octets.len();
    }

    /// It takes no more than a ring begins with, or what it has.
    pub fn hold_back(&mut self) {
        self.room = LEAST.min(self.most).max(self.octets.len());
    }

    /// It may grow again.
    pub const fn thaw(&mut self) {
        self.room = self.most;
    }

    /// Octets of memory.
    pub fn memory(&self) -> usize {
        self.octets.capacity() + self.segments.capacity() * size_of::<u16>()
    }

    /// The first octet that is held, or will be.
    pub const fn start(&self) -> Seq {
        self.start
    }

    /// A segment was sent, right behind the one before. What was sent first goes when there is no room.
    pub fn push(&mut self, seq: Seq, segment: &[u8]) {
        if seq != self.start.plus(self.held) || segment.len() > self.room.min(usize::from(u16::MAX)) {
            self.restart(seq.plus(segment.len()));
            return;
        }
        self.make_room(segment.len());
        let (first, second) = split(self.octets.len(), seq, segment.len());
        if second.is_empty() {
            self.octets[first].copy_from_slice(segment);
        } else {
            let (before, behind) = segment.split_at(first.len());
            self.octets[first].copy_from_slice(before);
            self.octets[second].copy_from_slice(behind);
        }
        self.segments.push_back(segment.len() as u16);
        self.held += segment.len();
    }

    /// The peer has all before `seq`.
    pub fn acknowledged(&mut self, seq: Seq) {
        while let Some(len) = self.segments.front().copied().map(usize::from)
            && !self.start.plus(len).is_after(seq)
        {
            self.forget_first(len);
        }
        // Whoever has begun again may hear of what was sent before that: what comes next begins there.
        if self.held == 0 {
            self.start = self.start.later(seq);
        }
    }

    /// Nothing is held; the next segment begins at `seq`. Memory stays.
    pub fn restart(&mut self, seq: Seq) {
        self.segments.clear();
        self.held = 0;
        self.start = seq;
    }

    /// Gives memory back if nothing is held.
    pub fn shrink(&mut self) {
        if self.held == 0 {
            self.octets = Vec::new();
            self.segments = VecDeque::new();
        }
    }

    /// The segments from the one that holds `seq` on, in order. Nothing if `seq` is no longer held.
    pub fn from(&self, seq: Seq) -> impl Iterator<Item = Sent<'_>> {
        let held = !self.start.is_after(seq);
        let mut at = self.start;
        self.segments.iter().filter(move |_| held).filter_map(move |len| {
            let (begin, len) = (at, usize::from(*len));
            at = at.plus(len);
            at.is_after(seq).then(|| self.sent(begin, len))
        })
    }

    fn sent(&self, seq: Seq, len: usize) -> Sent<'_> {
        let (first, second) = split(self.octets.len(), seq, len);
        Sent { seq, parts: [&self.octets[first], &self.octets[second]] }
    }

    fn forget_first(&mut self, len: usize) {
        self.segments.pop_front();
        self.start = self.start.plus(len);
        self.held -= len;
    }

    fn make_room(&mut self, len: usize) {
        while self.held + len > self.octets.len() && self.octets.len() < self.room {
            self.grow();
        }
        while self.held + len > self.octets.len()
            && let Some(first) = self.segments.front().copied()
        {
            self.forget_first(usize::from(first));
        }
    }

    /// Twice as large; everything has its place anew.
    fn grow(&mut self) {
        let larger = (2 * self.octets.len()).max(LEAST).min(self.room);
        let mut octets = vec![0; larger];
        for at in 0..self.held {
            let place = self.start.plus(at).get() as usize;
            octets[place & (larger - 1)] = self.octets[place & (self.octets.len() - 1)];
        }
        self.octets = octets;
    }
}

/// Where `len` octets from `seq` on lie in a ring of `size` octets.
fn split(size: usize, seq: Seq, len: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    if size == 0 {
        return (0..0, 0..0);
    }
    let at = seq.get() as usize & (size - 1);
    let first = len.min(size - at);
    (at..at + first, 0..len - first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bolero::check;

    fn segment(seq: Seq, len: usize) -> Vec<u8> {
        (0..len).map(|at| (seq.plus(at).get() % 251) as u8).collect()
    }

    /// Everything that was sent and not acknowledged, in a vector.
    #[test]
    fn any_sends_and_acknowledgments_leave_the_last_octets_as_they_were_sent() {
        check!().with_type::<Vec<(u16, u8)>>().for_each(|steps| {
            let start = Seq::new(u32::MAX - 20_000);
            let mut ring = Ring::new(start, 40_000);
            let (mut next, mut twin) = (start, Vec::<(Seq, Vec<u8>)>::new());
            for (len, acknowledged) in steps {
                let len = usize::from(len % 1500) + 1;
                let bytes = segment(next, len);
                ring.push(next, &bytes);
                twin.push((next, bytes));
                next = next.plus(len);
                while twin.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 32 * 1024 {
                    twin.remove(0);
                }
                if *acknowledged < 40 {
                    let upto = ring.start().plus(usize::from(*acknowledged) * 64);
                    ring.acknowledged(upto);
                    next = next.later(upto);
                    twin.retain(|(seq, bytes)| seq.plus(bytes.len()).is_after(upto));
                }
                assert_eq!(ring.held(), twin.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
                let held: Vec<_> = ring.from(ring.start()).map(|sent| (sent.seq, sent.parts.concat())).collect();
                assert_eq!(held, twin);
                assert!(ring.memory() <= 32 * 1024 + 2 * 65_536);
            }
        });
    }

    #[test]
    fn behind_an_acknowledgment_of_more_than_it_holds_it_goes_on_there() {
        let start = Seq::new(u32::MAX - 400);
        let mut ring = Ring::new(start, 1 << 16);
        ring.push(start, &[1; 100]);
        ring.acknowledged(start.plus(900));
        ring.push(start.plus(900), &[2; 100]);
        let held: Vec<_> = ring.from(start.plus(900)).map(|sent| (sent.seq, sent.len())).collect();
        assert_eq!(held, [(start.plus(900), 100)]);
    }

    #[test]
    fn a_ring_takes_no_memory_before_it_is_used_and_gives_it_back() {
        let mut ring = Ring::new(Seq::new(5), 1 << 18);
        assert_eq!(ring.memory(), 0);
        ring.push(Seq::new(5), &[1; 100]);
        ring.shrink();
        assert!(ring.memory() > 0, "what is held stays");
        ring.acknowledged(Seq::new(105));
        ring.shrink();
        assert_eq!(ring.memory(), 0);
    }

    #[test]
    fn what_is_frozen_takes_no_more_memory_and_grows_when_it_may_again() {
        let mut ring = Ring::new(Seq::new(0), 1 << 18);
        ring.freeze();
        (0..9).for_each(|at| ring.push(Seq::new(at * 1000), &[1; 1000]));
        assert_eq!((ring.memory(), ring.held(), ring.start()), (0, 0, Seq::new(9000)));
        ring.thaw();
        (9..20).for_each(|at| ring.push(Seq::new(at * 1000), &[1; 1000]));
        ring.freeze();
        let memory = ring.memory();
        (20..99).for_each(|at| ring.push(Seq::new(at * 1000), &[1; 1000]));
        assert_eq!((ring.held(), ring.start()), (16_000, Seq::new(83_000)), "the last ones");
        assert!(ring.memory() <= memory + 64, "{} octets, {memory} before", ring.memory());
        ring.thaw();
        (99..160).for_each(|at| ring.push(Seq::new(at * 1000), &[1; 1000]));
        assert_eq!(ring.held(), 77_000);
    }

    #[test]
    fn it_begins_again_where_somebody_sends_elsewhere_and_holds_nothing_if_it_may_not() {
        let mut ring = Ring::new(Seq::new(5), 1 << 15);
        ring.push(Seq::new(5), &[1; 100]);
        ring.push(Seq::new(5), &[2; 100]);
        assert_eq!((ring.held(), ring.start()), (0, Seq::new(105)));
        let mut none = Ring::new(Seq::new(5), 0);
        none.push(Seq::new(5), &[1; 100]);
        none.push(Seq::new(105), &[1; 100]);
        assert_eq!((none.held(), none.from(Seq::new(5)).count(), none.memory()), (0, 0, 0));
    }

    #[test]
    fn what_is_asked_for_in_the_middle_of_a_segment_begins_with_that_segment() {
        let mut ring = Ring::new(Seq::new(0), 1 << 15);
        (0..5).for_each(|at| ring.push(Seq::new(at * 100), &[at as u8; 100]));
        let from = |seq| ring.from(Seq::new(seq)).map(|sent| sent.seq.get()).collect::<Vec<_>>();
        assert_eq!(from(150), [100, 200, 300, 400]);
        assert_eq!(from(200), [200, 300, 400]);
        assert_eq!(from(500), []);
    }
}
