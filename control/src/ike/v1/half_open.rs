//! Phase 1 under way: bounded, and worth little to whoever started it, until its proof is good.

use super::aggressive::ExpectAggressiveProof;
use super::client::Client;
use super::fragments::Reassembly;
use super::isakmp_sa::{Cookies, IsakmpSa, Phase1};
use super::life_time::Lives;
use super::main_mode::ExpectMainProof;
use super::nat::nat_d_hash;
use super::nat_seen::{Traversal, traversals};
use super::phase_1::{Contact, Proven};
use super::proof;
use super::wire::{Body, Chain, Exchange, Header, Id, IkeOffer, Incoming, parse};
use crate::config::Renumbering;
use crate::ike::counters::Ignored;
use crate::ike::login_times::{LoginClock, LoginPhase};
use crate::ike::service::Stranger;
use crate::ike::service::{Arrival, Node, Role};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path, Transports, WorkerId};
use adit_dataplane::time::Instant;
use std::net::SocketAddr;

/// Waits for the peer's next message of phase 1.
pub(crate) struct HalfOpen {
    pub(crate) begun: Begun,
    pub(super) expects: Expects,
}

/// A first message: when, where and by whom it came in, and the session that it is to be.
#[derive(Clone, Copy)]
pub(crate) struct First<'a> {
    pub(crate) now: Instant,
    pub(crate) id: SessionId,
    pub(crate) worker: WorkerId,
    pub(crate) datagram: &'a IkeDatagram,
    pub(crate) arrival: Arrival,
}

/// What a first message says of its client, and the cookies of the exchange that answers it.
pub(super) struct Heard {
    pub(super) cookies: Cookies,
    pub(super) client: Client,
    pub(super) traversal: Traversal,
}

impl Heard {
    /// Takes a cookie of ours; who goes no further gives it back. ESP may come as in `carried`.
    pub(super) fn take(first: &First<'_>, node: &mut Node, chain: &Chain<'_>, carried: Transports) -> Self {
        let cookies = Cookies { initiator: first.arrival.spi_i, responder: node.new_ike_spi(first.id) };
        let mut client = Client::default();
        client.hear(chain);
        let traversal = match first.datagram.framing {
            // The connection is the mapping: nothing floats, and whoever opens another is followed.
            IkeFraming::Ctcp | IkeFraming::Tcp => Traversal::of_connection(),
            IkeFraming::Bare | IkeFraming::NonEspMarker => {
                Traversal::unknown(client.traversal(traversals(node, carried)))
            }
        };
        Self { cookies, client, traversal }
    }
}

/// What is known in all of phase 1.
pub(crate) struct Begun {
    pub(crate) id: SessionId,
    pub(crate) arrival: Arrival,
    pub(crate) cookies: Cookies,
    pub(crate) path: Path,
    /// Where its messages come in: answers go out there until it has a worker of its own.
    pub(crate) worker: WorkerId,
    pub(crate) since: Instant,
    pub(super) client: Client,
    pub(super) offer: IkeOffer,
    /// SAi_b: the proof covers it.
    pub(super) sa_i: Vec<u8>,
    pub(super) traversal: Traversal,
    pub(super) turn: Turn,
    pub(super) fragments: Reassembly,
    /// The last refusal that the log has; the same is not said again.
    pub(super) refused: Option<Cause>,
    /// Proofs and public values that were wrong.
    pub(super) wrong: u32,
}

/// Wrong proofs and public values after which nothing more is looked at: each proof costs some hashes for every secret that
/// may be meant.
const MOST_WRONG: u32 = 5;

impl HalfOpen {
    /// Connections have other places now. In main mode nobody knows yet whose the client is.
    pub(crate) fn renumber(&mut self, places: &Renumbering) {
        match &mut self.expects {
            Expects::KeyExchange | Expects::MainProof(_) => {}
            Expects::AggressiveProof(expects) => {
                expects.connection = expects.connection.map(|old| places.place(old));
            }
        }
    }
}

/// Which message comes next.
pub(super) enum Expects {
    /// The third of main mode.
    KeyExchange,
    /// The fifth of main mode.
    MainProof(Box<ExpectMainProof>),
    /// The third of aggressive mode.
    AggressiveProof(Box<ExpectAggressiveProof>),
}

