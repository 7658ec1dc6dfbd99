//! One connection, from its first octet of data on.

use super::beginning::Beginning;
use super::frames::{Begins, BrokenStream, Frames, PREFIX};
use super::queue::{Queue, QueueFull};
use super::stack::{RECEIVE, SEND, Scratch, Stack};
use crate::contract::{Amount, Path, StreamEvidence, StreamState};
use crate::time::Instant;
use crate::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader};
use smoltcp::socket::tcp::State;
use std::time::Duration;

/// ESP that waits, at most: two super-packets from the inner side.
const QUEUE: usize = 128 * 1024;
/// Between two acknowledgments that ask for a RST again (RFC 5961 section 7).
const CHALLENGES: Duration = Duration::from_secs(1);
/// Whose session is over may say goodbye for so long, and has as long again to take what was said before a FIN.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Where smoltcp has something to say but says nothing, it is asked again after this.
const AGAIN: Duration = Duration::from_millis(1);

/// Where what a stream has to say goes.
pub trait Outside {
    /// A segment, its checksum zero.
    fn segment(&mut self, path: &Path, segment: &[u8]);
    /// What was in a frame.
    fn frame(&mut self, path: &Path, octets: &[u8]);
}

/// What became of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// It went into the stream.
    Taken,
    /// It says nothing that its sender can mean, if its sender is our peer.
    Elsewhere,
    /// What it brought makes no sense: the connection is reset.
    Broken(BrokenStream),
    /// The connection is over.
    Over,
}

/// How far a connection's end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Nobody wants it.
    No,
    /// Nobody needs the connection: a FIN at this time, unless somebody does by then.
    At(Instant),
    /// A FIN is behind all that was said; a RST at this time.
    By(Instant),
}

/// What smoltcp does not know to be unsaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unsaid {
    /// Nothing.
    Nothing,
    /// That all has come which came before there was a stream, and how much more may.
    Acknowledgment,
}

/// A connection with a peer.
#[derive(Debug)]
pub struct Stream {
    stack: Stack,
    frames: Frames,
    queue: Queue,
    came: Amount,
    /// ESP that had to give way,
    given_way: u64,
    /// and what of it was asked for.
    given_way_told: u64,
    heard_at: Instant,
    challenged: Option<Instant>,
    unsaid: Unsaid,
    ending: Ending,
    due: Instant,
}

impl Stream {
    /// One that has begun. Of its beginning nothing is left.
    pub fn accept(now: Instant, path: &Path, begun: &mut Beginning, scratch: &mut Scratch) -> Option<Self> {
        let Beginning { offer, ours, expected, frames, window, came, .. } = begun;
        let stack = Stack::accept(now, path, *offer, [*ours, *expected], *window, scratch)?;
        let frames = std::mem::replace(frames, Frames::new(Begins::Frame));
        let stream = Self::new(now, stack, frames.of_any_length());
        Some(Self { unsaid: Unsaid::Acknowledgment, came: *came, ..stream })
    }

    /// One that we begin, with a SYN that has the number `first`.
    pub fn dial(
        now: Instant,
        path: &Path,
        first: Seq,
        scratch: &mut Scratch,
        outside: &mut impl Outside,
    ) -> Option<Self> {
        let mut stack = Stack::dial(now, path, first, scratch)?;
        stack.say(now, scratch, |segment| outside.segment(path, segment));
        let mut stream = Self::new(now, stack, Frames::new(Begins::Frame));
        stream.queue.begin(PREFIX);
        Some(stream)
    }

    fn new(now: Instant, stack: Stack, frames: Frames) -> Self {
        Self {
            stack,
            frames,
            queue: Queue::new(QUEUE),
            came: Amount::default(),
            given_way: 0,
            given_way_told: 0,
            heard_at: now,
            challenged: None,
            unsaid: Unsaid::Nothing,
            ending: Ending::No,
            due: now,
        }
    }

