//! Copied views of sessions and their child SAs, for the API: what both versions of IKE have.

use super::child::Child;
use super::nat::Behind;
use super::node::Node;
use super::peer::Peer;
use super::policy::Policy;
use super::tunnel::{Traffic, Tunnel};
use crate::ike::narrow::Shown;
use crate::ike::wire::IkeSpi;
use crate::session::{Health, PolicyView, Reason, SaView, SessionId, SessionState, SessionView};
use adit_dataplane::contract::{Path, Rate, Selector, WorkerId};
use adit_dataplane::time::Instant;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// What is shown of an IKE SA.
pub(crate) struct IkeShown {
    /// `v1`, `v2`.
    pub(crate) version: &'static str,
    /// As config spells them; empty before they are agreed.
    pub(crate) algorithms: String,
    /// The initiator's and the responder's SPI, or cookie.
    pub(crate) spis: [IkeSpi; 2],
}

/// A session of somebody proven, in this state for this reason.
pub(crate) fn view(
    now: Instant,
    node: &Node,
    ike: IkeShown,
    peer: &Peer,
    traffic: Traffic,
    (state, reason): (SessionState, Reason),
) -> SessionView {
    SessionView {
        state,
        health: reason.health(),
        reason: reason.name().to_owned(),
        identity: peer.identity.to_string(),
        connection: node.connection(peer.connection).map(|connection| connection.name.clone()).unwrap_or_default(),
        peer_behind_nat: peer.nat.peer == Behind::Nat,
        idle_seconds: now.since(peer.heard).as_secs(),
        bytes_in: traffic.bytes_in,
        bytes_out: traffic.bytes_out,
        packets_in: traffic.packets_in,
        packets_out: traffic.packets_out,
        ..connecting(now, ike, peer.id, peer.path, peer.worker, peer.login)
    }
}

/// Nobody has proven anything yet.
pub(crate) fn connecting(
    now: Instant,
    ike: IkeShown,
    id: SessionId,
    path: Path,
    worker: WorkerId,
    since: Instant,
) -> SessionView {
    let [initiator, responder] = ike.spis;
    SessionView {
        id: id.to_string(),
        state: SessionState::Connecting,
        health: Health::Down,
        reason: Reason::Connecting.name().to_owned(),
        ike: ike.version.to_owned(),
        identity: String::new(),
        group: String::new(),
        connection: String::new(),
        addresses: Vec::new(),
        peer: path.peer,
        local: path.local,
        transport: String::new(),
        peer_behind_nat: false,
        ike_algorithms: ike.algorithms,
        ike_spis: format!("{initiator:?}_{responder:?}"),
        worker: worker.0,
        up_seconds: now.since(since).as_secs(),
        idle_seconds: now.since(since).as_secs(),
        bytes_in: 0,
        bytes_out: 0,
        packets_in: 0,
        packets_out: 0,
        policy: PolicyView::default(),
        drops: BTreeMap::new(),
    }
}

/// What a session may, and when it ends by that.
pub(crate) fn policy(now: Instant, peer: &Peer, used: Instant) -> PolicyView {
    let Policy { class, rates, limits, granted: _, max_logins, when_full: _ } = &peer.policy;
    let left = |most: Option<Duration>, since: Instant| most.map(|most| (since + most).since(now).as_secs());
    PolicyView {
        class: class.clone(),
        rate_up: rates.up.map(Rate::bits_per_second),
        rate_down: rates.down.map(Rate::bits_per_second),
        idle_timeout: limits.idle.map(|most| most.as_secs()),
        idle_timeout_in: left(limits.idle, used),
        session_timeout: limits.session.map(|most| most.as_secs()),
        session_timeout_in: left(limits.session, peer.policy.counts_from(peer.login)),
        max_logins: max_logins.map(NonZeroU32::get),
    }
}

/// What was dropped of a tunnel's packets, by name of the reason.
pub(crate) fn drops(tunnel: Option<&Tunnel>) -> BTreeMap<String, u64> {
    let drops = tunnel.into_iter().flat_map(Tunnel::drops);
    drops.map(|(reason, packets)| (reason.name().to_owned(), packets)).collect()
}

/// Its child SAs, oldest first.
pub(crate) fn sas(now: Instant, peer: &Peer, tunnel: &Tunnel) -> Vec<SaView> {
    let view = |child: &Child| {
        let traffic = child.traffic();
        SaView {
            session: peer.id.to_string(),
            identity: peer.identity.to_string(),
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

fn shown(selectors: &[Selector]) -> Vec<String> {
    selectors.iter().map(|selector| Shown(selector).to_string()).collect()
}
