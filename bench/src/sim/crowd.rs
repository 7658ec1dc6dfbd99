//! Many people at once: they log in, send packets, move, hang up, reboot or die, each when chance says so; then it gets
//! quiet, and both ends must hold what is wanted; then all hang up, and nothing may be left.

use super::agenda::Agenda;
use super::chance::{Chance, Odds};
use super::finding::{Finding, What};
use super::host::{Fault, HostId};
use super::line::Line;
use super::model::{self, Headend, Wants};
use super::neighbourhood::Neighbourhood;
use super::person::{Person, engine};
use super::questions::InVain;
use super::settings::{Settings, Version};
use super::trace::TraceHash;
use super::world::{Tally, World};
use adit_control::config::ConfigErrors;
use adit_control::ike::engine::{Contact, Engine};
use adit_control::ike::wire::Exchange;
use adit_control::session::SessionState;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// What is to happen; the seed says the rest.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) people: usize,
    /// Of each access line, each way.
    pub(crate) loss: Odds,
    pub(crate) duplication: Odds,
    pub(crate) straggling: Odds,
    /// Share of people who come by IKEv1.
    pub(crate) ikev1: Odds,
    pub(crate) settings: Settings,
    /// The headend makes this mistake.
    pub(crate) fault: Option<Fault>,
    /// Whose messages are written down.
    pub(crate) follow: Option<usize>,
}

impl Plan {
    /// As `make test` runs it, for so many people.
    pub(crate) fn new(seed: u64, people: usize) -> Self {
        Self {
            seed,
            people,
            loss: Odds::per_mille(20),
            duplication: Odds::per_mille(20),
            straggling: Odds::per_mille(20),
            ikev1: Odds::NEVER,
            settings: Settings { rekey_ike: 240, rekey_child: 100, dpd_delay: 60 },
            fault: None,
            follow: None,
        }
    }
}

/// How it went.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) findings: Vec<Finding>,
    pub(crate) tally: Tally,
    pub(crate) deeds: Deeds,
    pub(crate) logins: u64,
    /// Most sessions that the headend had at once.
    pub(crate) most_sessions: usize,
    pub(crate) virtual_time: Duration,
    pub(crate) trace: TraceHash,
    pub(crate) ladder: Vec<String>,
}

/// What people did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Deeds {
    pub(crate) calls: u64,
    pub(crate) calls_again: u64,
    pub(crate) children_added: u64,
    pub(crate) hung_up: u64,
    pub(crate) died: u64,
    pub(crate) rebooted: u64,
    pub(crate) rebound: u64,
}

/// What somebody does next.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Call,
    Packets,
    AddChild,
    /// Calls again if the session has ended by itself.
    LookAfter,
    HangUp,
    Die,
    Reboot,
    ComeBack,
    Rebind,
}

struct Crowd {
    world: World,
    people: Vec<Person>,
    agenda: Agenda<(usize, Deed)>,
    chance: Chance,
    deeds: Deeds,
    most_sessions: usize,
}

/// So many log in each second, of virtual time.
const LOGINS_A_SECOND: u64 = 50;
/// How long the last to come are there before it gets quiet.
const BUSY: Duration = Duration::from_secs(300);
const BETWEEN_PACKETS: Duration = Duration::from_secs(15);
const BETWEEN_LOOKS: Duration = Duration::from_secs(20);
const BETWEEN_AUDITS: Duration = Duration::from_secs(30);
/// How long a rekey may still be under way, a dead peer not yet found, a failed call not yet made again.
const QUIET: Duration = Duration::from_secs(400);
/// Longer than the last wait for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked whether both ends hold the same by now.
const BETWEEN_CHECKS: Duration = Duration::from_secs(5);

/// Runs it, from the first login to the last goodbye.
pub(crate) fn run(plan: &Plan) -> Result<Report, ConfigErrors> {
    let mut crowd = Crowd::gather(plan)?;
    let started = crowd.world.now();
    crowd.live();
    crowd.settle();
    crowd.leave();
    let logins = crowd.world.machine(HostId::HEADEND).map_or(0, |machine| machine.engine.counters().logins);
    Ok(Report {
        seed: plan.seed,
        tally: crowd.world.tally,
        deeds: crowd.deeds,
        logins,
        most_sessions: crowd.most_sessions,
        virtual_time: crowd.world.now() - started,
        trace: crowd.world.trace.hash(),
        ladder: crowd.world.trace.ladder().to_vec(),
        findings: crowd.world.findings,
    })
}

