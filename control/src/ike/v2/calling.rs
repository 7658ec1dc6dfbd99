//! IKE_SA_INIT as the initiator (RFC 7296 sections 1.2, 2.6 and 2.7).
//!
//! ```text
//! initiator --> HDR, [N(COOKIE),] SAi1, KEi, Ni, N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP),
//!               N(IKEV2_FRAGMENTATION_SUPPORTED)
//! responder <-- HDR, N(COOKIE)                  the same again with the cookie in front
//! responder <-- HDR, N(INVALID_KE_PAYLOAD)      the same again with another group
//! responder <-- HDR, SAr1, KEr, Nr, N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP)
//! ```
//! Nothing here is authenticated. What protects it is that nobody off the path can know our SPI.

use super::closing::Closing;
use super::established::Established;
use super::ike_sa::{IkeSa, IkeSpis};
use super::message_id::MessageIds;
use super::proving::{Keyed, Proving};
use super::sa_init::{detect, fragmentation};
use super::shape::{self, notify};
use crate::config::checked::IkeProposal;
use crate::ike::counters::Ignored;
use crate::ike::keys::IkeKeys;
use crate::ike::nat::nat_detection_hash;
use crate::ike::propose::{choose_ike, offer_ike};
use crate::ike::service::{Call, CallFailed, Carriage, Held, Nat, Node, Retry, Role};
use crate::ike::wire::{Exchange, Flags, Header, IkeSpi, Incoming, KeyExchange, NotifyKind, Payload, build};
use crate::session::{Cause, SessionId};
use adit_crypto::kex::KeyPair;
use adit_dataplane::contract::{IkeDatagram, IkeFraming, Path, Transport, WorkerId};
use adit_dataplane::time::Instant;
use std::net::{Ipv4Addr, SocketAddr};

/// IKE_SA_INIT is under way.
pub(crate) struct Calling {
    pub(super) id: SessionId,
    pub(super) call: Call,
    pub(super) spi: IkeSpi,
    pub(super) worker: WorkerId,
    pub(super) since: Instant,
    nonce: Vec<u8>,
    pair: KeyPair,
    cookie: Option<Vec<u8>>,
    request: Vec<u8>,
    ids: MessageIds<()>,
    restarts: u32,
    attempt: Attempt,
}

/// Whether this call is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    First,
    Again,
}

/// Which of our first messages the responder has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// The only one; or we have called again already, so that it does not matter.
    TheOnlyOne,
    /// Presumably the last one. RFC 7296 section 2.6 has the same Message ID for all, so nothing tells: one without a
    /// cookie may have come late, or twice, at a time when no cookies were asked for any more.
    OneOfSeveral,
}

/// What becomes of a call.
pub(crate) enum Called {
    /// Still this.
    Waits(Box<Calling>),
    /// Keys are agreed, IKE_AUTH is under way.
    Proves(Box<Proving>),
    /// No session comes of it.
    Failed(Held, CallFailed),
    /// The peer has an IKE SA and is told that it ends.
    Closes(Box<Closing>),
    /// Logged in.
    Up(Box<Established>),
}

/// As often as this a responder may ask for the same again with a cookie or another group. Each may come after the
/// other (RFC 7296 section 2.6.1), and a cookie's secret may have changed meanwhile.
const MOST_RESTARTS: u32 = 6;

impl Calling {
    /// Sends the first message. `None`: there is no such connection, or it has no proposals.
    pub(crate) fn begin(now: Instant, node: &mut Node, id: SessionId, call: Call) -> Option<Self> {
        Self::attempt(now, node, id, call, Attempt::First)
    }

    /// The same call from its start, under another SPI. What comes of it is final.
    pub(super) fn begin_again(now: Instant, node: &mut Node, id: SessionId, call: Call) -> Option<Self> {
        Self::attempt(now, node, id, call, Attempt::Again)
    }

    fn attempt(now: Instant, node: &mut Node, id: SessionId, call: Call, attempt: Attempt) -> Option<Self> {
        let group = *node.ike_proposals_of(call.connection).first()?.groups.first()?;
        let worker = node.installer.least_loaded();
        node.installer.session_came(worker);
        let pair = KeyPair::generate(group, &mut *node.random);
        // At least half the longest PRF's key (RFC 7296 section 2.10).
        let nonce = node.random_bytes(32);
        let spi = node.new_ike_spi(id);
        let (cookie, request, ids) = (None, Vec::new(), MessageIds::new(0, 0));
        let (since, restarts) = (now, 0);
        let mut calling = Self { id, call, spi, worker, since, nonce, pair, cookie, request, ids, restarts, attempt };
        calling.send(now, node);
        Some(calling)
    }

