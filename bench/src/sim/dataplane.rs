//! A dataplane that remembers: it does what it is told, reports what its contract says, gives back what retires, and
//! notices what makes no sense.

use super::datagram::{Datagram, Esp};
use super::finding::What;
use super::sa::{Inbound, Opened, Outbound};
use super::world::IKE_PORT;
use adit_control::aaa::QuestionId;
use adit_control::ike::engine::Output;
use adit_dataplane::contract::*;
use adit_dataplane::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// One host's.
#[derive(Default)]
pub(crate) struct Dataplane {
    pub(crate) tunnels: BTreeMap<TunnelKey, Tunnel>,
    routes: Option<Routes>,
    /// On their way to control.
    reports: VecDeque<(WorkerId, Event)>,
    by_spi: BTreeMap<Spi, TunnelKey>,
    /// SAs that were, with the tunnel they were in.
    were: BTreeMap<Spi, (Instant, Serial)>,
    tunnels_so_far: u64,
}

/// Tells a tunnel from a later one in the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Serial(u64);

pub(crate) struct Tunnel {
    serial: Serial,
    path: EspPath,
    left: Option<Left>,
    following: Following,
    transports: Transports,
    pub(crate) inbound: BTreeMap<Spi, Inbound>,
    /// The other halves, by the same SPI.
    outbound: BTreeMap<Spi, Outbound>,
    /// Which of them are sent on.
    lanes: BTreeMap<Lane, Spi>,
    /// Those of which control has said whether they are to be sent on.
    decided: BTreeSet<Spi>,
}

/// The path before the last move, and who moved: control, or a packet on this SA.
struct Left {
    path: EspPath,
    by: Option<Spi>,
    at: Instant,
}

/// What is to be sent for control.
pub(crate) enum Errand {
    Nothing,
    Ike(IkeDatagram),
    Keepalive(Keepalive),
    Ask(QuestionId),
}

/// What became of an ESP packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    Good,
    Duplicate,
    /// No SA, and that is to be expected: no tunnel any more or not yet, or it was under way when its SA went.
    Late,
    Wrong(What),
}

/// The contract's limit for one tunnel.
const MOST_INBOUND: usize = Lane::COUNT * Lane::INBOUND;

/// For so long after a move nobody but who moved goes back, as in the real dataplane: it may be a late packet.
const UNDER_WAY: Duration = Duration::from_secs(1);

impl Tunnel {
    /// The SPIs that packets leave with.
    pub(crate) fn sends_on(&self) -> impl Iterator<Item = u32> {
        self.lanes.values().filter_map(|spi| self.outbound.get(spi)).map(|outbound| outbound.spec.spi)
    }

    /// Whether packets leave in the lane of this child SA, on it or on another.
    pub(crate) fn sends_in_lane_of(&self, spi: Spi) -> bool {
        self.outbound.get(&spi).is_some_and(|outbound| self.lanes.contains_key(&outbound.spec.lane))
    }

    /// Packets leave on this one from now on.
    fn send_on(&mut self, spi: Spi) {
        if let Some(outbound) = self.outbound.get(&spi) {
            self.lanes.insert(outbound.spec.lane, spi);
        }
    }

    /// Packets go there from now on, unless what wants it may have been sent before the last move. `by` is the SA of a
    /// packet that came from there, `None` for control.
    fn go_to(&mut self, now: Instant, by: Option<Spi>, path: EspPath) -> bool {
        let late = |left: &Left| left.path == path && left.by != by && now.since(left.at) < UNDER_WAY;
        if self.path == path || (by.is_some() && self.left.as_ref().is_some_and(late)) {
            return false;
        }
        self.left = Some(Left { path: std::mem::replace(&mut self.path, path), by, at: now });
        true
    }
}

