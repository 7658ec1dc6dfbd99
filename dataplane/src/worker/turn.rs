//! A packet's journey, whole:
//!
//! ```text
//! obey → snapshot → rx → classify → decapsulate → (look up) → route → fit → (look down) → encapsulate → tx → sweep
//! ```
//!
//! Where a packet is captured stands in [`super::capture`].
//!
//! A stage is a function over the burst. It may change a packet and its `meta`; it may not call an earlier stage.
//! Packets whose fate is not `Forward` are skipped by later stages and swept once. No clock is read, nothing is
//! allocated but the copy of an IKE message for control.

use super::Worker;
use super::arrive::arrive;
use super::classify::classify;
use super::ctcp::{Ctcp, owner_elsewhere};
use super::fit::Fitting;
use super::inner_flows::{came_up, goes_down};
use super::obey::Obeyed;
use super::report::Reports;
use super::tidings::tell;
use crate::carrier::ctcp::Inside;
use crate::contract::{Direction, NextHop, OuterDf, Routes, Transport, TunnelRules, WorkerCounters, WorkerId};
use crate::fate::{DropReason, Fate};
use crate::inner_flows::Way;
use crate::io::Door;
use crate::offload;
use crate::packet::{Burst, Carriage, Channel, Origin, OuterFragments, PacketBuf, Pool, Segments};
use crate::sad::{Found, Sad};
use crate::time::Instant;
use crate::wire::esp::{EspHeader, NON_IKE_MARKER};
use crate::wire::ip::{Hops, IpPacket, take_hop};
use crate::wire::traffic_class::TrafficClass;
use std::io;

/// What a turn was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There was something to do; there may be more.
    Busy,
    /// There was nothing to do.
    Idle,
    /// [`crate::contract::Command::Stop`] was obeyed.
    Stopped,
}

impl<D: Door> Worker<D> {
    /// One turn.
    ///
    /// # Errors
    /// The door is broken: what the kernel said to [`Door::flush`].
    pub fn turn(&mut self, now: Instant) -> io::Result<Turn> {
        let obeyed = self.obey(now);
        let received = self.receive();

        let Self { id, rules, pool, sad, routes, reports, neighbours, notices, burst, cut, used, counters, .. } = self;
        let Self { ctcp, inner_flows, replies, captures, .. } = self;
        let routes = routes.load();
        if let Some(ctcp) = ctcp {
            if captures.are_on() {
                captures.segments_came(burst, sad, now);
            }
            ctcp.undress(now, burst, pool, replies);
        }
        classify(burst);
        if captures.are_on() {
            captures.came(burst, sad, now);
        }
        decapsulate(burst, sad, rules, reports, counters, used, now);
        if captures.are_on() {
            captures.opened(burst, now);
        }
        if let Some(flows) = inner_flows {
            counters.unattributed(flows.see(now, Way::Up, came_up(burst, *id)));
        }
        route(burst, routes, *id, neighbours.workers());
        if captures.are_on() {
            captures.routed(burst, now);
        }
        Fitting { sad, rules, pool, notices, counters, now }.fit(burst, cut);
        if let Some(flows) = inner_flows {
            counters.unattributed(flows.see(now, Way::Down, goes_down(burst)));
        }
        if captures.are_on() {
            captures.going(burst, now);
        }
        encapsulate(burst, sad, rules, reports, used, now);
        if captures.are_on() {
            captures.sealed(burst, now);
        }
        if let Some(ctcp) = ctcp {
            dress(burst, ctcp, (*id, neighbours.workers()), pool, replies, now);
            ctcp.poll(now, pool, replies);
            ctcp.report_stalls(reports);
            ctcp.count(counters);
            if obeyed == Obeyed::Stop {
                ctcp.hang_up(now, pool, replies);
            }
        }
        if captures.are_on() {
            captures.leaving(replies, burst, sad, now);
            captures.end_burst();
        }

        self.transmit()?;
        self.sweep();
        self.counters.turns(1);
        match obeyed {
            Obeyed::Stop => Ok(Turn::Stopped),
            Obeyed::Some => Ok(Turn::Busy),
            Obeyed::Nothing if received > 0 || self.notices.waiting() => Ok(Turn::Busy),
            Obeyed::Nothing if self.ctcp.as_ref().is_some_and(Ctcp::waiting) => Ok(Turn::Busy),
            Obeyed::Nothing => {
                self.counters.idle_turns(1);
                Ok(Turn::Idle)
            }
        }
    }

