//! Copied views of sessions and their child SAs, for the API.

use super::calling::Calling;
use super::closing::Closing;
use super::established::{Established, Service};
use super::half_open::HalfOpen;
use super::ike_sa::{IkeSa, IkeSpis};
use super::proving::{Keyed, Proving};
use crate::ike::service::{Behind, IkeShown, Node, Tunnel, connecting, drops, policy_view, sas, view};
use crate::ike::wire::IkeSpi;
use crate::session::{Reason, SaView, SessionState, SessionView};
use adit_dataplane::contract::TunnelKey;
use adit_dataplane::time::Instant;

impl HalfOpen {
    /// Nothing is proven yet.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        SessionView {
            peer_behind_nat: self.nat.peer == Behind::Nat,
            ike_algorithms: self.ike.suite().to_string(),
            ..connecting(now, ike(&self.ike.spis), self.id, self.path, self.worker, self.since)
        }
    }
}

impl Calling {
    /// Nothing is agreed yet.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let spis = IkeSpis { initiator: self.spi, responder: IkeSpi::default() };
        connecting(now, ike(&spis), self.id, self.call.path, self.worker, self.since)
    }
}

impl Proving {
    /// Keys are agreed, nothing is proven.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let Keyed { id, onward, ike, worker, since, nat, .. } = &self.keyed;
        SessionView {
            peer_behind_nat: nat.peer == Behind::Nat,
            ike_algorithms: ike.suite().to_string(),
            ..connecting(now, self::ike(&ike.spis), *id, onward.0, *worker, *since)
        }
    }
}

impl Established {
    /// Its tunnel's name, while it has one.
    pub(crate) fn tunnel(&self) -> Option<TunnelKey> {
        match &self.service {
            Service::Tunnel(tunnel) => Some(tunnel.key),
            Service::Childless { .. } => None,
        }
    }

    /// Its tunnel, while it has one.
    pub(crate) fn tunnel_held(&self) -> Option<&Tunnel> {
        match &self.service {
            Service::Tunnel(tunnel) => Some(tunnel),
            Service::Childless { .. } => None,
        }
    }

    /// In service.
    pub(crate) fn view(&self, now: Instant, node: &Node) -> SessionView {
        let addresses = match &self.service {
            Service::Tunnel(tunnel) => tunnel.inner.addresses(),
            Service::Childless { .. } => Vec::new(),
        };
        let idle = now.since(self.heard()).as_secs();
        let stands = (SessionState::Up, self.reason());
        let view = view(now, node, ike_in_use(&self.ike), &self.peer, self.traffic(), stands);
        let transport = match &self.service {
            Service::Tunnel(tunnel) => tunnel.path.transport().name().to_owned(),
            Service::Childless { .. } => String::new(),
        };
        let (policy, drops) = (policy_view(now, &self.peer, self.used()), drops(self.service.tunnel()));
        SessionView { addresses, transport, idle_seconds: idle, policy, drops, ..view }
    }

    /// What speaks against its being well.
    fn reason(&self) -> Reason {
        if self.suspected.is_some_and(|since| self.heard() < since) {
            return Reason::StallSuspected;
        }
        if self.ike.ids.is_repeating() { Reason::Unanswered } else { Reason::Well }
    }

    /// How many child SAs it has.
    pub(crate) fn sa_count(&self) -> usize {
        match &self.service {
            Service::Tunnel(tunnel) => tunnel.children.len(),
            Service::Childless { .. } => 0,
        }
    }

    /// Its child SAs, oldest first.
    pub(crate) fn sas(&self, now: Instant) -> Vec<SaView> {
        match &self.service {
            Service::Tunnel(tunnel) => sas(now, &self.peer, tunnel),
            Service::Childless { .. } => Vec::new(),
        }
    }
}

impl Closing {
    /// On its way out.
    pub(crate) fn view(&self, now: Instant, node: &Node) -> SessionView {
        let stands = (SessionState::Closing, Reason::Ending(self.cause));
        view(now, node, ike_in_use(&self.ike), &self.peer, self.traffic, stands)
    }
}

fn ike(spis: &IkeSpis) -> IkeShown {
    IkeShown { version: "v2", algorithms: String::new(), spis: [spis.initiator, spis.responder] }
}

fn ike_in_use(sa: &IkeSa) -> IkeShown {
    IkeShown { algorithms: sa.suite().to_string(), ..ike(&sa.spis) }
}
