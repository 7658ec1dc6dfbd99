//! The MTU of an outer path: what is configured, and what authenticated packets say about it.
//!
//! ICMP from outside is no evidence: anyone can write it. A datagram that arrived in fragments and then passed its
//! SA's integrity check and replay window is: the longest of its fragments fitted the narrowest link on the way, and
//! one that is longer by 8 octets did not. That speaks for the way here; the way back is mostly the same one.

use crate::time::Instant;
use crate::wire::ip::IPV6_LEAST_MTU;
use std::time::Duration;

/// What is seen holds for so long, unless it is seen again (RFC 1191 section 6.3, RFC 8201 section 5.3).
const KEPT: Duration = Duration::from_secs(600);

/// One path's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathMtu {
    configured: u16,
    evidence: Option<Evidence>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Evidence {
    mtu: u16,
    until: Instant,
}

/// Whether the MTU is another one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl PathMtu {
    /// `configured` octets, until something else is seen.
    pub fn new(configured: u16) -> Self {
        Self { configured, evidence: None }
    }

    /// Octets of the largest outer packet.
    pub fn octets(&self) -> u16 {
        self.evidence.map_or(self.configured, |evidence| evidence.mtu)
    }

    /// An authenticated datagram came in fragments, the longest of `longest` octets. Never believed below IPv6's
    /// least MTU: paths below it are rare, and senders that cut into halves are not.
    pub fn seen(&mut self, longest: u16, now: Instant) -> Moved {
        let mtu = longest.max(IPV6_LEAST_MTU).min(self.configured);
        self.replace(Some(Evidence { mtu, until: now + KEPT }))
    }

    /// What is too old is forgotten.
    pub fn age(&mut self, now: Instant) -> Moved {
        match self.evidence {
            Some(evidence) if evidence.until <= now => self.replace(None),
            Some(_) | None => Moved::No,
        }
    }

    /// Another path: nothing is known of it.
    pub fn forget(&mut self) -> Moved {
        self.replace(None)
    }

    fn replace(&mut self, evidence: Option<Evidence>) -> Moved {
        let before = self.octets();
        self.evidence = evidence;
        if self.octets() == before { Moved::No } else { Moved::Yes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_mtu_follows_the_longest_fragment_between_the_floor_and_the_configured_one() {
        for (seen, mtu) in [(0, 1280), (1279, 1280), (1280, 1280), (1281, 1281), (1499, 1499), (1501, 1500)] {
            let mut path = PathMtu::new(1500);
            assert_eq!(path.seen(seen, at(0)), if mtu == 1500 { Moved::No } else { Moved::Yes });
            assert_eq!(path.octets(), mtu);
            assert_eq!(path.seen(seen, at(1)), Moved::No);
        }
        let mut low = PathMtu::new(1000);
        assert_eq!((low.seen(600, at(0)), low.octets()), (Moved::No, 1000));
    }

    #[test]
    fn the_newest_evidence_counts_and_is_forgotten_ten_minutes_after_it_was_last_seen() {
        let mut path = PathMtu::new(1500);
        assert_eq!(path.seen(1300, at(0)), Moved::Yes);
        assert_eq!(path.seen(1400, at(1)), Moved::Yes);
        assert_eq!(path.octets(), 1400);
        assert_eq!(path.age(at(600)), Moved::No);
        assert_eq!(path.seen(1400, at(600)), Moved::No);
        assert_eq!(path.age(at(1199)), Moved::No);
        assert_eq!(path.age(at(1200)), Moved::Yes);
        assert_eq!((path.octets(), path.age(at(1201))), (1500, Moved::No));
        path.seen(1300, at(2000));
        assert_eq!((path.forget(), path.octets()), (Moved::Yes, 1500));
    }
}
