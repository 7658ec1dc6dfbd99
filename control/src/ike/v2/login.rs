//! The outcome of IKE_AUTH: a session begins, or the peer is told that none does (RFC 7296 sections 1.2, 2.21.2).

use super::established::{Established, Service, farewell};
use super::expect_auth::{LoginRefused, Proven};
use super::first_child;
use super::half_open::HalfOpen;
use crate::ike::login_times::LoginPhase;
use crate::ike::service::policy::Policy;
use crate::ike::service::{Closed, Farewell, Node, Origin, Peer};
use crate::ike::wire::{Incoming, Payload};
use crate::journal::What;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;

impl Established {
    /// The peer has proven its identity: its session begins, with a child SA or without (RFC 7296 section 1.2).
    pub(crate) fn begin(
        now: Instant,
        node: &mut Node,
        half: HalfOpen,
        proven: Proven<'_>,
        datagram: &IkeDatagram,
        incoming: &Incoming<'_>,
    ) -> Self {
        let granted = proven.child.map(|offer| first_child::grant(now, node, &half, &proven, offer, datagram));
        // Where its tunnel is; without one, anywhere.
        let worker = match &granted {
            Some(Ok((tunnel, _))) => tunnel.key.worker,
            Some(Err(_)) | None => node.installer.least_loaded(),
        };
        node.installer.session_came(worker);
        let mut without = None;
        let (service, rest) = match granted {
            None => {
                node.counters.logins += 1;
                tracing::info!(identity = %proven.identity, peer = %datagram.path.peer, ike = %half.ike.suite(),
                    "login without a child SA, as the client wants it");
                (Service::childless(now), Vec::new())
            }
            Some(Ok((tunnel, payloads))) => {
                node.counters.logins += 1;
                let addresses = tunnel.inner.addresses();
                let connection = node.connection(proven.connection).map(|connection| connection.name.as_str());
                tracing::info!(identity = %proven.identity, connection, ?addresses, peer = %datagram.path.peer,
                    worker = worker.0, ike = %half.ike.suite(),
                    esp = tunnel.children.first().map(|child| tracing::field::display(child.suite)), "login");
                (Service::Tunnel(Box::new(tunnel)), payloads)
            }
            Some(Err(refused)) => {
                node.counters.refusals += 1;
                tracing::warn!(cause = refused.cause.name(), identity = %proven.identity, peer = %datagram.path.peer,
                    offered = refused.offered, wanted = refused.wanted, "login without child SA: {}", refused.cause.sentence());
                without = Some(refused.cause);
                (Service::childless(now), vec![refused.answer])
            }
        };
        let HalfOpen { id, arrival, mut ike, nat, since, .. } = half;
        let payloads: Vec<Payload> = proven.ours.into_iter().chain(rest).collect();
        let bytes = ike.answer(&incoming.header, &payloads);
        node.send_ike(worker, datagram.path, datagram.framing, bytes);
        let peer = Peer {
            id,
            identity: proven.identity.clone(),
            connection: proven.connection,
            origin: Origin::Came(arrival),
            nat,
            worker,
            path: datagram.path,
            framing: datagram.framing,
            login: now,
            heard: now,
            sent: now,
            policy: Policy::default(),
            closed: Closed::default(),
        };
        let mut session = Self::of(peer, ike, service);
        session.take_policy(node);
        session.tell_login(node);
        if without.is_none() {
            node.counters.login_times.took(LoginPhase::IkeAuth, now.since(since));
        }
        if let Some(cause) = without {
            node.tell_no_service(now, &session.peer, cause);
        }
        session
    }

    /// It has begun.
    pub(crate) fn tell_login(&self, node: &mut Node) {
        let tunnel = match &self.service {
            Service::Tunnel(tunnel) => Some(tunnel),
            Service::Childless { .. } => None,
        };
        let what = What::Login {
            ike: "v2",
            transport: tunnel.map(|tunnel| tunnel.path.transport()),
            nat: self.peer.nat_spell(),
            addresses: tunnel.map(|tunnel| tunnel.inner.addresses()).unwrap_or_default(),
            algorithms: self.ike.suite().to_string(),
        };
        node.tell(&self.peer, what);
    }
}

/// A refused IKE_AUTH: the peer is told, protected by the keys of the half-open SA, which ends with this
/// (RFC 7296 section 2.21.2).
pub(crate) fn refuse_login(half: HalfOpen, refused: &LoginRefused, incoming: &Incoming<'_>) -> Farewell {
    let mut ike = half.ike;
    let answer = ike.answer(&incoming.header, std::slice::from_ref(&refused.answer));
    farewell(&ike, incoming, answer)
}
