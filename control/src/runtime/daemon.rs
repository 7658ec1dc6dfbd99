//! The composition root: privileges, doors, workers, IKE thread, API; and the way back out.

use super::aaa_thread::AaaThread;
use super::api_thread::{ApiThread, Doors};
use super::capture_thread::CaptureThread;
use super::dataplane::{self, StartError, Started};
use super::errand::{Drive, Errand, InnerSide};
use super::ike_thread::IkeThread;
use super::lookout::{Certificate, Lookout};
use super::outbox::{Outbox, WorkerGone};
use super::reload_thread::{self, ConfigSource};
use super::signals::{self, Wish};
use super::state::{self, Keeping};
use super::{clock, host, privileges};
use crate::api::ask;
use crate::api::listen::{ApiSocket, SocketError};
use crate::api::routes::Sources;
use crate::api::views::StatusView;
use crate::config::checked::{Config, Listen, NativeEsp};
use crate::ctcp::Survey;
use crate::disk::Disk;
use crate::flows::Walks;
use crate::ike::engine::Engine;
use crate::journal::{self, Board, Journal};
use crate::telemetry::LogLevel;
use adit_crypto::random::OsRandom;
use adit_dataplane::time::Instant;
use crossbeam_channel::Receiver;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a worker that was told to stop may take to empty its queues.
const JOIN_WITHIN: Duration = Duration::from_secs(2);
/// How long the disk may take what is left to write.
const DISK_WITHIN: Duration = Duration::from_millis(1500);
/// How often a worker's thread is looked at meanwhile.
const JOIN_STEP: Duration = Duration::from_millis(5);

/// Where captures lie, in the directory of what outlives the process.
const CAPTURES: &str = "captures";

