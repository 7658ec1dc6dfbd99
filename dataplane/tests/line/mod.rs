//! Two carriers with a line between them.

use adit_dataplane::carrier::ctcp::{Carrier, Cookies, CtcpConfig, Inside, Outlet, Part};
use adit_dataplane::carrier::tcp::{Offer, our_offer};
use adit_dataplane::contract::{Path, TunnelKey, WorkerId};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{Seq, TcpHeader};
use adit_dataplane::wire::tcp_offer::{Sack, SynOffer};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a carrier has said.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) segments: Vec<Vec<u8>>,
    pub(crate) streamed: Vec<Vec<u8>>,
}

impl Outlet for Said {
    fn segment(&mut self, _: &Path, header: &TcpHeader, payload: [&[u8]; 2]) {
        self.segments.push([&header.octets()[..], payload[0], payload[1]].concat());
    }

    fn octets(&mut self, _: &Path, segment: &[u8]) {
        assert_eq!(segment[16..18], [0, 0], "its checksum is put in behind");
        self.segments.push(segment.to_vec());
    }

    fn frame(&mut self, _: &Path, inside: Inside, octets: &[u8]) {
        panic!("{inside:?} of {} octets by cTCP", octets.len());
    }

    fn streamed(&mut self, _: &Path, octets: &[u8]) {
        self.streamed.push(octets.to_vec());
    }
}

/// The headend's end of a connection from this port.
pub(crate) fn path(port: u16) -> Path {
    Path { local: "192.0.2.1:10000".parse().unwrap(), peer: format!("198.51.100.7:{port}").parse().unwrap() }
}

/// An IKE message, as far as anybody here looks at it.
pub(crate) fn ike(len: usize) -> Vec<u8> {
    (0..len).map(|at| at as u8 | 0x80).collect()
}

/// The first of an exchange, in main mode.
pub(crate) fn first_message(len: usize) -> Vec<u8> {
    let mut message = [vec![0xc0; 8], vec![0; 8], vec![1, 0x10, 2, 0]].concat();
    message.extend([0; 4]);
    message.extend((len as u32).to_be_bytes());
    message.resize(len, 7);
    message
}

/// A message in its frame.
pub(crate) fn framed_ike(message: &[u8]) -> Vec<u8> {
    [&((message.len() + 6) as u16).to_be_bytes()[..], &[0; 4], message].concat()
}

/// What stands in these frames.
pub(crate) fn frames(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, behind)) = stream.split_first_chunk::<2>() {
        let (frame, rest) = behind.split_at(usize::from(u16::from_be_bytes(*length)) - 2);
        frames.push(frame.to_vec());
        stream = rest;
    }
    frames
}

/// Of a thousand segments, so many are lost, come twice, come up to 100 ms late, are cut in two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) loss: u64,
    pub(crate) double: u64,
    pub(crate) late: u64,
    pub(crate) cut: u64,
    /// One way.
    pub(crate) delay: Duration,
}

impl Line {
    pub(crate) const GOOD: Self = Self { loss: 0, double: 0, late: 0, cut: 0, delay: Duration::from_millis(20) };
}

pub(crate) struct End {
    carrier: Carrier,
    path: Path,
    said: Said,
    sent: Vec<Vec<u8>>,
    arrived: Vec<Vec<u8>>,
    pub(crate) given_way: u64,
    /// First and last that it has said.
    pub(crate) numbers: Option<[u32; 2]>,
}

pub(crate) struct World {
    line: Line,
    chance: u64,
    now: Instant,
    pub(crate) ends: [End; 2],
    agenda: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
}

const START: Instant = Instant::from_nanos(1_000_000_000_000);

impl World {
    /// A client and a headend; the client has said the first word.
    pub(crate) fn new(line: Line, seed: u64) -> Self {
        Self::keyed(line, seed, [[seed as u8; 24]; 2])
    }

