//! A headend of memory doors, and clients that speak ESP by the book, written apart from the code under test.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a harness that fails fails its test")]
#![allow(clippy::needless_pass_by_value, reason = "tests hand over what they are done with")]

pub mod ctcp;

use adit_crypto::esp_cipher::{Backend, EspCipher, Header};
use adit_crypto::random::SeededRandom;
use adit_crypto::suite::{CipherSuite, Encr};
use adit_dataplane::contract::{
    ClusterSlot, Command, Dataplane, DropReason, EspPath, Event, Following, InboundSpec, Lane, Lifetime, NextHop,
    OutboundSpec, PairSpec, Path, Rates, Routes, SaCounters, Selector, Selectors, SequenceNumbers, Spi, SpiLayout,
    Transport, Transports, TunnelDrops, TunnelKey, TunnelSpec, WorkerId,
};
use adit_dataplane::io::memory::{Departed, MemoryDoor, MemoryPeer, pair};
use adit_dataplane::packet::{Channel, PoolSizes};
use adit_dataplane::time::Instant;
use adit_dataplane::worker::{DataplaneConfig, Turn, Worker, assemble};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub const POOL: PoolSizes = PoolSizes { small: 256, small_capacity: 2048, large: 4 };

/// Every suite that can be built.
pub fn suites() -> Vec<CipherSuite> {
    CipherSuite::all().collect()
}

pub fn gcm() -> CipherSuite {
    CipherSuite::new(Encr::Aes128Gcm16, None).unwrap()
}

pub fn cipher(suite: CipherSuite, seed: u8) -> EspCipher {
    let key = |len: usize, salt: u8| (0..len).map(|i| (i as u8).wrapping_mul(7) ^ seed ^ salt).collect::<Vec<_>>();
    EspCipher::new(Backend::Auto, suite, &key(suite.encr().key_len(), 0), &key(suite.integ_key_len(), 0x80)).unwrap()
}

/// Transports whose packets say all about themselves: cTCP's belong to a connection.
pub const DATAGRAMS: [Transport; 4] = [Transport::NatT, Transport::NatT500, Transport::CiscoUdp, Transport::Esp];

/// The channel that ESP comes in by `transport`, and how it looks there.
pub fn dressed(transport: Transport, esp: &[u8]) -> (Channel, Vec<u8>) {
    match transport {
        Transport::NatT500 => (Channel::Ike, [&[0; 8][..], esp].concat()),
        other => (other.into(), esp.to_vec()),
    }
}

/// ESP in what left as a datagram; panics if it does not stand there as it should.
pub fn undressed(sent: &Departed) -> &[u8] {
    match sent.channel {
        Channel::NatT500 => sent.bytes.strip_prefix(&[0; 8]).expect("eight zero octets"),
        Channel::NatT | Channel::CiscoUdp | Channel::Esp => &sent.bytes,
        Channel::Ike | Channel::Ctcp | Channel::Tcp | Channel::Inner => {
            panic!("{:?} is no datagram of ESP's", sent.channel)
        }
    }
}

pub struct World {
    pub dataplane: Dataplane,
    pub workers: Vec<Worker<MemoryDoor>>,
    pub peers: Vec<MemoryPeer>,
    pub now: Instant,
}

impl World {
    pub fn new(workers: usize) -> Self {
        Self::with(DataplaneConfig { workers: vec![None; workers], pool: POOL, ..DataplaneConfig::default() }, 1024)
    }

    pub fn with(config: DataplaneConfig, door_depth: usize) -> Self {
        let (doors, peers) = config.workers.iter().map(|_| pair(door_depth, config.pool)).unzip();
        let (dataplane, workers) = assemble(&config, layout(), routes(), doors).unwrap();
        Self { dataplane, workers, peers, now: Instant::from_nanos(1) }
    }

    pub fn command(&mut self, worker: WorkerId, command: Command) {
        assert!(self.dataplane.workers[worker.index()].send(command).is_ok(), "the command channel has room");
    }

    pub fn turn(&mut self, worker: usize) -> Turn {
        self.workers[worker].turn(self.now).unwrap()
    }

