//! What the control API costs the packet path while many ask it: the real API by TCP and TLS, the engine of a simulated headend behind it,
//! a worker that forwards packets in memory beside it, and wrk, which nobody here wrote, in front.
//!
//! Quiet and loaded spells take turns, so that other load on the machine hits both alike. The worker is pinned to one core; everything else
//! is the kernel's to place, as in the daemon. What an IKE thread does is done here by the same engine, but without its commands: tunnels and
//! their flows are not asked about.

use crate::sim::{self, Crowded};
use crate::turn::{Forwarded, Forwarding, TurnError};
use adit_control::aaa::desk::DeskView;
use adit_control::aaa::window::{self, Work};
use adit_control::api::ask::{self, Question};
use adit_control::api::listen::{ApiSocket, SocketError};
use adit_control::api::reload;
use adit_control::api::routes::Sources;
use adit_control::api::views::{CertificateView, IkeView, StatusView};
use adit_control::capture;
use adit_control::config::{self, ConfigErrors};
use adit_control::ike::engine::Tally;
use adit_control::journal::{self, Board, Journal};
use adit_control::runtime::api_thread::{ApiThread, Doors};
use adit_dataplane::contract::WorkerCounters;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiLoadArgs {
    /// A configuration with `[api] listen`; only `[api]` and `[[operator]]` count
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Sessions behind the API
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Seconds of each spell, quiet or loaded
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Spells of either kind
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Core that the worker is pinned to
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// What puts the load on, and its arguments; its last line of output is a JSON object with `requests`, `errors` and `not_2xx`
    #[arg(last = true, required = true)]
    load: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
enum ApiLoadError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("the API's thread cannot start: {0}")]
    Api(#[from] io::Error),
    #[error("the API cannot be served at {0}: {1}")]
    Listen(std::net::SocketAddr, io::Error),
    #[error("{up} of {wanted} simulated clients logged in")]
    Missing { up: usize, wanted: u32 },
    #[error("what puts the load on failed: {0}")]
    Load(String),
    #[error("the worker failed: {0}")]
    Worker(#[from] TurnError),
    #[error("a thread of the measurement ended early")]
    Ended,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// What wrk's script says of a spell.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Asked {
    requests: u64,
    errors: u64,
    not_2xx: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    sessions: usize,
    spells: u32,
    seconds: u32,
    /// Packets in a second of the worker's turns, the median of the quiet spells. Making the packets is out of it.
    quiet_pps: f64,
    /// The same while the API was asked.
    loaded_pps: f64,
    /// The median of each loaded spell's rate, of the quiet one's before it.
    ratio: f64,
    requests: u64,
    /// Over the loaded spells, each as long as what puts the load on took.
    requests_per_second: f64,
    /// Connections that failed, requests without an answer.
    errors: u64,
    not_2xx: u64,
    /// Questions that the engine was asked.
    questions: u64,
    /// The longest that it took for one of them.
    longest_answer_ms: f64,
}

pub(crate) fn main(args: &ApiLoadArgs) -> ExitCode {
    match measure(args).and_then(|report| Ok(serde_json::to_string(&report)?)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("adit-bench api-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &ApiLoadArgs) -> Result<Report, ApiLoadError> {
    let cores = vec![args.core];
    let (config, _warnings) = config::load(&args.config, cores)?;
    let missing = |up| ApiLoadError::Missing { up, wanted: args.sessions };
    let crowded = sim::crowded(args.sessions as usize)?.ok_or_else(|| missing(0))?;
    let up = crowded.engine.tally().up;
    if up != args.sessions as usize {
        return Err(missing(up));
    }

    let (tell, told) = mpsc::channel();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Forwarded>>::default());
    let worker = {
        let (stop, sent, core) = (Arc::clone(&stop), Arc::clone(&sent), args.core);
        std::thread::spawn(move || forward(core, &tell, &stop, &sent))
    };
    let Ok(counters) = told.recv() else {
        worker.join().map_err(|_panicked| ApiLoadError::Ended)??;
        return Err(ApiLoadError::Ended);
    };

    let (asker, questions) = ask::channel();
    let (aaa, mut asked_of_aaa) = window::channel();
    let (_feed, arriving) = journal::feed(Duration::ZERO);
    let (board, keeping) = Board::new(Journal::new(64, 1), arriving);
    let (reloader, _nobody) = reload::requests();
    let workers = vec![(Some(args.core), counters)].into();
    let sources = Sources { asker, reloader, aaa, workers, captures: capture::channel().0, board };
    let socket = ApiSocket::bind(&config.api.socket)?;
    let doors = Doors::open(socket, &config.api).map_err(|(at, error)| ApiLoadError::Listen(at, error))?;
    let api = ApiThread::start(doors, sources, keeping)?;
    let desk = std::thread::spawn(move || {
        while let Some(work) = asked_of_aaa.blocking_recv() {
            if let Work::View(answer) = work {
                drop(answer.send(DeskView::default()));
            }
        }
    });
    let answering = std::thread::spawn(move || answer(&crowded, questions));

    let Spells { quiet, loaded, asked } = spells(args, &sent)?;
    drop(api);
    stop.store(true, Relaxed);
    worker.join().map_err(|_panicked| ApiLoadError::Ended)??;
    let (questions, longest) = answering.join().map_err(|_panicked| ApiLoadError::Ended)?;
    desk.join().map_err(|_panicked| ApiLoadError::Ended)?;
    let rates = |spells: &[Spell]| spells.iter().map(Spell::rate).collect::<Vec<_>>();
    let ratios = quiet.iter().zip(&loaded).map(|(quiet, loaded)| loaded.rate() / quiet.rate()).collect();
    let requests = asked.iter().map(|asked| asked.requests).sum();
    Ok(Report {
        sessions: up,
        spells: args.rounds,
        seconds: args.seconds,
        quiet_pps: median(rates(&quiet)),
        loaded_pps: median(rates(&loaded)),
        ratio: median(ratios),
        requests,
        requests_per_second: per_second(requests, &loaded),
        errors: asked.iter().map(|asked| asked.errors).sum(),
        not_2xx: asked.iter().map(|asked| asked.not_2xx).sum(),
        questions,
        longest_answer_ms: longest.as_secs_f64() * 1e3,
    })
}

/// What the worker did in a while.
#[derive(Debug, Clone, Copy)]
struct Spell {
    forwarded: Forwarded,
    /// How long the while was.
    took: Duration,
}

impl Spell {
    /// Packets in a second of the worker's turns.
    fn rate(&self) -> f64 {
        self.forwarded.packets as f64 / self.forwarded.time.as_secs_f64()
    }
}

/// So many requests in these spells.
fn per_second(requests: u64, loaded: &[Spell]) -> f64 {
    requests as f64 / loaded.iter().map(|spell| spell.took.as_secs_f64()).sum::<f64>()
}

/// The spells of either kind, and what was asked.
#[derive(Default)]
struct Spells {
    quiet: Vec<Spell>,
    loaded: Vec<Spell>,
    asked: Vec<Asked>,
}

#[expect(clippy::disallowed_methods, reason = "a tool that measures in real time")]
fn spells(args: &ApiLoadArgs, sent: &Mutex<Forwarded>) -> Result<Spells, ApiLoadError> {
    let clock = quanta::Clock::new();
    let Spells { mut quiet, mut loaded, mut asked } = Spells::default();
    let so_far = || *sent.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..args.rounds {
        let spell = |during: &mut dyn FnMut() -> Result<(), ApiLoadError>| {
            let (began, before) = (clock.now(), so_far());
            during()?;
            let Forwarded { packets, time } = so_far();
            let forwarded = Forwarded { packets: packets - before.packets, time: time.saturating_sub(before.time) };
            Ok::<_, ApiLoadError>(Spell { forwarded, took: clock.now().duration_since(began) })
        };
        quiet.push(spell(&mut || {
            std::thread::sleep(Duration::from_secs(args.seconds.into()));
            Ok(())
        })?);
        loaded.push(spell(&mut || {
            asked.push(put_load_on(&args.load)?);
            Ok(())
        })?);
    }
    Ok(Spells { quiet, loaded, asked })
}

fn put_load_on(load: &[String]) -> Result<Asked, ApiLoadError> {
    let failed = |what: &dyn std::fmt::Display| ApiLoadError::Load(format!("{}: {what}", load.join(" ")));
    let [program, arguments @ ..] = load else { return Err(failed(&"no command")) };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(failed(&format!("{}\n{text}", output.status)));
    }
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| failed(&format!("{error} in its last line: {last}")))
}

