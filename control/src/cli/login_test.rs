//! `aditctl aaa test`: one login as the daemon would ask for it, with the configuration's users and servers, and without
//! the daemon.

use super::password;
use super::units;
use crate::aaa::{
    Account, AccountId, Answer, Caller, ChallengeState, Moment, Profile, Proof, Question, QuestionId, Record,
    Terminated, Usage, UserName, Verdict,
};
use crate::config;
use crate::config::checked::Config;
use crate::runtime::aaa_thread::AaaThread;
use crate::runtime::host;
use crate::session::SessionId;
use adit_crypto::random::OsRandom;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Longer than AAA's own patience.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rounds of a login with challenges.
const ROUNDS: u64 = 10;

#[derive(Debug, Clone, Args)]
pub(super) struct LoginTest {
    /// The user's name; the password is asked for, or is the first line of standard input
    user: String,
    /// With the users and servers of this configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/adit/aditd.toml")]
    config: PathBuf,
    /// As a client of this connection; without it, of the first that has users
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Once let in, keep books: a start, an interim and a stop
    #[arg(long)]
    account: bool,
    /// As if the client called from here
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "192.0.2.1:4500")]
    peer: SocketAddr,
}

/// What cannot even be tried, with the exit status.
struct CannotTry(String, u8);

/// Exit status: 0 let in, 1 not let in, 2 wrong configuration, 3 nobody could say.
pub(super) fn run(test: &LoginTest) -> ExitCode {
    match attempt(test) {
        Ok(code) => code,
        Err(CannotTry(why, code)) => {
            eprintln!("aditctl: {why}");
            ExitCode::from(code)
        }
    }
}

