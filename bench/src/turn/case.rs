//! One case of the measurement: a headend in memory with its tunnels, and the burst that goes round.

use super::by::By;
use super::inner::{FlowTable, Inner, RateLimit, server};
use super::{Measured, TurnArgs, TurnError};
use crate::connection::{Connection, slot_of};
use adit_crypto::esp_cipher::{Backend, BadKeyLength, EspCipher};
use adit_crypto::random::SeededRandom;
use adit_crypto::suite::CipherSuite;
use adit_dataplane::contract::{
    ClusterSlot, Command, Dataplane, EspPath, Following, InboundSpec, Lane, Lifetime, NextHop, OutboundSpec, PairSpec,
    Routes, Selector, Selectors, SequenceNumbers, SpiLayout, Transport, Transports, TunnelKey, TunnelSpec,
    WorkerCounters, WorkerId,
};
use adit_dataplane::esp::{IvSpace, OutboundSa};
use adit_dataplane::io::memory::{MemoryDoor, MemoryPeer, NotTaken, pair};
use adit_dataplane::packet::{Burst, Channel, Meta, PacketBuf, PoolSizes};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::{TCP_HEADER, TcpHeader};
use adit_dataplane::worker::{DataplaneConfig, Worker, assemble};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Encapsulate,
    Decapsulate,
}

/// What one case measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct What {
    pub(super) by: By,
    pub(super) suite: CipherSuite,
    pub(super) sas: u32,
    pub(super) direction: Direction,
    pub(super) inner: Inner,
    /// Octets of an inner packet.
    pub(super) size: u16,
    /// Servers that inner packets are to or from, which come in turn as SAs do.
    pub(super) flows: u32,
    pub(super) table: FlowTable,
    pub(super) limit: RateLimit,
}

impl What {
    /// Inner flows: pairs of a tunnel and a server, before the first comes again.
    pub(super) fn inner_flows(&self) -> u64 {
        let (sas, servers) = (u64::from(self.sas), u64::from(self.flows));
        let (mut divisor, mut rest) = (sas, servers);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        sas / divisor.max(1) * servers
    }
}

/// A headend with its tunnels, and the burst that goes round.
pub(super) struct Case {
    what: What,
    dataplane: Dataplane,
    worker: Worker<MemoryDoor>,
    peer: MemoryPeer,
    /// Clients' ends, one per SA: they seal what is to be decapsulated.
    twins: Vec<OutboundSa>,
    /// Their connections, by cTCP.
    connections: Vec<Connection>,
    turns: u64,
    /// An inner packet for each of the twins' tunnels differs in its address only.
    template: Vec<u8>,
    /// The flow of the next packet.
    next_flow: u64,
    /// How often all flows have come.
    flow_rounds: u32,
    burst: Burst,
    /// Clocks per packet.
    pub(super) rounds: Vec<f64>,
}

impl Case {
    pub(super) fn new(args: &TurnArgs, what: What) -> Result<Self, TurnError> {
        let burst = usize::from(args.burst);
        let pool = PoolSizes { small: 4 * burst + 256, large: 0, ..PoolSizes::default() };
        // Acknowledgments come beside the packets that are counted.
        let (ctcp, inner_flows) = (what.by.setup(), what.table.setup());
        let config = DataplaneConfig { burst: 2 * burst, pool, ctcp, inner_flows, ..DataplaneConfig::default() };
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
        let (door, peer) = pair(4 * burst, pool);
        let mut routes = Routes::new(&mut SeededRandom::new(2));
        for slot in 0..what.sas {
            let host = ipnet(client(slot))?;
            routes.insert(host, NextHop::Tunnel(TunnelKey { worker: WorkerId(0), slot }));
        }
        let (dataplane, mut workers) = assemble(&config, layout, routes, vec![door])?;
        let worker = workers.pop().ok_or(TurnError::Bench("no worker"))?;
        let template = what.inner.packet(what.size);
        let mut case = Self {
            what,
            dataplane,
            worker,
            peer,
            twins: Vec::new(),
            connections: Vec::new(),
            turns: 0,
            template,
            next_flow: 0,
            flow_rounds: 0,
            burst: (0..burst).map(|_| PacketBuf::allocate(pool.small_capacity)).collect(),
            rounds: Vec::new(),
        };
        for slot in 0..what.sas {
            case.connect(args, layout, slot)?;
        }
        Ok(case)
    }