/// The last question, its answer, and how many octets of answers the peer has paid for by its own.
///
/// Nobody has proven to be where it says, so in sum it never gets more than it has sent. An answer that is too long is
/// kept back until the question has been repeated often enough; that is what makes hybrid mode's certificates, which
/// are longer than any question, possible at all.
#[derive(Debug, Default)]
pub(super) struct Turn {
    question: Vec<u8>,
    answer: Vec<u8>,
    /// Whose credit it is: one address pays for no other's.
    source: Option<SocketAddr>,
    credit: usize,
}

impl Turn {
    /// A question and our answer to it.
    pub(super) fn say(&mut self, node: &mut Node, worker: WorkerId, datagram: &IkeDatagram, answer: Vec<u8>) {
        datagram.bytes.clone_into(&mut self.question);
        self.answer = answer;
        self.pay(node, worker, datagram);
    }

    /// Whether this is the question that was answered last. If so it gets the same answer.
    pub(super) fn repeat(&mut self, node: &mut Node, worker: WorkerId, datagram: &IkeDatagram) -> Asked {
        if self.question != datagram.bytes {
            return Asked::New;
        }
        node.counters.answered_again += 1;
        self.pay(node, worker, datagram);
        Asked::Before
    }

    fn pay(&mut self, node: &mut Node, worker: WorkerId, datagram: &IkeDatagram) {
        if self.source != Some(datagram.path.peer) {
            (self.source, self.credit) = (Some(datagram.path.peer), 0);
        }
        self.credit = self.credit.saturating_add(datagram.bytes.len());
        let Some(left) = self.credit.checked_sub(self.answer.len()) else {
            return node.ignore(Ignored::WouldAmplify);
        };
        self.credit = left;
        node.send_ike(worker, datagram.path, datagram.framing, self.answer.clone());
    }
}

/// A question of phase 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Before,
    New,
}

/// What a message made of it.
pub(crate) enum Step {
    /// It waits on.
    Waits(Box<HalfOpen>),
    /// Phase 1 is done.
    Proven(Box<Proven>),
}

impl HalfOpen {
    /// Why it led to nothing, if the peer says no more, with whom it claimed to be. Who hears a group's answer and falls
    /// silent has another secret, or none: only it knows which.
    pub(crate) fn silence(&self) -> (Cause, Option<&Id>) {
        match &self.expects {
            Expects::AggressiveProof(expects) if expects.connection.is_none() => {
                (Cause::UnknownIdentity, Some(&expects.identity))
            }
            Expects::AggressiveProof(expects) => (Cause::HalfOpenTimeout, Some(&expects.identity)),
            Expects::KeyExchange | Expects::MainProof(_) => (Cause::HalfOpenTimeout, None),
        }
    }

    /// The first message again, perhaps.
    pub(crate) fn repeat(&mut self, node: &mut Node, datagram: &IkeDatagram) -> Asked {
        let worker = self.begun.worker;
        self.begun.turn.repeat(node, worker, datagram)
    }

    /// A message for it.
    pub(crate) fn handle(self: Box<Self>, now: Instant, node: &mut Node, datagram: &IkeDatagram) -> Step {
        let Self { mut begun, expects } = *self;
        let worker = begun.worker;
        if begun.turn.repeat(node, worker, datagram) == Asked::Before {
            return Step::waits(begun, expects);
        }
        let stays = |node: &mut Node, begun, expects, reason| {
            node.ignore(reason);
            Step::waits(begun, expects)
        };
        let Ok(incoming) = parse(&datagram.bytes) else { return stays(node, begun, expects, Ignored::Malformed) };
        if Cookies::of(&incoming.header) != begun.cookies {
            return stays(node, begun, expects, Ignored::UnknownSpi);
        }
        let Body::Fragment(fragment) = &incoming.body else {
            return begun.take(now, node, datagram, &incoming, expects);
        };
        let whole = match begun.fragments.add(now, fragment) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Step::waits(begun, expects),
            Err(reason) => return stays(node, begun, expects, reason),
        };
        node.counters.messages_joined += 1;
        match parse(&whole) {
            Ok(incoming) if Cookies::of(&incoming.header) == begun.cookies => {
                begun.take(now, node, datagram, &incoming, expects)
            }
            Ok(_) | Err(_) => stays(node, begun, expects, Ignored::Malformed),
        }
    }
}