fn attempt(test: &LoginTest) -> Result<ExitCode, CannotTry> {
    let wrong = |why: String| CannotTry(why, 2);
    let user = UserName::new(test.user.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let (config, _warnings) = config::load(&test.config, host::cores()).map_err(|errors| wrong(errors.to_string()))?;
    let config = Arc::new(config);
    let connection = connection(&config, test.connection.as_deref()).map_err(wrong)?;
    let local =
        config.listen.addresses.first().map_or(test.peer, |address| SocketAddr::new(*address, config.listen.natt_port));
    let caller = Caller { peer: test.peer, local, group: "aditctl".to_owned() };
    let system = |error: std::io::Error| CannotTry(error.to_string(), 3);
    let aaa = AaaThread::start(Arc::clone(&config), None).map_err(system)?;
    let mut state: Option<ChallengeState> = None;
    let mut prompt = format!("Password of {user}: ");
    for round in 0..ROUNDS {
        let proof = Proof::Password(password::read(&prompt).map_err(system)?);
        let question = Question {
            id: QuestionId(round),
            session: SessionId(0),
            connection,
            user: user.clone(),
            proof,
            state: state.take(),
            caller: caller.clone(),
        };
        match verdict(&aaa, question) {
            Verdict::Accept(profile) => {
                print!("{}", welcome(&config, &profile));
                return Ok(if test.account {
                    books(&aaa, connection, profile.call(user), caller, &profile)
                } else {
                    ExitCode::SUCCESS
                });
            }
            Verdict::Reject(rejection) => {
                println!("reject: {}", rejection.why.sentence());
                if let Some(message) = rejection.message {
                    println!("message: {message}");
                }
                return Ok(ExitCode::FAILURE);
            }
            Verdict::Challenge(challenge) => {
                let message = challenge.message.unwrap_or_default();
                println!("challenge: {message}");
                prompt = "Answer: ".to_owned();
                state = Some(challenge.state);
            }
            Verdict::Unavailable => {
                println!("unavailable: no server answered");
                return Ok(ExitCode::from(3));
            }
        }
    }
    println!("reject: the server asks without end");
    Ok(ExitCode::FAILURE)
}

fn verdict(aaa: &AaaThread, question: Question) -> Verdict {
    match aaa.window().ask(question) {
        Some(Answer { verdict, .. }) => verdict,
        None => aaa.answers().recv_timeout(PATIENCE).map_or(Verdict::Unavailable, |answer| answer.verdict),
    }
}

/// The index of the connection named, or of the first that has users.
fn connection(config: &Config, named: Option<&str>) -> Result<usize, String> {
    let mut connections = config.connections.iter().enumerate();
    let has_users =
        |connection: &config::checked::Connection| connection.v1().is_some_and(|v1| v1.auth.xauth().is_some());
    let found = match named {
        Some(name) => connections.find(|(_, connection)| connection.name == name),
        None => connections.find(|(_, connection)| has_users(connection)),
    };
    match (found, named) {
        (Some((index, connection)), _) if has_users(connection) => Ok(index),
        (Some(_), Some(name)) => Err(format!("no users log in by connection \"{name}\"")),
        (None, Some(name)) => Err(format!("there is no connection \"{name}\"")),
        (_, None) => Err("no connection has users".to_owned()),
    }
}

fn welcome(config: &Config, profile: &Profile) -> String {
    let source = match profile.source {
        crate::aaa::Source::Local => "local user".to_owned(),
        crate::aaa::Source::Radius(server) => {
            let server = config.radius.get(server).map(|server| server.auth().to_string());
            format!("RADIUS server {}", server.unwrap_or_default())
        }
    };
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let class: Vec<String> = profile.class.iter().map(|class| String::from_utf8_lossy(class).into_owned()).collect();
    let lines = [
        ("name", profile.name.as_ref().map(UserName::to_string)),
        ("address", profile.address.map(|address| address.to_string())),
        ("netmask", profile.netmask.map(|netmask| netmask.to_string())),
        ("class", Some(class.join(", ")).filter(|text| !text.is_empty())),
        ("filter", profile.filter.clone()),
        ("session timeout", profile.limits.session.map(seconds)),
        ("idle timeout", profile.limits.idle.map(seconds)),
        ("rate up", profile.bandwidth.up.map(|bits| units::bits(bits.get().into()))),
        ("rate down", profile.bandwidth.down.map(|bits| units::bits(bits.get().into()))),
        ("logins at a time", profile.max_logins.map(|most| most.to_string())),
        ("interim records", profile.interim.map(|time| format!("every {}", seconds(time)))),
        ("message", profile.message.clone()),
    ];
    let lines = lines.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}\n", value?.escape_debug())));
    format!("accept: {source}\n{}", lines.collect::<String>())
}

/// A session of no length.
fn books(aaa: &AaaThread, connection: usize, user: UserName, caller: Caller, profile: &Profile) -> ExitCode {
    let account = Arc::new(Account {
        id: AccountId::new(&mut OsRandom),
        session: SessionId(0),
        connection,
        user,
        authentic: profile.source.into(),
        caller,
        addresses: profile.address.into_iter().map(Into::into).collect(),
        class: profile.class.clone(),
    });
    let usage =
        Usage { time: Duration::from_secs(1), octets_in: 1000, octets_out: 2000, packets_in: 10, packets_out: 20 };
    let stop = Moment::Stop(usage, Terminated::UserRequest);
    let mut written = 0;
    for (name, moment) in [("start", Moment::Start), ("interim", Moment::Interim(usage)), ("stop", stop)] {
        aaa.window().write(Record { account: Arc::clone(&account), moment });
        match wait_for_record(aaa, written) {
            Some(now) => {
                written = now;
                println!("accounting: {name} of session {} is written", account.id);
            }
            None => {
                println!("accounting: {name} is not written: no server answered");
                return ExitCode::from(3);
            }
        }
    }
    ExitCode::SUCCESS
}

/// How many records are written, once there are more than `before`.
fn wait_for_record(aaa: &AaaThread, before: u64) -> Option<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let view = aaa.window().view().await.ok()?;
                if view.records_written > before {
                    return Some(view.records_written);
                }
                if view.accounts == 0 {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .ok()?
    })
}