    /// A segment of the peer's, its checksum good: what `header` was read from, and data.
    pub fn segment(
        &mut self,
        now: Instant,
        path: &Path,
        header: &TcpHeader,
        segment: &[u8],
        scratch: &mut Scratch,
        outside: &mut impl Outside,
    ) -> Fed {
        let dials = self.stack.state() == State::SynSent;
        let begins = header.seq.distance(self.stack.expected());
        let ends = begins.saturating_add(i32::try_from(segment.len() - header.len).unwrap_or(i32::MAX));
        let plausible = header.flags.has(TcpFlags::ACK) && self.believes(header);
        if !dials && header.flags.has(TcpFlags::RST) {
            return self.reset(now, path, begins, outside);
        }
        // More than the window that was ever offered: smoltcp relies on it.
        if !dials && ends > RECEIVE as i32 {
            return Fed::Elsewhere;
        }
        self.due = Instant::ZERO;
        self.stack.segment(now, segment, scratch, |segment| outside.segment(path, segment));
        self.came.segments += u64::from(plausible && segment.len() > header.len);
        let Self { stack, frames, came, .. } = self;
        let read = stack.read(|octets| {
            came.octets += octets.len() as u64;
            frames.take(octets, |octets| outside.frame(path, octets))
        });
        if let Err(broken) = read {
            self.stack.abort();
            return Fed::Broken(broken);
        }
        match self.stack.state() {
            State::Closed => return Fed::Over,
            State::CloseWait => self.finish(now),
            State::Listen
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait => {}
        }
        if !plausible {
            return if dials { Fed::Taken } else { Fed::Elsewhere };
        }
        self.heard_at = now;
        Fed::Taken
    }

    /// RFC 5961 section 3.2: a RST counts only where it would be the next octet; elsewhere in the window an acknowledgment asks for it
    /// again, once in a while (section 7).
    fn reset(&mut self, now: Instant, path: &Path, begins: i32, outside: &mut impl Outside) -> Fed {
        if begins == 0 {
            return Fed::Over;
        }
        let in_window = (0..RECEIVE as i32).contains(&begins);
        if in_window && self.challenged.is_none_or(|last| now.since(last) >= CHALLENGES) {
            self.challenged = Some(now);
            self.acknowledge(path, outside);
        }
        Fed::Elsewhere
    }

    fn acknowledge(&mut self, path: &Path, outside: &mut impl Outside) {
        self.unsaid = Unsaid::Nothing;
        let acknowledgment = TcpHeader {
            source_port: path.local.port(),
            destination_port: path.peer.port(),
            seq: self.stack.said(),
            ack: self.stack.expected(),
            flags: TcpFlags::ACK,
            window: self.stack.window(),
            len: TCP_HEADER,
        };
        outside.segment(path, &acknowledgment.octets());
    }

    /// An IKE message is to go.
    pub fn ike(&mut self, message: &[u8]) -> Result<(), QueueFull> {
        self.due = Instant::ZERO;
        self.queue.ike(message)
    }

    /// An ESP packet is to go.
    pub fn esp(&mut self, packet: &[u8]) -> Result<(), QueueFull> {
        match self.ending {
            Ending::By(_) => return Err(QueueFull),
            Ending::No | Ending::At(_) => {}
        }
        self.due = Instant::ZERO;
        self.given_way += self.queue.esp(packet)?;
        Ok(())
    }

