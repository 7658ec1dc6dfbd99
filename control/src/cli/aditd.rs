//! `aditd`: checks a configuration, or runs the daemon.

use crate::config;
use crate::runtime::{ConfigSource, daemon, first_start, host, privileges};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A VPN headend: IKEv2 and ESP in user space.
#[derive(Debug, Parser)]
#[command(name = "aditd", version, about, after_help = AFTER_HELP)]
struct Arguments {
    /// Run with this configuration; without it, with the built-in one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only check this configuration: exit status 0 if it is right, 2 if not
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    check: Option<PathBuf>,
    /// Where the built-in configuration keeps its pre-shared key and its state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/adit")]
    state_dir: PathBuf,
    /// Serve the control API here instead of where the configuration says
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

const AFTER_HELP: &str =
    "Exit status: 0 ended as asked, 1 could not run, 2 the configuration or the command line is wrong.
The environment variable ADIT_LOG sets what is logged, such as \"debug\".";

/// Runs the program.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.check {
        Some(file) => check(file),
        None => serve(&arguments),
    }
}

pub(super) fn check(file: &Path) -> ExitCode {
    match config::load(file, host::cores()) {
        Ok((_config, warnings)) => {
            for warning in warnings {
                println!("{warning}");
            }
            println!("{}: ok", file.display());
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::from(2)
        }
    }
}

fn serve(arguments: &Arguments) -> ExitCode {
    // Before a thread is pinned.
    let cores = host::cores();
    // Before the first key is read.
    let memory = privileges::keep_memory_private();
    let loaded = match &arguments.config {
        Some(file) => config::load(file, host::cores()),
        None => match first_start::prepare(&arguments.state_dir) {
            Ok(start) => {
                let mut loaded = config::read(config::BUILT_IN_NAME, config::BUILT_IN, &start.surroundings());
                if let Ok((config, _)) = &mut loaded {
                    config.state.directory = Some(arguments.state_dir.clone());
                }
                if let (Ok((config, _)), Some(key)) = (&loaded, start.new_key()) {
                    print!("{}", first_start::welcome(config, &start, key, host::own_address()));
                }
                loaded
            }
            Err(error) => {
                eprintln!("aditd: {error}");
                return ExitCode::FAILURE;
            }
        },
    };
    let (mut config, warnings) = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    if let Some(socket) = &arguments.socket {
        config.api.socket.clone_from(socket);
    }
    let log_level = crate::telemetry::start(&config.log);
    if let Err(error) = memory {
        tracing::warn!("core dumps cannot be switched off ({error}): a crash may write keys to the disk");
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let (file, socket) = (arguments.config.clone(), arguments.socket.clone());
    match daemon::run(config, ConfigSource { file, socket, cores }, log_level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