    /// Empty buffers come home. Packets of our own, then from the neighbours (at most half of the burst, but one at least, so that neither
    /// side starves), then from the door.
    fn receive(&mut self) -> usize {
        self.neighbours.take_home(&mut self.pool);
        let burst = &mut self.burst;
        self.notices.join(burst);
        let taken_over = self.neighbours.take_over(burst, (self.limit / 2).max(1));
        if taken_over > 0 {
            self.counters.taken_over(taken_over as u64);
        }
        let first = burst.len();
        let received = self.door.receive(&mut self.pool, burst, self.limit.saturating_sub(first).max(1));
        let inner = burst[first..].iter().filter(|packet| packet.meta.channel == Channel::Inner);
        let segments_apart = inner.clone().filter(|packet| packet.meta.segments == Segments::One).count();
        self.counters.inner_received(segments_apart as u64);
        self.counters.outer_received((received - inner.count()) as u64);
        self.counters.burst_packets(burst.len() as u64);
        if burst.len() >= self.limit {
            self.counters.full_bursts(1);
        }
        taken_over + received
    }

    /// IKE first: a login must not wait for a burst. One order per channel, the order of arrival.
    fn transmit(&mut self) -> io::Result<()> {
        let Self { door, pool, burst, replies, rest, counters, .. } = self;
        if burst.iter().any(|packet| packet.meta.fate != Fate::Forward) {
            rest.extend(burst.extract_if(.., |packet| packet.meta.fate != Fate::Forward));
        }
        for queue in [replies, burst] {
            if queue.is_empty() {
                continue;
            }
            let inner = |queue: &Burst| queue.iter().filter(|packet| packet.meta.channel == Channel::Inner).count();
            let (all, all_inner) = (queue.len(), inner(queue));
            door.transmit(pool, queue);
            let (left, left_inner) = (queue.len(), inner(queue));
            counters.inner_sent((all_inner - left_inner) as u64);
            counters.outer_sent((all - left - (all_inner - left_inner)) as u64);
            rest.append(queue);
        }
        door.flush(pool)
    }

    /// Every packet that did not leave ends here, counted by its reason.
    fn sweep(&mut self) {
        let Self { id, door, door_stats, pool, sad, reports, neighbours, rest, counters, .. } = self;
        for packet in rest.drain(..) {
            match packet.meta.fate {
                Fate::Drop(reason) => {
                    counters.dropped(reason, 1);
                    of_session(&packet, sad, *id, reason);
                }
                Fate::ToControl => match reports.ike(&packet) {
                    Ok(()) => counters.ike_received(1),
                    Err(reason) => counters.dropped(reason, 1),
                },
                Fate::Handoff(worker) => {
                    match neighbours.hand_over(worker, packet, pool) {
                        Ok(()) => counters.handed_off(1),
                        Err(reason) => counters.dropped(reason, 1),
                    }
                    continue;
                }
                Fate::Streamed => counters.streamed(1),
                // A door that leaves a packet says why; one that does not has not sent it either.
                Fate::Forward => {
                    counters.dropped(DropReason::TransmitFailed, 1);
                    of_session(&packet, sad, *id, DropReason::TransmitFailed);
                }
            }
            pool.put(packet);
        }
        neighbours.settle(pool);
        counters.left(neighbours.waiting(), pool.free().0);
        reports.flush();

        let (before, stats) = (std::mem::replace(door_stats, door.stats()), door.stats());
        let in_the_door = [
            (DropReason::Malformed, stats.malformed - before.malformed),
            (DropReason::ReceiveTruncated, stats.truncated - before.truncated),
            (DropReason::TransmitFull, stats.transmit_full - before.transmit_full),
            (DropReason::TransmitFailed, stats.transmit_failed - before.transmit_failed),
        ];
        for (reason, n) in in_the_door {
            if n > 0 {
                counters.dropped(reason, n);
            }
        }
        counters.starved(stats.starved - before.starved);
    }
}

/// A packet's end is counted for its tunnel too: the one that it goes into, else the one that it came from or was sealed
/// for, if it is ours.
#[cold]
fn of_session(packet: &PacketBuf, sad: &Sad, us: WorkerId, reason: DropReason) {
    let tunnel = match (packet.meta.tunnel, packet.meta.origin) {
        (Some(tunnel), _) | (None, Origin::Tunnel(tunnel)) => tunnel,
        (None, Origin::InnerDoor | Origin::Worker) => return,
    };
    if let Some(tunnel) = sad.tunnel(tunnel.slot).filter(|_| tunnel.worker == us) {
        tunnel.dropped(reason);
    }
}