impl Dataplane {
    /// Does it.
    pub(crate) fn obey(&mut self, now: Instant, output: Output) -> Result<Errand, What> {
        let (worker, command) = match output {
            Output::Routes(routes) => {
                self.routes = Some(routes);
                return Ok(Errand::Nothing);
            }
            Output::Command(worker, command) => (worker, command),
            Output::Ask(question) => return Ok(Errand::Ask(question.id)),
            Output::Account(_) | Output::Happened(_) | Output::Reconfigured(..) => return Ok(Errand::Nothing),
        };
        match command {
            Command::AddTunnel(spec) => self.add_tunnel(&spec)?,
            Command::MoveTunnel(order) => self.move_tunnel(now, worker, &order)?,
            Command::AddPair(spec) => self.add_pair(*spec)?,
            Command::SwitchOutbound { spi } => self.decide(spi)?.send_on(spi),
            Command::StopOutbound { spi } => self.decide(spi)?.lanes.retain(|_, sent_on| *sent_on != spi),
            Command::DropPair { spi } => self.drop_pair(now, worker, spi)?,
            Command::DropTunnel { tunnel } => self.drop_tunnel(now, worker, tunnel)?,
            Command::SendIke(datagram) => return Ok(Errand::Ike(datagram)),
            Command::SendKeepalive(keepalive) => return Ok(Errand::Keepalive(keepalive)),
            Command::SetRates { tunnel, .. } | Command::CloseTransports { tunnel, .. } => {
                self.tunnel_mut(tunnel)?;
            }
            Command::KeepConnection { .. }
            | Command::ExpectSession { .. }
            | Command::EndConnection { .. }
            | Command::ClearConnection { .. }
            | Command::TellFlows(_)
            | Command::TellInnerFlows(_)
            | Command::Capture(_)
            | Command::AimCapture(_)
            | Command::StopCapture { .. }
            | Command::Tune(_)
            | Command::Stop => {}
        }
        Ok(Errand::Nothing)
    }

    /// The next thing to tell control.
    pub(crate) fn report(&mut self) -> Option<(WorkerId, Event)> {
        self.reports.pop_front()
    }

    /// An inner packet for this tunnel's peer in each lane.
    pub(crate) fn seal(&mut self, now: Instant, key: TunnelKey) -> Vec<(EspPath, Esp)> {
        let Some(tunnel) = self.tunnels.get_mut(&key) else { return Vec::new() };
        let mut reports = Vec::new();
        let mut sealed = Vec::new();
        for spi in tunnel.lanes.values() {
            let outbound = tunnel.outbound.get_mut(spi);
            let esp = outbound.and_then(|outbound| outbound.seal(now, &mut reports));
            sealed.extend(esp.map(|esp| (tunnel.path, esp)));
        }
        self.reports.extend(reports.into_iter().map(|event| (key.worker, event)));
        sealed
    }

    /// A packet comes in.
    pub(crate) fn open(&mut self, now: Instant, datagram: &Datagram, esp: &Esp) -> Receipt {
        let Some(spi) = Spi::new(esp.spi) else {
            return Receipt::Wrong(What::NeverInstalled { spi: esp.spi, sender: datagram.sender });
        };
        let Some((key, tunnel)) = self.by_spi.get(&spi).and_then(|key| Some((*key, self.tunnels.get_mut(key)?))) else {
            return self.unknown(datagram, spi);
        };
        let Some(inbound) = tunnel.inbound.get_mut(&spi) else { return self.unknown(datagram, spi) };
        let mut reports = Vec::new();
        let opened = inbound.open(now, esp, &mut reports);
        // Only UDP travels here, and only on IKE's ports.
        let transport = if datagram.to.port() == IKE_PORT { Transport::NatT500 } else { Transport::NatT };
        let path = EspPath::new(transport, Path { local: datagram.to, peer: datagram.from });
        let newest = match opened {
            Opened::OtherKeys => return Receipt::Wrong(What::OtherKeys { spi }),
            Opened::Duplicate => return Receipt::Duplicate,
            Opened::LifeOver => return Receipt::Late,
            Opened::First => {
                if !tunnel.decided.contains(&spi) && !tunnel.sends_in_lane_of(spi) {
                    tunnel.send_on(spi);
                }
                reports.push(Event::FirstUse { spi });
                true
            }
            Opened::Newest => true,
            Opened::Overtaken => false,
        };
        let may_go = match tunnel.following {
            Following::NewestPacket => true,
            Following::SameHosts => path.is_between_the_hosts_of(tunnel.path),
            Following::CommandOnly => false,
        };
        let may_go = may_go && tunnel.transports.contains(path.transport());
        if newest && may_go && tunnel.go_to(now, Some(spi), path) {
            reports.push(Event::Moved { tunnel: key, path });
        }
        self.reports.extend(reports.into_iter().map(|event| (key.worker, event)));
        Receipt::Good
    }