/// A headend with its sessions up, taken out of its world.
pub(crate) struct Crowded {
    pub(crate) engine: Engine,
    /// What time it was there.
    pub(crate) now: Instant,
}

/// So many people log in, nobody is lost on the way, and none does anything else.
/// `None` if there is no headend, which would be a mistake here.
pub(crate) fn crowded(people: usize) -> Result<Option<Crowded>, ConfigErrors> {
    let day = 86_400;
    let settings = Settings { rekey_ike: day, rekey_child: day, dpd_delay: day };
    let (loss, duplication, straggling) = (Odds::NEVER, Odds::NEVER, Odds::NEVER);
    let mut crowd = Crowd::gather(&Plan { loss, duplication, straggling, settings, ..Plan::new(1, people) })?;
    let start = crowd.world.now();
    let coming = Duration::from_secs(people as u64 / LOGINS_A_SECOND + 1);
    for number in 0..people {
        crowd.agenda.enter(start + crowd.chance.up_to(coming), (number, Deed::Call));
    }
    crowd.pass(coming + LONGEST_WAIT);
    let now = crowd.world.now();
    Ok(crowd.world.take_engine(HostId::HEADEND).map(|engine| Crowded { engine, now }))
}

impl Crowd {
    fn gather(plan: &Plan) -> Result<Self, ConfigErrors> {
        let configs = plan.settings.configs()?;
        let mut chance = Chance::new(plan.seed);
        let mut world = World::new(chance.word(), plan.follow.map(|number| HostId(number + 1)));
        let line = Line {
            loss: plan.loss,
            duplication: plan.duplication,
            jitter: Duration::from_millis(30),
            straggling: plan.straggling,
            straggle: Duration::from_secs(3),
            ..Line::perfect(Duration::from_millis(10))
        };
        let mut neighbourhood = Neighbourhood::new(&mut world, line);
        world.switch_on(HostId::HEADEND, engine(&configs.headend, &mut chance));
        if let Some(fault) = plan.fault {
            world.set_fault(HostId::HEADEND, fault);
        }
        let mut people = Vec::with_capacity(plan.people);
        for number in 0..plan.people {
            let address = neighbourhood.move_in(&mut world, &mut chance);
            let version = if chance.happens(plan.ikev1) { Version::V1 } else { Version::V2 };
            people.extend(address.and_then(|address| Person::new(number, address, &configs, version, &mut chance)));
        }
        let agenda = Agenda::default();
        Ok(Self { world, people, agenda, chance, deeds: Deeds::default(), most_sessions: 0 })
    }

    /// Everybody comes, and some do more.
    fn live(&mut self) {
        let start = self.world.now();
        let coming = Duration::from_secs(self.people.len() as u64 / LOGINS_A_SECOND + 1);
        let end = start + coming + BUSY;
        for number in 0..self.people.len() {
            let comes = start + self.chance.up_to(coming);
            self.agenda.enter(comes, (number, Deed::Call));
            self.agenda.enter(comes + self.chance.up_to(BETWEEN_PACKETS), (number, Deed::Packets));
            self.agenda.enter(comes + BETWEEN_LOOKS, (number, Deed::LookAfter));
            // Not before it can be up; some while a rekey is under way.
            let later = comes + Duration::from_secs(30) + self.chance.up_to(Duration::from_secs(240));
            let deed = match self.chance.below(10) {
                0 | 1 => Some(Deed::HangUp),
                2 => Some(Deed::Die),
                3 => Some(Deed::Reboot),
                4 | 5 => Some(Deed::Rebind),
                6 => Some(Deed::AddChild),
                _ => None,
            };
            if let Some(deed) = deed {
                self.agenda.enter(later, (number, deed));
            }
        }
        while self.world.now() < end {
            self.pass(BETWEEN_AUDITS);
            self.audit();
        }
    }

    /// No more deeds but those that keep sessions up: every session is soon as its user wants it.
    fn settle(&mut self) {
        let deadline = self.world.now() + QUIET;
        let mut waiting: Vec<usize> = (0..self.people.len()).collect();
        let mut last = Vec::new();
        while !waiting.is_empty() && self.world.now() < deadline {
            self.pass(BETWEEN_CHECKS);
            self.audit();
            let Some(headend) = Headend::look(&self.world) else { return };
            last.clear();
            waiting.retain(|number| {
                let Some(person) = self.people.get(*number) else { return false };
                let held = model::both_ends_hold(&self.world, &headend, &person.subscriber);
                last.extend(held.clone().err().map(|what| (person.address.host, what)));
                held.is_err()
            });
        }
        for (host, what) in last {
            self.world.find(host, what);
        }
    }

