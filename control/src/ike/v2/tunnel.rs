//! What a session has in the dataplane: inner addresses, routes, a tunnel, and the child SAs in it.

use super::child::{Child, ChildStage};
use super::node::Node;
use crate::lease::Lease;
use crate::session::SessionId;
use adit_dataplane::contract::{Command, Following, Path, Spi, TunnelKey, TunnelSpec};
use adit_dataplane::time::Instant;
use ipnet::IpNet;
use std::net::IpAddr;

/// The dataplane keeps at most this many inbound SAs for one tunnel.
pub(super) const MOST_CHILDREN: usize = 4;

/// All of it.
pub(super) struct Tunnel {
    session: SessionId,
    pub(super) key: TunnelKey,
    pub(super) inner: Inner,
    pub(super) children: Vec<Child>,
    /// Of child SAs that are no more.
    gone: Traffic,
}

/// Whose inner addresses they are, and what leads into the tunnel.
pub(super) enum Inner {
    /// The peer's, out of our pools: they lead into the tunnel.
    Lent(Lease),
    /// Ours, given by the peer; the networks behind it lead into the tunnel. Where several tunnels go to one network,
    /// the last to come has the route.
    Given { addresses: Vec<IpAddr>, networks: Vec<IpNet> },
}

impl Inner {
    /// IPv4 first.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Lent(lease) => addresses(lease),
            Self::Given { addresses, networks: _ } => addresses.clone(),
        }
    }

    fn routes(&self) -> Vec<IpNet> {
        match self {
            Self::Lent(lease) => addresses(lease).into_iter().map(IpNet::from).collect(),
            Self::Given { addresses: _, networks } => networks.clone(),
        }
    }
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
    pub(super) fn set_up(
        node: &mut Node,
        session: SessionId,
        key: TunnelKey,
        path: Path,
        following: Following,
        inner: Inner,
    ) -> Self {
        for network in inner.routes() {
            node.installer.route(network, key);
        }
        node.installer.command(
            key.worker,
            Command::AddTunnel(TunnelSpec {
                tunnel: key,
                path,
                // Nothing is known of the path yet.
                outer_mtu: TunnelSpec::DEFAULT_OUTER_MTU,
                following,
            }),
        );
        Self { session, key, inner, children: Vec::new(), gone: Traffic::default() }
    }

    /// Everything goes: no route before no tunnel, so that nobody is sent into the void for long.
    pub(super) fn take_down(self, node: &mut Node) -> Traffic {
        let total = self.traffic();
        for network in self.inner.routes() {
            node.installer.unroute(&network, self.key);
        }
        node.installer.command(self.key.worker, Command::DropTunnel { tunnel: self.key });
        match self.inner {
            Inner::Lent(lease) => node.leases.give_back(self.session, lease),
            Inner::Given { .. } => {}
        }
        total
    }

    /// The child SA that the peer knows by this SPI of its own, unless it is deleted already.
    pub(super) fn child_to(&self, spi_out: u32) -> Option<usize> {
        self.children
            .iter()
            .position(|child| child.spi_out == spi_out && !matches!(child.stage, ChildStage::Draining { .. }))
    }

    /// The peer has used the SA that it sends to `spi` on: so it has it, and gets ours on it from now on.
    pub(super) fn first_use(&mut self, node: &mut Node, spi: Spi) {
        let Some(used) = self.children.iter().position(|child| child.spi_in == spi) else { return };
        self.switch_to(node, used);
    }

    /// Sends on the `index`th child SA; the one before it is superseded.
    pub(super) fn switch_to(&mut self, node: &mut Node, index: usize) {
        let fresh = self.children.get(index).is_some_and(|child| matches!(child.stage, ChildStage::Fresh(_)));
        if !fresh {
            return;
        }
        for child in &mut self.children {
            if matches!(child.stage, ChildStage::Active) {
                child.stage = ChildStage::Superseded;
            }
        }
        if let Some(child) = self.children.get_mut(index) {
            child.switch_to(node, self.key);
        }
    }

    /// The peer deletes the child SA that it knows by `spi_out` (RFC 7296 section 1.4.1). Returns our SPI of the
    /// pair, for the answer. It still receives until `until`.
    pub(super) fn delete(&mut self, node: &mut Node, spi_out: u32, until: Instant) -> Option<Spi> {
        let index = self.child_to(spi_out)?;
        let child = self.children.get_mut(index)?;
        let was_active = matches!(child.stage, ChildStage::Active);
        let spi_in = child.spi_in;
        child.stage = ChildStage::Draining { until };
        // Who deletes the old one has the new one.
        if was_active {
            let fresh = self.children.iter().rposition(|child| matches!(child.stage, ChildStage::Fresh(_)));
            if let Some(fresh) = fresh {
                self.switch_to(node, fresh);
            }
        }
        Some(spi_in)
    }

    /// Room for one more inbound SA, if need be by cutting short what only waits for its end.
    pub(super) fn make_room(&mut self, node: &mut Node) -> Result<(), Full> {
        if self.children.len() < MOST_CHILDREN {
            return Ok(());
        }
        let ends = |child: &Child| match child.stage {
            ChildStage::Draining { until } => Some(until),
            ChildStage::Fresh(_) | ChildStage::Active | ChildStage::Superseded => None,
        };
        let draining = self.children.iter().enumerate().filter_map(|(index, child)| Some((ends(child)?, index)));
        let (_, index) = draining.min().ok_or(Full)?;
        self.drop_child(node, index);
        Ok(())
    }

    /// Ends what has drained.
    pub(super) fn sweep(&mut self, now: Instant, node: &mut Node) {
        let drained = |child: &Child| matches!(child.stage, ChildStage::Draining { until } if until <= now);
        while let Some(index) = self.children.iter().position(drained) {
            self.drop_child(node, index);
        }
    }

    /// When [`Tunnel::sweep`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ends = self.children.iter().filter_map(|child| match child.stage {
            ChildStage::Draining { until } => Some(until),
            ChildStage::Fresh(_) | ChildStage::Active | ChildStage::Superseded => None,
        });
        ends.min()
    }

    /// Whether anything but leftovers is in it.
    pub(super) fn in_service(&self) -> bool {
        self.children.iter().any(|child| !matches!(child.stage, ChildStage::Draining { .. }))
    }

    /// All its traffic so far.
    pub(super) fn traffic(&self) -> Traffic {
        let mut total = self.gone;
        for child in &self.children {
            total += child.traffic();
        }
        total
    }

    /// When an authenticated packet last came; the epoch if none did.
    pub(super) fn last_received(&self) -> Instant {
        let used = self.children.iter().map(|child| child.received.totals().last_used);
        Instant::from_nanos(used.max().unwrap_or_default())
    }

    /// When a packet last went out; the epoch if none did.
    pub(super) fn last_sent(&self) -> Instant {
        let used = self.children.iter().map(|child| child.sent.totals().last_used);
        Instant::from_nanos(used.max().unwrap_or_default())
    }

    fn drop_child(&mut self, node: &mut Node, index: usize) {
        let child = self.children.remove(index);
        self.gone += child.traffic();
        node.installer.command(self.key.worker, Command::DropInbound { spi: child.spi_in });
    }
}

/// As many SAs as the dataplane takes are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The addresses of a lease, IPv4 first.
pub(super) fn addresses(lease: &Lease) -> Vec<IpAddr> {
    let v4 = lease.v4.map(|leased| IpAddr::V4(leased.address));
    let v6 = lease.v6.map(|leased| IpAddr::V6(leased.address));
    [v4, v6].into_iter().flatten().collect()
}
