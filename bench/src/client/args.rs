//! The command line.

use super::ClientError;
use super::load::datagram;
use adit_control::telemetry::is_filter;
use adit_dataplane::contract::IpNet;
use clap::{Args, ValueEnum};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

/// Of the headend's and ours.
pub(super) const IKE_PORT: u16 = 500;

const AFTER_HELP: &str = "Secrets come from files that only their owner can read, or are asked for; never from the command line.
On success one line of JSON says what was given. SIGTERM and Ctrl-C log out.
Interface, address and routes go with the process. Ports 500 and 4500 (10000) of the host are used: no other IKE daemon may run.
Exit status: 0 logged in, and out again as asked; 1 could not run; 2 wrong command line; 3 no login; 4 the session was lost.
The environment variable ADIT_LOG sets what is logged, such as \"debug\".";

/// Whom to call, as whom, and how.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ClientArgs {
    /// Headend, by name or address; of a name's addresses the first that a route leads to
    #[arg(long, value_name = "ADDR")]
    pub(super) server: Option<String>,
    /// File with these options, as `transport = "ctcp"`; what is typed counts more
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Version of IKE
    #[arg(long, value_enum, default_value_t = Version::V1)]
    pub(super) ike: Version,
    /// Group, as Cisco's clients name it (KEY_ID)
    #[arg(long, value_name = "NAME")]
    pub(super) group: Option<String>,
    /// Identity instead of a group: `alice@example.org`, `vpn.example.org`, `keyid:…`
    #[arg(long, value_name = "ID", conflicts_with = "group")]
    pub(super) id: Option<String>,
    /// The group's secret, or by IKEv2 the pre-shared key; asked for without
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
    /// User for XAUTH, by IKEv1
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
    /// The user's password; asked for without
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Who the headend must be; with a pre-shared key whoever knows that will do
    #[arg(long, value_name = "ID")]
    pub(super) server_id: Option<String>,
    /// Hybrid mode: the headend shows a certificate that these authorities vouch for (PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) hybrid_ca: Option<PathBuf>,
    /// Phase 1 exchange, by IKEv1; aggressive without
    #[arg(long, value_enum)]
    pub(super) mode: Option<PhaseOne>,
    /// What packets travel in: one, or a list such as `nat-t,ctcp`, whose first that is answered is taken, and left for the next when it
    /// brings nothing any more
    #[arg(long, value_enum, value_delimiter = ',', default_value = "nat-t")]
    pub(super) transport: Vec<Transport>,
    /// Of several transports, begin with the next when the one before has not been answered for so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "2")]
    pub(super) next_after: Duration,
    /// Of several transports, go on with the next when nothing has come for so long that should have; half of it the headend is asked
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "3")]
    pub(super) switch_after: Duration,
    /// Port of the headend's: of the transports ctcp's if that is among them (TCP 10000), else tcp's (4500), else IKE's (UDP 500)
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: Option<u16>,
    /// In cTCP: repeat nothing and acknowledge nothing but with data, as Cisco's clients
    #[arg(long)]
    pub(super) legacy: bool,
    /// Where inner packets come from and go to
    #[arg(long, value_enum, default_value_t = Inner::Tun)]
    pub(super) inner: Inner,
    #[command(flatten)]
    pub(super) load: LoadArgs,
    /// Interface to make; adit-c0 without
    #[arg(long, value_name = "NAME")]
    pub(super) tun: Option<String>,
    /// Octets of the largest inner packet
    #[arg(long, value_name = "OCTETS", default_value_t = 1400, value_parser = clap::value_parser!(u16).range(576..=9000))]
    pub(super) mtu: u16,
    /// Send this network into the tunnel instead of those that the headend names; may be repeated
    #[arg(long, value_name = "NET")]
    pub(super) route: Vec<IpNet>,
    /// For IKE, as in aditd.toml, where the defaults of IKEv2 stand; aggressive mode takes the first group. IKEv1:
    /// aes256-aes128-sha256-sha1-modp2048
    #[arg(long, value_name = "PROPOSAL")]
    pub(super) ike_proposal: Option<String>,
    /// For ESP, as in aditd.toml, where the defaults of IKEv2 stand. IKEv1: aes256-aes128-sha256-sha1
    #[arg(long, value_name = "PROPOSAL")]
    pub(super) esp_proposal: Option<String>,
    /// Replace ESP's keys after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(3..))]
    pub(super) esp_rekey: Option<u32>,
    /// Replace IKE's keys after so many seconds, by IKEv2
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(3..))]
    pub(super) ike_rekey: Option<u32>,
    /// Control socket: `aditctl --socket` asks the client there
    #[arg(long, value_name = "PATH", default_value = "/run/adit/client.sock")]
    pub(super) socket: PathBuf,
    /// What is logged, to standard error
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = level)]
    pub(super) log: String,
}