    /// Turns of all workers until all are idle.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            let turns: Vec<Turn> = (0..self.workers.len()).map(|worker| self.turn(worker)).collect();
            if turns.iter().all(|turn| *turn == Turn::Idle) {
                return;
            }
        }
        panic!("the workers never come to rest");
    }

    pub fn events(&self) -> Vec<Event> {
        self.dataplane.events.try_iter().map(|(_, event)| event).collect()
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dataplane.workers.iter().map(|worker| worker.counters.totals().drops[reason as usize]).sum()
    }

    pub fn all_dropped(&self) -> Vec<(DropReason, u64)> {
        let all = DropReason::ALL.iter().map(|reason| (*reason, self.dropped(*reason)));
        all.filter(|(_, n)| *n > 0).collect()
    }

    /// ESP arrives, the workers settle, and this is what left.
    pub fn esp(&mut self, worker: usize, path: Path, bytes: &[u8]) -> Vec<Departed> {
        self.peers[worker].push_outer(Channel::NatT, path, bytes).unwrap();
        self.settle();
        self.departed()
    }

    pub fn inner(&mut self, worker: usize, bytes: &[u8]) -> Vec<Departed> {
        self.peers[worker].push_inner(bytes).unwrap();
        self.settle();
        self.departed()
    }

    pub fn departed(&mut self) -> Vec<Departed> {
        self.peers.iter_mut().flat_map(MemoryPeer::take).collect()
    }

    pub fn add_route(&self, prefix: &str, tunnel: TunnelKey) {
        let mut routes = Routes::clone(&self.dataplane.routes.load());
        routes.insert(prefix.parse().unwrap(), NextHop::Tunnel(tunnel));
        self.dataplane.routes.store(Arc::new(routes));
    }

    /// A client with a whole tunnel: 10.30.w.s and fd00::w:s inside.
    pub fn connect(&mut self, worker: u8, slot: u32, suite: CipherSuite) -> Client {
        self.admit(Client::new(worker, slot, suite))
    }

    /// This client gets its tunnel.
    pub fn admit(&mut self, client: Client) -> Client {
        self.command(client.tunnel.worker, Command::AddTunnel(Box::new(client.tunnel_spec())));
        self.command(client.tunnel.worker, client.add_pair());
        self.command(client.tunnel.worker, client.switch_outbound());
        self.add_route(&format!("{}/32", client.v4), client.tunnel);
        self.add_route(&format!("{}/128", client.v6), client.tunnel);
        self.settle();
        client
    }
}

pub fn layout() -> SpiLayout {
    SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1))
}

pub fn routes() -> Routes {
    Routes::new(&mut SeededRandom::new(2))
}

pub fn spi(worker: u8, slot: u32) -> Spi {
    (0..8).find_map(|filler| layout().encode(WorkerId(worker), slot, filler)).unwrap()
}

pub fn path_v4(client: u8) -> Path {
    Path { local: "192.0.2.1:4500".parse().unwrap(), peer: ([198, 51, 100, client], 4500).into() }
}

pub fn path_v6(client: u8) -> Path {
    let peer = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, client.into());
    Path { local: "[2001:db8:1::1]:4500".parse().unwrap(), peer: (peer, 4500).into() }
}

/// ESP in UDP 4500.
pub fn natt(path: Path) -> EspPath {
    EspPath::new(Transport::NatT, path)
}

pub fn whole_world() -> Vec<Selector> {
    let v4 = Ipv4Addr::UNSPECIFIED.into()..=Ipv4Addr::BROADCAST.into();
    let v6 = Ipv6Addr::UNSPECIFIED.into()..=Ipv6Addr::from([0xff; 16]).into();
    [v4, v6].map(|addresses| Selector { addresses, protocol: 0, ports: 0..=u16::MAX }).to_vec()
}

pub fn only(address: IpAddr) -> Selector {
    Selector { addresses: address..=address, protocol: 0, ports: 0..=u16::MAX }
}

