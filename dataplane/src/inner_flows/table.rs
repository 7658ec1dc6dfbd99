//! The table of one worker.

use super::InnerFlowsConfig;
use super::admission::{Admission, Admitted};
use super::entry::{Entry, Times};
use super::index::{Index, NOWHERE};
use super::key::FlowKey;
use super::sampler::{Looks, Sampler};
use super::sight::{Run, Sight, Way};
use crate::contract::{InnerFlowPage, WorkerId};
use crate::time::Instant;
use siphasher::sip::SipHasher13;
use std::time::Duration;

/// Our own limit: who has been silent for so long is forgotten, room or not.
const IDLE: Duration = Duration::from_secs(600);
/// Flows at the old end of the list that a burst looks at, whether they may be forgotten.
const FORGOTTEN_AT_ONCE: usize = 2;
/// Places that one page looks at: about as long as a burst takes, whatever is asked for.
const PLACES_PER_PAGE: u32 = 1024;
/// The list by age is put right this seldom for each flow, in nanoseconds as a power of two: 16.8 ms. Within that time a flow's place in the list
/// stays, so a busy flow seldom touches its neighbours.
const AGE_BITS: u32 = 24;

/// One worker's inner flows.
pub struct InnerFlows {
    worker: WorkerId,
    entries: Vec<Entry>,
    index: Index,
    hasher: SipHasher13,
    sampler: Sampler,
    admission: Admission,
    /// Places that were never taken begin here.
    fresh: u32,
    /// The first place that was given up.
    free: u32,
    newest: u32,
    oldest: u32,
    held: u32,
    pushed_out: u64,
    /// How often the tunnel in each slot has ended. A flow of one that has is no longer told of, and forgotten when it is met.
    generations: Vec<u32>,
    /// The burst,
    sights: Vec<Sight>,
    /// what its last packet has in common with others of its flow,
    run: Option<Run>,
    /// and whether any of its flows began with it.
    begun: Begun,
}

/// Whether any flow began with the burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    None,
    Some,
}

impl InnerFlows {
    /// That of one worker, `config` its share, for bursts of so many packets; takes all memory that it will ever have but a number for each
    /// tunnel's slot.
    pub fn new(worker: WorkerId, config: &InnerFlowsConfig, burst: usize) -> Self {
        let places = config.limit.clamp(1, NOWHERE - 1);
        let random = SipHasher13::new_with_key(&config.seed);
        Self {
            worker,
            // Written once, so that the packets need not wait for the kernel to find pages.
            entries: vec![Entry::free(); places as usize],
            index: Index::new(places),
            sampler: Sampler::new(config.sample, random.hash(b"sampler")),
            admission: Admission::new(seed_of_admission(&random)),
            hasher: random,
            fresh: 0,
            free: NOWHERE,
            newest: NOWHERE,
            oldest: NOWHERE,
            held: 0,
            pushed_out: 0,
            generations: Vec::new(),
            sights: Vec::with_capacity(burst),
            run: None,
            begun: Begun::None,
        }
    }

    /// Octets of memory, whatever it holds.
    pub fn octets(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.index.octets()
    }

    /// Flows that it holds.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Flows that had to go because there was no room for them.
    pub fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    /// Packets whose flows were not let in because there was no room, and their octets: they are no flow's.
    pub fn unattributed(&self) -> (u64, u64) {
        self.admission.turned_away()
    }

    /// The tunnel in this slot has ended: its flows are another's if it is used again.
    pub fn end_tunnel(&mut self, slot: u32) {
        let at = slot as usize;
        if at >= self.generations.len() {
            self.generations.resize(at + 1, 0);
        }
        if let Some(generation) = self.generations.get_mut(at) {
            *generation = generation.wrapping_add(1);
        }
    }

