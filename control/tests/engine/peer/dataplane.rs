//! A dataplane that only remembers what it was told, checks that it makes sense, and gives back what retires.

use adit_control::aaa::{Question, Record};
use adit_control::ike::engine::Output;
use adit_control::journal::Happening;
use adit_crypto::esp_cipher::EspCipher;
use adit_dataplane::contract::*;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
pub struct Dataplane {
    pub tunnels: BTreeMap<TunnelKey, Tunnel>,
    /// The last that were published.
    pub routes: Option<Routes>,
    /// What came home, and moves.
    pub reports: VecDeque<(WorkerId, Event)>,
    /// cTCP connections that are to stay.
    pub kept: Vec<Path>,
    /// How often that was said.
    pub vouched: usize,
    /// Connections that wait for a session, and for how long.
    pub expected: Vec<(Path, Duration)>,
    /// Those that are not needed any more, and by whom.
    pub ended: Vec<(Path, TunnelKey)>,
    pub keepalives: Vec<Keepalive>,
    /// What tunnels were limited to last.
    pub rates: BTreeMap<TunnelKey, Rates>,
    /// What a worker would count its drops in.
    pub drops: BTreeMap<TunnelKey, Arc<TunnelDrops>>,
    /// How often routes were published.
    pub publications: usize,
    /// Inbound SAs in the order in which they came.
    pub added: Vec<Spi>,
    /// What AAA was asked and has not answered.
    pub questions: Vec<Question>,
    pub configs: Vec<(std::sync::Arc<adit_control::config::checked::Config>, adit_control::config::Renumbering)>,
    /// The books.
    pub records: Vec<Record>,
    pub happenings: Vec<Happening>,
    /// Commands in order, by name.
    pub log: Vec<&'static str>,
}

pub struct Tunnel {
    pub path: EspPath,
    pub following: Following,
    pub transports: Transports,
    /// For a while.
    pub closed: Transports,
    pub inbound: BTreeMap<Spi, InboundSpec>,
    /// The other halves, by the same SPI.
    pub outbound: BTreeMap<Spi, OutboundSpec>,
    /// Which of them are sent on.
    pub lanes: BTreeMap<Lane, Spi>,
}

impl Tunnel {
    /// The first of what is sent on.
    #[track_caller]
    pub fn sends_on(&self) -> &OutboundSpec {
        self.sent_on().next().expect("something is sent on")
    }

    /// All that is sent on.
    pub fn sent_on(&self) -> impl Iterator<Item = &OutboundSpec> {
        self.lanes.values().map(|pair| &self.outbound[pair])
    }

    /// What is sent on in this lane, by its inbound SPI.
    #[track_caller]
    pub fn pair_in(&self, lane: Lane) -> Spi {
        *self.lanes.get(&lane).expect("something is sent on in the lane")
    }
}

