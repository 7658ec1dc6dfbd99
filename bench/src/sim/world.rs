//! The world: hosts, what is between them, and virtual time. It decides nothing by itself; who drives it says who logs
//! in, dies or moves, and how long time runs.
//!
//! ```text
//!  engine ─▶ dataplane ─▶ out line ─▶ NATs, in or out ─▶ into line ─▶ dataplane ─▶ engine
//!                         (loss, duplication, delay)     (again)
//! ```

mod excuses;
mod users;

use super::agenda::Agenda;
use super::chance::Chance;
use super::datagram::{Body, Datagram};
use super::dataplane::{Errand, Receipt};
use super::finding::{Finding, What};
use super::host::{Fault, Host, HostId, Machine};
use super::line::{Line, Unlucky};
use super::network::{NatId, Network, RealmId, Undelivered};
use super::questions::Questions;
use super::script::{Fate, Script};
use super::silence::Silence;
use super::trace::{Step, Trace};
use super::whereabouts::Whereabouts;
use adit_control::aaa::Answer;
use adit_control::ike::engine::{Engine, Output};
use adit_dataplane::contract::{Command, Event, IkeDatagram, IkeFraming, Path, TunnelKey, WorkerId};
use adit_dataplane::time::Instant;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Everything there is.
pub(crate) struct World {
    now: Instant,
    agenda: Agenda<Happening>,
    pub(crate) network: Network,
    hosts: Vec<Host>,
    chance: Chance,
    pub(crate) script: Script,
    pub(crate) trace: Trace,
    pub(crate) questions: Questions,
    pub(crate) silence: Silence,
    whereabouts: Whereabouts,
    pub(crate) findings: Vec<Finding>,
    pub(crate) tally: Tally,
}

/// What will happen.
enum Happening {
    /// A datagram has passed its sender's line.
    Enters(RealmId, Datagram),
    /// It has passed its receiver's, whom it knows by then.
    Arrives(HostId, Datagram),
    /// An engine wants to be called.
    Wakes(HostId),
    /// AAA has judged.
    Judged(HostId, Answer),
}

/// What came to pass, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// IKE messages sent.
    pub(crate) ike: u64,
    /// ESP packets sent.
    pub(crate) esp: u64,
    pub(crate) keepalives: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    /// Blocked by a NAT, or for nobody.
    pub(crate) blocked: u64,
    /// For a host that is switched off, or for a port where nobody listens.
    pub(crate) unheard: u64,
    /// ESP packets taken in.
    pub(crate) esp_good: u64,
    /// ESP packets for an SA that was no more, or not yet.
    pub(crate) esp_late: u64,
}

/// IKE's ports, at both ends (RFC 7296 section 2.23).
pub(crate) const IKE_PORT: u16 = 500;
pub(crate) const NATT_PORT: u16 = 4500;

/// An engine that wants to be called more often in one instant does not move on.
const MOST_CALLS: u32 = 1000;

/// More findings help nobody.
const MOST_FINDINGS: usize = 100;

