//! Two ends that start something at once (RFC 7296 sections 2.8.1, 2.8.2 and 2.25), and a network that loses chosen
//! messages of what follows.
//!
//! ```text
//!  one end                    the other
//!    │──── starts this ───╲ ╱───│ starts that, so much later
//!    │                     ╳    │
//!    │◀───────────────────╱ ╲──▶│   and of all messages from here on, some are lost
//! ```

use super::chance::Chance;
use super::finding::{Finding, What};
use super::host::HostId;
use super::line::Line;
use super::model::{self, Headend, Wants};
use super::neighbourhood::{Address, HEADEND_V4};
use super::network::Network;
use super::person::{Person, engine};
use super::script::{Matching, Script};
use super::settings::{Configs, Settings, Version};
use super::world::World;
use adit_control::ike::engine::{Contact, Engine};
use adit_control::session::{SessionId, SessionState, SessionView};
use adit_dataplane::contract::Spi;
use adit_dataplane::time::Instant;
use std::net::IpAddr;
use std::time::Duration;

/// What an end starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    RekeyChild,
    RekeyIke,
    DeleteChild,
    DeleteIke,
    /// IKEv1's DPD.
    Probe,
}

impl Act {
    /// What ends can start by this version. By IKEv1 a new IKE SA is another phase 1.
    pub(crate) const fn of(version: Version) -> &'static [Self] {
        match version {
            Version::V2 => &[Self::RekeyChild, Self::RekeyIke, Self::DeleteChild, Self::DeleteIke],
            Version::V1 => &[Self::RekeyChild, Self::RekeyIke, Self::DeleteChild, Self::DeleteIke, Self::Probe],
        }
    }

    /// Whether this end can. Phase 1 of IKEv1 is for who has called.
    fn is_for(self, version: Version, end: HostId) -> bool {
        (version, self, end) != (Version::V1, Self::RekeyIke, HostId::HEADEND)
    }
}

/// Which end starts what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) end: HostId,
    pub(crate) act: Act,
}

/// The other end than [`HostId::HEADEND`].
const CLIENT: HostId = HostId(1);

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collision {
    pub(crate) version: Version,
    pub(crate) seed: u64,
    pub(crate) first: Start,
    pub(crate) second: Start,
    /// The second starts so much later than the first.
    pub(crate) later: Duration,
    /// Which IKE messages after the start are lost, counted from 0.
    pub(crate) lost: Vec<usize>,
}

/// How it went.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    /// Whether the first and the second end said something at once when they were told to start.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests ask whether a case is one"))]
    pub(crate) started: [bool; 2],
    /// IKE messages while packets flowed after the start.
    pub(crate) messages: usize,
    pub(crate) ladder: Vec<String>,
}

/// One way through the network.
pub(crate) const ONE_WAY: Duration = Duration::from_millis(100);
const BETWEEN_PACKETS: Duration = Duration::from_millis(90);
/// How long packets flow after the start: what one loss delays is over by then.
const BUSY: Duration = Duration::from_secs(15);
/// Longer than it takes to give up a peer.
const PATIENCE: Duration = Duration::from_secs(200);
/// What comes later is nobody's collision any more.
const MOST_MESSAGES: usize = 14;
/// Until it is up: a login by IKEv1 waits for whoever knows the user.
const BEFORE: Duration = Duration::from_secs(3);
const BEFORE_V1: Duration = Duration::from_secs(6);
const CLIENTS_ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

/// Nothing is rekeyed but on demand.
pub(crate) const SETTINGS: Settings = Settings { rekey_ike: 86_400, rekey_child: 86_400, dpd_delay: 40 };

/// Plays it, between ends with [`SETTINGS`]. `None` if there is no such world.
fn collide(case: &Collision, configs: &Configs) -> Option<Outcome> {
    let mut chance = Chance::new(case.seed);
    let mut world = World::new(chance.word(), Some(CLIENT));
    let line = Line::perfect(ONE_WAY / 2);
    let headend = world.add_host(Network::INTERNET, &[HEADEND_V4], line.clone(), line.clone());
    world.switch_on(headend, engine(&configs.headend, &mut chance));
    let host = world.add_host(Network::INTERNET, &[CLIENTS_ADDRESS], line.clone(), line);
    let address = Address { host, own: CLIENTS_ADDRESS, headend: HEADEND_V4, nat: None };
    let mut person = Person::new(0, address, configs, case.version, &mut chance)?;
    person.start(&mut world, &mut chance);
    person.call(&mut world, Contact::Further);
    let before = match case.version {
        Version::V1 => BEFORE_V1,
        Version::V2 => BEFORE,
    };
    flow(&mut world, &person, before);

    world.script = Script::losing(Matching::AnyIke, &case.lost);
    let before = world.tally.ike;
    let first = act(&mut world, case.first);
    flow(&mut world, &person, case.later);
    let started = [first, act(&mut world, case.second)];
    flow(&mut world, &person, BUSY);
    let messages = usize::try_from(world.tally.ike - before).unwrap_or(usize::MAX);
    judge(&mut world, &mut person, left_by(case.first.act, case.second.act));
    Some(Outcome { findings: world.findings, started, messages, ladder: world.trace.ladder().to_vec() })
}

