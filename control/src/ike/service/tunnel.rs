//! What a session has in the dataplane: inner addresses, routes, a tunnel, and the child SAs in it.

use super::child::{Child, ChildStage};
use super::connections::connection;
use super::inner::Inner;
use super::node::Node;
use super::peer::Peer;
use super::role::Role;
use crate::config::checked::Config;
use crate::journal::What;
use crate::lease::Claimant;
use crate::session::{Cause, SessionId};
use adit_dataplane::contract::{
    Command, DropReason, EspPath, Following, IkeDatagram, IkeFraming, Lane, Move, Rates, Selectors, Spi, Transport,
    Transports, TunnelDrops, TunnelKey, TunnelSpec,
};
use adit_dataplane::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// How long the peer may take to delete what is its task to delete. Adit's own choice.
pub(crate) const FORMER: Duration = Duration::from_secs(60);

/// So many of its last connections are told when a session ends; who had more before has left those to their silence. Adit's own choice.
const CONNECTIONS: usize = 8;

/// All of it.
pub(crate) struct Tunnel {
    session: SessionId,
    pub(crate) key: TunnelKey,
    /// Where its packets go: what the worker said last, or what it was asked for since.
    pub(crate) path: EspPath,
    /// Connections that it has vouched for, the latest behind. Where it has gone on by another way they are still there.
    connections: Vec<EspPath>,
    /// All by which its packets might come when it was set up,
    transports: Transports,
    /// and those of them that the configuration has taken away since.
    withdrawn: Transports,
    pub(crate) inner: Inner,
    pub(crate) children: Vec<Child>,
    /// Child SAs that are to be made, the oldest wish first.
    pub(crate) wanted: Vec<Wanted>,
    empty_since: Option<Instant>,
    /// Of child SAs that are no more,
    gone: Traffic,
    /// and when the last packet came on one of them.
    gone_received: Instant,
    rates: Rates,
    /// Written by the worker.
    drops: Arc<TunnelDrops>,
}

/// A child SA that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) lane: Lane,
    pub(crate) selectors: Selectors,
    /// Not before.
    pub(crate) at: Instant,
}

/// Inner packets and octets, both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Traffic {
    pub(crate) packets_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) bytes_out: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
    }
}

impl Tunnel {
    /// A tunnel without child SAs.
    pub(crate) fn set_up(
        node: &mut Node,
        session: SessionId,
        key: TunnelKey,
        path: EspPath,
        following: Following,
        transports: Transports,
        inner: Inner,
    ) -> Self {
        for network in inner.routes() {
            node.installer.route(network, key);
        }
        for address in inner.kept_inside() {
            node.installer.keep_inside(address);
        }
        let outer_mtu = node.config.sizes.path_mtu;
        let (rates, drops) = (Rates::default(), Arc::new(TunnelDrops::default()));
        let spec = TunnelSpec { tunnel: key, path, outer_mtu, following, transports, rates, drops: Arc::clone(&drops) };
        node.installer.command(key.worker, Command::AddTunnel(Box::new(spec)));
        let mut tunnel = Self {
            session,
            key,
            path,
            connections: Vec::new(),
            transports,
            withdrawn: Transports::NONE,
            inner,
            children: Vec::new(),
            wanted: Vec::new(),
            empty_since: None,
            gone: Traffic::default(),
            gone_received: Instant::ZERO,
            rates,
            drops,
        };
        tunnel.keep_connection(node, path);
        tunnel
    }

    /// Its connections that there may still be.
    pub(crate) fn connections(&self) -> &[EspPath] {
        &self.connections
    }

    /// Vouches for the connection there, if it is one.
    fn keep_connection(&mut self, node: &mut Node, path: EspPath) {
        if !matches!(path.transport(), Transport::Ctcp | Transport::Tcp) {
            return;
        }
        node.keep_connection(self.key, path);
        self.connections.retain(|other| *other != path);
        if self.connections.len() == CONNECTIONS {
            self.connections.remove(0);
        }
        self.connections.push(path);
    }

