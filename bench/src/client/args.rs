//! The command line.

use adit_dataplane::contract::IpNet;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const AFTER_HELP: &str = "Secrets come from files that only their owner can read, or are asked for; never from the command line.
On success one line of JSON says what was given. SIGTERM and Ctrl-C log out.
Interface, address and routes go with the process. Ports 500 and 4500 (10000) of the host are used: no other IKE daemon may run.
Exit status: 0 logged in, and out again as asked; 1 could not run; 2 wrong command line; 3 no login; 4 the session was lost.
The environment variable ADIT_LOG sets what is logged, such as \"debug\".";

/// Whom to call, as whom, and how.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ClientArgs {
    /// Headend, by name or IPv4 address
    #[arg(long, value_name = "ADDR")]
    pub(super) server: String,
    /// Group, as Cisco's clients name it (KEY_ID)
    #[arg(long, value_name = "NAME", required_unless_present = "id")]
    pub(super) group: Option<String>,
    /// Identity instead of a group: `alice@example.org`, `vpn.example.org`, `keyid:…`
    #[arg(long, value_name = "ID", conflicts_with = "group")]
    pub(super) id: Option<String>,
    /// The group's secret; asked for without
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
    /// User for XAUTH
    #[arg(long, value_name = "NAME")]
    pub(super) user: String,
    /// The user's password; asked for without
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Who the headend must be; with a pre-shared key whoever knows that will do
    #[arg(long, value_name = "ID")]
    pub(super) server_id: Option<String>,
    /// Hybrid mode: the headend shows a certificate that these authorities vouch for (PEM)
    #[arg(long, value_name = "FILE", requires = "server_id")]
    pub(super) hybrid_ca: Option<PathBuf>,
    /// Phase 1 exchange
    #[arg(long, value_enum, default_value_t = PhaseOne::Aggressive)]
    pub(super) mode: PhaseOne,
    /// What packets travel in
    #[arg(long, value_enum, default_value_t = Way::NatT)]
    pub(super) transport: Way,
    /// Port of the headend's: TCP for ctcp (10000), else UDP for IKE (500)
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: Option<u16>,
    /// In cTCP: repeat nothing and acknowledge nothing but with data, as Cisco's clients
    #[arg(long)]
    pub(super) legacy: bool,
    /// Interface to make
    #[arg(long, value_name = "NAME", default_value = "adit-c0")]
    pub(super) tun: String,
    /// Octets of the largest inner packet
    #[arg(long, value_name = "OCTETS", default_value_t = 1400, value_parser = clap::value_parser!(u16).range(576..=9000))]
    pub(super) mtu: u16,
    /// Send this network into the tunnel instead of those that the headend names; may be repeated
    #[arg(long, value_name = "NET")]
    pub(super) route: Vec<IpNet>,
    /// For phase 1, as in aditd.toml; aggressive mode takes the first group
    #[arg(long, value_name = "PROPOSAL", default_value = "aes256-aes128-sha256-sha1-modp2048")]
    pub(super) ike_proposal: String,
    /// For ESP, as in aditd.toml
    #[arg(long, value_name = "PROPOSAL", default_value = "aes256-aes128-sha256-sha1")]
    pub(super) esp_proposal: String,
    /// Replace ESP's keys after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(3..))]
    pub(super) esp_rekey: Option<u32>,
    /// Control socket: `aditctl --socket` asks the client there
    #[arg(long, value_name = "PATH", default_value = "/run/adit/client.sock")]
    pub(super) socket: PathBuf,
    /// What is logged, to standard error
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(super) log: String,
}

/// Which exchange phase 1 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PhaseOne {
    Aggressive,
    Main,
}

/// What packets travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// ESP as it is; fails behind a NAT
    Esp,
    /// ESP in UDP 4500, NAT or not
    NatT,
    /// Cisco's IPsec over UDP
    CiscoUdp,
    /// Cisco's IPsec over TCP
    Ctcp,
}

/// How our end of a cTCP connection behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Ours,
    Legacy,
}

impl ClientArgs {
    pub(super) fn behaviour(&self) -> Behaviour {
        if self.legacy { Behaviour::Legacy } else { Behaviour::Ours }
    }

    pub(super) fn server_id(&self) -> &str {
        self.server_id.as_deref().unwrap_or("*")
    }

    /// Of the headend's, where the first message goes.
    pub(super) fn first_port(&self) -> u16 {
        self.port.unwrap_or(match self.transport {
            Way::Ctcp => 10_000,
            Way::Esp | Way::NatT | Way::CiscoUdp => 500,
        })
    }
}