pub(super) fn forwarded(burst: &mut Burst) -> impl Iterator<Item = &mut PacketBuf> {
    burst.iter_mut().filter(|packet| packet.meta.fate == Fate::Forward)
}

/// A stage's verdict becomes the packet's fate.
#[inline]
pub(super) fn settle(packet: &mut PacketBuf, verdict: Result<Fate, DropReason>) {
    packet.meta.fate = verdict.unwrap_or_else(Fate::Drop);
}

/// ESP becomes inner packets, SA after SA in the order of arrival (the window must see one packet before the next).
fn decapsulate(
    burst: &mut Burst,
    sad: &mut Sad,
    rules: &TunnelRules,
    reports: &mut Reports,
    counters: &WorkerCounters,
    used: &mut Vec<u32>,
    now: Instant,
) {
    used.clear();
    for packet in forwarded(burst) {
        if packet.meta.channel.transport().is_none() || packet.meta.carriage == Carriage::Sealed {
            continue;
        }
        let Some(header) = EspHeader::parse(packet.bytes()) else {
            settle(packet, Err(DropReason::TooShort));
            continue;
        };
        let verdict = match sad.find(header.spi) {
            Found::Nothing => Err(DropReason::UnknownSpi),
            Found::Elsewhere(worker) => Ok(Fate::Handoff(worker)),
            Found::Here(slot) => match sad.inbound_mut(slot) {
                None => Err(DropReason::UnknownSpi),
                Some(sa) => {
                    let uncharged = sa.uncharged();
                    let opened = sa.open(packet, now);
                    if uncharged == 0 && sa.uncharged() > 0 {
                        used.push(slot);
                    }
                    let (tunnel, news) = (sa.tunnel(), sa.take_news());
                    if !news.is_empty() {
                        tell(news, sad, slot, &packet.meta, reports, counters, now);
                    }
                    packet.meta.origin = Origin::Tunnel(tunnel);
                    opened.and_then(|()| arrive(packet, sad.tunnel_mut(tunnel.slot), rules, counters, now)).map(|()| {
                        packet.meta.channel = Channel::Inner;
                        packet.meta.path = None;
                        Fate::Forward
                    })
                }
            },
        };
        if verdict == Err(DropReason::UnknownSpi) {
            reports.unknown_spi(now, header.spi, packet);
        }
        settle(packet, verdict);
    }
    for slot in used.drain(..) {
        if let Some(sa) = sad.inbound_mut(slot) {
            sa.charge(now);
        }
    }
}

/// Inner packets find their tunnel, or the inner door.
///
/// Hops: RFC 4301 section 5.1.2.1 wants one taken when the packet is forwarded. What comes from or goes to the inner
/// door is forwarded by the kernel, which takes it; only what goes from tunnel to tunnel is forwarded here. If it has none left it goes
/// to the kernel, too: that forwards it as little, and tells its sender ("time exceeded") as it tells everyone else, by the headend's
/// own address and no oftener than it should.
fn route(burst: &mut Burst, routes: &Routes, us: WorkerId, workers: usize) {
    for packet in forwarded(burst) {
        // A packet that came over from another worker has its tunnel already.
        if packet.meta.channel == Channel::Inner && packet.meta.tunnel.is_none() {
            let verdict = next_hop(packet, routes, us, workers);
            settle(packet, verdict);
        }
    }
}

fn next_hop(packet: &mut PacketBuf, routes: &Routes, us: WorkerId, workers: usize) -> Result<Fate, DropReason> {
    let ip = IpPacket::parse(packet.bytes()).ok_or(DropReason::BadInner)?;
    match (routes.lookup(ip.addresses.destination()), packet.meta.origin) {
        (None | Some(NextHop::Inside), Origin::InnerDoor) => Err(DropReason::NoRoute),
        (None | Some(NextHop::Inside), Origin::Tunnel(_) | Origin::Worker) => Ok(Fate::Forward),
        (Some(NextHop::Tunnel(tunnel)), origin) => {
            if matches!(origin, Origin::Tunnel(_)) && take_hop(packet.bytes_mut()) == Hops::Expired {
                return Ok(Fate::Forward);
            }
            packet.truncate(ip.len).ok_or(DropReason::BadInner)?;
            packet.meta.tunnel = Some(tunnel);
            if tunnel.worker == us {
                Ok(Fate::Forward)
            } else if tunnel.worker.index() < workers {
                Ok(Fate::Handoff(tunnel.worker))
            } else {
                Err(DropReason::NoTunnel)
            }
        }
    }
}