    /// Both ends' numbers begin anew after less than a hundred thousand octets.
    pub(crate) fn about_to_wrap(line: Line) -> Self {
        let along = path(40_001);
        let back = Path { local: along.peer, peer: along.local };
        let scaled = SynOffer { mss: Some(1460), scale: Some(0), sack: Sack::Permitted };
        let offer = Offer::of(&our_offer(&back, &scaled));
        let key = |number: u64| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&number.to_be_bytes());
            key
        };
        let keyed = |first: &dyn Fn(Cookies) -> Seq| {
            let number = (0..).find(|number| first(Cookies::new(key(*number))).get() > u32::MAX - 100_000).unwrap();
            let mut secret = [0; 24];
            secret[..16].copy_from_slice(&key(number));
            secret
        };
        let dials = keyed(&|cookies| cookies.first_number(START, &back));
        let answers = keyed(&|cookies| cookies.bake(START, &along, offer));
        Self::keyed(line, 0, [dials, answers])
    }

    fn keyed(line: Line, seed: u64, secrets: [[u8; 24]; 2]) -> Self {
        let along = path(40_001);
        let back = Path { local: along.peer, peer: along.local };
        let end = |part, path, secret| End {
            carrier: Carrier::new(WorkerId(0), CtcpConfig { part, ..CtcpConfig::DEFAULT }, secret),
            path,
            said: Said::default(),
            sent: Vec::new(),
            arrived: Vec::new(),
            given_way: 0,
            numbers: None,
        };
        let ends = [end(Part::Dials, back, secrets[0]), end(Part::Answers, along, secrets[1])];
        let mut world = Self { line, chance: seed, now: START, ends, agenda: BTreeMap::new(), count: 0 };
        world.send(0, Inside::Ike, &first_message(300));
        // Loss may take its time over this.
        world.quiet(Duration::from_secs(30));
        assert_eq!(world.ends[1].arrived.len(), 1, "seed {seed}");
        let key = TunnelKey { worker: WorkerId(0), slot: 1 };
        world.ends[1].carrier.vouch(world.now, &along, key);
        world
    }

    /// Each end sends so many packets a second, of all sizes, every fiftieth IKE's.
    pub(crate) fn exchange(&mut self, time: Duration, rate: u32) {
        for number in 0..time.as_secs() as u32 * rate {
            for end in [0, 1] {
                let len = 60 + (number as usize * 397 + end * 31) % 1340;
                let packet = [&(number + 256).to_be_bytes()[..], &vec![end as u8; len]].concat();
                let inside = if number % 50 == 0 { Inside::Ike } else { Inside::Esp };
                self.send(end, inside, &packet);
            }
            self.quiet(Duration::from_secs(1) / rate);
        }
    }

    pub(crate) fn flood(&mut self, from: usize, time: Duration) {
        for _ in 0..time.as_millis() {
            self.send(from, Inside::Esp, &[7; 1400]);
            self.quiet(Duration::from_millis(1));
        }
    }

    pub(crate) fn arrived(&self, end: usize) -> usize {
        self.ends[end].arrived.iter().map(Vec::len).sum()
    }

    /// Nobody sends anything new for so long.
    pub(crate) fn quiet(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let event = self.agenda.keys().next().copied();
            let due = self.ends.iter().filter_map(|end| end.carrier.deadline()).min().map(|due| due.max(self.now));
            let next = event.map(|(at, _)| at).into_iter().chain(due).min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = next;
            if let Some((at, number)) = event.filter(|(at, _)| *at == next) {
                let (end, segment) = self.agenda.remove(&(at, number)).unwrap();
                let End { carrier, path, said, .. } = &mut self.ends[end];
                carrier.arrive(next, path, &segment, said);
            }
            for end in [0, 1] {
                let End { carrier, said, given_way, arrived, .. } = &mut self.ends[end];
                carrier.poll(next, said);
                *given_way += carrier.take_given_way();
                arrived.append(&mut said.streamed);
                for segment in std::mem::take(&mut said.segments) {
                    self.leaves(end, segment);
                }
            }
        }
        self.now = until;
    }

    /// All that one end has sent has come out at the other, in the order of each kind, for IKE overtakes ESP.
    #[track_caller]
    pub(crate) fn assert_all_arrived(&self, seed: u64) {
        for (from, to) in [(0, 1), (1, 0)] {
            let (sent, arrived) = (&self.ends[from].sent, &self.ends[to].arrived);
            let of = |kind: bool, all: &[Vec<u8>]| -> Vec<Vec<u8>> {
                all.iter().filter(|packet| packet.starts_with(&[0; 4]) == kind).cloned().collect()
            };
            assert_eq!(sent.len(), arrived.len(), "seed {seed}, from {from}");
            assert!(of(true, sent) == of(true, arrived) && of(false, sent) == of(false, arrived), "seed {seed}");
        }
    }

    fn send(&mut self, end: usize, inside: Inside, packet: &[u8]) {
        let End { carrier, path, said, sent, .. } = &mut self.ends[end];
        carrier.stream(self.now, path, inside, packet, said).unwrap();
        let marker: &[u8] = if inside == Inside::Ike { &[0; 4] } else { &[] };
        sent.push([marker, packet].concat());
        self.quiet(Duration::ZERO);
    }

    fn leaves(&mut self, from: usize, segment: Vec<u8>) {
        let header = TcpHeader::parse(&segment).unwrap();
        let data = segment.len() - header.len;
        let numbers = &mut self.ends[from].numbers;
        *numbers = Some([numbers.map_or(header.seq.get(), |[first, _]| first), header.seq.get()]);
        let pieces = match data > 1 && self.happens(self.line.cut) {
            true => {
                let at = 1 + self.random() as usize % (data - 1);
                let (first, second) = segment.split_at(header.len + at);
                let mut head = segment[..header.len].to_vec();
                head[4..8].copy_from_slice(&header.seq.plus(at).get().to_be_bytes());
                vec![first.to_vec(), [&head[..], second].concat()]
            }
            false => vec![segment],
        };
        for piece in pieces {
            let times = if self.happens(self.line.double) { 2 } else { 1 };
            for _ in 0..times {
                if self.happens(self.line.loss) {
                    continue;
                }
                let late = if self.happens(self.line.late) { self.random() % 100 } else { 0 };
                let at = self.now + self.line.delay + Duration::from_millis(late);
                self.count += 1;
                self.agenda.insert((at, self.count), (1 - from, piece.clone()));
            }
        }
    }

    fn happens(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.random() % 1000 < per_mille
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}