    /// A datagram with our SPI.
    pub(crate) fn handle(
        mut self: Box<Self>,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Called {
        let header = incoming.header;
        let expected = header.exchange == Exchange::IkeSaInit && header.flags.response && header.message_id == 0;
        if !expected {
            node.ignore(Ignored::UnexpectedExchange);
            return Called::Waits(self);
        }
        let told = shape::notifies(&incoming.payloads).find(|notify| match notify.kind {
            NotifyKind::Cookie | NotifyKind::InvalidKePayload => true,
            other => other.is_error(),
        });
        let Some(told) = told else { return self.agree(now, node, datagram, incoming) };
        if told.kind == NotifyKind::Cookie {
            // RFC 7296 section 2.6: 1 to 64 octets.
            if !(1..=64).contains(&told.data.len()) {
                node.ignore(Ignored::Malformed);
                return Called::Waits(self);
            }
            self.cookie = Some(told.data.clone());
            return self.again(now, node);
        }
        if told.kind != NotifyKind::InvalidKePayload {
            let failed = CallFailed::new(Cause::Refused, format!("IKE_SA_INIT: {:?}", told.kind));
            return Called::Failed(self.held(), failed);
        }
        // RFC 7296 section 1.2: the group that the responder wants, of those that we offered.
        let wanted = <[u8; 2]>::try_from(told.data.as_slice()).ok().map(u16::from_be_bytes);
        let offered = self.offered(node).iter().flat_map(|proposal| &proposal.groups).copied();
        match offered.into_iter().find(|group| Some(group.iana()) == wanted) {
            Some(group) if group != self.pair.group() => {
                self.pair = KeyPair::generate(group, &mut *node.random);
                self.again(now, node)
            }
            Some(_) | None => {
                let failed = CallFailed::new(Cause::WrongGroup, format!("the responder wants group {wanted:?}"));
                Called::Failed(self.held(), failed)
            }
        }
    }

    /// Its time has come.
    pub(crate) fn timeout(mut self: Box<Self>, now: Instant, node: &mut Node) -> Called {
        match self.ids.retry(now, &node.patience()) {
            Retry::NotYet => Called::Waits(self),
            Retry::Again(bytes) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                node.send_ike(self.worker, self.call.path, self.call.carriage.framing(), bytes);
                Called::Waits(self)
            }
            Retry::Dead => Called::Failed(self.held(), CallFailed::new(Cause::PeerDead, "no answer to IKE_SA_INIT")),
        }
    }