impl Dataplane {
    /// Does it; an IKE message to send comes back.
    pub fn obey(&mut self, output: Output) -> Option<IkeDatagram> {
        let (worker, command) = match output {
            Output::Routes(routes) => {
                self.routes = Some(routes);
                self.publications += 1;
                self.log.push("Routes");
                return None;
            }
            Output::Command(worker, command) => (worker, command),
            Output::Ask(question) => {
                self.questions.push(question);
                return None;
            }
            Output::Reconfigured(config, places) => {
                self.configs.push((config, places));
                return None;
            }
            Output::Account(record) => {
                self.records.push(record);
                return None;
            }
            Output::Happened(happening) => {
                self.happenings.push(*happening);
                return None;
            }
        };
        match command {
            Command::AddTunnel(spec) => {
                self.log.push("AddTunnel");
                assert_eq!(spec.tunnel.worker, worker);
                let TunnelSpec { tunnel: key, path, following, transports, drops, .. } = *spec;
                self.drops.insert(key, drops);
                let (inbound, outbound, lanes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
                let tunnel = Tunnel { path, following, transports, closed: Transports::NONE, inbound, outbound, lanes };
                assert!(self.tunnels.insert(key, tunnel).is_none(), "the slot is taken");
            }
            Command::MoveTunnel(order) => {
                let Move { tunnel: key, from, to: path } = *order;
                self.log.push("MoveTunnel");
                let tunnel = self.tunnels.get_mut(&key).expect("the tunnel is there");
                if tunnel.path == from {
                    tunnel.path = path;
                    self.reports.push_back((worker, Event::Moved { tunnel: key, path }));
                }
            }
            Command::AddPair(spec) => {
                self.log.push("AddPair");
                let PairSpec { inbound, outbound } = *spec;
                assert_eq!(inbound.tunnel.worker, worker);
                let tunnel = self.tunnels.get_mut(&inbound.tunnel).expect("the tunnel is there");
                let spi = inbound.spi;
                assert!(tunnel.inbound.insert(spi, inbound).is_none(), "the SPI is taken");
                tunnel.outbound.insert(spi, outbound);
                assert!(
                    tunnel.inbound.len() <= Lane::COUNT * Lane::INBOUND,
                    "no more inbound SAs than a tunnel may have"
                );
                self.added.push(spi);
            }
            Command::SwitchOutbound { spi } => {
                self.log.push("SwitchOutbound");
                let tunnel = self.tunnel_with(spi);
                let lane = tunnel.outbound.get(&spi).expect("the SA is there").lane;
                tunnel.lanes.insert(lane, spi);
            }
            Command::StopOutbound { spi } => {
                self.log.push("StopOutbound");
                self.tunnel_with(spi).lanes.retain(|_, sent_on| *sent_on != spi);
            }
            Command::DropPair { spi } => {
                self.log.push("DropPair");
                let tunnel = self.tunnel_with(spi);
                let sent_on = tunnel.lanes.values().any(|sent_on| *sent_on == spi);
                assert!(!sent_on, "nobody sends on what is dropped");
                let halves = (tunnel.inbound.remove(&spi), tunnel.outbound.remove(&spi));
                let (Some(inbound), Some(outbound)) = halves else { panic!("both halves are there") };
                self.retire(worker, inbound, outbound);
            }
            Command::DropTunnel { tunnel: key } => {
                self.log.push("DropTunnel");
                let tunnel = self.tunnels.remove(&key).expect("the tunnel is there");
                for (inbound, outbound) in tunnel.inbound.into_values().zip(tunnel.outbound.into_values()) {
                    self.retire(worker, inbound, outbound);
                }
                self.reports.push_back((worker, Event::Retired(Retired::Tunnel { tunnel: key })));
            }
            Command::SendIke(datagram) => return Some(datagram),
            Command::SendKeepalive(keepalive) => self.keepalives.push(keepalive),
            Command::KeepConnection { path, tunnel } => {
                assert!(self.tunnels.contains_key(&tunnel), "the tunnel is there");
                self.vouched += 1;
                if self.kept.last() != Some(&path) {
                    self.kept.push(path);
                }
            }
            Command::ExpectSession { path, within } => self.expected.push((path, within)),
            Command::EndConnection { path, tunnel } => {
                self.log.push("EndConnection");
                self.ended.push((path, tunnel));
            }
            Command::ClearConnection { .. }
            | Command::TellFlows(_)
            | Command::TellInnerFlows(_)
            | Command::Capture(_)
            | Command::AimCapture(_)
            | Command::StopCapture { .. } => unreachable!("the engine asks for nothing"),
            Command::SetRates { tunnel, rates } => {
                self.log.push("SetRates");
                assert!(self.tunnels.contains_key(&tunnel), "the tunnel is there");
                self.rates.insert(tunnel, rates);
            }
            Command::CloseTransports { tunnel, closed } => {
                self.log.push("CloseTransports");
                self.tunnels.get_mut(&tunnel).expect("the tunnel is there").closed = closed;
            }
            Command::Tune(_) | Command::Stop => unreachable!("the engine neither tunes nor stops workers"),
        }
        None
    }

    #[track_caller]
    fn tunnel_with(&mut self, spi: Spi) -> &mut Tunnel {
        self.tunnels.values_mut().find(|tunnel| tunnel.inbound.contains_key(&spi)).expect("the SA is there")
    }

    fn retire(&mut self, worker: WorkerId, inbound: InboundSpec, outbound: OutboundSpec) {
        let InboundSpec { tunnel, spi, cipher, .. } = inbound;
        let outbound = Retired::Outbound { tunnel, cipher: outbound.cipher };
        for half in [Retired::Inbound { spi, cipher }, outbound] {
            self.reports.push_back((worker, Event::Retired(half)));
        }
    }

    /// The one tunnel there is.
    #[track_caller]
    pub fn tunnel(&self) -> (&TunnelKey, &Tunnel) {
        assert_eq!(self.tunnels.len(), 1);
        self.tunnels.first_key_value().expect("there is one")
    }

    /// The SA with this SPI.
    #[track_caller]
    pub fn inbound(&self, spi: u32) -> &InboundSpec {
        let spi = Spi::new(spi).expect("an SPI");
        self.tunnels.values().find_map(|tunnel| tunnel.inbound.get(&spi)).expect("the SA is there")
    }

    /// All SAs that are sent on.
    pub fn outbound(&self) -> impl Iterator<Item = &OutboundSpec> {
        self.tunnels.values().flat_map(Tunnel::sent_on)
    }

    /// Who has this SA.
    pub fn worker_of(&self, spi: Spi) -> WorkerId {
        let tunnel = self.tunnels.iter().find(|(_, tunnel)| tunnel.inbound.contains_key(&spi));
        tunnel.expect("the SA is there").0.worker
    }

    pub fn has_inbound(&self, spi: u32) -> bool {
        let spi = Spi::new(spi).expect("an SPI");
        self.tunnels.values().any(|tunnel| tunnel.inbound.contains_key(&spi))
    }

    /// How many routes packets find.
    pub fn routes_published(&self) -> usize {
        self.routes.as_ref().map_or(0, Routes::len)
    }

    /// Where a packet to this inner address goes.
    pub fn route(&self, address: IpAddr) -> Option<TunnelKey> {
        self.routes.as_ref()?.lookup(address).and_then(|next_hop| match next_hop {
            NextHop::Tunnel(key) => Some(key),
            NextHop::Inside => None,
        })
    }

    #[track_caller]
    pub fn assert_empty(&self) {
        assert!(self.tunnels.is_empty(), "no tunnel is left");
        assert_eq!(self.routes_published(), 0, "no route is left");
        assert!(self.reports.is_empty(), "nothing waits to come home");
    }
}

/// What one seals, the other opens.
#[track_caller]
pub fn assert_same_keys(sealer: &EspCipher, opener: &EspCipher) {
    let suite = sealer.suite();
    let header = [7_u8; 8];
    let mut iv = vec![0; suite.encr().iv_len()];
    let mut body = vec![0x42; 64];
    let mut icv = vec![0; suite.icv_len()];
    sealer.seal((&header[..]).into(), 1, &mut iv, &mut body, &mut icv);
    body.extend(icv);
    opener.open((&header[..]).into(), &iv, &mut body).expect("same keys");
    assert_eq!(&body[..64], &[0x42; 64]);
}

/// ESP in UDP 4500.
pub fn natt(path: Path) -> EspPath {
    EspPath::new(Transport::NatT, path)
}

/// For charging traffic in tests.
pub fn counters(spec: &InboundSpec) -> Arc<SaCounters> {
    Arc::clone(&spec.counters)
}
