//! The IKE thread: owns the engine, feeds it events and time, carries out what it wants.

use super::clock;
use super::drain::Drain;
use super::errand::{Drive, Going};
use super::flows::FlowQuestion;
use super::inner_flows;
use super::lookout::Lookout;
use super::outbox::{Outbox, WorkerGone};
use super::signals::Wish;
use super::state::Keeping;
use crate::aaa::Answer;
use crate::aaa::window::{RoomForConfig, Window};
use crate::api::ask::{Obeyed, Order, Question};
use crate::api::reload::Reloader;
use crate::api::transports::TransportUse;
use crate::api::views::{CertificateView, IkeView, StatusView};
use crate::config::checked::Flows;
use crate::ctcp::Survey;
use crate::flows::Walks;
use crate::ike::engine::{Engine, Output, Tally};
use crate::journal::{Feed, What};
use crate::session::{SessionId, SessionState};
use crate::telemetry::LogLevel;
use adit_dataplane::contract::{Command, Dataplane, Event, WorkerId};
use adit_dataplane::time::Instant;
use crossbeam_channel::{Receiver, RecvTimeoutError, never, select};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long peers get to answer our deletes before we go anyway.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long workers get to take the command to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);
/// Events taken at most before outputs, questions and timers have their turn.
const EVENTS_AT_ONCE: usize = 256;
/// How often the workers are looked after when nothing else happens.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// How often an errand is.
const DRIVE_AFTER: Duration = Duration::from_millis(200);
/// How often if it waits for a worker.
const DRIVE_SOON: Duration = Duration::from_millis(1);

/// The engine with all that it is connected to.
pub(super) struct IkeThread {
    pub(super) engine: Engine,
    pub(super) dataplane: Dataplane,
    pub(super) questions: Receiver<Question>,
    /// Where AAA is asked.
    pub(super) aaa: Window,
    /// Room there for a configuration that was taken a moment ago.
    pub(super) aaa_room: Option<RoomForConfig>,
    /// Who reads the file again after a signal.
    pub(super) reloader: Reloader,
    pub(super) log_level: LogLevel,
    /// What AAA answers.
    pub(super) answers: Receiver<Answer>,
    pub(super) wishes: Receiver<Wish>,
    /// What changes by a reload alone.
    pub(super) facts: StatusView,
    pub(super) outbox: Outbox,
    /// Where what happens is told.
    pub(super) feed: Feed,
    /// What the daemon looks after itself.
    pub(super) lookout: Lookout,
    /// Who asks for cTCP connections.
    pub(super) survey: Survey<FlowQuestion>,
    /// What is counted of inner flows,
    pub(super) flows: Flows,
    /// and who asks for them.
    pub(super) walks: Walks<inner_flows::Answer>,
    pub(super) started: Instant,
    /// The workers; given back when [`IkeThread::run`] ends.
    pub(super) threads: Vec<JoinHandle<io::Result<()>>>,
    /// What the disk is told.
    pub(super) on_disk: Keeping,
    /// Set while nobody new is let in.
    pub(super) drain: Option<Drain>,
    /// Set once the operator wants to leave: the time when patience ends.
    pub(super) leaving: Option<Instant>,
    /// What we are run for, where we are a client.
    pub(super) errand: Option<Drive>,
}

impl IkeThread {
    /// Runs until the operator wants to leave, says goodbye and tells the workers to stop. The error is a worker that
    /// has ended by itself: its clients are without service, so the daemon ends, to be started again.
    pub(super) fn run(mut self) -> (Vec<JoinHandle<io::Result<()>>>, Result<(), WorkerGone>) {
        let result = self.drive();
        if result.is_ok() && !self.engine.is_idle() {
            tracing::warn!("leaving although some peers have not answered our delete");
        }
        self.stop_workers();
        (self.threads, result)
    }

