//! Opens the doors and starts the workers.

use super::errand::InnerSide;
use crate::config::checked::{Config, Ctcp, CtcpMode, FlowTable, Flows, IoBackend};
use crate::ike::engine::CtcpManner;
use crate::lease::headend_address;
use adit_crypto::random::SecretRandom;
use adit_dataplane::carrier::ctcp::{CtcpConfig, Limits, Mode, Part};
use adit_dataplane::contract::{ClusterSlot, CtcpCare, CtcpTuning, Dataplane, Routes, SpiLayout, Tuning};
use adit_dataplane::inner_flows::InnerFlowsConfig;
use adit_dataplane::io::{Backend, IoConfig, OpenError, TunConfig, open};
use adit_dataplane::packet::{PacketBuf, PoolSizes};
use adit_dataplane::worker::{CtcpSetup, DataplaneConfig, start as start_workers};
use ipnet::IpNet;
use std::io;
use std::thread::JoinHandle;

/// What ESP in UDP adds to an inner packet at most, in octets: IPv6 40, UDP 8, ESP 8, IV 16, padding 17, ICV 32.
const MOST_OVERHEAD: usize = 121;

/// A dataplane at work.
pub(super) struct Started {
    /// Control's end.
    pub(super) dataplane: Dataplane,
    /// One per worker; they end after `Command::Stop`.
    pub(super) threads: Vec<JoinHandle<io::Result<()>>>,
    /// How packets move, as `io` names it.
    pub(super) io: String,
    /// What the kernel or the privileges lack, a sentence each.
    pub(super) lacks: Vec<String>,
}

/// Why it does not start. The text says what the operator can do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Sockets or interface.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Threads.
    #[error("starting the workers: {0}")]
    Workers(io::Error),
}

/// Starts as `config` says.
///
/// # Errors
/// See [`StartError`]; nothing runs or is open then.
pub(super) fn start(
    config: &Config,
    dials: Option<CtcpManner>,
    inner: InnerSide,
    random: &mut dyn SecretRandom,
) -> Result<Started, StartError> {
    let spi_layout = SpiLayout::new(ClusterSlot(0), random);
    let (io, mut inner) = match inner {
        InnerSide::Interface => (io_config(config), None),
        InnerSide::Memory(end) => {
            (IoConfig { tun: None, backend: Backend::SystemCalls, ..io_config(config) }, Some(end))
        }
    };
    let (seeds, report) = open(&io, config.workers.cores.len(), &spi_layout)?;
    let seeds = seeds.into_iter().map(|seed| match inner.take() {
        Some(end) => seed.with_inner(end),
        None => seed,
    });
    let doors = seeds.map(|seed| move || seed.open()).collect();
    let (ctcp, inner_flows) = (ctcp(config, dials, random), inner_flows(config.flows, random));
    let workers = DataplaneConfig { ctcp, inner_flows, ..workers_config(config) };
    let (dataplane, threads) =
        start_workers(&workers, spi_layout, Routes::new(random), doors).map_err(StartError::Workers)?;
    let lacks = report.lacks.iter().map(ToString::to_string).collect();
    Ok(Started { dataplane, threads, io: report.backend.to_owned(), lacks })
}

fn io_config(config: &Config) -> IoConfig {
    IoConfig {
        listen: config.listen.addresses.clone(),
        ike_port: config.listen.ike_port,
        natt_port: config.listen.natt_port,
        cisco_udp_port: config.listen.cisco_udp_port.unwrap_or_default(),
        tcp_ports: config.listen.tcp_ports().collect(),
        transports: config.listen.transports(),
        outer_df: config.sizes.rules.df,
        tun: Some(TunConfig {
            name: config.tun.name.clone(),
            mtu: u32::from(config.tun.mtu),
            addresses: own_addresses(config),
        }),
        backend: match config.io {
            IoBackend::Auto => Backend::Auto,
            IoBackend::IoUring => Backend::Uring,
            IoBackend::SystemCalls => Backend::SystemCalls,
        },
        spin: config.workers.spin,
        coalesce: config.workers.coalesce,
        receive_buffer: config.socket_buffers.receive,
        send_buffer: config.socket_buffers.send,
    }
}

/// The headend's own address in each range, with the range's prefix: the kernel then routes the range to the TUN.
pub(super) fn own_addresses(config: &Config) -> Vec<IpNet> {
    let ranges = config.pools.iter().flat_map(|pool| [pool.v4.map(IpNet::V4), pool.v6.map(IpNet::V6)]).flatten();
    ranges.filter_map(|range| IpNet::new(headend_address(range)?, range.prefix_len()).ok()).collect()
}

