//! A session in service: identity proven, requests answered one after the other (RFC 7296 sections 1.3, 1.4, 2.2).

use super::farewell::Farewell;
use super::half_open::{Arrival, Behind, Nat};
use super::ike_sa::IkeSa;
use super::message_id::{Request, Response, Retry};
use super::node::Node;
use super::purpose::Purpose;
use super::shape::notify;
use super::tunnel::{Traffic, Tunnel};
use super::{create_child, dpd, informational, keepalive};
use crate::ike::counters::Ignored;
use crate::ike::sk::SkError;
use crate::ike::wire::{Exchange, Id, Incoming, NotifyKind, Payload, WireError};
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{
    Command, Direction, IkeDatagram, IkeFraming, Move, Path, Reached, Spi, TunnelKey, WorkerId,
};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// How long a session may be without a child SA. Adit's own choice: time for the client to say goodbye itself.
const CHILDLESS: Duration = Duration::from_secs(10);

/// How long a rekeyed IKE SA waits to be deleted by the peer, whose task that is (RFC 7296 section 2.8).
const FORMER: Duration = Duration::from_secs(60);

/// Who the peer is and where; stays the same through rekeys, and to the end.
pub(crate) struct Peer {
    pub(crate) id: SessionId,
    pub(crate) identity: Id,
    pub(super) connection: usize,
    pub(crate) origin: Origin,
    pub(super) nat: Nat,
    pub(crate) worker: WorkerId,
    pub(super) path: Path,
    pub(super) framing: IkeFraming,
    pub(crate) login: Instant,
    /// When an authenticated IKE message last came.
    pub(super) heard: Instant,
    /// When an IKE message last went out.
    pub(super) sent: Instant,
}

/// How it came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By the peer's IKE_SA_INIT.
    Came(Arrival),
    /// By ours.
    Called,
}

/// In service.
pub(crate) struct Established {
    pub(crate) peer: Peer,
    pub(super) ike: IkeSa,
    pub(super) former: Option<Former>,
    pub(super) service: Service,
}

/// The IKE SA before a rekey: it answers, and waits for its delete (RFC 7296 section 2.8).
pub(super) struct Former {
    pub(super) ike: IkeSa,
    pub(super) until: Instant,
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
    Former,
}

impl Established {
    /// In service from now on.
    pub(super) fn of(peer: Peer, ike: IkeSa, service: Service) -> Self {
        Self { peer, ike, former: None, service }
    }

