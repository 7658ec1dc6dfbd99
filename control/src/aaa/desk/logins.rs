//! Open questions: who is asked next, until somebody knows.

use super::super::local::{Checked, Found, LocalUsers};
use super::super::radius::{Good, Line, Response, Success, login_request, read_reply};
use super::super::{Answer, Profile, Proof, Question, QuestionId, Rejection, Verdict, Why};
use super::view::LineView;
use super::{Output, Port, Room};
use crate::config::Renumbering;
use crate::config::checked::{Config, UserSource, Xauth};
use adit_crypto::random::SecretRandom;
use adit_dataplane::time::Instant;
use adit_dataplane::wire::source::Source;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Questions that may be open. More means that people try faster than anybody can say who they are.
const MOST_OPEN: usize = 4096;
/// Checks of local passwords that may wait, each some tens of milliseconds: nobody waits longer than a few seconds.
const MOST_CHECKS: usize = 128;
/// Of them from one source (an IPv4 address or an IPv6 /64 network): none keeps everybody else out.
const MOST_CHECKS_PER_SOURCE: usize = MOST_CHECKS / 2;
/// A question is answered within this time, whatever the servers do: a client at its login screen waits no longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A server that has been asked for so long when a question is over, and has said nothing to anybody since, does not answer: it may take
/// longer than a login waits (`timeout`, `tries`). Who was asked later had no time.
const LONG: Duration = Duration::from_secs(15);

/// All open questions.
pub(super) struct Logins {
    open: BTreeMap<QuestionId, Open>,
    deadlines: BTreeSet<(Instant, QuestionId)>,
    local: LocalUsers,
    /// Checks of local passwords under way, and for whom.
    checks: BTreeMap<QuestionId, Source>,
    counters: Vec<Counter>,
}

/// The line to a server, and who waits for an identifier on it.
struct Counter {
    line: Line<Job>,
    queue: VecDeque<QuestionId>,
}

/// A question at a server.
struct Job {
    id: QuestionId,
    success: Success,
}

struct Open {
    question: Question,
    deadline: Instant,
    /// Still to be asked, in this order; the first is being asked.
    sources: VecDeque<UserSource>,
    /// Servers asked already.
    tried: Vec<usize>,
    silence: Silence,
}

/// Whether somebody who was asked did not answer: then nobody can say that the user does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Silence {
    No,
    Yes,
}

/// What comes next for a question.
enum Step {
    Check,
    Server(usize),
    Over(Verdict),
}

impl Open {
    /// Whether this server has not been asked yet and could say something.
    fn may_ask(&self, server: usize) -> bool {
        let only = self.question.state.as_ref().map(|state| state.server);
        !self.tried.contains(&server) && only.is_none_or(|only| only == server)
    }
}

impl Logins {
    pub(super) fn new(config: &Config, random: &mut dyn SecretRandom) -> Self {
        let counter = |server: &crate::config::checked::RadiusServer| Counter {
            line: Line::new(server.auth(), server.clone()),
            queue: VecDeque::new(),
        };
        Self {
            open: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            local: LocalUsers::new(config.users.clone(), random),
            checks: BTreeMap::new(),
            counters: config.radius.iter().map(counter).collect(),
        }
    }

    /// Who is being asked about is asked about as before; whom it concerns has another place.
    pub(super) fn take_config(&mut self, config: &Config, places: &Renumbering, random: &mut dyn SecretRandom) {
        self.local.replace(config.users.clone(), random);
        for open in self.open.values_mut() {
            open.question.connection = places.place(open.question.connection);
        }
    }

    pub(super) fn ask(&mut self, now: Instant, room: &mut Room, question: Question) {
        let id = question.id;
        let sources = xauth(room, question.connection).map(|xauth| VecDeque::from(xauth.users.clone()));
        let sources = match (sources, &question.state) {
            (Some(_), Some(_)) => VecDeque::from([UserSource::Radius]),
            (Some(sources), None) => sources,
            (None, _) => VecDeque::new(),
        };
        if sources.is_empty() || self.open.len() >= MOST_OPEN {
            return answer(room, id, Verdict::Unavailable);
        }
        let deadline = now + PATIENCE;
        self.deadlines.insert((deadline, id));
        self.open.insert(id, Open { question, deadline, sources, tried: Vec::new(), silence: Silence::No });
        self.go_on(now, room, id);
    }

