//! One connection with a peer, from its first frame on.

use super::cookie::SynOptions;
use super::frame::{Frame, whole};
use super::receive::{Due, Mode, Receive};
use super::send::{Alone, Full, Send};
use super::stream::Stream;
use super::trailer::Inside;
use crate::contract::Path;
use crate::time::Instant;
use crate::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader};
use std::time::Duration;

/// Every Cisco end says so, and never anything else.
pub(super) const WINDOW: u16 = u16::MAX;
/// A segment that begins further from what has come than this is not of this stream, or somebody guesses.
const PLAUSIBLE: i32 = 1 << 20;
/// So long without data from a peer that says it has sent some: what it has sent does not arrive any more.
const STALLED: Duration = Duration::from_secs(3);

/// What both directions of a flow may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets that are kept for sending again.
    pub ring: usize,
    /// Between two segments of ours while nothing else is sent.
    pub keepalive: Duration,
}

impl Limits {
    /// A ring four windows long; IOS sends a keepalive every five seconds.
    pub const DEFAULT: Self = Self { ring: 256 * 1024, keepalive: Duration::from_secs(5) };
}

/// What became of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// Its payload is this frame.
    Whole(Frame),
    /// Likewise, but its place in the stream is not to be believed: it counts only if what is inside is authentic.
    Unbelieved(Frame),
    /// A piece: [`Flow::frames`] has what is complete now.
    Piece,
    /// No data.
    Nothing,
    /// Its place is not to be believed, and nothing in it can be checked: it moves and ends nothing.
    Elsewhere,
    /// The connection is over.
    Over(Ended),
}

/// How the peer, or somebody on the way, ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// RST.
    Reset,
    /// FIN.
    Finished,
}

/// A connection with a peer.
#[derive(Debug)]
pub struct Flow {
    mode: Mode,
    options: SynOptions,
    limits: Limits,
    receive: Receive,
    send: Send,
    stream: Stream,
    /// When the peer's data came last,
    data_at: Instant,
    /// and anything of the peer's at all.
    heard_at: Instant,
    /// When we sent last.
    sent_at: Instant,
    /// Whether something is to be said at once.
    due: Due,
}

impl Flow {
    /// Our next octet is `ours`, the peer's is `theirs`.
    pub const fn new(now: Instant, mode: Mode, options: SynOptions, ours: Seq, theirs: Seq, limits: Limits) -> Self {
        Self {
            mode,
            options,
            limits,
            receive: Receive::new(mode, theirs),
            send: Send::new(now, mode, ours, limits.ring),
            stream: Stream::new(theirs),
            data_at: now,
            heard_at: now,
            sent_at: now,
            due: Due::Later,
        }
    }

    /// A segment of the peer's, its checksum good, without SYN.
    #[inline]
    pub fn segment(&mut self, now: Instant, header: &TcpHeader, payload: &[u8]) -> Arrived {
        if header.flags.has(TcpFlags::RST) {
            return self.reset(header.seq);
        }
        let frame = whole(payload);
        let plausible = header.seq.distance(self.receive.highest()).abs() < PLAUSIBLE
            && header.flags.has(TcpFlags::ACK)
            && self.send.believes(header.ack);
        if !plausible {
            return frame.map_or(Arrived::Elsewhere, Arrived::Unbelieved);
        }
        self.heard_at = now;
        let alone = if payload.is_empty() { Alone::Yes } else { Alone::No };
        self.send.acknowledgment(now, header.ack, alone);
        if header.flags.has(TcpFlags::FIN) {
            return Arrived::Over(Ended::Finished);
        }
        if payload.is_empty() {
            self.receive.promise(header.seq);
            return Arrived::Nothing;
        }
        self.take(now, header.seq, payload, frame)
    }

    /// All frames that pieces have completed.
    pub fn frames(&mut self, deliver: impl FnMut(Inside, &[u8])) {
        self.stream.frames(deliver);
    }

    /// A segment that says what has come, and nothing else.
    pub fn acknowledge(&mut self, now: Instant, path: &Path) -> TcpHeader {
        self.header(now, path, self.send.next(), TcpFlags::ACK)
    }

    /// The header for a segment with `len` octets of payload, its checksum still zero.
    pub fn dress(&mut self, now: Instant, path: &Path, len: usize) -> Result<TcpHeader, Full> {
        let seq = self.send.place(now, len)?;
        Ok(self.header(now, path, seq, TcpFlags::ACK))
    }

    /// That segment's payload, now that it is on its way.
    pub fn dressed(&mut self, now: Instant, payload: &[u8]) {
        self.send.sent(now, payload);
    }

