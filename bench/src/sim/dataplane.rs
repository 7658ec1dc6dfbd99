//! A dataplane that remembers: it does what it is told, seals and opens with the SAs' own keys, gives back what
//! retires, and notices what makes no sense.

use super::datagram::Esp;
use super::finding::What;
use adit_control::ike::engine::Output;
use adit_dataplane::contract::*;
use adit_dataplane::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// One host's.
#[derive(Default)]
pub(crate) struct Dataplane {
    pub(crate) tunnels: BTreeMap<TunnelKey, Tunnel>,
    pub(crate) routes: Option<Routes>,
    /// On its way back to control.
    home: VecDeque<(WorkerId, Retired)>,
    by_spi: BTreeMap<Spi, TunnelKey>,
    /// SAs that were, with the tunnel they were in.
    were: BTreeMap<Spi, (Instant, Serial)>,
    serial: Serial,
}

/// Tells a tunnel from a later one in the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Serial(u64);

pub(crate) struct Tunnel {
    serial: Serial,
    pub(crate) path: Path,
    pub(crate) inbound: BTreeMap<Spi, Inbound>,
    pub(crate) outbound: Option<Outbound>,
}

pub(crate) struct Inbound {
    spec: InboundSpec,
    /// Sequence numbers taken. A set where the real one has a window: what it refuses is a duplicate, never just late.
    taken: BTreeSet<u32>,
}

pub(crate) struct Outbound {
    pub(crate) spec: OutboundSpec,
    last: u32,
}

/// What is to be sent for control.
pub(crate) enum Errand {
    Nothing,
    Ike(IkeDatagram),
    Keepalive(Path),
}

/// What became of an ESP packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// The first on its SA.
    First(Spi),
    Good,
    Duplicate,
    /// No SA, and that is to be expected: no tunnel any more or not yet, or it was under way when its SA went.
    Late,
    Wrong(What),
}

/// The contract's limit for one tunnel.
const MOST_INBOUND: usize = 4;

/// Of an inner packet in these worlds.
const INNER_OCTETS: usize = 64;

