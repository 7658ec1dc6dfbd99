//! Client, box and headend, with a line of ten milliseconds between each, or a longer one behind the box.

use super::boxes::{Middlebox, State};
use super::peers::{End, Manner, Segment};
use adit_dataplane::carrier::ctcp::{Stalling, diagnose};
use adit_dataplane::contract::{Diagnosis, Path};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, Shift};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leg {
    ClientToBox,
    BoxToHeadend,
    HeadendToBox,
    BoxToClient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Both,
    Up,
    Down,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) middlebox: Middlebox,
    /// Where segments with data are lost, and how many of a thousand.
    pub(crate) loss: Option<(Leg, u32)>,
    pub(crate) headend: Manner,
    pub(crate) client: Manner,
    pub(crate) direction: Direction,
    pub(crate) seconds: u64,
    /// Nothing more is sent for so long after that, but what ends say of themselves.
    pub(crate) quiet: u64,
    /// Packets a second, each way that there is.
    pub(crate) rate: u64,
    /// Milliseconds between box and headend.
    pub(crate) far: u64,
    pub(crate) seed: u64,
}

/// Per cent of what was to be sent, and seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) up: f64,
    pub(crate) down: f64,
    pub(crate) longest_gap: f64,
    /// What the headend makes of it, if it is ours.
    pub(crate) diagnosis: Option<Diagnosis>,
    /// What it tells of a stall of ten seconds.
    pub(crate) stalling: Option<Stalling>,
}

const LINE: Duration = Duration::from_millis(10);
const SIZES: [usize; 5] = [100, 300, 700, 1100, 1356];
const CLIENT: usize = 0;
const HEADEND: usize = 1;

enum Event {
    /// Arrives at the box, going up (0) or down (1).
    AtBox(usize, Segment),
    /// Arrives at an end.
    At(usize, Segment),
    Send(usize),
}

struct World {
    setting: Setting,
    now: Instant,
    agenda: BTreeMap<(Instant, u64), Event>,
    count: u64,
    chance: u64,
    ends: [End; 2],
    middlebox: State,
}

pub(crate) fn run(setting: &Setting) -> Outcome {
    let start = Instant::ZERO + Duration::from_secs(100);
    let path = Path { local: "198.51.100.7:40001".parse().unwrap(), peer: "192.0.2.1:10000".parse().unwrap() };
    let back = Path { local: path.peer, peer: path.local };
    // Both numbers wrap in the first seconds.
    let (up, down) = (Seq::new(u32::MAX - 40_000), Seq::new(u32::MAX - 90_000));
    let (client, headend) = (setting.client, setting.headend);
    let scale = setting.scale();
    let ends = [
        End::new(start, path, client, headend, [up, down], scale),
        End::new(start, back, headend, client, [down, up], scale),
    ];
    let mut world = World {
        setting: *setting,
        now: start,
        agenda: BTreeMap::new(),
        count: 0,
        chance: setting.seed,
        ends,
        middlebox: State::new(setting.middlebox, scale.unwrap_or(Shift::new(0)).octets(u16::MAX)),
    };
    let senders: &[usize] = match setting.direction {
        Direction::Both => &[CLIENT, HEADEND],
        Direction::Up => &[CLIENT],
        Direction::Down => &[HEADEND],
    };
    // A login: each end has heard the other.
    world.at(start, Event::Send(HEADEND));
    world.at(start + LINE + world.far() + Duration::from_millis(1), Event::Send(CLIENT));
    for end in senders {
        let times = (0..).map(|packet| setting.time(packet)).take_while(|time| *time < setting.seconds as f64);
        for time in times {
            world.at(start + Duration::from_secs_f64(time), Event::Send(*end));
        }
    }
    // What is under way arrives, or is repeated.
    world.live(start + Duration::from_secs(setting.seconds + setting.quiet) + Duration::from_millis(500));
    let (now, flow) = (world.now, world.ends[HEADEND].flow());
    let diagnosis = flow.map(|flow| diagnose(&flow.evidence(now)));
    let stalling = flow.and_then(|flow| flow.stalling(now, Duration::from_secs(10)));
    let [client, headend] = &mut world.ends;
    let of = |delivered: usize, sent: u32| if sent == 0 { 100.0 } else { 100.0 * delivered as f64 / f64::from(sent) };
    let gap = match setting.direction {
        Direction::Both => client.longest_gap.max(headend.longest_gap),
        Direction::Up => headend.longest_gap,
        Direction::Down => client.longest_gap,
    };
    Outcome {
        up: of(headend.delivered.len(), client.sent),
        down: of(client.delivered.len(), headend.sent),
        longest_gap: gap.as_secs_f64(),
        diagnosis,
        stalling,
    }
}