    /// What there is to say without data: an acknowledgment, and what is to be sent again. `say` gets each segment's header
    /// and payload.
    pub fn speak(&mut self, now: Instant, path: &Path, mut say: impl FnMut(&TcpHeader, [&[u8]; 2])) {
        if self.receive.timeout(now) == Due::Now {
            self.due = Due::Now;
            self.stream.give_up(self.receive.floor());
        }
        let due = std::mem::replace(&mut self.due, Due::Later);
        if due == Due::Now || now.since(self.sent_at) >= self.limits.keepalive {
            let header = self.header(now, path, self.send.next(), TcpFlags::ACK);
            say(&header, [&[], &[]]);
        }
        let (ack, mut said) = (self.receive.acknowledgment(), false);
        for sent in self.send.repair(now) {
            said = true;
            say(&header(path, sent.seq, ack, TcpFlags::ACK), sent.parts);
        }
        if said {
            self.receive.say();
            self.sent_at = now;
        }
    }

    /// When [`Flow::speak`] has something to say at the latest.
    pub fn deadline(&self) -> Instant {
        let keepalive = self.sent_at + self.limits.keepalive;
        let others = [self.receive.deadline(), self.send.deadline()];
        let next = others.into_iter().flatten().fold(keepalive, Instant::min);
        match self.due {
            Due::Now => Instant::ZERO,
            Due::Later => next,
        }
    }

    /// The segment that ends the connection at both ends: where the peer expects it, so that no box takes it for a forged one.
    pub fn end(&mut self, now: Instant, path: &Path) -> TcpHeader {
        self.header(now, path, self.send.next(), TcpFlags::RST.with(TcpFlags::ACK))
    }

    /// Octets that the peer has sent and that no longer arrive: nothing that we can do will bring them, or what is behind them.
    pub fn stalled(&self, now: Instant) -> Option<usize> {
        let missing = self.receive.promised();
        (missing > 0 && now.since(self.data_at) >= STALLED && self.heard_at > self.data_at).then_some(missing)
    }

    /// Whether a peer that is where we think it is could say `acknowledgment`.
    pub const fn believes(&self, acknowledgment: Seq) -> bool {
        self.send.believes(acknowledgment)
    }

    /// When anything of the peer's came last.
    pub const fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Octets of memory beside the flow itself.
    pub fn memory(&self) -> usize {
        self.send.memory() + self.stream.held()
    }

    fn take(&mut self, now: Instant, seq: Seq, payload: &[u8], frame: Option<Frame>) -> Arrived {
        self.data_at = now;
        if self.options == SynOptions::Some || self.receive.refilled > 0 {
            self.receive.fills(self.send.rtt());
        }
        if self.receive.data(now, seq, payload.len()) == Due::Now {
            self.due = Due::Now;
        }
        let arrived = match frame {
            Some(frame) => {
                // The end of a longer one looks like a whole frame, too. Where that is possible it is taken as both: of the
                // two readings one is not authentic, and what comes twice is a replay.
                match !self.mode.holds() || self.stream.begins(seq) {
                    true => self.stream.frame_ended(seq.plus(payload.len())),
                    false => self.stream.piece(seq, payload),
                }
                Arrived::Whole(frame)
            }
            // Without state there is nowhere to put a piece.
            None if !self.mode.holds() => return Arrived::Nothing,
            None => {
                self.stream.piece(seq, payload);
                Arrived::Piece
            }
        };
        if self.stream.held() > 0 {
            self.stream.give_up(self.receive.floor());
        }
        arrived
    }

    /// RFC 5961 section 3.2: a RST counts where it would be the next octet, whether of what has come without a hole or of all that has
    /// come.
    ///
    /// DEVIATES: elsewhere in the window nothing asks for it again. Who is really gone says nothing more, and that ends the flow.
    fn reset(&mut self, seq: Seq) -> Arrived {
        let places = [self.receive.floor(), self.receive.highest()];
        match places.contains(&seq) {
            true => Arrived::Over(Ended::Reset),
            false => Arrived::Elsewhere,
        }
    }

    fn header(&mut self, now: Instant, path: &Path, seq: Seq, flags: TcpFlags) -> TcpHeader {
        self.sent_at = now;
        header(path, seq, self.receive.say(), flags)
    }
}

/// Twenty octets, as Cisco sends them.
pub(super) const fn header(path: &Path, seq: Seq, ack: Seq, flags: TcpFlags) -> TcpHeader {
    TcpHeader {
        source_port: path.local.port(),
        destination_port: path.peer.port(),
        seq,
        ack,
        flags,
        window: WINDOW,
        len: TCP_HEADER,
        mss: None,
    }
}