/// Why the daemon does not run, or no longer. The text says what the operator can do.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Doors or workers.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The control socket.
    #[error("control API: {0}")]
    Socket(#[from] SocketError),
    /// A TCP port of the control API's.
    #[error("control API: {at}: {source}; is another program listening there?")]
    ApiPort {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Something of the system's.
    #[error("{what}: {source}")]
    System {
        /// At what.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A worker ended by itself.
    #[error(transparent)]
    WorkerGone(#[from] WorkerGone),
    /// A worker ended with an error.
    #[error("worker {worker}: {source}")]
    Worker {
        /// Which.
        worker: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// A worker panicked, or does not end.
    #[error("worker {0} did not end as it should")]
    WorkerLost(usize),
}

/// Runs the daemon until it is told to leave.
///
/// # Errors
/// See [`DaemonError`].
pub fn run(config: Config, source: ConfigSource, log_level: LogLevel) -> Result<(), DaemonError> {
    open_and_serve(config, Reloading { source: Some(source), log_level }, None)
}

/// What a reload needs.
pub(super) struct Reloading {
    /// A client has none.
    pub(super) source: Option<ConfigSource>,
    pub(super) log_level: LogLevel,
}

/// Runs the daemon as a client: it logs in, and ends when it is told to leave or when who looks on says so.
///
/// # Errors
/// See [`DaemonError`]. A login that fails is none: who looks on has seen it.
pub fn run_errand(config: Config, errand: Errand) -> Result<(), DaemonError> {
    open_and_serve(config, Reloading { source: None, log_level: LogLevel::default() }, Some(errand))
}

fn open_and_serve(config: Config, reloading: Reloading, errand: Option<Errand>) -> Result<(), DaemonError> {
    let system = |what| move |source| DaemonError::System { what, source };
    let (inner, errand) = match errand {
        Some(Errand { ctcp, inner, drive }) => (inner, Some((ctcp, drive))),
        None => (InnerSide::Interface, None),
    };
    for lack in privileges::lacking(&config.listen, &inner) {
        tracing::warn!("this process lacks {lack}; run aditd as root, or by its systemd unit");
    }
    // Signals first: from here on every way out is an orderly one.
    let wishes = signals::listen().map_err(system("listening for signals"))?;
    // The socket before the doors: a second daemon is told so, before it finds the ports in use.
    let socket = ApiSocket::bind(&config.api.socket)?;
    let (dials, drive) = errand.unzip();
    let started = dataplane::start(&config, dials, inner, &mut OsRandom)?;
    serve(config, reloading, started, socket, wishes, drive)
}

/// Runs the control plane over a dataplane at work, whoever made it.
pub(super) fn serve(
    config: Config,
    reloading: Reloading,
    started: Started,
    socket: ApiSocket,
    wishes: Receiver<Wish>,
    errand: Option<Drive>,
) -> Result<(), DaemonError> {
    let system = |what| move |source| DaemonError::System { what, source };
    let doors = Doors::open(socket, &config.api).map_err(|(at, source)| DaemonError::ApiPort { at, source })?;
    let Started { dataplane, threads, io, lacks } = started;
    say_what_is_missing(&config, &lacks);
    let facts = facts(&config, dataplane.workers.len(), io.clone(), lacks);
    let (asker, questions) = ask::channel();
    let cores = config.workers.cores.iter().copied();
    let counters = dataplane.workers.iter().map(|worker| Arc::clone(&worker.counters));
    let workers = cores.zip(counters).collect();
    let flows = config.flows;
    let config = Arc::new(config);
    let (disk, disk_thread) = Disk::start().map_err(system("starting the disk's thread"))?;
    let folder = state::open(config.state.directory.as_deref());
    let shelf = state::shelf(&disk, &folder);
    let aaa = AaaThread::start(Arc::clone(&config), shelf).map_err(system("starting the AAA thread"))?;
    let unix_at_zero = clock::unix_at_zero();
    let (feed, arriving) = journal::feed(unix_at_zero);
    let life = (unix_at_zero + clock::now().since(Instant::ZERO)).as_secs();
    let (board, keeping) = Board::new(Journal::new(config.events.keep, life), arriving);
    let lookout = Lookout::new(unix_at_zero, Certificate::all(&config));
    let Reloading { source, log_level } = reloading;
    let reloader = reload_thread::start(source, Arc::clone(&config), asker.clone(), doors.gate.clone());
    let reloader = reloader.map_err(system("starting the reload thread"))?;
    let kept = folder.as_ref().and_then(|folder| folder.as_ref().ok()).map(|folder| folder.file(CAPTURES));
    let captures = CaptureThread::start(kept, disk.clone(), &dataplane.workers, asker.clone());
    let captures = captures.map_err(system("starting the capture thread"))?;
    let (window, clerk) = (aaa.window().clone(), captures.clerk().clone());
    let sources = Sources { asker, reloader: reloader.clone(), aaa: window, workers, captures: clerk, board };
    let mut engine =
        Engine::new(Arc::clone(&config), dataplane.workers.len(), dataplane.spi_layout, Box::new(OsRandom));
    if errand.is_some() {
        engine.only_call();
    }
    engine.set_time_of_day(unix_at_zero);
    let on_disk = Keeping::begin(disk, &mut engine, &folder, unix_at_zero);
    let (answers, window) = (aaa.answers().clone(), aaa.window().clone());
    let outbox = Outbox::new(dataplane.workers.len());
    let workers = u8::try_from(dataplane.workers.len()).unwrap_or(u8::MAX);
    let (survey, walks) = (Survey::new(workers), Walks::new(workers));
    let started = clock::now();
    let ike = IkeThread {
        engine,
        dataplane,
        questions,
        aaa: window,
        aaa_room: None,
        reloader,
        log_level,
        answers,
        wishes,
        facts,
        outbox,
        feed,
        lookout,
        survey,
        flows,
        walks,
        started,
        threads,
        on_disk,
        drain: None,
        leaving: None,
        errand,
    };

    let api = ApiThread::start(doors, sources, keeping).map_err(system("starting the API's thread"))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), io, identity = %config.identity, workers = config.workers.cores.len(),
        socket = %config.api.socket.display(), "serving");
    let thread = std::thread::Builder::new().name("ike".to_owned()).spawn(move || ike.run());
    let ended = thread.map_err(system("starting the IKE thread"))?.join();
    drop(api);
    // After the workers' last packets.
    drop(captures);
    // After the IKE thread: its last records are written first.
    drop(aaa);
    disk_thread.end(DISK_WITHIN);
    // Nobody else writes there before.
    drop(folder);
    match ended {
        Ok((threads, ended)) => {
            // A worker's own words say more than that it is gone.
            join(threads)?;
            ended?;
            tracing::info!("ended");
            Ok(())
        }
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn facts(config: &Config, workers: usize, io: String, lacks: Vec<String>) -> StatusView {
    let Listen { addresses, ike_port, natt_port, cisco_udp_port, native_esp, ctcp_ports, tcp_port, .. } =
        &config.listen;
    let ports = [Some(*ike_port), Some(*natt_port), *cisco_udp_port].into_iter().flatten();
    let native = match native_esp {
        NativeEsp::Carried => Some("native ESP".to_owned()),
        NativeEsp::Refused => None,
    };
    let listen = addresses.iter();
    let listen = listen.flat_map(|address| ports.clone().map(|port| SocketAddr::new(*address, port).to_string()));
    let ctcp = ctcp_ports.iter().map(|port| format!("cTCP on TCP {port}"));
    let tcp = tcp_port.iter().map(|port| format!("RFC 9329 on TCP {port}"));
    let listen = listen.chain(native).chain(ctcp).chain(tcp);
    StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        identity: config.identity.to_string(),
        up_seconds: 0,
        state: String::new(),
        draining: None,
        sessions: 0,
        sessions_pending: 0,
        half_open: 0,
        cookies_asked_of: String::new(),
        sas: 0,
        workers,
        listen: listen.collect(),
        tun: config.tun.name.clone(),
        mtu: config.tun.mtu,
        io,
        lacks,
        commands_waiting: 0,
    }
}

fn say_what_is_missing(config: &Config, lacks: &[String]) {
    for lack in lacks {
        tracing::warn!("{lack}");
    }
    let families = [
        ("net.ipv4.ip_forward", config.pools.iter().any(|pool| pool.v4.is_some())),
        ("net.ipv6.conf.all.forwarding", config.pools.iter().any(|pool| pool.v6.is_some())),
    ];
    for off in host::not_forwarding() {
        if families.contains(&(off.switch, true)) {
            let switch = off.switch;
            tracing::warn!(
                "{switch} is 0: clients reach this host and each other, but not the networks behind it \
                 (`sysctl -w {switch}=1` changes that)"
            );
        }
    }
}

/// Waits for the workers to end, [`JOIN_WITHIN`] at most.
fn join(threads: Vec<JoinHandle<io::Result<()>>>) -> Result<(), DaemonError> {
    let patience_ends = clock::now() + JOIN_WITHIN;
    let mut result = Ok(());
    for (worker, thread) in threads.into_iter().enumerate() {
        while !thread.is_finished() && clock::now() < patience_ends {
            #[expect(
                clippy::disallowed_methods,
                reason = "the runtime may wait; the standard library joins without a limit"
            )]
            std::thread::sleep(JOIN_STEP);
        }
        let ended = if thread.is_finished() { thread.join().ok() } else { None };
        let outcome = match ended {
            Some(Ok(())) => Ok(()),
            Some(Err(source)) => Err(DaemonError::Worker { worker, source }),
            None => Err(DaemonError::WorkerLost(worker)),
        };
        result = result.and(outcome);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, read};
    use adit_dataplane::contract::{
        ClusterSlot, Command, Dataplane, Event, IkeDatagram, IkeFraming, Retired, Routes, SpiLayout, TunnelKey, Wake,
        WorkerCounters, WorkerHandle, WorkerId,
    };
    use arc_swap::ArcSwap;
    use crossbeam_channel::{Sender, TrySendError, bounded};
    use std::collections::VecDeque;
    use std::path::Path;

    struct Silent;

    impl Wake for Silent {
        fn wake(&self) {}
    }

    type Life = fn(u8, &Receiver<Command>, Sender<(WorkerId, Event)>) -> io::Result<()>;

    /// A dataplane of two threads without doors.
    fn dataplane(lives: [Life; 2]) -> (Started, Sender<(WorkerId, Event)>) {
        let (report, events) = bounded(256);
        let random = &mut OsRandom;
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for (worker, life) in (0..).zip(lives) {
            let (commands, taken) = bounded(256);
            let report = report.clone();
            workers.push(WorkerHandle {
                commands,
                waker: Arc::new(Silent),
                counters: Arc::new(WorkerCounters::default()),
            });
            threads.push(std::thread::spawn(move || life(worker, &taken, report)));
        }
        let spi_layout = SpiLayout::new(ClusterSlot(0), random);
        let routes = Arc::new(ArcSwap::from_pointee(Routes::new(random)));
        let dataplane = Dataplane { workers, events, routes, spi_layout };
        (Started { dataplane, threads, io: "nothing".to_owned(), lacks: vec!["everything".to_owned()] }, report)
    }

    fn until_stop(_: u8, commands: &Receiver<Command>, report: Sender<(WorkerId, Event)>) -> io::Result<()> {
        drop(report);
        let stopped = commands.iter().any(|command| matches!(command, Command::Stop));
        assert!(stopped, "it is told to stop");
        Ok(())
    }

    fn text(socket: &Path) -> String {
        format!(
            "[node]\nidentity = \"headend.rig\"\n[workers]\ncount = 2\n[api]\nsocket = {socket:?}\n\
             [[pool]]\nname = \"a\"\naddresses = [\"10.30.0.0/16\"]\n\
             [[connection]]\nname = \"c\"\nremote_ids = [\"*\"]\npsk = \"a key that is long enough\"\n\
             pools = [\"a\"]\nnetworks = [\"0.0.0.0/0\"]\n"
        )
    }

    fn config(socket: &Path) -> Config {
        let text = text(socket);
        read("test", &text, &Surroundings { folder: "/".into(), cores: vec![0, 1] }).unwrap().0
    }

    fn nothing_to_read() -> Reloading {
        Reloading { source: None, log_level: LogLevel::default() }
    }

    fn ask(socket: &Path) -> String {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_daemon_serves_until_it_is_told_to_leave_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        let config = config(&path);
        let socket = ApiSocket::bind(&path).unwrap();
        let (started, _events) = dataplane([until_stop; 2]);
        let (wish, wishes) = bounded(4);
        let daemon = std::thread::spawn(move || serve(config, nothing_to_read(), started, socket, wishes, None));
        let answer = ask(&path);
        for part in ["200 OK", "\"identity\":\"headend.rig\"", "\"state\":\"serving\"", "\"lacks\":[\"everything\"]"] {
            assert!(answer.contains(part), "{part} in {answer}");
        }
        wish.send(Wish::Reload).unwrap();
        wish.send(Wish::Leave).unwrap();
        daemon.join().unwrap().unwrap();
        assert!(!path.exists());
    }

    /// Status and body of the answer.
    fn asked(method: &str, socket: &Path, path: &str) -> (String, serde_json::Value) {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), serde_json::from_str(body).unwrap())
    }

    #[test]
    fn a_file_is_planned_applied_or_refused_and_what_is_refused_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = (folder.path().join("aditd.sock"), folder.path().join("aditd.toml"));
        let first = text(&path);
        let source = ConfigSource { file: Some(file.clone()), socket: None, cores: vec![0, 1] };
        let reloading = Reloading { source: Some(source), log_level: LogLevel::default() };
        let socket = ApiSocket::bind(&path).unwrap();
        let (started, _events) = dataplane([until_stop; 2]);
        let (wish, wishes) = bounded(4);
        let config = config(&path);
        let daemon = std::thread::spawn(move || serve(config, reloading, started, socket, wishes, None));
        let (dry, wet) = ("/v1/reload?dry_run=true", "/v1/reload");
        let otherwise = |from: &str, to: &str| first.replace(from, to);
        let burst = otherwise("count = 2", "count = 2\nburst = 32");
        let mtu = format!("{burst}[tun]\nmtu = 1300\n");
        for (text, path_, status, outcome, said) in [
            (&first, wet, "200", "nothing-to-do", "the file says what is in force"),
            (&burst, dry, "200", "planned", "64 → 32"),
            (&otherwise("count", "cuont"), wet, "422", "invalid", "\"line\":4"),
            (&mtu, dry, "409", "needs-restart", "[tun]"),
            (&mtu, wet, "409", "needs-restart", "1 of 2 changes need a restart"),
            (&first, dry, "200", "nothing-to-do", ""),
            (&burst, wet, "200", "applied", "1 change, no session ended"),
            (&burst, wet, "200", "nothing-to-do", ""),
        ] {
            std::fs::write(&file, text).unwrap();
            let (code, view) = asked("POST", &path, path_);
            let shown = view.to_string();
            assert_eq!((code.as_str(), view["outcome"].as_str()), (status, Some(outcome)), "{shown}");
            let parts = said.split(" → ");
            assert!(parts.into_iter().all(|part| shown.contains(part)), "{said} in {shown}");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(asked("POST", &path, wet).1["outcome"], "invalid", "a file that is gone");
        let (_, shown) = asked("GET", &path, "/v1/config");
        assert_eq!(shown["file"], file.display().to_string());
        let settings = shown["settings"].as_array().unwrap();
        let is = |key: &str, value: serde_json::Value| {
            settings.iter().any(|setting| setting["key"] == key && setting["value"] == value)
        };
        assert!(is("burst", "32".into()) && is("psk", serde_json::Value::Null), "what is in force: {shown}");
        wish.send(Wish::Leave).unwrap();
        daemon.join().unwrap().unwrap();
    }

    #[test]
    fn a_worker_that_ends_by_itself_ends_the_daemon_with_the_workers_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        let socket = ApiSocket::bind(&path).unwrap();
        let (started, _events) = dataplane([until_stop, |_, _, _| Err(io::Error::other("the interface was removed"))]);
        let (_wish, wishes) = bounded(4);
        let ended = serve(config(&path), nothing_to_read(), started, socket, wishes, None);
        assert_eq!(ended.unwrap_err().to_string(), "worker 1: the interface was removed");
        assert!(!path.exists());
    }

    /// Connections of worker 1: more than may wait in the outbox.
    const CONNECTIONS: u64 = 5000;

    /// As a worker does it: what could not be told comes first, and before it is told nothing is obeyed. Of each
    /// connection that is to end three pieces of state come home, and an IKE message that waits for nobody.
    fn eventful(worker: u8, commands: &Receiver<Command>, report: Sender<(WorkerId, Event)>) -> io::Result<()> {
        let id = WorkerId(worker);
        let mut held = VecDeque::new();
        let mut ended = 0;
        loop {
            while let Some(event) = held.pop_front() {
                if let Err(TrySendError::Full((_, event))) = report.try_send((id, event)) {
                    held.push_front(event);
                    break;
                }
            }
            if !held.is_empty() {
                std::thread::yield_now();
                continue;
            }
            match commands.recv() {
                Ok(Command::TellFlows(mut page)) => {
                    page.flows = (0..CONNECTIONS * u64::from(worker)).map(|n| crate::ctcp::flow(worker, n)).collect();
                    held.push_back(Event::Flows(page));
                }
                Ok(Command::ClearConnection { path, .. }) => {
                    ended += 1;
                    let tunnel = TunnelKey { worker: id, slot: 9 };
                    held.extend((0..3).map(|_| Event::Retired(Retired::Tunnel { tunnel })));
                    let message = IkeDatagram { path, framing: IkeFraming::Ctcp, bytes: vec![7; 28] };
                    let _full = report.try_send((id, Event::Ike(message)));
                }
                Ok(Command::Stop) => break,
                Ok(_) => {}
                Err(_) => panic!("it is told to stop"),
            }
        }
        drop(report);
        assert_eq!(ended, CONNECTIONS * u64::from(worker), "every command came");
        Ok(())
    }

    #[test]
    fn more_commands_than_may_wait_are_obeyed_though_each_brings_more_state_home_than_it_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        let config = config(&path);
        let socket = ApiSocket::bind(&path).unwrap();
        let (started, events) = dataplane([eventful; 2]);
        drop(events);
        let (wish, wishes) = bounded(4);
        let daemon = std::thread::spawn(move || serve(config, nothing_to_read(), started, socket, wishes, None));
        let (status, cleared) = asked("DELETE", &path, "/v1/ctcp/all");
        assert_eq!((status.as_str(), &cleared["cleared"]), ("200", &CONNECTIONS.into()));
        let waiting = || asked("GET", &path, "/v1/status").1["commands_waiting"].as_u64().unwrap();
        assert!((0..20_000).any(|_| waiting() == 0), "the worker takes commands again: {} wait", waiting());
        let (_, drops) = asked("GET", &path, "/v1/drops");
        let busy = drops.as_array().unwrap().iter().find(|drop| drop["name"] == "control_busy").unwrap();
        assert!(busy["total"].as_u64().unwrap() > 0, "IKE is turned away meanwhile, and counted: {busy}");
        // Some commands have not been obeyed yet.
        wish.send(Wish::Leave).unwrap();
        daemon.join().unwrap().unwrap();
    }

    #[test]
    fn a_dataplane_that_is_gone_as_a_whole_ends_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aditd.sock");
        let socket = ApiSocket::bind(&path).unwrap();
        let (started, events) = dataplane([until_stop; 2]);
        drop(events);
        let (_wish, wishes) = bounded(4);
        let ended = serve(config(&path), nothing_to_read(), started, socket, wishes, None);
        assert!(matches!(ended, Err(DaemonError::WorkerGone(_))), "{ended:?}");
    }
}
