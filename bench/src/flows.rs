//! What cTCP's connections, or streams (RFC 9329), cost one worker: octets of memory, idle and busy, and clocks for a login's handshake and for
//! keeping idle ones alive.
//!
//! In the number: the carrier with its books, and what the allocator takes for them, as the kernel counts it (VmRSS). Out of
//! it: the session behind a connection, its SAs and its leases; the door; the kernel.

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
    #[error("cannot read /proc/self/statm: {0}")]
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
        ("clocks per second and idle one".to_owned(), report.idle_clocks_per_flow_and_second),
    ] {
        table.add_row([what, format!("{number:.0}")]);
    }
    println!("{table}");
    Ok(())
}

/// What the carrier says. Only a SYN's answer is of interest.
#[derive(Default)]
struct Said {
    answer: Option<TcpHeader>,
    segments: u64,
}

impl Outlet for Said {
    fn segment(&mut self, _: &Path, header: &TcpHeader, _: [&[u8]; 2]) {
        self.answer = Some(*header);
        self.segments += 1;
    }

    fn octets(&mut self, _: &Path, segment: &[u8]) {
        self.answer = TcpHeader::parse(segment);
        self.segments += 1;
    }

    fn frame(&mut self, _: &Path, _: Inside, _: &[u8]) {}

    fn streamed(&mut self, _: &Path, _: &[u8]) {}
}

fn measure(args: &FlowsArgs) -> Result<Report, FlowsError> {
    let clock = quanta::Clock::new();
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
    let (mut carrier, mut said) = (Carrier::new(WorkerId(0), config, [5; 24]), Said::default());
    let mut now = Instant::ZERO;
    let empty = resident()?;

    let before = clock.raw();
    for slot in 0..args.flows {
        let path = path(slot);
        carrier.arrive(now, &path, &Connection::syn(path, slot), &mut said);
        let answer = said.answer.take().ok_or(Void("a SYN without an answer"))?;
        let first = match args.streams {
            true => Connection::stream(path, slot, &answer),
            false => Connection::open(path, slot, &answer)?.1,
        };
        carrier.arrive(now, &path, &first, &mut said);
        carrier.vouch(now, &path, TunnelKey { worker: WorkerId(0), slot });
    }
    let login_clocks = (clock.raw() - before) as f64 / f64::from(args.flows);
    if carrier.len() != most {
        return Err(Void("not every login made a connection").into());
    }

    // A turn each 10 ms, as an idle worker has them when something is due in each.
    let (until, said_before, before) = (now + Duration::from_secs(args.idle.into()), said.segments, clock.raw());
    while now < until {
        now = now + Duration::from_millis(10);
        carrier.poll(now, &mut said);
    }
    let flow_seconds = f64::from(args.flows) * f64::from(args.idle);
    let idle_clocks = (clock.raw() - before) as f64 / flow_seconds;
    let keepalives = (said.segments - said_before) as f64 / flow_seconds;
    let idle = resident()?;

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

/// Octets of this process that are in memory (proc(5), statm).
fn resident() -> Result<u64, FlowsError> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    Ok(pages.ok_or(Void("no such figure in statm"))? * 4096)
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
}