    pub(super) fn checked(&mut self, now: Instant, room: &mut Room, checked: Checked) {
        self.checks.remove(&checked.id);
        let Some(open) = self.open.get_mut(&checked.id) else { return };
        let reject = |why| Verdict::Reject(Rejection { why, message: None });
        let verdict = match checked.found {
            Found::Right { address } => {
                let interim = xauth(room, open.question.connection).and_then(|xauth| xauth.interim);
                Verdict::Accept(Box::new(Profile { address, interim, ..Profile::plain(crate::aaa::Source::Local) }))
            }
            Found::Wrong => reject(Why::WrongPassword),
            Found::Locked => reject(Why::Locked),
            Found::Nobody => {
                open.sources.pop_front();
                return self.go_on(now, room, checked.id);
            }
        };
        self.close(room, checked.id, verdict);
    }

    pub(super) fn receive(&mut self, now: Instant, room: &mut Room, server: usize, octets: &[u8]) {
        let Some(counter) = self.counters.get_mut(server) else { return };
        let Some((job, response)) = counter.line.receive(now, octets, knows_the_password) else { return };
        let connection = self.open.get(&job.id).map(|open| open.question.connection);
        let interim = connection.and_then(|index| xauth(room, index)).and_then(|xauth| xauth.interim);
        self.close(room, job.id, read_reply(&response, server, interim));
        self.serve_queue(now, room, server);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, room: &mut Room) {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.close(room, id, Verdict::Unavailable);
        }
        for server in 0..self.counters.len() {
            let alive: Vec<usize> = alive(now, &self.counters).collect();
            let Some(counter) = self.counters.get_mut(server) else { continue };
            let open = &self.open;
            counter.line.forget(now, LONG, |job| !open.contains_key(&job.id));
            let elsewhere = |job: &Job| {
                let open = open.get(&job.id);
                open.is_some_and(|open| alive.iter().any(|server| open.may_ask(*server)))
            };
            let send = |octets| room.send(server, Port::Logins, octets);
            let mut over = counter.line.handle_timeout(now, elsewhere, send);
            let over = over.drain(..).map(|job| job.id);
            // Who waits for a server that is not there asks another one.
            let queue = if counter.line.is_dead(now) { std::mem::take(&mut counter.queue) } else { VecDeque::new() };
            for id in over.chain(queue).collect::<Vec<_>>() {
                self.go_on(now, room, id);
            }
            self.serve_queue(now, room, server);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let lines = self.counters.iter().filter_map(|counter| counter.line.poll_timeout());
        lines.chain(self.deadlines.first().map(|(at, _)| *at)).min()
    }

