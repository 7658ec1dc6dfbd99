//! A client of our own, by IKEv1 as Cisco's are or by IKEv2: it logs in, makes an interface or a load of its own, carries packets
//! until it is told to leave, and logs out.
//!
//! All of it is the headend's machinery (engine, worker, doors) with one call in it, so what is learnt here holds there.

mod args;
mod config;
mod file;
mod load;
mod race;
mod routes;
mod secrets;
mod switch;
mod watch;

pub(crate) use args::ClientArgs;

use adit_control::config::ConfigErrors;
use adit_control::config::checked::{Log, LogFormat};
use adit_control::config::error::{SecretFileError, SecretTextError};
use adit_control::ike::identity::IdTextError;
use adit_control::pki::PemError;
use adit_control::runtime::daemon::{DaemonError, run_errand};
use adit_control::runtime::errand::{Errand, InnerSide};
use adit_control::runtime::privileges::keep_memory_private;
use load::Loader;
use race::Race;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use switch::Switch;
use watch::{Ended, Inside, Watcher};

/// Why there is no client. The text says what to do about it, and never shows a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("--server {server}: {source}")]
    Server { server: String, source: io::Error },
    #[error("--server {0}: it has no address")]
    NoAddress(String),
    #[error("no way leads to {server}: {source}; set a route first")]
    NoRoute { server: std::net::IpAddr, source: io::Error },
    #[error("{option} {}: {source}", .path.display())]
    Secret { option: &'static str, path: PathBuf, source: SecretFileError },
    #[error("{option} {}: {source}", .path.display())]
    File { option: &'static str, path: PathBuf, source: io::Error },
    #[error("--hybrid-ca {}: {source}", .path.display())]
    Authorities { path: PathBuf, source: PemError },
    #[error("asking for {what}: {source}; name a file instead")]
    Prompt { what: &'static str, source: io::Error },
    #[error("{what}: expected {source}")]
    Typed { what: &'static str, source: SecretTextError },
    #[error("the password: there is none")]
    NoPassword,
    #[error("{option}: {source}")]
    Identity { option: &'static str, source: IdTextError },
    #[error("{option}: IKEv{version} does not have it")]
    OtherVersion { option: &'static str, version: u8 },
    #[error("{0}")]
    CommandLine(#[from] clap::Error),
    #[error("--server: whom to call must be said")]
    NoServer,
    #[error("--group or --id: who calls must be said")]
    NoIdentity,
    #[error("--hybrid-ca: who the headend must be has to be said, by --server-id")]
    NoServerId,
    #[error("--transport cisco-udp: the headend has to announce it at a login of its own, so it is the only one")]
    CiscoUdpAlone,
    #[error("--user: IKEv1 needs one")]
    NoUser,
    #[error("{option}: it belongs to --inner load")]
    NoLoad { option: &'static str },
    #[error("{option}: --inner load makes no interface")]
    NoInterface { option: &'static str },
    #[error("--inner load: who echoes must be said, by --load-to ADDRESS[:PORT]")]
    NoTarget,
    #[error("--load-size {octets}: with headers {len} octets, more than --mtu {mtu}")]
    LoadSize { octets: u16, len: usize, mtu: u16 },
    #[error("--inner load: {0}")]
    Load(io::Error),
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("no free TCP port: {0}")]
    NoPort(io::Error),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
}

impl ClientError {
    /// Of a wrong command line, or a file that stands for one, it is clap's.
    fn code(&self) -> u8 {
        let command_line = matches!(
            self,
            Self::CommandLine(_)
                | Self::NoServer
                | Self::NoIdentity
                | Self::NoServerId
                | Self::NoUser
                | Self::CiscoUdpAlone
                | Self::OtherVersion { .. }
                | Self::NoLoad { .. }
                | Self::NoInterface { .. }
                | Self::NoTarget
                | Self::LoadSize { .. }
                | Self::Identity { .. }
                | Self::Config(_)
        );
        if command_line { 2 } else { 1 }
    }
}

/// Logs in and stays. The codes are in the help.
pub(crate) fn main(args: &ClientArgs) -> ExitCode {
    let outcome = match &args.config {
        // Behind the name of the program and of what it is to be.
        Some(file) => file::read(file, &std::env::args_os().skip(2).collect::<Vec<_>>()).and_then(|args| run(&args)),
        None => run(args),
    };
    match outcome {
        Ok(ended) => {
            if let Some(sentence) = ended.sentence() {
                eprintln!("adit-bench client: {sentence}");
            }
            ExitCode::from(ended.code())
        }
        Err(error) => {
            eprintln!("adit-bench client: {error}");
            ExitCode::from(error.code())
        }
    }
}

fn run(args: &ClientArgs) -> Result<Ended, ClientError> {
    args.check()?;
    config::check(args)?;
    // Before the first secret is read.
    let memory = keep_memory_private();
    adit_control::telemetry::start(&Log { level: args.log.clone(), format: LogFormat::Text });
    if let Err(error) = memory {
        eprintln!(
            "adit-bench client: core dumps cannot be switched off ({error}): a crash may write secrets to the disk"
        );
    }
    let secrets = secrets::read(args)?;
    let ends = config::ends(args)?;
    let config = config::config(args, &ends, &secrets)?;
    let calls = config::calls(args, &ends, secrets)?;
    let ctcp = calls.first().map(|call| call.v1.ctcp).unwrap_or_default();
    let (race, switch) = (Race::new(calls.clone(), args.next_after), Switch::new(calls, args.switch_after));
    let (inner, inside, loader) = match args.load()? {
        None => {
            let inside = Inside::Interface { tun: args.tun().to_owned(), routes: args.route.clone() };
            (InnerSide::Interface, inside, None)
        }
        Some(load) => {
            let (worker, remote, loader) = load::start(load).map_err(ClientError::Load)?;
            (InnerSide::Memory(worker), Inside::Load(remote), Some(loader))
        }
    };
    let (watcher, outcome) = Watcher::new(inside, race, switch);
    run_errand(config, Errand { ctcp, inner, drive: watcher.into_drive() })?;
    loader.map_or(Ok(()), Loader::join).map_err(ClientError::Load)?;
    Ok(outcome.ended())
}
