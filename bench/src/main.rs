//! `adit-bench`: looks at adit from outside.

#![forbid(unsafe_code)]

mod api_load;
mod client;
mod connection;
mod flows;
mod scenario;
mod sim;
mod stall;
mod tell;
mod turn;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Looks at adit from outside: scenarios with real peers, measurements.
#[derive(Debug, Parser)]
#[command(name = "adit-bench", version, about)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What the control API costs the packet path while many ask it
    ApiLoad(api_load::ApiLoadArgs),
    /// Log into a headend, by IKEv1 as Cisco's clients do or by IKEv2, and carry packets
    Client(Box<client::ClientArgs>),
    /// What cTCP's connections cost in memory and clocks
    Flows(flows::FlowsArgs),
    /// Real peers in network namespaces, and what must hold
    #[command(subcommand)]
    Scenario(scenario::Ask),
    /// Many initiators against a headend in a simulated world
    Sim(sim::ask::Ask),
    /// What arrives by cTCP through real boxes that lose: the stall matrix
    Stall(stall::StallArgs),
    /// Whether the time to answer tells which users and groups there are
    Tell(tell::TellArgs),
    /// What a worker's turn costs per packet, packets in memory
    Turn(turn::TurnArgs),
}

fn main() -> ExitCode {
    match Arguments::parse().what {
        What::ApiLoad(args) => api_load::main(&args),
        What::Client(args) => client::main(&args),
        What::Flows(args) => flows::main(&args),
        What::Scenario(ask) => scenario::main(&ask),
        What::Sim(ask) => sim::ask::main(&ask),
        What::Stall(args) => stall::main(&args),
        What::Tell(args) => tell::main(&args),
        What::Turn(args) => turn::main(&args),
    }
}