/// What is sent where nobody else sends.
#[derive(Debug, Clone, Args)]
pub(super) struct LoadArgs {
    /// With `--inner load`: who is sent UDP datagrams and echoes them; port 7 without one
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = target)]
    pub(super) load_to: Option<SocketAddr>,
    /// With `--inner load`: packets a second; 100 without
    #[arg(long, value_name = "PACKETS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) load_rate: Option<u32>,
    /// With `--inner load`: octets in each datagram, without headers; 512 without
    #[arg(long, value_name = "OCTETS", value_parser = clap::value_parser!(u16).range(i64::from(datagram::LEAST)..=9000))]
    pub(super) load_size: Option<u16>,
    /// With `--inner load`: for how long; 10 without
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) load_seconds: Option<u32>,
}

/// Where inner packets come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Inner {
    /// An interface
    Tun,
    /// This process: it sends datagrams to `--load-to`, counts what comes back, says so in a line of JSON, and logs out
    Load,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) to: SocketAddr,
    /// Packets a second.
    pub(super) rate: NonZero<u32>,
    /// Of each payload.
    pub(super) octets: u16,
    /// All together.
    pub(super) packets: u64,
}

/// Version of IKE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Version {
    #[value(name = "1")]
    V1,
    #[value(name = "2")]
    V2,
}

/// Which exchange phase 1 is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum PhaseOne {
    #[default]
    Aggressive,
    Main,
}

/// What packets travel in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// nat-t, then ctcp
    Auto,
    /// ESP as it is; fails behind a NAT
    Esp,
    /// ESP in UDP 4500, NAT or not
    NatT,
    /// Cisco's IPsec over UDP
    CiscoUdp,
    /// Cisco's IPsec over TCP
    Ctcp,
    /// IKE and ESP in real TCP (RFC 9329)
    Tcp,
}

impl Version {
    const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Esp,
    NatT,
    CiscoUdp,
    Ctcp,
    Tcp,
}

impl Way {
    /// As in aditd.toml.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Esp => "esp",
            Self::NatT => "nat-t",
            Self::CiscoUdp => "cisco-udp",
            Self::Ctcp => "ctcp",
            Self::Tcp => "tcp",
        }
    }
}

/// From a tenth of one to an hour.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.1..=3600.0).contains(&seconds) {
        return Err(format!("{seconds} is not in 0.1..=3600"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A word that is no level would silence everything.
fn level(text: &str) -> Result<String, String> {
    match is_filter(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("not error, warn, info, debug, trace, off, or a filter such as \"info,adit_control=debug\"".to_owned())
        }
    }
}

/// With the port of the echo protocol (RFC 862) where none is named.
fn target(text: &str) -> Result<SocketAddr, String> {
    const ECHO: u16 = 7;
    let bare = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, ECHO));
    bare.or_else(|_| text.parse()).map_err(|_| "not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT".to_owned())
}

/// How our end of a cTCP connection behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Ours,
    Legacy,
}

