//! cTCP and streams (RFC 9329) on their way through a worker: segments become ESP and IKE, ESP and IKE become segments.
//!
//! A connection belongs to the worker that the peer's port names, an SA to the one that its SPI names. Where they differ, ESP is
//! handed over: bare to the SA's worker on the way in, sealed to the connection's worker on the way out.

use super::classify::ike;
use super::report::Reports;
use crate::carrier::ctcp::{Carrier, CtcpConfig, Inside, Outlet, Taken};
use crate::contract::{
    CtcpTuning, Event, FlowPage, IkeDatagram, Path, StalledFlow, TunnelKey, WorkerCounters, WorkerId,
};
use crate::fate::{DropReason, Fate};
use crate::packet::{Burst, Carriage, Channel, Meta, PacketBuf, Pool, Standing};
use crate::time::Instant;
use crate::wire::esp::NON_ESP_MARKER;
use crate::wire::tcp::{TcpHeader, is_tcp_checksum_good, put_tcp_checksum};
use std::collections::VecDeque;
use std::time::Duration;

/// A worker's connections, and the packets that they make.
pub(super) struct Ctcp {
    carrier: Carrier,
    brought: Brought,
}

/// What has come inside connections and is no packet that came.
struct Brought {
    /// Frames that came in pieces.
    frames: Burst,
    unwritten: Unwritten,
}

impl Brought {
    /// Writes what the carrier says and brings.
    fn writer<'a>(&'a mut self, pool: &'a mut Pool, replies: &'a mut Burst) -> Writer<'a> {
        let Self { frames, unwritten } = self;
        Writer { pool, replies, frames, unwritten }
    }
}

/// What found no buffer.
#[derive(Default)]
struct Unwritten {
    /// What is lost of it.
    lost: u64,
    /// IKE out of streams, which nobody sends again: TCP has acknowledged it.
    ike: VecDeque<(Path, Standing, Vec<u8>)>,
    octets: usize,
}

/// IKE that waits for buffers is so many octets at most: more than engines say while a worker has none.
const WAITING: usize = 256 * 1024;

impl Ctcp {
    pub(super) fn new(worker: WorkerId, config: CtcpConfig, secret: [u8; 24]) -> Self {
        let brought = Brought { frames: Burst::new(), unwritten: Unwritten::default() };
        Self { carrier: Carrier::new(worker, config, secret), brought }
    }

    /// What begins from now on begins otherwise.
    pub(super) fn tune(&mut self, tuning: CtcpTuning) {
        self.carrier.tune(tuning);
    }

    /// Segments become what is in them; what they call for goes to `replies`.
    pub(super) fn undress(&mut self, now: Instant, burst: &mut Burst, pool: &mut Pool, replies: &mut Burst) {
        self.brought.writer(pool, replies).write_what_waits();
        for packet in burst.iter_mut() {
            if packet.meta.channel == Channel::Ctcp && packet.meta.carriage == Carriage::Segment {
                packet.meta.fate = self.segment(now, packet, pool, replies).unwrap_or_else(Fate::Drop);
            }
        }
        burst.append(&mut self.brought.frames);
    }

    /// Sealed ESP or IKE becomes a segment.
    pub(super) fn dress(&mut self, now: Instant, inside: Inside, packet: &mut PacketBuf) -> Result<(), DropReason> {
        let path = packet.meta.path.ok_or(DropReason::Malformed)?;
        self.carrier.dress(now, &path, inside, packet)?;
        packet.meta.carriage = Carriage::Segment;
        Ok(())
    }

    /// Sealed ESP goes into its stream.
    pub(super) fn stream_esp(
        &mut self,
        now: Instant,
        packet: &PacketBuf,
        pool: &mut Pool,
        replies: &mut Burst,
    ) -> Result<(), DropReason> {
        let path = packet.meta.path.ok_or(DropReason::Malformed)?;
        let mut writer = self.brought.writer(pool, replies);
        self.carrier.stream(now, &path, Inside::Esp, packet.bytes(), &mut writer)
    }

    /// An IKE message goes into its stream.
    pub(super) fn stream_ike(
        &mut self,
        now: Instant,
        datagram: &IkeDatagram,
        pool: &mut Pool,
        replies: &mut Burst,
    ) -> Result<(), DropReason> {
        let mut writer = self.brought.writer(pool, replies);
        self.carrier.stream(now, &datagram.path, Inside::Ike, &datagram.bytes, &mut writer)
    }