    fn connect(&mut self, args: &TurnArgs, layout: SpiLayout, slot: u32) -> Result<(), TurnError> {
        let tunnel = TunnelKey { worker: WorkerId(0), slot };
        let spi = (0..8).find_map(|filler| layout.encode(WorkerId(0), slot, filler));
        let spi = spi.ok_or(TurnError::Bench("no SPI"))?;
        let here = Arc::new(Selectors { local: vec![anything()], remote: vec![only(client(slot))] });
        let there = Arc::new(Selectors { local: vec![only(client(slot))], remote: vec![anything()] });
        let inbound = InboundSpec {
            tunnel,
            spi,
            cipher: cipher(self.what.suite)?,
            numbers: SequenceNumbers::Plain,
            window: args.window,
            lifetime: Lifetime::default(),
            selectors: Arc::clone(&here),
            counters: Arc::default(),
        };
        let suite = self.what.suite;
        let outbound = |selectors| -> Result<OutboundSpec, TurnError> {
            Ok(OutboundSpec {
                lane: Lane::FIRST,
                spi: spi.get(),
                cipher: cipher(suite)?,
                numbers: SequenceNumbers::Plain,
                lifetime: Lifetime::default(),
                selectors,
                counters: Arc::default(),
            })
        };
        self.twins.push(OutboundSa::new(outbound(there)?, spi, IvSpace::new(0, WorkerId(1))));
        let tunnel = TunnelSpec {
            tunnel,
            path: EspPath::new(self.what.by.transport(), self.what.by.path(slot)),
            outer_mtu: TunnelSpec::DEFAULT_OUTER_MTU,
            following: Following::NewestPacket,
            transports: Transports::ALL,
            rates: self.what.limit.rates(),
            drops: Arc::default(),
        };
        let commands = [
            Command::AddTunnel(Box::new(tunnel)),
            Command::AddPair(Box::new(PairSpec { inbound, outbound: outbound(here)? })),
            Command::SwitchOutbound { spi },
        ];
        let [handle] = &self.dataplane.workers[..] else { return Err(TurnError::Bench("one worker")) };
        for command in commands {
            handle.send(command).map_err(|_| TurnError::Bench("the command channel is full"))?;
        }
        self.worker.turn(Instant::ZERO)?;
        if self.what.by.transport() == Transport::Ctcp {
            self.open_connection(slot)?;
        }
        Ok(())
    }

    fn open_connection(&mut self, slot: u32) -> Result<(), TurnError> {
        let headend = self.what.by.path(slot);
        let full = |NotTaken| TurnError::Bench("the ring is full");
        self.peer.push_outer(Channel::Ctcp, headend, &Connection::syn(headend, slot)).map_err(full)?;
        self.worker.turn(Instant::ZERO)?;
        let answer = self.peer.take().pop().ok_or(TurnError::Bench("a SYN without an answer"))?;
        let answer = TcpHeader::parse(&answer.bytes).ok_or(TurnError::Bench("an answer that is none"))?;
        let (connection, first) = Connection::open(headend, slot, &answer)?;
        self.peer.push_outer(Channel::Ctcp, headend, &first).map_err(full)?;
        let [handle] = &self.dataplane.workers[..] else { return Err(TurnError::Bench("one worker")) };
        self.worker.turn(Instant::ZERO)?;
        let keep = Command::KeepConnection { path: headend, tunnel: TunnelKey { worker: WorkerId(0), slot } };
        handle.send(keep).map_err(|_| TurnError::Bench("the command channel is full"))?;
        self.worker.turn(Instant::ZERO)?;
        self.dataplane.events.try_iter().for_each(drop);
        self.connections.push(connection);
        Ok(())
    }

    /// The worker's.
    pub(super) fn counters(&self) -> Option<Arc<WorkerCounters>> {
        self.dataplane.workers.first().map(|worker| Arc::clone(&worker.counters))
    }

    /// Clocks per packet over `bursts` turns.
    pub(super) fn round(&mut self, clock: &quanta::Clock, bursts: u32) -> Result<f64, TurnError> {
        let burst = self.burst.len();
        let mut clocks = 0;
        for _ in 0..bursts {
            self.turns += 1;
            let now = Instant::from_nanos(self.turns * 10_000);
            self.refill(now)?;
            self.peer.push_burst(&mut self.burst);
            let before = clock.raw();
            self.worker.turn(now)?;
            clocks += clock.raw() - before;
            self.peer.take_burst(&mut self.burst);
            self.acknowledge(now)?;
            if self.burst.len() != burst {
                return Err(self.lost(burst));
            }
            // First uses are told once; nobody needs to hear them here.
            self.dataplane.events.try_iter().for_each(drop);
        }
        Ok(clocks as f64 / f64::from(bursts) / burst as f64)
    }

