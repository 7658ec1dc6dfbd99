//! A session in service: identity proven, requests answered one after the other (RFC 7296 sections 1.3, 1.4, 2.2).

use super::create_child::NextIkeSa;
use super::given::Given;
use super::ike_sa::IkeSa;
use super::message_id::Request;
use super::other_ike::Others;
use super::shape::notify;
use super::{create_child, dpd, informational};
use crate::ike::counters::Ignored;
use crate::ike::service::{
    CannotClose, Connections, Farewell, LeaseFate, Node, Peer, Retry, Traffic, Tunnel, closed, keepalive, policy,
};
use crate::ike::sk::SkError;
use crate::ike::wire::{Exchange, Header, Incoming, NotifyKind, Payload, WireError};
use crate::lease::Claimant;
use crate::session::Cause;
use adit_dataplane::contract::{EspPath, IkeDatagram, IkeFraming, Transport, Transports};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// How long a session may be without a child SA. Adit's own choice: time for the client to say goodbye itself.
const CHILDLESS: Duration = Duration::from_secs(10);

/// In service.
pub(crate) struct Established {
    pub(crate) peer: Peer,
    pub(super) ike: IkeSa,
    pub(super) others: Others,
    pub(super) service: Service,
    /// When the peer was told last that it uses an SPI that is unknown here.
    pub(super) told_unknown: Option<Instant>,
    /// When its cTCP connection came under suspicion of having stalled.
    pub(super) suspected: Option<Instant>,
    /// What the headend has told us about ourselves, if we have started this.
    pub(super) given: Option<Given>,
}

/// What the dataplane does for it.
pub(super) enum Service {
    /// Carries packets. Boxed: it is much the larger.
    Tunnel(Box<Tunnel>),
    /// The child was refused or deleted.
    Childless {
        since: Instant,
        /// Of the tunnel that was.
        traffic: Traffic,
    },
}

impl Service {
    pub(super) fn tunnel(&self) -> Option<&Tunnel> {
        match self {
            Self::Tunnel(tunnel) => Some(tunnel),
            Self::Childless { .. } => None,
        }
    }

    fn tunnel_mut(&mut self) -> Option<&mut Tunnel> {
        match self {
            Self::Tunnel(tunnel) => Some(tunnel),
            Self::Childless { .. } => None,
        }
    }

    /// None so far.
    pub(super) fn childless(now: Instant) -> Self {
        Self::Childless { since: now, traffic: Traffic::default() }
    }
}

/// What becomes of a session.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It goes on.
    Stay,
    /// We tell the peer that it ends.
    Close(Cause),
    /// It is over.
    Gone(Cause, Option<Farewell>),
}

/// Which IKE SA a message is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Current,
    /// By its place among the others.
    Other(usize),
}

