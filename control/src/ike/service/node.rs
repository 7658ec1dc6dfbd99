//! What all sessions of this node share, lent to whichever is being worked on.

use super::aggressive_budget::AggressiveBudget;
use super::error_budget::ErrorBudget;
use super::farewell::{Farewell, Farewells, LINGER};
use super::patience::Patience;
use super::tell::RefusalBudgets;
use super::timers::Timers;
use crate::aaa::QuestionId;
use crate::config::checked::{Config, Connection, IkeProposal, LoginV2};
use crate::ike::counters::{EngineCounters, Ignored};
use crate::ike::propose::merge;
use crate::ike::v2::Cookies;
use crate::ike::wire::{IkeSpi, NotifyKind, clear_answer, messages};
use crate::installer::Installer;
use crate::lease::Leases;
use crate::session::SessionId;
use crate::session::log_budget::LogBudget;
use adit_crypto::random::SecretRandom;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{Command, EspPath, IkeDatagram, IkeFraming, Path, TunnelKey, WorkerId};
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Who waits for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    Session(SessionId),
    Farewell(IkeSpi),
    /// Fragments of an unfinished message in one of its IKE SAs.
    Reassembly(SessionId),
}

/// How long a connection stays that is to be nobody's: what was said last gets through. Adit's own choice.
const GOODBYE: Duration = Duration::from_secs(5);

/// Octets around IKE at most: an IPv6 header, and TCP's header with what cTCP adds. In UDP it is 24 less, over IPv4 another 20;
/// but the session may change its transport, and the same octets are said again.
const OUTSIDE_IKE: usize = 40 + 36;

/// The parts that no session owns alone.
pub(crate) struct Node {
    pub(crate) config: Arc<Config>,
    pub(crate) random: Box<dyn SecretRandom>,
    /// The time of day when the engine's clock was zero: certificates have a time.
    pub(crate) unix_at_zero: Duration,
    pub(crate) installer: Installer,
    pub(crate) leases: Leases,
    pub(crate) counters: EngineCounters,
    pub(crate) timers: Timers<TimerKey>,
    pub(crate) farewells: Farewells,
    pub(crate) log_budget: LogBudget,
    /// Of refused logins in the journal.
    pub(super) refusal_budgets: RefusalBudgets,
    pub(crate) error_budget: ErrorBudget,
    pub(crate) aggressive_budget: AggressiveBudget,
    questions: BTreeMap<QuestionId, SessionId>,
    next_question: u64,
    pub(crate) cookies: Cookies,
    /// Every connection's: before IKE_AUTH nobody knows whose the client is.
    pub(crate) ike_proposals: Vec<IkeProposal>,
    /// What an unknown identity is computed with: nobody has it.
    pub(crate) nobodys_psk: SecretBytes,
    /// Our SPIs of all IKE SAs.
    spis: BTreeMap<IkeSpi, SessionId>,
}

impl Node {
    pub(crate) fn new(config: Arc<Config>, installer: Installer, mut random: Box<dyn SecretRandom>) -> Self {
        let mut nobodys_psk = vec![0; 32];
        random.fill(&mut nobodys_psk);
        let nobodys_psk = SecretBytes::new(nobodys_psk);
        let ike_proposals = all_ike_proposals(&config);
        Self {
            leases: Leases::new(&config.pools, &config.users.addresses(), installer.inner_layout()),
            farewells: Farewells::new(config.ike.half_open_limit),
            cookies: Cookies::new(&mut *random),
            config,
            random,
            unix_at_zero: Duration::ZERO,
            installer,
            counters: EngineCounters::default(),
            timers: Timers::default(),
            log_budget: LogBudget::default(),
            refusal_budgets: RefusalBudgets::default(),
            error_budget: ErrorBudget::default(),
            aggressive_budget: AggressiveBudget::default(),
            questions: BTreeMap::new(),
            next_question: 1,
            ike_proposals,
            nobodys_psk,
            spis: BTreeMap::new(),
        }
    }