    /// When [`Calling::timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        self.ids.due().unwrap_or(self.since)
    }

    /// What it has taken.
    pub(crate) fn held(&self) -> Held {
        Held { id: self.id, ike: self.spi, worker: self.worker, esp: None }
    }

    fn again(mut self: Box<Self>, now: Instant, node: &mut Node) -> Called {
        self.restarts += 1;
        if self.restarts > MOST_RESTARTS {
            let failed = CallFailed::new(Cause::Refused, "the responder asks for the same again and again");
            return Called::Failed(self.held(), failed);
        }
        self.send(now, node);
        Called::Waits(self)
    }

    fn send(&mut self, now: Instant, node: &mut Node) {
        let ours = shown(node, &self.call);
        let hash = |address| nat_detection_hash(self.spi, IkeSpi::default(), address).to_vec();
        let header = Header {
            initiator_spi: self.spi,
            responder_spi: IkeSpi::default(),
            exchange: Exchange::IkeSaInit,
            flags: Flags { initiator: true, response: false },
            message_id: 0,
        };
        let cookie = self.cookie.clone().map(|cookie| notify(NotifyKind::Cookie, cookie));
        let payloads: Vec<Payload> = cookie
            .into_iter()
            .chain([
                Payload::Sa(offer_ike(self.offered(node), &[])),
                Payload::Ke(KeyExchange { group: self.pair.group().iana(), public: self.pair.public().to_vec() }),
                Payload::Nonce(self.nonce.clone()),
                notify(NotifyKind::NatDetectionSourceIp, hash(ours)),
                notify(NotifyKind::NatDetectionDestinationIp, hash(self.call.path.peer)),
                notify(NotifyKind::IkeFragmentationSupported, Vec::new()),
            ])
            .collect();
        self.request = build(&header, &payloads);
        // The same Message ID each time: it is another first message, not a second one (RFC 7296 section 2.6).
        self.ids = MessageIds::new(0, 0);
        self.ids.asked(now, &node.patience(), (), self.request.clone());
        node.send_ike(self.worker, self.call.path, self.call.carriage.framing(), self.request.clone());
    }

    fn offered<'a>(&self, node: &'a Node) -> &'a [IkeProposal] {
        node.ike_proposals_of(self.call.connection)
    }

    /// The responder has answered: both have the same keys now, if it is who we think.
    fn agree(
        self: Box<Self>,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Called {
        let header = incoming.header;
        let (Ok(chosen), Ok(ke), Ok(nonce_r)) =
            (shape::sa(&incoming.payloads), shape::ke(&incoming.payloads), shape::nonce(&incoming.payloads))
        else {
            node.ignore(Ignored::Malformed);
            return Called::Waits(self);
        };
        if header.responder_spi == IkeSpi::default() {
            node.ignore(Ignored::Malformed);
            return Called::Waits(self);
        }
        let suite = match (chosen, choose_ike(chosen, self.offered(node))) {
            ([_one], Ok((_, suite))) if suite.group.iana() == ke.group && suite.group == self.pair.group() => suite,
            (_, Ok(_)) => {
                let failed = CallFailed::new(Cause::NoIkeProposal, "the answer is not one of what we offered");
                return Called::Failed(self.held(), failed);
            }
            (_, Err(none)) => {
                let failed = CallFailed::new(Cause::NoIkeProposal, none);
                return Called::Failed(self.held(), failed);
            }
        };
        let detected = match self.call.carriage {
            Carriage::Detected | Carriage::CiscoUdp => detect(incoming, datagram.path),
            // RFC 9329 section 7.5: what is detected decides nothing.
            Carriage::Ctcp | Carriage::Tcp => Some(Nat::OF_WHO_IS_CALLED),
        };
        let Some(nat) = detected else {
            let failed = CallFailed::new(Cause::NoUdpEncapsulation, "no NAT_DETECTION");
            return Called::Failed(self.held(), failed);
        };
        let held = self.held();
        let Self { id, call, spi, worker, since, nonce, pair, request, cookie: _, ids: _, restarts, attempt } = *self;
        let shared = match pair.agree(&ke.public) {
            Ok(shared) => shared,
            Err(bad) => return Called::Failed(held, CallFailed::new(Cause::InvalidSyntax, bad)),
        };
        let spis = IkeSpis { initiator: spi, responder: header.responder_spi };
        let keys = IkeKeys::derive(suite, &shared, &nonce, nonce_r, spis.initiator, spis.responder);
        // RFC 7296 section 2.2: IKE_AUTH bears Message ID 1; the responder's own first request bears 0.
        let ike = match IkeSa::new(now, node, Role::Initiator, spis, keys, MessageIds::new(0, 1)) {
            Ok(ike) => ike.fragmenting(fragmentation(node, incoming, datagram.framing)),
            Err(bad) => return Called::Failed(held, CallFailed::new(Cause::NoIkeProposal, bad)),
        };
        let onward = onward(&call);
        let (nonce_r, response) = (nonce_r.to_vec(), incoming.bytes.to_vec());
        let answered = match (restarts, attempt) {
            (0, _) | (_, Attempt::Again) => Answered::TheOnlyOne,
            (1.., Attempt::First) => Answered::OneOfSeveral,
        };
        let keyed =
            Keyed { id, call, onward, ike, worker, since, nat, nonce_i: nonce, nonce_r, request, answered, response };
        Proving::begin(now, node, keyed)
    }
}

/// Our address, as the responder's NAT detection is to find it.
///
/// DEVIATES: where native ESP is not for us it is the hash of an address that nobody has, which says that we are behind a NAT, so that
/// both ends wrap ESP in UDP (RFC 7296 section 2.23).
fn shown(node: &Node, call: &Call) -> SocketAddr {
    let transports = node.connection(call.connection).map(|connection| connection.transports).unwrap_or_default();
    match transports.and(node.config.listen.transports()).contains(Transport::Esp) {
        true => call.path.local,
        false => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
    }
}

/// Where everything goes behind IKE_SA_INIT: to port 4500, NAT or not, as RFC 7296 section 2.23 lets an initiator; unless the caller
/// has decided.
const fn onward(call: &Call) -> (Path, IkeFraming) {
    match call.carriage {
        Carriage::Detected => (call.natt, IkeFraming::NonEspMarker),
        Carriage::CiscoUdp | Carriage::Ctcp | Carriage::Tcp => (call.path, call.carriage.framing()),
    }
}
