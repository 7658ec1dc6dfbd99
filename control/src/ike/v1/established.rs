//! A session in service: who it is has been proven, its ISAKMP SA answers and asks.

use super::asked::Asked;
use super::books::Books;
use super::called::Called;
use super::dpd::Dpd;
use super::expected::Expected;
use super::isakmp_sa::{Arrived, Cookies, Hashed, IsakmpSa};
use super::login::LoggedIn;
use super::nat_seen::Traversal;
use super::phase_1::{Contact, Proven};
use super::quick_mode::{Agreed, Answered};
use super::rekey::{Unheard, Yielded};
use super::stalling::Suspicion;
use super::wire::{Body, Exchange, Incoming, Payload, parse};
use super::{informational, mode_config, quick_mode, rekey};
use crate::ike::counters::Ignored;
use crate::ike::login_times::LoginClock;
use crate::ike::service::policy::{self, Policy};
use crate::ike::service::{CannotClose, Closed, Farewell, Node, Origin, Peer, Traffic, Tunnel, closed};
use crate::ike::wire::Id;
use crate::session::Cause;
use adit_dataplane::contract::{IkeDatagram, Spi, Transport, Transports};
use adit_dataplane::time::Instant;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a client may be silent before it is told its address unasked (mode config, push).
const PULL: Duration = Duration::from_secs(2);
/// How long one whose user has a session here already: it comes back for that, and its question may have been lost a few times.
const LONG_PULL: Duration = Duration::from_secs(50);
/// How long one whose user has as many as they may: if it does not come back for one of them it is refused. Adit's own choice: clients that we
/// know ask again after 4 and 11.2 seconds (strongSwan) or after 10 (racoon).
const FULL_PULL: Duration = Duration::from_secs(13);

/// In service.
pub(crate) struct Established {
    pub(crate) peer: Peer,
    /// What phase 1 has proven: the group, or the peer itself.
    pub(crate) group: Id,
    pub(super) user: Option<Box<LoggedIn>>,
    /// Since when its user is in by what was said of them last.
    pub(super) granted: Instant,
    pub(super) sa: IsakmpSa,
    pub(super) former: Vec<Former>,
    pub(super) traversal: Traversal,
    pub(super) contact: Contact,
    pub(super) service: Service,
    /// Quick modes of the peer's whose third message is awaited.
    pub(super) answered: Vec<Answered>,
    /// Our own exchange under way.
    pub(super) asked: Option<Asked>,
    /// One that made place for the peer's.
    pub(super) yielded: Option<Yielded>,
    /// New SAs of ours that the peer has not been heard on.
    pub(super) unheard: Vec<Unheard>,
    /// What each ESP SA was made of, by our SPI: a rekey offers just that.
    pub(super) agreed: BTreeMap<Spi, Agreed>,
    pub(super) dpd: Dpd,
    /// That its cTCP connection brings nothing.
    pub(super) suspicion: Option<Box<Suspicion>>,
    pub(super) books: Books,
    pub(super) push_at: Option<Instant>,
    /// Until its login is over.
    pub(super) clock: Option<LoginClock>,
    /// What it has if we have started it.
    pub(super) called: Option<Box<Called>>,
}

/// What the dataplane does for it.
pub(super) enum Service {
    /// It has an address, and carries packets as soon as there is an ESP SA.
    Tunnel(Box<Tunnel>),
    /// It has no address yet.
    Nothing { since: Instant },
}

impl Service {
    pub(super) fn tunnel(&self) -> Option<&Tunnel> {
        match self {
            Self::Tunnel(tunnel) => Some(tunnel),
            Self::Nothing { .. } => None,
        }
    }

    pub(super) fn tunnel_mut(&mut self) -> Option<&mut Tunnel> {
        match self {
            Self::Tunnel(tunnel) => Some(tunnel),
            Self::Nothing { .. } => None,
        }
    }
}

/// An ISAKMP SA that another has taken the session over from. It answers, and makes nothing new.
pub(super) struct Former {
    pub(super) sa: IsakmpSa,
    pub(super) until: Instant,
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
pub(super) enum Which {
    Current,
    Former(usize),
}

impl Established {
    /// In service from now on.
    pub(crate) fn begin(now: Instant, node: &mut Node, proven: Proven, user: Option<Box<LoggedIn>>) -> Self {
        let Proven { id, arrival, connection, identity: group, path, framing, sa, traversal, contact, clock, .. } =
            proven;
        let worker = node.installer.least_loaded();
        node.installer.session_came(worker);
        let identity = user.as_ref().map_or_else(|| group.clone(), |user| user.identity());
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
            policy: Policy::default(),
            closed: Closed::default(),
        };
        let begun = Self::of(now, node, peer, group, sa, traversal);
        let mut session = Self { user, contact, push_at: Some(now + PULL), clock: Some(clock), ..begun };
        if let Some(user) = &session.user {
            policy::warn_of_filter(node, &user.profile);
        }
        session.take_policy(node);
        session
    }

