//! Where a peer is: dynamic address update (RFC 7296 section 2.23) by ESP, beside control's by IKE.
//!
//! Two sources say where the peer is, and each has an order of its own: sequence numbers within an SA, Message IDs
//! within an IKE SA. Between them, and between the SAs of a rekey, nothing but the order of arrival tells which came
//! last, and what was sent from the old address may arrive after what was sent from the new one. So:
//!
//! * Within one SA the numbers decide. A packet newer than all before it moves the tunnel at once, there and back.
//! * Between two sources the one that moved the tunnel last is believed for [`UNDER_WAY`]: until then the other one
//!   may not take it back to where it just left, for that is what a late packet would do. It may take it anywhere
//!   else, where no late packet can come from.
//! * Control's move is obeyed only if the tunnel is still where control believes it to be. If ESP moved it meanwhile,
//!   ESP arrived later than the IKE message that control acts on.
//! * Every move, whoever wanted it, is reported in order. The worker has the last word and control believes it: once
//!   control has read its last report both have the same path.

use crate::contract::{EspPath, Following, Spi, Transport, Transports};
use crate::time::Instant;
use std::time::Duration;

/// How long a packet sent from an address that the peer has left may take to arrive. Adit's own choice: longer than
/// most round trips, and the longest that a peer which really went back to its old address waits for an answer.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// Moves at once, if there were none for a while.
const AT_ONCE: u32 = 10;

/// How often ESP may move one tunnel. Whoever alternates between two addresses (a careless load balancer) must not
/// make every packet an event for control.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    interval: Duration,
    most: u32,
}

impl Pace {
    /// None at all for 0.
    pub(super) fn per_minute(moves: u32) -> Self {
        let interval = Duration::from_secs(60).checked_div(moves).unwrap_or(Duration::MAX);
        Self { interval, most: moves.min(AT_ONCE) }
    }
}

/// What became of a packet from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// The tunnel is there now.
    Moved,
    /// It stays: the packet may be a late one, or this peer is not followed there.
    Stays,
    /// It stays: it has moved as often as it may.
    Limited,
}

/// One tunnel's.
pub(super) struct Follower {
    following: Following,
    transports: Transports,
    /// For a while.
    closed: Transports,
    left: Option<Left>,
    /// A token bucket.
    tokens: u32,
    counted: Instant,
}

/// The path before the last move.
struct Left {
    path: EspPath,
    by: Source,
    at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Ike,
    Sa(Spi),
}

impl Follower {
    pub(super) fn new(following: Following, transports: Transports, pace: Pace) -> Self {
        Self { following, transports, closed: Transports::NONE, left: None, tokens: pace.most, counted: Instant::ZERO }
    }

    /// The peer is not followed to these, and to all others that it may use.
    pub(super) fn close(&mut self, closed: Transports) {
        self.closed = closed;
    }

    /// Whether it is one of those.
    pub(super) fn has_closed(&self, transport: Transport) -> bool {
        self.closed.contains(transport)
    }

    /// Control moved the tunnel.
    pub(super) fn ordered(&mut self, now: Instant, from: EspPath) {
        self.left = Some(Left { path: from, by: Source::Ike, at: now });
    }

    /// The newest authenticated packet on `spi` came by `to`; the tunnel's packets go by `from`.
    pub(super) fn follow(&mut self, now: Instant, pace: Pace, spi: Spi, from: EspPath, to: EspPath) -> Followed {
        let may_go = match self.following {
            Following::NewestPacket => true,
            Following::SameHosts => to.is_between_the_hosts_of(from),
            Following::CommandOnly => false,
        };
        if !may_go || !self.transports.without(self.closed).contains(to.transport()) {
            return Followed::Stays;
        }
        let source = Source::Sa(spi);
        let may_be_late = |left: &Left| left.path == to && left.by != source && now.since(left.at) < UNDER_WAY;
        if from == to || self.left.as_ref().is_some_and(may_be_late) {
            return Followed::Stays;
        }
        if !self.take_token(now, pace) {
            return Followed::Limited;
        }
        self.left = Some(Left { path: from, by: source, at: now });
        Followed::Moved
    }