    /// Makes the burst anew: not measured.
    fn refill(&mut self, now: Instant) -> Result<(), TurnError> {
        let flows = self.what.inner_flows();
        for packet in &mut self.burst {
            let slot = (self.next_flow % u64::from(self.what.sas)) as usize;
            let server = server((self.next_flow % u64::from(self.what.flows)) as u32).octets();
            let (client, flow_round) = (client(slot as u32).octets(), self.flow_rounds);
            self.next_flow += 1;
            if self.next_flow == flows {
                (self.next_flow, self.flow_rounds) = (0, flow_round.wrapping_add(1));
            }
            packet.reset();
            let room = packet.extend_back(self.template.len()).ok_or(TurnError::Bench("the buffer is too small"))?;
            room.copy_from_slice(&self.template);
            self.what.inner.number(room, flow_round);
            match self.what.direction {
                Direction::Encapsulate => {
                    room[12..16].copy_from_slice(&server);
                    room[16..20].copy_from_slice(&client);
                }
                Direction::Decapsulate => {
                    room[12..16].copy_from_slice(&client);
                    room[16..20].copy_from_slice(&server);
                    let twin = self.twins.get_mut(slot).ok_or(TurnError::Bench("no twin"))?;
                    twin.seal(packet, Instant::ZERO).map_err(|_| TurnError::Bench("the twin does not seal"))?;
                    match self.connections.get_mut(slot) {
                        Some(connection) => connection.dress(now, packet)?,
                        None => {
                            let (channel, path) = (self.what.by.channel(), Some(self.what.by.path(slot as u32)));
                            packet.meta = Meta { channel, path, ..Meta::default() };
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The clients hear what the headend has sent, and acknowledge it; the headend's own acknowledgments are none of the packets
    /// that are counted. Not measured.
    fn acknowledge(&mut self, now: Instant) -> Result<(), TurnError> {
        if self.connections.is_empty() {
            return Ok(());
        }
        let mut heard = BTreeSet::new();
        for packet in self.burst.extract_if(.., |packet| hear(&mut self.connections, &mut heard, now, packet)) {
            self.peer.recycle(packet);
        }
        for slot in heard {
            let Some(connection) = self.connections.get_mut(slot) else { continue };
            let peer = &mut self.peer;
            let mut taken = Ok(());
            connection.speak(now, |path, segment| taken = taken.and(peer.push_outer(Channel::Ctcp, path, segment)));
            taken.map_err(|NotTaken| TurnError::Bench("the ring is full"))?;
        }
        Ok(())
    }

    fn lost(&self, burst: usize) -> TurnError {
        let totals = self.dataplane.workers.first().map(|worker| worker.counters.totals().drops);
        let reasons = adit_dataplane::contract::DropReason::ALL.iter().map(|reason| reason.name());
        let drops = reasons.zip(totals.into_iter().flatten()).filter(|(_, n)| *n > 0).collect();
        TurnError::Lost { left: self.burst.len(), burst, drops }
    }

    /// What this costs, of what the same packets cost where nobody counts flows: round by round, and the median of that.
    pub(super) fn ratio_to_off(&self, cases: &[Self]) -> Option<f64> {
        let same = What { table: FlowTable::Off, limit: RateLimit::Off, ..self.what };
        let off = cases.iter().find(|case| case.what == same)?;
        let mut ratios: Vec<f64> = self.rounds.iter().zip(&off.rounds).map(|(ours, theirs)| ours / theirs).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    }

    pub(super) fn measured(&mut self, clocks_per_nano: f64, ratio: Option<f64>) -> Result<Measured, TurnError> {
        self.rounds.sort_by(f64::total_cmp);
        let clocks_median = self.rounds.get(self.rounds.len() / 2).copied().unwrap_or(f64::NAN);
        let clocks_best = self.rounds.first().copied().unwrap_or(f64::NAN);
        let mpps = |clocks: f64| clocks_per_nano * 1000.0 / clocks;
        let What { by, suite, sas, direction, inner, size, flows: _, table, limit } = self.what;
        Ok(Measured {
            by,
            suite: suite.to_string(),
            backend: cipher(suite)?.backend().name(),
            sas,
            direction: match direction {
                Direction::Encapsulate => "encapsulate",
                Direction::Decapsulate => "decapsulate",
            },
            inner,
            inner_octets: size,
            flows: self.what.inner_flows(),
            flow_table: table,
            rate_limit: limit,
            clocks_median,
            clocks_best,
            mpps_median: mpps(clocks_median),
            mpps_best: mpps(clocks_best),
            ratio_to_off: ratio,
        })
    }
}

/// The client that a segment is for hears it. Whether it was an acknowledgment alone.
fn hear(connections: &mut [Connection], heard: &mut BTreeSet<usize>, now: Instant, packet: &PacketBuf) -> bool {
    let path = packet.meta.path.as_ref().filter(|_| packet.meta.channel == Channel::Ctcp);
    let Some(slot) = path.and_then(slot_of) else { return false };
    if let Some(connection) = connections.get_mut(slot) {
        connection.hear(now, packet.bytes());
        heard.insert(slot);
    }
    packet.len() == TCP_HEADER
}

fn client(slot: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + slot)
}

fn ipnet(host: Ipv4Addr) -> Result<adit_dataplane::contract::IpNet, TurnError> {
    adit_dataplane::contract::IpNet::new(host.into(), 32).map_err(|_| TurnError::Bench("no such prefix"))
}

fn anything() -> Selector {
    let addresses = IpAddr::from([0; 4])..=IpAddr::from([255; 4]);
    Selector { addresses, protocol: 0, ports: 0..=u16::MAX }
}

fn only(address: Ipv4Addr) -> Selector {
    Selector { addresses: address.into()..=address.into(), protocol: 0, ports: 0..=u16::MAX }
}

fn cipher(suite: CipherSuite) -> Result<EspCipher, BadKeyLength> {
    EspCipher::new(Backend::Auto, suite, &vec![7; suite.encr().key_len()], &vec![8; suite.integ_key_len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::suite;
    use adit_dataplane::contract::DropReason;

    fn args(burst: u16) -> TurnArgs {
        TurnArgs {
            by: Vec::new(),
            suites: Vec::new(),
            sizes: Vec::new(),
            window: 64,
            burst,
            sas: Vec::new(),
            inner: Inner::Udp,
            flows: Vec::new(),
            flow_table: Vec::new(),
            rate_limit: Vec::new(),
            rounds: 1,
            bursts: 20,
            json: true,
        }
    }

    #[test]
    fn every_case_measures_whole_bursts() {
        let cases = [
            (By::NatT, "aes128gcm16", 3),
            (By::Esp, "aes256-sha256", 1),
            (By::CiscoUdp, "chacha20poly1305", 40),
            (By::Ctcp, "aes128gcm16", 3),
            (By::CtcpStateless, "aes128gcm16", 40),
        ];
        for (by, name, sas) in cases {
            let args = args(16);
            let clock = quanta::Clock::new();
            for direction in [Direction::Encapsulate, Direction::Decapsulate] {
                for size in [64, 1400] {
                    let (inner, table, limit) = match size {
                        64 => (Inner::Udp, FlowTable::Off, RateLimit::Off),
                        _ => (Inner::Tcp, FlowTable::On, RateLimit::On),
                    };
                    let what =
                        What { by, suite: suite(name).unwrap(), sas, direction, inner, size, flows: 7, table, limit };
                    let mut case = Case::new(&args, what).unwrap();
                    let before = case.dataplane.workers[0].counters.totals();
                    assert!(case.round(&clock, args.bursts).unwrap() > 0.0);
                    let totals = case.dataplane.workers[0].counters.totals();
                    let of_tcp =
                        [DropReason::Handshake, DropReason::Keepalive].map(|reason| totals.drops[reason as usize]);
                    assert_eq!(totals.drops.iter().sum::<u64>(), of_tcp.iter().sum::<u64>(), "{what:?}");
                    let sent = match direction {
                        Direction::Encapsulate => totals.outer_sent - before.outer_sent,
                        Direction::Decapsulate => totals.inner_sent - before.inner_sent,
                    };
                    assert_eq!((sent, of_tcp[0] > 0), (320, by.transport() == Transport::Ctcp), "{what:?}");
                }
            }
        }
    }

    /// As many as are said, and each one's segments follow one another.
    #[test]
    fn tunnels_and_servers_make_as_many_flows_as_the_table_says() {
        for (sas, servers, flows) in
            [(1, 1, 1), (4, 6, 12), (6, 4, 12), (10, 1, 10), (1, 10, 10), (5, 5, 5), (3, 4, 12)]
        {
            let what = What {
                by: By::NatT,
                suite: suite("aes128gcm16").unwrap(),
                sas,
                direction: Direction::Encapsulate,
                inner: Inner::Tcp,
                size: 140,
                flows: servers,
                table: FlowTable::On,
                limit: RateLimit::Off,
            };
            let mut case = Case::new(&args(60), what).unwrap();
            case.refill(Instant::ZERO).unwrap();
            let mut sequences = std::collections::BTreeMap::<_, Vec<u32>>::new();
            for packet in &case.burst {
                let octets = packet.bytes();
                let sequence = u32::from_be_bytes(octets[24..28].try_into().unwrap());
                sequences.entry(octets[12..20].to_vec()).or_default().push(sequence);
            }
            assert_eq!((sequences.len() as u64, case.measured(1.0, None).unwrap().flows), (flows, flows), "{what:?}");
            for sequences in sequences.values() {
                assert!(sequences.iter().copied().eq((0..60 / flows as u32).map(|round| round * 100)), "{sequences:?}");
            }
        }
    }
}
