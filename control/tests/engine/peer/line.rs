//! Two real engines and a line between them that takes time and loses what it is told to.

use super::World;
use super::dataplane::assert_same_keys;
use adit_control::aaa::{Answer, Question, Verdict};
use adit_control::config::checked::Config;
use adit_control::ike::engine::{Call, CallV1, Carriage, Contact, Tally};
use adit_control::ike::v1::wire as v1;
use adit_control::ike::wire::{Exchange, Id, parse_header};
use adit_control::lease::{Ask, Want};
use adit_control::session::{SessionId, SessionState};
use adit_crypto::random::SeededRandom;
use adit_dataplane::contract::{ClusterSlot, Event, IkeDatagram, Path, Spi, SpiLayout, WorkerId};
use adit_dataplane::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One of the two ends.
pub const CALLER: usize = 0;
pub const HEADEND: usize = 1;

/// How long a message takes.
pub const DELAY: Duration = Duration::from_millis(10);

pub struct Line {
    pub ends: [World; 2],
    pub now: Instant,
    flying: BTreeMap<(Instant, u64), (usize, IkeDatagram)>,
    /// Messages sent so far.
    pub sent: u64,
    /// Messages that get lost, by number.
    pub lose: BTreeSet<u64>,
    /// Messages that arrive twice, by number.
    pub double: BTreeSet<u64>,
    /// Messages that take so much longer, by number.
    pub late: BTreeMap<u64, Duration>,
    /// Whom the headend lets in.
    pub judge: fn(&Question) -> Verdict,
    /// What was sent, drawn: `--> IKE_AUTH request 1`.
    pub ladder: Vec<String>,
    /// Inbound SAs that have been used, by end.
    used: BTreeSet<(usize, Spi)>,
}

fn socket(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, host], port))
}

/// As `name`, to the one connection there is.
pub fn call(name: &str) -> Call {
    Call {
        connection: 0,
        identity: Id::parse(name).unwrap(),
        path: Path { local: socket(9, 500), peer: socket(2, 500) },
        natt: Path { local: socket(9, 4500), peer: socket(2, 4500) },
        want: Want { v4: Ask::Any, v6: Ask::Any },
        contact: Contact::Initial,
        carriage: Carriage::Detected,
        v1: CallV1::default(),
    }
}

/// The configuration of who calls a headend with this one.
pub fn caller_config(headend: &Config) -> Config {
    use adit_control::config::checked::IdPattern;
    let mut config = headend.clone();
    config.identity = Id::parse("caller.rig").unwrap();
    config.pools.clear();
    for connection in &mut config.connections {
        connection.pools.clear();
        connection.remote_ids = vec![IdPattern::parse("headend.rig").unwrap()];
    }
    config
}

impl Line {
    pub fn new(caller: Config, headend: Config) -> Self {
        Self::seeded(caller, headend, 0)
    }