    /// Another configuration is in force. What sessions remember of the old one's places is for the caller to put right.
    pub(crate) fn take_config(&mut self, config: Arc<Config>) {
        self.leases.move_to(&config.pools, &config.users.addresses());
        self.farewells.limit_to(config.ike.half_open_limit);
        self.ike_proposals = all_ike_proposals(&config);
        self.config = config;
    }

    /// How our own requests are repeated.
    pub(crate) fn patience(&self) -> Patience {
        let ike = &self.config.ike;
        Patience { initial: ike.retransmit_initial, factor: ike.retransmit_factor, tries: ike.retransmit_tries }
    }

    /// Octets of IKE that go out in one packet.
    pub(crate) fn fragment_limit(&self) -> usize {
        self.config.ike.fragment_size.saturating_sub(OUTSIDE_IKE)
    }

    /// A connection of the configuration's.
    pub(crate) fn connection(&self, index: usize) -> Option<&Connection> {
        self.config.connections.get(index)
    }

    /// A connection by IKEv2, with what only that version has.
    pub(crate) fn connection_v2(&self, index: usize) -> Option<(&Connection, &LoginV2)> {
        let connection = self.connection(index)?;
        Some((connection, connection.v2()?))
    }

    /// What an IKE SA of this connection may be made of.
    pub(crate) fn ike_proposals_of(&self, index: usize) -> &[IkeProposal] {
        self.connection_v2(index).map(|(_, login)| &login.ike_proposals[..]).unwrap_or_default()
    }

    /// An SPI of ours for one more IKE SA of this session: random, not zero, no other's (RFC 7296 section 3.1).
    pub(crate) fn new_ike_spi(&mut self, session: SessionId) -> IkeSpi {
        loop {
            let mut bytes = [0; 8];
            self.random.fill(&mut bytes);
            let spi = IkeSpi(u64::from_be_bytes(bytes));
            if spi != IkeSpi::default() && !self.spis.contains_key(&spi) {
                self.spis.insert(spi, session);
                return spi;
            }
        }
    }

    /// The IKE SA with this SPI of ours is no more.
    pub(crate) fn forget_ike_spi(&mut self, spi: IkeSpi) {
        self.spis.remove(&spi);
    }

    /// Whose IKE SA this is.
    pub(crate) fn session_of(&self, spi: IkeSpi) -> Option<SessionId> {
        self.spis.get(&spi).copied()
    }

    /// The IKE SA with this SPI of ours belongs to another session from now on.
    pub(crate) fn hand_over_spi(&mut self, spi: IkeSpi, session: SessionId) {
        if let Some(owner) = self.spis.get_mut(&spi) {
            *owner = session;
        }
    }

    /// A name for one more question of this session's.
    pub(crate) fn new_question(&mut self, session: SessionId) -> QuestionId {
        let id = QuestionId(self.next_question);
        self.next_question += 1;
        self.questions.insert(id, session);
        id
    }

    /// Who asked; a question is answered once.
    pub(crate) fn asker(&mut self, question: QuestionId) -> Option<SessionId> {
        self.questions.remove(&question)
    }

    /// How many questions are unanswered.
    pub(crate) fn questions(&self) -> usize {
        self.questions.len()
    }

    /// How many IKE SAs there are.
    pub(crate) fn ike_sas(&self) -> usize {
        self.spis.len()
    }

