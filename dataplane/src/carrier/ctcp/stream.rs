//! Frames that a proxy has cut into pieces and joined to others.
//!
//! What comes in whole frames never gets here but for where it ends. A run is what has come without a hole; it gives frames as
//! long as it is known where the first of them begins: where the stream began, or a frame ended. Where that is lost, because
//! octets are missing for good or are no frame, everything up to the next trailer is dropped and the frame behind it is the
//! first again.

use super::frame::{Front, MAX_FRAME, first_trailer, front};
use super::trailer::{Inside, TRAILER_LEN};
use crate::wire::tcp::Seq;

/// So many runs at most.
const MOST_RUNS: usize = 16;
/// So many octets in all of them: what a window of 65 535 octets can hold back, and a frame.
const MOST_OCTETS: usize = 65_536 + MAX_FRAME;
/// So many ends of frames are remembered.
const ENDS: usize = 16;

/// What has come of a stream and is not a frame yet.
#[derive(Debug)]
pub struct Stream {
    /// In order, with holes between them.
    runs: Vec<Run>,
    held: usize,
    /// Where frames have ended, so that another begins there.
    ends: [Seq; ENDS],
    /// Where the next end goes.
    next_end: usize,
    /// How often the beginning of a frame was lost.
    lost: u64,
}

#[derive(Debug)]
struct Run {
    start: Seq,
    octets: Vec<u8>,
    front: Begins,
}

/// What a run begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    /// A frame.
    Frame,
    /// Who knows; what is before it may still come.
    Somewhere,
    /// Nothing before it will come. The next trailer is the end of something that is lost.
    Lost,
}

impl Stream {
    /// The first frame begins here.
    pub const fn new(start: Seq) -> Self {
        Self { runs: Vec::new(), held: 0, ends: [start; ENDS], next_end: 0, lost: 0 }
    }

    /// Octets that wait for others.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// How often the beginning of a frame was lost.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether a frame is known to begin here.
    #[inline]
    pub fn begins(&self, at: Seq) -> bool {
        self.ends.contains(&at)
    }

    /// A segment that was one whole frame, delivered already, ended here.
    #[inline]
    pub fn frame_ended(&mut self, end: Seq) {
        self.ends[self.next_end] = end;
        self.next_end = (self.next_end + 1) % ENDS;
        if let Some(run) = self.runs.iter_mut().find(|run| run.start == end && run.front == Begins::Somewhere) {
            run.front = Begins::Frame;
        }
    }

    /// A segment that is no whole frame. What of it had come already is not taken again.
    pub fn piece(&mut self, seq: Seq, octets: &[u8]) {
        // The parts of it that lie between runs, before the first and behind the last.
        let (end, mut at) = (seq.plus(octets.len()), seq);
        while end.is_after(at) {
            let next = self.runs.iter().position(|run| run.end().is_after(at));
            let until = match next.map(|next| &self.runs[next]) {
                Some(run) if !run.start.is_after(at) => {
                    at = run.end();
                    continue;
                }
                Some(run) if end.is_after(run.start) => run.start,
                Some(_) | None => end,
            };
            let from = at.octets_since(seq);
            self.insert(at, &octets[from..from + until.octets_since(at)]);
            at = until;
        }
        while self.runs.len() > MOST_RUNS || self.held > MOST_OCTETS {
            self.lost += 1;
            self.held -= self.runs.remove(0).octets.len();
        }
    }

    /// Nothing is kept; where the next frame begins is to be found out.
    pub fn forget(&mut self) {
        if self.held > 0 {
            self.runs.clear();
            self.held = 0;
            self.lost += 1;
        }
    }

    /// What is before `floor` and has not come will not come.
    pub fn give_up(&mut self, floor: Seq) {
        for run in self.runs.iter_mut().filter(|run| !run.start.is_after(floor) && run.front == Begins::Somewhere) {
            run.front = Begins::Lost;
            self.lost += 1;
        }
    }