    /// Where a packet to this inner address goes.
    pub(crate) fn route(&self, address: IpAddr) -> Option<TunnelKey> {
        self.routes.as_ref()?.lookup(address).and_then(|next_hop| match next_hop {
            NextHop::Tunnel(key) => Some(key),
            NextHop::Inside => None,
        })
    }

    /// The tunnel that receives on this SPI.
    pub(crate) fn tunnel_with(&self, spi: u32) -> Option<&Tunnel> {
        self.tunnels.get(self.by_spi.get(&Spi::new(spi)?)?)
    }

    /// The lane that packets with this SPI leave in.
    pub(crate) fn lane_of(&self, spi: u32) -> Option<Lane> {
        let sends_on = |tunnel: &Tunnel, pair| tunnel.outbound.get(pair).is_some_and(|half| half.spec.spi == spi);
        let mut tunnels = self.tunnels.values();
        tunnels.find_map(|tunnel| tunnel.lanes.iter().find(|(_, pair)| sends_on(tunnel, pair)).map(|(lane, _)| *lane))
    }

    /// Routes that packets find.
    pub(crate) fn routes_published(&self) -> usize {
        self.routes.as_ref().map_or(0, Routes::len)
    }

    /// Whether nothing at all is left of what control ordered.
    pub(crate) fn is_empty(&self) -> bool {
        self.tunnels.is_empty() && self.by_spi.is_empty() && self.reports.is_empty() && self.routes_published() == 0
    }

    /// What is in it, in numbers.
    pub(crate) fn summary(&self) -> String {
        let (tunnels, inbound, routes) = (self.tunnels.len(), self.by_spi.len(), self.routes_published());
        format!("{tunnels} tunnels, {inbound} inbound SAs, {routes} routes")
    }

    /// All SAs that a tunnel receives on are gone, and control is not told.
    pub(crate) fn lose_inbound(&mut self, now: Instant, key: TunnelKey) {
        let Some(tunnel) = self.tunnels.get_mut(&key) else { return };
        for spi in std::mem::take(&mut tunnel.inbound).into_keys() {
            self.by_spi.remove(&spi);
            self.were.insert(spi, (now, tunnel.serial));
        }
    }

    fn unknown(&self, datagram: &Datagram, spi: Spi) -> Receipt {
        let living = |serial: Serial| self.tunnels.values().any(|tunnel| tunnel.serial == serial);
        match self.were.get(&spi) {
            Some((dropped, serial)) if living(*serial) && datagram.sent > *dropped => {
                Receipt::Wrong(What::SentAfterDrop { spi, sender: datagram.sender, dropped: *dropped })
            }
            Some(_) => Receipt::Late,
            // The answer to IKE_AUTH may be lost while packets from the other end already come.
            None if self.tunnels.is_empty() => Receipt::Late,
            None => Receipt::Wrong(What::NeverInstalled { spi: spi.get(), sender: datagram.sender }),
        }
    }

    fn add_tunnel(&mut self, spec: &TunnelSpec) -> Result<(), What> {
        self.tunnels_so_far += 1;
        let tunnel = Tunnel {
            serial: Serial(self.tunnels_so_far),
            path: spec.path,
            left: None,
            following: spec.following,
            transports: spec.transports,
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
            lanes: BTreeMap::new(),
            decided: BTreeSet::new(),
        };
        match self.tunnels.insert(spec.tunnel, tunnel) {
            None => Ok(()),
            Some(_) => Err(What::SlotTaken(spec.tunnel)),
        }
    }

