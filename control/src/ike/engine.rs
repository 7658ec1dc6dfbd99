//! The IKE endpoint as a whole: what the runtime (or a simulation) drives.

mod calling;
mod calling_v1;
mod capturing;
mod door;
mod ending;
mod first_contact;
mod fragment;
mod leases;
mod login;
mod orders;
mod reconfigure;
mod stalling;
mod tally;
mod tunnel_of;
mod unknown_spi;
mod users;
mod v1;
mod ways;

use self::door::Door;
use self::users::UserKey;
pub use calling::CannotCall;
pub use tally::Tally;
pub use ways::{Asking, Pulse};

use super::counters::{EngineCounters, Ignored};
use super::service::{Arrivals, CookiesAsked, Node, TimerKey};
pub use super::service::{Call, CallV1, CannotClose, Carriage, Contact, Credentials, CtcpManner, Mode};
use super::v1 as ikev1;
pub use super::v1::Told;
use super::v2::{Calling, Closing, Established, HalfOpen, IkeSa, Proving, Verdict};
pub use super::v2::{Given, NoRoom};
use super::wire::{Header, Id, IkeSpi, Incoming, NotifyKind, Sealed, WireError, parse, parse_header};
use crate::aaa::{Question, Record};
use crate::config::Renumbering;
use crate::config::checked::Config;
use crate::installer::Installer;
use crate::journal::Happening;
use crate::lease::{LeaseListing, LeasePage, PoolFill, PoolView};
use crate::session::{Cause, Listed, Listing, SaQuery, SaView, SessionId, SessionQuery, SessionState, SessionView};
use adit_crypto::random::SecretRandom;
use adit_dataplane::contract::{Command, Event, IkeDatagram, Routes, SpiLayout, WorkerId};
use adit_dataplane::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// What the engine wants done. Taken in order.
pub enum Output {
    /// Hand this to that worker (`SendIke` among them).
    Command(WorkerId, Command),
    /// Publish these inner routes, before any later command.
    Routes(Routes),
    /// Ask AAA; the answer comes back by [`Engine::handle_answer`], exactly once.
    Ask(Question),
    /// Write this into the books.
    Account(Record),
    /// Tell whoever watches.
    Happened(Box<Happening>),
    /// Tell AAA that this configuration is in force, with connections in these places.
    Reconfigured(Arc<Config>, Renumbering),
}

/// What is held right now: for metrics, and for tests that nothing is left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Holdings {
    /// Half-open IKE SAs.
    pub half_open: usize,
    /// Logins of ours under way.
    pub calls: usize,
    /// Sessions that have proven their identity.
    pub sessions: usize,
    /// IKE SAs, half-open ones too.
    pub ike_sas: usize,
    /// Identities and users with a session.
    pub identities: usize,
    /// SPIs and addresses of living IKE_SA_INITs.
    pub arrivals: usize,
    /// Inner addresses given out.
    pub leases: usize,
    /// SPI slots not yet come home.
    pub spis: usize,
    /// Tunnel slots not yet come home.
    pub tunnels: usize,
    /// Inner routes.
    pub routes: usize,
    /// Last answers kept for retransmissions.
    pub farewells: usize,
    /// Questions to AAA that are unanswered.
    pub questions: usize,
    /// Deadlines, those of the last answers too.
    pub timers: usize,
}

/// All IKE SAs, sessions and leases of this node. Takes `now`, events and chance; asks for nothing.
pub struct Engine {
    node: Node,
    arrivals: Arrivals,
    sessions: BTreeMap<SessionId, Stage>,
    /// By [`Id::folded`].
    by_identity: BTreeMap<Id, BTreeSet<SessionId>>,
    by_user: BTreeMap<UserKey, BTreeSet<SessionId>>,
    next_id: u32,
    door: Door,
    /// Why the last calls ended, the newest behind.
    calls_ended: VecDeque<(SessionId, Cause)>,
}

/// Where a session stands; each owns what it knows.
enum Stage {
    HalfOpen(Box<HalfOpen>),
    Calling(Box<Calling>),
    Proving(Box<Proving>),
    Established(Box<Established>),
    Closing(Box<Closing>),
    /// By IKEv1.
    V1(StageV1),
}

/// Where a session by IKEv1 stands.
enum StageV1 {
    HalfOpen(Box<ikev1::HalfOpen>),
    Login(Box<ikev1::Login>),
    Calling(Box<ikev1::Calling>),
    Entering(Box<ikev1::Entering>),
    Established(Box<ikev1::Established>),
}

