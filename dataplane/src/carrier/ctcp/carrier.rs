//! All connections of one worker.
//!
//! ```text
//! SYN ──────────────▶ SYN, ACK with a cookie; nothing is remembered
//! data ─ our cookie, and an IKE message ──▶ Flow, unproven
//!      ─ anything else ──▶ RST, from a budget
//! Flow ─ a session vouches for it ──▶ proven
//!      ─ nobody does in time ──▶ RST
//! ```
//! A client's begins as `dial` has it. What begins with RFC 9329's prefix becomes a stream, as `streams` has it: behind the same door
//! and in the same books, but with a TCP of its own as soon as IKE has come by it.

mod beginning;
mod dial;
mod standing;
mod streams;
mod survey;
mod unproven;

use self::dial::Dials;
use self::standing::Books;
use self::streams::Around;
use super::cookie::Cookies;
use super::flow::{Arrived, Ended, Limits};
use super::frame::Frame;
use super::receive::Mode;
use super::send::Room;
use super::slot::{Key, Slot, Standing, Talk, UNPROVEN};
use super::stall::Stalling;
use super::trailer::{Inside, TRAILER_LEN, trailer};
use crate::carrier::tcp::Scratch;
use crate::contract::{CtcpCare, CtcpTuning, FlowReport, Path, TunnelKey, WorkerId};
use crate::fate::DropReason;
use crate::packet::PacketBuf;
use crate::time::Instant;
use crate::wire::tcp::{TCP_HEADER, TcpFlags, TcpHeader};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many connections there may be, and how they are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CtcpConfig {
    /// Which end of every connection we are.
    pub part: Part,
    /// The port of ours where only streams begin.
    pub streams_alone: Option<u16>,
    /// How each by cTCP is treated.
    pub mode: Mode,
    /// Of each flow.
    pub limits: Limits,
    /// Flows at most, proven or not.
    pub flows: usize,
    /// Of those, unproven ones, from everywhere (fewer where the memory is little),
    pub unproven: usize,
    /// and from one IPv4 address or IPv6 /64. When there are so many, the oldest of whoever has most gives way to who comes.
    pub unproven_per_source: usize,
    /// Likewise, of those on which somebody logs in; in all they are as many as half of the memory holds.
    pub expected_per_source: usize,
    /// Octets that all flows may hold for others.
    pub memory: usize,
    /// So long a peer's data may fail to come before control is told, if it ever is.
    pub stall_after: Option<Duration>,
}

impl CtcpConfig {
    /// Room for a large site.
    pub const DEFAULT: Self = Self {
        part: Part::Answers,
        streams_alone: None,
        mode: Mode::Adaptive,
        limits: Limits::DEFAULT,
        flows: 65_536,
        unproven: 1024,
        unproven_per_source: 64,
        expected_per_source: 256,
        memory: 256 * 1024 * 1024,
        stall_after: Some(Duration::from_secs(6)),
    };
}

/// Which end we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// A headend: connections come.
    Answers,
    /// A client: an IKE message begins one.
    Dials,
}

/// Where what a carrier has to say goes.
pub trait Outlet {
    /// A segment, its checksum still zero.
    fn segment(&mut self, path: &Path, header: &TcpHeader, payload: [&[u8]; 2]);
    /// A segment that is written already, its checksum still zero.
    fn octets(&mut self, path: &Path, segment: &[u8]);
    /// An IKE message or ESP packet of the peer's that came in pieces.
    fn frame(&mut self, path: &Path, inside: Inside, octets: &[u8]);
    /// What was in a stream's frame.
    fn streamed(&mut self, path: &Path, octets: &[u8]);
    /// Likewise, of one that may become a stream.
    fn introduced(&mut self, path: &Path, octets: &[u8]) {
        self.streamed(path, octets);
    }
}

/// What a segment was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// A frame, to be taken where it lies; octets count from the TCP header on.
    Frame(Frame),
    /// Likewise, but its peer is not where it says to be: if what is in it is authentic, its sender may be anywhere.
    Doubted(Frame),
    /// Octets of a stream: the frames that they complete have come out already.
    Octets,
    /// Nothing to forward.
    Nothing(DropReason),
}

/// So long a flow may be silent: Cisco's clients say something every few seconds, and a peer that lives answers DPD.
const SILENT: Duration = Duration::from_secs(600);
/// RSTs to segments of no connection, each second.
const RESETS: u32 = 100;

