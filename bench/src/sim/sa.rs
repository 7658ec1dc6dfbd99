//! One SA each way, as the model of a dataplane has them: sealed and opened with the SA's own keys, its lifetime kept.

use super::datagram::Esp;
use adit_crypto::esp_cipher::Header;
use adit_crypto::suite::SequenceNumbers;
use adit_dataplane::contract::{Direction, Event, InboundSpec, Lifetime, Limits, OutboundSpec, Reached, Spi};
use adit_dataplane::time::Instant;
use std::collections::BTreeSet;

/// To receive on.
pub(crate) struct Inbound {
    pub(crate) spec: InboundSpec,
    /// Sequence numbers taken. A set where the real one has a window: what it refuses is a duplicate, never just late.
    taken: BTreeSet<u32>,
    wear: Wear,
}

/// To send on.
pub(crate) struct Outbound {
    pub(crate) spec: OutboundSpec,
    /// Its other half.
    pair: Spi,
    last: u32,
    wear: Wear,
}

/// What an inbound SA makes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The first one on the SA.
    First,
    /// The highest number so far.
    Newest,
    /// Good, and overtaken by others.
    Overtaken,
    Duplicate,
    OtherKeys,
    LifeOver,
}

/// Of an inner packet in these worlds.
const INNER_OCTETS: usize = 64;

impl Inbound {
    pub(crate) fn new(spec: InboundSpec) -> Self {
        Self { spec, taken: BTreeSet::new(), wear: Wear::default() }
    }

    /// A packet for it; what its lifetime says to that is added to `reports`.
    pub(crate) fn open(&mut self, now: Instant, esp: &Esp, reports: &mut Vec<Event>) -> Opened {
        if self.wear.is_over(&self.spec.lifetime, now) {
            return Opened::LifeOver;
        }
        if self.taken.contains(&esp.sequence) {
            return Opened::Duplicate;
        }
        let mut body = esp.sealed.clone();
        let header = esp_header(esp.spi, esp.sequence);
        if self.spec.cipher.open(authenticated(&header, self.spec.numbers), &esp.iv, &mut body).is_err() {
            return Opened::OtherKeys;
        }
        let opened = match self.taken.last() {
            None => Opened::First,
            Some(highest) if *highest < esp.sequence => Opened::Newest,
            Some(_) => Opened::Overtaken,
        };
        self.taken.insert(esp.sequence);
        self.spec.counters.charge(1, INNER_OCTETS as u64, now);
        let reached = self.wear.charge(&self.spec.lifetime, now);
        reports.extend(reached.into_iter().map(|reached| told(self.spec.spi, Direction::Inbound, reached)));
        opened
    }
}

impl Outbound {
    pub(crate) fn new(spec: OutboundSpec, pair: Spi) -> Self {
        Self { spec, pair, last: 0, wear: Wear::default() }
    }

    /// A packet on it, unless its life is over; what its lifetime says to that is added to `reports`.
    pub(crate) fn seal(&mut self, now: Instant, reports: &mut Vec<Event>) -> Option<Esp> {
        if self.wear.is_over(&self.spec.lifetime, now) {
            return None;
        }
        self.last = self.last.checked_add(1)?;
        let (spec, sequence) = (&self.spec, self.last);
        let suite = spec.cipher.suite();
        let mut iv = vec![0; suite.encr().iv_len()];
        let (mut sealed, mut icv) = (vec![0x61; INNER_OCTETS], vec![0; suite.icv_len()]);
        let header = esp_header(spec.spi, sequence);
        let header = authenticated(&header, spec.numbers);
        spec.cipher.seal(header, sequence.into(), &mut iv, &mut sealed, &mut icv);
        sealed.extend(icv);
        spec.counters.charge(1, INNER_OCTETS as u64, now);
        let reached = self.wear.charge(&spec.lifetime, now);
        reports.extend(reached.into_iter().map(|reached| told(self.pair, Direction::Outbound, reached)));
        Some(Esp { spi: spec.spi, sequence, iv, sealed })
    }
}

/// How much of its life an SA has used.
#[derive(Debug, Default)]
struct Wear {
    packets: u64,
    told: Vec<Reached>,
}

impl Wear {
    fn is_over(&self, life: &Lifetime, now: Instant) -> bool {
        self.told.contains(&Reached::Hard) || self.is_reached(&life.hard, now)
    }

    /// One packet more: the limits that this reaches, each told once, soft before hard.
    fn charge(&mut self, life: &Lifetime, now: Instant) -> Vec<Reached> {
        self.packets += 1;
        let mut reached = Vec::new();
        for (which, limits) in [(Reached::Soft, &life.soft), (Reached::Hard, &life.hard)] {
            if self.is_reached(limits, now) && !self.told.contains(&which) {
                self.told.push(which);
                reached.push(which);
            }
        }
        reached
    }

    fn is_reached(&self, limits: &Limits, now: Instant) -> bool {
        let octets = self.packets * INNER_OCTETS as u64;
        limits.packets.is_some_and(|most| self.packets >= most)
            || limits.octets.is_some_and(|most| octets >= most)
            || limits.time.is_some_and(|end| end <= now)
    }
}

fn told(pair: Spi, direction: Direction, reached: Reached) -> Event {
    Event::Lifetime { pair, direction, reached }
}

/// SPI and sequence number (RFC 4303 section 2): what is authenticated besides the ciphertext.
fn esp_header(spi: u32, sequence: u32) -> [u8; 8] {
    let (spi, sequence) = (spi.to_be_bytes(), sequence.to_be_bytes());
    std::array::from_fn(|at| if at < 4 { spi[at] } else { sequence[at - 4] })
}

/// Worlds are too short for the high half of extended numbers to move.
fn authenticated(header: &[u8; 8], numbers: SequenceNumbers) -> Header<'_> {
    let esn_high = match numbers {
        SequenceNumbers::Plain => None,
        SequenceNumbers::Extended => Some(0),
    };
    Header { bytes: header, esn_high }
}
