//! A connection until its peer has shown what it wants: what has come of the first message is all that is kept.
//!
//! ```text
//! IKETCP, or its beginning ──▶ Beginning
//!   a whole IKE message ──▶ Stream
//!   ESP, and a session vouches for it (RFC 9329 section 6.1: who resumes one may begin with it) ──▶ Stream
//!   anything else ──▶ RST
//! ```
//! No TCP is needed for that: what comes in order is taken and acknowledged, the peer's TCP repeats the rest.

use super::frames::{Begins, BrokenStream, Frames, INTRODUCTION};
use super::offer::Offer;
use super::stream::Outside;
use crate::carrier::ctcp::{Room, is_ike_message};
use crate::contract::{Amount, Path, StreamEvidence};
use crate::time::Instant;
use crate::wire::esp::{HEADER_LEN, KEEPALIVE, NON_ESP_MARKER};
use crate::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader};

/// What a segment said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Began {
    /// Nothing yet that would need more room.
    Waits,
    /// An IKE message is among it.
    Speaks,
    /// That, but there is no room for another stream.
    Refused,
    /// It says nothing that its sender can mean, if its sender is our peer.
    Elsewhere,
    /// It makes no sense.
    Broken(BrokenStream),
    /// The connection is over.
    Over(Goodbye),
}

/// How a peer ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// A RST, which is not answered.
    Reset,
    /// A FIN.
    Finished,
}

/// A connection whose peer has shown nothing but that it is where it says to be.
#[derive(Debug)]
pub struct Beginning {
    pub(super) offer: Offer,
    pub(super) ours: Seq,
    /// The next octet of the peer's.
    pub(super) expected: Seq,
    pub(super) frames: Frames,
    /// What the peer's last segment had as its window.
    pub(super) window: u16,
    pub(super) came: Amount,
    /// Octets that are still taken.
    room: usize,
    heard_at: Instant,
}

impl Beginning {
    /// Our next octet is `ours`, the peer's is `theirs`.
    pub fn new(now: Instant, offer: Offer, ours: Seq, theirs: Seq) -> Self {
        let frames = Frames::new(Begins::Prefix);
        Self {
            offer,
            ours,
            expected: theirs,
            frames,
            window: 0,
            came: Amount::default(),
            room: INTRODUCTION,
            heard_at: now,
        }
    }

    /// A segment of the peer's, its checksum good. `room` says whether there would be any for a stream.
    pub fn segment(
        &mut self,
        now: Instant,
        path: &Path,
        header: &TcpHeader,
        data: &[u8],
        room: Room,
        outside: &mut impl Outside,
    ) -> Began {
        let begins = header.seq.distance(self.expected);
        if header.flags.has(TcpFlags::RST) {
            return if begins == 0 { Began::Over(Goodbye::Reset) } else { Began::Elsewhere };
        }
        if !header.flags.has(TcpFlags::ACK) || !self.believes(header) {
            return Began::Elsewhere;
        }
        if header.flags.has(TcpFlags::FIN) {
            return Began::Over(Goodbye::Finished);
        }
        (self.heard_at, self.window) = (now, header.window);
        let known = usize::try_from(begins.saturating_neg());
        let fresh = known.ok().and_then(|known| data.get(known..)).unwrap_or_default();
        let fresh = fresh.get(..self.room).unwrap_or(fresh);
        self.room -= fresh.len();
        self.expected = self.expected.plus(fresh.len());
        self.came.segments += u64::from(!data.is_empty());
        self.came.octets += fresh.len() as u64;
        let mut began = Began::Waits;
        let taken = self.frames.take(fresh, |octets| {
            began = match (began, First::of(octets)) {
                (Began::Waits, First::Ike) if room == Room::None => Began::Refused,
                (Began::Waits, First::Ike) => Began::Speaks,
                (Began::Waits, First::Nothing) => Began::Broken(BrokenStream::Garbage),
                (_, First::Ike | First::Esp | First::Nothing) => began,
            };
            if let Began::Waits | Began::Speaks = began {
                outside.frame(path, octets);
            }
        });
        if let Err(broken) = taken {
            return Began::Broken(broken);
        }
        // A stream acknowledges all of it with the window that it has.
        if began == Began::Waits && (!data.is_empty() || begins != 0) {
            outside.segment(path, &self.header(path, TcpFlags::ACK).octets());
        }
        began
    }

    /// Nobody wants it.
    pub fn abort(&self, path: &Path, outside: &mut impl Outside) {
        outside.segment(path, &self.header(path, TcpFlags::RST.with(TcpFlags::ACK)).octets());
    }

    /// Whether a peer that is where we think it is could send this: it has heard nothing that it could acknowledge.
    pub const fn believes(&self, segment: &TcpHeader) -> bool {
        let begins = segment.seq.distance(self.expected);
        segment.ack.distance(self.ours) == 0 && begins.unsigned_abs() as usize <= u16::MAX as usize
    }

    /// All that was counted.
    pub fn evidence(&self) -> StreamEvidence {
        StreamEvidence { came: self.came, ..StreamEvidence::default() }
    }

    /// When anything of the peer's came last.
    pub const fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Octets of memory beside the beginning itself.
    pub fn memory(&self) -> usize {
        self.frames.memory()
    }

    fn header(&self, path: &Path, flags: TcpFlags) -> TcpHeader {
        TcpHeader {
            source_port: path.local.port(),
            destination_port: path.peer.port(),
            seq: self.ours,
            ack: self.expected,
            flags,
            window: self.offer.window(self.room),
            len: TCP_HEADER,
        }
    }
}

/// What one of the first frames has in it.
enum First {
    /// An IKE message that may begin a connection.
    Ike,
    /// What may be ESP, or the octet that keeps a NAT's mapping.
    Esp,
    /// Neither.
    Nothing,
}

impl First {
    fn of(octets: &[u8]) -> Self {
        match octets.strip_prefix(&NON_ESP_MARKER) {
            Some(message) if is_ike_message(message) => Self::Ike,
            Some(_) => Self::Nothing,
            None if octets.len() > HEADER_LEN || octets == [KEEPALIVE] => Self::Esp,
            None => Self::Nothing,
        }
    }
}