    /// Secret random octets.
    pub(crate) fn random_bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill(&mut bytes);
        bytes
    }

    /// Sends an IKE message, or the fragments of one (one after the other in `bytes`), after all commands before it.
    pub(crate) fn send_ike(&mut self, worker: WorkerId, path: Path, framing: IkeFraming, bytes: Vec<u8>) {
        if messages(&bytes).nth(1).is_none() {
            return self.send_datagram(worker, IkeDatagram { path, framing, bytes });
        }
        self.counters.messages_cut += 1;
        tracing::debug!(octets = bytes.len(), fragments = messages(&bytes).count(), "sent in fragments");
        for fragment in messages(&bytes) {
            self.send_datagram(worker, IkeDatagram { path, framing, bytes: fragment.to_vec() });
        }
    }

    fn send_datagram(&mut self, worker: WorkerId, datagram: IkeDatagram) {
        let worker = match datagram.framing {
            IkeFraming::Bare | IkeFraming::NonEspMarker => worker,
            IkeFraming::Ctcp | IkeFraming::Tcp => self.installer.owner_of_connection(datagram.path),
        };
        self.counters.sent += 1;
        self.installer.command(worker, Command::SendIke(datagram));
    }

    /// A session's packets go by this connection: it is to stay.
    pub(crate) fn keep_connection(&mut self, tunnel: TunnelKey, esp: EspPath) {
        let (path, owner) = (esp.path(), self.installer.owner_of_connection(esp.path()));
        self.installer.command(owner, Command::KeepConnection { path, tunnel });
    }

    /// If who logs in has come by a connection, that is to stay so long although it is no session's yet.
    pub(crate) fn expect_session(&mut self, path: Path, framing: IkeFraming, within: Duration) {
        if matches!(framing, IkeFraming::Ctcp | IkeFraming::Tcp) {
            let owner = self.installer.owner_of_connection(path);
            self.installer.command(owner, Command::ExpectSession { path, within });
        }
    }

    /// Who logged in by a connection gets no session, or goes on in another connection.
    pub(crate) fn expect_no_session(&mut self, path: Path, framing: IkeFraming) {
        self.expect_session(path, framing, GOODBYE);
    }

    /// The session is over whose packets went by this connection: its peer is told, behind all that was said before.
    pub(crate) fn end_connection(&mut self, tunnel: TunnelKey, esp: EspPath) {
        let (path, owner) = (esp.path(), self.installer.owner_of_connection(esp.path()));
        self.installer.command(owner, Command::EndConnection { path, tunnel });
    }

    /// The same answer to the same request. Whoever recorded a request can send it again from anywhere, so what does
    /// not come along the path that has been proven gets no more octets than it brings.
    pub(crate) fn answer_again(&mut self, worker: WorkerId, proven: Path, datagram: &IkeDatagram, bytes: Vec<u8>) {
        if datagram.path != proven && bytes.len() > datagram.bytes.len() {
            return self.ignore(Ignored::WouldAmplify);
        }
        self.counters.answered_again += 1;
        self.send_ike(worker, datagram.path, datagram.framing, bytes);
    }

    /// A datagram led to nothing for `reason`; if it is a request and errors may still be told, its sender hears so.
    pub(crate) fn tell_stranger(
        &mut self,
        now: Instant,
        worker: WorkerId,
        datagram: &IkeDatagram,
        kind: NotifyKind,
        reason: Ignored,
    ) {
        self.ignore(reason);
        let Some(bytes) = clear_answer(&datagram.bytes, kind) else { return };
        if self.error_budget.take(now, datagram.path.peer.ip()).is_err() {
            return self.ignore(Ignored::Unanswered);
        }
        self.counters.strangers_told += 1;
        self.send_ike(worker, datagram.path, datagram.framing, bytes);
    }

    /// A datagram led to nothing.
    pub(crate) fn ignore(&mut self, reason: Ignored) {
        tracing::debug!(reason = reason.name(), "datagram ignored: {}", reason.sentence());
        self.counters.ignore(reason);
    }

    /// An IKE SA is over; its last answer may be asked for again for a while.
    pub(crate) fn keep_farewell(&mut self, now: Instant, farewell: Farewell) {
        self.timers.set(TimerKey::Farewell(farewell.spi), Some(now + LINGER));
        if let Some(made_place) = self.farewells.keep(farewell) {
            self.timers.set(TimerKey::Farewell(made_place), None);
        }
    }

    /// Its time is over.
    pub(crate) fn forget_farewell(&mut self, spi: IkeSpi) {
        self.farewells.forget(spi);
    }
}

fn all_ike_proposals(config: &Config) -> Vec<IkeProposal> {
    let logins = config.connections.iter().filter_map(Connection::v2);
    merge(&logins.map(|login| &login.ike_proposals[..]).collect::<Vec<_>>())
}