    /// It may not come by this transport for so long; how it may comes back.
    pub(crate) fn close_transport(
        &mut self,
        now: Instant,
        node: &mut Node,
        transport: Transport,
        time: Duration,
        by: &str,
    ) -> Result<Transports, CannotClose> {
        match &self.service {
            Service::Tunnel(tunnel) => closed::close(now, node, &mut self.peer, tunnel, transport, time, by),
            Service::Nothing { .. } => Err(CannotClose::NotUp),
        }
    }

    /// From now on it may what the configuration and its user's profile say now.
    pub(crate) fn take_policy(&mut self, node: &mut Node) {
        let (tunnel, profile) = (self.service.tunnel_mut(), self.user.as_ref().map(|user| &*user.profile));
        policy::apply(node, &mut self.peer, tunnel, profile);
        let said = profile.and_then(|profile| profile.limits.session);
        self.peer.policy.granted = said.map(|_from_then_on| self.granted);
    }

    /// Both ends have proven what they must, and nothing has been done yet.
    pub(super) fn of(now: Instant, node: &mut Node, peer: Peer, group: Id, sa: IsakmpSa, traversal: Traversal) -> Self {
        Self {
            peer,
            group,
            user: None,
            granted: now,
            sa,
            former: Vec::new(),
            traversal,
            contact: Contact::Further,
            service: Service::Nothing { since: now },
            answered: Vec::new(),
            asked: None,
            yielded: None,
            unheard: Vec::new(),
            agreed: BTreeMap::new(),
            dpd: Dpd::new(node),
            suspicion: None,
            books: Books::default(),
            push_at: None,
            clock: None,
            called: None,
        }
    }