    /// What streams had to drop, what found no buffer, and who lost a place.
    pub(super) fn count(&mut self, counters: &WorkerCounters) {
        let late = [
            (DropReason::StreamFull, self.carrier.take_given_way()),
            (DropReason::NoBuffer, std::mem::take(&mut self.brought.unwritten.lost)),
        ];
        for (reason, some) in late {
            if some > 0 {
                counters.dropped(reason, some);
            }
        }
        let displaced = self.carrier.take_displaced();
        if displaced > 0 {
            counters.connections_displaced(displaced);
        }
    }

    /// The connection is somebody's.
    pub(super) fn vouch(&mut self, now: Instant, path: &Path, tunnel: TunnelKey) {
        self.carrier.vouch(now, path, tunnel);
    }

    /// It may become somebody's; whoever has to go for that is told.
    pub(super) fn expect(&mut self, now: Instant, path: &Path, within: Duration, pool: &mut Pool, replies: &mut Burst) {
        self.carrier.expect(now, path, within, &mut self.brought.writer(pool, replies));
    }

    /// It is that session's no longer; the reset goes to `replies`, behind what control wanted sent before.
    pub(super) fn end_of(
        &mut self,
        now: Instant,
        path: &Path,
        tunnel: TunnelKey,
        pool: &mut Pool,
        replies: &mut Burst,
    ) {
        self.carrier.end_of(now, path, tunnel, &mut self.brought.writer(pool, replies));
    }

    /// It ends, whoever has it.
    pub(super) fn clear(&mut self, now: Instant, path: &Path, number: u64, pool: &mut Pool, replies: &mut Burst) {
        self.carrier.clear(now, path, number, &mut self.brought.writer(pool, replies));
    }

    /// Connections, as many as a page holds.
    pub(super) fn tell(&self, now: Instant, page: &mut FlowPage) {
        self.carrier.tell(now, page);
    }

    /// What control is to be told of stalls.
    pub(super) fn report_stalls(&mut self, reports: &mut Reports) {
        for (stalling, flow) in self.carrier.stalls() {
            if let Some(tunnel) = flow.tunnel {
                reports.state(Event::Stalling(Box::new(StalledFlow { tunnel, stalling, flow })));
            }
        }
    }

    /// What is due goes to `replies`.
    pub(super) fn poll(&mut self, now: Instant, pool: &mut Pool, replies: &mut Burst) {
        if self.carrier.deadline().is_some_and(|due| due <= now) {
            self.carrier.poll(now, &mut self.brought.writer(pool, replies));
        }
    }

    /// Whether frames wait for the next turn.
    pub(super) fn waiting(&self) -> bool {
        !self.brought.frames.is_empty()
    }

    /// We go: connections that we have begun end.
    pub(super) fn hang_up(&mut self, now: Instant, pool: &mut Pool, replies: &mut Burst) {
        self.carrier.hang_up(now, &mut self.brought.writer(pool, replies));
    }

    /// When [`Ctcp::poll`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.brought.unwritten.ike.is_empty() {
            true => self.carrier.deadline(),
            false => Some(Instant::ZERO),
        }
    }

    fn segment(
        &mut self,
        now: Instant,
        packet: &mut PacketBuf,
        pool: &mut Pool,
        replies: &mut Burst,
    ) -> Result<Fate, DropReason> {
        let path = packet.meta.path.as_ref().ok_or(DropReason::Malformed)?;
        if !is_tcp_checksum_good(path.peer.ip(), path.local.ip(), packet.bytes()) {
            return Err(DropReason::BadChecksum);
        }
        let mut writer = self.brought.writer(pool, replies);
        let frame = match self.carrier.arrive(now, path, packet.bytes(), &mut writer) {
            Taken::Frame(frame) => frame,
            Taken::Doubted(frame) => {
                packet.meta.standing = Standing::Doubted;
                frame
            }
            Taken::Octets => return Ok(Fate::Streamed),
            Taken::Nothing(reason) => return Err(reason),
        };
        packet.strip_front(frame.at.start).ok_or(DropReason::Malformed)?;
        packet.truncate(frame.at.len()).ok_or(DropReason::Malformed)?;
        packet.meta.carriage = Carriage::Bare;
        bare(packet, frame.inside)
    }
}

/// What becomes of an IKE message or ESP packet out of its frame; ESP is looked at with all other.
fn bare(packet: &PacketBuf, inside: Inside) -> Result<Fate, DropReason> {
    match inside {
        Inside::Ike => ike(packet),
        Inside::Esp => Ok(Fate::Forward),
    }
}