impl Engine {
    /// An endpoint without sessions. `workers` is how many there are to give sessions to.
    pub fn new(config: Arc<Config>, workers: usize, spi_layout: SpiLayout, mut random: Box<dyn SecretRandom>) -> Self {
        let installer = Installer::new(workers, spi_layout, Routes::new(&mut *random));
        Self {
            arrivals: Arrivals::new(&config.ike),
            node: Node::new(config, installer, random),
            sessions: BTreeMap::new(),
            by_identity: BTreeMap::new(),
            by_user: BTreeMap::new(),
            next_id: 1,
            door: Door::Open,
            calls_ended: VecDeque::new(),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.node.config
    }

    /// The time of day when the clock that `now` is taken from was zero. Until it is told, no certificate is good.
    pub fn set_time_of_day(&mut self, unix_at_zero: Duration) {
        self.node.unix_at_zero = unix_at_zero;
    }

    /// A worker reports (IKE datagrams among that).
    pub fn handle_event(&mut self, now: Instant, worker: WorkerId, event: Event) {
        match event {
            Event::Ike(datagram) => self.datagram(now, worker, &datagram),
            Event::FirstUse { spi } => {
                let Some(id) = self.node.installer.owner(spi) else { return };
                match self.is_v1(id) {
                    true => self.in_service_v1(id, |session, node| session.first_use(now, node, spi)),
                    false => self.in_service(id, |session, node| session.first_use(now, node, spi)),
                };
            }
            Event::Lifetime { pair, direction, reached } => {
                let Some(id) = self.node.installer.owner(pair) else { return };
                match self.is_v1(id) {
                    true => {
                        self.in_service_v1(id, |session, node| session.lifetime(now, node, pair, direction, reached))
                    }
                    false => self.in_service(id, |session, node| session.lifetime(now, node, pair, direction, reached)),
                };
            }
            Event::Moved { tunnel, path } => {
                let Some(id) = self.node.installer.tunnel_owner(tunnel) else { return };
                match self.is_v1(id) {
                    true => self.in_service_v1(id, |session, node| session.moved(node, tunnel, path)),
                    false => self.in_service(id, |session, node| session.moved(node, tunnel, path)),
                };
            }
            Event::UnknownSpi(wayward) => self.unknown_spi(now, worker, wayward),
            Event::Stalling(stalled) => self.stalling(now, &stalled),
            // Whoever asked takes them before they come here.
            Event::Flows(_) | Event::InnerFlows(_) => {}
            Event::Retired(retired) => self.node.installer.retired(&retired),
        }
    }

    /// The time asked for by [`Engine::poll_timeout`] has come (being called early is harmless).
    pub fn handle_timeout(&mut self, now: Instant) {
        // Each owner once, even if its next deadline has passed too.
        let due: Vec<TimerKey> = std::iter::from_fn(|| self.node.timers.pop_due(now)).collect();
        for key in due {
            match key {
                TimerKey::Farewell(spi) => self.node.forget_farewell(spi),
                TimerKey::Session(id) => self.session_timeout(now, id),
                TimerKey::Reassembly(id) => self.forget_fragments(id),
            }
        }
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.node.installer.poll_output()
    }

    /// When [`Engine::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.node.timers.next()
    }