/// Inner packets that fit their tunnel become ESP.
fn encapsulate(
    burst: &mut Burst,
    sad: &mut Sad,
    rules: &TunnelRules,
    reports: &mut Reports,
    used: &mut Vec<u32>,
    now: Instant,
) {
    used.clear();
    for packet in forwarded(burst) {
        let Some(tunnel) = packet.meta.tunnel else { continue };
        let verdict = seal(packet, tunnel.slot, sad, rules, reports, used, now);
        settle(packet, verdict);
    }
    for slot in used.drain(..) {
        let Some(tunnel) = sad.tunnel_mut(slot) else { continue };
        tunnel.age(now);
        for sa in tunnel.outbound.iter_mut().filter(|sa| sa.uncharged() > 0) {
            sa.charge(now);
        }
    }
}

/// Sealed packets that go by cTCP become segments, and those that go in a stream become part of it, here or on the worker that owns their connection.
fn dress(
    burst: &mut Burst,
    ctcp: &mut Ctcp,
    (us, workers): (WorkerId, usize),
    pool: &mut Pool,
    replies: &mut Burst,
    now: Instant,
) {
    for packet in forwarded(burst) {
        if packet.meta.carriage != Carriage::Sealed {
            continue;
        }
        let verdict = match (packet.meta.channel, owner_elsewhere(packet, us, workers)) {
            (Channel::Ctcp | Channel::Tcp, Some(owner)) => Ok(Fate::Handoff(owner)),
            (Channel::Ctcp, None) => ctcp.dress(now, Inside::Esp, packet).map(|()| Fate::Forward),
            (Channel::Tcp, None) => ctcp.stream_esp(now, packet, pool, replies).map(|()| Fate::Streamed),
            (
                Channel::Ike | Channel::NatT500 | Channel::NatT | Channel::CiscoUdp | Channel::Esp | Channel::Inner,
                _,
            ) => continue,
        };
        settle(packet, verdict);
    }
}

#[inline]
fn seal(
    packet: &mut PacketBuf,
    slot: u32,
    sad: &mut Sad,
    rules: &TunnelRules,
    reports: &mut Reports,
    used: &mut Vec<u32>,
    now: Instant,
) -> Result<Fate, DropReason> {
    let tunnel = sad.tunnel_mut(slot).ok_or(DropReason::NoTunnel)?;
    let path = tunnel.path();
    tunnel.police_down(packet.len(), now)?;
    let sa = tunnel.outbound.in_lane(packet.meta.lane).ok_or(DropReason::NoOutboundSa)?;
    let (class, fragments) = outer_header(packet.bytes(), sa.inner_mtu(), rules);
    offload::finish_checksum(packet)?;
    let uncharged = sa.uncharged();
    let sealed = sa.seal(packet, now);
    let news = sa.take_news();
    if !news.is_empty() {
        reports.lifetime(sa.pair(), Direction::Outbound, news);
    }
    sealed?;
    if uncharged == 0 {
        used.push(slot);
    }
    if path.transport() == Transport::NatT500 {
        let room = packet.extend_front(NON_IKE_MARKER.len()).ok_or(DropReason::TooBig)?;
        room.copy_from_slice(&NON_IKE_MARKER);
    }
    packet.meta.channel = path.transport().into();
    packet.meta.carriage = Carriage::Sealed;
    packet.meta.origin = packet.meta.tunnel.take().map_or(Origin::Worker, Origin::Tunnel);
    packet.meta.path = Some(path.path());
    packet.meta.outer_class = class;
    packet.meta.outer_fragments = fragments;
    Ok(Fate::Forward)
}

/// What the outer header says of this inner packet (RFC 4301 section 5.1.2).
#[inline]
fn outer_header(inner: &[u8], inner_mtu: u16, rules: &TunnelRules) -> (TrafficClass, OuterFragments) {
    let fragments = match (rules.df, inner) {
        // It was let through although it does not fit: see [`crate::mtu::Fit::InFragmentsOutside`].
        (_, inner) if inner.len() > usize::from(inner_mtu) => OuterFragments::Allowed,
        (OuterDf::Clear, _) => OuterFragments::Allowed,
        (OuterDf::Set, _) => OuterFragments::Forbidden,
        (OuterDf::Copy, [0x40..=0x4f, _, _, _, _, _, flags, ..]) if flags & 0x40 != 0 => OuterFragments::Forbidden,
        (OuterDf::Copy, _) => OuterFragments::Allowed,
    };
    (rules.outer_class(TrafficClass::of(inner)), fragments)
}