    /// All frames that are complete, in the order of the stream.
    pub fn frames(&mut self, mut deliver: impl FnMut(Inside, &[u8])) {
        let mut at = 0;
        while at < self.runs.len() {
            let before = self.runs[at].octets.len();
            self.lost += self.runs[at].unpack(&mut deliver);
            self.held -= before - self.runs[at].octets.len();
            if self.runs[at].octets.is_empty() {
                let run = self.runs.remove(at);
                if run.front == Begins::Frame {
                    self.frame_ended(run.start);
                }
            } else {
                at += 1;
            }
        }
    }

    /// Octets that no run has.
    fn insert(&mut self, start: Seq, octets: &[u8]) {
        self.held += octets.len();
        let at = self.runs.iter().take_while(|run| start.is_after(run.start)).count();
        let joins_before = at.checked_sub(1).filter(|before| self.runs[*before].end() == start);
        let before = match joins_before {
            Some(before) => {
                self.runs[before].octets.extend(octets);
                before
            }
            None => {
                let front = if self.ends.contains(&start) { Begins::Frame } else { Begins::Somewhere };
                self.runs.insert(at, Run { start, octets: octets.to_vec(), front });
                at
            }
        };
        if self.runs.get(before + 1).is_some_and(|next| next.start == self.runs[before].end()) {
            let next = self.runs.remove(before + 1);
            self.runs[before].octets.extend(next.octets);
        }
    }
}

impl Run {
    fn end(&self) -> Seq {
        self.start.plus(self.octets.len())
    }

