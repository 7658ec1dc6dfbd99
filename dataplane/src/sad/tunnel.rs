//! A peer: where its packets go, and the SAs they go by.

use super::follow::{Followed, Follower, Pace};
use super::outbound::Outbound;
use crate::contract::{Path, Spi, TunnelSpec};
use crate::time::Instant;
use crate::wire::ip::{IPV4_HEADER, IPV6_HEADER, UDP_HEADER};

/// A peer's tunnel.
pub struct Tunnel {
    path: Path,
    outer_mtu: u16,
    esp_room: usize,
    follower: Follower,
    /// What is sent on.
    pub outbound: Outbound,
    /// What is received on, oldest first.
    pub(super) inbound: Vec<Spi>,
}

impl Tunnel {
    pub(super) fn new(spec: &TunnelSpec, pace: Pace) -> Self {
        let &TunnelSpec { tunnel: _, path, outer_mtu, following } = spec;
        let (esp_room, follower) = (esp_room(path, outer_mtu), Follower::new(following, pace));
        Self { path, outer_mtu, esp_room, follower, outbound: Outbound::default(), inbound: Vec::new() }
    }

    /// Outer addresses.
    #[inline]
    pub fn path(&self) -> Path {
        self.path
    }

    /// Octets of ESP that fit one outer packet.
    #[inline]
    pub fn esp_room(&self) -> usize {
        self.esp_room
    }

    /// Control wants it moved.
    pub(super) fn order(&mut self, now: Instant, to: Path) {
        self.follower.ordered(now, self.path);
        self.move_to(to);
    }

    /// The newest authenticated packet on `spi` came from elsewhere.
    pub(super) fn follow(&mut self, now: Instant, pace: Pace, spi: Spi, to: Path) -> Followed {
        let followed = self.follower.follow(now, pace, spi, self.path, to);
        if followed == Followed::Moved {
            self.move_to(to);
        }
        followed
    }

    fn move_to(&mut self, path: Path) {
        self.path = path;
        self.esp_room = esp_room(path, self.outer_mtu);
    }
}

/// What the outer IP header and UDP's (RFC 3948 section 2.1) leave.
fn esp_room(path: Path, outer_mtu: u16) -> usize {
    let ip = if path.peer.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
    usize::from(outer_mtu).saturating_sub(ip + UDP_HEADER)
}
