//! What stands between a client and its headend.

use super::peers::Segment;
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TcpFlags};
use std::time::Duration;

/// Which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Middlebox {
    /// Lets everything pass.
    Router,
    /// Follows windows as Linux's nf_conntrack does, and drops what it calls invalid.
    Tracker,
    /// Passes a stream on in order: as long as something is missing it keeps so many segments behind it, for four seconds,
    /// and drops the rest. Cisco's guides describe the ASA's normaliser so, with inspection.
    InOrder { queue: usize },
}

/// What it knows of both ways; 0 is up.
#[derive(Debug)]
pub(crate) struct State {
    kind: Middlebox,
    /// What the ends said that theirs are.
    window: usize,
    ways: [Option<Way>; 2],
}

#[derive(Debug)]
struct Way {
    /// Behind the last octet that passed.
    end: Seq,
    /// The other end lets go up to here: the most that it has acknowledged and its window.
    most: Seq,
    waiting: Vec<(Instant, Segment)>,
}

const PATIENCE: Duration = Duration::from_secs(4);

impl State {
    pub(crate) fn new(kind: Middlebox, window: usize) -> Self {
        Self { kind, window, ways: [None, None] }
    }

    /// What leaves when this comes.
    pub(crate) fn pass(&mut self, now: Instant, way: usize, segment: Segment) -> Vec<Segment> {
        match self.kind {
            Middlebox::Router => vec![segment],
            Middlebox::Tracker => self.track(way, &segment).then_some(segment).into_iter().collect(),
            Middlebox::InOrder { queue } => self.order(now, way, segment, queue),
        }
    }

    fn way(&mut self, way: usize, start: Seq) -> &mut Way {
        let most = start.plus(self.window);
        self.ways[way].get_or_insert_with(|| Way { end: start, most, waiting: Vec::new() })
    }

    fn track(&mut self, way: usize, segment: &Segment) -> bool {
        let (seq, end, ack) = (segment.header.seq, segment.header.seq.plus(segment.payload.len()), segment.header.ack);
        let (window, other_end) = (self.window, self.way(1 - way, ack).end);
        let this = self.way(way, seq);
        let in_window = seq.distance(this.most) <= window as i32;
        if !in_window || ack.is_after(other_end) {
            return false;
        }
        this.end = this.end.later(end);
        let other = self.way(1 - way, ack);
        other.most = other.most.later(ack.plus(window));
        true
    }

    fn order(&mut self, now: Instant, way: usize, segment: Segment, queue: usize) -> Vec<Segment> {
        let this = self.way(way, segment.header.seq);
        this.waiting.retain(|(since, _)| now.since(*since) < PATIENCE);
        if segment.payload.is_empty() || segment.header.flags.has(TcpFlags::RST) {
            return vec![segment];
        }
        if segment.header.seq.is_after(this.end) {
            if this.waiting.len() < queue {
                this.waiting.push((now, segment));
            }
            return Vec::new();
        }
        let mut out = vec![segment];
        loop {
            let end = out.iter().fold(this.end, |end, sent| end.later(sent.header.seq.plus(sent.payload.len())));
            this.end = end;
            let Some(next) = this.waiting.iter().position(|(_, waits)| !waits.header.seq.is_after(end)) else { break };
            out.push(this.waiting.remove(next).1);
        }
        out
    }
}
