//! Phase 1 as the initiator: what main and aggressive mode have in common (RFC 2409 section 5).
//!
//! ```text
//!           our first message          the responder's proof is good            the user is in
//!  nothing ──────────────────▶ Calling ────────────────────────▶ Entering ──────────────────▶ Established
//!     main, aggressive          │   │        (XAUTH)               │ refused                  (mode config, quick mode)
//!                     no answer │   └── no XAUTH ──────────────────┼────────────────────────▶
//!                               ▼                                  ▼
//!                            nothing                            nothing
//! ```
//! Nothing is committed to before the responder's hash or signature is right. What is wrong may be anybody's on the way:
//! it is remembered, and ends the call only if nothing right has come when we would have asked again.

use super::calling_aggressive::{self, AwaitsSecond};
use super::calling_main::{self, AwaitsFourth, AwaitsSixth};
use super::client::Client;
use super::fragments::Reassembly;
use super::group;
use super::isakmp_sa::{Cookies, clear};
use super::nat_seen::{Traversal, traversals};
use super::offer;
use super::phase_1::login_of;
use super::reached::Reached;
use super::repeated::Repeated;
use super::wire::{
    Body, Chain, Exchange, IkeOffer, IkeSpi, Incoming, NatTraversal, Payload, Vendor, parse, payload_body,
};
use crate::config::checked::LoginV1;
use crate::ike::counters::Ignored;
use crate::ike::service::{Call, CallFailed, Carriage, CtcpManner, Held, Life, Mode, Node, Patience, Retry, Times};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path, Transports, WorkerId};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// Phase 1 is under way, and we have started it.
pub(crate) struct Calling {
    pub(super) started: Started,
    awaits: Awaits,
}

/// What is known in all of it.
pub(super) struct Started {
    pub(super) id: SessionId,
    pub(super) call: Call,
    pub(super) worker: WorkerId,
    pub(super) since: Instant,
    pub(super) cookie: IkeSpi,
    pub(super) offers: Vec<IkeOffer>,
    /// SAi_b: both proofs cover it.
    pub(super) sa_i: Vec<u8>,
    pub(super) client: Client,
    pub(super) life: Life,
    /// What waits for its answer, and where it goes.
    said: Repeated,
    patience: Patience,
    pub(super) along: (Path, IkeFraming),
    fragments: Reassembly,
    doubt: Option<CallFailed>,
    wrong: u32,
}

/// Which message comes next.
pub(super) enum Awaits {
    /// Aggressive mode's second.
    Second(Box<AwaitsSecond>),
    /// Main mode's second: what the responder has chosen.
    Choice,
    /// Main mode's fourth: its public value.
    Fourth(Box<AwaitsFourth>),
    /// Main mode's sixth: its proof.
    Sixth(Box<AwaitsSixth>),
}

/// Where a right message leads.
pub(super) enum Next {
    Awaits(Awaits),
    Proven(Box<Reached>),
}

/// Why a message leads nowhere.
pub(super) enum Wrong {
    /// Anything may have been meant.
    Ignored(Ignored),
    /// An answer, and not one that we take.
    Doubt(CallFailed),
}

impl Wrong {
    pub(super) fn doubt(cause: Cause, why: impl std::fmt::Display) -> Self {
        Self::Doubt(CallFailed::new(cause, why))
    }
}

/// What an event makes of a call.
pub(crate) enum CallStep {
    /// It waits on.
    Waits(Box<Calling>),
    /// Phase 1 is done.
    Reached(Box<Reached>),
    /// No session comes of it.
    Failed(Held, CallFailed),
}

/// Answers that are wrong after which no other is looked at: each costs a key exchange.
const MOST_WRONG: u32 = 5;

/// Octets of a vendor ID that means nothing: a responder that gives no more than it gets has room for its own, and for
/// hashes of 64 octets. adit's leaves out that it does DPD if there is none.
const ROOM: usize = 112;