    /// Starts leaving: a delete goes to every peer, no new session is taken. Drive on until [`Engine::is_idle`] or
    /// patience ends.
    pub fn shut_down(&mut self, now: Instant) {
        self.door = Door::Shut;
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            let _span = tracing::info_span!("session", session = %id).entered();
            match self.sessions.remove(&id) {
                Some(Stage::HalfOpen(half)) => self.half_open_ends(&half),
                Some(Stage::Calling(calling)) => self.hang_up(calling.held()),
                Some(Stage::Proving(proving)) => self.hang_up(proving.held()),
                Some(Stage::Established(session)) => self.settle(now, session, Verdict::Close(Cause::ShutDown)),
                Some(Stage::V1(stage)) => self.close_v1(now, stage, Cause::ShutDown),
                Some(closing @ Stage::Closing(_)) => {
                    self.sessions.insert(id, closing);
                }
                None => {}
            }
        }
    }

    /// No session, no half-open SA, nothing to wait for.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Copied views of all sessions, oldest first.
    pub fn sessions(&self, now: Instant) -> Vec<SessionView> {
        self.sessions.values().map(|stage| self.view(now, stage)).collect()
    }

    /// A page of those that are meant.
    pub fn some_sessions(&self, now: Instant, listing: Listing, query: &SessionQuery) -> Listed<SessionView> {
        let view = |stage| Some(self.view(now, stage)).filter(|view| query.means(view)).into_iter().collect();
        listing.page(self.behind(listing.after), view)
    }

    /// A copied view of this one.
    pub fn session(&self, now: Instant, id: SessionId) -> Option<SessionView> {
        Some(self.view(now, self.sessions.get(&id)?))
    }

    fn behind(&self, after: Option<SessionId>) -> impl Iterator<Item = (SessionId, &Stage)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.sessions.range((from, Bound::Unbounded)).map(|(id, stage)| (*id, stage))
    }

    fn view(&self, now: Instant, stage: &Stage) -> SessionView {
        match stage {
            Stage::HalfOpen(half) => half.view(now),
            Stage::Calling(calling) => calling.view(now),
            Stage::Proving(proving) => proving.view(now),
            Stage::Established(session) => session.view(now, &self.node),
            Stage::Closing(closing) => closing.view(now, &self.node),
            Stage::V1(StageV1::HalfOpen(half)) => half.view(now),
            Stage::V1(StageV1::Login(login)) => login.view(now),
            Stage::V1(StageV1::Calling(calling)) => calling.view(now),
            Stage::V1(StageV1::Entering(entering)) => entering.view(now),
            Stage::V1(StageV1::Established(session)) => session.view(now, &self.node),
        }
    }

    /// How many there are, in whatever state.
    pub fn sessions_in_all(&self) -> usize {
        self.sessions.len()
    }

    /// Where a session stands; `None` if it is no more.
    pub fn state(&self, id: SessionId) -> Option<SessionState> {
        self.sessions.get(&id).map(Stage::state)
    }

    /// Copied views of all child SAs, in the order of sessions.
    pub fn sas(&self, now: Instant) -> Vec<SaView> {
        self.sessions.values().flat_map(|stage| stage.sas(now)).collect()
    }

    /// A page of those that are meant. It has all of a session's child SAs, so it may have a few more than its limit.
    pub fn some_sas(&self, now: Instant, listing: Listing, query: SaQuery) -> Listed<SaView> {
        match query.session {
            Some(id) => {
                Listed { lines: self.sessions.get(&id).map(|stage| stage.sas(now)).unwrap_or_default(), next: None }
            }
            None => listing.page(self.behind(listing.after), |stage| stage.sas(now)),
        }
    }

    /// All pools, as they are filled.
    pub fn pools(&self) -> Vec<PoolView> {
        self.node.leases.pools()
    }

    /// A page of leases.
    pub fn leases(&self, listing: LeaseListing) -> LeasePage {
        self.node.leases.list(listing)
    }

    /// How full the pools are, when what was held until now is free.
    pub fn pool_fills(&mut self, now: Instant) -> Vec<PoolFill> {
        self.node.leases.release(now);
        self.node.leases.fills()
    }

    /// Totals since the engine was made.
    pub fn counters(&self) -> &EngineCounters {
        &self.node.counters
    }

    /// Of whom cookies are asked now.
    pub fn cookies_asked(&self) -> CookiesAsked {
        self.arrivals.cookies_asked()
    }

    /// What is held right now.
    pub fn holdings(&self) -> Holdings {
        let (half_open, arrivals, _) = self.arrivals.counts();
        let calls = self.sessions.values().filter(|stage| stage.is_call()).count();
        let (spis, tunnels, routes) = self.node.installer.in_use();
        Holdings {
            half_open,
            calls,
            sessions: self.sessions.len() - half_open - calls,
            ike_sas: self.node.ike_sas(),
            identities: self.by_identity.len() + self.by_user.len(),
            arrivals,
            leases: self.node.leases.in_use(),
            spis,
            tunnels,
            routes,
            farewells: self.node.farewells.len(),
            questions: self.node.questions(),
            timers: self.node.timers.waiting(),
        }
    }

    fn datagram(&mut self, now: Instant, worker: WorkerId, datagram: &IkeDatagram) {
        self.node.counters.received += 1;
        if is_v1(&datagram.bytes) {
            return self.datagram_v1(now, worker, datagram);
        }
        let header = match parse_header(&datagram.bytes) {
            Ok(header) => header,
            // RFC 7296 section 2.5: who speaks a later version is told that there is none here.
            Err(WireError::MajorVersion { major: 3.., .. }) => {
                let (kind, reason) = (NotifyKind::InvalidMajorVersion, Ignored::OtherVersion);
                return self.node.tell_stranger(now, worker, datagram, kind, reason);
            }
            Err(WireError::MajorVersion { .. }) => return self.node.ignore(Ignored::OtherVersion),
            Err(_) => return self.node.ignore(Ignored::Malformed),
        };
        if header.flags.initiator && header.responder_spi == IkeSpi::default() {
            return self.first_contact(now, worker, datagram, header);
        }
        // Whoever sends is one end, so the other SPI is ours (RFC 7296 section 3.1).
        let ours = match header.flags.initiator {
            true => header.responder_spi,
            false => header.initiator_spi,
        };
        let Some(id) = self.node.session_of(ours) else {
            if !header.flags.initiator && self.node.session_of(header.responder_spi).is_some() {
                return self.node.ignore(Ignored::WrongDirection);
            }
            return self.after_the_end(now, worker, datagram, ours);
        };
        let Ok(incoming) = parse(&datagram.bytes) else { return self.node.ignore(Ignored::Malformed) };
        let _span = tracing::info_span!("session", session = %id).entered();
        match &incoming.sealed {
            Sealed::Fragment(skf) => self.fragment(now, id, datagram, &incoming, skf),
            Sealed::Nothing | Sealed::Whole(_) | Sealed::Joined(_) => self.message(now, id, datagram, &incoming),
        }
    }

    /// A message for one of a session's IKE SAs. If it came in fragments, `datagram` is the last to come.
    fn message(&mut self, now: Instant, id: SessionId, datagram: &IkeDatagram, incoming: &Incoming<'_>) {
        match self.sessions.remove(&id) {
            Some(Stage::HalfOpen(half)) => self.half_open(now, half, datagram, incoming),
            Some(Stage::Calling(calling)) => {
                let called = calling.handle(now, &mut self.node, datagram, incoming);
                self.settle_call(now, called);
            }
            Some(Stage::Proving(proving)) => {
                let called = proving.handle(now, &mut self.node, datagram, incoming);
                self.settle_call(now, called);
            }
            Some(Stage::Established(mut session)) => {
                let verdict = session.handle(now, &mut self.node, datagram, incoming);
                self.settle(now, session, verdict);
            }
            Some(Stage::Closing(mut closing)) => {
                let verdict = closing.handle(now, &mut self.node, datagram, incoming);
                self.settle_closing(now, closing, verdict);
            }
            Some(stage @ Stage::V1(_)) => {
                self.sessions.insert(id, stage);
                self.node.ignore(Ignored::OtherVersion);
            }
            None => self.node.ignore(Ignored::UnknownSpi),
        }
    }
}

