//! What `Worker::turn` costs per packet, with packets in memory: TSC clocks and Mpps of one core.
//!
//! In the number: the whole turn, from commands to sweep: taking the burst out of the door's ring, classification,
//! SPI look-up, replay check, cipher, padding, inner header, selectors, routing, counters, and putting the burst into
//! the door's ring. Out of it: the kernel, a network card, and making the packets: each burst is written (and for
//! decapsulation sealed by a twin of the SA, with fresh sequence numbers) before the clock is read, so that packets
//! are warm in the cache, as they are in VPP's and DPDK's in-memory figures.
//!
//! Cases take turns round by round, so that other load on the machine hits all of them alike.

mod by;
mod case;
mod forwarding;
mod inner;

use crate::connection::Void;
use adit_crypto::esp_cipher::BadKeyLength;
use adit_crypto::suite::CipherSuite;
use by::By;
use case::{Case, Direction, What};
use clap::Args;
pub(crate) use forwarding::{Forwarded, Forwarding};
use inner::{FlowTable, Inner, RateLimit};
use serde::Serialize;
use std::io;
use std::process::ExitCode;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct TurnArgs {
    /// What ESP travels in; by cTCP the clients acknowledge what they get, and the headend reads that in the time measured
    #[arg(long, value_delimiter = ',', default_value = "nat-t")]
    by: Vec<By>,
    /// Cipher suites, as strongSwan spells them: aes128gcm16, chacha20poly1305, aes256-sha256, …
    #[arg(long = "suite", value_delimiter = ',', default_value = "aes128gcm16", value_parser = suite)]
    suites: Vec<CipherSuite>,
    /// Octets of the inner packets
    #[arg(long = "size", value_delimiter = ',', default_values_t = [64, 350, 1400], value_parser = clap::value_parser!(u16).range(40..=1400))]
    sizes: Vec<u16>,
    /// Replay window in packets
    #[arg(long, default_value_t = 1024)]
    window: u32,
    /// Packets per burst
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    burst: u16,
    /// Numbers of SAs, which are used in turn: every packet of a burst goes by another, as far as there are others
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sas: Vec<u32>,
    /// What the inner packets are
    #[arg(long, default_value = "udp")]
    inner: Inner,
    /// Numbers of servers that the inner packets are to or from, which come in turn as SAs do: with one SA, of inner flows. The column
    /// "flows" says how many tunnels and servers make together
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    flows: Vec<u32>,
    /// Whether they are counted
    #[arg(long, value_delimiter = ',', default_value = "off")]
    flow_table: Vec<FlowTable>,
    /// Whether tunnels have limits of rate, which nothing reaches
    #[arg(long, value_delimiter = ',', default_value = "off")]
    rate_limit: Vec<RateLimit>,
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
    /// A client's end of a connection is not what it should be: a bug.
    #[error(transparent)]
    Connection(#[from] Void),
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
    by: By,
    suite: String,
    backend: &'static str,
    sas: u32,
    direction: &'static str,
    inner: Inner,
    inner_octets: u16,
    flows: u64,
    flow_table: FlowTable,
    rate_limit: RateLimit,
    clocks_median: f64,
    clocks_best: f64,
    mpps_median: f64,
    mpps_best: f64,
    /// The median over all rounds of what the same packets cost in the same round where nobody counts flows or limits rates, of 1; if that was measured.
    ratio_to_off: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    window: u32,
    burst: u16,
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
    for &suite in &args.suites {
        for &sas in &args.sas {
            for direction in [Direction::Encapsulate, Direction::Decapsulate] {
                for &size in &args.sizes {
                    for (&by, &flows) in args.by.iter().flat_map(|by| args.flows.iter().map(move |flows| (by, flows))) {
                        for &table in &args.flow_table {
                            for &limit in &args.rate_limit {
                                let inner = args.inner;
                                let what = What { by, suite, sas, direction, inner, size, flows, table, limit };
                                cases.push(Case::new(args, what)?);
                            }
                        }
                    }
                }
            }
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
    let ratios: Vec<_> = cases.iter().map(|case| case.ratio_to_off(&cases)).collect();
    let clocks_per_nano = clocks_per_nano(&clock);
    let report = Report {
        window: args.window,
        burst: args.burst,
        rounds: args.rounds,
        packets_per_round: u64::from(args.bursts) * u64::from(args.burst),
        tsc_mhz: clocks_per_nano * 1000.0,
        cases: cases
            .iter_mut()
            .zip(ratios)
            .map(|(case, ratio)| case.measured(clocks_per_nano, ratio))
            .collect::<Result<_, _>>()?,
    };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &Report) {
    let Report { window, burst, rounds, packets_per_round, tsc_mhz, cases } = report;
    println!("Worker::turn in memory, one core: window {window}, burst {burst};");
    println!("{rounds} interleaved rounds of {packets_per_round} packets; clocks are TSC ticks at {tsc_mhz:.0} MHz.");
    println!("In: the whole turn with the memory door. Out: kernel, network card, making the packets.\n");
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "by",
        "suite",
        "SAs",
        "direction",
        "inner octets",
        "flows",
        "table",
        "rate limit",
        "clocks/packet median",
        "best",
        "Mpps median",
        "best",
        "of off",
    ]);
    for case in cases {
        table.add_row([
            case.by.to_string(),
            format!("{} ({})", case.suite, case.backend),
            case.sas.to_string(),
            case.direction.to_owned(),
            format!("{} {}", case.inner_octets, case.inner),
            case.flows.to_string(),
            case.flow_table.to_string(),
            case.rate_limit.to_string(),
            format!("{:.0}", case.clocks_median),
            format!("{:.0}", case.clocks_best),
            format!("{:.2}", case.mpps_median),
            format!("{:.2}", case.mpps_best),
            case.ratio_to_off.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
        ]);
    }
    println!("{table}");
}

/// The clock's own calibration, backwards.
fn clocks_per_nano(clock: &quanta::Clock) -> f64 {
    const CLOCKS: u64 = 1 << 32;
    CLOCKS as f64 / clock.delta(0, CLOCKS).as_nanos() as f64
}

fn suite(name: &str) -> Result<CipherSuite, String> {
    let names = || CipherSuite::all().map(|suite| suite.to_string()).collect::<Vec<_>>().join(", ");
    CipherSuite::all().find(|suite| suite.to_string() == name).ok_or_else(|| format!("one of {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_there_is_not_is_refused_with_the_list() {
        assert!(suite("rot13").unwrap_err().contains("chacha20poly1305"));
    }
}
