//! Copied views of sessions and their child SAs, for the API.

use super::calling::Calling;
use super::closing::Closing;
use super::established::{Established, Service};
use super::half_open::HalfOpen;
use super::ike_sa::{IkeSa, IkeSpis};
use super::proving::{Keyed, Proving};
use crate::ike::narrow::Shown;
use crate::ike::service::{Behind, Node, Peer, Traffic};
use crate::ike::wire::IkeSpi;
use crate::session::{SaView, SessionId, SessionState, SessionView};
use adit_dataplane::contract::{Path, Selector, WorkerId};
use adit_dataplane::time::Instant;

impl HalfOpen {
    /// Nothing is proven yet.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        SessionView {
            peer_behind_nat: self.nat.peer == Behind::Nat,
            ike_algorithms: self.ike.suite().to_string(),
            ..connecting(now, self.id, self.path, &self.ike.spis, self.worker, self.since)
        }
    }
}

impl Calling {
    /// Nothing is agreed yet.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let spis = IkeSpis { initiator: self.spi, responder: IkeSpi::default() };
        connecting(now, self.id, self.call.path, &spis, self.worker, self.since)
    }
}

impl Proving {
    /// Keys are agreed, nothing is proven.
    pub(crate) fn view(&self, now: Instant) -> SessionView {
        let Keyed { id, call, ike, worker, since, nat, .. } = &self.keyed;
        SessionView {
            peer_behind_nat: nat.peer == Behind::Nat,
            ike_algorithms: ike.suite().to_string(),
            ..connecting(now, *id, call.natt, &ike.spis, *worker, *since)
        }
    }
}

impl Established {
    /// In service.
    pub(crate) fn view(&self, now: Instant, node: &Node) -> SessionView {
        let addresses = match &self.service {
            Service::Tunnel(tunnel) => tunnel.inner.addresses(),
            Service::Childless { .. } => Vec::new(),
        };
        let idle = now.since(self.heard()).as_secs();
        let view = view(&self.peer, &self.ike, self.traffic(), now, node);
        SessionView { addresses, idle_seconds: idle, state: SessionState::Up, ..view }
    }

    /// Its child SAs, oldest first.
    pub(crate) fn sas(&self, now: Instant) -> Vec<SaView> {
        let Service::Tunnel(tunnel) = &self.service else { return Vec::new() };
        let view = |child: &crate::ike::service::Child| {
            let traffic = child.traffic();
            SaView {
                session: self.peer.id.to_string(),
                identity: self.peer.identity.to_string(),
                spi_in: child.spi_in.to_string(),
                spi_out: format!("{:#010x}", child.spi_out),
                algorithms: child.algorithms(),
                library: child.library.name().to_owned(),
                state: child.state().to_owned(),
                worker: tunnel.key.worker.0,
                local: shown(&child.selectors.local),
                remote: shown(&child.selectors.remote),
                age_seconds: now.since(child.since).as_secs(),
                bytes_in: traffic.bytes_in,
                bytes_out: traffic.bytes_out,
                packets_in: traffic.packets_in,
                packets_out: traffic.packets_out,
                inner_mtu: child.sent.totals().inner_mtu,
            }
        };
        tunnel.children.iter().map(view).collect()
    }
}

impl Closing {
    /// On its way out.
    pub(crate) fn view(&self, now: Instant, node: &Node) -> SessionView {
        view(&self.peer, &self.ike, self.traffic, now, node)
    }
}

const TRANSPORT: &str = "nat-t";

fn view(peer: &Peer, ike: &IkeSa, traffic: Traffic, now: Instant, node: &Node) -> SessionView {
    SessionView {
        id: peer.id.to_string(),
        state: SessionState::Closing,
        identity: peer.identity.to_string(),
        connection: node.connection(peer.connection).map(|connection| connection.name.clone()).unwrap_or_default(),
        addresses: Vec::new(),
        peer: peer.path.peer,
        local: peer.path.local,
        transport: TRANSPORT.to_owned(),
        peer_behind_nat: peer.nat.peer == Behind::Nat,
        ike_algorithms: ike.suite().to_string(),
        ike_spis: spis(&ike.spis),
        worker: peer.worker.0,
        up_seconds: now.since(peer.login).as_secs(),
        idle_seconds: now.since(peer.heard).as_secs(),
        bytes_in: traffic.bytes_in,
        bytes_out: traffic.bytes_out,
        packets_in: traffic.packets_in,
        packets_out: traffic.packets_out,
    }
}

fn connecting(
    now: Instant,
    id: SessionId,
    path: Path,
    ike_spis: &IkeSpis,
    worker: WorkerId,
    since: Instant,
) -> SessionView {
    SessionView {
        id: id.to_string(),
        state: SessionState::Connecting,
        identity: String::new(),
        connection: String::new(),
        addresses: Vec::new(),
        peer: path.peer,
        local: path.local,
        transport: TRANSPORT.to_owned(),
        peer_behind_nat: false,
        ike_algorithms: String::new(),
        ike_spis: spis(ike_spis),
        worker: worker.0,
        up_seconds: now.since(since).as_secs(),
        idle_seconds: now.since(since).as_secs(),
        bytes_in: 0,
        bytes_out: 0,
        packets_in: 0,
        packets_out: 0,
    }
}

fn spis(spis: &IkeSpis) -> String {
    format!("{:?}_{:?}", spis.initiator, spis.responder)
}

fn shown(selectors: &[Selector]) -> Vec<String> {
    selectors.iter().map(|selector| Shown(selector).to_string()).collect()
}
