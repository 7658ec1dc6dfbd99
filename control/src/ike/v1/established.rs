//! A session in service: who it is has been proven, its ISAKMP SA answers and asks.

use super::asked::Asked;
use super::books::Books;
use super::dpd::{self, Dpd, Freshness, Silence};
use super::isakmp_sa::{Arrived, Cookies, Hashed, IsakmpSa};
use super::login::LoggedIn;
use super::nat_seen::Traversal;
use super::phase_1::{Contact, Proven, login_of};
use super::quick_mode::{Agreed, Answered};
use super::wire::{Body, Delete, Exchange, Incoming, NotifyKind, Payload, Vendor, mode_config_number, parse};
use super::{informational, mode_config, quick_mode, rekey};
use crate::aaa::Limits;
use crate::ike::counters::Ignored;
use crate::ike::service::{Behind, Child, FORMER, Farewell, Node, Origin, Peer, Retry, Traffic, Tunnel};
use crate::ike::wire::Id;
use crate::lease::Ask;
use crate::session::Cause;
use adit_dataplane::contract::{
    Command, Direction, EspPath, IkeDatagram, IkeFraming, Move, Path, Reached, Spi, Transport, TunnelKey,
};
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a session may be without an ESP SA. Adit's own choice: IKEv1 clients make the next one when they need it,
/// or after they have typed a password.
const CHILDLESS: Duration = Duration::from_secs(60);
/// How long a client may be silent after login before it is told its address unasked (mode config, push).
const PULL: Duration = Duration::from_secs(2);
/// So many ISAKMP SAs that were taken over may wait for their deletes.
const MOST_FORMER: usize = 2;

/// In service.
pub(crate) struct Established {
    pub(crate) peer: Peer,
    /// What phase 1 has proven: the group, or the peer itself.
    pub(crate) group: Id,
    pub(super) user: Option<Box<LoggedIn>>,
    pub(super) sa: IsakmpSa,
    former: Vec<Former>,
    pub(super) traversal: Traversal,
    pub(super) contact: Contact,
    pub(super) service: Service,
    /// Quick modes of the peer's whose third message is awaited.
    pub(super) answered: Vec<Answered>,
    /// Our own exchange under way.
    pub(super) asked: Option<Asked>,
    /// What each ESP SA was made of, by our SPI: a rekey offers just that.
    pub(super) agreed: BTreeMap<Spi, Agreed>,
    dpd: Dpd,
    books: Books,
    limits: Limits,
    push_at: Option<Instant>,
}

/// What the dataplane does for it.
pub(super) enum Service {
    /// It has an address, and carries packets as soon as there is an ESP SA.
    Tunnel(Box<Tunnel>),
    /// It has no address yet.
    Nothing { since: Instant },
}

/// An ISAKMP SA that another has taken the session over from. It answers, and makes nothing new.
struct Former {
    sa: IsakmpSa,
    until: Instant,
}

/// What becomes of a session.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It goes on.
    Stay,
    /// It is over.
    Gone(Cause, Option<Farewell>),
}

/// What a session without an address is about to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This address, if it may.
    Address(Ipv4Addr),
    /// Any address.
    Any,
}

/// Which of its ISAKMP SAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Current,
    Former(usize),
}

impl Established {
    /// In service from now on.
    pub(crate) fn begin(now: Instant, node: &mut Node, proven: Proven, user: Option<Box<LoggedIn>>) -> Self {
        let Proven { id, arrival, connection, identity: group, path, framing, sa, traversal, contact, .. } = proven;
        let worker = node.installer.least_loaded();
        node.installer.session_came(worker);
        let identity = user.as_ref().map_or_else(|| group.clone(), |user| user.identity());
        let limits = limits(node, connection, user.as_deref());
        let peer = Peer {
            id,
            identity,
            connection,
            origin: Origin::Came(arrival),
            nat: traversal.nat,
            worker,
            path,
            framing,
            login: now,
            heard: now,
            sent: now,
        };
        Self {
            peer,
            group,
            user,
            sa,
            former: Vec::new(),
            traversal,
            contact,
            service: Service::Nothing { since: now },
            answered: Vec::new(),
            asked: None,
            agreed: BTreeMap::new(),
            dpd: Dpd::new(node),
            books: Books::default(),
            limits,
            push_at: Some(now + PULL),
        }
    }