impl Step {
    fn waits(begun: Begun, expects: Expects) -> Self {
        Self::Waits(Box::new(HalfOpen { begun, expects }))
    }
}

impl Begun {
    /// A first message is answered.
    pub(super) fn answering(
        first: First<'_>,
        node: &mut Node,
        heard: Heard,
        offer: IkeOffer,
        sa_i: &[u8],
        answer: Vec<u8>,
    ) -> Self {
        let First { now, id, worker, datagram, arrival } = first;
        let Heard { cookies, client, traversal } = heard;
        let mut turn = Turn::default();
        turn.say(node, worker, datagram, answer);
        Self {
            id,
            arrival,
            cookies,
            path: datagram.path,
            worker,
            since: now,
            client,
            offer,
            sa_i: sa_i.to_vec(),
            traversal,
            turn,
            fragments: Reassembly::default(),
            refused: None,
            wrong: 0,
        }
    }

    /// A whole message. Until its proof is good, nothing changes but what is waited for.
    fn take(
        mut self,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
        expects: Expects,
    ) -> Step {
        let Header { exchange, message_id, .. } = incoming.header;
        if let (Exchange::Informational, Body::Clear(chain)) = (exchange, &incoming.body) {
            self.told(now, node, chain, &expects);
            return Step::waits(self, expects);
        }
        if message_id != 0 || self.wrong >= MOST_WRONG {
            node.ignore(Ignored::UnexpectedExchange);
            return Step::waits(self, expects);
        }
        if !self.has_answered(&expects, datagram) {
            node.ignore(Ignored::OtherAddress);
            return Step::waits(self, expects);
        }
        match (expects, exchange, &incoming.body) {
            (Expects::KeyExchange, Exchange::MainMode, Body::Clear(chain)) => {
                match self.exchange_keys(node, datagram, chain) {
                    Ok(next) => Step::waits(self, Expects::MainProof(Box::new(next))),
                    Err(reason) => {
                        self.wrong += u32::from(reason == Ignored::BadPublicValue);
                        node.ignore(reason);
                        Step::waits(self, Expects::KeyExchange)
                    }
                }
            }
            (Expects::MainProof(expects), Exchange::MainMode, Body::Sealed(sealed)) => {
                match self.main_proof(now, node, &expects, sealed) {
                    Ok(right) => {
                        node.send_ike(self.worker, datagram.path, datagram.framing, right.answer.clone());
                        let phase_1 = (right.keys, right.cipher, right.base);
                        let said = (incoming.bytes.to_vec(), right.answer);
                        let who = (right.connection, right.identity, right.contact);
                        Step::Proven(Box::new(self.proven(now, node, datagram, phase_1, said, who)))
                    }
                    Err((cause, identity)) => {
                        self.wrong += 1;
                        self.refuse(now, node, cause, &identity);
                        Step::waits(self, Expects::MainProof(expects))
                    }
                }
            }
            (Expects::AggressiveProof(expects), Exchange::Aggressive, body @ (Body::Sealed(_) | Body::Clear(_))) => {
                match self.aggressive_proof(now, node, &expects, body, datagram) {
                    Ok(right) => {
                        let ExpectAggressiveProof { identity, keys, cipher, .. } = *expects;
                        let said = (incoming.bytes.to_vec(), Vec::new());
                        let who = (right.connection, identity, right.contact);
                        let phase_1 = (keys, cipher, right.base);
                        Step::Proven(Box::new(self.proven(now, node, datagram, phase_1, said, who)))
                    }
                    Err(cause) => {
                        self.wrong += 1;
                        self.refuse(now, node, cause, &expects.identity.to_string());
                        Step::waits(self, Expects::AggressiveProof(expects))
                    }
                }
            }
            (
                expects @ (Expects::KeyExchange | Expects::MainProof(_) | Expects::AggressiveProof(_)),
                Exchange::MainMode
                | Exchange::Aggressive
                | Exchange::Informational
                | Exchange::Transaction
                | Exchange::QuickMode,
                Body::Clear(_) | Body::Sealed(_) | Body::Fragment(_),
            ) => {
                node.ignore(Ignored::UnexpectedExchange);
                Step::waits(self, expects)
            }
        }
    }