impl Established {
    /// In service from now on.
    pub(super) fn of(peer: Peer, ike: IkeSa, service: Service) -> Self {
        Self { peer, ike, others: Others::default(), service, told_unknown: None, suspected: None, given: None }
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
            Service::Childless { .. } => Err(CannotClose::NotUp),
        }
    }

    /// From now on it may what the configuration says now.
    pub(crate) fn take_policy(&mut self, node: &mut Node) {
        policy::apply(node, &mut self.peer, self.service.tunnel_mut(), None);
    }

    /// As [`Established::of`], where the headend has told us something about ourselves.
    pub(super) fn called(peer: Peer, ike: IkeSa, service: Service, given: Given) -> Self {
        Self { given: Some(given), ..Self::of(peer, ike, service) }
    }

    /// What the headend has told us about ourselves.
    pub(crate) fn given(&self) -> Option<&Given> {
        self.given.as_ref()
    }

    /// A datagram for one of its IKE SAs.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Verdict {
        let verdict = self.take(now, node, datagram, incoming);
        match verdict {
            Verdict::Stay => self.go_on(now, node),
            Verdict::Close(_) | Verdict::Gone(..) => {}
        }
        verdict
    }

    fn take(&mut self, now: Instant, node: &mut Node, datagram: &IkeDatagram, incoming: &Incoming<'_>) -> Verdict {
        let header = &incoming.header;
        let which = match self.ike.is_addressed(header) {
            true => Some(Which::Current),
            false => self.others.position(|ike| ike.is_addressed(header)).map(Which::Other),
        };
        let Some((which, sa)) = which.and_then(|which| Some((which, self.sa(which)?))) else {
            node.ignore(Ignored::UnknownSpi);
            return Verdict::Stay;
        };
        if incoming.header.flags.response {
            if !sa.ids.waits_for(incoming.header.message_id) {
                node.ignore(Ignored::NotAsked);
                return Verdict::Stay;
            }
            return match sa.open(incoming) {
                Ok(payloads) => self.response(now, node, which, incoming, &payloads),
                Err(SkError::BadIcv) => {
                    node.ignore(Ignored::BadIcv);
                    Verdict::Stay
                }
                // RFC 7296 section 2.21.3: an error in a response ends the IKE SA, without an answer to the answer.
                Err(SkError::Syntax(_)) => {
                    node.ignore(Ignored::UnreadableResponse);
                    Verdict::Gone(Cause::InvalidSyntax, None)
                }
            };
        }
        let again = match sa.ids.request(incoming.header.message_id) {
            Request::Next => None,
            Request::Again(bytes) => Some(bytes.to_vec()),
            Request::Old => {
                node.ignore(Ignored::OldMessageId);
                return Verdict::Stay;
            }
            Request::Ahead => {
                node.ignore(Ignored::FutureMessageId);
                return Verdict::Stay;
            }
        };
        let opened = match sa.open(incoming) {
            Err(SkError::BadIcv) => {
                node.ignore(Ignored::BadIcv);
                return Verdict::Stay;
            }
            Err(SkError::Syntax(error)) => Err(error),
            Ok(payloads) => Ok(payloads),
        };
        if let Some(bytes) = again {
            if self.peer.closed.takes(datagram.framing) {
                node.ignore(Ignored::TransportClosed);
                return Verdict::Stay;
            }
            // No proof of life and no move: whoever recorded the request can send it again from anywhere.
            node.answer_again(self.peer.worker, self.peer.path, datagram, bytes);
            return Verdict::Stay;
        }
        if self.peer.closed.takes(datagram.framing)
            && !opened.as_ref().is_ok_and(|payloads| informational::is_goodbye(payloads))
        {
            // Nothing has changed: the same request is answered where it comes another way.
            node.ignore(Ignored::TransportClosed);
            return Verdict::Stay;
        }
        self.peer.heard = now;
        self.follow(node, datagram);
        match opened {
            Ok(payloads) => self.request(now, node, which, datagram, incoming, &payloads),
            Err(WireError::UnsupportedCritical(kind)) => {
                // RFC 7296 section 2.5: the message is rejected, the IKE SA stays.
                let payload = notify(NotifyKind::UnsupportedCriticalPayload, vec![kind]);
                self.answer(now, node, which, datagram, incoming, &[payload]);
                Verdict::Stay
            }
            Err(error) => self.unreadable(now, node, which, datagram, incoming, &error),
        }
    }

    fn request(
        &mut self,
        now: Instant,
        node: &mut Node,
        which: Which,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
        payloads: &[Payload],
    ) -> Verdict {
        match incoming.header.exchange {
            Exchange::CreateChildSa => match create_child::answer(now, node, self, which, payloads) {
                Ok(made) => {
                    self.answer(now, node, which, datagram, incoming, &made.payloads);
                    if let Some(NextIkeSa { ike, lowest }) = made.next_ike_sa {
                        self.succeed(now, node, ike, lowest);
                    }
                    Verdict::Stay
                }
                Err(misshapen) => self.unreadable(now, node, which, datagram, incoming, &misshapen),
            },
            Exchange::Informational => {
                let done = informational::obey(now, node, self, payloads);
                let answer = self.answer(now, node, which, datagram, incoming, &done.payloads);
                match done.ike_sa {
                    informational::IkeSaFate::Stays => Verdict::Stay,
                    informational::IkeSaFate::Deleted => self.deleted(now, node, which, incoming, answer),
                }
            }
            // They had their time. The peer itself says nonsense.
            Exchange::IkeSaInit | Exchange::IkeAuth => {
                self.unreadable(now, node, which, datagram, incoming, &"an exchange that is over")
            }
        }
    }

    fn response(
        &mut self,
        now: Instant,
        node: &mut Node,
        which: Which,
        incoming: &Incoming<'_>,
        payloads: &[Payload],
    ) -> Verdict {
        match which {
            Which::Current => self.answered(now, node, incoming.header.message_id, payloads),
            // There we ask for nothing but its end.
            Which::Other(at) => {
                self.others.forget(node, at);
                Verdict::Stay
            }
        }
    }

    /// What the peer itself said cannot be read: it is told, and the IKE SA ends (RFC 7296 section 2.21.3).
    fn unreadable(
        &mut self,
        now: Instant,
        node: &mut Node,
        which: Which,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
        why: &dyn std::fmt::Display,
    ) -> Verdict {
        tracing::warn!(cause = Cause::InvalidSyntax.name(), %why, "authenticated message cannot be read");
        let payload = notify(NotifyKind::InvalidSyntax, Vec::new());
        let answer = self.answer(now, node, which, datagram, incoming, &[payload]);
        Verdict::Gone(Cause::InvalidSyntax, self.sa(which).map(|sa| farewell(sa, incoming, answer)))
    }

    fn answer(
        &mut self,
        now: Instant,
        node: &mut Node,
        which: Which,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
        payloads: &[Payload],
    ) -> Vec<u8> {
        self.peer.sent = now;
        let Some(sa) = self.sa_mut(which) else { return Vec::new() };
        let bytes = sa.answer(&incoming.header, payloads);
        node.send_ike(self.peer.worker, datagram.path, datagram.framing, bytes.clone());
        bytes
    }

    /// A request that has gone into a connection which is no longer the peer's goes again, into the one that is (RFC 9329 section 6.2).
    pub(super) fn ask_there(&mut self, node: &mut Node) {
        if self.peer.framing == IkeFraming::Tcp
            && let Some(bytes) = self.ike.ids.request_under_way()
        {
            node.counters.asked_again += 1;
            node.send_ike(self.peer.worker, self.peer.path, self.peer.framing, bytes.to_vec());
        }
    }

    /// Its time has come.
    pub(crate) fn timeout(&mut self, now: Instant, node: &mut Node) -> Verdict {
        self.go_on(now, node);
        if self.childless_since().is_some_and(|since| since + CHILDLESS <= now) {
            return Verdict::Close(Cause::Childless);
        }
        if self.ike.life.is_over(now) {
            return Verdict::Close(Cause::Expired);
        }
        if let Some(cause) = self.peer.policy.over(now, self.peer.login, self.used()) {
            return Verdict::Close(cause);
        }
        closed::reopen_if_time(now, node, &mut self.peer, self.service.tunnel());
        let mut again = self.others.timeout(now, node);
        let patience = node.patience();
        match self.ike.ids.retry(now, &patience) {
            Retry::NotYet => {}
            Retry::Again(bytes) => again.push(bytes.to_vec()),
            Retry::Dead => return Verdict::Gone(Cause::PeerDead, None),
        }
        if self.peer.framing == IkeFraming::Tcp {
            // RFC 9329 section 6.2: TCP repeats what it has lost; only the waiting goes on.
            again.clear();
        }
        for bytes in again {
            node.counters.asked_again += 1;
            self.peer.send(now, node, bytes);
        }
        dpd::ask_if_quiet(now, node, self);
        keepalive::send_if_quiet(now, node, &mut self.peer, self.service.tunnel());
        Verdict::Stay
    }

    /// When [`Established::timeout`] has something to do.
    pub(crate) fn deadline(&self, node: &Node) -> Option<Instant> {
        let service = match &self.service {
            Service::Tunnel(tunnel) => tunnel.deadline(),
            Service::Childless { .. } => None,
        };
        let childless = self.childless_since().map(|since| since + CHILDLESS);
        let (retry, end) = (self.ike.ids.due(), self.ike.life.end);
        let policy = self.peer.policy.due(self.peer.login, self.used());
        let closed = self.peer.closed.due();
        let ours = [service, childless, self.others.deadline(), retry, end, policy, closed, self.ask_at()];
        ours.into_iter()
            .chain([dpd::due(node, self), keepalive::due(node, &self.peer, self.service.tunnel())])
            .flatten()
            .min()
    }

    /// Where its packets go.
    pub(crate) fn esp_path(&self) -> Option<EspPath> {
        match &self.service {
            Service::Tunnel(tunnel) => Some(tunnel.path),
            Service::Childless { .. } => None,
        }
    }

    fn childless_since(&self) -> Option<Instant> {
        match &self.service {
            // One that is being asked for may still come.
            Service::Tunnel(_) if self.lane_asked().is_some() => None,
            Service::Tunnel(tunnel) => tunnel.empty_since(),
            Service::Childless { since, .. } => Some(*since),
        }
    }

    /// The one of its IKE SAs that a message is for.
    pub(crate) fn ike_sa(&mut self, header: &Header) -> Option<&mut IkeSa> {
        match self.ike.is_addressed(header) {
            true => Some(&mut self.ike),
            false => self.others.position(|ike| ike.is_addressed(header)).and_then(|at| self.others.get_mut(at)),
        }
    }

    /// Fragments of unfinished messages have been held for long enough.
    pub(crate) fn forget_fragments(&mut self) {
        self.ike.forget_fragments();
        self.others.forget_fragments();
    }

    /// The dataplane lets go of it; its IKE SAs are for the caller to keep or drop.
    pub(crate) fn stop_service(&mut self, now: Instant, node: &mut Node, cause: Cause) {
        let before =
            std::mem::replace(&mut self.service, Service::Childless { since: now, traffic: Traffic::default() });
        let fate = LeaseFate::after(cause, now, &node.config, || Claimant::identity(&self.peer.identity));
        let traffic = match before {
            Service::Tunnel(tunnel) => tunnel.take_down(node, fate),
            Service::Childless { traffic, .. } => traffic,
        };
        self.service = Service::Childless { since: now, traffic };
    }

    /// Its cTCP connections, as their ends are to be told of it.
    pub(crate) fn connections(&self) -> Connections {
        match &self.service {
            Service::Tunnel(tunnel) => Connections::of(&self.peer, tunnel),
            Service::Childless { .. } => Connections::default(),
        }
    }

    /// When an authenticated packet last came, IKE or ESP.
    pub(super) fn heard(&self) -> Instant {
        match &self.service {
            Service::Tunnel(tunnel) => self.peer.heard.max(tunnel.last_received()),
            Service::Childless { .. } => self.peer.heard,
        }
    }

    /// When the client last sent an inner packet; its login if it never did.
    pub(super) fn used(&self) -> Instant {
        match &self.service {
            Service::Tunnel(tunnel) => self.peer.login.max(tunnel.last_received()),
            Service::Childless { .. } => self.peer.login,
        }
    }

    /// All traffic so far.
    pub(crate) fn traffic(&self) -> Traffic {
        match &self.service {
            Service::Tunnel(tunnel) => tunnel.traffic(),
            Service::Childless { traffic, .. } => *traffic,
        }
    }

    fn sa(&self, which: Which) -> Option<&IkeSa> {
        match which {
            Which::Current => Some(&self.ike),
            Which::Other(at) => self.others.get(at),
        }
    }

    fn sa_mut(&mut self, which: Which) -> Option<&mut IkeSa> {
        match which {
            Which::Current => Some(&mut self.ike),
            Which::Other(at) => self.others.get_mut(at),
        }
    }
}

pub(super) fn farewell(ike: &IkeSa, incoming: &Incoming<'_>, answer: Vec<u8>) -> Farewell {
    Farewell::to_request(ike.spi(), incoming.bytes.to_vec(), answer)
}
