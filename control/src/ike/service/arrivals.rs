//! Who came in by a first message and is still here; how many of them have proven nothing (RFC 7296 section 2.6 on what
//! that invites).

use crate::config::checked as config;
use crate::ike::counters::Ignored;
use crate::ike::wire::IkeSpi;
use crate::session::SessionId;
use adit_dataplane::wire::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Which IKE a first message speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// It has no cookies that its initiator returns: its first messages may be anybody's.
    V1,
    V2,
}

/// What makes one IKE_SA_INIT the same as another (RFC 7296 section 2.1): the initiator's SPI and its address. If
/// these are the same and the octets are not, it is neither a retransmission nor a second state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival {
    pub(crate) version: Version,
    pub(crate) spi_i: IkeSpi,
    pub(crate) source: SocketAddr,
}

/// Who came in by a first message and is still here, and how many of them are unproven.
///
/// Each version has the limits for itself: who fills those of IKEv1, which anybody can, keeps nobody out by IKEv2.
#[derive(Debug)]
pub(crate) struct Arrivals {
    limits: Limits,
    here: BTreeMap<Arrival, SessionId>,
    v1: Unproven,
    v2: Unproven,
    /// By IKEv1, those who have proven what counts and have no service: who is still to say whether it comes back for a session of its
    /// own takes no session's place until then.
    waiting: BTreeSet<Arrival>,
}

/// Half-open SAs by one version.
#[derive(Debug, Default)]
struct Unproven {
    in_all: usize,
    by_source: BTreeMap<Source, usize>,
}

impl Unproven {
    fn of_source(&self, address: IpAddr) -> usize {
        self.by_source.get(&Source::of(address)).copied().unwrap_or_default()
    }

    fn came(&mut self, address: IpAddr) {
        self.in_all += 1;
        *self.by_source.entry(Source::of(address)).or_default() += 1;
    }

    fn went(&mut self, address: IpAddr) {
        self.in_all = self.in_all.saturating_sub(1);
        let source = Source::of(address);
        if let Some(count) = self.by_source.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

/// How many half-open SAs there may be by one version.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// In all.
    most: usize,
    /// From one source: many clients may share a NAT.
    most_per_source: usize,
    /// By IKEv2: from this number on, everybody is asked for a cookie.
    cookies: usize,
    /// From this number on, the source that has them is asked for a cookie.
    cookies_per_source: usize,
    /// By IKEv1, proven and without service.
    waiting: usize,
}

impl Limits {
    fn of(ike: &config::Ike) -> Self {
        Self {
            most: ike.half_open_limit,
            most_per_source: ike.half_open_limit_per_source,
            cookies: ike.cookie_threshold,
            cookies_per_source: ike.cookie_threshold_per_source,
            // All sessions may log in anew at once.
            waiting: ike.session_limit.max(ike.half_open_limit),
        }
    }
}

/// What a first message has to bring along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toll {
    /// A cookie (RFC 7296 section 2.6).
    Cookie,
    /// Nothing more.
    Nothing,
}

/// Of whom cookies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookiesAsked {
    /// Of nobody: no threshold is passed.
    OfNobody,
    /// Of so many addresses (IPv6: /64 networks), which have too many half-open SAs.
    OfSources(usize),
    /// Of everybody: there are too many half-open SAs in all.
    OfEverybody,
}

impl fmt::Display for CookiesAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfNobody => f.write_str("nobody"),
            Self::OfSources(1) => f.write_str("1 source"),
            Self::OfSources(sources) => write!(f, "{sources} sources"),
            Self::OfEverybody => f.write_str("everybody"),
        }
    }
}

impl Arrivals {
    pub(crate) fn new(ike: &config::Ike) -> Self {
        let limits = Limits::of(ike);
        let (v1, v2) = (Unproven::default(), Unproven::default());
        Self { limits, here: BTreeMap::new(), v1, v2, waiting: BTreeSet::new() }
    }

    /// Who is here already stays, however many they are.
    pub(crate) fn limit_to(&mut self, ike: &config::Ike) {
        self.limits = Limits::of(ike);
    }

    /// Whoever came with this SPI from this address and is still here.
    pub(crate) fn find(&self, arrival: &Arrival) -> Option<SessionId> {
        self.here.get(arrival).copied()
    }

    fn unproven(&mut self, version: Version) -> &mut Unproven {
        match version {
            Version::V1 => &mut self.v1,
            Version::V2 => &mut self.v2,
        }
    }

    /// Is there room for this one?
    pub(crate) fn room(&self, arrival: &Arrival) -> Result<(), Ignored> {
        let unproven = match arrival.version {
            Version::V1 => &self.v1,
            Version::V2 => &self.v2,
        };
        if unproven.in_all >= self.limits.most {
            return Err(Ignored::HalfOpenFull);
        }
        if unproven.of_source(arrival.source.ip()) >= self.limits.most_per_source {
            return Err(Ignored::SourceFull);
        }
        Ok(())
    }

    /// What one more by IKEv2 from there has to bring along.
    pub(crate) fn toll(&self, address: IpAddr) -> Toll {
        let many = self.v2.in_all >= self.limits.cookies;
        if many || self.v2.of_source(address) >= self.limits.cookies_per_source { Toll::Cookie } else { Toll::Nothing }
    }

    /// Of whom cookies are asked now.
    pub(crate) fn cookies_asked(&self) -> CookiesAsked {
        if self.v2.in_all >= self.limits.cookies {
            return CookiesAsked::OfEverybody;
        }
        match self.v2.by_source.values().filter(|count| **count >= self.limits.cookies_per_source).count() {
            0 => CookiesAsked::OfNobody,
            sources => CookiesAsked::OfSources(sources),
        }
    }