    /// Its packets may come and go so fast from now on.
    pub(crate) fn limit(&mut self, node: &mut Node, rates: Rates) {
        if self.rates != rates {
            self.rates = rates;
            node.installer.command(self.key.worker, Command::SetRates { tunnel: self.key, rates });
        }
    }

    /// All by which its packets may come, whatever is closed to it for a while.
    pub(crate) fn transports(&self) -> Transports {
        self.transports.without(self.withdrawn)
    }

    /// The configuration allows these now; `closed` are closed to it for a while.
    pub(crate) fn allow(&mut self, node: &mut Node, allowed: Transports, closed: Transports) {
        let withdrawn = self.transports.without(allowed);
        if std::mem::replace(&mut self.withdrawn, withdrawn) != withdrawn {
            self.close(node, closed);
        }
    }

    /// These are closed to its packets from now on, and what the configuration has taken away, and no others.
    pub(crate) fn close(&self, node: &mut Node, closed: Transports) {
        let closed = closed.iter().chain(self.withdrawn.iter()).collect();
        node.installer.command(self.key.worker, Command::CloseTransports { tunnel: self.key, closed });
    }

    /// What its worker has dropped of its packets.
    pub(crate) fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.drops.totals()
    }

    /// Its packets are to go there from now on; the worker has the last word ([`Tunnel::moved`]).
    pub(crate) fn go(&mut self, node: &mut Node, to: EspPath) {
        let from = std::mem::replace(&mut self.path, to);
        if from != to {
            self.keep_connection(node, to);
            let order = Move { tunnel: self.key, from, to };
            node.installer.command(self.key.worker, Command::MoveTunnel(Box::new(order)));
        }
    }

    /// A message of its peer's that cannot be an old one has come where its IKE is. The connection there may be another than before between
    /// the same ports, and would end as nobody's.
    pub(crate) fn came_along(&mut self, node: &mut Node, datagram: &IkeDatagram) {
        if let Some(connection) = connection(datagram.framing, datagram.path) {
            self.keep_connection(node, connection);
        }
    }

    /// ESP moved it, or we asked for that. IKE shares its NAT's mapping with ESP in the same port, so it goes along.
    pub(crate) fn moved(&mut self, node: &mut Node, peer: &mut Peer, key: TunnelKey, path: EspPath) {
        if self.key != key {
            return;
        }
        if self.path == path {
            // ESP has begun another connection between the same ports, or we asked for the move.
            return self.keep_connection(node, path);
        }
        let from = std::mem::replace(&mut self.path, path);
        tracing::info!(from = %from.path().peer, to = %path.path().peer, was = %from.transport(),
            transport = %path.transport(), by = "ESP", "peer moved");
        node.counters.moves_by_esp += 1;
        let place = |path: EspPath| (Some(path.transport()), path.path().peer);
        node.tell(peer, What::Moved { from: place(from), to: place(path), by: "ESP" });
        self.keep_connection(node, path);
        match (path.transport(), peer.framing) {
            // RFC 9329 section 6.1: both go by the connection where a valid message came last, until they come by UDP again.
            (Transport::Tcp, _) => (peer.path, peer.framing) = (path.path(), IkeFraming::Tcp),
            (Transport::NatT, IkeFraming::Tcp) => (peer.path, peer.framing) = (path.path(), IkeFraming::NonEspMarker),
            (
                Transport::NatT | Transport::NatT500 | Transport::CiscoUdp | Transport::Esp | Transport::Ctcp,
                framing,
            ) => {
                if path.shares_a_port_with(framing) {
                    peer.path = path.path();
                }
            }
        }
    }

    /// Everything goes: no route before no tunnel, so that nobody is sent into the void for long.
    pub(crate) fn take_down(self, node: &mut Node, fate: LeaseFate) -> Traffic {
        let total = self.traffic();
        for network in self.inner.routes() {
            node.installer.unroute(&network, self.key);
        }
        for address in self.inner.kept_inside() {
            node.installer.let_out(address);
        }
        node.installer.command(self.key.worker, Command::DropTunnel { tunnel: self.key });
        match (self.inner, fate) {
            (Inner::Lent(lease), LeaseFate::GivenBack) => node.leases.give_back(self.session, lease),
            (Inner::Lent(lease), LeaseFate::Held { known_by, until }) => {
                node.leases.hold(self.session, known_by, lease, until);
            }
            (Inner::Given { .. }, LeaseFate::GivenBack | LeaseFate::Held { .. }) => {}
        }
        total
    }

    /// The child SA that the peer knows by this SPI of its own, unless it is deleted already.
    pub(crate) fn child_to(&self, spi_out: u32) -> Option<usize> {
        self.children.iter().position(|child| child.spi_out == spi_out && !child.is_draining())
    }

    /// The child SA that we know by this SPI of ours, unless it is deleted already.
    pub(crate) fn child_from(&self, spi_in: Spi) -> Option<usize> {
        self.children.iter().position(|child| child.spi_in == spi_in && !child.is_draining())
    }

    /// The peer has used the SA that it sends to `spi` on: so it has it, and gets ours on it from now on.
    pub(crate) fn first_use(&mut self, now: Instant, node: &mut Node, spi: Spi) {
        let Some(used) = self.children.iter().position(|child| child.spi_in == spi) else { return };
        self.switch_to(now, node, used);
    }

    /// Sends on the `index`th child SA; the one before it in its lane is superseded. Whoever started the rekey deletes
    /// that (RFC 7296 section 2.8).
    pub(crate) fn switch_to(&mut self, now: Instant, node: &mut Node, index: usize) {
        let Some(fresh) = self.children.get(index).filter(|child| child.is_fresh()) else { return };
        let (lane, role) = (fresh.lane, fresh.role);
        for child in self.children.iter_mut().filter(|child| child.lane == lane && child.is_active()) {
            child.stage = match role {
                Role::Initiator => ChildStage::Doomed,
                Role::Responder => ChildStage::Superseded { until: now + FORMER },
            };
        }
        if let Some(child) = self.children.get_mut(index) {
            child.switch_to(node, self.key);
        }
    }

    /// It has lost a collision (RFC 7296 section 2.8.1): whoever made it deletes it, and nothing is sent on it.
    pub(crate) fn lose(&mut self, now: Instant, node: &mut Node, index: usize) {
        let Some(child) = self.children.get_mut(index) else { return };
        match child.stage {
            ChildStage::Fresh | ChildStage::Active => {
                let stage = match child.role {
                    Role::Initiator => ChildStage::Doomed,
                    Role::Responder => ChildStage::Superseded { until: now + FORMER },
                };
                child.give_way(node, self.key, stage);
            }
            ChildStage::Superseded { .. } | ChildStage::Doomed | ChildStage::Deleting | ChildStage::Draining { .. } => {
            }
        }
    }

    /// It is for us to delete it.
    pub(crate) fn doom(&mut self, now: Instant, node: &mut Node, index: usize) {
        let Some(child) = self.children.get_mut(index) else { return };
        match child.stage {
            ChildStage::Fresh | ChildStage::Active | ChildStage::Superseded { .. } => {
                let (spi_in, lane, before) = (child.spi_in, child.lane, Before::of(child));
                child.give_way(node, self.key, ChildStage::Doomed);
                self.mend(now, node, lane, (spi_in, before));
            }
            ChildStage::Doomed | ChildStage::Deleting | ChildStage::Draining { .. } => {}
        }
    }

    /// What is for us to delete, by our SPIs; from now on the peer is being asked.
    pub(crate) fn take_doomed(&mut self) -> Vec<Spi> {
        let doomed = self.children.iter_mut().filter(|child| matches!(child.stage, ChildStage::Doomed));
        doomed
            .map(|child| {
                child.stage = ChildStage::Deleting;
                child.spi_in
            })
            .collect()
    }

    /// The peer has answered our delete. What is under way may come in until `until`.
    pub(crate) fn deleted(&mut self, spis: &[Spi], until: Instant) {
        for child in self.children.iter_mut().filter(|child| spis.contains(&child.spi_in)) {
            if matches!(child.stage, ChildStage::Deleting) {
                child.stage = ChildStage::Draining { until };
            }
        }
    }

    /// The peer deletes the child SA that it knows by `spi_out` (RFC 7296 section 1.4.1). Returns our SPI of the
    /// pair for the answer, but not of one that we are deleting ourselves (section 2.25.1).
    pub(crate) fn delete(&mut self, now: Instant, node: &mut Node, spi_out: u32) -> Option<Spi> {
        let index = self.child_to(spi_out)?;
        let (spi_in, before) = self.end(now, node, index)?;
        (before != Before::Deleting).then_some(spi_in)
    }

    /// The peer has it no more: it only drains. Tells our SPI, and what it was.
    pub(crate) fn end(&mut self, now: Instant, node: &mut Node, index: usize) -> Option<(Spi, Before)> {
        let until = now + node.config.ike.rekey_grace;
        let child = self.children.get_mut(index)?;
        let (spi_in, lane, before) = (child.spi_in, child.lane, Before::of(child));
        child.give_way(node, self.key, ChildStage::Draining { until });
        self.mend(now, node, lane, (spi_in, before));
        Some((spi_in, before))
    }

    /// A lane has lost a child SA. Who deletes the old one has the new one, so that is sent on; without one there is
    /// nothing to send on.
    fn mend(&mut self, now: Instant, node: &mut Node, lane: Lane, (lost, before): (Spi, Before)) {
        if self.children.iter().any(|child| child.lane == lane && child.is_active()) {
            return;
        }
        match self.children.iter().rposition(|child| child.lane == lane && child.is_fresh()) {
            Some(fresh) => self.switch_to(now, node, fresh),
            None if before == Before::InUse => {
                node.installer.command(self.key.worker, Command::StopOutbound { spi: lost });
            }
            None => {}
        }
    }

    /// Room for one more inbound SA in this lane, if need be by cutting short what only waits for its end.
    pub(crate) fn make_room(&mut self, node: &mut Node, lane: Lane) -> Result<(), Full> {
        let here = || self.children.iter().enumerate().filter(|(_, child)| child.lane == lane);
        if here().count() < Lane::INBOUND {
            return Ok(());
        }
        let draining = here().filter_map(|(index, child)| match child.stage {
            ChildStage::Draining { until } => Some((until, index)),
            ChildStage::Fresh
            | ChildStage::Active
            | ChildStage::Superseded { .. }
            | ChildStage::Doomed
            | ChildStage::Deleting => None,
        });
        let (_, index) = draining.min().ok_or(Full)?;
        self.drop_child(node, index);
        Ok(())
    }

    /// A lane for one more child SA, at most `limit` in all. `asked` is being filled.
    pub(crate) fn free_lane(&self, limit: usize, asked: Option<Lane>) -> Option<Lane> {
        let taken = |lane: Lane| {
            let living = self.children.iter().any(|child| child.lane == lane && !child.is_draining());
            living || asked == Some(lane) || self.wanted.iter().any(|wanted| wanted.lane == lane)
        };
        if Lane::all().filter(|lane| taken(*lane)).count() >= limit {
            return None;
        }
        Lane::all().find(|lane| !taken(*lane))
    }

    /// Deletes what is too old, or was to be deleted by the peer, and ends what has drained.
    pub(crate) fn sweep(&mut self, now: Instant, node: &mut Node) {
        for index in 0..self.children.len() {
            let Some(child) = self.children.get(index) else { continue };
            let over = match child.stage {
                ChildStage::Fresh | ChildStage::Active => child.life.is_over(now),
                ChildStage::Superseded { until } => until <= now,
                ChildStage::Doomed | ChildStage::Deleting | ChildStage::Draining { .. } => false,
            };
            if over {
                match child.stage {
                    ChildStage::Superseded { .. } => {
                        tracing::debug!(spi_in = %child.spi_in, "a child SA that was replaced is deleted");
                    }
                    ChildStage::Fresh
                    | ChildStage::Active
                    | ChildStage::Doomed
                    | ChildStage::Deleting
                    | ChildStage::Draining { .. } => {
                        tracing::info!(spi_in = %child.spi_in, "nobody has replaced this child SA in time");
                    }
                }
                self.doom(now, node, index);
            }
        }
        let drained = |child: &Child| matches!(child.stage, ChildStage::Draining { until } if until <= now);
        while let Some(index) = self.children.iter().position(drained) {
            self.drop_child(node, index);
        }
        self.empty_since = match self.in_service() {
            true => None,
            false => Some(self.empty_since.unwrap_or(now)),
        };
    }

    /// When [`Tunnel::sweep`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ends = self.children.iter().filter_map(|child| match child.stage {
            ChildStage::Fresh | ChildStage::Active => child.life.end,
            ChildStage::Superseded { until } | ChildStage::Draining { until } => Some(until),
            ChildStage::Doomed | ChildStage::Deleting => None,
        });
        ends.min()
    }

    /// Child SAs that are to be replaced, with the time for it. None while its replacement is there already.
    pub(crate) fn rekeys(&self) -> impl Iterator<Item = (Instant, usize)> {
        let replaced = |lane| self.children.iter().any(|child| child.lane == lane && child.is_fresh());
        self.children
            .iter()
            .enumerate()
            .filter(move |(_, child)| child.is_active() && !replaced(child.lane))
            .filter_map(|(index, child)| Some((child.life.rekey?, index)))
    }

    /// Whether the peer replaces it, or it is what the peer replaces another with.
    pub(crate) fn is_being_replaced(&self, index: usize) -> bool {
        let lane = self.children.get(index).map(|child| child.lane);
        self.children.iter().any(|child| Some(child.lane) == lane && child.is_fresh())
    }

    /// Whether anything but leftovers is in it, or is to be.
    pub(crate) fn in_service(&self) -> bool {
        !self.wanted.is_empty() || self.children.iter().any(|child| !child.is_draining())
    }

    /// Since when nothing is.
    pub(crate) fn empty_since(&self) -> Option<Instant> {
        self.empty_since
    }

    /// All its traffic so far.
    pub(crate) fn traffic(&self) -> Traffic {
        let mut total = self.gone;
        for child in &self.children {
            total += child.traffic();
        }
        total
    }

    /// When an authenticated packet last came; the epoch if none did.
    pub(crate) fn last_received(&self) -> Instant {
        let used = self.children.iter().map(|child| child.received.totals().last_used);
        Instant::from_nanos(used.max().unwrap_or_default()).max(self.gone_received)
    }

    /// When a packet last went out; the epoch if none did.
    pub(crate) fn last_sent(&self) -> Instant {
        let used = self.children.iter().map(|child| child.sent.totals().last_used);
        Instant::from_nanos(used.max().unwrap_or_default())
    }

    fn drop_child(&mut self, node: &mut Node, index: usize) {
        let child = self.children.remove(index);
        self.gone += child.traffic();
        let received = Instant::from_nanos(child.received.totals().last_used);
        self.gone_received = self.gone_received.max(received);
        node.installer.command(self.key.worker, Command::DropPair { spi: child.spi_in });
    }
}