/// All connections of one worker.
pub struct Carrier {
    worker: WorkerId,
    config: CtcpConfig,
    cookies: Cookies,
    dials: Dials,
    slots: Vec<Option<Box<Slot>>>,
    free: Vec<u32>,
    by_path: HashMap<Key, u32, FixedState>,
    /// What was looked up last: packets come in runs.
    found: Option<(Path, u32)>,
    /// Those that are no session's.
    books: Books,
    /// One entry of each at most: [`Slot::wake`].
    agenda: BTreeSet<(Instant, u32)>,
    /// To whom something has happened since the last poll.
    touched: Vec<u32>,
    memory: usize,
    resets: u32,
    resets_since: Instant,
    /// The next flow's.
    number: u64,
    /// To be told to control.
    stalls: Vec<(Stalling, FlowReport)>,
    /// Of streams.
    scratch: Scratch,
    /// ESP that streams had no room for.
    given_way: u64,
    /// Connections that have ended because others needed their places.
    displaced: u64,
}

impl Carrier {
    /// What begins from now on begins so; who has stalled, and how much all may hold, is judged so from now on.
    pub fn tune(&mut self, tuning: CtcpTuning) {
        let CtcpTuning { care, stall_after, ring, memory } = tuning;
        let mode = match care {
            CtcpCare::Adaptive => Mode::Adaptive,
            CtcpCare::Stateless => Mode::Stateless,
        };
        let limits = Limits { ring, ..self.config.limits };
        self.config = CtcpConfig { mode, limits, stall_after, memory, ..self.config };
    }

    /// This worker's; no connection yet. `secret` keys cookies and tables.
    pub fn new(worker: WorkerId, config: CtcpConfig, secret: [u8; 24]) -> Self {
        let [cookie, table] = [&secret[..16], &secret[16..]];
        let hasher = FixedState::with_seed(u64::from_be_bytes(table.try_into().unwrap_or_default()));
        Self {
            worker,
            config,
            cookies: Cookies::new(cookie.try_into().unwrap_or_default()),
            dials: Dials::default(),
            slots: Vec::new(),
            free: Vec::new(),
            by_path: HashMap::with_hasher(hasher.clone()),
            found: None,
            books: Books::new(&hasher),
            agenda: BTreeSet::new(),
            touched: Vec::new(),
            memory: 0,
            resets: 0,
            resets_since: Instant::ZERO,
            number: 0,
            stalls: Vec::new(),
            scratch: Scratch::default(),
            given_way: 0,
            displaced: 0,
        }
    }

    /// A segment has come along `path`, its checksum good: TCP header and payload.
    #[inline]
    pub fn arrive(&mut self, now: Instant, path: &Path, segment: &[u8], outlet: &mut impl Outlet) -> Taken {
        let Some(header) = TcpHeader::parse(segment) else { return Taken::Nothing(DropReason::TooShort) };
        if header.flags.has(TcpFlags::SYN) {
            return match self.config.part {
                Part::Answers => self.syn(now, path, segment, outlet),
                Part::Dials => match self.streams_at(path) {
                    Some(index) => self.carry(now, index, path, &header, segment, outlet),
                    None => self.answer(now, path, &header, segment, outlet),
                },
            };
        }
        if let Some(index) = self.find(path)
            && !self.is_another_incarnation(now, index, path, &header)
        {
            return self.carry(now, index, path, &header, segment, outlet);
        }
        self.stranger(now, path, &header, segment, outlet)
    }

    /// Puts a packet of ours, ESP or an IKE message behind its UDP header, into the segment that carries it, or the SYN of the
    /// connection that it calls for in its place.
    #[inline]
    pub fn dress(
        &mut self,
        now: Instant,
        path: &Path,
        inside: Inside,
        packet: &mut PacketBuf,
    ) -> Result<(), DropReason> {
        let Some(index) = self.find(path) else {
            return self.dial(now, path, inside, packet);
        };
        let room = self.room();
        let slot = self.slot(index).ok_or(DropReason::NoConnection)?;
        let room = slot.share_of(room);
        let Talk::Ctcp(flow) = &mut slot.talk else { return Err(DropReason::NoConnection) };
        flow.bound(room);
        packet.extend_back(TRAILER_LEN).ok_or(DropReason::NoBuffer)?.copy_from_slice(&trailer(inside));
        let header = flow.dress(now, path, packet.len()).map_err(|_| DropReason::InFlight)?;
        flow.dressed(now, inside, packet.bytes());
        packet.extend_front(TCP_HEADER).ok_or(DropReason::NoBuffer)?;
        header.write(path, packet.bytes_mut()).ok_or(DropReason::NoBuffer)?;
        self.touch(index);
        Ok(())
    }

