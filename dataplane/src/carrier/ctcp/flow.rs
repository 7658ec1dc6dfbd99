//! One connection with a peer, from its first frame on.

use super::cookie::{SynFacts, SynOptions};
use super::esp_order::{Begins, EspOrder, Gap};
use super::filler::Filler;
use super::frame::{Frame, MAX_FRAME, whole};
use super::further::{Further, is_near};
use super::ladder::Ladder;
use super::receive::{Due, Mode, Receive};
use super::ring;
use super::send::{Alone, Full, Room, Send};
use super::stall::{FURTHEST, Hidden, StallWatch, Stalling};
use super::stream::Stream;
use super::trailer::Inside;
use crate::contract::{DownEvidence, Evidence, Path, UpEvidence};
use crate::time::Instant;
use crate::wire::tcp::{Seq, Shift, TCP_HEADER, TcpFlags, TcpHeader};
use std::net::SocketAddr;
use std::time::Duration;

/// Every Cisco end says so, and never anything else.
pub(super) const WINDOW: u16 = u16::MAX;
/// What that is to be shifted by where both ends scale windows: half a megabyte, as much as a ring holds and more.
pub(in crate::carrier) const SCALE: Shift = Shift::new(3);

/// Who was heard where it is within this time is not elsewhere as well: a client says something every few seconds.
const HEARD: Duration = Duration::from_secs(10);
/// Octets that a flow holds with [`Room::Little`], and a segment.
pub(super) const LITTLE: usize = ring::LEAST + MAX_FRAME + 4096;
/// Between two acknowledgments that ask for a RST again.
const CHALLENGES: Duration = Duration::from_secs(1);

/// What both directions of a flow may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets that are kept for sending again.
    pub ring: usize,
    /// Between two segments of ours while nothing else is sent.
    pub keepalive: Duration,
}

impl Limits {
    /// A ring as long as the window that we scale to; IOS sends a keepalive every five seconds.
    pub const DEFAULT: Self = Self { ring: 512 * 1024, keepalive: Duration::from_secs(5) };
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

/// Whether a segment shows that its sender sees what we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Given,
    Lacking,
}

/// How the peer, or somebody on the way, ended a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// RST.
    Reset,
    /// FIN, and the frame that its payload was, if it was one; [`Flow::frames`] has what was in pieces.
    Finished(Option<Frame>),
}

/// A connection with a peer.
#[derive(Debug)]
pub struct Flow {
    mode: Mode,
    options: SynOptions,
    limits: Limits,
    receive: Receive,
    further: Further,
    ladder: Ladder,
    send: Send,
    filler: Filler,
    stream: Stream,
    esp: EspOrder,
    stall: StallWatch,
    counted: Counted,
    /// When anything of the peer's came last.
    heard_at: Instant,
    /// When we sent last,
    sent_at: Instant,
    /// and when a segment without data.
    alone_at: Instant,
    /// When we asked for a RST again.
    challenged: Option<Instant>,
    /// Whether something is to be said at once.
    due: Due,
}

/// What neither direction counts.
#[derive(Debug, Default)]
struct Counted {
    segments: u64,
    octets: u64,
    pieces: u64,
    keepalives: u64,
    holes_in_esp: u64,
    holes_not_in_esp: u64,
}

impl Flow {
    /// Our next octet is `ours`, the peer's is `theirs`.
    pub fn new(now: Instant, mode: Mode, syn: SynFacts, ours: Seq, theirs: Seq, limits: Limits) -> Self {
        let mut send = Send::new(now, mode, ours, limits.ring, syn.scale);
        match syn.options {
            SynOptions::Some => send.expect_answers(),
            // It may be one of Cisco's that only receives.
            SynOptions::None => send.expect_silence(),
        }
        Self {
            mode,
            options: syn.options,
            limits,
            receive: Receive::new(mode, theirs),
            further: Further::new(now),
            ladder: Ladder::new(now),
            send,
            filler: Filler::default(),
            stream: Stream::new(theirs),
            esp: EspOrder::default(),
            stall: StallWatch::new(
                now,
                ours,
                match syn.options {
                    // A Cisco client has none, so real TCP has made this one: a proxy's, or the peer's own.
                    SynOptions::Some => Hidden::Perhaps,
                    SynOptions::None => Hidden::No,
                },
            ),
            counted: Counted::default(),
            heard_at: now,
            sent_at: now,
            alone_at: now,
            challenged: None,
            due: Due::Later,
        }
    }

