//! `aditctl`: asks a running daemon.

use super::capture::{Capture, Captures};
use super::client::{self, AskError};
use super::ctcp::Ctcp;
use super::drain::Drain;
use super::flows::Flows;
use super::generated::{Completions, Man};
use super::login_test::{self, LoginTest};
use super::reload::{Check, Reload, ShowConfig};
use super::sessions::{self, Disconnect, Rekey, Sas, Sessions};
use super::top::Top;
use super::watch::Watch;
use super::why::Why;
use super::{hash_password, new_token, tables};
use clap::{CommandFactory, Parser, Subcommand};
use hyper::Method;
use serde::de::DeserializeOwned;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Shows what a running aditd does.
#[derive(Debug, Parser)]
#[command(name = "aditctl", version, about, after_help = AFTER_HELP)]
struct Arguments {
    /// The daemon's control socket
    #[arg(long, value_name = "PATH", global = true, default_value = "/run/adit/aditd.sock")]
    socket: PathBuf,
    /// Print the API's JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// The daemon as a whole
    Status,
    /// Who is logged in
    Sessions(Sessions),
    /// Child SAs (ESP)
    #[command(alias = "sas")]
    Sa(Sas),
    /// Pools of inner addresses, and how full they are
    Pools,
    /// Inner addresses that somebody has
    Leases,
    /// End sessions: their clients are told
    Disconnect(Disconnect),
    /// Replace the keys of sessions
    Rekey(Rekey),
    /// Let nobody new in, for maintenance
    Drain(Drain),
    /// What IKE holds right now, and what it refused to listen to
    Ike,
    /// cTCP connections: what they have shown, what is wrong with them and what helps
    Ctcp(Ctcp),
    /// A session's packets into a file that Wireshark reads, those that are dropped with the reason
    Capture(Capture),
    /// Captures that the daemon has
    Captures(Captures),
    /// Sessions and their flows, live, on the whole screen
    Top(Top),
    /// What happens, a line each, as it happens
    Watch(Watch),
    /// A session's story: how it came, what it loses and where, how it ended, what to do
    Why(Why),
    /// Flows inside tunnels: who talks to whom, how fast, round trips and repetitions
    Flows(Flows),
    /// Ways in which ESP comes: where each is listened for, who goes by it, moves and drops
    Transports,
    /// Worker threads and their packets
    Workers,
    /// Dropped packets, by reason
    Drops,
    /// RADIUS servers, and whom the daemon is asking about
    Aaa {
        #[command(subcommand)]
        what: Option<Aaa>,
    },
    /// Read the configuration again: all of it is applied, or nothing
    Reload(Reload),
    /// The configuration in force: every key, with its default where the file says nothing
    Config(ShowConfig),
    /// Check a configuration, without the daemon
    Check(Check),
    /// Make a password's hash for a [[user]] of the configuration
    HashPassword,
    /// Print completions for a shell
    Completions(Completions),
    /// Print or write man pages
    Man(Man),
    /// Make a token for an [[operator]] of the configuration
    NewToken,
}

#[derive(Debug, Clone, Subcommand)]
enum Aaa {
    /// Try a login with the configuration's users and servers, without the daemon
    Test(LoginTest),
}

const AFTER_HELP: &str =
    "Exit status: 0 ok, 1 the daemon says no, 2 wrong command line, 3 the daemon cannot be reached.";

/// Runs the program.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match answer(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("aditctl: {error}");
            match error {
                AskError::NotReachable { .. } | AskError::Strange { .. } => ExitCode::from(3),
                AskError::Refused(_) => ExitCode::from(1),
            }
        }
    }
}

fn answer(arguments: &Arguments) -> Result<ExitCode, AskError> {
    let width = tables::width();
    let text = match &arguments.what {
        What::Status => ask(arguments, "/v1/status", tables::status),
        What::Sessions(sessions) => sessions.run(&arguments.socket, arguments.json, width),
        What::Sa(sas) => sas.run(&arguments.socket, arguments.json, width),
        What::Pools => sessions::pools(&arguments.socket, arguments.json, width),
        What::Leases => sessions::leases(&arguments.socket, arguments.json, width),
        What::Disconnect(disconnect) => return disconnect.run(&arguments.socket, arguments.json),
        What::Rekey(rekey) => return rekey.run(&arguments.socket, arguments.json),
        What::Drain(drain) => drain.run(&arguments.socket, arguments.json),
        What::Ike => ask(arguments, "/v1/ike", |view| tables::ike(view, width)),
        What::Ctcp(ctcp) => ctcp.run(&arguments.socket, arguments.json, width),
        What::Capture(capture) => return capture.run(&arguments.socket, arguments.json),
        What::Captures(captures) => captures.run(&arguments.socket, arguments.json, width),
        What::Top(top) => return top.run(&arguments.socket, arguments.json),
        What::Watch(watch) => return watch.run(&arguments.socket, arguments.json),
        What::Why(why) => why.run(&arguments.socket, arguments.json),
        What::Flows(flows) => flows.run(&arguments.socket, arguments.json, width),
        What::Transports => ask(arguments, "/v1/transports", |views: &Vec<_>| tables::transports(views, width)),
        What::Workers => ask(arguments, "/v1/workers", |views: &Vec<_>| tables::workers(views, width)),
        What::Drops => ask(arguments, "/v1/drops", |views: &Vec<_>| tables::drops(views, width)),
        What::Aaa { what: None } => ask(arguments, "/v1/aaa", |view| tables::aaa(view, width)),
        What::Aaa { what: Some(Aaa::Test(test)) } => return Ok(login_test::run(test)),
        What::Reload(reload) => return reload.run(&arguments.socket, arguments.json),
        What::Config(config) => config.run(&arguments.socket, arguments.json),
        What::Check(check) => return Ok(check.run()),
        What::HashPassword => return Ok(hash_password::run()),
        What::Completions(completions) => return Ok(completions.run(Arguments::command())),
        What::Man(man) => return Ok(man.run(Arguments::command())),
        What::NewToken => return Ok(new_token::run()),
    };
    Ok(print(&text?))
}

pub(super) fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough (`aditctl … | head`).
        Err(_closed) => ExitCode::FAILURE,
    }
}

fn ask<V: DeserializeOwned>(
    arguments: &Arguments,
    path: &'static str,
    show: impl FnOnce(&V) -> String,
) -> Result<String, AskError> {
    let body = client::ask(&arguments.socket, Method::GET, path)?;
    let strange = |detail: String| AskError::Strange { socket: arguments.socket.clone(), detail };
    if arguments.json {
        return String::from_utf8(body).map(|text| text + "\n").map_err(|error| strange(error.to_string()));
    }
    serde_json::from_slice(&body).map(|view| show(&view)).map_err(|error| strange(error.to_string()))
}