    /// The connection is the session's that has this tunnel. It does not end for the one before.
    pub fn vouch(&mut self, now: Instant, path: &Path, tunnel: TunnelKey) {
        let Some(index) = self.at(path) else { return };
        self.stand(index, Standing::Kept);
        if let Some(slot) = self.slot(index) {
            (slot.tunnel, slot.ends_at) = (Some(tunnel), None);
        }
        self.begin_stream(now, index);
        match self.slot(index).map(|slot| &mut slot.talk) {
            Some(Talk::Stream(stream)) => stream.stay(),
            Some(Talk::Ctcp(_) | Talk::Begins(_)) | None => {}
        }
    }

    /// The connection ends; its peer is told.
    pub fn end(&mut self, now: Instant, path: &Path, outlet: &mut impl Outlet) {
        let Some(index) = self.at(path) else { return };
        let Self { slots, scratch, .. } = self;
        match slots.get_mut(index as usize).and_then(Option::as_deref_mut).map(|slot| &mut slot.talk) {
            Some(Talk::Ctcp(flow)) => outlet.segment(path, &flow.end(now, path), [&[], &[]]),
            Some(Talk::Begins(begins)) => begins.abort(path, &mut Around(outlet)),
            Some(Talk::Stream(stream)) => stream.abort(now, path, scratch, &mut Around(outlet)),
            None => {}
        }
        self.forget(index);
    }