    /// A segment of the peer's, its checksum good, without SYN.
    #[inline]
    pub fn segment(&mut self, now: Instant, header: &TcpHeader, payload: &[u8]) -> Arrived {
        if header.flags.has(TcpFlags::RST) {
            return self.reset(now, header.seq);
        }
        let frame = whole(payload);
        let plausible = header.flags.has(TcpFlags::ACK) && self.believes(header);
        let proves = payload.is_empty() && self.proves(header);
        if !plausible && !proves {
            if payload.is_empty() {
                self.further.guesses_wrong(now);
            }
            return match frame {
                // Control would look for its sender here, and a session of its own is all that a sender needs for that.
                Some(Frame { inside: Inside::Ike, .. }) if now.since(self.heard_at) < HEARD => Arrived::Elsewhere,
                Some(frame) => Arrived::Unbelieved(frame),
                None => Arrived::Elsewhere,
            };
        }
        self.heard_at = now;
        let alone = if payload.is_empty() { Alone::Yes } else { Alone::No };
        self.send.acknowledgment(now, header.ack, alone);
        self.send.advertised(header.window);
        if header.flags.has(TcpFlags::FIN) {
            return self.finish(now, header.seq, payload, frame);
        }
        if payload.is_empty() {
            if !plausible {
                self.further.says(now, header.seq);
            }
            self.alone(now, header.seq, if proves { Proof::Given } else { Proof::Lacking });
            return Arrived::Nothing;
        }
        self.take(now, header.seq, payload, frame)
    }

    /// All frames that pieces have completed.
    #[inline]
    pub fn frames(&mut self, mut deliver: impl FnMut(Inside, &[u8])) {
        if self.stream.held() == 0 {
            return;
        }
        let Self { stream, esp, stall, .. } = self;
        stream.frames(|inside, octets| {
            if inside == Inside::Esp {
                esp.take(octets, Begins::Here);
                stall.esp();
            }
            deliver(inside, octets);
        });
    }

    /// A segment that says what has come, and nothing else.
    pub fn acknowledge(&mut self, now: Instant, path: &Path) -> TcpHeader {
        self.alone_at = now;
        self.header(now, path, self.send.next(), TcpFlags::ACK)
    }

    /// The header for a segment with `len` octets of payload, its checksum still zero.
    pub fn dress(&mut self, now: Instant, path: &Path, len: usize) -> Result<TcpHeader, Full> {
        let seq = self.send.place(now, len)?;
        Ok(self.header(now, path, seq, TcpFlags::ACK))
    }

    /// That segment's payload, now that it is on its way.
    pub fn dressed(&mut self, now: Instant, inside: Inside, payload: &[u8]) {
        self.filler.sent(self.send.next(), inside, payload, self.send.acknowledged());
        self.send.sent(now, payload);
        self.stall.sent(self.send.next(), inside);
    }

    /// What there is to say without data: an acknowledgment, and what is to be sent again. `say` gets each segment's header
    /// and payload.
    pub fn speak(&mut self, now: Instant, path: &Path, mut say: impl FnMut(&TcpHeader, [&[u8]; 2])) {
        if self.receive.timeout(now) == Due::Now {
            self.due = Due::Now;
            self.stream.give_up(self.receive.floor());
        }
        let due = std::mem::replace(&mut self.due, Due::Later);
        let idle = now >= self.keepalive_at();
        if idle {
            self.send.rest();
        }
        if due == Due::Now || idle {
            let header = self.acknowledge(now, path);
            say(&header, [&[], &[]]);
            if self.climbs() && due == Due::Now {
                for ack in self.ladder.rungs(header.ack) {
                    say(&TcpHeader { ack, ..header }, [&[], &[]]);
                }
            }
        }
        let (ack, mut said) = (self.receive.acknowledgment(), false);
        for sent in self.send.repair(now) {
            said = true;
            say(&header(path, sent.seq, ack, TcpFlags::ACK), sent.parts);
        }
        if let Some(hole) = self.send.unkept(now)
            && let Some(frame) = self.filler.frame(hole.begins, hole.len)
        {
            said = true;
            self.send.counted.filled += 1;
            say(&header(path, hole.begins, ack, TcpFlags::ACK), [frame.octets(), &[]]);
        }
        if said {
            self.receive.say();
            self.sent_at = now;
        }
    }

    /// When [`Flow::speak`] has something to say at the latest.
    pub fn deadline(&self) -> Instant {
        let others = [self.receive.deadline(), self.send.deadline()];
        let next = others.into_iter().flatten().fold(self.keepalive_at(), Instant::min);
        match self.due {
            Due::Now => Instant::ZERO,
            Due::Later => next,
        }
    }