/// Where both versions of IKE have their version (RFC 2408 section 3.1, RFC 7296 section 3.1).
fn is_v1(bytes: &[u8]) -> bool {
    const VERSION_AT: usize = 17;
    bytes.get(VERSION_AT).is_some_and(|version| version >> 4 == 1)
}

impl Stage {
    fn state(&self) -> SessionState {
        match self {
            Self::HalfOpen(_) | Self::Calling(_) | Self::Proving(_) => SessionState::Connecting,
            Self::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_)) => {
                SessionState::Connecting
            }
            Self::V1(StageV1::Established(session)) => session.state(),
            Self::Established(_) => SessionState::Up,
            Self::Closing(_) => SessionState::Closing,
        }
    }

    fn sas(&self, now: Instant) -> Vec<SaView> {
        match self {
            Self::Established(session) => session.sas(now),
            Self::V1(StageV1::Established(session)) => session.sas(now),
            Self::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_))
            | Self::HalfOpen(_)
            | Self::Calling(_)
            | Self::Proving(_)
            | Self::Closing(_) => Vec::new(),
        }
    }

    /// Whether it is a login of ours that is under way.
    fn is_call(&self) -> bool {
        match self {
            Self::Calling(_) | Self::Proving(_) | Self::V1(StageV1::Calling(_) | StageV1::Entering(_)) => true,
            Self::HalfOpen(_) | Self::Established(_) | Self::Closing(_) => false,
            Self::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Established(_)) => false,
        }
    }

    /// Its IKE SA that a message is on.
    fn ike_sa(&mut self, header: &Header) -> Option<&mut IkeSa> {
        let sa = match self {
            Self::HalfOpen(half) => Some(&mut half.ike),
            Self::Calling(_) | Self::V1(_) => None,
            Self::Proving(proving) => Some(proving.ike_sa()),
            Self::Established(session) => session.ike_sa(header),
            Self::Closing(closing) => Some(&mut closing.ike),
        };
        sa.filter(|sa| sa.is_addressed(header))
    }
}