    /// What a message is about to claim for a session without an address; nothing changes. `None`: it claims nothing.
    pub(crate) fn claim(&self, datagram: &IkeDatagram) -> Option<Claim> {
        let Service::Nothing { .. } = self.service else { return None };
        let incoming = parse(&datagram.bytes).ok()?;
        let Ok(Arrived::New(opened)) = self.sa.open(&incoming) else { return None };
        let chain = opened.chain().ok()?;
        if Cookies::of(&incoming.header) != self.sa.cookies()
            || !self.sa.vouches(incoming.header.message_id, &chain, Hashed::One)
        {
            return None;
        }
        match incoming.header.exchange {
            Exchange::Transaction => chain.iter().find_map(|payload| match payload {
                Payload::ModeConfig(config) if config.find(mode_config_number::IP4_ADDRESS).is_some() => {
                    match super::given::want(config).v4 {
                        Ask::Rather(address) => Some(Claim::Address(address)),
                        Ask::Any => Some(Claim::Any),
                        Ask::Nothing => None,
                    }
                }
                _another => None,
            }),
            Exchange::QuickMode => quick_mode::client_address(&chain).map(Claim::Address),
            Exchange::Informational | Exchange::MainMode | Exchange::Aggressive => None,
        }
    }

    /// Another phase 1 of the same user's has come for this session: it goes on under that. The older one stays for a
    /// while, for what is under way and for its delete.
    pub(crate) fn take_over(&mut self, now: Instant, node: &mut Node, newer: Self) {
        let Self { peer, user, sa, traversal, .. } = newer;
        node.installer.session_left(peer.worker);
        node.hand_over_spi(sa.spi(), self.peer.id);
        let before = std::mem::replace(&mut self.sa, sa);
        if let Some(asked) = self.asked.take() {
            asked.let_go(node);
        }
        self.answered.clear();
        self.former.push(Former { sa: before, until: now + FORMER });
        if self.former.len() > MOST_FORMER {
            let Former { sa, .. } = self.former.remove(0);
            node.forget_ike_spi(sa.spi());
        }
        self.user = user;
        self.traversal = traversal;
        self.peer.nat = traversal.nat;
        self.dpd = Dpd::new(node);
        self.peer.heard = now;
        self.peer.framing = peer.framing;
        self.relocate(node, peer.path, "another phase 1");
        tracing::info!(identity = %self.peer.identity, peer = %self.peer.path.peer, ike = %self.sa.suite(),
            "the client has re-authenticated: another phase 1 takes the session over");
    }

    /// A datagram for one of its ISAKMP SAs.
    pub(crate) fn handle(&mut self, now: Instant, node: &mut Node, datagram: &IkeDatagram) -> Verdict {
        let Ok(incoming) = parse(&datagram.bytes) else {
            node.ignore(Ignored::Malformed);
            return Verdict::Stay;
        };
        let cookies = Cookies::of(&incoming.header);
        let Some(which) = self.which(cookies) else {
            node.ignore(Ignored::UnknownSpi);
            return Verdict::Stay;
        };
        let Body::Fragment(fragment) = &incoming.body else {
            return self.message(now, node, which, datagram, &incoming);
        };
        let whole = match self.sa_mut(which).map(|sa| sa.fragments.add(now, fragment)) {
            Some(Ok(Some(whole))) => whole,
            Some(Ok(None)) | None => return Verdict::Stay,
            Some(Err(reason)) => {
                node.ignore(reason);
                return Verdict::Stay;
            }
        };
        node.counters.messages_joined += 1;
        match parse(&whole) {
            Ok(incoming) if Cookies::of(&incoming.header) == cookies => {
                self.message(now, node, which, datagram, &incoming)
            }
            Ok(_) | Err(_) => {
                node.ignore(Ignored::Malformed);
                Verdict::Stay
            }
        }
    }