    /// The segment that ends the connection at both ends: where the peer expects it, so that no box takes it for a forged one.
    pub fn end(&mut self, now: Instant, path: &Path) -> TcpHeader {
        self.header(now, path, self.send.next(), TcpFlags::RST.with(TcpFlags::ACK))
    }

    /// What is to be told of a stall by now, if it has to last `after`: what the peer sends does not arrive any more, and nothing
    /// that we can do will bring it, or what is behind it.
    pub fn stalling(&self, now: Instant, after: Duration) -> Option<Stalling> {
        self.stall.verdict(now, after)
    }

    /// When there will be more to tell, that much having been told.
    pub fn stalling_due(&self, told: Option<Stalling>, after: Duration) -> Option<Instant> {
        self.stall.due(told, after)
    }

    /// All that was counted.
    pub fn evidence(&self, now: Instant) -> Evidence {
        let (receive, sent, counted) = (&self.receive, &self.send.counted, &self.counted);
        let (ring, ring_most) = self.send.kept();
        let least_rtt = self.send.least_rtt();
        Evidence {
            syn: self.options,
            up: UpEvidence {
                segments: counted.segments,
                octets: counted.octets,
                pieces: counted.pieces,
                keepalives: counted.keepalives,
                holes: receive.holes,
                holes_in_esp: counted.holes_in_esp,
                holes_not_in_esp: counted.holes_not_in_esp,
                overtaken: receive.overtaken,
                refilled: receive.refilled,
                passed_over: receive.unfilled,
                missing: receive.missing,
                repeated: receive.repeated,
                esp: self.esp.seen,
                esp_missing: self.esp.missing,
                esp_late: self.esp.late,
                esp_again: self.esp.again,
            },
            down: DownEvidence {
                segments: sent.segments,
                octets: sent.octets,
                resent: sent.resent,
                repairs: sent.repairs,
                helped: sent.helped,
                duplicates: sent.duplicates,
                rewinds: sent.rewinds,
                filled: sent.filled,
                plateaus: sent.plateaus,
                rtt: least_rtt.map(|_| self.send.rtt()),
                least_rtt,
                in_flight: self.send.in_flight(),
                ring,
                ring_most,
            },
            stall: self.stall.stall(now, receive.highest()),
        }
    }

    /// Whether a peer that is where we think it is could send this: near to what has come or to where it says to be, and to what it can have
    /// heard.
    #[inline]
    pub fn believes(&self, segment: &TcpHeader) -> bool {
        let near = is_near(segment.seq, self.receive.highest()) || self.further.is_near(segment.seq);
        near && self.send.believes(segment.ack)
    }

    /// What the peer's SYN had.
    pub(super) const fn syn_options(&self) -> SynOptions {
        self.options
    }

    /// When anything of the peer's came last.
    pub const fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Without room for more it keeps what it has of ours, and no pieces; with little, as many pieces as a message has.
    pub fn bound(&mut self, room: Room) {
        self.send.bound(room);
        match room {
            Room::Left => {}
            Room::Little if self.stream.held() <= MAX_FRAME => {}
            Room::Little | Room::None => self.stream.forget(),
        }
    }

    /// Octets of memory beside the flow itself.
    pub fn memory(&self) -> usize {
        self.send.memory() + self.stream.held()
    }

    /// Whether the peer gets the ladder. Cisco's client alone takes no harm: what its SYN looks like is all that is known of it when that
    /// matters.
    fn climbs(&self) -> bool {
        self.mode == Mode::Adaptive && self.options == SynOptions::None
    }

    /// Whether a segment without data can only come from somebody who sees what we send.
    fn proves(&self, header: &TcpHeader) -> bool {
        let ahead = header.seq.distance(self.receive.highest());
        (1..FURTHEST).contains(&ahead)
            && header.flags == TcpFlags::ACK
            && self.send.believes(header.ack)
            && self.has_end(header.ack)
    }

    fn has_end(&self, ack: Seq) -> bool {
        self.stall.has_end(ack) || self.send.has_end(ack)
    }

    /// A segment without data.
    fn alone(&mut self, now: Instant, seq: Seq, proof: Proof) {
        self.counted.keepalives += 1;
        let highest = self.receive.highest();
        match proof {
            Proof::Given => self.stall.alone(now, seq, highest, self.receive.unsaid()),
            Proof::Lacking if !seq.is_after(highest) => self.stall.refuted(),
            Proof::Lacking => {}
        }
    }