    /// Inner packets pass, each beside the slot of the tunnel that it came from or goes into. No more than the burst that there is room for
    /// is looked at. How many of them were not let in.
    #[inline]
    pub fn see<'p>(&mut self, now: Instant, way: Way, packets: impl Iterator<Item = (u32, &'p [u8])>) -> u64 {
        let times = Times::at(now);
        self.sights.clear();
        (self.run, self.begun) = (None, Begun::None);
        for (tunnel, packet) in packets {
            if self.sampler.looks() == Looks::At && self.sights.len() < self.sights.capacity() {
                self.look(way, tunnel, packet);
            }
        }
        if self.sights.is_empty() {
            return 0;
        }
        let (before, _) = self.unattributed();
        self.fetch(now);
        let weight = self.sampler.one_of();
        let sights = std::mem::take(&mut self.sights);
        for sight in &sights {
            let place = self.place_of(sight, times);
            match self.entries.get_mut(place as usize) {
                Some(entry) => entry.see(way, sight, times, weight),
                None => {
                    let weight = u64::from(weight);
                    self.admission.turn_away(u64::from(sight.packets) * weight, u64::from(sight.octets) * weight);
                }
            }
        }
        self.sights = sights;
        self.forget_the_idle(now);
        self.unattributed().0 - before
    }

    /// Fills a page.
    pub fn tell(&mut self, now: Instant, page: &mut InnerFlowPage) {
        let times = Times::at(now);
        page.flows.clear();
        let end = self.fresh.min(page.from.saturating_add(PLACES_PER_PAGE));
        page.next = (end < self.fresh).then_some(end);
        for place in page.from..end {
            if page.is_full() {
                page.next = Some(place);
                break;
            }
            let Some(entry) = self.entries.get(place as usize) else { break };
            if !entry.key.is_some() {
                continue;
            }
            if self.is_over(entry, now) {
                self.forget(place);
            } else if page.only.is_none_or(|only| only.worker == self.worker && only.slot == entry.key.tunnel()) {
                page.flows.push(entry.report(self.worker, times));
            }
        }
        (page.held, page.pushed_out) = (self.held, self.pushed_out);
        (page.unattributed_packets, page.unattributed_octets) = self.unattributed();
    }

    /// What a packet shows, and its hash; of a run of packets of one flow the most is worked out once.
    #[inline]
    fn look(&mut self, way: Way, tunnel: u32, packet: &[u8]) {
        let run = Run::of(tunnel, packet);
        if let (Some((run, packet)), Some(before)) = (run, self.sights.last_mut())
            && self.run == Some(run)
        {
            let another = before.go_on(packet);
            self.sights.extend(another);
            return;
        }
        self.run = run.map(|(run, _)| run);
        let generation = self.generations.get(tunnel as usize).copied().unwrap_or(0);
        let sight = match run {
            Some((run, packet)) => Some(Sight::of_run(run, packet, way, generation)),
            None => Sight::of(packet, way, tunnel, generation),
        };
        if let Some(sight) = sight {
            let hash = sight.key.hash(&self.hasher);
            self.sights.push(Sight { hash, ..sight });
        }
    }

    /// Reads of each packet's flow what will be needed, without waiting for it: first of the index, then of the entries.
    #[inline]
    fn fetch(&mut self, now: Instant) {
        let is_full = self.is_full();
        let Self { sights, index, entries, oldest, .. } = self;
        let mut unknown = 0;
        for sight in sights.iter_mut() {
            sight.hint = index.first(sight.hash);
            unknown += usize::from(sight.hint == NOWHERE);
        }
        let seen = sights.iter().filter_map(|sight| entries.get(sight.hint as usize)).map(Entry::touch);
        let mut seen = seen.fold(0, |all, one| all ^ one);
        // Who comes anew, and is let in, takes the place of the oldest if all are taken.
        let mut goes = *oldest;
        let silent_since = entries.get(goes as usize).filter(|_| is_full).map(|oldest| oldest.last);
        let gone = silent_since.map_or(0, |last| Admission::expected(unknown, now, last));
        for _ in 0..gone {
            let Some(entry) = entries.get(goes as usize) else { break };
            seen ^= entry.touch() ^ u64::from(index.first(entry.hash));
            goes = entry.newer;
        }
        std::hint::black_box(seen);
    }

    /// Where the packet's flow lies, moved to the young end of the list; [`NOWHERE`] if it is not let in.
    #[inline]
    fn place_of(&mut self, sight: &Sight, times: Times) -> u32 {
        let is_it = |place: u32| self.entries.get(place as usize).is_some_and(|entry| entry.key == sight.key);
        let place = match (sight.hint, self.begun) {
            (hint, _) if is_it(hint) => hint,
            // It was not there before the burst, and nothing has come since.
            (NOWHERE, Begun::None) => NOWHERE,
            (_, _) => self.index.find(sight.hash, is_it),
        };
        let Some(entry) = self.entries.get(place as usize) else { return self.begin(sight, times) };
        if entry.last.as_nanos() >> AGE_BITS != times.now.as_nanos() >> AGE_BITS && place != self.newest {
            self.unlink(place);
            self.link(place);
        }
        place
    }

    fn begin(&mut self, sight: &Sight, times: Times) -> u32 {
        if self.is_full() {
            let Some(oldest) = self.entries.get(self.oldest as usize) else { return NOWHERE };
            if !self.is_over(oldest, times.now) && self.admission.lets_in(times.now, oldest.last) == Admitted::No {
                return NOWHERE;
            }
            self.pushed_out += 1;
            self.forget(self.oldest);
        }
        let place = match self.entries.get(self.free as usize) {
            Some(entry) => std::mem::replace(&mut self.free, entry.older),
            None => {
                self.fresh += 1;
                self.fresh - 1
            }
        };
        if let Some(entry) = self.entries.get_mut(place as usize) {
            entry.begin(sight, times);
        }
        self.index.insert(sight.hash, place);
        self.begun = Begun::Some;
        self.link(place);
        self.held += 1;
        place
    }

    /// A flow's place becomes free.
    fn forget(&mut self, place: u32) {
        let Some(hash) = self.entries.get(place as usize).map(|entry| entry.hash) else { return };
        self.unlink(place);
        self.index.remove(hash, place);
        self.held -= 1;
        if let Some(entry) = self.entries.get_mut(place as usize) {
            (entry.key, entry.older) = (FlowKey::NONE, self.free);
            self.free = place;
        }
    }

    fn is_full(&self) -> bool {
        self.free == NOWHERE && self.fresh as usize == self.entries.len()
    }

    fn forget_the_idle(&mut self, now: Instant) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            match self.entries.get(self.oldest as usize) {
                Some(oldest) if self.is_over(oldest, now) => self.forget(self.oldest),
                Some(_) | None => return,
            }
        }
    }

    fn is_over(&self, entry: &Entry, now: Instant) -> bool {
        let generation = |tunnel: u32| self.generations.get(tunnel as usize).copied().unwrap_or(0);
        now.since(entry.last) > IDLE || entry.key.generation() != generation(entry.key.tunnel())
    }

    /// Puts a place that is not in the list at its young end.
    fn link(&mut self, place: u32) {
        let before = std::mem::replace(&mut self.newest, place);
        if let Some(entry) = self.entries.get_mut(place as usize) {
            (entry.older, entry.newer) = (before, NOWHERE);
        }
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.newer = place,
            None => self.oldest = place,
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some((older, newer)) = self.entries.get(place as usize).map(|entry| (entry.older, entry.newer)) else {
            return;
        };
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }
}

/// Chance for who is let in.
pub(super) fn seed_of_admission(random: &SipHasher13) -> u64 {
    random.hash(b"admission")
}
