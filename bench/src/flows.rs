//! What cTCP's connections, or streams (RFC 9329), cost one worker: octets of memory, idle and busy, and clocks for a login's handshake and for
//! keeping idle ones alive.
//!
//! In the number: the carrier with its books, and what the allocator takes for them, as the kernel counts it (VmRSS). Out of
//! it: the session behind a connection, its SAs and its leases; the door; the kernel; the clients, whose segments are made before the
//! clock is read.

use crate::connection::{Connection, Void, path};
use adit_dataplane::carrier::ctcp::{Carrier, CtcpConfig, Inside, Limits, Mode, Outlet, Part};
use adit_dataplane::contract::{Path, TunnelKey, WorkerId};
use adit_dataplane::packet::PacketBuf;
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::TcpHeader;
use clap::Args;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct FlowsArgs {
    /// Connections
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    flows: u32,
    /// Octets that each busy connection has under way, unacknowledged
    #[arg(long, default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    busy: u32,
    /// Seconds of idling; time is virtual
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    idle: u32,
    /// Streams (RFC 9329) instead of cTCP
    #[arg(long)]
    streams: bool,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlowsError {
    /// A bug.
    #[error(transparent)]
    Void(#[from] Void),
    /// The kernel does not say.
    #[error("cannot read /proc/self/status: {0}")]
    Memory(#[from] std::io::Error),
    /// The result cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

#[derive(Debug, Serialize)]
struct Report {
    flows: u32,
    idle_octets_per_flow: f64,
    busy_octets_per_flow: f64,
    octets_under_way_per_flow: u32,
    login_clocks: f64,
    idle_clocks_per_flow_and_second: f64,
    keepalives_per_flow_and_second: f64,
}

/// Measures and prints.
pub(crate) fn main(args: &FlowsArgs) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adit-bench flows: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &FlowsArgs) -> Result<(), FlowsError> {
    let report = measure(args)?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
        return Ok(());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    let what = if args.streams { "RFC 9329, one worker" } else { "cTCP, one worker, adaptive" };
    table.set_header([what, ""]);
    let under_way = args.busy;
    for (what, number) in [
        ("connections".to_owned(), f64::from(report.flows)),
        ("octets of memory per idle one".to_owned(), report.idle_octets_per_flow),
        (format!("octets of memory per busy one, {under_way} of them under way"), report.busy_octets_per_flow),
        ("clocks per handshake with a first IKE message".to_owned(), report.login_clocks),
        ("clocks per second and idle one, keepalives both ways".to_owned(), report.idle_clocks_per_flow_and_second),
    ] {
        table.add_row([what, format!("{number:.0}")]);
    }
    println!("{table}");
    Ok(())
}

/// So many connections are made ready before the clock is read.
const BATCH: usize = 256;

/// What the carrier says.
struct Said {
    /// To whom, and how many octets of data it has: what clients answer. No more than there was room for before memory was looked at.
    heard: Vec<(Path, TcpHeader, usize)>,
    segments: u64,
}

impl Said {
    /// With room for one segment of each connection, which is in memory from the start.
    fn new(flows: usize) -> Self {
        let header = TcpHeader::parse(&Connection::syn(path(0), 0));
        let mut heard: Vec<_> = header.map(|header| (path(0), header, 0)).into_iter().cycle().take(flows).collect();
        heard.clear();
        Self { heard, segments: 0 }
    }

    fn hear(&mut self, path: &Path, header: &TcpHeader, octets: usize) {
        self.segments += 1;
        if self.heard.len() < self.heard.capacity() {
            self.heard.push((*path, *header, octets));
        }
    }
}

impl Outlet for Said {
    fn segment(&mut self, path: &Path, header: &TcpHeader, [first, second]: [&[u8]; 2]) {
        self.hear(path, header, first.len() + second.len());
    }

    fn octets(&mut self, path: &Path, segment: &[u8]) {
        if let Some(header) = TcpHeader::parse(segment) {
            self.hear(path, &header, segment.len().saturating_sub(header.len));
        }
    }

    fn frame(&mut self, _: &Path, _: Inside, _: &[u8]) {}

    fn streamed(&mut self, _: &Path, _: &[u8]) {}
}

/// One worker's connections, and the clocks that its carrier has taken. Out of those is what clients do.
struct Bench {
    clock: quanta::Clock,
    carrier: Carrier,
    said: Said,
    now: Instant,
    clocks: u64,
}

impl Bench {
    /// Measures this alone.
    fn timed(&mut self, work: impl FnOnce(&mut Carrier, Instant, &mut Said)) {
        let before = self.clock.raw();
        work(&mut self.carrier, self.now, &mut self.said);
        self.clocks += self.clock.raw() - before;
    }

    /// These clients send a SYN, and then their first message; the headend takes both and acknowledges.
    fn log_in(&mut self, flows: u32, streams: bool) -> Result<(), Void> {
        let slots: Vec<u32> = (0..flows).collect();
        for slots in slots.chunks(BATCH) {
            let syns: Vec<_> = slots.iter().map(|slot| (path(*slot), Connection::syn(path(*slot), *slot))).collect();
            self.timed(|carrier, now, said| {
                for (path, syn) in &syns {
                    carrier.arrive(now, path, syn, said);
                }
            });
            let mut firsts = Vec::with_capacity(BATCH);
            for (slot, (path, answer, _)) in slots.iter().zip(&self.said.heard) {
                let first = match streams {
                    true => Connection::stream(*path, *slot, answer),
                    false => Connection::open(*path, *slot, answer)?.1,
                };
                firsts.push((*path, *slot, first));
            }
            if firsts.len() != slots.len() {
                return Err(Void("a SYN without an answer"));
            }
            self.timed(|carrier, now, said| {
                for (path, slot, first) in &firsts {
                    carrier.arrive(now, path, first, said);
                    carrier.vouch(now, path, TunnelKey { worker: WorkerId(0), slot: *slot });
                }
            });
            self.said.heard.clear();
        }
        self.timed(Carrier::poll);
        self.said.heard.clear();
        Ok(())
    }

    /// A turn each 10 ms, as an idle worker has them when something is due in each. Whoever hears a keepalive says that it lives, too.
    fn idle(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = self.now + Duration::from_millis(10);
            self.timed(Carrier::poll);
            let mut heard = std::mem::take(&mut self.said.heard);
            for heard in heard.chunks(BATCH) {
                let answer = |(path, header, octets): &(_, _, _)| (*path, Connection::alone(*path, header, *octets));
                let answers: Vec<_> = heard.iter().map(answer).collect();
                self.timed(|carrier, now, said| {
                    for (path, answer) in &answers {
                        carrier.arrive(now, path, answer, said);
                    }
                });
            }
            heard.clear();
            self.said.heard = heard;
        }
    }

    /// The clocks since this was last asked.
    fn clocks(&mut self) -> f64 {
        std::mem::take(&mut self.clocks) as f64
    }
}

fn measure(args: &FlowsArgs) -> Result<Report, FlowsError> {
    let most = usize::try_from(args.flows).unwrap_or(usize::MAX);
    let config = CtcpConfig {
        part: Part::Answers,
        mode: Mode::Adaptive,
        limits: Limits::DEFAULT,
        flows: most,
        unproven: most,
        unproven_per_source: most,
        memory: usize::MAX,
        ..CtcpConfig::DEFAULT
    };
    let mut bench = Bench {
        clock: quanta::Clock::new(),
        carrier: Carrier::new(WorkerId(0), config, [5; 24]),
        said: Said::new(most),
        now: Instant::ZERO,
        clocks: 0,
    };
    let empty = resident()?;

    bench.log_in(args.flows, args.streams)?;
    let login_clocks = bench.clocks() / f64::from(args.flows);
    if bench.carrier.len() != most {
        return Err(Void("not every login made a connection").into());
    }

    let said_before = bench.said.segments;
    bench.idle(Duration::from_secs(args.idle.into()));
    if bench.carrier.len() != most {
        return Err(Void("a connection ended while it was idle").into());
    }
    let flow_seconds = f64::from(args.flows) * f64::from(args.idle);
    let idle_clocks = bench.clocks() / flow_seconds;
    let keepalives = (bench.said.segments - said_before) as f64 / flow_seconds;
    let idle = resident()?;

    let Bench { mut carrier, mut said, now, .. } = bench;
    let mut packet = PacketBuf::allocate(2048);
    for slot in 0..args.flows {
        let mut left = args.busy as usize;
        while left > 0 {
            let octets = left.min(1400);
            packet.reset();
            packet.extend_back(octets).ok_or(Void("the buffer is too small"))?.fill(7);
            let sent = match args.streams {
                true => carrier.stream(now, &path(slot), Inside::Esp, packet.bytes(), &mut said),
                false => carrier.dress(now, &path(slot), Inside::Esp, &mut packet),
            };
            sent.map_err(|_| Void("a packet did not leave"))?;
            left -= octets;
        }
    }
    carrier.poll(now, &mut said);
    let busy = resident()?;
    let per_flow = |octets: u64| octets.saturating_sub(empty) as f64 / f64::from(args.flows);
    Ok(Report {
        flows: args.flows,
        idle_octets_per_flow: per_flow(idle),
        busy_octets_per_flow: per_flow(busy),
        octets_under_way_per_flow: args.busy,
        login_clocks,
        idle_clocks_per_flow_and_second: idle_clocks,
        keepalives_per_flow_and_second: keepalives,
    })
}

/// Octets of this process that are in memory (proc(5): VmRSS, which is in KiB whatever a page has).
fn resident() -> Result<u64, FlowsError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    Ok(kib.ok_or(Void("no VmRSS"))? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_are_kept_by_a_keepalive_every_five_seconds_and_busy_ones_hold_what_they_sent() {
        let report = measure(&FlowsArgs { flows: 2000, busy: 16_000, idle: 20, streams: false, json: true }).unwrap();
        assert!((0.15..0.26).contains(&report.keepalives_per_flow_and_second), "{report:?}");
        assert!(report.busy_octets_per_flow - report.idle_octets_per_flow > 16_000.0, "{report:?}");
    }

    #[test]
    fn clients_say_that_they_live_so_that_no_connection_ends_however_long_it_is_idle() {
        for streams in [false, true] {
            let report = measure(&FlowsArgs { flows: 20, busy: 1, idle: 600, streams, json: true }).unwrap();
            assert!(report.keepalives_per_flow_and_second > 0.0, "{report:?}");
        }
    }
}