/// What of the configuration workers can be told while they work.
pub(super) fn tuning(config: &Config) -> Tuning {
    let Ctcp { stall_after, hold_lease: _, ring, memory } = config.ctcp;
    let care = match config.listen.ctcp_mode {
        CtcpMode::Adaptive => CtcpCare::Adaptive,
        CtcpMode::Stateless => CtcpCare::Stateless,
    };
    let ctcp = config.listen.tcp_ports().next().map(|_| CtcpTuning { care, stall_after, ring, memory });
    Tuning {
        burst: config.workers.burst,
        spin: config.workers.spin,
        coalesce: config.workers.coalesce,
        rules: config.sizes.rules,
        moves_per_minute: config.esp.moves_per_minute,
        ctcp,
    }
}

fn workers_config(config: &Config) -> DataplaneConfig {
    let packet = PacketBuf::HEADROOM + usize::from(config.tun.mtu) + MOST_OVERHEAD + PacketBuf::TAILROOM;
    let usual = PoolSizes::default();
    DataplaneConfig {
        workers: config.workers.cores.clone(),
        burst: config.workers.burst,
        pool: PoolSizes {
            small: config.workers.buffers.max(config.workers.burst),
            small_capacity: usual.small_capacity.max(packet.next_multiple_of(64)),
            large: usual.large,
        },
        rules: config.sizes.rules,
        moves_per_minute: config.esp.moves_per_minute,
        ..DataplaneConfig::default()
    }
}

/// A headend's end of cTCP and RFC 9329, or that of a client that `dials`.
fn ctcp(config: &Config, dials: Option<CtcpManner>, random: &mut dyn SecretRandom) -> Option<CtcpSetup> {
    config.listen.tcp_ports().next()?;
    let mode = match (dials, config.listen.ctcp_mode) {
        (Some(CtcpManner::Legacy), _) => Mode::Legacy,
        (Some(CtcpManner::Ours), _) | (None, CtcpMode::Adaptive) => Mode::Adaptive,
        (None, CtcpMode::Stateless) => Mode::Stateless,
    };
    let part = if dials.is_some() { Part::Dials } else { Part::Answers };
    let mut secret = [0; 24];
    random.fill(&mut secret);
    let Ctcp { stall_after, hold_lease: _, ring, memory } = config.ctcp;
    let streams_alone = config.listen.tcp_port;
    let limits = Limits { ring, ..Limits::DEFAULT };
    Some(CtcpSetup {
        config: CtcpConfig { mode, part, streams_alone, limits, stall_after, memory, ..CtcpConfig::DEFAULT },
        secret,
    })
}