    fn drive(&mut self) -> Result<(), WorkerGone> {
        self.feed.tell(self.started, What::DaemonStarted { version: env!("CARGO_PKG_VERSION") });
        let mut look_after = self.look_on();
        self.carry_out()?;
        while !self.is_over() {
            self.wait_and_take(look_after)?;
            let now = clock::now();
            if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                self.engine.handle_timeout(now);
            }
            self.look_around(now);
            self.drain_on();
            look_after = self.look_on();
            self.carry_out()?;
            if let Some(index) = self.threads.iter().position(JoinHandle::is_finished) {
                return Err(WorkerGone(worker(index)));
            }
        }
        Ok(())
    }

    /// What nobody else tells.
    fn look_around(&mut self, now: Instant) {
        if !self.lookout.is_due(now) {
            return;
        }
        self.look_at_the_clock();
        let workers = self.dataplane.workers.iter().map(|worker| worker.counters.totals());
        for what in self.lookout.look(now, self.engine.pool_fills(now), workers) {
            self.feed.tell(now, what);
        }
        for what in self.on_disk.look() {
            self.feed.tell(now, what);
        }
    }

    /// The time of day may have been set since the last look, by somebody or by NTP.
    fn look_at_the_clock(&mut self) {
        let unix_at_zero = clock::unix_at_zero();
        self.engine.set_time_of_day(unix_at_zero);
        self.feed.set_time_of_day(unix_at_zero);
        self.lookout.set_time_of_day(unix_at_zero);
        self.on_disk.set_time_of_day(unix_at_zero, &mut self.engine);
    }

    /// An errand that is over ends as a signal would end it.
    /// Returns when it is time to look again at the latest.
    fn look_on(&mut self) -> Duration {
        let Some(drive) = self.errand.as_mut().filter(|_| self.leaving.is_none()) else { return LOOK_AFTER };
        match drive(clock::now(), &mut self.engine) {
            Going::On => DRIVE_AFTER,
            Going::Soon => DRIVE_SOON,
            Going::Over => {
                self.obey(Wish::Leave);
                LOOK_AFTER
            }
        }
    }

    fn is_over(&self) -> bool {
        self.leaving.is_some_and(|patience_ends| {
            clock::now() >= patience_ends || self.engine.is_idle() && self.outbox.waiting() == 0
        })
    }

    /// Waits for whatever comes first and hands it in.
    fn wait_and_take(&mut self, look_after: Duration) -> Result<(), WorkerGone> {
        let now = clock::now();
        let times = [self.engine.poll_timeout(), self.outbox.retry_at(), self.leaving, self.drain_at()];
        let wait = times.into_iter().flatten().min().map_or(look_after, |at| at.since(now).min(look_after));
        select! {
            recv(self.dataplane.events) -> event => match event {
                Ok(event) => self.take_events(event)?,
                Err(_all_workers_gone) => return Err(WorkerGone(WorkerId(0))),
            },
            recv(self.questions) -> question => match question {
                Ok(question) => self.answer(question)?,
                // The API thread is gone: nobody will ask again.
                Err(_gone) => self.questions = never(),
            },
            recv(self.answers) -> answer => match answer {
                Ok(answer) => self.engine.handle_answer(clock::now(), answer),
                // The AAA thread is gone: whoever asks at its window hears so.
                Err(_gone) => self.answers = never(),
            },
            recv(self.wishes) -> wish => match wish {
                Ok(wish) => self.obey(wish),
                Err(_gone) => self.wishes = never(),
            },
            default(wait) => {}
        }
        Ok(())
    }

    /// What carries state is always taken: a worker whose state nobody takes obeys no command, and then nothing would ever
    /// make room in the outbox.
    fn take_events(&mut self, first: (WorkerId, Event)) -> Result<(), WorkerGone> {
        let now = clock::now();
        let choked = self.outbox.is_choked();
        let mut next = Some(first);
        for _ in 0..EVENTS_AT_ONCE {
            match next.take().or_else(|| self.dataplane.events.try_recv().ok()) {
                // The peer sends it again.
                Some((worker, Event::Ike(_))) if choked => {
                    if let Some(handle) = self.dataplane.workers.get(worker.index()) {
                        handle.counters.turned_away(1);
                    }
                }
                // There will be more of those.
                Some((_, Event::UnknownSpi(_))) if choked => {}
                Some((worker, Event::Flows(page))) => self.take_flows(worker, *page)?,
                Some((_, Event::InnerFlows(page))) => self.take_inner_flows(*page)?,
                Some((worker, event)) => self.engine.handle_event(now, worker, event),
                None => break,
            }
        }
        Ok(())
    }

    pub(super) fn carry_out(&mut self) -> Result<(), WorkerGone> {
        let now = clock::now();
        self.outbox.retry(now, &self.dataplane.workers)?;
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Command(worker, command) => {
                    self.outbox.send(now, &self.dataplane.workers, worker, command)?;
                }
                Output::Routes(routes) => self.dataplane.routes.store(Arc::new(routes)),
                Output::Ask(question) => {
                    if let Some(answer) = self.aaa.ask(question) {
                        self.engine.handle_answer(now, answer);
                    }
                }
                Output::Account(record) => self.aaa.write(record),
                Output::Happened(happening) => self.feed.tell(now, *happening),
                Output::Reconfigured(config, places) => {
                    if let Some(room) = self.aaa_room.take() {
                        room.hand_in(config, places);
                    }
                }
            }
        }
        self.on_disk.write_down(&mut self.engine);
        Ok(())
    }

    fn answer(&mut self, question: Question) -> Result<(), WorkerGone> {
        let now = clock::now();
        // Who asked may have gone in the meantime.
        match question {
            Question::Status(answer) => drop(answer.send(self.status(now))),
            Question::Sessions(listing, query, answer) => {
                drop(answer.send(self.engine.some_sessions(now, listing, &query)));
            }
            Question::Session(id, answer) => drop(answer.send(self.engine.session(now, id))),
            Question::Sas(listing, query, answer) => drop(answer.send(self.engine.some_sas(now, listing, query))),
            Question::Certificates(answer) => drop(answer.send(CertificateView::all(self.engine.config()))),
            Question::Pools(answer) => drop(answer.send(self.engine.pools())),
            Question::Leases(listing, answer) => drop(answer.send(self.engine.leases(listing))),
            Question::Order(id, order, answer) => drop(answer.send(self.order(now, id, order))),
            Question::Ike(answer) => {
                drop(answer.send(IkeView::new(self.engine.holdings(), self.engine.counters())));
            }
            Question::Flows(query, answer) => self.ask_for_flows(FlowQuestion::Show(query, answer))?,
            Question::InnerFlows(wanted, answer) => self.ask_for_inner_flows(&wanted, answer)?,
            Question::Transports(answer) => {
                let listen = &self.engine.config().listen;
                let all = self.engine.by_transport().map(|used| TransportUse::new(used, listen));
                drop(answer.send(all.into()));
            }
            Question::CaptureTarget(id, answer) => drop(answer.send(self.engine.capture_target(id))),
            Question::Tell(happening) => self.feed.tell(now, *happening),
            Question::Drain(order, answer) => {
                self.order_drain(now, order);
                drop(answer.send(self.status(now)));
            }
            Question::Reload(proposal) => self.reload(proposal)?,
            Question::ClearFlows(which, answer) => self.ask_for_flows(FlowQuestion::Clear(which, answer))?,
            Question::MoveFlow(order, answer) => self.ask_for_flows(FlowQuestion::Move(order, answer))?,
        }
        Ok(())
    }

    /// What the operator wants done with a session.
    fn order(&mut self, now: Instant, id: SessionId, order: Order) -> Obeyed {
        match (self.engine.state(id), order) {
            (None, _) => return Obeyed::NoSuchSession,
            (Some(_), Order::Disconnect) => self.engine.disconnect(now, id),
            (Some(SessionState::Up), Order::RekeyIke) => self.engine.rekey_ike(now, id),
            (Some(SessionState::Up), Order::RekeyChildren) => self.engine.rekey_children(now, id),
            (Some(SessionState::Connecting | SessionState::Closing), Order::RekeyIke | Order::RekeyChildren) => {
                return Obeyed::NotUp;
            }
        }
        Obeyed::Begun
    }

    fn status(&self, now: Instant) -> StatusView {
        let Tally { up, pending, half_open, sas } = self.engine.tally();
        StatusView {
            up_seconds: now.since(self.started).as_secs(),
            state: self.state().to_owned(),
            draining: self.drain_view(now),
            sessions: up,
            sessions_pending: pending,
            half_open,
            cookies_asked_of: self.engine.cookies_asked().to_string(),
            sas,
            commands_waiting: self.outbox.waiting(),
            lacks: self.facts.lacks.iter().cloned().chain(self.on_disk.lacks()).collect(),
            ..self.facts.clone()
        }
    }

    fn state(&self) -> &'static str {
        match (self.leaving, self.drain) {
            (Some(_), _) => "leaving",
            (None, Some(_)) => "draining",
            (None, None) => "serving",
        }
    }

    pub(super) fn obey(&mut self, wish: Wish) {
        match (wish, self.leaving) {
            (Wish::Leave, None) => {
                let now = clock::now();
                tracing::info!("leaving: saying goodbye to all peers (a second signal ends at once)");
                self.feed.tell(now, What::DaemonLeaving);
                self.engine.shut_down(now);
                // Who looks on has nothing more to see, and whatever it drives ends with it.
                self.errand = None;
                self.leaving = Some(now + FAREWELL);
            }
            (Wish::Leave, Some(_)) => {}
            (Wish::Reload, _) => self.reloader.call(),
        }
    }

    /// Workers that are gone already need no command. What they tell is taken until they have it: none obeys before.
    fn stop_workers(&mut self) {
        let start = clock::now();
        for index in 0..self.dataplane.workers.len() {
            let _gone = self.outbox.send(start, &self.dataplane.workers, worker(index), Command::Stop);
        }
        while let Some(at) = self.outbox.retry_at() {
            let now = clock::now();
            if now >= start + STOP_WITHIN {
                tracing::error!("a worker does not take the command to stop");
                break;
            }
            // Keys that come home are wiped where they are dropped.
            match self.dataplane.events.recv_timeout(at.since(now)) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.outbox.retry(clock::now(), &self.dataplane.workers).is_err() {
                break;
            }
        }
    }
}

pub(super) fn worker(index: usize) -> WorkerId {
    WorkerId(u8::try_from(index).unwrap_or(u8::MAX))
}
