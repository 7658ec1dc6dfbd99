//! Half-open IKE SAs: keys are agreed, nobody has proven anything (RFC 7296 section 2.6 on what that invites).

use super::ike_sa::IkeSa;
use crate::config::checked::IkeSuite;
use crate::ike::counters::Ignored;
use crate::ike::wire::IkeSpi;
use crate::session::SessionId;
use adit_dataplane::contract::{Following, Path, WorkerId};
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Waits for IKE_AUTH. Owns what that will need, and consumed by it.
pub(crate) struct HalfOpen {
    pub(crate) id: SessionId,
    pub(crate) arrival: Arrival,
    pub(crate) ike: IkeSa,
    /// The peer's first message, whole: its AUTH covers it.
    pub(crate) request: Vec<u8>,
    /// Ours: our AUTH covers it, and it answers retransmissions.
    pub(crate) response: Vec<u8>,
    pub(super) nonce_i: Vec<u8>,
    pub(super) nonce_r: Vec<u8>,
    pub(super) nat: Nat,
    pub(crate) path: Path,
    /// Where its IKE_SA_INIT came in: answers go out there until it has a worker of its own.
    pub(crate) worker: WorkerId,
    pub(crate) since: Instant,
}

impl HalfOpen {
    /// The algorithms.
    pub(crate) fn suite(&self) -> IkeSuite {
        self.ike.suite()
    }
}

/// What NAT detection found (RFC 7296 section 2.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nat {
    pub(super) peer: Behind,
    pub(super) us: Behind,
}

impl Nat {
    /// A peer behind a NAT is followed when its mapping changes, and only such a peer (RFC 7296 section 2.23).
    ///
    /// DEVIATES: section 2.23 advises an end that is behind a NAT itself against following. A headend behind a
    /// one-to-one NAT is an ordinary thing, and who could misuse it (deliver the peer's newest packet from an address
    /// of his own before it arrives) can as well keep that packet from arriving.
    pub(super) fn following(self) -> Following {
        match self.peer {
            Behind::Nat => Following::NewestPacket,
            Behind::Nothing => Following::CommandOnly,
        }
    }
}

/// One side's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    Nat,
    Nothing,
}

/// What makes one IKE_SA_INIT the same as another (RFC 7296 section 2.1): the initiator's SPI and its address. If
/// these are the same and the octets are not, it is neither a retransmission nor a second state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival {
    pub(crate) spi_i: IkeSpi,
    pub(crate) source: SocketAddr,
}

/// Who came in by IKE_SA_INIT and is still here, and how many of them are unproven.
#[derive(Debug)]
pub(crate) struct Arrivals {
    limit: usize,
    per_source: usize,
    here: BTreeMap<Arrival, SessionId>,
    half_open: usize,
    by_source: BTreeMap<IpAddr, usize>,
}

/// One address may hold a quarter of all half-open SAs, but never fewer than this: many clients may share a NAT.
const LEAST_PER_SOURCE: usize = 16;

impl Arrivals {
    pub(crate) fn new(limit: usize) -> Self {
        let per_source = (limit / 4).max(LEAST_PER_SOURCE).min(limit);
        Self { limit, per_source, here: BTreeMap::new(), half_open: 0, by_source: BTreeMap::new() }
    }

    /// Whoever came with this SPI from this address and is still here.
    pub(crate) fn find(&self, arrival: &Arrival) -> Option<SessionId> {
        self.here.get(arrival).copied()
    }

    /// Is there room for one more from there?
    pub(crate) fn room(&self, source: IpAddr) -> Result<(), Ignored> {
        if self.half_open >= self.limit {
            return Err(Ignored::HalfOpenFull);
        }
        if self.by_source.get(&source).is_some_and(|count| *count >= self.per_source) {
            return Err(Ignored::SourceFull);
        }
        Ok(())
    }

    /// One more half-open SA.
    pub(crate) fn came(&mut self, arrival: Arrival, session: SessionId) {
        self.here.insert(arrival, session);
        self.half_open += 1;
        *self.by_source.entry(arrival.source.ip()).or_default() += 1;
    }

    /// Half-open no more: proven, refused or too slow.
    pub(crate) fn no_longer_half_open(&mut self, arrival: &Arrival) {
        self.half_open = self.half_open.saturating_sub(1);
        let source = arrival.source.ip();
        if let Some(count) = self.by_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }

    /// Not here any more.
    pub(crate) fn left(&mut self, arrival: &Arrival) {
        self.here.remove(arrival);
    }

    /// Half-open SAs, all arrivals, sources with half-open SAs.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.half_open, self.here.len(), self.by_source.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(n: u64, host: u8) -> Arrival {
        Arrival { spi_i: IkeSpi(n), source: SocketAddr::from(([192, 0, 2, host], 500)) }
    }

    #[test]
    fn there_is_room_for_the_limit_and_a_quarter_of_it_for_one_address() {
        let mut arrivals = Arrivals::new(80);
        for n in 0..20 {
            assert_eq!(arrivals.room([192, 0, 2, 1].into()), Ok(()));
            arrivals.came(arrival(n, 1), SessionId(n as u32));
        }
        assert_eq!(arrivals.room([192, 0, 2, 1].into()), Err(Ignored::SourceFull));
        for n in 20..80 {
            assert_eq!(arrivals.room([192, 0, 2, n as u8].into()), Ok(()));
            arrivals.came(arrival(n, n as u8), SessionId(n as u32));
        }
        assert_eq!(arrivals.room([192, 0, 2, 200].into()), Err(Ignored::HalfOpenFull));
        assert_eq!(arrivals.find(&arrival(7, 1)), Some(SessionId(7)));
        for n in 0..80 {
            let arrival = arrival(n, if n < 20 { 1 } else { n as u8 });
            arrivals.no_longer_half_open(&arrival);
            arrivals.left(&arrival);
        }
        assert_eq!(arrivals.counts(), (0, 0, 0));
    }
}