fn inner_flows(Flows { table, limit, sample }: Flows, random: &mut dyn SecretRandom) -> Option<InnerFlowsConfig> {
    let mut seed = [0; 16];
    random.fill(&mut seed);
    match table {
        FlowTable::On => Some(InnerFlowsConfig { limit, sample, seed }),
        FlowTable::Off => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::checked::Sizes;
    use crate::config::{Surroundings, read};
    use adit_dataplane::contract::{EcnMode, MssClamp, OuterDf, OuterDscp, Transport, Transports, TunnelRules};
    use adit_dataplane::wire::traffic_class::Dscp;

    fn config(more: &str) -> Config {
        let text = format!(
            "[node]\nidentity = \"headend.rig\"\n{more}\n\
             [[pool]]\nname = \"a\"\naddresses = [\"10.30.0.0/16\", \"fd30::/64\"]\n\
             [[pool]]\nname = \"b\"\naddresses = [\"10.31.8.0/24\"]\n\
             [[connection]]\nname = \"c\"\nremote_ids = [\"*\"]\npsk = \"a key that is long enough\"\n\
             pools = [\"a\"]\nnetworks = [\"0.0.0.0/0\"]\n"
        );
        let around = Surroundings { folder: "/".into(), cores: vec![0, 1] };
        read("test", &text, &around).unwrap().0
    }

    #[test]
    fn the_interface_gets_the_first_address_of_every_range() {
        let addresses = own_addresses(&config("")).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(addresses, ["10.30.0.1/16", "fd30::1/64", "10.31.8.1/24"]);
    }

    #[test]
    fn the_doors_open_as_configured() {
        let io = io_config(&config(
            "[listen]\naddresses = [\"192.0.2.1\"]\nike_port = 1500\nnatt_port = 1501\ncisco_udp_port = 1502\n\
             native_esp = false\n[tun]\nname = \"vpn\"\n\
             mtu = 1300\n[io]\nbackend = \"system-calls\"\nreceive_buffer = \"1MiB\"\nsend_buffer = \"2MiB\"\n\
             [workers]\nspin = \"7us\"\ncoalesce = \"9us\"",
        ));
        assert_eq!(io.listen, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!((io.ike_port, io.natt_port, io.cisco_udp_port), (1500, 1501, 1502));
        let udp: Transports = Transports::ALL.iter().filter(|transport| *transport != Transport::Esp).collect();
        assert_eq!((io.transports, io.backend), (udp, Backend::SystemCalls));
        assert_eq!(io_config(&config("")).transports, Transports::ALL);
        let no_cisco = io_config(&config("[listen]\ncisco_udp_port = 0"));
        assert!(!no_cisco.transports.contains(Transport::CiscoUdp));
        for (versions, on_500) in [("\"rfc3947\", \"draft-02\"", false), ("\"draft-03\", \"draft-00\"", true)] {
            let io = io_config(&config(&format!("[listen]\nnat_traversals = [{versions}]")));
            assert_eq!(io.transports.contains(Transport::NatT500), on_500, "{versions}");
        }
        assert_eq!((io.receive_buffer, io.send_buffer), (1 << 20, 2 << 20));
        let micros = std::time::Duration::from_micros;
        assert_eq!((io.spin, io.coalesce), (micros(7), micros(9)));
        let tun = io.tun.unwrap();
        assert_eq!((tun.name.as_str(), tun.mtu), ("vpn", 1300));
    }

    #[test]
    fn sizes_and_outer_headers_are_what_the_file_says() {
        let usual = config("").sizes;
        assert_eq!((usual, usual.path_mtu), (Sizes::default(), 1500));
        let other = config(
            "[esp]\npath_mtu = 1400\nouter_df = \"copy\"\ndscp = 46\necn = \"compatibility\"\nmss_clamp = \"off\"",
        );
        let dscp = OuterDscp::Fixed(Dscp::new(46).unwrap());
        let rules = TunnelRules { df: OuterDf::Copy, dscp, ecn: EcnMode::Compatibility, mss: MssClamp::Off };
        assert_eq!(other.sizes, Sizes { path_mtu: 1400, rules });
        assert_eq!((workers_config(&other).rules, io_config(&other).outer_df), (rules, OuterDf::Copy));
    }

    #[test]
    fn a_buffer_holds_the_largest_packet_with_all_that_goes_around_it() {
        for mtu in [1280, 1400, 9000] {
            let pool = workers_config(&config(&format!("[tun]\nmtu = {mtu}"))).pool;
            assert!(pool.small_capacity >= PacketBuf::HEADROOM + mtu + MOST_OVERHEAD + PacketBuf::TAILROOM, "{mtu}");
        }
        assert_eq!(workers_config(&config("")).pool, PoolSizes::default());
    }

    #[test]
    fn there_is_never_less_than_a_burst_of_buffers() {
        let config = workers_config(&config("[workers]\nburst = 1024\nbuffers = 256"));
        assert_eq!((config.pool.small, config.burst), (1024, 1024));
    }

    #[test]
    fn flows_are_counted_as_the_file_says_and_with_another_seed_each_time() {
        use adit_crypto::random::SeededRandom;
        let random = &mut SeededRandom::new(1);
        let mut of = |more| inner_flows(config(more).flows, random);
        let (one, other) = (of("").unwrap(), of("[flows]\nlimit = 5000\nsample = 8").unwrap());
        assert_eq!((one.limit, one.sample, other.limit, other.sample), (100_000, 1, 5000, 8));
        assert_ne!(one.seed, other.seed);
        assert_eq!(of("[flows]\ntable = \"off\""), None);
    }

    #[test]
    fn without_a_word_about_workers_there_is_one_for_each_core() {
        assert_eq!(config("").workers.cores, [Some(0), Some(1)]);
        assert_eq!(config("[workers]\ncount = 1").workers.cores, [Some(0)]);
        assert_eq!(config("[workers]\ncount = 3").workers.cores, [None, None, None]);
    }
}