    /// A datagram for one of its IKE SAs.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Verdict {
        let which = match self.ike.is_addressed(&incoming.header) {
            true => Which::Current,
            false => Which::Former,
        };
        let Some(sa) = self.sa(which).filter(|sa| sa.is_addressed(&incoming.header)) else {
            node.ignore(Ignored::UnknownSpi);
            return Verdict::Stay;
        };
        if incoming.header.flags.response {
            if !sa.ids.waits_for(incoming.header.message_id) {
                node.ignore(Ignored::NotAsked);
                return Verdict::Stay;
            }
            return match sa.open(incoming) {
                Ok(_) => self.response(now, node, which, incoming),
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
            // No proof of life and no move: whoever recorded the request can send it again from anywhere.
            node.counters.answered_again += 1;
            node.send_ike(self.peer.worker, datagram.path, datagram.framing, bytes);
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
                    if let Some(next) = made.next_ike_sa {
                        self.succeed(now, node, next);
                    }
                    Verdict::Stay
                }
                Err(misshapen) => self.unreadable(now, node, which, datagram, incoming, &misshapen),
            },
            Exchange::Informational => {
                let done = informational::obey(now, node, self, payloads);
                let answer = self.answer(now, node, which, datagram, incoming, &done.payloads);
                match (done.ike_sa, which) {
                    (informational::IkeSaFate::Stays, _) => Verdict::Stay,
                    (informational::IkeSaFate::Deleted, Which::Current) => {
                        Verdict::Gone(Cause::PeerDeleted, Some(farewell(&self.ike, incoming, answer)))
                    }
                    (informational::IkeSaFate::Deleted, Which::Former) => {
                        if let Some(former) = self.former.take() {
                            node.forget_ike_spi(former.ike.spi());
                            node.keep_farewell(now, farewell(&former.ike, incoming, answer));
                        }
                        Verdict::Stay
                    }
                }
            }
            // They had their time. The peer itself says nonsense.
            Exchange::IkeSaInit | Exchange::IkeAuth => {
                self.unreadable(now, node, which, datagram, incoming, &"an exchange that is over")
            }
        }
    }

    fn response(&mut self, now: Instant, node: &mut Node, which: Which, incoming: &Incoming<'_>) -> Verdict {
        let Some(sa) = self.sa_mut(which) else { return Verdict::Stay };
        match sa.ids.response(incoming.header.message_id) {
            Response::Answer(Purpose::Liveness) => {
                self.peer.heard = now;
                Verdict::Stay
            }
            // It is asked in the state Closing only.
            Response::Answer(Purpose::Goodbye | Purpose::Login) => Verdict::Gone(Cause::ShutDown, None),
            Response::NotAsked => {
                node.ignore(Ignored::NotAsked);
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

    /// A peer behind a NAT is where its last authenticated message came from (RFC 7296 section 2.23). Called for
    /// messages inside the window only, for those cannot be replayed.
    fn follow(&mut self, node: &mut Node, datagram: &IkeDatagram) {
        let may_move = match self.peer.nat.peer {
            Behind::Nat => datagram.framing == IkeFraming::NonEspMarker,
            Behind::Nothing => false,
        };
        if !may_move || datagram.path == self.peer.path {
            return;
        }
        tracing::info!(from = %self.peer.path.peer, to = %datagram.path.peer, by = "IKE", "peer moved");
        node.counters.moves_by_ike += 1;
        let from = std::mem::replace(&mut self.peer.path, datagram.path);
        self.peer.framing = datagram.framing;
        match &self.service {
            Service::Tunnel(tunnel) => {
                let order = Move { tunnel: tunnel.key, from, to: datagram.path };
                node.installer.command(tunnel.key.worker, Command::MoveTunnel(Box::new(order)));
            }
            Service::Childless { .. } => {}
        }
    }

    /// A rekeyed IKE SA takes over; children are the session's and stay (RFC 7296 section 2.18).
    fn succeed(&mut self, now: Instant, node: &mut Node, next: IkeSa) {
        let ike = std::mem::replace(&mut self.ike, next);
        if let Some(forgotten) = self.former.replace(Former { ike, until: now + FORMER }) {
            node.forget_ike_spi(forgotten.ike.spi());
        }
        tracing::info!(suite = %self.ike.suite(), "IKE SA rekeyed");
    }

    /// The peer has used one of our SAs for the first time.
    pub(crate) fn first_use(&mut self, node: &mut Node, spi: Spi) {
        match &mut self.service {
            Service::Tunnel(tunnel) => tunnel.first_use(node, spi),
            Service::Childless { .. } => {}
        }
    }

    /// An SA of ours reached a limit.
    pub(crate) fn lifetime(&mut self, pair: Spi, direction: Direction, reached: Reached) {
        match reached {
            Reached::Soft => tracing::debug!(spi_in = %pair, ?direction, "child SA is to be replaced"),
            Reached::Hard => tracing::warn!(spi_in = %pair, ?direction, "child SA has ended: nobody replaced it"),
        }
    }

    /// The worker says where packets go now. It has the last word: what it reports last is where they go, whether
    /// ESP moved the tunnel or we asked for it.
    pub(crate) fn moved(&mut self, node: &mut Node, tunnel: TunnelKey, path: Path) {
        let ours = matches!(&self.service, Service::Tunnel(ours) if ours.key == tunnel);
        if !ours || path == self.peer.path {
            return;
        }
        tracing::info!(from = %self.peer.path.peer, to = %path.peer, by = "ESP", "peer moved");
        node.counters.moves_by_esp += 1;
        self.peer.path = path;
        self.peer.framing = IkeFraming::NonEspMarker;
    }

    /// Its time has come.
    pub(crate) fn timeout(&mut self, now: Instant, node: &mut Node) -> Verdict {
        match &mut self.service {
            Service::Tunnel(tunnel) => tunnel.sweep(now, node),
            Service::Childless { since, .. } if *since + CHILDLESS <= now => return Verdict::Close(Cause::Childless),
            Service::Childless { .. } => {}
        }
        if let Some(former) = self.former.take_if(|former| former.until <= now) {
            node.forget_ike_spi(former.ike.spi());
        }
        let patience = node.patience();
        match self.ike.ids.retry(now, &patience) {
            Retry::NotYet => {}
            Retry::Again(bytes) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                node.send_ike(self.peer.worker, self.peer.path, self.peer.framing, bytes);
                self.peer.sent = now;
            }
            Retry::Dead => return Verdict::Gone(Cause::PeerDead, None),
        }
        dpd::ask_if_quiet(now, node, self);
        keepalive::send_if_quiet(now, node, self);
        Verdict::Stay
    }

    /// When [`Established::timeout`] has something to do.
    pub(crate) fn deadline(&self, node: &Node) -> Option<Instant> {
        let service = match &self.service {
            Service::Tunnel(tunnel) => tunnel.deadline(),
            Service::Childless { since, .. } => Some(*since + CHILDLESS),
        };
        let former = self.former.as_ref().map(|former| former.until);
        let retry = self.ike.ids.due();
        [service, former, retry, dpd::due(node, self), keepalive::due(node, self)].into_iter().flatten().min()
    }

    /// All IKE SAs of it are forgotten: nothing can reach it by its SPIs any more.
    pub(crate) fn forget_ike_sas(&mut self, node: &mut Node) {
        node.forget_ike_spi(self.ike.spi());
        if let Some(former) = self.former.take() {
            node.forget_ike_spi(former.ike.spi());
        }
    }

    /// The dataplane lets go of it; its IKE SAs are for the caller to keep or drop.
    pub(crate) fn stop_service(&mut self, now: Instant, node: &mut Node) {
        let before =
            std::mem::replace(&mut self.service, Service::Childless { since: now, traffic: Traffic::default() });
        let traffic = match before {
            Service::Tunnel(tunnel) => tunnel.take_down(node),
            Service::Childless { traffic, .. } => traffic,
        };
        self.service = Service::Childless { since: now, traffic };
    }

    /// When an authenticated packet last came, IKE or ESP.
    pub(super) fn heard(&self) -> Instant {
        match &self.service {
            Service::Tunnel(tunnel) => self.peer.heard.max(tunnel.last_received()),
            Service::Childless { .. } => self.peer.heard,
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
            Which::Former => self.former.as_ref().map(|former| &former.ike),
        }
    }

    fn sa_mut(&mut self, which: Which) -> Option<&mut IkeSa> {
        match which {
            Which::Current => Some(&mut self.ike),
            Which::Former => self.former.as_mut().map(|former| &mut former.ike),
        }
    }
}

pub(super) fn farewell(ike: &IkeSa, incoming: &Incoming<'_>, answer: Vec<u8>) -> Farewell {
    Farewell { spi: ike.spi(), request: incoming.bytes.to_vec(), answer }
}
