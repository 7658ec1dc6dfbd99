//! A peer: where its packets go, and the SAs they go by.

use super::bucket::Bucket;
use super::follow::{Followed, Follower, Pace};
use super::outbound::Outbound;
use crate::carrier::ctcp::TRAILER_LEN;
use crate::carrier::tcp::FRAME_LENGTH;
use crate::contract::{EspPath, Lane, Rate, Rates, Spi, Transport, Transports, TunnelDrops, TunnelSpec};
use crate::esp::OutboundSa;
use crate::fate::DropReason;
use crate::mtu::{Moved, PathMtu};
use crate::time::Instant;
use crate::wire::esp::NON_IKE_MARKER;
use crate::wire::ip::{IPV4_HEADER, IPV6_HEADER, UDP_HEADER};
use crate::wire::tcp::TCP_HEADER;
use std::sync::Arc;

/// A peer's tunnel.
pub struct Tunnel {
    path: EspPath,
    /// The transport of its path is closed: nothing goes out.
    hushed: bool,
    path_mtu: PathMtu,
    inner_mtu: u16,
    follower: Follower,
    /// Unless it may do as it likes.
    up: Option<Bucket>,
    down: Option<Bucket>,
    drops: Arc<TunnelDrops>,
    /// What is sent on.
    pub outbound: Outbound,
    /// What is received on, oldest first.
    pub(super) inbound: Vec<Spi>,
}

impl Tunnel {
    pub(super) fn new(now: Instant, spec: TunnelSpec, pace: Pace) -> Self {
        let TunnelSpec { tunnel: _, path, outer_mtu, following, transports, rates, drops } = spec;
        let (path_mtu, follower) = (PathMtu::new(outer_mtu), Follower::new(following, transports, pace));
        let (outbound, inbound) = (Outbound::default(), Vec::new());
        let [up, down] = [rates.up, rates.down].map(|rate| rate.map(|rate| Bucket::new(rate, now)));
        Self { path, hushed: false, path_mtu, inner_mtu: 0, follower, up, down, drops, outbound, inbound }
    }

    /// Whether an inner packet of so many octets may come from the peer now; if so, it counts.
    #[inline]
    pub fn police_up(&mut self, octets: usize, now: Instant) -> Result<(), DropReason> {
        match self.up.as_mut() {
            None => Ok(()),
            Some(bucket) => bucket.take(octets, now).or(DropReason::OverRateUp),
        }
    }

    /// As [`Tunnel::police_up`], to the peer.
    #[inline]
    pub fn police_down(&mut self, octets: usize, now: Instant) -> Result<(), DropReason> {
        if self.hushed {
            return Err(DropReason::TransportClosed);
        }
        match self.down.as_mut() {
            None => Ok(()),
            Some(bucket) => bucket.take(octets, now).or(DropReason::OverRateDown),
        }
    }

    /// One of its packets has ended.
    pub fn dropped(&self, reason: DropReason) {
        self.drops.dropped(reason);
    }

    pub(super) fn set_rates(&mut self, now: Instant, rates: Rates) {
        set_rate(&mut self.up, rates.up, now);
        set_rate(&mut self.down, rates.down, now);
    }

    pub(super) fn close_transports(&mut self, closed: Transports) {
        self.follower.close(closed);
        self.hush();
    }

    /// After the path, or what is closed, has changed.
    fn hush(&mut self) {
        self.hushed = self.follower.has_closed(self.path.transport());
    }

    /// Where its packets go.
    #[inline]
    pub fn path(&self) -> EspPath {
        self.path
    }

    /// Octets of the largest inner packet that becomes one outer packet whichever SA it goes into; 0 while there is no SA
    /// to send on.
    #[inline]
    pub fn inner_mtu(&self) -> u16 {
        self.inner_mtu
    }

    /// An authenticated packet of this tunnel came in outer fragments, the longest of `longest` octets.
    pub fn seen_fragments(&mut self, longest: u16, now: Instant) -> Moved {
        let moved = self.path_mtu.seen(longest, now);
        if moved == Moved::Yes {
            self.refit();
        }
        moved
    }

    /// Forgets what is too old.
    pub fn age(&mut self, now: Instant) {
        if self.path_mtu.age(now) == Moved::Yes {
            self.refit();
        }
    }

    pub(super) fn switch_outbound(&mut self, lane: Lane, sa: OutboundSa) -> Option<OutboundSa> {
        let before = self.outbound.switch(lane, sa);
        self.refit();
        before
    }

    /// Nothing is sent on in this lane any more, if it was the child SA with this inbound SPI.
    pub(super) fn stop_outbound(&mut self, lane: Lane, spi: Spi) -> Option<OutboundSa> {
        self.outbound.in_lane(lane).filter(|sa| sa.pair() == spi)?;
        let stopped = self.outbound.drop_lane(lane);
        self.refit();
        stopped
    }

    /// Control wants it moved.
    pub(super) fn order(&mut self, now: Instant, to: EspPath) {
        self.follower.ordered(now, self.path);
        self.move_to(to);
    }

    /// The newest authenticated packet on `spi` came from elsewhere.
    pub(super) fn follow(&mut self, now: Instant, pace: Pace, spi: Spi, to: EspPath) -> Followed {
        let followed = self.follower.follow(now, pace, spi, self.path, to);
        if followed == Followed::Moved {
            self.move_to(to);
        }
        followed
    }

    fn move_to(&mut self, path: EspPath) {
        self.path = path;
        self.hush();
        self.path_mtu.forget();
        self.refit();
    }

    /// After anything that the inner MTU follows from has changed.
    fn refit(&mut self) {
        let room = esp_room(self.path, self.path_mtu.octets());
        self.inner_mtu = self.outbound.iter_mut().map(|sa| sa.fit_into(room)).min().unwrap_or(0);
    }
}

fn set_rate(bucket: &mut Option<Bucket>, rate: Option<Rate>, now: Instant) {
    match (&mut *bucket, rate) {
        (Some(bucket), Some(rate)) => bucket.change(rate, now),
        (before, rate) => *before = rate.map(|rate| Bucket::new(rate, now)),
    }
}

/// What the outer IP header and, where there is one, UDP's (RFC 3948 section 2.1), a marker or cTCP's leave.
fn esp_room(path: EspPath, outer_mtu: u16) -> usize {
    let ip = if path.path().peer.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
    let carrier = match path.transport() {
        Transport::NatT | Transport::CiscoUdp => UDP_HEADER,
        Transport::NatT500 => UDP_HEADER + NON_IKE_MARKER.len(),
        Transport::Esp => 0,
        Transport::Ctcp => TCP_HEADER + TRAILER_LEN,
        // A segment may hold anything, but one packet in each is what loses least.
        Transport::Tcp => TCP_HEADER + FRAME_LENGTH,
    };
    usize::from(outer_mtu).saturating_sub(ip + carrier)
}
