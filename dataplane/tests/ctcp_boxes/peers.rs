//! The two ends: Cisco's manner, written down from what is known of it, and ours.

use adit_dataplane::carrier::ctcp::{Arrived, Flow, Inside, Limits, Mode, SynFacts, SynOptions, trailer};
use adit_dataplane::contract::Path;
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, Shift, TCP_HEADER, TcpFlags, TcpHeader};
use std::collections::BTreeSet;
use std::time::Duration;

/// How an end talks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Acknowledges the highest octet, repeats nothing, looks at no acknowledgment; a segment without data every five seconds.
    Cisco,
    /// Ours, stateless.
    Stateless,
    /// Ours.
    Adaptive,
}

#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) header: TcpHeader,
    pub(crate) payload: Vec<u8>,
}

/// An end, with what it has received.
pub(crate) struct End {
    path: Path,
    talk: Talk,
    pub(crate) delivered: BTreeSet<u32>,
    /// The longest time between two deliveries of something new.
    pub(crate) longest_gap: Duration,
    delivered_at: Instant,
    pub(crate) sent: u32,
}

enum Talk {
    Cisco { next: Seq, expected: Seq, alone_at: Instant },
    Ours(Box<Flow>),
}

const KEEPALIVE: Duration = Duration::from_secs(5);

/// ESP as far as anybody on the way sees it: an SPI, a number, ciphertext.
fn frame(number: u32, len: usize) -> Vec<u8> {
    let mut frame = 0x0aad_17ee_u32.to_be_bytes().to_vec();
    frame.extend(number.to_be_bytes());
    frame.extend((8..len).map(|at| (at as u32).wrapping_mul(number | 1) as u8));
    frame.extend(trailer(Inside::Esp));
    frame
}

impl End {
    pub(crate) fn new(
        now: Instant,
        path: Path,
        manner: Manner,
        peer: Manner,
        [ours, theirs]: [Seq; 2],
        scale: Option<Shift>,
    ) -> Self {
        // A client of ours says by its SYN that it is real.
        let options = if peer == Manner::Adaptive { SynOptions::Some } else { SynOptions::None };
        let flow = |mode| {
            let flow = Flow::new(now, mode, SynFacts { options, scale }, ours, theirs, Limits::DEFAULT);
            Talk::Ours(Box::new(flow))
        };
        let talk = match manner {
            Manner::Cisco => Talk::Cisco { next: ours, expected: theirs, alone_at: now },
            Manner::Stateless => flow(Mode::Stateless),
            Manner::Adaptive => flow(Mode::Adaptive),
        };
        Self { path, talk, delivered: BTreeSet::new(), longest_gap: Duration::ZERO, delivered_at: now, sent: 0 }
    }

    /// A packet from the inner network.
    pub(crate) fn send(&mut self, now: Instant, len: usize) -> Option<Segment> {
        let payload = frame(self.sent, len);
        self.sent += 1;
        let header = match &mut self.talk {
            Talk::Cisco { next, expected, .. } => {
                let header = cisco(&self.path, *next, *expected);
                *next = next.plus(payload.len());
                header
            }
            Talk::Ours(flow) => {
                let header = flow.dress(now, &self.path, payload.len()).ok()?;
                flow.dressed(now, Inside::Esp, &payload);
                header
            }
        };
        Some(Segment { header, payload })
    }

    /// A segment has come.
    pub(crate) fn receive(&mut self, now: Instant, segment: &Segment) {
        let mut delivered = Vec::new();
        match &mut self.talk {
            Talk::Cisco { expected, .. } => {
                let end = segment.header.seq.plus(segment.payload.len());
                *expected = expected.later(end);
                if segment.payload.len() > 24 {
                    delivered.push(segment.payload.clone());
                }
            }
            Talk::Ours(flow) => match flow.segment(now, &segment.header, &segment.payload) {
                Arrived::Whole(frame) => {
                    delivered.push(segment.payload[frame.at].to_vec());
                    flow.frames(|_, octets| delivered.push(octets.to_vec()));
                }
                Arrived::Unbelieved(frame) => delivered.push(segment.payload[frame.at].to_vec()),
                Arrived::Piece => flow.frames(|_, octets| delivered.push(octets.to_vec())),
                Arrived::Nothing | Arrived::Elsewhere => {}
                Arrived::Over(ended) => panic!("{ended:?}"),
            },
        }
        for packet in delivered {
            if self.delivered.insert(u32::from_be_bytes(*packet[4..].first_chunk().unwrap())) {
                self.longest_gap = self.longest_gap.max(now.since(self.delivered_at));
                self.delivered_at = now;
            }
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        match &self.talk {
            Talk::Cisco { alone_at, .. } => *alone_at + KEEPALIVE,
            Talk::Ours(flow) => flow.deadline(),
        }
    }

    /// Its time has come.
    pub(crate) fn speak(&mut self, now: Instant) -> Vec<Segment> {
        match &mut self.talk {
            Talk::Cisco { next, expected, alone_at } if now.since(*alone_at) >= KEEPALIVE => {
                *alone_at = now;
                vec![Segment { header: cisco(&self.path, *next, *expected), payload: Vec::new() }]
            }
            Talk::Cisco { .. } => Vec::new(),
            Talk::Ours(flow) => {
                let mut said = Vec::new();
                flow.speak(now, &self.path, |header, parts| {
                    said.push(Segment { header: *header, payload: parts.concat() });
                });
                said
            }
        }
    }

    /// What it knows, if it is ours.
    pub(crate) fn flow(&self) -> Option<&Flow> {
        match &self.talk {
            Talk::Cisco { .. } => None,
            Talk::Ours(flow) => Some(flow),
        }
    }

    /// Until the end of the run.
    pub(crate) fn close(&mut self, now: Instant) {
        self.longest_gap = self.longest_gap.max(now.since(self.delivered_at));
    }
}

fn cisco(path: &Path, seq: Seq, ack: Seq) -> TcpHeader {
    TcpHeader {
        source_port: path.local.port(),
        destination_port: path.peer.port(),
        seq,
        ack,
        flags: TcpFlags::ACK,
        window: u16::MAX,
        len: TCP_HEADER,
    }
}