impl ClientArgs {
    /// What only the other version of IKE knows is no option here, and what this one needs is there.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        let given = match self.ike {
            Version::V1 => [
                ("--ike-rekey", self.ike_rekey.is_some()),
                ("--transport tcp", self.transport.contains(&Transport::Tcp)),
            ]
            .to_vec(),
            Version::V2 => [
                ("--user", self.user.is_some()),
                ("--password-file", self.password_file.is_some()),
                ("--hybrid-ca", self.hybrid_ca.is_some()),
                ("--mode", self.mode.is_some()),
                ("--transport cisco-udp", self.transport.contains(&Transport::CiscoUdp)),
            ]
            .to_vec(),
        };
        if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(ClientError::OtherVersion { option, version: self.ike.number() });
        }
        if self.transport.contains(&Transport::CiscoUdp) && self.transport.len() > 1 {
            return Err(ClientError::CiscoUdpAlone);
        }
        if self.group.is_none() && self.id.is_none() {
            return Err(ClientError::NoIdentity);
        }
        if self.hybrid_ca.is_some() && self.server_id.is_none() {
            return Err(ClientError::NoServerId);
        }
        self.load()?;
        match (self.ike, &self.user) {
            (Version::V1, None) => Err(ClientError::NoUser),
            (Version::V1, Some(_)) | (Version::V2, _) => Ok(()),
        }
    }

    /// What is sent, if it is not an interface's to say.
    pub(super) fn load(&self) -> Result<Option<Load>, ClientError> {
        let LoadArgs { load_to, load_rate, load_size, load_seconds } = self.load;
        if self.inner == Inner::Tun {
            let given = [
                ("--load-to", load_to.is_some()),
                ("--load-rate", load_rate.is_some()),
                ("--load-size", load_size.is_some()),
                ("--load-seconds", load_seconds.is_some()),
            ];
            return match given.into_iter().find(|(_, given)| *given) {
                Some((option, _)) => Err(ClientError::NoLoad { option }),
                None => Ok(None),
            };
        }
        let of_interface = [("--tun", self.tun.is_some()), ("--route", !self.route.is_empty())];
        if let Some((option, _)) = of_interface.into_iter().find(|(_, given)| *given) {
            return Err(ClientError::NoInterface { option });
        }
        let to = load_to.ok_or(ClientError::NoTarget)?;
        let octets = load_size.unwrap_or(512);
        let len = usize::from(octets) + datagram::headers(to.ip());
        if len > usize::from(self.mtu) {
            return Err(ClientError::LoadSize { octets, len, mtu: self.mtu });
        }
        let rate = load_rate.and_then(NonZero::new).unwrap_or(const { NonZero::new(100).unwrap() });
        let packets = u64::from(rate.get()) * u64::from(load_seconds.unwrap_or(10));
        Ok(Some(Load { to, rate, octets, packets }))
    }

    /// Of the interface. Without one it is what `aditctl status` shows in its place.
    pub(super) fn tun(&self) -> &str {
        match self.inner {
            Inner::Tun => self.tun.as_deref().unwrap_or("adit-c0"),
            Inner::Load => "memory",
        }
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        if self.legacy { Behaviour::Legacy } else { Behaviour::Ours }
    }

    pub(super) fn server(&self) -> Result<&str, ClientError> {
        self.server.as_deref().ok_or(ClientError::NoServer)
    }

    pub(super) fn server_id(&self) -> &str {
        self.server_id.as_deref().unwrap_or("*")
    }

    /// In the order in which they are tried, each once.
    pub(super) fn ways(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        for transport in &self.transport {
            let these = match transport {
                Transport::Auto => &[Way::NatT, Way::Ctcp][..],
                Transport::Esp => &[Way::Esp],
                Transport::NatT => &[Way::NatT],
                Transport::CiscoUdp => &[Way::CiscoUdp],
                Transport::Ctcp => &[Way::Ctcp],
                Transport::Tcp => &[Way::Tcp],
            };
            for way in these {
                if !ways.contains(way) {
                    ways.push(*way);
                }
            }
        }
        ways
    }

    /// Of the headend's, where the first message goes that way.
    pub(super) fn first_port(&self, way: Way) -> u16 {
        match way {
            Way::Ctcp => self.port.unwrap_or(10_000),
            Way::Tcp if self.ways().contains(&Way::Ctcp) => 4500,
            Way::Tcp => self.port.unwrap_or(4500),
            Way::Esp | Way::NatT | Way::CiscoUdp
                if self.ways().iter().any(|way| matches!(way, Way::Ctcp | Way::Tcp)) =>
            {
                IKE_PORT
            }
            Way::Esp | Way::NatT | Way::CiscoUdp => self.port.unwrap_or(IKE_PORT),
        }
    }
}
