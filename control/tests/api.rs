//! The control API over a real Unix socket, with a stand-in for the IKE thread, asked by the real `aditctl`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::api::ask::{self, DrainOrder, Obeyed, Question};
use adit_control::api::listen::ApiSocket;
use adit_control::api::reload;
use adit_control::api::routes::Sources;
use adit_control::api::transports::TransportUse;
use adit_control::api::views::{CertificateView, DrainView, IkeView, StatusView};
use adit_control::capture;
use adit_control::ctcp::{ClearView, ConnectionView, FlowView, StreamView};
use adit_control::ike::counters::EngineCounters;
use adit_control::ike::engine::Holdings;
use adit_control::journal::{self, Board, Feed, Journal};
use adit_control::lease::{LeasePage, LeaseView, PoolView, RangeView};
use adit_control::runtime::api_thread::{ApiThread, Doors};
use adit_control::runtime::clock;
use adit_control::session::{
    Health, Listed, Listing, PolicyView, SaView, SessionId, SessionQuery, SessionState, SessionView, TransportLoad,
};
use adit_dataplane::contract::{
    Amount, Diagnosis, DownEvidence, DropReason, Evidence, Finding, FlowId, FlowReport, Leg, Loss, Path as OuterPath,
    PathClass, PeerClass, Percent, Stall, Stalling, StreamEvidence, StreamReport, StreamState, SynOptions, Transport,
    TunnelKey, UpEvidence, WorkerCounters, WorkerId,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

struct Daemon {
    _api: ApiThread,
    _feed: Feed,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn socket(&self) -> PathBuf {
        self.folder.path().join("aditd.sock")
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        ctl(&self.socket(), arguments)
    }
}

fn ctl(socket: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_aditctl");
    Command::new(program).env("COLUMNS", "80").arg("--socket").arg(socket).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Serves with an IKE thread that treats each question as `answer` does.
fn daemon(answer: impl Fn(Question) + Send + 'static) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let (asker, questions) = ask::channel();
    std::thread::spawn(move || questions.iter().for_each(answer));
    let workers: Vec<_> = [Some(0), None].map(|core| (core, Arc::new(WorkerCounters::default()))).into();
    let counters = &workers[0].1;
    counters.turns(200);
    counters.idle_turns(50);
    counters.outer_received(1_234_567);
    counters.dropped(DropReason::Replayed, 3);
    workers[1].1.dropped(DropReason::Replayed, 4);
    let socket = ApiSocket::bind(&folder.path().join("aditd.sock")).unwrap();
    let (aaa, _nobody) = adit_control::aaa::window::channel();
    let (feed, arriving) = journal::feed(Duration::from_secs(1_795_804_200));
    let (board, keeping) = Board::new(Journal::new(64, 7), arriving);
    let (reloader, workers) = (reload::requests().0, workers.into());
    let sources = Sources { asker, reloader, aaa, workers, captures: capture::channel().0, board };
    let api = ApiThread::start(Doors::local(socket), sources, keeping).unwrap();
    Daemon { _api: api, _feed: feed, folder }
}

fn serving() -> Daemon {
    daemon(|question| match question {
        Question::Status(answer) => drop(answer.send(status())),
        Question::Sessions(listing, query, answer) => {
            let there = [session(), connecting()].into_iter().filter(|view| query.means(view));
            let there = there.map(|view| (view.id.parse().unwrap(), view));
            let there = there.filter(|(id, _)| listing.after.is_none_or(|after| *id > after));
            drop(answer.send(listing.page(there, |view| vec![view])));
        }
        Question::Session(id, answer) => drop(answer.send(Some(session()).filter(|_| id == SessionId(7)))),
        Question::Sas(_, _, answer) => drop(answer.send(Listed { lines: vec![sa()], next: None })),
        Question::Certificates(answer) => drop(answer.send(vec![certificate()])),
        Question::Pools(answer) => drop(answer.send(vec![pool()])),
        Question::Leases(_, answer) => drop(answer.send(LeasePage { leases: vec![lease()], next: None })),
        Question::Order(id, _, answer) => {
            let _gone = answer.send(match id {
                SessionId(7) => Obeyed::Begun,
                SessionId(8) => Obeyed::NotUp,
                _ => Obeyed::NoSuchSession,
            });
        }
        Question::Ike(answer) => drop(answer.send(ike())),
        Question::Flows(answer) => drop(answer.send(vec![flow(true), flow(false), stream()])),
        Question::Transports(answer) => drop(answer.send(transports())),
        // See `api_captures.rs`.
        Question::CaptureTarget(_, answer) => drop(answer),
        Question::Tell(_) => {}
        // See `api_flows.rs`.
        Question::InnerFlows(_, answer) => drop(answer),
        Question::Drain(order, answer) => {
            let draining = match order {
                DrainOrder::Begin { within, stop } => {
                    Some(DrainView { left_seconds: within.map(|within| within.as_secs()), stop })
                }
                DrainOrder::Cancel => None,
            };
            let state = if draining.is_some() { "draining" } else { "serving" }.to_owned();
            let _gone = answer.send(StatusView { state, draining, ..status() });
        }
        Question::Reload(_) => panic!("the reload thread asks, and there is none"),
        Question::ClearFlows(which, answer) => {
            let cleared = [flow_report(true).id, flow_report(false).id, stream_report().id];
            let cleared = cleared.iter().filter(|id| which.means(**id)).count();
            let _gone = answer.send(ClearView { cleared });
        }
    })
}

fn transports() -> Vec<TransportUse> {
    let load = TransportLoad { sessions: 3, bytes_in: 2048, bytes_out: 1536 };
    let listen = ["192.0.2.1:4500", "[2001:db8:1::1]:4500"].map(str::to_owned).to_vec();
    let none = TransportUse { transport: Transport::Esp, listen: vec![], load: TransportLoad::default() };
    vec![TransportUse { transport: Transport::NatT, listen, load }, none]
}

fn status() -> StatusView {
    StatusView {
        version: "0.1.0".to_owned(),
        identity: "headend.rig".to_owned(),
        up_seconds: 3700,
        state: "serving".to_owned(),
        draining: None,
        sessions: 1,
        sessions_pending: 1,
        half_open: 1,
        cookies_asked_of: "nobody".to_owned(),
        sas: 1,
        workers: 2,
        listen: vec!["0.0.0.0:500".to_owned(), "[::]:4500".to_owned()],
        tun: "adit0".to_owned(),
        mtu: 1400,
        io: "io_uring".to_owned(),
        lacks: vec!["this kernel has no UDP_GRO".to_owned()],
        commands_waiting: 0,
    }
}

fn session() -> SessionView {
    SessionView {
        id: "s7".to_owned(),
        state: SessionState::Up,
        health: Health::Up,
        reason: String::new(),
        ike: "v2".to_owned(),
        group: String::new(),
        identity: "alice@rig.example.org".to_owned(),
        connection: "staff".to_owned(),
        addresses: vec!["10.30.0.2".parse().unwrap(), "fd30::2".parse().unwrap()],
        peer: "198.51.100.77:34567".parse().unwrap(),
        local: "198.51.100.2:4500".parse().unwrap(),
        transport: "nat-t".to_owned(),
        peer_behind_nat: true,
        ike_algorithms: "aes128gcm16-prfsha256-x25519".to_owned(),
        ike_spis: "0011223344556677_8899aabbccddeeff".to_owned(),
        worker: 1,
        up_seconds: 125,
        idle_seconds: 3,
        bytes_in: 200 << 20,
        bytes_out: 1536,
        packets_in: 150_000,
        packets_out: 12,
        policy: PolicyView {
            class: Some("bronze".to_owned()),
            rate_up: Some(1_000_000),
            rate_down: Some(8_000_000),
            idle_timeout: Some(600),
            idle_timeout_in: Some(597),
            session_timeout: None,
            session_timeout_in: None,
            max_logins: Some(2),
        },
        drops: [("over_rate_down".to_owned(), 17), ("replayed".to_owned(), 2)].into(),
    }
}

fn connecting() -> SessionView {
    SessionView {
        id: "s8".to_owned(),
        state: SessionState::Connecting,
        health: Health::Down,
        reason: "connecting".to_owned(),
        identity: String::new(),
        connection: String::new(),
        addresses: Vec::new(),
        peer: "[2001:db8:1111:2222:3333:4444:5555:6666]:4500".parse().unwrap(),
        ..session()
    }
}

fn certificate() -> CertificateView {
    CertificateView { used_for: "api".to_owned(), subject: "CN=headend.rig".to_owned(), not_after: 1_795_804_200 }
}

fn pool() -> PoolView {
    let range = |network: &str, size, in_use| RangeView { network: network.to_owned(), size, in_use, held: 1 };
    PoolView { name: "main".to_owned(), ranges: vec![range("10.30.0.0/30", 1, 1), range("fd30::/64", 1 << 53, 1)] }
}

fn lease() -> LeaseView {
    LeaseView {
        address: "10.30.0.2".parse().unwrap(),
        pool: "main".to_owned(),
        session: "s7".to_owned(),
        identity: "alice@rig.example.org".to_owned(),
        state: "in_use".to_owned(),
    }
}

fn sa() -> SaView {
    SaView {
        session: "s7".to_owned(),
        identity: "alice@rig.example.org".to_owned(),
        spi_in: "0x11223344".to_owned(),
        spi_out: "0x55667788".to_owned(),
        algorithms: "aes128gcm16".to_owned(),
        library: "aws-lc".to_owned(),
        state: "active".to_owned(),
        worker: 1,
        local: vec!["10.20.0.0/24".to_owned()],
        remote: vec!["10.30.0.2/32".to_owned()],
        age_seconds: 125,
        bytes_in: 200 << 20,
        bytes_out: 1536,
        packets_in: 150_000,
        packets_out: 12,
        inner_mtu: 1438,
    }
}

fn ike() -> IkeView {
    let mut counters = EngineCounters::default();
    counters.logins = 1;
    let mut view = IkeView::new(Holdings { sessions: 1, leases: 2, ..Holdings::default() }, &counters);
    for reason in view.ignored.iter_mut().filter(|reason| reason.name == "bad_icv") {
        reason.total = 1_234_567;
    }
    view
}

#[test]
fn sessions_as_json_are_the_views_themselves() {
    let daemon = serving();
    let views: Vec<SessionView> = serde_json::from_str(&out(&daemon.ctl(&["--json", "sessions"]))).unwrap();
    assert_eq!(views, [session(), connecting()]);
    let json: serde_json::Value = serde_json::from_str(&out(&daemon.ctl(&["sessions", "--json"]))).unwrap();
    assert_eq!(json[0]["id"], "s7");
    assert_eq!(json[0]["state"], "up");
    assert_eq!(json[0]["addresses"], serde_json::json!(["10.30.0.2", "fd30::2"]));
    assert_eq!(json[0]["peer"], "198.51.100.77:34567");
    assert_eq!(json[0]["bytes_in"], 209_715_200);
    assert_eq!(json[1]["state"], "connecting");
}

#[test]
fn sas_status_ike_workers_and_drops_as_json_have_their_shapes() {
    let daemon = serving();
    let json = |what| serde_json::from_str::<serde_json::Value>(&out(&daemon.ctl(&["--json", what]))).unwrap();
    assert_eq!(serde_json::from_value::<Vec<SaView>>(json("sa")).unwrap(), [sa()]);
    assert_eq!(serde_json::from_value::<StatusView>(json("status")).unwrap(), status());
    assert_eq!(serde_json::from_value::<IkeView>(json("ike")).unwrap(), ike());
    assert_eq!(json("ike")["holdings"]["leases"], 2);
    let workers = json("workers");
    assert_eq!((&workers[0]["worker"], &workers[0]["core"]), (&0.into(), &0.into()));
    assert_eq!(workers[0]["outer_received"], 1_234_567);
    assert_eq!(workers[0]["dropped"], 3);
    assert_eq!(workers[1]["core"], serde_json::Value::Null);
    let drops = json("drops");
    assert_eq!(drops.as_array().unwrap().len(), DropReason::ALL.len());
    let replayed = drops.as_array().unwrap().iter().find(|drop| drop["name"] == "replayed").unwrap();
    assert_eq!(replayed["sentence"], "sequence number seen before");
    assert_eq!(replayed["workers"], serde_json::json!([3, 4]));
    assert_eq!(replayed["total"], 7);
}

#[test]
fn tables_fit_eighty_columns_and_use_units() {
    let daemon = serving();
    for what in ["status", "sessions", "sa", "pools", "leases", "ike", "workers", "drops", "transports"] {
        let text = out(&daemon.ctl(&[what]));
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{what}: {line:?} is too wide");
            assert_eq!(line, line.trim_end(), "{what}");
        }
    }
    let sessions = out(&daemon.ctl(&["sessions"]));
    for part in ["s7", "10.30.0.2", "fd30::2", "2m05s", "200.0 MiB", "1.5 KiB", "(connecting)", "nat-t"] {
        assert!(sessions.contains(part), "{part} in\n{sessions}");
    }
    let sas = out(&daemon.ctl(&["sas"]));
    for part in ["0x11223344", "0x55667788", "active", "aes128gcm16"] {
        assert!(sas.contains(part), "{part} in\n{sas}");
    }
    let ike = out(&daemon.ctl(&["ike"]));
    for part in ["1 sessions, 0 half-open", "2 leases", "1 done, 0 refused", "bad_icv", "1.2M"] {
        assert!(ike.contains(part), "{part} in\n{ike}");
    }
    assert!(!ike.contains("shutting_down"), "only reasons that occurred:\n{ike}");
    let workers = out(&daemon.ctl(&["workers"]));
    assert!(workers.contains("1.2M") && workers.contains("25%"), "{workers}");
    let transports = out(&daemon.ctl(&["transports"]));
    for part in ["nat-t", "192.0.2.1:4500", "[2001:db8:1::1]:4500", "2.0 KiB", "1.5 KiB", "esp"] {
        assert!(transports.contains(part), "{part} in\n{transports}");
    }
    let drops = out(&daemon.ctl(&["drops"]));
    assert_eq!(drops.lines().count(), 2, "only reasons with drops:\n{drops}");
    assert!(out(&daemon.ctl(&["status"])).contains("up 1h01m"));
}

#[test]
fn draining_begins_with_or_without_an_end_and_is_taken_back() {
    let daemon = serving();
    let begun = out(&daemon.ctl(&["drain"]));
    assert!(
        begun.starts_with("aditd      0.1.0, draining, up 1h01m\ndraining   nobody new is let in, sessions may stay\n")
    );
    let begun = out(&daemon.ctl(&["drain", "--within", "10m", "--stop"]));
    let line = "\ndraining   nobody new is let in, sessions end in 10m00s, then aditd ends\n";
    assert!(begun.contains(line) && begun.lines().all(|line| line.chars().count() <= 80), "{begun}");
    let over: StatusView = serde_json::from_str(&out(&daemon.ctl(&["drain", "--cancel", "--json"]))).unwrap();
    assert_eq!(over, status());
    for wrong in [&["--within", "10"][..], &["--within", "8h", "--cancel"], &["--within", "200h"]] {
        assert_eq!(daemon.ctl(&[&["drain"], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_busy_ike_thread_is_an_answer_and_not_a_wait() {
    // The IKE thread takes a question and does not let go of it.
    let daemon = daemon(|question| {
        std::mem::forget(question);
    });
    let start = clock::now();
    let output = daemon.ctl(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "aditctl: aditd says: the IKE thread did not answer in time; ask again\n");
    assert!(clock::now().since(start) < Duration::from_secs(4));
    // What needs no IKE thread is answered all the same.
    assert_eq!(daemon.ctl(&["workers"]).status.code(), Some(0));
}

#[test]
fn too_many_questions_are_turned_away_at_once() {
    let (asker, questions) = ask::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let many = std::iter::repeat_with(|| {
            let asker = asker.clone();
            let listing = Listing { after: None, limit: 1 };
            tokio::spawn(async move { asker.ask(|to| Question::Sessions(listing, SessionQuery::default(), to)).await })
        });
        let asked: Vec<_> = many.take(40).collect();
        let mut busy = 0;
        let mut late = 0;
        for answer in asked {
            match answer.await.unwrap() {
                Err(ask::NoAnswer::Busy) => busy += 1,
                Err(ask::NoAnswer::TooLate) => late += 1,
                other => panic!("nobody answers here: {other:?}"),
            }
        }
        assert_eq!((busy, late), (24, 16));
        assert_eq!(questions.len(), 16);
    });
}

#[test]
fn a_daemon_that_is_ending_says_so() {
    let daemon = daemon(drop);
    let output = daemon.ctl(&["sessions"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "aditctl: aditd says: aditd is ending\n");
}

#[test]
fn a_daemon_that_is_not_there_is_exit_status_3_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let output = ctl(&folder.path().join("none.sock"), &["status"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("none.sock: there is no such socket. Is aditd running? Another place: --socket"), "{said}");

    let stale = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let output = ctl(&stale, &["status"]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no aditd behind it"), "{said}");
}

#[test]
fn a_wrong_command_line_is_exit_status_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["sesions"][..], &[], &["sessions", "--yaml"]] {
        let output = ctl(&folder.path().join("none.sock"), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

fn raw(daemon: &Daemon, request: &str) -> String {
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn paths_that_do_not_exist_and_methods_that_change_things_are_refused_in_json() {
    let daemon = serving();
    let answer = raw(&daemon, "GET /v2/sessions HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    assert!(answer.contains("\"type\":\"urn:adit:problem:no_such_path\""), "{answer}");
    let answer =
        raw(&daemon, "POST /v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("allow: GET,HEAD"), "{answer}");
    assert!(answer.contains("\"type\":\"urn:adit:problem:wrong_method\""), "{answer}");
}

#[test]
fn pages_go_on_where_the_one_before_ended_and_filters_choose() {
    let daemon = serving();
    let get = |path: &str| {
        let answer = raw(&daemon, &format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), serde_json::from_str::<serde_json::Value>(body).unwrap())
    };
    let (status, first) = get("/v1/sessions?limit=1");
    assert_eq!((status.as_str(), &first["sessions"][0]["id"], &first["next"]), ("200", &"s7".into(), &"s7".into()));
    let (_, second) = get("/v1/sessions?limit=1&after=s7");
    assert_eq!((&second["sessions"][0]["id"], &second["next"]), (&"s8".into(), &serde_json::Value::Null));
    let (_, chosen) = get("/v1/sessions?identity=ali*%40rig.*&transport=nat-t&address=10.30.0.2");
    assert_eq!(chosen["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(get("/v1/sessions?state=closing").1["sessions"], serde_json::json!([]));
    assert_eq!(get("/v1/ctcp?limit=2").1["next"], "c0-1");
    assert_eq!(get("/v1/ctcp?limit=2&after=c0-1").1["connections"].as_array().unwrap().len(), 1);
    for path in ["/v1/sessions?limit=0", "/v1/sessions?limit=1001", "/v1/sessions?limit=x", "/v1/sessions?after=7"]
        .into_iter()
        .chain([
            "/v1/sessions?identiy=a",
            "/v1/sessions?state=well",
            "/v1/sessions/7",
            "/v1/leases?after=1",
            "/v1/ctcp?after=x",
        ])
    {
        let (status, problem) = get(path);
        assert_eq!((status.as_str(), &problem["type"]), ("400", &"urn:adit:problem:bad_parameter".into()), "{path}");
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    }
    assert_eq!(get("/v1/sessions/s7").1["sas"][0]["spi_in"], "0x11223344");
    assert_eq!(get("/v1/sessions/s9").1["type"], "urn:adit:problem:no_such_session");
}

#[test]
fn sessions_are_ended_and_get_other_keys_by_name_and_by_identity() {
    let daemon = serving();
    assert_eq!(out(&daemon.ctl(&["disconnect", "s7", "alice@rig.example.org"])), "s7 ends\ns7 ends\n");
    assert_eq!(out(&daemon.ctl(&["--json", "rekey", "--ike", "s7"])), "[{\"session\":\"s7\"}]\n");
    for (arguments, says) in [
        (["disconnect", "s9"], "there is no session s9: it has ended, or has never been"),
        (["disconnect", "bob"], "bob has no session"),
        (["rekey", "s8"], "s8 is not up: it has no keys that could be replaced"),
    ] {
        let output = daemon.ctl(&arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("aditctl: aditd says: {says}\n"));
    }
}

/// `ADIT_WRITE=1 cargo test -p adit-control --test api` writes it anew.
#[test]
fn the_committed_description_is_the_programs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let described = adit_control::api::routes::description().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("ADIT_WRITE").is_some() {
        std::fs::write(path, &described).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == described,
        "{path} is not what the program says: ADIT_WRITE=1 writes it"
    );
    let daemon = serving();
    let served = raw(&daemon, "GET /openapi.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let body: serde_json::Value = serde_json::from_str(served.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, serde_json::from_str::<serde_json::Value>(&described).unwrap());
    let again = "GET /openapi.json HTTP/1.1\r\nhost: a\r\nif-none-match: \"0.1.0\"\r\nconnection: close\r\n\r\n";
    assert!(raw(&daemon, again).starts_with("HTTP/1.1 304 "));
}

#[test]
fn what_is_told_of_certificates_is_whom_they_name_and_when_they_end() {
    let daemon = serving();
    let answer = raw(&daemon, "GET /v1/certificates HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Vec<CertificateView>>(body).unwrap(), [certificate()]);
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none.sock");
    let bash = out(&ctl(&nowhere, &["completions", "bash"]));
    let written = ctl(&nowhere, &["man", folder.path().join("man1").to_str().unwrap()]);
    assert_eq!(written.status.code(), Some(0));
    let help = out(&ctl(&nowhere, &["--help"]));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> =
        commands.map(|line| line.split_whitespace().next().unwrap()).filter(|name| *name != "help").collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(bash.contains(&format!("aditctl,{name})")), "{name}");
        let page = folder.path().join("man1").join(format!("aditctl-{name}.1"));
        assert!(std::fs::read_to_string(page).unwrap().contains(".SH NAME"), "{name}");
    }
    assert!(out(&ctl(&nowhere, &["man"])).contains("aditctl\\-sessions(1)"));
}

#[test]
fn the_socket_goes_when_the_api_does() {
    let daemon = serving();
    let socket = daemon.socket();
    assert!(socket.exists());
    let Daemon { _api: api, folder: _folder, _feed: _ } = daemon;
    drop(api);
    assert!(!socket.exists());
}

/// One that has stalled, and one that is well and whose client has not logged in.
fn flow_report(stalled: bool) -> FlowReport {
    let seconds = Duration::from_secs;
    let up =
        UpEvidence { segments: 1500, octets: 2_000_000, esp: 990, esp_missing: 10, holes: 8, ..UpEvidence::default() };
    let down = DownEvidence {
        rtt: Some(Duration::from_micros(31_250)),
        ring: 65_536,
        ring_most: 262_144,
        ..DownEvidence::default()
    };
    let stall = Stall { since: seconds(12), missing: 4096, unacknowledged: 0, said: 3, advances: 2 };
    let loss = Loss { leg: Leg::ClientSide, sure: Percent(90), lost: 10, of: 1000 };
    let tunnel = TunnelKey { worker: WorkerId(0), slot: 2 };
    let port = if stalled { 40_001 } else { 40_002 };
    FlowReport {
        id: FlowId { worker: WorkerId(0), number: u64::from(!stalled) },
        path: OuterPath { local: "192.0.2.1:10000".parse().unwrap(), peer: ([203, 0, 113, 9], port).into() },
        tunnel: Some(tunnel).filter(|_| stalled),
        stalling: Some(Stalling::Certain).filter(|_| stalled),
        age: seconds(300),
        silent: seconds(2),
        evidence: Evidence { syn: SynOptions::None, up, down, stall: Some(stall).filter(|_| stalled) },
        diagnosis: Diagnosis {
            peer: PeerClass::Legacy,
            peer_sure: Percent(90),
            path: if stalled { PathClass::InOrder } else { PathClass::Clean },
            path_sure: Percent(90),
            up: Some(loss).filter(|_| stalled),
            down: None,
            finding: if stalled { Finding::Stalled } else { Finding::Well },
        },
    }
}

fn flow(stalled: bool) -> ConnectionView {
    let session = Some((SessionId(7), "alice".to_owned())).filter(|_| stalled);
    ConnectionView::Ctcp(Box::new(FlowView::new(&flow_report(stalled), session)))
}

fn stream_report() -> StreamReport {
    StreamReport {
        id: FlowId { worker: WorkerId(0), number: 2 },
        path: OuterPath { local: "192.0.2.1:4500".parse().unwrap(), peer: "203.0.113.77:40003".parse().unwrap() },
        tunnel: Some(TunnelKey { worker: WorkerId(0), slot: 3 }),
        state: StreamState::Open,
        age: Duration::from_secs(60),
        silent: Duration::from_secs(1),
        evidence: StreamEvidence {
            came: Amount { segments: 1200, octets: 1_500_000 },
            went: Amount { segments: 2000, octets: 2_500_000 },
            resent: 30,
            rtt: Some(Duration::from_micros(12_500)),
            least_rtt: Some(Duration::from_micros(11_000)),
            in_flight: 4096,
            queued: 65_536,
            queue_most: 131_072,
            given_way: 17,
        },
    }
}

fn stream() -> ConnectionView {
    ConnectionView::Tcp(Box::new(StreamView::new(&stream_report(), Some((SessionId(8), "bob".to_owned())))))
}

#[test]
fn ctcp_connections_are_a_table_and_each_has_its_detail_with_the_remedy() {
    let daemon = serving();
    let table = out(&daemon.ctl(&["ctcp"]));
    for text in ["c0-0", "203.0.113.9", "40001->10000", "stalled", "legacy", "in-order", "1.0%", "31.2ms", "25%", "12s"]
    {
        assert!(table.contains(text), "{text} in\n{table}");
    }
    assert!(table.contains("c0-1") && table.contains("login"), "{table}");
    for name in ["c0-0", "203.0.113.9:40001"] {
        let detail = out(&daemon.ctl(&["ctcp", name]));
        for text in [
            "session    s7 alice\n",
            "loss up    1.0% (10 of 1000), client side (90 % sure)\n",
            "stalled    for 12s, 4.0 KiB missing\n",
            "finding    stalled: a firewall waits",
            "  access-list CTCP extended permit tcp any host 192.0.2.1 eq 10000\n",
            "    set connection advanced-options tcp-state-bypass\n",
        ] {
            assert!(detail.contains(text), "{text} in\n{detail}");
        }
        assert!(!detail.contains("c0-1"), "{detail}");
    }
    assert_eq!(out(&daemon.ctl(&["ctcp", "203.0.113.9"])).matches("finding    ").count(), 2, "both are from there");
    let unknown = daemon.ctl(&["ctcp", "c9-9"]);
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(1), 0));
    let json: Vec<ConnectionView> = serde_json::from_str(&out(&daemon.ctl(&["ctcp", "--json"]))).unwrap();
    assert_eq!(json, [flow(true), flow(false), stream()]);
    let json: Vec<ConnectionView> = serde_json::from_str(&out(&daemon.ctl(&["ctcp", "c0-1", "--json"]))).unwrap();
    assert_eq!(json, [flow(false)]);
}

#[test]
fn connections_in_real_tcp_are_among_them_and_have_their_own_detail() {
    let daemon = serving();
    let table = out(&daemon.ctl(&["ctcp"]));
    for text in ["c0-2", "203.0.113.77", "40003->4500", "bob", "RFC 9329", "1.5%", "12.5ms", "50%"] {
        assert!(table.contains(text), "{text} in\n{table}");
    }
    let detail = out(&daemon.ctl(&["ctcp", "203.0.113.77"]));
    assert_eq!(
        detail,
        "connection c0-2, up, since 1m00s\n\
         peer       203.0.113.77:40003 to 192.0.2.1:4500, heard 1s ago\n\
         session    s8 bob\n\
         kind       real TCP (RFC 9329)\n\
         rtt        12.5ms, least 11.0ms\n\
         in flight  4.0 KiB\n\
         queue      64.0 KiB of 128.0 KiB, 17 ESP packets had to give way\n\
         received   1.2k segments, 1.4 MiB\n\
         sent       2.0k segments, 2.4 MiB; 30 sent again (1.5%)\n"
    );
    let json: Vec<serde_json::Value> = serde_json::from_str(&out(&daemon.ctl(&["ctcp", "--json"]))).unwrap();
    let kinds: Vec<_> = json.iter().map(|view| view["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ctcp", "ctcp", "tcp"]);
    assert_eq!((&json[2]["given_way"], &json[2]["down"]["resent"]), (&17.into(), &30.into()));
}

#[test]
fn a_connection_or_all_of_them_are_cleared_by_name() {
    let daemon = serving();
    assert_eq!(out(&daemon.ctl(&["ctcp", "clear", "c0-1"])), "1 connections are ended\n");
    assert_eq!(out(&daemon.ctl(&["ctcp", "clear", "all", "--json"])), "{\"cleared\":3}\n");
    for (name, words) in [("c0-5", "there is no such connection"), ("s7", "looks like"), ("../v1/status", "looks like")]
    {
        let refused = daemon.ctl(&["ctcp", "clear", name]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(words), "{name}: {said}");
    }
}