/// How long an ISAKMP SA lives if the configuration does not say (`rekey_time`).
const DAY: Duration = Duration::from_secs(86_400);

impl Calling {
    /// Whether anything has come that led on.
    pub(crate) fn is_answered(&self) -> bool {
        match self.awaits {
            Awaits::Second(_) | Awaits::Choice => false,
            Awaits::Fourth(_) | Awaits::Sixth(_) => true,
        }
    }

    /// Sends the first message. `None`: there is no such connection, or it proposes nothing for that mode.
    pub(crate) fn begin(now: Instant, node: &mut Node, id: SessionId, worker: WorkerId, call: Call) -> Option<Self> {
        let lives = match node.config.ike.rekey_time {
            Duration::ZERO => DAY,
            configured => configured,
        };
        let offers = offer::phase_1(login_of(node, call.connection)?, call.v1.mode, lives.as_secs());
        let method = offers.first()?.method;
        let life = Life::new(now, &mut *node.random, Times { rekey: lives, over: node.config.ike.over_time });
        let cookie = node.new_ike_spi(id);
        let sa = Payload::Sa(vec![offer::phase_1_proposal(&offers)]);
        let sa_i = payload_body(&sa);
        let (exchange, awaits, needed) = match call.v1.mode {
            Mode::Aggressive => {
                let (awaits, needed) = calling_aggressive::first(node, &call, offers.first()?.group, sa);
                (Exchange::Aggressive, Awaits::Second(Box::new(awaits)), needed)
            }
            Mode::Main => (Exchange::MainMode, Awaits::Choice, vec![sa]),
        };
        let payloads: Vec<Payload> = needed.into_iter().chain(vendor_ids(node, &call)).collect();
        let cookies = Cookies { initiator: cookie, responder: IkeSpi::default() };
        let bytes = clear(cookies, exchange, &payloads);
        let patience = match call.v1.mode {
            Mode::Aggressive => calling_aggressive::patience(node, method),
            Mode::Main => node.patience(),
        };
        let along = (call.path, call.carriage.framing());
        node.send_ike(worker, along.0, along.1, bytes.clone());
        let said = Repeated::new(now, &patience, bytes);
        let started = Started {
            id,
            call,
            worker,
            since: now,
            cookie,
            offers,
            sa_i,
            client: Client::default(),
            life,
            said,
            patience,
            along,
            fragments: Reassembly::default(),
            doubt: None,
            wrong: 0,
        };
        Some(Self { started, awaits })
    }

    /// A datagram with our cookie.
    pub(crate) fn handle(mut self: Box<Self>, now: Instant, node: &mut Node, datagram: &IkeDatagram) -> CallStep {
        let Ok(incoming) = parse(&datagram.bytes) else { return self.ignore(node, Ignored::Malformed) };
        if incoming.header.initiator_cookie != self.started.cookie {
            return self.ignore(node, Ignored::UnknownSpi);
        }
        let Body::Fragment(fragment) = &incoming.body else { return self.take(now, node, datagram, &incoming) };
        let whole = match self.started.fragments.add(now, fragment) {
            Ok(Some(whole)) => whole,
            Ok(None) => return CallStep::Waits(self),
            Err(reason) => return self.ignore(node, reason),
        };
        node.counters.messages_joined += 1;
        match parse(&whole) {
            Ok(joined) if Cookies::of(&joined.header) == Cookies::of(&incoming.header) => {
                self.take(now, node, datagram, &joined)
            }
            Ok(_) | Err(_) => self.ignore(node, Ignored::Malformed),
        }
    }