    /// All hang up, and nothing is left at either end.
    fn leave(&mut self) {
        let start = self.world.now();
        let leaving = Duration::from_secs(self.people.len() as u64 / (4 * LOGINS_A_SECOND) + 1);
        self.agenda = Agenda::default();
        for number in 0..self.people.len() {
            self.agenda.enter(start + self.chance.up_to(leaving), (number, Deed::HangUp));
        }
        self.pass(leaving + QUIET);
        let hosts = std::iter::once(HostId::HEADEND).chain(self.people.iter().map(|person| person.address.host));
        for host in hosts.collect::<Vec<_>>() {
            let held = self.world.machine(host).map(|machine| model::nothing_held(&self.world, machine));
            if let Some(Err(what)) = held {
                self.world.find(host, what);
            }
        }
    }

    /// Time passes, deed by deed.
    fn pass(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while let Some((at, (number, deed))) = self.agenda.next_until(end) {
            self.world.run_until(at);
            self.act(at, number, deed);
        }
        self.world.run_until(end);
    }

    fn act(&mut self, now: Instant, number: usize, deed: Deed) {
        let Some(person) = self.people.get_mut(number) else { return };
        let world = &mut self.world;
        match deed {
            Deed::Call => {
                self.deeds.calls += 1;
                person.start(world, &mut self.chance);
                person.call(world, Contact::Further);
            }
            Deed::Packets => {
                person.exchange_packets(world);
                self.agenda.enter(now + BETWEEN_PACKETS, (number, Deed::Packets));
            }
            Deed::AddChild => {
                self.deeds.children_added += 1;
                person.add_child(world);
            }
            Deed::LookAfter => {
                self.agenda.enter(now + BETWEEN_LOOKS, (number, Deed::LookAfter));
                let wants_up = matches!(person.subscriber.wants, Wants::Up { .. });
                match person.state(world) {
                    Some(SessionState::Up | SessionState::Connecting) => {}
                    Some(SessionState::Closing) | None if wants_up => self.call_again(number),
                    Some(SessionState::Closing) | None => {}
                }
            }
            Deed::HangUp => {
                self.deeds.hung_up += 1;
                person.hang_up(world);
            }
            Deed::Die => {
                self.deeds.died += 1;
                person.die(world);
            }
            Deed::Reboot => {
                self.deeds.rebooted += 1;
                person.die(world);
                let back = now + Duration::from_secs(2) + self.chance.up_to(Duration::from_secs(40));
                self.agenda.enter(back, (number, Deed::ComeBack));
            }
            Deed::ComeBack => {
                person.start(world, &mut self.chance);
                person.call(world, Contact::Initial);
            }
            Deed::Rebind => {
                if let Some(nat) = person.address.nat {
                    self.deeds.rebound += 1;
                    world.rebind(nat);
                }
            }
        }
    }

    /// A session ended by itself: one end asked in vain, or there is something to find.
    fn call_again(&mut self, number: usize) {
        let Some(person) = self.people.get_mut(number) else { return };
        let (host, since) = (person.address.host, person.called);
        let times = Settings::TRIES + 1;
        let explained = match person.version {
            Version::V1 => self.world.silence.in_vain(host, HostId::HEADEND, times, since),
            Version::V2 => {
                let in_vain = InVain { times, since, half_open: Settings::HALF_OPEN };
                self.world.questions.unanswered(host, HostId::HEADEND, in_vain)
            }
        };
        if !explained {
            self.world.find(host, What::NotUp(person.subscriber.identity.clone()));
        }
        self.deeds.calls_again += 1;
        self.world.questions.forget(host);
        self.world.silence.forget(host);
        person.call(&mut self.world, Contact::Initial);
    }

    /// What must hold at any moment.
    fn audit(&mut self) {
        let Some(machine) = self.world.machine(HostId::HEADEND) else { return };
        let Some(headend) = Headend::look(&self.world) else { return };
        let since = Instant::from_nanos((self.world.now() - (Instant::ZERO + LONGEST_WAIT)).as_nanos() as u64);
        let asking = self.world.questions.waiting(HostId::HEADEND, Exchange::CreateChildSa, since);
        let asking = asking + self.world.silence.asking(HostId::HEADEND, since);
        let wrong = [headend.leases(), model::books_are_right(&headend, machine, asking)];
        self.most_sessions = self.most_sessions.max(machine.engine.holdings().sessions);
        for what in wrong.into_iter().filter_map(Result::err) {
            self.world.find(HostId::HEADEND, what);
        }
    }
}