    pub(super) fn doors(&self) -> impl Iterator<Item = (usize, SocketAddr)> {
        self.counters.iter().map(|counter| counter.line.to).enumerate()
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn checks(&self) -> usize {
        self.checks.len()
    }

    pub(super) fn views(&self, now: Instant) -> Vec<LineView> {
        LineView::all(now, self.counters.iter().map(|counter| &counter.line), "logins")
    }

    /// Asks whoever is next.
    fn go_on(&mut self, now: Instant, room: &mut Room, id: QuestionId) {
        match self.next_step(now, id) {
            None => {}
            Some(Step::Over(verdict)) => self.close(room, id, verdict),
            Some(Step::Check) => self.check(room, id),
            Some(Step::Server(server)) => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.tried.push(server);
                }
                self.ask_server(now, room, id, server);
            }
        }
    }

    fn next_step(&mut self, now: Instant, id: QuestionId) -> Option<Step> {
        let open = self.open.get_mut(&id)?;
        let reject = |why| Some(Step::Over(Verdict::Reject(Rejection { why, message: None })));
        loop {
            match (open.sources.front(), &open.question.proof) {
                (Some(UserSource::Local), Proof::Password(_)) => return Some(Step::Check),
                (Some(UserSource::Local), Proof::Chap { .. } | Proof::MsChapV2 { .. }) => {
                    if self.local.knows(&open.question.user) {
                        return reject(Why::NeedsPassword);
                    }
                }
                (Some(UserSource::Radius), _) => {
                    if let Some(server) = next_server(now, &self.counters, open) {
                        return Some(Step::Server(server));
                    }
                    open.silence = Silence::Yes;
                }
                (None, _) => {
                    return match open.silence {
                        Silence::Yes => Some(Step::Over(Verdict::Unavailable)),
                        Silence::No => reject(Why::UnknownUser),
                    };
                }
            }
            open.sources.pop_front();
        }
    }

    fn check(&mut self, room: &mut Room, id: QuestionId) {
        let Some(open) = self.open.get(&id) else { return };
        let Proof::Password(password) = &open.question.proof else { return };
        let source = Source::of(open.question.caller.peer.ip());
        let from_there = self.checks.values().filter(|other| **other == source).count();
        if self.checks.len() >= MOST_CHECKS || from_there >= MOST_CHECKS_PER_SOURCE {
            return self.close(room, id, Verdict::Unavailable);
        }
        self.checks.insert(id, source);
        let check = self.local.check(id, &open.question.user, password);
        room.outputs.push_back(Output::Check(Box::new(check)));
    }

    fn ask_server(&mut self, now: Instant, room: &mut Room, id: QuestionId, server: usize) {
        let (Some(open), Some(counter)) = (self.open.get(&id), self.counters.get_mut(server)) else { return };
        let Some(identifier) = counter.line.identifier() else {
            return counter.queue.push_back(id);
        };
        let connection = room.config.connections.get(open.question.connection).map_or("", |one| one.name.as_str());
        let names = (room.name.as_str(), connection);
        let login = login_request(&open.question, names, counter.line.server(), identifier, &mut *room.random);
        let Some(login) = login else {
            // Nothing that a server could know: it is too long, or no text.
            let why = Why::WrongPassword;
            return self.close(room, id, Verdict::Reject(Rejection { why, message: None }));
        };
        let octets = counter.line.send(now, identifier, Job { id, success: login.success }, login.request);
        room.send(server, Port::Logins, octets);
    }

    /// Identifiers may have become free.
    fn serve_queue(&mut self, now: Instant, room: &mut Room, server: usize) {
        while let Some(counter) = self.counters.get_mut(server)
            && counter.line.has_room()
            && let Some(id) = counter.queue.pop_front()
        {
            self.ask_server(now, room, id, server);
        }
    }

    fn close(&mut self, room: &mut Room, id: QuestionId, verdict: Verdict) {
        if let Some(open) = self.open.remove(&id) {
            self.deadlines.remove(&(open.deadline, id));
            answer(room, id, verdict);
        }
    }
}

fn knows_the_password(job: &Job, response: &Response<'_>) -> Good {
    match job.success.is_in(response) {
        true => Good::Yes,
        false => Good::No("it lets a user in without knowing the password (MS-CHAP2-Success)"),
    }
}

fn answer(room: &mut Room, id: QuestionId, verdict: Verdict) {
    room.outputs.push_back(Output::Answer(Box::new(Answer { id, verdict })));
}

fn xauth(room: &Room, connection: usize) -> Option<&Xauth> {
    room.connection(connection)?.v1()?.auth.xauth()
}

/// The first that is not known to be dead; if all are, the first: it may have come back. A State goes to its own server.
fn next_server(now: Instant, counters: &[Counter], open: &Open) -> Option<usize> {
    let may_ask = |server: &usize| open.may_ask(*server);
    alive(now, counters).find(may_ask).or_else(|| (0..counters.len()).find(may_ask))
}

/// Servers that are not known to be dead.
fn alive(now: Instant, counters: &[Counter]) -> impl Iterator<Item = usize> {
    let counters = counters.iter().enumerate();
    counters.filter(move |(_, counter)| !counter.line.is_dead(now)).map(|(server, _)| server)
}