    /// A whole message.
    fn take(
        self: Box<Self>,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> CallStep {
        let Self { mut started, awaits } = *self;
        let header = incoming.header;
        if let (Exchange::Informational, Body::Clear(chain)) = (header.exchange, &incoming.body) {
            started.told(node, chain);
            return CallStep::Waits(Box::new(Self { started, awaits }));
        }
        let comes = header.responder_cookie != IkeSpi::default() && header.message_id == 0;
        if !comes || started.wrong >= MOST_WRONG {
            node.ignore(Ignored::UnexpectedExchange);
            return CallStep::Waits(Box::new(Self { started, awaits }));
        }
        let come = Come { now, datagram, incoming };
        let next = match (&awaits, header.exchange, &incoming.body) {
            (Awaits::Second(second), Exchange::Aggressive, Body::Clear(chain)) => {
                calling_aggressive::third(&mut started, node, come, second, chain)
            }
            (Awaits::Choice, Exchange::MainMode, Body::Clear(chain)) => {
                calling_main::third(&mut started, node, come, chain)
            }
            (Awaits::Fourth(fourth), Exchange::MainMode, Body::Clear(chain)) => {
                calling_main::fifth(&mut started, node, come, fourth, chain)
            }
            (Awaits::Sixth(sixth), Exchange::MainMode, Body::Sealed(sealed)) => {
                calling_main::last(&mut started, node, come, sixth, sealed)
            }
            (
                Awaits::Second(_) | Awaits::Choice | Awaits::Fourth(_) | Awaits::Sixth(_),
                Exchange::Aggressive
                | Exchange::MainMode
                | Exchange::Informational
                | Exchange::Transaction
                | Exchange::QuickMode,
                Body::Clear(_) | Body::Sealed(_) | Body::Fragment(_),
            ) => Err(Wrong::Ignored(Ignored::UnexpectedExchange)),
        };
        match next {
            Ok(Next::Awaits(awaits)) => CallStep::Waits(Box::new(Self { started, awaits })),
            Ok(Next::Proven(reached)) => CallStep::Reached(reached),
            Err(Wrong::Ignored(reason)) => Box::new(Self { started, awaits }).ignore(node, reason),
            Err(Wrong::Doubt(failed)) => {
                started.wrong += 1;
                tracing::debug!(cause = failed.cause.name(), why = failed.why, "an answer that is not taken");
                started.doubt = Some(failed);
                Box::new(Self { started, awaits }).ignore(node, Ignored::BadHash)
            }
        }
    }

    /// Its time has come.
    pub(crate) fn timeout(mut self: Box<Self>, now: Instant, node: &mut Node) -> CallStep {
        let held = self.held();
        let Started { said, patience, along, worker, doubt, .. } = &mut self.started;
        if said.due() <= now
            && let Some(failed) = doubt.take()
        {
            return CallStep::Failed(held, failed);
        }
        match said.retry(now, patience) {
            Retry::NotYet => CallStep::Waits(self),
            Retry::Again(bytes) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                node.send_ike(*worker, along.0, along.1, bytes);
                CallStep::Waits(self)
            }
            Retry::Dead => {
                CallStep::Failed(held, CallFailed::new(Cause::PeerDead, format!("no answer to {}", self.awaits.name())))
            }
        }
    }

    /// When [`Calling::timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        self.started.said.due()
    }

    /// What it has taken.
    pub(crate) fn held(&self) -> Held {
        let Started { id, cookie, worker, .. } = &self.started;
        Held { id: *id, ike: *cookie, worker: *worker, esp: None }
    }

    fn ignore(self: Box<Self>, node: &mut Node, reason: Ignored) -> CallStep {
        node.ignore(reason);
        CallStep::Waits(self)
    }
}

impl Awaits {
    /// What has been said, for the log.
    const fn name(&self) -> &'static str {
        match self {
            Self::Second(_) => "aggressive mode's first message",
            Self::Choice => "main mode's first message",
            Self::Fourth(_) => "main mode's third message",
            Self::Sixth(_) => "main mode's fifth message",
        }
    }
}

/// A message of the responder's.
#[derive(Clone, Copy)]
pub(super) struct Come<'a> {
    pub(super) now: Instant,
    pub(super) datagram: &'a IkeDatagram,
    pub(super) incoming: &'a Incoming<'a>,
}