/// The second end starts with the first, while the first's request is under way, when it has just come, while the answer
/// is under way, when that has just come, and while what follows is under way.
fn offsets() -> impl Iterator<Item = Duration> {
    [0, 5, 10, 11, 15, 21, 25, 35].into_iter().map(|tenths| ONE_WAY * tenths / 10)
}

/// Shows `judge` what this act of one end's, and then any of the other's, leads to: at every offset, without loss and
/// with the loss of each message in turn.
pub(crate) fn collide_all(act: Act, version: Version, configs: &Configs, mut judge: impl FnMut(&Collision, &Outcome)) {
    for (end, other) in [(CLIENT, HostId::HEADEND), (HostId::HEADEND, CLIENT)] {
        let seconds = Act::of(version).iter().filter(|second| second.is_for(version, other));
        if !act.is_for(version, end) {
            continue;
        }
        for (second, later) in seconds.flat_map(|act| offsets().map(move |later| (*act, later))) {
            let (first, second) = (Start { end, act }, Start { end: other, act: second });
            let seed = u64::from(later.subsec_millis()) + 1;
            let mut case = Collision { version, seed, first, second, later, lost: Vec::new() };
            let Some(outcome) = collide(&case, configs) else { continue };
            judge(&case, &outcome);
            for lost in 0..outcome.messages.min(MOST_MESSAGES) {
                case.lost = vec![lost];
                if let Some(outcome) = collide(&case, configs) {
                    judge(&case, &outcome);
                }
            }
        }
    }
}

/// Packets each way, for so long.
fn flow(world: &mut World, person: &Person, time: Duration) {
    let end = world.now() + time;
    while world.now() < end {
        person.exchange_packets(world);
        world.run_until(end.min(world.now() + BETWEEN_PACKETS));
    }
}

/// What may be there afterwards. Who deletes a child SA that is being rekeyed may or may not still find it (RFC 7296
/// section 2.25.1); a session without a child SA ends, so both outcomes are right if both ends have the same.
fn left_by(one: Act, other: Act) -> &'static [Wants] {
    const UP: Wants = Wants::Up { children: 1 };
    match (one, other) {
        (Act::DeleteIke, _) | (_, Act::DeleteIke) => &[Wants::Gone],
        (Act::DeleteChild, _) | (_, Act::DeleteChild) => &[Wants::Gone, UP],
        (Act::RekeyChild | Act::RekeyIke | Act::Probe, Act::RekeyChild | Act::RekeyIke | Act::Probe) => &[UP],
    }
}

/// Whether that made it say something.
fn act(world: &mut World, Start { end, act }: Start) -> bool {
    let (now, before) = (world.now(), world.tally.ike);
    let Some(machine) = world.machine(end) else { return false };
    let sessions = machine.engine.sessions(now);
    let is_up = |session: &&SessionView| session.state == SessionState::Up && !session.addresses.is_empty();
    let up = sessions.iter().find(is_up);
    let Some(id) = up.and_then(|session| session.id.strip_prefix('s')?.parse().ok()).map(SessionId) else {
        return false;
    };
    world.with_engine(end, |now, engine| start(now, engine, id, act));
    world.tally.ike > before
}

fn start(now: Instant, engine: &mut Engine, id: SessionId, act: Act) {
    match act {
        Act::RekeyChild => engine.rekey_children(now, id),
        Act::RekeyIke => engine.rekey_ike(now, id),
        Act::DeleteChild => {
            // Whatever it is in: the engine lets a child SA be that the peer is replacing.
            let sas = engine.sas(now);
            let Some(oldest) = sas.first() else { return };
            if let Some(spi_in) = model::spi(&oldest.spi_in).and_then(Spi::new) {
                engine.delete_child(now, id, spi_in);
            }
        }
        Act::DeleteIke => engine.disconnect(now, id),
        Act::Probe => engine.probe(now, id),
    }
}

/// Both ends agree on one of these outcomes soon, and when all is over nothing is left.
fn judge(world: &mut World, person: &mut Person, outcomes: &[Wants]) {
    let deadline = world.now() + PATIENCE;
    while let Err(what) = agreed(world, person, outcomes) {
        if world.now() >= deadline {
            world.find(person.address.host, what);
            break;
        }
        person.exchange_packets(world);
        world.run_for(Duration::from_secs(1));
    }
    person.hang_up(world);
    world.run_for(PATIENCE);
    for host in [person.address.host, HostId::HEADEND] {
        let held = world.machine(host).map(|machine| model::nothing_held(world, machine));
        if let Some(Err(what)) = held {
            world.find(host, what);
        }
    }
}

fn agreed(world: &World, person: &mut Person, outcomes: &[Wants]) -> Result<(), What> {
    let mut held = Ok(());
    let Some(headend) = Headend::look(world) else { return held };
    for wants in outcomes {
        person.subscriber.wants = *wants;
        held = model::both_ends_hold(world, &headend, &person.subscriber);
        if held.is_ok() {
            break;
        }
    }
    held
}
