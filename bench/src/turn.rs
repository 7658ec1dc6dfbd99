//! What `Worker::turn` costs per packet, with packets in memory: TSC clocks and Mpps of one core.
//!
//! In the number: the whole turn, from commands to sweep: taking the burst out of the door's ring, classification,
//! SPI look-up, replay check, cipher, padding, inner header, selectors, routing, counters, and putting the burst into
//! the door's ring. Out of it: the kernel, a network card, and making the packets: each burst is written (and for
//! decapsulation sealed by a twin of the SA, with fresh sequence numbers) before the clock is read, so that packets
//! are warm in the cache, as they are in VPP's and DPDK's in-memory figures.
//!
//! Cases take turns round by round, so that other load on the machine hits all of them alike.

use adit_crypto::esp_cipher::{Backend, BadKeyLength, EspCipher};
use adit_crypto::random::SeededRandom;
use adit_crypto::suite::{CipherSuite, Encr, Integ};
use adit_dataplane::contract::{
    ClusterSlot, Command, Dataplane, Following, InboundSpec, Lane, Lifetime, NextHop, OutboundSpec, Path, Routes,
    Selector, Selectors, SequenceNumbers, Spi, SpiLayout, TunnelKey, TunnelSpec, WorkerId,
};
use adit_dataplane::esp::{IvSpace, OutboundSa};
use adit_dataplane::io::memory::{MemoryDoor, MemoryPeer, pair};
use adit_dataplane::packet::{Burst, Channel, Meta, PacketBuf, PoolSizes};
use adit_dataplane::time::Instant;
use adit_dataplane::worker::{DataplaneConfig, Worker, assemble};
use clap::Args;
use serde::Serialize;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::Arc;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct TurnArgs {
    /// Cipher suite, as strongSwan spells it: aes128gcm16, chacha20poly1305, aes256-sha256, …
    #[arg(long, default_value = "aes128gcm16", value_parser = suite)]
    suite: CipherSuite,
    /// Octets of the inner packets
    #[arg(long = "size", value_delimiter = ',', default_values_t = [64, 350, 1400], value_parser = clap::value_parser!(u16).range(28..=1400))]
    sizes: Vec<u16>,
    /// Replay window in packets
    #[arg(long, default_value_t = 1024)]
    window: u32,
    /// Packets per burst
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    burst: u16,
    /// SAs, used in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sas: u32,
    /// Rounds over all cases
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Bursts per case and round
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    bursts: u32,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// The dataplane could not be put together or its door broke.
    #[error("the dataplane does not run: {0}")]
    Dataplane(#[from] io::Error),
    /// The suite's lengths and ours differ: a bug.
    #[error(transparent)]
    Keys(#[from] BadKeyLength),
    /// What is measured would not be the packet path.
    #[error("{left} of {burst} packets came out of a turn ({drops:?} dropped): the measurement would be void")]
    Lost {
        /// Packets that left.
        left: usize,
        /// Packets that went in.
        burst: usize,
        /// Reasons and numbers.
        drops: Vec<(&'static str, u64)>,
    },
    /// The bench asked for something that its own dataplane refuses: a bug.
    #[error("the bench is wrong: {0}")]
    Bench(&'static str),
    /// The result cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Measured {
    direction: &'static str,
    inner_octets: u16,
    clocks_median: f64,
    clocks_best: f64,
    mpps_median: f64,
    mpps_best: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    suite: String,
    backend: String,
    window: u32,
    burst: u16,
    sas: u32,
    rounds: u16,
    packets_per_round: u64,
    tsc_mhz: f64,
    cases: Vec<Measured>,
}

/// Measures and prints.
pub(crate) fn main(args: &TurnArgs) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adit-bench turn: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints.
pub(crate) fn run(args: &TurnArgs) -> Result<(), TurnError> {
    let clock = quanta::Clock::new();
    let mut cases = Vec::new();
    for direction in [Direction::Encapsulate, Direction::Decapsulate] {
        for size in &args.sizes {
            cases.push(Case::new(args, direction, *size)?);
        }
    }
    // Caches, branch predictors and the CPU's frequency settle in a round that does not count.
    for round in 0..=args.rounds {
        for case in &mut cases {
            let clocks = case.round(&clock, args.bursts)?;
            if round > 0 {
                case.rounds.push(clocks);
            }
        }
    }
    let clocks_per_nano = clocks_per_nano(&clock);
    let report = Report {
        suite: args.suite.to_string(),
        backend: format!("{:?}", cipher(args.suite)?.backend()),
        window: args.window,
        burst: args.burst,
        sas: args.sas,
        rounds: args.rounds,
        packets_per_round: u64::from(args.bursts) * u64::from(args.burst),
        tsc_mhz: clocks_per_nano * 1000.0,
        cases: cases.iter_mut().map(|case| case.measured(clocks_per_nano)).collect(),
    };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &Report) {
    let Report { suite, backend, window, burst, sas, rounds, packets_per_round, tsc_mhz, cases } = report;
    println!("Worker::turn in memory, one core: {suite} ({backend}), window {window}, burst {burst}, {sas} SA(s);");
    println!("{rounds} interleaved rounds of {packets_per_round} packets; clocks are TSC ticks at {tsc_mhz:.0} MHz.");
    println!("In: the whole turn with the memory door. Out: kernel, network card, making the packets.\n");
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["direction", "inner octets", "clocks/packet median", "best", "Mpps median", "best"]);
    for case in cases {
        table.add_row([
            case.direction.to_owned(),
            case.inner_octets.to_string(),
            format!("{:.0}", case.clocks_median),
            format!("{:.0}", case.clocks_best),
            format!("{:.2}", case.mpps_median),
            format!("{:.2}", case.mpps_best),
        ]);
    }
    println!("{table}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Encapsulate,
    Decapsulate,
}

/// A headend with its tunnels, and the burst that goes round.
struct Case {
    direction: Direction,
    size: u16,
    dataplane: Dataplane,
    worker: Worker<MemoryDoor>,
    peer: MemoryPeer,
    /// Clients' ends, one per SA: they seal what is to be decapsulated.
    twins: Vec<OutboundSa>,
    /// An inner packet for each of the twins' tunnels differs in its address only.
    template: Vec<u8>,
    next_sa: usize,
    burst: Burst,
    /// Clocks per packet.
    rounds: Vec<f64>,
}

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);

impl Case {
    fn new(args: &TurnArgs, direction: Direction, size: u16) -> Result<Self, TurnError> {
        let burst = usize::from(args.burst);
        let pool = PoolSizes { small: 2 * burst + 256, large: 0, ..PoolSizes::default() };
        let config = DataplaneConfig { burst, pool, ..DataplaneConfig::default() };
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
        let (door, peer) = pair(2 * burst, pool);
        let mut routes = Routes::new(&mut SeededRandom::new(2));
        for slot in 0..args.sas {
            let host = ipnet(client(slot))?;
            routes.insert(host, NextHop::Tunnel(TunnelKey { worker: WorkerId(0), slot }));
        }
        let (dataplane, mut workers) = assemble(&config, layout, routes, vec![door])?;
        let worker = workers.pop().ok_or(TurnError::Bench("no worker"))?;
        let template = inner_packet(size);
        let mut case = Self {
            direction,
            size,
            dataplane,
            worker,
            peer,
            twins: Vec::new(),
            template,
            next_sa: 0,
            burst: (0..burst).map(|_| PacketBuf::allocate(pool.small_capacity)).collect(),
            rounds: Vec::new(),
        };
        for slot in 0..args.sas {
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
            cipher: cipher(args.suite)?,
            numbers: SequenceNumbers::Plain,
            window: args.window,
            lifetime: Lifetime::default(),
            selectors: Arc::clone(&here),
            counters: Arc::default(),
        };
        let outbound = |spi: Spi, selectors| -> Result<OutboundSpec, TurnError> {
            Ok(OutboundSpec {
                lane: Lane::FIRST,
                tunnel,
                spi: spi.get(),
                pair: spi,
                cipher: cipher(args.suite)?,
                numbers: SequenceNumbers::Plain,
                lifetime: Lifetime::default(),
                selectors,
                counters: Arc::default(),
            })
        };
        self.twins.push(OutboundSa::new(outbound(spi, there)?, IvSpace::new(0, WorkerId(1))));
        let tunnel = TunnelSpec {
            tunnel,
            path: path(),
            outer_mtu: TunnelSpec::DEFAULT_OUTER_MTU,
            following: Following::NewestPacket,
        };
        let commands = [
            Command::AddTunnel(tunnel),
            Command::AddInbound(Box::new(inbound)),
            Command::SwitchOutbound(Box::new(outbound(spi, here)?)),
        ];
        let [handle] = &self.dataplane.workers[..] else { return Err(TurnError::Bench("one worker")) };
        for command in commands {
            handle.send(command).map_err(|_| TurnError::Bench("the command channel is full"))?;
        }
        self.worker.turn(Instant::ZERO)?;
        Ok(())
    }

    /// Clocks per packet over `bursts` turns.
    fn round(&mut self, clock: &quanta::Clock, bursts: u32) -> Result<f64, TurnError> {
        let burst = self.burst.len();
        let mut clocks = 0;
        for turn in 0..bursts {
            self.refill()?;
            self.peer.push_burst(&mut self.burst);
            let now = Instant::from_nanos(u64::from(turn) * 10_000);
            let before = clock.raw();
            self.worker.turn(now)?;
            clocks += clock.raw() - before;
            self.peer.take_burst(&mut self.burst);
            if self.burst.len() != burst {
                return Err(self.lost(burst));
            }
            // First uses are told once; nobody needs to hear them here.
            self.dataplane.events.try_iter().for_each(drop);
        }
        Ok(clocks as f64 / f64::from(bursts) / burst as f64)
    }

    /// Makes the burst anew: not measured.
    fn refill(&mut self) -> Result<(), TurnError> {
        for packet in &mut self.burst {
            let slot = self.next_sa;
            self.next_sa = (slot + 1) % self.twins.len();
            let client = client(slot as u32).octets();
            packet.reset();
            let room = packet.extend_back(self.template.len()).ok_or(TurnError::Bench("the buffer is too small"))?;
            room.copy_from_slice(&self.template);
            match self.direction {
                Direction::Encapsulate => {
                    room[12..16].copy_from_slice(&SERVER.octets());
                    room[16..20].copy_from_slice(&client);
                }
                Direction::Decapsulate => {
                    room[12..16].copy_from_slice(&client);
                    room[16..20].copy_from_slice(&SERVER.octets());
                    let twin = self.twins.get_mut(slot).ok_or(TurnError::Bench("no twin"))?;
                    twin.seal(packet, Instant::ZERO).map_err(|_| TurnError::Bench("the twin does not seal"))?;
                    packet.meta = Meta { channel: Channel::NatT, path: Some(path()), ..Meta::default() };
                }
            }
        }
        Ok(())
    }

    fn lost(&self, burst: usize) -> TurnError {
        let totals = self.dataplane.workers.first().map(|worker| worker.counters.totals().drops);
        let reasons = adit_dataplane::contract::DropReason::ALL.iter().map(|reason| reason.name());
        let drops = reasons.zip(totals.into_iter().flatten()).filter(|(_, n)| *n > 0).collect();
        TurnError::Lost { left: self.burst.len(), burst, drops }
    }

    fn measured(&mut self, clocks_per_nano: f64) -> Measured {
        self.rounds.sort_by(f64::total_cmp);
        let clocks_median = self.rounds.get(self.rounds.len() / 2).copied().unwrap_or(f64::NAN);
        let clocks_best = self.rounds.first().copied().unwrap_or(f64::NAN);
        let mpps = |clocks: f64| clocks_per_nano * 1000.0 / clocks;
        Measured {
            direction: match self.direction {
                Direction::Encapsulate => "encapsulate",
                Direction::Decapsulate => "decapsulate",
            },
            inner_octets: self.size,
            clocks_median,
            clocks_best,
            mpps_median: mpps(clocks_median),
            mpps_best: mpps(clocks_best),
        }
    }
}

/// The clock's own calibration, backwards.
fn clocks_per_nano(clock: &quanta::Clock) -> f64 {
    const CLOCKS: u64 = 1 << 32;
    CLOCKS as f64 / clock.delta(0, CLOCKS).as_nanos() as f64
}

/// UDP in IPv4, addresses left out.
fn inner_packet(size: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0];
    packet[2..4].copy_from_slice(&size.to_be_bytes());
    packet.resize(24, 0);
    packet.extend((size - 20).to_be_bytes());
    packet.resize(size.into(), 0x5a);
    packet
}

fn client(slot: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + slot)
}

fn ipnet(host: Ipv4Addr) -> Result<adit_dataplane::contract::IpNet, TurnError> {
    adit_dataplane::contract::IpNet::new(host.into(), 32).map_err(|_| TurnError::Bench("no such prefix"))
}

fn path() -> Path {
    Path { local: ([192, 0, 2, 1], 4500).into(), peer: ([198, 51, 100, 7], 4500).into() }
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

fn suite(name: &str) -> Result<CipherSuite, String> {
    let integs = || [None].into_iter().chain(Integ::ALL.into_iter().map(Some));
    let all = Encr::ALL.into_iter().flat_map(|encr| integs().filter_map(move |integ| CipherSuite::new(encr, integ)));
    let names = || all.clone().map(|suite| suite.to_string()).collect::<Vec<_>>().join(", ");
    all.clone().find(|suite| suite.to_string() == name).ok_or_else(|| format!("one of {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_measures_whole_bursts() {
        for suite_name in ["aes128gcm16", "aes256-sha256"] {
            let args = TurnArgs {
                suite: suite(suite_name).unwrap(),
                sizes: vec![64, 1400],
                window: 64,
                burst: 16,
                sas: 3,
                rounds: 1,
                bursts: 20,
                json: true,
            };
            let clock = quanta::Clock::new();
            for direction in [Direction::Encapsulate, Direction::Decapsulate] {
                for size in &args.sizes {
                    let mut case = Case::new(&args, direction, *size).unwrap();
                    assert!(case.round(&clock, args.bursts).unwrap() > 0.0);
                    let totals = case.dataplane.workers[0].counters.totals();
                    assert_eq!(totals.drops.iter().sum::<u64>(), 0);
                    assert_eq!(totals.inner_sent + totals.outer_sent, 320);
                }
            }
        }
    }

    #[test]
    fn a_suite_that_there_is_not_is_refused_with_the_list() {
        assert!(suite("rot13").unwrap_err().contains("chacha20poly1305"));
    }
}