    /// Gives its frames; how often the beginning of one was lost comes back.
    fn unpack(&mut self, deliver: &mut impl FnMut(Inside, &[u8])) -> u64 {
        let (mut at, mut lost) = (0, 0);
        loop {
            let rest = &self.octets[at..];
            if rest.is_empty() {
                break;
            }
            match self.front {
                Begins::Somewhere => break,
                Begins::Frame => match front(rest) {
                    Front::Frame(frame) => {
                        deliver(frame.inside, &rest[frame.at]);
                        at += frame.len;
                    }
                    Front::Unfinished => break,
                    Front::Nothing => {
                        self.front = Begins::Lost;
                        lost += 1;
                    }
                },
                Begins::Lost => match first_trailer(rest) {
                    Some((trailer, _)) => {
                        at += trailer + TRAILER_LEN;
                        self.front = Begins::Frame;
                    }
                    // Its beginning may have come already.
                    None => {
                        at += rest.len().saturating_sub(TRAILER_LEN - 1);
                        break;
                    }
                },
            }
        }
        self.octets.drain(..at);
        self.start = self.start.plus(at);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::{esp_frame, ike_frame};
    use super::super::frame::whole;
    use super::*;
    use bolero::check;

    const START: Seq = Seq::new(u32::MAX - 1000);

    /// Frames of all kinds and sizes, one behind the other.
    fn frames(count: u32) -> Vec<Vec<u8>> {
        (0..count)
            .map(|at| match at % 5 {
                0 => ike_frame(60 + at as usize * 37 % 900),
                _ => esp_frame(0x0100_0000 + at, 20 + at as usize * 211 % 1400),
            })
            .collect()
    }

    fn insides(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        frames.iter().map(|frame| frame[whole(frame).unwrap().at].to_vec()).collect()
    }

    fn taken(stream: &mut Stream) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        stream.frames(|_, octets| taken.push(octets.to_vec()));
        taken
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_frames() {
        let frames = frames(20);
        let octets = frames.concat();
        for size in [1, 2, 7, 15, 16, 17, 100, 520, 536, 1460, 4000, octets.len()] {
            let mut stream = Stream::new(START);
            let mut found = Vec::new();
            for (number, piece) in octets.chunks(size).enumerate() {
                stream.piece(START.plus(number * size), piece);
                found.extend(taken(&mut stream));
            }
            assert_eq!(found, insides(&frames), "in pieces of {size}");
            assert_eq!((stream.held(), stream.lost()), (0, 0));
        }
    }

    #[test]
    fn pieces_in_any_order_twice_and_overlapping_give_each_frame_once() {
        let frames = frames(12);
        let octets = frames.concat();
        let mut order: Vec<usize> = (0..octets.len()).step_by(300).collect();
        order.reverse();
        order.swap(0, 3);
        let mut stream = Stream::new(START);
        let mut found = Vec::new();
        for at in order.iter().chain(&order) {
            let end = (at + 450).min(octets.len());
            if found.is_empty() {
                stream.piece(START.plus(*at), &octets[*at..end]);
            }
            found.extend(taken(&mut stream));
        }
        assert_eq!(found, insides(&frames));
    }

    #[test]
    fn behind_a_hole_that_is_given_up_the_next_whole_frame_is_found() {
        let frames = frames(10);
        let octets = frames.concat();
        let mut stream = Stream::new(START);
        // Everything but 100 octets in the middle of the third.
        let hole = frames[0].len() + frames[1].len() + 10;
        stream.piece(START, &octets[..hole]);
        stream.piece(START.plus(hole + 100), &octets[hole + 100..]);
        assert_eq!(taken(&mut stream), insides(&frames[..2]));
        stream.give_up(START.plus(octets.len()));
        assert_eq!(taken(&mut stream), insides(&frames[3..]));
        assert_eq!(stream.lost(), 1);
    }

    #[test]
    fn a_run_is_a_frame_where_a_whole_one_ended() {
        let frames = frames(6);
        let mut stream = Stream::new(START);
        let at = START.plus(5000);
        let two = [&frames[1][..], &frames[2][..]].concat();
        stream.piece(at, &two);
        assert_eq!(taken(&mut stream), Vec::<Vec<u8>>::new());
        stream.frame_ended(at);
        assert_eq!(taken(&mut stream), insides(&frames[1..3]));
        stream.piece(at.plus(two.len()), &frames[3]);
        assert_eq!(taken(&mut stream), insides(&frames[3..4]), "where the last of a run ended, too");
    }

    #[test]
    fn octets_that_are_no_frame_are_dropped_up_to_the_next_trailer() {
        let frames = frames(4);
        let mut garbage = vec![0x01, 0xf4, 0x01, 0xf4, 0, 3];
        garbage.extend(&frames[0]);
        garbage.extend(&frames[1]);
        let mut stream = Stream::new(START);
        stream.piece(START, &garbage);
        assert_eq!(taken(&mut stream), insides(&frames[1..2]));
        assert_eq!(stream.lost(), 1);
    }

    #[test]
    fn whatever_comes_is_kept_within_its_limit() {
        check!().with_type::<Vec<(u16, u8, bool)>>().for_each(|pieces| {
            let mut stream = Stream::new(START);
            for (at, kind, give_up) in pieces {
                let octets = match kind % 4 {
                    0 => esp_frame(0x2000_0000, 8 + usize::from(*kind) * 5),
                    1 => ike_frame(28 + usize::from(*kind) * 9),
                    2 => vec![*kind; usize::from(*kind) * 40],
                    _ => esp_frame(0x3000_0000, 600)[..usize::from(*kind) * 2].to_vec(),
                };
                stream.piece(START.plus(usize::from(*at)), &octets);
                if *give_up {
                    stream.give_up(START.plus(usize::from(*at)));
                }
                stream.frames(|_, octets| assert!(octets.len() <= MAX_FRAME));
                assert!(stream.held() <= MOST_OCTETS && stream.runs.len() <= MOST_RUNS);
                assert_eq!(stream.held(), stream.runs.iter().map(|run| run.octets.len()).sum::<usize>());
                assert!(stream.runs.is_sorted_by(|one, next| next.start.is_after(one.end())));
            }
        });
    }
}