impl Setting {
    /// Seconds after which a packet leaves. On a long line they begin at a quarter of the rate and reach it after two seconds, much as TCP
    /// inside does: what is faster than that is past the window before any answer can come.
    fn time(&self, packet: u64) -> f64 {
        let (rate, packet) = (self.rate as f64, packet as f64);
        if self.far < 100 {
            return packet / rate;
        }
        let (first, until) = (rate / 4.0, 2.0);
        let growth = (rate - first) / until;
        let in_ramp = first * until + growth * until * until / 2.0;
        match packet < in_ramp {
            true => ((first * first + 2.0 * growth * packet).sqrt() - first) / growth,
            false => until + (packet - in_ramp) / rate,
        }
    }

    /// Both scale their windows.
    fn scale(&self) -> Option<Shift> {
        (self.client == Manner::Adaptive && self.headend == Manner::Adaptive).then_some(Shift::new(3))
    }
}

impl World {
    fn live(&mut self, until: Instant) {
        loop {
            let event = self.agenda.keys().next().map(|(at, _)| *at);
            let deadlines = [CLIENT, HEADEND].map(|end| self.ends[end].deadline().max(self.now));
            let first = deadlines[0].min(deadlines[1]);
            match event {
                Some(at) if at <= first && at <= until => {
                    let (_, event) = self.agenda.pop_first().unwrap();
                    self.now = at;
                    self.happens(event);
                }
                Some(_) | None if first <= until => {
                    self.now = first;
                    let end = if deadlines[0] == first { CLIENT } else { HEADEND };
                    for segment in self.ends[end].speak(first) {
                        self.leaves(end, segment);
                    }
                }
                Some(_) | None => break,
            }
        }
        self.ends.iter_mut().for_each(|end| end.close(until));
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Send(end) => {
                let len = SIZES[self.ends[end].sent as usize % SIZES.len()];
                if let Some(segment) = self.ends[end].send(self.now, len) {
                    self.leaves(end, segment);
                }
            }
            Event::AtBox(way, segment) => {
                let leg = if way == 0 { Leg::BoxToHeadend } else { Leg::BoxToClient };
                for segment in self.middlebox.pass(self.now, way, segment) {
                    if !self.lost(leg, &segment) {
                        let line = if way == 0 { self.far() } else { LINE };
                        self.at(self.now + line, Event::At(if way == 0 { HEADEND } else { CLIENT }, segment));
                    }
                }
            }
            Event::At(end, segment) => self.ends[end].receive(self.now, &segment),
        }
    }

    fn leaves(&mut self, end: usize, segment: Segment) {
        let (leg, line) = if end == CLIENT { (Leg::ClientToBox, LINE) } else { (Leg::HeadendToBox, self.far()) };
        if !self.lost(leg, &segment) {
            self.at(self.now + line, Event::AtBox(end, segment));
        }
    }

    fn far(&self) -> Duration {
        Duration::from_millis(self.setting.far)
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.count += 1;
        self.agenda.insert((at, self.count), event);
    }

    fn lost(&mut self, leg: Leg, segment: &Segment) -> bool {
        match self.setting.loss {
            Some((here, per_mille)) if here == leg && !segment.payload.is_empty() => {
                // SplitMix64.
                self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = self.chance;
                z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((z ^ z >> 31) % 1000) < u64::from(per_mille)
            }
            Some(_) | None => false,
        }
    }
}