/// The worker's thread: packets, packets.
fn forward(
    core: usize,
    tell: &mpsc::Sender<Arc<WorkerCounters>>,
    stop: &AtomicBool,
    sent: &Mutex<Forwarded>,
) -> Result<(), TurnError> {
    let mut forwarding = Forwarding::new(core)?;
    if let Some(counters) = forwarding.counters() {
        // Who does not listen has given up.
        let _gone = tell.send(counters);
    }
    while !stop.load(Relaxed) {
        let Forwarded { packets, time } = forwarding.go_on()?;
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.packets += packets;
        sent.time += time;
    }
    Ok(())
}

/// What the IKE thread does with questions, until nobody can ask any more: how many there were, and the longest time that one took.
fn answer(crowded: &Crowded, questions: impl IntoIterator<Item = Question>) -> (u64, Duration) {
    let Crowded { engine, now } = crowded;
    let clock = quanta::Clock::new();
    let (mut count, mut longest) = (0, Duration::ZERO);
    for question in questions {
        let began = clock.now();
        match question {
            Question::Status(answer) => drop(answer.send(status(engine))),
            Question::Sessions(listing, query, answer) => {
                drop(answer.send(engine.some_sessions(*now, listing, &query)));
            }
            Question::Session(id, answer) => drop(answer.send(engine.session(*now, id))),
            Question::Sas(listing, query, answer) => drop(answer.send(engine.some_sas(*now, listing, query))),
            Question::Certificates(answer) => drop(answer.send(CertificateView::all(engine.config()))),
            Question::Pools(answer) => drop(answer.send(engine.pools())),
            Question::Leases(listing, answer) => drop(answer.send(engine.leases(listing))),
            Question::Ike(answer) => drop(answer.send(IkeView::new(engine.holdings(), engine.counters()))),
            // What would need workers, or change something: whoever asks hears that nobody is there.
            needs_more => drop(needs_more),
        }
        count += 1;
        longest = longest.max(clock.now().duration_since(began));
    }
    (count, longest)
}

fn status(engine: &adit_control::ike::engine::Engine) -> StatusView {
    let Tally { up, pending, half_open, sas } = engine.tally();
    StatusView {
        sessions: up,
        sessions_pending: pending,
        half_open,
        cookies_asked_of: engine.cookies_asked().to_string(),
        sas,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        identity: engine.config().identity.to_string(),
        up_seconds: 0,
        state: "simulated".to_owned(),
        workers: 1,
        listen: Vec::new(),
        tun: String::new(),
        mtu: 0,
        io: "memory".to_owned(),
        lacks: Vec::new(),
        commands_waiting: 0,
        draining: None,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_for_a_second_of_turns_and_requests_for_a_second_of_what_was_loaded() {
        let spell = |seconds| Spell {
            forwarded: Forwarded { packets: 3000, time: Duration::from_millis(2) },
            took: Duration::from_secs(seconds),
        };
        assert!((spell(3).rate() - 1.5e6).abs() < 1.0);
        assert!((per_second(60, &[spell(2), spell(4)]) - 10.0).abs() < 1e-9);
    }
}