    /// One more half-open SA.
    pub(crate) fn came(&mut self, arrival: Arrival, session: SessionId) {
        self.here.insert(arrival, session);
        self.unproven(arrival.version).came(arrival.source.ip());
    }

    /// Half-open no more: proven, refused or too slow.
    pub(crate) fn no_longer_half_open(&mut self, arrival: &Arrival) {
        self.unproven(arrival.version).went(arrival.source.ip());
    }

    /// By IKEv1: it has proven what counts, and waits for what comes before its service. `Err`: so many may wait, and no more.
    pub(crate) fn waits(&mut self, arrival: Arrival) -> Result<(), usize> {
        if self.waiting.len() >= self.limits.waiting {
            return Err(self.limits.waiting);
        }
        self.waiting.insert(arrival);
        Ok(())
    }

    /// It waits no more: it has a service.
    pub(crate) fn is_served(&mut self, arrival: &Arrival) {
        self.waiting.remove(arrival);
    }

    /// How many here are no session's yet: half-open, or waiting.
    pub(crate) fn without_a_place(&self) -> usize {
        self.v1.in_all + self.v2.in_all + self.waiting.len()
    }

    /// Not here any more.
    pub(crate) fn left(&mut self, arrival: &Arrival) {
        self.waiting.remove(arrival);
        self.here.remove(arrival);
    }

    /// Half-open SAs, all arrivals, sources with half-open SAs.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let (v1, v2) = (&self.v1, &self.v2);
        (v1.in_all + v2.in_all, self.here.len(), v1.by_source.len() + v2.by_source.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(n: u64, host: u8) -> Arrival {
        Arrival { version: Version::V2, spi_i: IkeSpi(n), source: SocketAddr::from(([192, 0, 2, host], 500)) }
    }

    fn arrivals(most: usize, most_per_source: usize, cookies: usize, cookies_per_source: usize) -> Arrivals {
        let limits = Limits { most, most_per_source, cookies, cookies_per_source, waiting: 2 };
        let (v1, v2) = (Unproven::default(), Unproven::default());
        Arrivals { limits, here: BTreeMap::new(), v1, v2, waiting: BTreeSet::new() }
    }

    #[test]
    fn so_many_wait_as_may_and_who_has_a_service_or_leaves_waits_no_more() {
        let mut arrivals = arrivals(80, 20, 80, 80);
        for n in 0..3 {
            let arrival = Arrival { version: Version::V1, ..arrival(n, 1) };
            arrivals.came(arrival, SessionId(n as u32));
            arrivals.no_longer_half_open(&arrival);
            assert_eq!(arrivals.waits(arrival), if n < 2 { Ok(()) } else { Err(2) });
        }
        assert_eq!(arrivals.without_a_place(), 2);
        let place = |n| Arrival { version: Version::V1, ..arrival(n, 1) };
        arrivals.is_served(&place(0));
        assert_eq!(arrivals.waits(place(2)), Ok(()));
        (1..3).for_each(|n| arrivals.left(&place(n)));
        assert_eq!((arrivals.without_a_place(), arrivals.counts()), (0, (0, 1, 0)));
    }

    #[test]
    fn there_is_room_for_the_limit_and_for_one_source_up_to_its_own() {
        let mut arrivals = arrivals(80, 20, 80, 80);
        for n in 0..20 {
            assert_eq!(arrivals.room(&arrival(n, 1)), Ok(()));
            arrivals.came(arrival(n, 1), SessionId(n as u32));
        }
        assert_eq!(arrivals.room(&arrival(20, 1)), Err(Ignored::SourceFull));
        for n in 20..80 {
            assert_eq!(arrivals.room(&arrival(n, n as u8)), Ok(()));
            arrivals.came(arrival(n, n as u8), SessionId(n as u32));
        }
        assert_eq!(arrivals.room(&arrival(80, 200)), Err(Ignored::HalfOpenFull));
        for host in [1, 200] {
            let by_v1 = Arrival { version: Version::V1, ..arrival(80, host) };
            assert_eq!(arrivals.room(&by_v1), Ok(()), "the other version has its own");
        }
        assert_eq!(arrivals.find(&arrival(7, 1)), Some(SessionId(7)));
        for n in 0..80 {
            let arrival = arrival(n, if n < 20 { 1 } else { n as u8 });
            arrivals.no_longer_half_open(&arrival);
            arrivals.left(&arrival);
        }
        assert_eq!(arrivals.counts(), (0, 0, 0));
    }

    #[test]
    fn cookies_are_asked_of_a_busy_source_then_of_everybody_and_then_of_nobody_again() {
        let mut arrivals = arrivals(80, 80, 5, 3);
        let toll = |arrivals: &Arrivals, host| arrivals.toll([192, 0, 2, host].into());
        for n in 0..3 {
            assert_eq!((toll(&arrivals, 1), arrivals.cookies_asked()), (Toll::Nothing, CookiesAsked::OfNobody));
            arrivals.came(arrival(n, 1), SessionId(n as u32));
        }
        assert_eq!((toll(&arrivals, 1), toll(&arrivals, 2)), (Toll::Cookie, Toll::Nothing));
        assert_eq!(arrivals.cookies_asked(), CookiesAsked::OfSources(1));
        for n in 3..5 {
            arrivals.came(arrival(n, n as u8), SessionId(n as u32));
        }
        assert_eq!((toll(&arrivals, 2), arrivals.cookies_asked()), (Toll::Cookie, CookiesAsked::OfEverybody));
        for n in 0..3 {
            arrivals.no_longer_half_open(&arrival(n, 1));
        }
        assert_eq!((toll(&arrivals, 1), arrivals.cookies_asked()), (Toll::Nothing, CookiesAsked::OfNobody));
    }
}