    /// Another seed makes other nonces.
    pub fn seeded(caller: Config, headend: Config, seed: u64) -> Self {
        let end = |config: Config, seed: u64| {
            let workers = config.workers.cores.len();
            let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(seed + 1));
            let random = Box::new(SeededRandom::new(seed + 2));
            let engine = adit_control::ike::engine::Engine::new(Arc::new(config), workers, layout, random);
            let now = Instant::ZERO + Duration::from_secs(1000);
            World { engine, dataplane: Default::default(), now, before: None, met: 0 }
        };
        let ends = [end(caller, 1000 + 10 * seed), end(headend, 2_000_000 + 10 * seed)];
        let now = ends[0].now;
        Self {
            ends,
            now,
            flying: BTreeMap::new(),
            sent: 0,
            lose: BTreeSet::new(),
            double: BTreeSet::new(),
            late: BTreeMap::new(),
            judge: |_| Verdict::Accept(Box::new(super::v1::profile())),
            ladder: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// The caller begins.
    pub fn call(&mut self, call: Call) -> SessionId {
        let id = self.ends[CALLER].engine.connect(self.now, call).unwrap();
        self.collect(CALLER);
        id
    }

    /// Logged in, and quiet.
    #[track_caller]
    pub fn login(&mut self, call: Call) -> SessionId {
        let id = self.call(call);
        self.pass(Duration::from_secs(1));
        assert_eq!(self.ends[CALLER].engine.state(id), Some(SessionState::Up), "{:#?}", self.ladder);
        id
    }

    /// Something is done at one end.
    pub fn at<T>(&mut self, end: usize, act: impl FnOnce(&mut adit_control::ike::engine::Engine, Instant) -> T) -> T {
        let done = act(&mut self.ends[end].engine, self.now);
        self.collect(end);
        done
    }

    /// What is counted is what is shown.
    fn assert_counted(&self, end: usize) {
        let engine = &self.ends[end].engine;
        let states: Vec<_> = engine.sessions(self.now).iter().map(|view| view.state).collect();
        let up = states.iter().filter(|state| **state == SessionState::Up).count();
        let (half_open, sas) = (engine.holdings().half_open, engine.sas(self.now).len());
        let expected = Tally { up, pending: states.len() - up, half_open, sas };
        assert_eq!(engine.tally(), expected, "{states:?}");
    }

    /// Time passes; messages arrive and deadlines come in their order.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 100_000, "there is no end: {:#?}", &self.ladder[self.ladder.len().saturating_sub(20)..]);
            let arrival = self.flying.keys().next().map(|(at, _)| *at);
            let deadlines = self.ends.each_ref().map(|end| end.engine.poll_timeout());
            let next = [arrival, deadlines[0], deadlines[1]].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (to, datagram)) = self.flying.pop_first().unwrap();
                self.ends[to].engine.handle_event(self.now, WorkerId(0), Event::Ike(datagram));
                self.collect(to);
                continue;
            }
            for end in [CALLER, HEADEND] {
                if deadlines[end] == Some(next) {
                    self.ends[end].engine.handle_timeout(self.now);
                    self.collect(end);
                }
            }
        }
        self.now = until;
        for end in &mut self.ends {
            end.now = until;
        }
    }

    /// A packet goes out at one end, on the SA in use there, and must be taken at the other.
    #[track_caller]
    pub fn packet(&mut self, from: usize) {
        let to = 1 - from;
        let mut carried = 0;
        let sending: Vec<u32> = self.ends[from].dataplane.outbound().map(|sa| sa.spi).collect();
        for spi in sending {
            let spi = Spi::new(spi).unwrap();
            assert!(self.ends[to].dataplane.has_inbound(spi.get()), "nobody receives on {spi}: {:#?}", self.ladder);
            carried += 1;
            if self.used.insert((to, spi)) {
                let worker = self.ends[to].dataplane.worker_of(spi);
                self.ends[to].engine.handle_event(self.now, worker, Event::FirstUse { spi });
                self.collect(to);
            }
        }
        assert!(carried > 0, "nothing is sent on");
    }

    /// Traffic both ways while time passes.
    #[track_caller]
    pub fn pass_with_traffic(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.packet(CALLER);
            self.packet(HEADEND);
            self.pass(Duration::from_millis(5));
        }
    }

    /// Both ends hold the same SAs with the same keys, each once.
    #[track_caller]
    pub fn assert_mirrored(&self, children: usize) {
        for end in &self.ends {
            let held = end.engine.holdings();
            assert_eq!((held.sessions, held.ike_sas, held.spis), (1, 1, children), "{:#?}", self.ladder);
        }
        let [caller, headend] = &self.ends;
        assert_eq!(
            caller.engine.sessions(self.now)[0].ike_spis,
            headend.engine.sessions(self.now)[0].ike_spis,
            "{:#?}",
            self.ladder
        );
        for (one, other) in [(caller, headend), (headend, caller)] {
            assert_eq!(one.dataplane.outbound().count(), children, "{:#?}", self.ladder);
            for sa in one.dataplane.outbound() {
                let received = other.dataplane.inbound(sa.spi);
                assert_same_keys(&sa.cipher, &received.cipher);
                assert_eq!(sa.selectors.local, received.selectors.remote);
                assert_eq!(sa.selectors.remote, received.selectors.local);
            }
        }
    }

    /// Nothing is left at either end.
    #[track_caller]
    pub fn assert_nothing_left(&mut self) {
        assert!(self.flying.is_empty());
        for end in &mut self.ends {
            end.now = self.now;
            end.assert_nothing_left();
        }
    }

    /// Logs out, and nothing is left.
    #[track_caller]
    pub fn logout(&mut self, id: SessionId) {
        self.at(CALLER, |engine, now| engine.disconnect(now, id));
        self.pass(Duration::from_secs(1));
        self.assert_nothing_left();
    }

    fn collect(&mut self, from: usize) {
        self.ends[from].now = self.now;
        let mut sent = self.ends[from].drain();
        while let Some(question) = self.ends[from].dataplane.questions.pop() {
            let answer = Answer { id: question.id, verdict: (self.judge)(&question) };
            self.ends[from].engine.handle_answer(self.now, answer);
            sent.extend(self.ends[from].drain());
        }
        self.assert_counted(from);
        for datagram in sent {
            let number = self.sent;
            self.sent += 1;
            let arrow = if from == CALLER { "-->" } else { "<--" };
            let lost = self.lose.contains(&number);
            let fate = if lost { " (lost)" } else { "" };
            self.ladder.push(format!("{number:3} {arrow} {}{fate}", drawn(&datagram)));
            if lost {
                continue;
            }
            let path = Path { local: datagram.path.peer, peer: datagram.path.local };
            let late = self.late.get(&number).copied().unwrap_or_default();
            let datagram = IkeDatagram { path, ..datagram };
            if self.double.contains(&number) {
                // Between any two others.
                let again = self.now + DELAY + DELAY / 2;
                self.flying.insert((again, number), (1 - from, datagram.clone()));
            }
            self.flying.insert((self.now + DELAY + late, number), (1 - from, datagram));
        }
    }
}

/// What it looks like on the way.
fn drawn(datagram: &IkeDatagram) -> String {
    if let Ok(header) = v1::parse_header(&datagram.bytes) {
        let (name, spi) = (header.exchange.name(), header.initiator_cookie.0 >> 48);
        return format!("{name} {:08x} of {spi:04x}", header.message_id);
    }
    let header = parse_header(&datagram.bytes).unwrap();
    let exchange = match header.exchange {
        Exchange::IkeSaInit => "IKE_SA_INIT",
        Exchange::IkeAuth => "IKE_AUTH",
        Exchange::CreateChildSa => "CREATE_CHILD_SA",
        Exchange::Informational => "INFORMATIONAL",
    };
    let kind = if header.flags.response { "response" } else { "request" };
    let spi = header.initiator_spi.0 >> 48;
    format!("{exchange} {kind} {} of {spi:04x}", header.message_id)
}
