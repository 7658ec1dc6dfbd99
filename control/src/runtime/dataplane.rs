//! Opens the doors and starts the workers.

use crate::config::checked::{Config, IoBackend};
use crate::lease::headend_address;
use adit_crypto::random::OsRandom;
use adit_dataplane::contract::{ClusterSlot, Dataplane, Routes, SpiLayout};
use adit_dataplane::io::{Backend, IoConfig, OpenError, TunConfig, open};
use adit_dataplane::packet::PoolSizes;
use adit_dataplane::worker::{self, DataplaneConfig};
use ipnet::IpNet;
use std::io;
use std::thread::JoinHandle;

/// A dataplane at work.
pub(super) struct Started {
    /// Control's end.
    pub(super) dataplane: Dataplane,
    /// One per worker; they end after `Command::Stop`.
    pub(super) threads: Vec<JoinHandle<std::io::Result<()>>>,
    /// How packets move, as `io` names it.
    pub(super) io: String,
    /// What the kernel or the privileges lack, a sentence each.
    pub(super) lacks: Vec<String>,
}

/// Why it does not start. The text says what the operator can do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket, the TUN, a privilege.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A worker.
    #[error("starting the workers: {0}")]
    Workers(#[from] io::Error),
}

/// Starts as `config` says.
///
/// # Errors
/// See [`StartError`]; nothing is left open then.
pub(super) fn start(config: &Config) -> Result<Started, StartError> {
    let layout = SpiLayout::new(ClusterSlot(0), &mut OsRandom);
    let (seeds, report) = open(&doors(config), config.workers.cores.len(), &layout)?;
    let workers = DataplaneConfig {
        workers: config.workers.cores.clone(),
        burst: config.workers.burst,
        pool: PoolSizes { small: config.workers.buffers, ..PoolSizes::default() },
        ..DataplaneConfig::default()
    };
    let make_doors = seeds.into_iter().map(|seed| || seed.open()).collect();
    let (dataplane, threads) = worker::start(&workers, layout, Routes::new(&mut OsRandom), make_doors)?;
    let lacks = report.lacks.iter().map(ToString::to_string).collect();
    Ok(Started { dataplane, threads, io: report.backend.to_owned(), lacks })
}

/// What to open. The TUN has the first address of each pool, so that the kernel has the pool's route.
fn doors(config: &Config) -> IoConfig {
    let ranges = config.pools.iter().flat_map(|pool| [pool.v4.map(IpNet::from), pool.v6.map(IpNet::from)]).flatten();
    let addresses = ranges.filter_map(|range| IpNet::new(headend_address(range)?, range.prefix_len()).ok());
    IoConfig {
        listen: config.listen.addresses.clone(),
        ike_port: config.listen.ike_port,
        natt_port: config.listen.natt_port,
        tun: Some(TunConfig {
            name: config.tun.name.clone(),
            mtu: config.tun.mtu.into(),
            addresses: addresses.collect(),
        }),
        backend: match config.io {
            IoBackend::Auto => Backend::Auto,
            IoBackend::IoUring => Backend::Uring,
            IoBackend::SystemCalls => Backend::SystemCalls,
        },
        spin: config.workers.spin,
        receive_buffer: config.socket_buffers.receive,
        send_buffer: config.socket_buffers.send,
    }
}