    /// What a segment with data says of the path.
    fn note(&mut self, begins: Begins, holes: u64, payload: &[u8], frame: Option<&Frame>) {
        self.counted.segments += 1;
        self.counted.octets += payload.len() as u64;
        let Some(frame) = frame else {
            self.counted.pieces += 1;
            return;
        };
        if frame.inside == Inside::Ike {
            return;
        }
        self.stall.esp();
        match (self.esp.take(&payload[frame.at.clone()], begins), self.receive.holes > holes) {
            (Gap::Some, true) => self.counted.holes_in_esp += 1,
            (Gap::None, true) => self.counted.holes_not_in_esp += 1,
            (Gap::Some | Gap::None, false) | (Gap::Unknown, _) => {}
        }
    }

    #[inline(always)]
    fn take(&mut self, now: Instant, seq: Seq, payload: &[u8], frame: Option<Frame>) -> Arrived {
        self.stall.data(now);
        if self.options == SynOptions::Some || self.receive.is_filled() {
            self.receive.fills(self.send.rtt());
        }
        if let Some(least) = self.send.least_rtt() {
            self.receive.measured(least);
            if self.climbs() {
                self.ladder.came(now, payload.len(), least);
            }
        }
        let holes = self.receive.holes;
        if self.receive.data(now, seq, payload.len()) == Due::Now {
            self.due = Due::Now;
        }
        self.further.came(self.receive.highest());
        // Without state every segment is taken for whole frames.
        let begins = match !self.mode.holds() || self.stream.begins(seq) {
            true => Begins::Here,
            false => Begins::Perhaps,
        };
        self.note(begins, holes, payload, frame.as_ref());
        let arrived = match frame {
            Some(frame) => {
                // The end of a longer one looks like a whole frame, too. Where that is possible it is taken as both: of the
                // two readings one is not authentic, and what comes twice is a replay.
                match begins {
                    Begins::Here => self.stream.frame_ended(seq.plus(payload.len())),
                    Begins::Perhaps => self.stream.piece(seq, payload),
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

    /// A FIN ends no less than a RST, so it counts where that would. What comes with it is taken first, wherever it is.
    fn finish(&mut self, now: Instant, seq: Seq, payload: &[u8], frame: Option<Frame>) -> Arrived {
        let places = [self.receive.floor(), self.receive.highest()];
        let counts = [seq, seq.plus(payload.len())].iter().any(|place| places.contains(place));
        let last = if payload.is_empty() { Arrived::Nothing } else { self.take(now, seq, payload, frame) };
        if !counts {
            self.ask_again(now, seq);
            return last;
        }
        let last = if let Arrived::Whole(frame) = last { Some(frame) } else { None };
        Arrived::Over(Ended::Finished(last))
    }

    /// RFC 5961 section 3.2: a RST counts where it would be the next octet, whether of what has come without a hole or of all that has
    /// come. Elsewhere in the window an acknowledgment asks for it again, once in a while (section 7): whoever is really gone
    /// answers that with a RST where it counts.
    fn reset(&mut self, now: Instant, seq: Seq) -> Arrived {
        let places = [self.receive.floor(), self.receive.highest()];
        if places.contains(&seq) {
            return Arrived::Over(Ended::Reset);
        }
        self.ask_again(now, seq);
        Arrived::Elsewhere
    }

    /// An acknowledgment asks for what would have ended the connection elsewhere.
    fn ask_again(&mut self, now: Instant, seq: Seq) {
        let in_window = (0..i32::from(WINDOW)).contains(&seq.distance(self.receive.floor()));
        if in_window && self.challenged.is_none_or(|last| now.since(last) >= CHALLENGES) {
            self.challenged = Some(now);
            self.due = Due::Now;
        }
    }

    /// After silence. Cisco's ends were seen to keep to their beat, whatever else they send.
    fn keepalive_at(&self) -> Instant {
        let last = if self.mode == Mode::Legacy { self.alone_at } else { self.sent_at };
        last + self.limits.keepalive
    }

    fn header(&mut self, now: Instant, path: &Path, seq: Seq, flags: TcpFlags) -> TcpHeader {
        self.sent_at = now;
        header(path, seq, self.receive.say(), flags)
    }
}

/// What a segment may hold, as a SYN says: what an Ethernet's frame holds beside IP's and TCP's headers (RFC 6691 section 2).
pub(in crate::carrier) const fn segment_size(path: &Path) -> u16 {
    match path.local {
        SocketAddr::V4(_) => 1460,
        SocketAddr::V6(_) => 1440,
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
    }
}