impl World {
    /// Empty, at a time after the epoch so that nothing is at zero by accident.
    pub(crate) fn new(seed: u64, follow: Option<HostId>) -> Self {
        Self {
            now: Instant::ZERO + Duration::from_secs(1000),
            agenda: Agenda::default(),
            network: Network::new(),
            hosts: Vec::new(),
            chance: Chance::new(seed),
            script: Script::default(),
            trace: Trace::new(follow),
            questions: Questions::default(),
            silence: Silence::default(),
            whereabouts: Whereabouts::default(),
            findings: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// A host that is switched off, at these addresses of a realm.
    pub(crate) fn add_host(&mut self, realm: RealmId, addresses: &[IpAddr], out: Line, into: Line) -> HostId {
        let id = HostId(self.hosts.len());
        for address in addresses {
            self.network.settle(realm, *address, id);
        }
        self.hosts.push(Host { realm, out, into, fault: None, machine: None });
        id
    }

    /// It starts with this engine, and knows nothing of an earlier life.
    pub(crate) fn switch_on(&mut self, id: HostId, engine: Engine) {
        self.trace.note(self.now, id, "is switched on");
        if let Some(host) = self.hosts.get_mut(id.0) {
            host.machine = Some(Machine::new(engine));
        }
    }

    /// It goes without a word.
    pub(crate) fn switch_off(&mut self, id: HostId) {
        self.trace.note(self.now, id, "is switched off");
        self.questions.forget(id);
        self.silence.forget(id);
        if let Some(host) = self.hosts.get_mut(id.0) {
            host.machine = None;
        }
    }

    pub(crate) fn set_fault(&mut self, id: HostId, fault: Fault) {
        if let Some(host) = self.hosts.get_mut(id.0) {
            host.fault = Some(fault);
        }
    }

    /// A NAT forgets what it knew.
    pub(crate) fn rebind(&mut self, nat: NatId) {
        if let Some(nat) = self.network.nat_mut(nat) {
            nat.rebind();
        }
    }

    pub(crate) fn machine(&self, id: HostId) -> Option<&Machine> {
        self.hosts.get(id.0)?.machine.as_ref()
    }

    /// Out of this world, which goes on without it.
    pub(crate) fn take_engine(&mut self, id: HostId) -> Option<Engine> {
        Some(self.hosts.get_mut(id.0)?.machine.take()?.engine)
    }

    /// Does something to an engine and lets all that follows from it happen. `None` if it is switched off.
    pub(crate) fn with_engine<R>(&mut self, id: HostId, act: impl FnOnce(Instant, &mut Engine) -> R) -> Option<R> {
        let now = self.now;
        let result = act(now, &mut self.hosts.get_mut(id.0)?.machine.as_mut()?.engine);
        self.carry_out(id);
        Some(result)
    }

    /// An inner packet goes into each lane of a tunnel.
    pub(crate) fn send_inner(&mut self, id: HostId, tunnel: TunnelKey) {
        let now = self.now;
        let Some(machine) = self.hosts.get_mut(id.0).and_then(|host| host.machine.as_mut()) else { return };
        for (path, esp) in machine.dataplane.seal(now, tunnel) {
            self.tally.esp += 1;
            self.send(id, path.path(), Body::Esp(esp));
        }
        self.carry_out(id);
    }

    /// Time runs until `end`.
    pub(crate) fn run_until(&mut self, end: Instant) {
        while let Some((at, happening)) = self.agenda.next_until(end) {
            self.now = at;
            match happening {
                Happening::Enters(realm, datagram) => self.enters(realm, datagram),
                Happening::Arrives(host, datagram) => self.arrives(host, &datagram),
                Happening::Wakes(host) => self.wakes(host),
                Happening::Judged(host, answer) => self.judged(host, answer),
            }
        }
        self.now = self.now.max(end);
    }

    /// Time runs for so long.
    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    pub(crate) fn find(&mut self, host: HostId, what: What) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding { at: self.now, host, what });
        }
    }

    /// All outputs of an engine are carried out, its dataplane reports, and its next wake-up is entered.
    fn carry_out(&mut self, id: HostId) {
        let now = self.now;
        loop {
            let Some(host) = self.hosts.get_mut(id.0) else { return };
            let Some(machine) = host.machine.as_mut() else { return };
            if let Some(output) = machine.engine.poll_output() {
                if !host.passes(&output) {
                    continue;
                }
                let break_first = match (&output, host.fault) {
                    (Output::Command(_, Command::AddPair(spec)), Some(Fault::BreaksBeforeMake)) => {
                        Some(spec.inbound.tunnel)
                    }
                    _ => None,
                };
                let Some(machine) = host.machine.as_mut() else { return };
                if let Some(tunnel) = break_first {
                    machine.dataplane.lose_inbound(now, tunnel);
                }
                match machine.dataplane.obey(now, output) {
                    Ok(errand) => self.run_errand(id, errand),
                    Err(what) => self.find(id, what),
                }
            } else if let Some((worker, event)) = machine.dataplane.report() {
                let told = host.reports(&event);
                if let (true, Some(machine)) = (told, host.machine.as_mut()) {
                    machine.engine.handle_event(now, worker, event);
                }
            } else {
                let wants = machine.engine.poll_timeout().map(|at| at.max(now));
                if wants != machine.wake {
                    machine.wake = wants;
                    if let Some(at) = wants {
                        self.agenda.enter(at, Happening::Wakes(id));
                    }
                }
                return;
            }
        }
    }

    fn run_errand(&mut self, id: HostId, errand: Errand) {
        match errand {
            Errand::Nothing => {}
            Errand::Ike(IkeDatagram { path, framing, bytes }) => {
                self.tally.ike += 1;
                self.send(id, path, Body::Ike { framing, bytes });
            }
            Errand::Ask(question) => self.ask(id, question),
            Errand::Keepalive(keepalive) => {
                self.tally.keepalives += 1;
                self.send(id, keepalive.path, Body::Keepalive);
            }
        }
    }

    fn send(&mut self, id: HostId, path: Path, body: Body) {
        let now = self.now;
        let datagram = Datagram { from: path.local, to: path.peer, body, sender: id, sent: now };
        self.trace.datagram(now, id, Step::Sent, &datagram);
        if let Some(header) = datagram.body.ike_header() {
            self.questions.sent(now, id, self.peer_of(id, &datagram), &header);
        }
        if let (Some(header), Body::Ike { bytes, .. }) = (datagram.body.v1_header(), &datagram.body) {
            self.silence.sent(now, id, self.peer_of(id, &datagram), &header, bytes);
        }
        let Some(host) = self.hosts.get(id.0) else { return };
        let passed = match self.script.judge(&datagram.body) {
            Fate::Lost => Err(Unlucky::Lost),
            Fate::Travels => host.out.carry(&mut self.chance, datagram.body.packet_len()),
        };
        let realm = host.realm;
        self.travel(id, passed, &datagram, |datagram| Happening::Enters(realm, datagram));
    }

    /// Who a host's messages are for: clients talk to the headend, the headend to whoever is behind the address it
    /// sends to, or was when last heard. `None` if it could know that nobody is.
    fn peer_of(&self, id: HostId, datagram: &Datagram) -> Option<HostId> {
        match id {
            HostId::HEADEND => {
                let reached = self.network.reached(self.now, datagram);
                reached.or_else(|| self.whereabouts.believed_at(datagram.to))
            }
            _client => Some(HostId::HEADEND),
        }
    }

    fn enters(&mut self, realm: RealmId, mut datagram: Datagram) {
        match self.network.deliver(self.now, realm, &mut datagram) {
            Ok(to) => {
                let Some(host) = self.hosts.get(to.0) else { return };
                let passed = host.into.carry(&mut self.chance, datagram.body.packet_len());
                self.travel(to, passed, &datagram, |datagram| Happening::Arrives(to, datagram));
            }
            Err(Undelivered::Blocked(_) | Undelivered::NoRoute) => {
                self.tally.blocked += 1;
                self.trace.datagram(self.now, datagram.sender, Step::Blocked, &datagram);
            }
        }
    }

    fn travel(
        &mut self,
        whose: HostId,
        passed: Result<Vec<Duration>, Unlucky>,
        datagram: &Datagram,
        next: impl Fn(Datagram) -> Happening,
    ) {
        match passed {
            Ok(delays) => {
                self.tally.duplicated += delays.len().saturating_sub(1) as u64;
                for delay in delays {
                    self.agenda.enter(self.now + delay, next(datagram.clone()));
                }
            }
            Err(Unlucky::Lost | Unlucky::FragmentDropped) => {
                self.tally.lost += 1;
                self.trace.datagram(self.now, whose, Step::Lost, datagram);
            }
        }
    }

    fn arrives(&mut self, id: HostId, datagram: &Datagram) {
        let now = self.now;
        self.trace.datagram(now, id, Step::Arrived, datagram);
        let machine = self.hosts.get_mut(id.0).and_then(|host| host.machine.as_mut());
        let (Some(machine), Some(expected)) = (machine, framing_at(datagram.to)) else {
            self.tally.unheard += 1;
            return;
        };
        let path = Path { local: datagram.to, peer: datagram.from };
        match &datagram.body {
            Body::Ike { framing, bytes } if *framing == expected => {
                if let Some(header) = datagram.body.ike_header() {
                    self.questions.arrived(now, datagram.sender, id, &header, datagram.body.wrapping());
                }
                if let Some(header) = datagram.body.v1_header() {
                    self.silence.arrived(datagram.sender, id, &header, bytes);
                }
                let ike = IkeDatagram { path, framing: *framing, bytes: bytes.clone() };
                machine.engine.handle_event(now, WorkerId(0), Event::Ike(ike));
            }
            Body::Esp(esp) => match machine.dataplane.open(now, datagram, esp) {
                Receipt::Good => {
                    self.tally.esp_good += 1;
                    self.silence.sign_of_life(id, datagram.sender);
                    if id == HostId::HEADEND {
                        self.whereabouts.heard(datagram.sender, datagram.sent, datagram.from);
                    }
                }
                Receipt::Duplicate => {}
                Receipt::Late => self.tally.esp_late += 1,
                Receipt::Wrong(what) if self.is_excused(id, datagram.sent, &what) => self.tally.esp_late += 1,
                Receipt::Wrong(what) => self.find(id, what),
            },
            Body::Keepalive => {}
            Body::Ike { .. } => self.tally.unheard += 1,
        }
        self.carry_out(id);
    }

    fn wakes(&mut self, id: HostId) {
        let now = self.now;
        let Some(machine) = self.hosts.get_mut(id.0).and_then(|host| host.machine.as_mut()) else { return };
        // An entry that is out of date: it wants to be called at another time by now.
        if machine.wake != Some(now) {
            return;
        }
        machine.wake = None;
        machine.engine.handle_timeout(now);
        machine.calls = match machine.engine.poll_timeout() {
            Some(at) if at <= now => machine.calls + 1,
            Some(_) | None => 0,
        };
        if machine.calls > MOST_CALLS {
            return self.find(id, What::Restless);
        }
        self.carry_out(id);
    }
}

/// What is understood on a port.
fn framing_at(local: SocketAddr) -> Option<IkeFraming> {
    match local.port() {
        IKE_PORT => Some(IkeFraming::Bare),
        NATT_PORT => Some(IkeFraming::NonEspMarker),
        _ => None,
    }
}