    /// Says what is to be said by now. What waits goes to smoltcp only when it can leave, so that it is still here to give way as long
    /// as it cannot; and as whole frames, so that none is ever cut.
    pub fn speak(&mut self, now: Instant, path: &Path, scratch: &mut Scratch, outside: &mut impl Outside) {
        if self.unsaid == Unsaid::Acknowledgment {
            self.acknowledge(path, outside);
        }
        match self.ending {
            Ending::At(end) if now >= end => self.finish(now),
            Ending::By(end) if now >= end => self.stack.abort(),
            Ending::No | Ending::At(_) | Ending::By(_) => {}
        }
        loop {
            while self.stack.unsent() < 2 * self.stack.segment_room()
                && let Some(frame) = self.queue.front()
                && self.stack.write(frame)
            {
                self.queue.pop();
            }
            if matches!(self.ending, Ending::By(_)) && self.queue.is_empty() {
                self.stack.close();
            }
            if !self.stack.speak(now, scratch, |segment| outside.segment(path, segment)) {
                break;
            }
        }
        let end = match self.ending {
            Ending::No => None,
            Ending::At(end) | Ending::By(end) => Some(end),
        };
        let due = self.stack.due(now).into_iter().chain(end).min();
        self.due = due.map_or(Instant::from_nanos(u64::MAX), |due| due.max(now + AGAIN));
    }

    /// Nobody needs it any more: there is time for goodbyes, then it ends.
    pub fn leave(&mut self, now: Instant) {
        if self.ending == Ending::No {
            self.ending = Ending::At(now + LAST_WORDS);
            self.due = Instant::ZERO;
        }
    }

    /// Somebody needs it.
    pub const fn stay(&mut self) {
        if let Ending::At(_) = self.ending {
            self.ending = Ending::No;
        }
    }

    /// No more ESP: what IKE has said still goes, then a FIN.
    pub fn finish(&mut self, now: Instant) {
        if let Ending::No | Ending::At(_) = self.ending {
            self.ending = Ending::By(now + LAST_WORDS);
            self.given_way += self.queue.drop_esp();
            self.due = Instant::ZERO;
        }
    }

    /// A RST is the last that is said.
    pub fn abort(&mut self, now: Instant, path: &Path, scratch: &mut Scratch, outside: &mut impl Outside) {
        self.ending = Ending::By(now);
        self.speak(now, path, scratch, outside);
    }

    /// Whether nothing will be said any more, or only what a peer that has missed the end would hear anyway.
    pub fn is_over(&self) -> bool {
        match self.stack.state() {
            State::Closed | State::TimeWait => true,
            State::Listen
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => false,
        }
    }

    /// Whether a peer that is where we think it is could send this: near to what is expected, and to what it can have heard.
    pub const fn believes(&self, segment: &TcpHeader) -> bool {
        let unheard = self.stack.said().distance(segment.ack);
        let begins = segment.seq.distance(self.stack.expected());
        unheard >= 0 && unheard as usize <= SEND && begins.unsigned_abs() as usize <= RECEIVE
    }

    /// When [`Stream::speak`] has something to do at the latest.
    pub const fn deadline(&self) -> Instant {
        self.due
    }

    /// When anything of the peer's came last.
    pub const fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// How many ESP packets had to give way since this was asked last.
    pub const fn take_given_way(&mut self) -> u64 {
        self.given_way - std::mem::replace(&mut self.given_way_told, self.given_way)
    }

    /// How far it is.
    pub fn state(&self) -> StreamState {
        match (self.stack.state(), self.ending) {
            (State::Listen | State::SynSent | State::SynReceived, _) => StreamState::Begins,
            (State::Established, Ending::No | Ending::At(_)) => StreamState::Open,
            (State::Established, Ending::By(_)) => StreamState::Ends,
            (State::Closed | State::FinWait1 | State::FinWait2, _) => StreamState::Ends,
            (State::CloseWait | State::Closing | State::LastAck | State::TimeWait, _) => StreamState::Ends,
        }
    }

    /// All that was counted.
    pub fn evidence(&self) -> StreamEvidence {
        StreamEvidence {
            came: self.came,
            queued: self.queue.octets() + self.stack.unsent(),
            queue_most: QUEUE,
            given_way: self.given_way,
            ..self.stack.evidence()
        }
    }

    /// Octets of memory beside the stream itself.
    pub fn memory(&self) -> usize {
        RECEIVE + SEND + self.frames.memory() + self.queue.memory()
    }
}