impl Tunnel {
    /// The SPIs that packets leave with.
    pub(crate) fn sends_on(&self) -> impl Iterator<Item = u32> {
        self.outbound.iter().map(|outbound| outbound.spec.spi)
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
        };
        match command {
            Command::AddTunnel(spec) => self.add_tunnel(&spec)?,
            Command::MoveTunnel { tunnel, path } => self.tunnel_mut(tunnel)?.path = path,
            Command::AddInbound(spec) => self.add_inbound(*spec)?,
            Command::SwitchOutbound(spec) => {
                let key = spec.tunnel;
                let before = self.tunnel_mut(key)?.outbound.replace(Outbound { spec: *spec, last: 0 });
                self.home.extend(before.map(|old| (worker, retired_outbound(key, old))));
            }
            Command::DropInbound { spi } => self.drop_inbound(now, worker, spi)?,
            Command::DropTunnel { tunnel } => self.drop_tunnel(now, worker, tunnel)?,
            Command::SendIke(datagram) => return Ok(Errand::Ike(datagram)),
            Command::SendKeepalive(path) => return Ok(Errand::Keepalive(path)),
            Command::Stop => {}
        }
        Ok(Errand::Nothing)
    }

    /// State comes home.
    pub(crate) fn come_home(&mut self) -> Option<(WorkerId, Retired)> {
        self.home.pop_front()
    }

    /// An inner packet for this tunnel's peer. `None` if nothing can be sent on it.
    pub(crate) fn seal(&mut self, now: Instant, key: TunnelKey) -> Option<(Path, Esp)> {
        let tunnel = self.tunnels.get_mut(&key)?;
        let outbound = tunnel.outbound.as_mut()?;
        outbound.last = outbound.last.checked_add(1)?;
        let (spec, sequence) = (&outbound.spec, outbound.last);
        let suite = spec.cipher.suite();
        let mut iv = vec![0; suite.encr().iv_len()];
        let (mut sealed, mut icv) = (vec![0x61; INNER_OCTETS], vec![0; suite.icv_len()]);
        spec.cipher.seal((&esp_header(spec.spi, sequence)[..]).into(), sequence.into(), &mut iv, &mut sealed, &mut icv);
        sealed.extend(icv);
        spec.counters.charge(1, INNER_OCTETS as u64, now);
        Some((tunnel.path, Esp { spi: spec.spi, sequence, iv, sealed }))
    }

    /// A packet that was sent at `sent` comes in.
    pub(crate) fn open(&mut self, now: Instant, sent: Instant, esp: &Esp) -> Receipt {
        let Some(spi) = Spi::new(esp.spi) else { return Receipt::Wrong(What::NeverInstalled { spi: esp.spi }) };
        let inbound = self.by_spi.get(&spi).and_then(|key| self.tunnels.get_mut(key)?.inbound.get_mut(&spi));
        let Some(Inbound { spec, taken }) = inbound else { return self.unknown(sent, spi) };
        if taken.contains(&esp.sequence) {
            return Receipt::Duplicate;
        }
        let mut body = esp.sealed.clone();
        if spec.cipher.open((&esp_header(esp.spi, esp.sequence)[..]).into(), &esp.iv, &mut body).is_err() {
            return Receipt::Wrong(What::OtherKeys { spi });
        }
        let first = taken.is_empty();
        taken.insert(esp.sequence);
        spec.counters.charge(1, INNER_OCTETS as u64, now);
        if first { Receipt::First(spi) } else { Receipt::Good }
    }

    /// Where a packet to this inner address goes.
    pub(crate) fn route(&self, address: IpAddr) -> Option<TunnelKey> {
        self.routes.as_ref()?.lookup(address).map(|NextHop::Tunnel(key)| key)
    }

    /// Routes that packets find.
    pub(crate) fn routes_published(&self) -> usize {
        self.routes.as_ref().map_or(0, Routes::len)
    }

    /// Whether nothing at all is left of what control ordered.
    pub(crate) fn is_empty(&self) -> bool {
        self.tunnels.is_empty() && self.by_spi.is_empty() && self.home.is_empty() && self.routes_published() == 0
    }

    /// What is in it, in numbers.
    pub(crate) fn summary(&self) -> String {
        let (tunnels, inbound, routes) = (self.tunnels.len(), self.by_spi.len(), self.routes_published());
        format!("{tunnels} tunnels, {inbound} inbound SAs, {routes} routes")
    }

    /// All SAs of a tunnel that it receives on are gone, and control is not told.
    pub(crate) fn lose_inbound(&mut self, now: Instant, key: TunnelKey) {
        let Some(tunnel) = self.tunnels.get_mut(&key) else { return };
        for spi in std::mem::take(&mut tunnel.inbound).into_keys() {
            self.by_spi.remove(&spi);
            self.were.insert(spi, (now, tunnel.serial));
        }
    }

    fn unknown(&self, sent: Instant, spi: Spi) -> Receipt {
        let living = |serial: Serial| self.tunnels.values().any(|tunnel| tunnel.serial == serial);
        match self.were.get(&spi) {
            Some((dropped, serial)) if living(*serial) && sent > *dropped => {
                Receipt::Wrong(What::SentAfterDrop { spi })
            }
            Some(_) => Receipt::Late,
            // The answer to IKE_AUTH may be lost while packets from the other end already come.
            None if self.tunnels.is_empty() => Receipt::Late,
            None => Receipt::Wrong(What::NeverInstalled { spi: spi.get() }),
        }
    }

    fn add_tunnel(&mut self, spec: &TunnelSpec) -> Result<(), What> {
        self.serial.0 += 1;
        let tunnel = Tunnel { serial: self.serial, path: spec.path, inbound: BTreeMap::new(), outbound: None };
        match self.tunnels.insert(spec.tunnel, tunnel) {
            None => Ok(()),
            Some(_) => Err(What::SlotTaken(spec.tunnel)),
        }
    }

    fn add_inbound(&mut self, spec: InboundSpec) -> Result<(), What> {
        let (key, spi) = (spec.tunnel, spec.spi);
        let tunnel = self.tunnel_mut(key)?;
        tunnel.inbound.insert(spi, Inbound { spec, taken: BTreeSet::new() });
        if tunnel.inbound.len() > MOST_INBOUND {
            return Err(What::TooManyInbound(key));
        }
        self.were.remove(&spi);
        match self.by_spi.insert(spi, key) {
            None => Ok(()),
            Some(_) => Err(What::SpiTaken(spi)),
        }
    }

    fn drop_inbound(&mut self, now: Instant, worker: WorkerId, spi: Spi) -> Result<(), What> {
        let key = self.by_spi.remove(&spi).ok_or(What::NoSuchSa(spi))?;
        let tunnel = self.tunnel_mut(key)?;
        let serial = tunnel.serial;
        let inbound = tunnel.inbound.remove(&spi).ok_or(What::NoSuchSa(spi))?;
        self.were.insert(spi, (now, serial));
        self.home.push_back((worker, Retired::Inbound { spi, cipher: inbound.spec.cipher }));
        Ok(())
    }

    fn drop_tunnel(&mut self, now: Instant, worker: WorkerId, key: TunnelKey) -> Result<(), What> {
        let tunnel = self.tunnels.remove(&key).ok_or(What::NoSuchTunnel(key))?;
        for (spi, inbound) in tunnel.inbound {
            self.by_spi.remove(&spi);
            self.were.insert(spi, (now, tunnel.serial));
            self.home.push_back((worker, Retired::Inbound { spi, cipher: inbound.spec.cipher }));
        }
        self.home.extend(tunnel.outbound.map(|outbound| (worker, retired_outbound(key, outbound))));
        self.home.push_back((worker, Retired::Tunnel { tunnel: key }));
        Ok(())
    }

    fn tunnel_mut(&mut self, key: TunnelKey) -> Result<&mut Tunnel, What> {
        self.tunnels.get_mut(&key).ok_or(What::NoSuchTunnel(key))
    }
}

fn retired_outbound(tunnel: TunnelKey, outbound: Outbound) -> Retired {
    Retired::Outbound { tunnel, cipher: outbound.spec.cipher }
}

/// SPI and sequence number (RFC 4303 section 2): what is authenticated besides the ciphertext.
fn esp_header(spi: u32, sequence: u32) -> [u8; 8] {
    let (spi, sequence) = (spi.to_be_bytes(), sequence.to_be_bytes());
    std::array::from_fn(|at| if at < 4 { spi[at] } else { sequence[at - 4] })
}
