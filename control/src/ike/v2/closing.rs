//! A session that we end: nothing is carried any more, the peer is told, its answer is awaited (RFC 7296 section
//! 1.4.1).

use super::ask_ike::{self, IkeAsked};
use super::established::{Established, Verdict};
use super::ike_sa::IkeSa;
use super::message_id::{Request, Response};
use super::purpose::Purpose;
use super::shape::notify;
use crate::ike::counters::Ignored;
use crate::ike::service::{Connections, Farewell, Node, Peer, Retry, Traffic};
use crate::ike::sk::SkError;
use crate::ike::wire::{Delete, Exchange, Incoming, NotifyKind, Payload, Protocol};
use crate::session::Cause;
use adit_dataplane::contract::{IkeDatagram, IkeFraming};
use adit_dataplane::time::Instant;

/// Says goodbye.
pub(crate) struct Closing {
    pub(crate) peer: Peer,
    pub(crate) ike: IkeSa,
    pub(crate) cause: Cause,
    pub(crate) traffic: Traffic,
    /// They end when all is said.
    pub(crate) connections: Connections,
}

impl Closing {
    /// Service ends at once. If a request is under way, ours has to wait for its answer (RFC 7296 section 2.3).
    pub(crate) fn begin(now: Instant, node: &mut Node, mut session: Established, cause: Cause) -> Self {
        let connections = session.connections();
        session.stop_service(now, node, cause);
        let traffic = session.traffic();
        let Established { peer, mut ike, mut others, service: _, told_unknown: _, suspected: _, given: _ } = session;
        others.forget_all(now, node);
        match ike.ids.under_way_mut() {
            // Its answer moves the peer to another IKE SA: that is the one to end then.
            Some(Purpose::RekeyIke(_)) | None => {}
            Some(purpose) => purpose.let_go(node),
        }
        let mut closing = Self { peer, ike, cause, traffic, connections };
        closing.say_goodbye(now, node);
        closing
    }

    fn say_goodbye(&mut self, now: Instant, node: &mut Node) {
        let delete = Payload::Delete(Delete { protocol: Protocol::Ike, spis: Vec::new() });
        let Ok(bytes) = self.ike.ask(now, node, Purpose::Goodbye, &[delete]) else { return };
        node.send_ike(self.peer.worker, self.peer.path, self.peer.framing, bytes);
    }

    /// A datagram for its IKE SA.
    pub(crate) fn handle(
        &mut self,
        now: Instant,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Verdict {
        let header = incoming.header;
        if !self.ike.is_addressed(&header) {
            node.ignore(Ignored::UnknownSpi);
            return Verdict::Stay;
        }
        let opened = match self.ike.open(incoming) {
            Err(SkError::BadIcv) => {
                node.ignore(Ignored::BadIcv);
                return Verdict::Stay;
            }
            Ok(payloads) => payloads,
            // It is over anyway: as good as an empty message.
            Err(SkError::Syntax(_)) => Vec::new(),
        };
        if header.flags.response {
            return match self.ike.ids.response(header.message_id) {
                Response::Answer(Purpose::Goodbye) => Verdict::Gone(self.cause, None),
                Response::Answer(Purpose::RekeyIke(asked)) => {
                    self.follow(now, node, *asked, &opened);
                    self.say_goodbye(now, node);
                    Verdict::Stay
                }
                Response::Answer(
                    Purpose::Liveness
                    | Purpose::Login
                    | Purpose::DeleteChildren(_)
                    | Purpose::Child(_)
                    | Purpose::Abandoned(_),
                ) => {
                    self.say_goodbye(now, node);
                    Verdict::Stay
                }
                Response::NotAsked => {
                    node.ignore(Ignored::NotAsked);
                    Verdict::Stay
                }
            };
        }
        match self.ike.ids.request(header.message_id) {
            Request::Next => self.request(node, datagram, incoming, &opened),
            Request::Again(bytes) => {
                let bytes = bytes.to_vec();
                node.answer_again(self.peer.worker, self.peer.path, datagram, bytes);
                Verdict::Stay
            }
            Request::Old => {
                node.ignore(Ignored::OldMessageId);
                Verdict::Stay
            }
            Request::Ahead => {
                node.ignore(Ignored::FutureMessageId);
                Verdict::Stay
            }
        }
    }

    /// Our rekey of the IKE SA was answered: the peer has gone over to the new one.
    fn follow(&mut self, now: Instant, node: &mut Node, asked: IkeAsked, payloads: &[Payload]) {
        let spi = asked.spi;
        match ask_ike::make(now, node, &self.ike, self.peer.connection, asked, payloads) {
            Ok((new, _)) => {
                let old = std::mem::replace(&mut self.ike, new);
                node.forget_ike_spi(old.spi());
            }
            Err(_refused) => node.forget_ike_spi(spi),
        }
    }

    fn request(
        &mut self,
        node: &mut Node,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
        payloads: &[Payload],
    ) -> Verdict {
        let answer = match incoming.header.exchange {
            // RFC 7296 section 2.25.2: what is being deleted makes nothing new.
            Exchange::CreateChildSa | Exchange::IkeSaInit | Exchange::IkeAuth => {
                vec![notify(NotifyKind::TemporaryFailure, Vec::new())]
            }
            Exchange::Informational => Vec::new(),
        };
        let bytes = self.ike.answer(&incoming.header, &answer);
        node.send_ike(self.peer.worker, datagram.path, datagram.framing, bytes.clone());
        // Both say goodbye at once (RFC 7296 section 2.25.2): neither waits for the other's answer.
        let deleted = payloads
            .iter()
            .any(|payload| matches!(payload, Payload::Delete(delete) if delete.protocol == Protocol::Ike));
        if deleted && incoming.header.exchange == Exchange::Informational {
            let farewell = Farewell::to_request(self.ike.spi(), incoming.bytes.to_vec(), bytes);
            return Verdict::Gone(self.cause, Some(farewell));
        }
        Verdict::Stay
    }

    /// Nothing can reach it by its SPI any more.
    pub(crate) fn forget_ike_sa(&mut self, node: &mut Node) {
        if let Some(mut purpose) = self.ike.ids.forget() {
            purpose.let_go(node);
        }
        node.forget_ike_spi(self.ike.spi());
    }

    /// Its time has come.
    pub(crate) fn timeout(&mut self, now: Instant, node: &mut Node) -> Verdict {
        // Message IDs have run out, so it cannot even be said.
        if self.ike.ids.under_way().is_none() {
            return Verdict::Gone(self.cause, None);
        }
        match self.ike.ids.retry(now, &node.patience()) {
            // RFC 9329 section 6.2: TCP repeats it.
            Retry::Again(_) if self.peer.framing == IkeFraming::Tcp => Verdict::Stay,
            Retry::Again(bytes) => {
                let bytes = bytes.to_vec();
                node.counters.asked_again += 1;
                node.send_ike(self.peer.worker, self.peer.path, self.peer.framing, bytes);
                Verdict::Stay
            }
            Retry::Dead => Verdict::Gone(self.cause, None),
            Retry::NotYet => Verdict::Stay,
        }
    }

    /// When [`Closing::timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Instant {
        self.ike.ids.due().unwrap_or(self.peer.heard)
    }
}
