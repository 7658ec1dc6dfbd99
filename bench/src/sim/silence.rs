//! What explains that something went wrong by IKEv1, as anybody on the way sees it: headers, octets that come again, and
//! what never arrived.
//!
//! IKEv1 has no numbered requests and acknowledges neither deletes nor the last message of a quick mode. So an end is
//! excused for ending a session only if it, or the other, has said the same octets as often as it may and nothing came
//! back in that exchange, or has sent as many informational messages (each question of DPD is one of its own) without
//! a sign of life: a packet, or a message of an exchange that a dead peer cannot have. And who sends on an SA that the
//! other has dropped is excused only if a message that may have told it so was lost shortly before.

use super::host::HostId;
use adit_control::ike::v1::wire::{Exchange, Header};
use adit_dataplane::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// All of IKEv1 that was overheard.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// By who said it, and its octets.
    said: BTreeMap<HostId, BTreeMap<Octets, Said>>,
    /// Who has begun phase 1, by its cookie: the other end knows whom it talks to, wherever that is now.
    callers: BTreeMap<u64, HostId>,
    /// By who has heard it.
    heard: BTreeMap<HostId, BTreeSet<Octets>>,
    /// Informational messages since the last sign of life, by who said them and to whom.
    asks: BTreeMap<(HostId, HostId), (u32, Instant)>,
    /// What may tell of a change of ESP SAs and has not arrived, by who said it and to whom.
    under_way: BTreeMap<(HostId, HostId), BTreeMap<Octets, UnderWay>>,
}

/// When it was said for the first and for the last time.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    first: Instant,
    last: Instant,
}

/// A message, as its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Octets(u64);

/// One message.
#[derive(Debug, Clone, Copy)]
struct Said {
    of: Option<HostId>,
    cookie: u64,
    exchange: Exchange,
    message_id: u32,
    begins: Begins,
    times: u32,
    last: Instant,
    answered: Answered,
}

/// Whether its sender has begun the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    Here,
    AtTheOther,
}

/// Whether something has come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Yes,
    No,
}