    /// A whole message. Until its hash is right, nothing changes.
    fn message(
        &mut self,
        now: Instant,
        node: &mut Node,
        which: Which,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Verdict {
        let stays = |node: &mut Node, reason| {
            node.ignore(reason);
            Verdict::Stay
        };
        let Some(sa) = self.sa_mut(which) else { return Verdict::Stay };
        let opened = match sa.open(incoming) {
            Ok(Arrived::New(opened)) => opened,
            Ok(Arrived::Again(answer)) if answer.is_empty() => return stays(node, Ignored::OldMessageId),
            Ok(Arrived::Again(answer)) => {
                // No proof of life and no move: whoever recorded the question can send it again from anywhere.
                node.answer_again(self.peer.worker, self.peer.path, datagram, answer);
                return Verdict::Stay;
            }
            Err(reason) => return stays(node, reason),
        };
        let Ok(chain) = opened.chain() else { return stays(node, Ignored::BadHash) };
        let message_id = incoming.header.message_id;
        let expected = match which {
            Which::Current => self.expected_hash(message_id),
            Which::Former(_) => Expected::First,
        };
        let Some(sa) = self.sa_mut(which) else { return Verdict::Stay };
        let right = match &expected {
            Expected::First => sa.vouches(message_id, &chain, Hashed::One),
            Expected::Second { nonce_i } => sa.vouches(message_id, &chain, Hashed::Two { nonce_i }),
            Expected::Third { hash } => chain.hash().is_some_and(|said| *hash == said.into()),
        };
        if !right {
            return stays(node, Ignored::BadHash);
        }
        sa.accept(incoming, &opened);
        let verdict = match (incoming.header.exchange, &expected) {
            (Exchange::QuickMode, Expected::Third { .. }) => {
                self.fresh(now, node, datagram);
                quick_mode::finish(now, node, self, message_id);
                Verdict::Stay
            }
            (Exchange::QuickMode, Expected::Second { .. }) => {
                self.fresh(now, node, datagram);
                rekey::answered(now, node, self, &chain);
                Verdict::Stay
            }
            (Exchange::QuickMode, Expected::First) if which == Which::Current => {
                self.fresh(now, node, datagram);
                quick_mode::answer(now, node, self, message_id, &chain);
                Verdict::Stay
            }
            (Exchange::Transaction, Expected::First) if which == Which::Current => {
                self.fresh(now, node, datagram);
                mode_config::obey(now, node, self, message_id, &chain)
            }
            (Exchange::Informational, Expected::First) => {
                match informational::obey(now, node, self, Cookies::of(&incoming.header), datagram, &chain) {
                    informational::SaFate::Stays => Verdict::Stay,
                    informational::SaFate::Deleted => self.deleted(node, which),
                }
            }
            (
                Exchange::QuickMode
                | Exchange::Transaction
                | Exchange::Informational
                | Exchange::MainMode
                | Exchange::Aggressive,
                Expected::First | Expected::Second { .. } | Expected::Third { .. },
            ) => stays(node, Ignored::UnexpectedExchange),
        };
        match verdict {
            Verdict::Stay => self.go_on(now, node),
            Verdict::Gone(..) => {}
        }
        verdict
    }

    /// Which hash stands in the next message with this ID.
    fn expected_hash(&self, message_id: u32) -> Expected {
        if let Some(answered) = self.answered.iter().find(|answered| answered.message_id == message_id) {
            let hash = self.sa.keys().hash_3(message_id, &answered.nonce_i, &answered.nonce_r);
            return Expected::Third { hash };
        }
        match self.asked.as_ref().and_then(|asked| asked.quick_nonce(message_id)) {
            Some(nonce_i) => Expected::Second { nonce_i },
            None => Expected::First,
        }
    }

    /// A message that cannot be an old one: the peer lives, and is where it came from.
    pub(super) fn fresh(&mut self, now: Instant, node: &mut Node, datagram: &IkeDatagram) {
        self.peer.heard = now;
        self.dpd.heard();
        let may_move = match self.peer.nat.peer {
            Behind::Nat => datagram.framing == IkeFraming::NonEspMarker || self.peer.framing == IkeFraming::Bare,
            Behind::Nothing => false,
        };
        if may_move && datagram.path != self.peer.path {
            node.counters.moves_by_ike += 1;
            self.peer.framing = datagram.framing;
            self.relocate(node, datagram.path, "IKE");
        }
    }

    /// IKE goes there from now on, and the tunnel with it.
    fn relocate(&mut self, node: &mut Node, to: Path, by: &str) {
        if to == self.peer.path {
            return;
        }
        tracing::info!(from = %self.peer.path.peer, to = %to.peer, by, "peer moved");
        self.peer.path = to;
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let Some(to) = tunnel.path.beside(to) else { return };
        let from = std::mem::replace(&mut tunnel.path, to);
        if from != to {
            let order = Move { tunnel: tunnel.key, from, to };
            node.installer.command(tunnel.key.worker, Command::MoveTunnel(Box::new(order)));
        }
    }

    /// The peer has ended one of its ISAKMP SAs.
    fn deleted(&mut self, node: &mut Node, which: Which) -> Verdict {
        match which {
            Which::Current => Verdict::Gone(Cause::PeerDeleted, None),
            Which::Former(at) => {
                let Former { sa, .. } = self.former.remove(at);
                node.forget_ike_spi(sa.spi());
                Verdict::Stay
            }
        }
    }

    /// Sends on the current ISAKMP SA.
    pub(super) fn send(&mut self, now: Instant, node: &mut Node, bytes: Vec<u8>) {
        self.peer.sent = now;
        node.send_ike(self.peer.worker, self.peer.path, self.peer.framing, bytes);
    }

    /// An informational message of ours.
    pub(super) fn inform(&mut self, now: Instant, node: &mut Node, payload: Payload) {
        let message_id = self.sa.new_message_id(node);
        let bytes = self.sa.say(node, Exchange::Informational, message_id, Hashed::One, &[payload]);
        self.send(now, node, bytes);
    }

    /// What is to be done after anything has happened.
    fn go_on(&mut self, now: Instant, node: &mut Node) {
        quick_mode::expire(now, node, self);
        rekey::switch_if_time(now, node, self);
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        tunnel.sweep(now, node);
        let doomed = tunnel.take_doomed();
        if !doomed.is_empty() {
            // IKEv1 has no answer to a delete (RFC 2408 section 3.15): said is done.
            tunnel.deleted(&doomed, now + node.config.ike.rekey_grace);
            let spis = doomed.iter().map(|spi| spi.get()).collect();
            self.inform(now, node, Payload::Delete(Delete::Esp(spis)));
        }
        let Service::Tunnel(tunnel) = &self.service else { return };
        self.agreed.retain(|spi, _| tunnel.children.iter().any(|child| child.spi_in == *spi));
        let in_use = tunnel.children.iter().any(Child::is_active);
        if in_use && !self.books.is_open() {
            self.open_books(now, node);
        }
        rekey::ask_if_time(now, node, self);
    }

    /// Its time has come.
    pub(crate) fn timeout(&mut self, now: Instant, node: &mut Node) -> Verdict {
        self.go_on(now, node);
        if let Some(cause) = self.over(now) {
            return self.close(node, cause);
        }
        for at in (0..self.former.len()).rev() {
            if self.former.get(at).is_some_and(|former| former.until <= now) {
                let Former { sa, .. } = self.former.remove(at);
                node.forget_ike_spi(sa.spi());
            }
        }
        if self.push_at.is_some_and(|at| at <= now) {
            self.push_at = None;
            if let Err(cause) = mode_config::push(now, node, self) {
                return self.close(node, cause);
            }
        }
        let patience = node.patience();
        match self.asked.as_mut().map(|asked| asked.retry(now, &patience)) {
            None | Some(Retry::NotYet) => {}
            Some(Retry::Again(bytes)) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                self.send(now, node, bytes);
            }
            Some(Retry::Dead) => {
                if let Some(asked) = self.asked.take() {
                    asked.let_go(node);
                }
                if self.sa.client.is(Vendor::Dpd) {
                    rekey::put_off(now, node, self);
                } else {
                    return Verdict::Gone(Cause::PeerDead, None);
                }
            }
        }
        let traffic = self.traffic();
        self.books.look(now, node, traffic);
        self.ask_if_quiet(now, node)
    }

