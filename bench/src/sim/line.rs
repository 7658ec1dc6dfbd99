//! One direction of an access line: what it loses, doubles, delays and reorders.

use super::chance::{Chance, Odds};
use std::time::Duration;

/// Reordering comes from unequal delays: `jitter` disturbs neighbours, `straggling` brings a datagram after messages
/// of later exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) loss: Odds,
    pub(crate) duplication: Odds,
    pub(crate) delay: Duration,
    /// Up to so much more.
    pub(crate) jitter: Duration,
    pub(crate) straggling: Odds,
    /// Up to so much more for a straggler.
    pub(crate) straggle: Duration,
    /// Octets of the largest IP packet.
    pub(crate) mtu: usize,
    pub(crate) fragments: Fragments,
}

/// What a line does with a datagram above its MTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragments {
    /// Each fragment travels, and may be lost, by itself; without one of them the datagram is lost.
    Carried,
    /// As behind many a firewall (RFC 7383 section 1).
    Dropped,
}

/// Why a line did not carry a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlucky {
    Lost,
    FragmentDropped,
}

impl Line {
    /// Nothing is lost and everything takes `delay`.
    pub(crate) fn perfect(delay: Duration) -> Self {
        Self {
            loss: Odds::NEVER,
            duplication: Odds::NEVER,
            delay,
            jitter: Duration::ZERO,
            straggling: Odds::NEVER,
            straggle: Duration::ZERO,
            mtu: 1500,
            fragments: Fragments::Carried,
        }
    }

    /// How long each copy of a packet of `len` octets takes that comes out at the other end.
    pub(crate) fn carry(&self, chance: &mut Chance, len: usize) -> Result<Vec<Duration>, Unlucky> {
        let pieces = len.div_ceil(self.mtu.max(1));
        if pieces > 1 && self.fragments == Fragments::Dropped {
            return Err(Unlucky::FragmentDropped);
        }
        if (0..pieces).any(|_| chance.happens(self.loss)) {
            return Err(Unlucky::Lost);
        }
        let copies = if chance.happens(self.duplication) { 2 } else { 1 };
        Ok((0..copies).map(|_| self.passage(chance)).collect())
    }

    fn passage(&self, chance: &mut Chance) -> Duration {
        let straggle = match chance.happens(self.straggling) {
            true => chance.up_to(self.straggle),
            false => Duration::ZERO,
        };
        self.delay + chance.up_to(self.jitter) + straggle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_line_carries_everything_once_in_the_same_time() {
        let delay = Duration::from_millis(20);
        let (line, mut chance) = (Line::perfect(delay), Chance::new(1));
        assert!((0..100).all(|len| line.carry(&mut chance, 15 * len) == Ok(vec![delay])));
    }

    #[test]
    fn a_bad_line_loses_doubles_and_reorders() {
        let line = Line {
            loss: Odds::per_mille(100),
            duplication: Odds::per_mille(100),
            jitter: Duration::from_millis(50),
            straggling: Odds::per_mille(50),
            straggle: Duration::from_secs(5),
            ..Line::perfect(Duration::from_millis(10))
        };
        let mut chance = Chance::new(2);
        let carried: Vec<_> = (0..10_000).map(|_| line.carry(&mut chance, 100)).collect();
        type Carried = Result<Vec<Duration>, Unlucky>;
        let count = |pick: &dyn Fn(&Carried) -> bool| carried.iter().filter(|carried| pick(carried)).count();
        assert!((900..1100).contains(&count(&|carried| *carried == Err(Unlucky::Lost))));
        assert!((800..1000).contains(&count(&|carried| carried.as_ref().is_ok_and(|copies| copies.len() == 2))));
        let late = Duration::from_millis(60);
        assert!((350..650).contains(&count(&|carried| carried.as_ref().is_ok_and(|copies| copies[0] > late))));
    }

    #[test]
    fn what_is_too_large_travels_in_pieces_or_not_at_all() {
        let line = Line { loss: Odds::per_mille(100), mtu: 500, ..Line::perfect(Duration::ZERO) };
        let mut chance = Chance::new(3);
        let lost =
            |line: &Line, chance: &mut Chance, len| (0..10_000).filter(|_| line.carry(chance, len).is_err()).count();
        assert!((900..1100).contains(&lost(&line, &mut chance, 500)));
        assert!((1800..2000).contains(&lost(&line, &mut chance, 501)), "two pieces, each lost one time in ten");
        let firewall = Line { loss: Odds::NEVER, fragments: Fragments::Dropped, ..line };
        assert_eq!(firewall.carry(&mut chance, 501), Err(Unlucky::FragmentDropped));
        assert!(firewall.carry(&mut chance, 500).is_ok());
    }
}