    /// Whether a message may be an answer to what we have sent. Who has heard us at one address could send its proof from
    /// a victim's, where all that follows would go, certificates and repetitions too. Ports change, as clients float.
    fn has_answered(&self, expects: &Expects, datagram: &IkeDatagram) -> bool {
        match expects {
            Expects::KeyExchange => true,
            Expects::MainProof(_) | Expects::AggressiveProof(_) => datagram.path.peer.ip() == self.path.peer.ip(),
        }
    }

    /// Whether the log has said already why it leads to nothing.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// What the peer says in the clear. Anybody on the way may have said it, so it changes nothing; but it is often the
    /// only trace of a wrong group secret, which the client notices first.
    fn told(&mut self, now: Instant, node: &mut Node, chain: &Chain<'_>, expects: &Expects) {
        node.ignore(Ignored::NotProtected);
        let Some(notify) = chain.notifications().find(|notify| notify.kind.is_error()) else { return };
        let (cause, identity) = match expects {
            Expects::AggressiveProof(expects) if expects.connection.is_none() => {
                (Cause::UnknownIdentity, expects.identity.to_string())
            }
            Expects::AggressiveProof(expects) => (Cause::WrongPsk, expects.identity.to_string()),
            Expects::KeyExchange | Expects::MainProof(_) => (Cause::Refused, String::new()),
        };
        tracing::debug!(told = ?notify.kind, "the client says, unprotected, that something is wrong");
        self.refuse(now, node, cause, &identity);
    }

    /// Who that is, for the journal.
    pub(crate) fn stranger(&self, identity: Option<String>) -> Stranger {
        Stranger { session: Some(self.id), identity, connection: None, peer: self.path.peer }
    }

    /// Not let in. The peer is not told: silence is the same for every cause.
    fn refuse(&mut self, now: Instant, node: &mut Node, cause: Cause, identity: &str) {
        if self.refused == Some(cause) {
            return;
        }
        self.refused = Some(cause);
        node.counters.refusals += 1;
        node.tell_refusal(now, self.stranger(Some(identity.to_owned())), cause);
        if let Some(unsaid) = node.log_budget.take(now) {
            tracing::warn!(cause = cause.name(), peer = %self.path.peer, identity, ike = "v1", unsaid,
                "login refused: {}", cause.sentence());
        }
    }

    fn proven(
        self,
        now: Instant,
        node: &Node,
        datagram: &IkeDatagram,
        phase_1: (super::keys::IkeKeys, super::cipher::MessageCipher, super::cipher::Iv),
        said: (Vec<u8>, Vec<u8>),
        who: (usize, Id, Contact),
    ) -> Proven {
        let (keys, cipher, base) = phase_1;
        let (connection, identity, contact) = who;
        let Lives { end, told, quiet } = Lives::new(now, node, connection, (self.since, &self.client), self.offer.life);
        let Self { id, arrival, cookies, client, traversal, offer, worker, .. } = self;
        let role = Role::Responder;
        let phase_1 = Phase1 { role, cookies, keys, cipher, base, client, end: Some(end), last: said };
        let mut sa = IsakmpSa::new(phase_1);
        (sa.life_told, sa.quiet) = (told, quiet);
        let (path, framing) = (datagram.path, datagram.framing);
        let (user, standing) = (proof::wants_user(offer.method), proof::standing(offer.method));
        let clock = LoginClock::start(LoginPhase::Phase1, self.since);
        Proven {
            id,
            arrival,
            connection,
            identity,
            path,
            framing,
            worker,
            sa,
            traversal,
            contact,
            since: now,
            user,
            standing,
            clock,
        }
    }

    /// NAT-D hash of an address, under this phase 1's cookies.
    pub(super) fn nat_d(&self, address: SocketAddr) -> Vec<u8> {
        nat_d_hash(self.offer.hash, self.cookies.initiator, self.cookies.responder, address)
    }
}