    fn move_tunnel(&mut self, now: Instant, worker: WorkerId, order: &Move) -> Result<(), What> {
        let tunnel = self.tunnel_mut(order.tunnel)?;
        if tunnel.path == order.from && tunnel.go_to(now, None, order.to) {
            self.reports.push_back((worker, Event::Moved { tunnel: order.tunnel, path: order.to }));
        }
        Ok(())
    }

    fn add_pair(&mut self, spec: PairSpec) -> Result<(), What> {
        let PairSpec { inbound, outbound } = spec;
        let (key, spi) = (inbound.tunnel, inbound.spi);
        let tunnel = self.tunnel_mut(key)?;
        tunnel.inbound.insert(spi, Inbound::new(inbound));
        tunnel.outbound.insert(spi, Outbound::new(outbound, spi));
        tunnel.decided.remove(&spi);
        if tunnel.inbound.len() > MOST_INBOUND {
            return Err(What::TooManyInbound(key));
        }
        self.were.remove(&spi);
        match self.by_spi.insert(spi, key) {
            None => Ok(()),
            Some(_) => Err(What::SpiTaken(spi)),
        }
    }

    /// The tunnel of a child SA that control has in its own hands from now on.
    fn decide(&mut self, spi: Spi) -> Result<&mut Tunnel, What> {
        let key = *self.by_spi.get(&spi).ok_or(What::NoSuchSa(spi))?;
        let tunnel = self.tunnel_mut(key)?;
        tunnel.decided.insert(spi);
        Ok(tunnel)
    }

    fn drop_pair(&mut self, now: Instant, worker: WorkerId, spi: Spi) -> Result<(), What> {
        let key = self.by_spi.remove(&spi).ok_or(What::NoSuchSa(spi))?;
        let tunnel = self.tunnel_mut(key)?;
        let serial = tunnel.serial;
        let lanes = tunnel.lanes.len();
        tunnel.lanes.retain(|_, sent_on| *sent_on != spi);
        let in_use = tunnel.lanes.len() < lanes;
        let (inbound, outbound) = (tunnel.inbound.remove(&spi), tunnel.outbound.remove(&spi));
        let inbound = inbound.ok_or(What::NoSuchSa(spi))?;
        self.were.insert(spi, (now, serial));
        self.reports.push_back((worker, retired_inbound(spi, inbound)));
        self.reports.extend(outbound.map(|outbound| (worker, retired_outbound(key, outbound))));
        if in_use { Err(What::DroppedInUse(spi)) } else { Ok(()) }
    }

    fn drop_tunnel(&mut self, now: Instant, worker: WorkerId, key: TunnelKey) -> Result<(), What> {
        let tunnel = self.tunnels.remove(&key).ok_or(What::NoSuchTunnel(key))?;
        for (spi, inbound) in tunnel.inbound {
            self.by_spi.remove(&spi);
            self.were.insert(spi, (now, tunnel.serial));
            self.reports.push_back((worker, retired_inbound(spi, inbound)));
        }
        self.reports.extend(tunnel.outbound.into_values().map(|outbound| (worker, retired_outbound(key, outbound))));
        self.reports.push_back((worker, Event::Retired(Retired::Tunnel { tunnel: key })));
        Ok(())
    }

    fn tunnel_mut(&mut self, key: TunnelKey) -> Result<&mut Tunnel, What> {
        self.tunnels.get_mut(&key).ok_or(What::NoSuchTunnel(key))
    }
}

fn retired_inbound(spi: Spi, inbound: Inbound) -> Event {
    Event::Retired(Retired::Inbound { spi, cipher: inbound.spec.cipher })
}

fn retired_outbound(tunnel: TunnelKey, outbound: Outbound) -> Event {
    Event::Retired(Retired::Outbound { tunnel, cipher: outbound.spec.cipher })
}