    fn take_token(&mut self, now: Instant, pace: Pace) -> bool {
        let earned = now.since(self.counted).as_nanos() / pace.interval.as_nanos().max(1);
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if self.tokens.saturating_add(earned) >= pace.most {
            (self.tokens, self.counted) = (pace.most, now);
        } else {
            self.tokens += earned;
            self.counted = self.counted + pace.interval.saturating_mul(earned);
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Path;

    fn spi(value: u32) -> Spi {
        Spi::new(value).unwrap()
    }

    fn path(port: u16) -> EspPath {
        by(Transport::NatT, [198, 51, 100, 1], port)
    }

    fn by(transport: Transport, peer: [u8; 4], port: u16) -> EspPath {
        EspPath::new(transport, Path { local: "192.0.2.1:4500".parse().unwrap(), peer: (peer, port).into() })
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn within_one_sa_the_numbers_decide_there_and_back() {
        let pace = Pace::per_minute(60);
        let mut follower = Follower::new(Following::NewestPacket, Transports::ALL, pace);
        for (from, to) in [(1, 2), (2, 1), (1, 2)] {
            assert_eq!(follower.follow(at(5), pace, spi(1000), path(from), path(to)), Followed::Moved);
        }
    }

    #[test]
    fn what_another_source_has_just_left_is_not_gone_back_to() {
        let pace = Pace::per_minute(60);
        let moved_by_ike = || {
            let mut follower = Follower::new(Following::NewestPacket, Transports::ALL, pace);
            follower.ordered(at(5000), path(1));
            follower
        };
        let moved_by_esp = || {
            let mut follower = Follower::new(Following::NewestPacket, Transports::ALL, pace);
            assert_eq!(follower.follow(at(5000), pace, spi(1000), path(1), path(2)), Followed::Moved);
            follower
        };
        for mut follower in [moved_by_ike(), moved_by_esp()] {
            assert_eq!(follower.follow(at(5999), pace, spi(2000), path(2), path(1)), Followed::Stays);
            assert_eq!(follower.follow(at(6000), pace, spi(2000), path(2), path(1)), Followed::Moved, "it is there");
        }
        for mut follower in [moved_by_ike(), moved_by_esp()] {
            assert_eq!(follower.follow(at(5001), pace, spi(2000), path(2), path(3)), Followed::Moved, "a third place");
        }
    }

    #[test]
    fn moves_are_limited_and_earned_again() {
        let pace = Pace::per_minute(60);
        let mut follower = Follower::new(Following::NewestPacket, Transports::ALL, pace);
        let mut moves = |from: u64, to: u64, step: usize| {
            (from..to)
                .step_by(step)
                .filter(|now| follower.follow(at(*now), pace, spi(1000), path(1), path(*now as u16)) == Followed::Moved)
                .count()
        };
        assert_eq!(moves(10_000, 10_100, 1), 10);
        assert_eq!(moves(10_100, 15_150, 10), 5, "one a second");
        assert_eq!(moves(1_000_000, 1_000_100, 1), 10, "no more than that at once, however long it was quiet");
    }

    #[test]
    fn a_peer_that_is_not_to_be_followed_is_not() {
        let pace = Pace::per_minute(60);
        let mut follower = Follower::new(Following::CommandOnly, Transports::ALL, pace);
        assert_eq!(follower.follow(at(5), pace, spi(1000), path(1), path(2)), Followed::Stays);
        let never = Pace::per_minute(0);
        let mut follower = Follower::new(Following::NewestPacket, Transports::ALL, never);
        assert_eq!(follower.follow(at(u64::MAX / 1_000_000), never, spi(1000), path(1), path(2)), Followed::Limited);
    }

    #[test]
    fn a_peer_is_followed_by_the_transports_that_it_may_use_and_no_other() {
        let pace = Pace::per_minute(60);
        let host = [198, 51, 100, 1];
        for bits in 0..8_u8 {
            let allowed: Transports =
                Transport::ALL.into_iter().filter(|transport| bits & 1 << *transport as u8 != 0).collect();
            for (from, to) in Transport::ALL.into_iter().flat_map(|from| Transport::ALL.map(|to| (from, to))) {
                let mut follower = Follower::new(Following::NewestPacket, allowed, pace);
                let (from, to) = (by(from, host, 1), by(to, host, 2));
                let moved = follower.follow(at(5), pace, spi(1000), from, to) == Followed::Moved;
                assert_eq!(moved, from != to && allowed.contains(to.transport()), "{from:?} {to:?} {allowed:?}");
            }
        }
    }

    #[test]
    fn a_peer_behind_no_nat_may_change_ports_and_transport_but_not_its_address() {
        let pace = Pace::per_minute(60);
        let from = path(4500);
        for transport in Transport::ALL {
            let mut follower = Follower::new(Following::SameHosts, Transports::ALL, pace);
            let elsewhere = by(transport, [198, 51, 100, 2], 4500);
            assert_eq!(follower.follow(at(5), pace, spi(1000), from, elsewhere), Followed::Stays);
            let here = by(transport, [198, 51, 100, 1], 4501);
            assert_eq!(follower.follow(at(5), pace, spi(1000), from, here), Followed::Moved);
        }
    }
}