impl Octets {
    fn of(bytes: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Silence {
    /// A message leaves `from` for `to`, if anybody is there.
    pub(crate) fn sent(&mut self, now: Instant, from: HostId, to: Option<HostId>, header: &Header, bytes: &[u8]) {
        let (cookie, octets) = (header.initiator_cookie.0, Octets::of(bytes));
        let Header { exchange, message_id, .. } = *header;
        let caller = *self.callers.entry(cookie).or_insert(from);
        let to = if caller == from { to } else { Some(caller) };
        let same = |said: &Said| (said.cookie, said.message_id) == (cookie, message_id);
        let begins = match to.is_some_and(|to| self.said.get(&to).is_some_and(|said| said.values().any(same))) {
            true => Begins::AtTheOther,
            false => Begins::Here,
        };
        let fresh = Said { of: to, cookie, exchange, message_id, begins, times: 0, last: now, answered: Answered::No };
        let said = self.said.entry(from).or_default().entry(octets).or_insert(fresh);
        said.of = said.of.or(to);
        said.times += 1;
        said.last = now;
        let Some(to) = to else { return };
        match exchange {
            Exchange::Informational => {
                let asks = self.asks.entry((from, to)).or_insert((0, now));
                *asks = (asks.0 + 1, now);
                self.leaves(now, from, to, octets);
            }
            Exchange::QuickMode => self.leaves(now, from, to, octets),
            Exchange::MainMode | Exchange::Aggressive | Exchange::Transaction => {}
        }
    }

    /// What may tell of a change of ESP SAs is said, perhaps again.
    fn leaves(&mut self, now: Instant, from: HostId, to: HostId, octets: Octets) {
        let under_way = self.under_way.entry((from, to)).or_default();
        under_way.entry(octets).or_insert(UnderWay { first: now, last: now }).last = now;
    }

    /// A message of `from` arrives.
    pub(crate) fn arrived(&mut self, from: HostId, at: HostId, header: &Header, bytes: &[u8]) {
        if let Some(under_way) = self.under_way.get_mut(&(from, at)) {
            under_way.remove(&Octets::of(bytes));
        }
        match header.exchange {
            Exchange::QuickMode | Exchange::Transaction => self.sign_of_life(at, from),
            Exchange::MainMode | Exchange::Aggressive | Exchange::Informational => {}
        }
        // What comes late or twice answers nothing that was said since.
        if !self.heard.entry(at).or_default().insert(Octets::of(bytes)) {
            return;
        }
        let cookie = header.initiator_cookie.0;
        for said in self.said.entry(at).or_default().values_mut().filter(|said| said.cookie == cookie) {
            // Whatever is encrypted shows that phase 1 is over.
            if said.message_id == header.message_id || (said.message_id == 0 && header.flags.encrypted) {
                said.answered = Answered::Yes;
            }
        }
    }

    /// `at` has had a sign of life of `of`.
    pub(crate) fn sign_of_life(&mut self, at: HostId, of: HostId) {
        self.asks.remove(&(at, of));
    }

    /// It is switched off, or begins anew, and with it all that it wanted to know.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.said.remove(&host);
        self.heard.remove(&host);
        self.asks.retain(|(from, _), _| *from != host);
    }

    /// Whether one end asked the other so often since then and nothing came back.
    pub(crate) fn in_vain(&self, one: HostId, other: HostId, times: u32, since: Instant) -> bool {
        let asked = |from: HostId, of: HostId| {
            let said = self.said.get(&from).into_iter().flat_map(BTreeMap::values);
            let unanswered = |said: &Said| {
                said.of == Some(of) && said.times >= times && said.last >= since && said.answered == Answered::No
            };
            let dead = self.asks.get(&(from, of)).is_some_and(|(asks, last)| *asks >= times && *last >= since);
            dead || said.into_iter().any(unanswered)
        };
        asked(one, other) || asked(other, one)
    }

    /// How many quick modes an end may be waiting for the answer to: begun, perhaps repeated, since then.
    pub(crate) fn asking(&self, from: HostId, since: Instant) -> usize {
        let said = self.said.get(&from).into_iter().flat_map(BTreeMap::values);
        let asks =
            |said: &&Said| said.exchange == Exchange::QuickMode && said.begins == Begins::Here && said.last >= since;
        said.filter(asks).count()
    }

    /// Whether a message of `from` that may have told `to` of a change of ESP SAs was lost, or is late, among those of
    /// this time.
    pub(crate) fn untold(&self, from: HostId, to: HostId, until: Instant, during: Duration) -> bool {
        let under_way = self.under_way.get(&(from, to)).into_iter().flat_map(BTreeMap::values);
        under_way.into_iter().any(|said| said.first <= until && until.since(said.last.min(until)) <= during)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_control::ike::v1::wire::{Flags, IkeSpi};

    const CLIENT: HostId = HostId(1);
    const HEADEND: HostId = HostId::HEADEND;

    fn header(exchange: Exchange, message_id: u32) -> Header {
        let flags = Flags { encrypted: message_id != 0, commit: false };
        Header { initiator_cookie: IkeSpi(7), responder_cookie: IkeSpi(8), exchange, flags, message_id }
    }

    fn at(second: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(second)
    }

    #[test]
    fn octets_that_come_again_are_in_vain_until_their_exchange_goes_on() {
        let mut silence = Silence::default();
        let quick = header(Exchange::QuickMode, 5);
        for second in 0..6 {
            silence.sent(at(second), CLIENT, Some(HEADEND), &quick, &[1]);
        }
        assert!(silence.in_vain(HEADEND, CLIENT, 6, at(0)));
        assert!(!silence.in_vain(HEADEND, CLIENT, 7, at(0)) && !silence.in_vain(CLIENT, HEADEND, 6, at(6)));
        assert_eq!((silence.asking(CLIENT, at(5)), silence.asking(CLIENT, at(6))), (1, 0));
        // Another exchange, and what arrives elsewhere, is no answer.
        silence.arrived(HEADEND, CLIENT, &header(Exchange::QuickMode, 6), &[2]);
        silence.arrived(CLIENT, HEADEND, &quick, &[1]);
        assert!(silence.in_vain(CLIENT, HEADEND, 6, at(0)));
        silence.sent(at(7), HEADEND, Some(CLIENT), &quick, &[3]);
        assert_eq!(silence.asking(HEADEND, at(0)), 0, "an answer asks nothing");
        silence.arrived(HEADEND, CLIENT, &quick, &[3]);
        assert!(!silence.in_vain(CLIENT, HEADEND, 6, at(0)));
    }

    #[test]
    fn questions_of_dpd_are_counted_since_the_last_sign_of_life() {
        let mut silence = Silence::default();
        for id in 1..6 {
            silence.sent(at(1), HEADEND, Some(CLIENT), &header(Exchange::Informational, id), &[id as u8]);
        }
        silence.sign_of_life(HEADEND, CLIENT);
        silence.sent(at(2), HEADEND, Some(CLIENT), &header(Exchange::Informational, 9), &[9]);
        assert!(!silence.in_vain(CLIENT, HEADEND, 6, at(0)));
        for id in 10..15 {
            silence.sent(at(3), HEADEND, Some(CLIENT), &header(Exchange::Informational, id), &[id as u8]);
        }
        assert!(silence.in_vain(CLIENT, HEADEND, 6, at(0)));
    }

    #[test]
    fn only_what_was_lost_shortly_before_explains_a_packet_on_an_sa_that_is_gone() {
        let mut silence = Silence::default();
        let delete = header(Exchange::Informational, 5);
        silence.sent(at(10), CLIENT, Some(HEADEND), &delete, &[1]);
        let untold = |silence: &Silence, until| silence.untold(CLIENT, HEADEND, at(until), Duration::from_secs(8));
        assert!(untold(&silence, 15) && !untold(&silence, 19) && !untold(&silence, 9));
        silence.arrived(CLIENT, HEADEND, &delete, &[1]);
        assert!(!untold(&silence, 15));
    }
}