/// The worker that owns a sealed packet's connection, if that is another.
pub(super) fn owner_elsewhere(packet: &PacketBuf, us: WorkerId, workers: usize) -> Option<WorkerId> {
    let owner = WorkerId::of_connection(packet.meta.path?.peer.port(), workers);
    (owner != us).then_some(owner)
}

/// Where the carrier's own segments and frames become packets.
struct Writer<'a> {
    pool: &'a mut Pool,
    replies: &'a mut Burst,
    frames: &'a mut Burst,
    unwritten: &'a mut Unwritten,
}

impl Writer<'_> {
    /// A packet with these parts one after the other; `None` if the pool has none left.
    fn write(&mut self, parts: [&[u8]; 3]) -> Option<PacketBuf> {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut packet = self.pool.take(len)?;
        let Some(room) = packet.extend_back(len) else {
            self.pool.put(packet);
            return None;
        };
        let (header, rest) = room.split_at_mut(parts[0].len());
        let (first, second) = rest.split_at_mut(parts[1].len());
        header.copy_from_slice(parts[0]);
        first.copy_from_slice(parts[1]);
        second.copy_from_slice(parts[2]);
        Some(packet)
    }

    /// What is not said now is asked for again, or comes again; so it is only counted.
    fn write_or_lose(&mut self, parts: [&[u8]; 3]) -> Option<PacketBuf> {
        let packet = self.write(parts);
        self.unwritten.lost += u64::from(packet.is_none());
        packet
    }

    fn say(&mut self, path: &Path, parts: [&[u8]; 3]) {
        let Some(mut packet) = self.write_or_lose(parts) else { return };
        put_tcp_checksum(path, packet.bytes_mut());
        packet.meta = Meta { channel: Channel::Ctcp, path: Some(*path), ..Meta::default() };
        self.replies.push(packet);
    }

    /// What a stream has brought comes no more.
    fn in_stream(&mut self, path: &Path, octets: &[u8], standing: Standing) {
        let is_ike = octets.starts_with(&NON_ESP_MARKER);
        let in_order = !is_ike || self.unwritten.ike.is_empty();
        if in_order && self.bring(path, octets, standing) {
            return;
        }
        let Unwritten { lost, ike, octets: waiting } = &mut *self.unwritten;
        if is_ike && *waiting + octets.len() <= WAITING {
            *waiting += octets.len();
            ike.push_back((*path, standing, octets.to_vec()));
        } else {
            *lost += 1;
        }
    }

    fn bring(&mut self, path: &Path, octets: &[u8], standing: Standing) -> bool {
        let Some(mut packet) = self.write([octets, &[], &[]]) else { return false };
        let (channel, path, carriage) = (Channel::Tcp, Some(*path), Carriage::Bare);
        packet.meta = Meta { channel, path, carriage, standing, ..Meta::default() };
        self.frames.push(packet);
        true
    }

    fn write_what_waits(&mut self) {
        while let Some((path, standing, message)) = self.unwritten.ike.pop_front() {
            if !self.bring(&path, &message, standing) {
                return self.unwritten.ike.push_front((path, standing, message));
            }
            self.unwritten.octets -= message.len();
        }
    }
}

impl Outlet for Writer<'_> {
    fn segment(&mut self, path: &Path, header: &TcpHeader, [first, second]: [&[u8]; 2]) {
        self.say(path, [&header.octets(), first, second]);
    }

    fn octets(&mut self, path: &Path, segment: &[u8]) {
        self.say(path, [segment, &[], &[]]);
    }

    fn streamed(&mut self, path: &Path, octets: &[u8]) {
        self.in_stream(path, octets, Standing::Good);
    }

    fn introduced(&mut self, path: &Path, octets: &[u8]) {
        self.in_stream(path, octets, Standing::New);
    }

    fn frame(&mut self, path: &Path, inside: Inside, octets: &[u8]) {
        let Some(mut packet) = self.write_or_lose([octets, &[], &[]]) else { return };
        let (channel, path, carriage) = (Channel::Ctcp, Some(*path), Carriage::Bare);
        packet.meta = Meta { channel, path, carriage, ..Meta::default() };
        packet.meta.fate = bare(&packet, inside).unwrap_or_else(Fate::Drop);
        self.frames.push(packet);
    }
}