/// A peer that knows both directions' keys.
pub struct Client {
    pub tunnel: TunnelKey,
    pub path: Path,
    pub transport: Transport,
    pub suite: CipherSuite,
    /// The headend's.
    pub spi: Spi,
    /// Ours.
    pub own_spi: u32,
    pub up_seed: u8,
    pub down_seed: u8,
    pub up: EspCipher,
    pub down: EspCipher,
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
    pub selectors: Arc<Selectors>,
    pub window: u32,
    pub numbers: SequenceNumbers,
    pub lifetime: Lifetime,
    pub rates: Rates,
    pub drops: Arc<TunnelDrops>,
    pub up_counters: Arc<SaCounters>,
    pub down_counters: Arc<SaCounters>,
}

impl Client {
    pub fn new(worker: u8, slot: u32, suite: CipherSuite) -> Self {
        let v4 = Ipv4Addr::new(10, 30, worker, slot as u8);
        let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, worker.into(), slot as u16);
        let (up_seed, down_seed) = (1 + worker * 32 + slot as u8, 129 + worker * 32 + slot as u8);
        let selectors = Selectors { local: whole_world(), remote: vec![only(v4.into()), only(v6.into())] };
        Self {
            tunnel: TunnelKey { worker: WorkerId(worker), slot },
            path: path_v4(slot as u8),
            transport: Transport::NatT,
            suite,
            spi: spi(worker, slot),
            own_spi: 0xc000_0000 + slot,
            up_seed,
            down_seed,
            up: cipher(suite, up_seed),
            down: cipher(suite, down_seed),
            v4,
            v6,
            selectors: Arc::new(selectors),
            window: 64,
            numbers: SequenceNumbers::Plain,
            lifetime: Lifetime::default(),
            rates: Rates::default(),
            drops: Arc::default(),
            up_counters: Arc::default(),
            down_counters: Arc::default(),
        }
    }

    pub fn esp_path(&self) -> EspPath {
        EspPath::new(self.transport, self.path)
    }

    pub fn tunnel_spec(&self) -> TunnelSpec {
        TunnelSpec {
            tunnel: self.tunnel,
            path: self.esp_path(),
            outer_mtu: TunnelSpec::DEFAULT_OUTER_MTU,
            following: Following::NewestPacket,
            transports: Transports::ALL,
            rates: self.rates,
            drops: Arc::clone(&self.drops),
        }
    }

    pub fn inbound_spec(&self) -> InboundSpec {
        InboundSpec {
            tunnel: self.tunnel,
            spi: self.spi,
            cipher: cipher(self.suite, self.up_seed),
            numbers: self.numbers,
            lifetime: self.lifetime,
            window: self.window,
            selectors: Arc::clone(&self.selectors),
            counters: Arc::clone(&self.up_counters),
        }
    }

    pub fn outbound_spec(&self) -> OutboundSpec {
        OutboundSpec {
            lane: Lane::FIRST,
            spi: self.own_spi,
            cipher: cipher(self.suite, self.down_seed),
            numbers: self.numbers,
            lifetime: self.lifetime,
            selectors: Arc::clone(&self.selectors),
            counters: Arc::clone(&self.down_counters),
        }
    }

    /// Received on from now.
    pub fn add_pair(&self) -> Command {
        self.add_pair_in(Lane::FIRST)
    }

    pub fn add_pair_in(&self, lane: Lane) -> Command {
        let (inbound, outbound) = (self.inbound_spec(), OutboundSpec { lane, ..self.outbound_spec() });
        Command::AddPair(Box::new(PairSpec { inbound, outbound }))
    }

    /// Sent on from now.
    pub fn switch_outbound(&self) -> Command {
        Command::SwitchOutbound { spi: self.spi }
    }

    /// ESP with this inner packet and the least padding.
    pub fn seal(&self, sequence: u32, inner: &[u8]) -> Vec<u8> {
        self.seal_number(sequence.into(), inner)
    }

    /// As [`Client::seal`], with a number of 64 bits.
    pub fn seal_number(&self, number: u64, inner: &[u8]) -> Vec<u8> {
        let next_header = if inner[0] >> 4 == 4 { 4 } else { 41 };
        let padding: Vec<u8> = (1..=self.least_padding(inner.len()) as u8).collect();
        self.seal_raw_number(number, inner, &padding, padding.len() as u8, next_header)
    }

    pub fn align(&self) -> usize {
        self.suite.encr().block_len().max(4)
    }

    pub fn least_padding(&self, len: usize) -> usize {
        (self.align() - (len + 2) % self.align()) % self.align()
    }

    /// ESP with whatever inside, as long as it is a multiple of the block.
    pub fn seal_raw(&self, sequence: u32, payload: &[u8], padding: &[u8], pad_len: u8, next_header: u8) -> Vec<u8> {
        self.seal_raw_number(sequence.into(), payload, padding, pad_len, next_header)
    }

    fn seal_raw_number(&self, number: u64, payload: &[u8], padding: &[u8], pad_len: u8, next_header: u8) -> Vec<u8> {
        let header = (u64::from(self.spi.get()) << 32 | number & 0xffff_ffff).to_be_bytes();
        let mut iv = vec![0; self.suite.encr().iv_len()];
        let mut body = [payload, padding, &[pad_len, next_header]].concat();
        let mut icv = vec![0; self.suite.icv_len()];
        let esn_high = self.esn_high((number >> 32) as u32);
        self.up.seal(Header { bytes: &header, esn_high }, number, &mut iv, &mut body, &mut icv);
        [&header[..], &iv, &body, &icv].concat()
    }

    fn esn_high(&self, high: u32) -> Option<u32> {
        match self.numbers {
            SequenceNumbers::Plain => None,
            SequenceNumbers::Extended => Some(high),
        }
    }

    /// Sequence number and inner packet of ESP from the headend; panics unless all is as the RFC says.
    pub fn open(&self, esp: &[u8]) -> (u32, Vec<u8>) {
        let (header, rest) = esp.split_at(8);
        let (iv, body) = rest.split_at(self.suite.encr().iv_len());
        assert_eq!(header[..4], self.own_spi.to_be_bytes());
        let sequence = u32::from_be_bytes(header[4..].try_into().unwrap());
        let mut body = body.to_vec();
        let header = Header { bytes: header, esn_high: self.esn_high(0) };
        self.down.open(header, iv, &mut body).expect("the ICV is good");
        body.truncate(body.len() - self.suite.icv_len());
        assert_eq!(body.len() % self.align(), 0, "RFC 4303 section 2.4: on the boundary");
        let [.., pad_len, next_header] = body[..] else { panic!("no trailer") };
        let (inner, trailer) = body.split_at(body.len() - 2 - usize::from(pad_len));
        assert!(trailer[..usize::from(pad_len)].iter().copied().eq(1..=pad_len), "padding is 1, 2, 3, …");
        assert_eq!(next_header, if inner[0] >> 4 == 4 { 4 } else { 41 });
        (sequence, inner.to_vec())
    }
}

/// UDP in IPv4 with a good header checksum.
pub fn v4(source: Ipv4Addr, destination: Ipv4Addr, len: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend([0x30, 0x39, 0, 53]);
    packet.extend([0; 4]);
    let filled = packet.len();
    packet.extend((filled..len.max(filled)).map(|i| i as u8));
    let total = packet.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[24..26].copy_from_slice(&(total - 20).to_be_bytes());
    let sum = header_sum(&packet[..20]);
    packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
    packet
}

/// 0xffff for a header whose checksum is good.
pub fn header_sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

pub fn v6(source: Ipv6Addr, destination: Ipv6Addr, len: usize) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, 17, 64];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend([0x30, 0x39, 0, 53]);
    packet.extend([0; 4]);
    let filled = packet.len();
    packet.extend((filled..len.max(filled)).map(|i| i as u8));
    let payload = packet.len() as u16 - 40;
    packet[4..6].copy_from_slice(&payload.to_be_bytes());
    packet[44..46].copy_from_slice(&payload.to_be_bytes());
    packet
}

pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0, 0, 0, 0, 0, 0, 1);