/// What becomes of a session's addresses.
pub(crate) enum LeaseFate {
    /// Whoever comes next may have them.
    GivenBack,
    /// They wait for whoever is known by this.
    Held { known_by: Claimant, until: Instant },
}

impl LeaseFate {
    /// Of a session that has ended so. Who will be back, and knows nothing of it or was sent away by us, finds its addresses again.
    pub(crate) fn after(cause: Cause, now: Instant, config: &Config, known_by: impl FnOnce() -> Claimant) -> Self {
        let hold = match cause {
            Cause::Stalled | Cause::Unheard => config.ctcp.hold_lease,
            Cause::ShutDown | Cause::Drained => config.state.hold_leases,
            _goes => return Self::GivenBack,
        };
        Self::Held { known_by: known_by(), until: now + hold }
    }
}

/// What a child SA was before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It was sent on.
    InUse,
    /// We were deleting it.
    Deleting,
    /// Neither.
    Idle,
}

impl Before {
    fn of(child: &Child) -> Self {
        match child.stage {
            ChildStage::Active => Self::InUse,
            ChildStage::Deleting => Self::Deleting,
            ChildStage::Fresh | ChildStage::Superseded { .. } | ChildStage::Doomed | ChildStage::Draining { .. } => {
                Self::Idle
            }
        }
    }
}

/// As many SAs as the dataplane takes are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;