    /// When [`Carrier::poll`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match self.touched.is_empty() {
            true => self.agenda.first().map(|(at, _)| *at),
            false => Some(Instant::ZERO),
        }
    }

    /// Says what is to be said by now.
    pub fn poll(&mut self, now: Instant, outlet: &mut impl Outlet) {
        while let Some(index) = self.touched.pop() {
            if self.slot(index).is_some_and(|slot| std::mem::take(&mut slot.touched)) {
                self.settle(now, index, outlet);
            }
        }
        while let Some((_, index)) = self.agenda.first().copied().filter(|(at, _)| *at <= now) {
            self.agenda.pop_first();
            if let Some(slot) = self.slot(index) {
                slot.wake = None;
            }
            self.visit(now, index, outlet);
        }
    }

    /// Connections.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Octets that flows hold for others.
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// A segment of a connection that is here.
    fn carry(
        &mut self,
        now: Instant,
        index: u32,
        path: &Path,
        header: &TcpHeader,
        segment: &[u8],
        outlet: &mut impl Outlet,
    ) -> Taken {
        let room = self.room();
        let Some(slot) = self.slot(index) else { return Taken::Nothing(DropReason::NoConnection) };
        let room = slot.share_of(room);
        let flow = match &mut slot.talk {
            Talk::Ctcp(flow) => flow,
            Talk::Begins(_) => return self.introduce(now, index, path, header, segment, outlet),
            Talk::Stream(_) => return self.feed(now, index, path, header, segment, outlet),
        };
        flow.bound(room);
        let arrived = flow.segment(now, header, segment.get(header.len..).unwrap_or_default());
        flow.frames(|inside, octets| outlet.frame(path, inside, octets));
        let taken = match arrived {
            Arrived::Whole(frame) => Taken::Frame(frame.behind(header.len)),
            Arrived::Unbelieved(frame) => Taken::Doubted(frame.behind(header.len)),
            Arrived::Piece => Taken::Nothing(DropReason::Reframed),
            Arrived::Nothing => Taken::Nothing(DropReason::Keepalive),
            Arrived::Elsewhere => Taken::Nothing(DropReason::OutOfWindow),
            Arrived::Over(Ended::Reset) => {
                self.forget(index);
                return Taken::Nothing(DropReason::ConnectionEnded);
            }
            Arrived::Over(Ended::Finished(last)) => {
                self.end(now, path, outlet);
                return match last {
                    Some(frame) => Taken::Frame(frame.behind(header.len)),
                    None => Taken::Nothing(DropReason::ConnectionEnded),
                };
            }
        };
        self.touch(index);
        taken
    }

    /// A flow has its say, or has been here for too long.
    fn visit(&mut self, now: Instant, index: u32, outlet: &mut impl Outlet) {
        let Some(slot) = self.slot(index) else { return };
        let path = slot.path;
        let silent = now.since(slot.heard_at()) >= SILENT;
        if silent
            || slot.ends_at.is_some_and(|at| at <= now)
            || matches!(slot.standing, Standing::Unproven(since) if now.since(since) >= UNPROVEN)
        {
            return self.end(now, &path, outlet);
        }
        match &mut slot.talk {
            Talk::Ctcp(flow) => {
                flow.speak(now, &path, |header, payload| outlet.segment(&path, header, payload));
                // Whole ones may lie behind a hole that is given up.
                flow.frames(|inside, octets| outlet.frame(&path, inside, octets));
            }
            Talk::Begins(_) => {}
            Talk::Stream(_) => self.speak(now, index, &path, outlet),
        }
        let Some(due) = self.note(now, index) else { return };
        // Whatever it has still to say has time until the next turn.
        self.wake(due.max(Instant::from_nanos(now.as_nanos() + 1)), index);
    }

    /// Whether what happens to a flow now may make it larger.
    const fn room(&self) -> Room {
        if self.memory < self.config.memory { Room::Left } else { Room::None }
    }

    /// Where the connection along `path` stands.
    #[inline]
    fn at(&self, path: &Path) -> Option<u32> {
        self.by_path.get(&Key::of(path)).copied()
    }

    /// Likewise, for a packet: the next one may go the same way.
    #[inline]
    fn find(&mut self, path: &Path) -> Option<u32> {
        match self.found {
            Some((found, index)) if found == *path => Some(index),
            Some(_) | None => {
                let index = self.at(path)?;
                self.found = Some((*path, index));
                Some(index)
            }
        }
    }

    fn slot(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize)?.as_deref_mut()
    }

    fn place(&mut self, mut slot: Slot) -> u32 {
        slot.number = self.number;
        self.number += 1;
        let (path, slot) = (slot.path, Some(Box::new(slot)));
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.by_path.insert(Key::of(&path), index);
        index
    }

    fn forget(&mut self, index: u32) {
        self.stand(index, Standing::Kept);
        if let Some(slot) = self.slots.get_mut(index as usize).and_then(Option::take) {
            if let Some(at) = slot.wake {
                self.agenda.remove(&(at, index));
            }
            self.by_path.remove(&Key::of(&slot.path));
            self.found = None;
            self.memory -= slot.memory;
            self.free.push(index);
        }
    }

    /// After everything that happens to a flow: its memory goes into the books, and the next poll finds out what it has to say.
    /// That takes longer than to take a packet, so a burst of packets is asked about once.
    #[inline]
    fn touch(&mut self, index: u32) {
        let Self { slots, touched, memory, .. } = self;
        let Some(slot) = slots.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        *memory = *memory - slot.memory + slot.remember();
        if !std::mem::replace(&mut slot.touched, true) {
            touched.push(index);
        }
    }

    /// A flow to which something has happened has its say now, or when it is due.
    fn settle(&mut self, now: Instant, index: u32, outlet: &mut impl Outlet) {
        let Some(due) = self.note(now, index) else { return };
        match due <= now {
            true => self.visit(now, index, outlet),
            false => self.wake(due, index),
        }
    }

    /// A flow's memory goes into the books, and what there is to tell of it. When it has more to say or to tell.
    fn note(&mut self, now: Instant, index: u32) -> Option<Instant> {
        let Self { slots, stalls, config, worker, memory, .. } = self;
        let slot = slots.get_mut(index as usize)?.as_deref_mut()?;
        let stalling = config.stall_after.and_then(|after| slot.look_for_stall(now, after, *worker, stalls));
        *memory = *memory - slot.memory + slot.remember();
        Some(slot.due(stalling))
    }

    /// Puts the flow on the agenda. One that would wait longer than its entry says is asked then again.
    #[inline]
    fn wake(&mut self, due: Instant, index: u32) {
        let Self { slots, agenda, .. } = self;
        let Some(slot) = slots.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        if slot.wake.is_none_or(|wake| due < wake) {
            if let Some(later) = slot.wake.replace(due) {
                agenda.remove(&(later, index));
            }
            agenda.insert((due, index));
        }
    }
}
