//! Copied views of sessions and their ESP SAs, for the API.

use super::calling::Calling;
use super::entering::Entering;
use super::established::{Established, Service};
use super::half_open::HalfOpen;
use super::isakmp_sa::Cookies;
use super::login::Login;
use super::suite::Suite;
use super::wire::IkeSpi;
use crate::ike::service::{Behind, IkeShown, Node, Tunnel, connecting, drops, policy_view, sas, view};
use crate::session::{Reason, SaView, SessionState, SessionView};
use adit_dataplane::contract::TunnelKey;
use adit_dataplane::time::Instant;

impl HalfOpen {
    /// Nothing is proven yet.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let begun = &self.begun;
        let ike = shown(begun.cookies, Suite::from(begun.offer));
        SessionView {
            peer_behind_nat: begun.traversal.nat.peer == Behind::Nat,
            ..connecting(now, ike, begun.id, begun.path, begun.worker, begun.since)
        }
    }
}

impl Login {
    /// The group is proven, the user is not.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let proven = &self.proven;
        let ike = shown(proven.sa.cookies(), proven.sa.suite());
        SessionView {
            peer_behind_nat: proven.traversal.nat.peer == Behind::Nat,
            group: proven.identity.to_string(),
            ..connecting(now, ike, proven.id, proven.path, proven.worker, proven.since)
        }
    }
}

impl Calling {
    /// Nothing is proven yet.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let started = &self.started;
        let spis = [started.cookie, IkeSpi::default()];
        let ike = IkeShown { version: "v1", algorithms: String::new(), spis };
        connecting(now, ike, started.id, started.along.0, started.worker, started.since)
    }
}

impl Entering {
    /// The headend has proven who it is, we have not.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let reached = &self.reached;
        let ike = shown(reached.sa.cookies(), reached.sa.suite());
        SessionView {
            group: reached.identity.to_string(),
            ..connecting(now, ike, reached.id, reached.along.0, reached.worker, reached.since)
        }
    }
}

impl Established {
    /// Where it stands.
    pub(crate) fn state(&self) -> SessionState {
        match self.is_connecting() {
            true => SessionState::Connecting,
            false => SessionState::Up,
        }
    }

    /// In service.
    pub(crate) fn view(&self, now: Instant, node: &Node) -> SessionView {
        let (addresses, transport) = match &self.service {
            Service::Tunnel(tunnel) => (tunnel.inner.addresses(), tunnel.path.transport().name().to_owned()),
            Service::Nothing { .. } => (Vec::new(), String::new()),
        };
        let ike = shown(self.sa.cookies(), self.sa.suite());
        SessionView {
            group: self.group.to_string(),
            addresses,
            transport,
            idle_seconds: now.since(self.heard()).as_secs(),
            policy: policy_view(now, &self.peer, self.used()),
            drops: drops(self.service.tunnel()),
            ..view(now, node, ike, &self.peer, self.traffic(), (self.state(), self.reason()))
        }
    }

    /// What speaks against its being well.
    fn reason(&self) -> Reason {
        match (self.state(), &self.suspicion) {
            (SessionState::Connecting, _) => Reason::Connecting,
            (SessionState::Up | SessionState::Closing, Some(_)) => Reason::StallSuspected,
            (SessionState::Up | SessionState::Closing, None) if self.dpd.is_repeating() => Reason::Unanswered,
            (SessionState::Up | SessionState::Closing, None) => Reason::Well,
        }
    }

    /// How many ESP SAs it has.
    pub(crate) fn sa_count(&self) -> usize {
        match &self.service {
            Service::Tunnel(tunnel) => tunnel.children.len(),
            Service::Nothing { .. } => 0,
        }
    }

    /// Its tunnel's name, once it has one.
    pub(crate) fn tunnel(&self) -> Option<TunnelKey> {
        match &self.service {
            Service::Tunnel(tunnel) => Some(tunnel.key),
            Service::Nothing { .. } => None,
        }
    }

    /// Its tunnel, while it has one.
    pub(crate) fn tunnel_held(&self) -> Option<&Tunnel> {
        match &self.service {
            Service::Tunnel(tunnel) => Some(tunnel),
            Service::Nothing { .. } => None,
        }
    }

    /// Its ESP SAs, oldest first.
    pub(crate) fn sas(&self, now: Instant) -> Vec<SaView> {
        match &self.service {
            Service::Tunnel(tunnel) => sas(now, &self.peer, tunnel),
            Service::Nothing { .. } => Vec::new(),
        }
    }
}

fn shown(cookies: Cookies, suite: Suite) -> IkeShown {
    IkeShown { version: "v1", algorithms: suite.to_string(), spis: [cookies.initiator, cookies.responder] }
}