    fn ask_if_quiet(&mut self, now: Instant, node: &mut Node) -> Verdict {
        if !self.sa.client.is(Vendor::Dpd) {
            return Verdict::Stay;
        }
        let (heard, delay, patience) = (self.heard(), node.config.ike.dpd_delay, node.patience());
        match self.dpd.look(now, heard, delay, &patience) {
            Silence::NotYet => Verdict::Stay,
            Silence::Dead => Verdict::Gone(Cause::PeerDead, None),
            Silence::Ask(number) => {
                tracing::debug!("asking whether the peer lives");
                let question = dpd::payload(NotifyKind::RUThere, self.sa.cookies(), number);
                self.inform(now, node, question);
                Verdict::Stay
            }
        }
    }

    /// Why it is to end now, if it is.
    fn over(&self, now: Instant) -> Option<Cause> {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.limits.session.map(|most| self.peer.login + most)) {
            return Some(Cause::SessionTimeout);
        }
        if passed(self.limits.idle.map(|most| self.used() + most)) {
            return Some(Cause::IdleTimeout);
        }
        if passed(self.sa.end) {
            return Some(Cause::Expired);
        }
        passed(self.empty_since().map(|since| since + CHILDLESS)).then_some(Cause::Childless)
    }

    /// When [`Established::timeout`] has something to do.
    pub(crate) fn deadline(&self, node: &Node) -> Option<Instant> {
        let tunnel = match &self.service {
            Service::Tunnel(tunnel) => tunnel.deadline(),
            Service::Nothing { .. } => None,
        };
        let dpd =
            self.sa.client.is(Vendor::Dpd).then(|| self.dpd.due(self.heard(), node.config.ike.dpd_delay)).flatten();
        let deadlines = [
            tunnel,
            dpd,
            self.empty_since().map(|since| since + CHILDLESS),
            self.limits.session.map(|most| self.peer.login + most),
            self.limits.idle.map(|most| self.used() + most),
            self.sa.end,
            self.former.iter().map(|former| former.until).min(),
            self.answered.iter().map(|answered| answered.until).min(),
            self.push_at,
            self.asked.as_ref().map(Asked::due),
            rekey::due(self),
            rekey::switch_due(self),
            self.books.due(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Ends it: the peer is told, once; who asks again is told again for a while.
    pub(crate) fn close(&mut self, node: &mut Node, cause: Cause) -> Verdict {
        let bytes = self.sa.goodbye(node);
        node.send_ike(self.peer.worker, self.peer.path, self.peer.framing, bytes.clone());
        Verdict::Gone(cause, Some(Farewell::to_anything(self.sa.spi(), bytes)))
    }

    /// It has proven everything and may not in all the same.
    pub(crate) fn refuse(&mut self, now: Instant, node: &mut Node, cause: Cause) -> Verdict {
        node.counters.refusals += 1;
        if let Some(unsaid) = node.log_budget.take(now) {
            tracing::warn!(cause = cause.name(), identity = %self.peer.identity, group = %self.group,
                peer = %self.peer.path.peer, unsaid, "login refused: {}", cause.sentence());
        }
        self.close(node, cause)
    }

    /// Its ESP SAs are replaced as soon as they can be.
    pub(crate) fn rekey_children(&mut self, now: Instant, node: &mut Node) {
        if let Service::Tunnel(tunnel) = &mut self.service {
            for child in tunnel.children.iter_mut().filter(|child| child.is_active()) {
                child.life.rekey = Some(now);
            }
        }
        self.go_on(now, node);
    }

    /// The dataplane lets go of it, and the books are closed.
    pub(crate) fn stop_service(&mut self, now: Instant, node: &mut Node, cause: Cause) -> Traffic {
        if let Some(asked) = self.asked.take() {
            asked.let_go(node);
        }
        let traffic = match std::mem::replace(&mut self.service, Service::Nothing { since: now }) {
            Service::Tunnel(tunnel) => tunnel.take_down(node),
            Service::Nothing { .. } => Traffic::default(),
        };
        self.books.close(now, node, traffic, cause);
        node.forget_ike_spi(self.sa.spi());
        for Former { sa, .. } in self.former.drain(..) {
            node.forget_ike_spi(sa.spi());
        }
        traffic
    }

    /// The peer has used one of our SAs for the first time.
    pub(crate) fn first_use(&mut self, now: Instant, node: &mut Node, spi: Spi) {
        if let Service::Tunnel(tunnel) = &mut self.service {
            tunnel.first_use(now, node, spi);
        }
        // Its third message may be under way still: a worker tells of a first packet before it hands over what came
        // with it.
        self.go_on(now, node);
    }

    /// An SA has reached a limit of its lifetime.
    pub(crate) fn lifetime(
        &mut self,
        now: Instant,
        node: &mut Node,
        pair: Spi,
        direction: Direction,
        reached: Reached,
    ) {
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let Some(index) = tunnel.child_from(pair) else { return };
        tracing::info!(spi_in = %pair, ?direction, ?reached, "child SA has reached a limit");
        if let Some(child) = tunnel.children.get_mut(index) {
            child.life.rekey = Some(now);
        }
        match reached {
            Reached::Soft => {}
            Reached::Hard => tunnel.doom(now, node, index),
        }
        self.go_on(now, node);
    }

    /// The worker says where packets go now. It has the last word. IKE on port 4500 shares its NAT's mapping with ESP
    /// there, so it goes along; anything else says nothing about where IKE is.
    pub(crate) fn moved(&mut self, node: &mut Node, key: TunnelKey, path: EspPath) {
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        if tunnel.key != key || tunnel.path == path {
            return;
        }
        let from = std::mem::replace(&mut tunnel.path, path);
        tracing::info!(from = %from.path().peer, to = %path.path().peer, was = %from.transport(),
            transport = %path.transport(), by = "ESP", "peer moved");
        node.counters.moves_by_esp += 1;
        if (path.transport(), self.peer.framing) == (Transport::NatT, IkeFraming::NonEspMarker) {
            self.peer.path = path.path();
        }
    }

    /// When an authenticated packet last came, IKE or ESP.
    pub(super) fn heard(&self) -> Instant {
        match &self.service {
            Service::Tunnel(tunnel) => self.peer.heard.max(tunnel.last_received()),
            Service::Nothing { .. } => self.peer.heard,
        }
    }

    /// When the client last sent an inner packet; its login if it never did.
    fn used(&self) -> Instant {
        match &self.service {
            Service::Tunnel(tunnel) => self.peer.login.max(tunnel.last_received()),
            Service::Nothing { .. } => self.peer.login,
        }
    }

    fn empty_since(&self) -> Option<Instant> {
        match &self.service {
            Service::Tunnel(tunnel) => tunnel.empty_since(),
            Service::Nothing { since } => Some(*since),
        }
    }

    /// All traffic so far.
    pub(crate) fn traffic(&self) -> Traffic {
        match &self.service {
            Service::Tunnel(tunnel) => tunnel.traffic(),
            Service::Nothing { .. } => Traffic::default(),
        }
    }

    /// Whether it has this inner address.
    pub(crate) fn has_address(&self, address: Ipv4Addr) -> bool {
        match &self.service {
            Service::Tunnel(tunnel) => tunnel.inner.addresses().contains(&address.into()),
            Service::Nothing { .. } => false,
        }
    }

    /// Whether an address has been given to it.
    pub(crate) fn has_service(&self) -> bool {
        matches!(self.service, Service::Tunnel(_))
    }

    /// Whether the client says that it has lost whatever it had.
    pub(crate) fn is_initial(&self) -> bool {
        self.contact == Contact::Initial
    }

    /// An address has been asked for, or given: nothing need be pushed.
    pub(super) fn forget_push(&mut self) {
        self.push_at = None;
    }

    fn open_books(&mut self, now: Instant, node: &mut Node) {
        let (Some(user), Service::Tunnel(tunnel)) = (&self.user, &self.service) else { return };
        let account = user.account(node, &self.peer, &self.group, tunnel.inner.addresses());
        let interim = user.profile.interim;
        self.books = Books::open(now, node, account, interim);
    }

    /// The peer asks with this number whether we live.
    pub(super) fn dpd_asked(&mut self, number: u32) -> Freshness {
        self.dpd.asked_with(number)
    }

    /// The peer lives, says an answer with this number.
    pub(super) fn dpd_answered(&mut self, number: u32) -> Freshness {
        self.dpd.answered_with(number)
    }

    /// An informational message of ours on the ISAKMP SA with these cookies.
    pub(super) fn inform_on(&mut self, now: Instant, node: &mut Node, cookies: Cookies, payload: Payload) {
        let Some(sa) = self.which(cookies).and_then(|which| self.sa_mut(which)) else { return };
        let message_id = sa.new_message_id(node);
        let bytes = sa.say(node, Exchange::Informational, message_id, Hashed::One, &[payload]);
        self.send(now, node, bytes);
    }

    fn which(&self, cookies: Cookies) -> Option<Which> {
        if self.sa.cookies() == cookies {
            return Some(Which::Current);
        }
        self.former.iter().position(|former| former.sa.cookies() == cookies).map(Which::Former)
    }

    fn sa_mut(&mut self, which: Which) -> Option<&mut IsakmpSa> {
        match which {
            Which::Current => Some(&mut self.sa),
            Which::Former(at) => self.former.get_mut(at).map(|former| &mut former.sa),
        }
    }
}

/// Which hash is to stand in a message.
enum Expected {
    First,
    Second { nonce_i: Vec<u8> },
    Third { hash: adit_crypto::secret::SecretBytes },
}

/// The user's own limits, where the server has some, else the connection's.
fn limits(node: &Node, connection: usize, user: Option<&LoggedIn>) -> Limits {
    let of_connection = login_of(node, connection).map(|login| login.limits).unwrap_or_default();
    let own = user.map(|user| user.profile.limits).unwrap_or_default();
    Limits { session: own.session.or(of_connection.session), idle: own.idle.or(of_connection.idle) }
}