    /// A datagram for one of its ISAKMP SAs as a whole message: itself, or what it completes of several fragments. `None`:
    /// the others are still to come.
    pub(crate) fn join<'a>(
        &mut self,
        now: Instant,
        node: &mut Node,
        datagram: &'a IkeDatagram,
    ) -> Option<Cow<'a, IkeDatagram>> {
        let Ok(incoming) = parse(&datagram.bytes) else { return Some(Cow::Borrowed(datagram)) };
        let which = self.which(Cookies::of(&incoming.header));
        let (Body::Fragment(fragment), Some(sa)) = (&incoming.body, which.and_then(|which| self.sa_mut(which))) else {
            return Some(Cow::Borrowed(datagram));
        };
        match sa.fragments.add(now, fragment) {
            Ok(Some(bytes)) => {
                node.counters.messages_joined += 1;
                Some(Cow::Owned(IkeDatagram { bytes, ..*datagram }))
            }
            Ok(None) => None,
            Err(reason) => {
                node.ignore(reason);
                None
            }
        }
    }

    /// A message for one of its ISAKMP SAs, as [`Established::join`] gives it.
    pub(crate) fn handle(&mut self, now: Instant, node: &mut Node, datagram: &IkeDatagram) -> Verdict {
        let Ok(incoming) = parse(&datagram.bytes) else {
            node.ignore(Ignored::Malformed);
            return Verdict::Stay;
        };
        let cookies = Cookies::of(&incoming.header);
        let again = self.called.as_ref().and_then(|called| called.again.as_ref());
        if again.is_some_and(|again| again.spi() == cookies.initiator) {
            self.again(now, node, datagram);
            self.go_on(now, node);
            return Verdict::Stay;
        }
        let Some(which) = self.which(cookies) else {
            node.ignore(Ignored::UnknownSpi);
            return Verdict::Stay;
        };
        self.message(now, node, which, datagram, &incoming)
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
            Ok(Arrived::Again(_)) if self.peer.closed.takes(datagram.framing) => {
                return stays(node, Ignored::TransportClosed);
            }
            Ok(Arrived::Again(answer)) => {
                // No proof of life and no move: whoever recorded the question can send it again from anywhere.
                node.answer_again(self.peer.worker, self.peer.path, datagram, answer);
                return Verdict::Stay;
            }
            Err(reason) => return stays(node, reason),
        };
        let Ok(chain) = opened.chain() else { return stays(node, Ignored::BadHash) };
        let (message_id, cookies) = (incoming.header.message_id, Cookies::of(&incoming.header));
        let expected = self.expected_hash(which, cookies, message_id);
        let Some(sa) = self.sa_mut(which) else { return Verdict::Stay };
        let right = match &expected {
            Expected::First => sa.vouches(message_id, &chain, Hashed::One),
            Expected::Second { nonce_i } => sa.vouches(message_id, &chain, Hashed::Two { nonce_i }),
            Expected::Third { hash } => chain.hash().is_some_and(|said| *hash == said.into()),
        };
        if !right {
            return stays(node, Ignored::BadHash);
        }
        if !expected.stands_in(incoming.header.exchange, &chain) {
            return stays(node, Ignored::UnexpectedExchange);
        }
        if self.peer.closed.takes(datagram.framing) && !informational::is_goodbye(cookies, &chain) {
            // Nothing has changed: the same message counts where it comes another way.
            return stays(node, Ignored::TransportClosed);
        }
        let Some(sa) = self.sa_mut(which) else { return Verdict::Stay };
        sa.accept(incoming, &opened);
        if which == Which::Current {
            self.asked.take_if(|asked| matches!(asked, Asked::LifeTime(_)));
        }
        let verdict = match (incoming.header.exchange, &expected) {
            (Exchange::QuickMode, Expected::Third { .. }) => {
                self.fresh(now, node, datagram);
                quick_mode::finish(now, node, self, cookies, message_id);
                Verdict::Stay
            }
            (Exchange::QuickMode, Expected::Second { .. }) => {
                self.fresh(now, node, datagram);
                rekey::answered(now, node, self, message_id, &chain);
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
                match informational::obey(now, node, self, cookies, datagram, &chain) {
                    informational::SaFate::Stays => Verdict::Stay,
                    informational::SaFate::Deleted => self.deleted(node, which),
                    informational::SaFate::Useless => self.close(node, Cause::Refused),
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

    /// Sends on the current ISAKMP SA.
    pub(super) fn send(&mut self, now: Instant, node: &mut Node, bytes: Vec<u8>) {
        self.peer.send(now, node, bytes);
    }

    /// An informational message of ours.
    pub(super) fn inform(&mut self, now: Instant, node: &mut Node, payload: Payload) {
        let message_id = self.sa.new_message_id(node);
        let bytes = self.sa.say(node, Exchange::Informational, message_id, Hashed::One, &[payload]);
        self.send(now, node, bytes);
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

    /// Ends the ESP SA with this inbound SPI.
    pub(crate) fn delete_child(&mut self, now: Instant, node: &mut Node, spi_in: Spi) {
        if let Service::Tunnel(tunnel) = &mut self.service
            && let Some(index) = tunnel.child_from(spi_in)
        {
            tunnel.doom(now, node, index);
        }
        self.go_on(now, node);
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

    /// Whether it is about to be told its address unasked.
    pub(crate) fn is_to_be_pushed(&self, now: Instant) -> bool {
        self.push_at.is_some_and(|at| at <= now)
    }

    /// It is given more time to ask; less if it would be one too many.
    pub(crate) fn put_off_push(&mut self, now: Instant, is_one_too_many: bool) {
        let last = self.peer.login + if is_one_too_many { FULL_PULL } else { LONG_PULL };
        self.push_at = Some(if now < last { last } else { now });
    }

    /// Whether the client says that it has lost whatever it had.
    pub(crate) fn is_initial(&self) -> bool {
        self.contact == Contact::Initial
    }

    /// It has a child SA to send on: its login is over.
    pub(super) fn logged_in(&mut self, now: Instant, node: &mut Node) {
        if let Some(clock) = self.clock.take() {
            clock.end(now, &mut node.counters.login_times);
        }
    }

    /// An address has been asked for, or given: nothing need be pushed.
    pub(super) fn forget_push(&mut self) {
        self.push_at = None;
    }

    pub(super) fn open_books(&mut self, now: Instant, node: &mut Node) {
        let (Some(user), Service::Tunnel(tunnel)) = (&self.user, &self.service) else { return };
        let account = user.account(node, &self.peer, &self.group, tunnel.inner.addresses());
        let interim = user.profile.interim;
        self.books = Books::open(now, node, account, interim);
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