impl Started {
    /// The connection that is called.
    pub(super) fn login<'a>(&self, node: &'a Node) -> Result<&'a LoginV1, Wrong> {
        login_of(node, self.call.connection).ok_or_else(|| Wrong::doubt(Cause::UnknownIdentity, "no such connection"))
    }

    /// How ESP may come.
    pub(super) fn carried(&self, node: &Node) -> Transports {
        group::transports(node, self.call.connection)
    }

    /// The NAT traversal that the responder has chosen, among those that we have announced.
    pub(super) fn traversal(&self, node: &Node) -> Traversal {
        Traversal::unknown(self.client.traversal(announced(node, &self.call)))
    }

    /// Where everything goes once both ends have said how they see the addresses: to port 4500 if there is a NAT
    /// (RFC 3947 section 4), or if native ESP is not for us and there must seem to be one. Drafts 00 and 01 stay.
    pub(super) fn onward(&self, node: &Node, traversal: &Traversal) -> Result<(Path, IkeFraming), Wrong> {
        match self.call.carriage {
            Carriage::Detected => {}
            carriage @ (Carriage::CiscoUdp | Carriage::Ctcp | Carriage::Tcp) => {
                return Ok((self.call.path, carriage.framing()));
            }
        }
        match (traversal.wraps(self.carried(node)), traversal.version) {
            (true, Some(version)) if version.floats() => Ok((self.call.natt, IkeFraming::NonEspMarker)),
            (true, None) => Err(Wrong::doubt(Cause::NoUdpEncapsulation, "the responder does not do NAT traversal")),
            (true, Some(_)) | (false, _) => Ok((self.call.path, IkeFraming::Bare)),
        }
    }

    /// The next message of ours, which waits for its answer.
    pub(super) fn say(&mut self, now: Instant, node: &mut Node, along: (Path, IkeFraming), bytes: Vec<u8>) {
        self.patience = node.patience();
        self.said = Repeated::new(now, &self.patience, bytes.clone());
        self.along = along;
        self.doubt = None;
        node.send_ike(self.worker, along.0, along.1, bytes);
    }

    /// What somebody says in the clear. It proves nothing, so what is under way goes on until its time has come.
    fn told(&mut self, node: &mut Node, chain: &Chain<'_>) {
        node.ignore(Ignored::NotProtected);
        let Some(notify) = chain.notifications().find(|notify| notify.kind.is_error()) else { return };
        tracing::debug!(told = ?notify.kind, "somebody says, unprotected, that something is wrong");
        self.doubt.get_or_insert_with(|| CallFailed::new(Cause::Refused, format!("phase 1: {:?}", notify.kind)));
    }
}

/// The NAT traversals that we announce. Cisco's own ways know none.
fn announced(node: &Node, call: &Call) -> impl Iterator<Item = NatTraversal> + use<> {
    let carriage = call.carriage;
    traversals(node, group::transports(node, call.connection)).filter(move |_| carriage == Carriage::Detected)
}

/// What we say about ourselves. All NAT traversals: the older ones are there for responders that know no better, and
/// because a first message that is longer may have a longer answer.
fn vendor_ids(node: &Node, call: &Call) -> impl Iterator<Item = Payload> + use<> {
    let traversals = announced(node, call).map(Vendor::NatTraversal);
    let repeats = match (call.carriage, call.v1.ctcp) {
        (Carriage::Ctcp, CtcpManner::Ours) => Some(Vendor::Repeats),
        (Carriage::Ctcp, CtcpManner::Legacy) | (Carriage::Detected | Carriage::CiscoUdp | Carriage::Tcp, _) => None,
    };
    let vendors = [Vendor::Xauth, Vendor::Unity, Vendor::Dpd, Vendor::Fragmentation];
    let vendors = vendors.into_iter().chain(repeats).chain(traversals);
    vendors.map(|vendor| Payload::VendorId(vendor.octets())).chain([Payload::VendorId(vec![0; ROOM])])
}
