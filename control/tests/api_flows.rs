//! `GET /v1/flows` over a real Unix socket, with a stand-in for the IKE thread, asked by the real `aditctl`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::api::ask::{self, Question};
use adit_control::api::listen::ApiSocket;
use adit_control::api::routes::Sources;
use adit_control::capture;
use adit_control::flows::{
    FlowCursor, FlowTableView, InnerFlowView, InnerFlowsView, InnerTcpView, InnerWayView, NoFlows, RoundTripView,
    Wanted,
};
use adit_control::journal::{self, Board, Journal};
use adit_control::runtime::api_thread::{ApiThread, Doors};
use adit_control::session::SessionId;
use adit_dataplane::contract::WorkerId;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::Duration;

struct Daemon {
    _api: ApiThread,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn new(answer: impl Fn(Wanted) -> Result<InnerFlowsView, NoFlows> + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (asker, questions) = ask::channel();
        std::thread::spawn(move || {
            for question in questions.iter() {
                if let Question::InnerFlows(wanted, asked_by) = question {
                    let _gone = asked_by.send(answer(wanted));
                }
            }
        });
        let socket = ApiSocket::bind(&folder.path().join("aditd.sock")).unwrap();
        let (aaa, _nobody) = adit_control::aaa::window::channel();
        let (feed, arriving) = journal::feed(Duration::from_secs(1_795_804_200));
        drop(feed);
        let (board, keeping) = Board::new(Journal::new(1, 1), arriving);
        let reloader = adit_control::api::reload::requests().0;
        let sources = Sources { asker, reloader, aaa, workers: [].into(), captures: capture::channel().0, board };
        let api = ApiThread::start(Doors::local(socket), sources, keeping).unwrap();
        Self { _api: api, folder }
    }

    fn ctl(&self, arguments: &[&str]) -> Output {
        let program = env!("CARGO_BIN_EXE_aditctl");
        let socket = self.folder.path().join("aditd.sock");
        Command::new(program).env("COLUMNS", "80").arg("--socket").arg(socket).args(arguments).output().unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = UnixStream::connect(self.folder.path().join("aditd.sock")).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn flow(port: u16, bits_per_second: u64, bytes: u64, age_seconds: u64) -> InnerFlowView {
    InnerFlowView {
        session: "s7".to_owned(),
        identity: "alice@rig.example.org".to_owned(),
        protocol: "tcp".to_owned(),
        client: ([10, 30, 0, 2], port).into(),
        server: ([10, 20, 0, 2], 5201).into(),
        age_seconds,
        idle_ms: 1500,
        up: InnerWayView { packets: 10, bytes, bits_per_second: 0 },
        down: InnerWayView { packets: 20, bytes: 2048, bits_per_second },
        tcp: Some(InnerTcpView {
            state: "closing".to_owned(),
            client_rtt: Some(RoundTripView { smoothed_us: 5100, least_us: 4900 }),
            server_rtt: Some(RoundTripView { smoothed_us: 40_000, least_us: 39_000 }),
            retransmitted_up: 0,
            retransmitted_down: 12,
            client_mss: Some(1360),
            server_mss: None,
        }),
    }
}

/// Two pages of two workers.
fn pages(wanted: Wanted) -> Result<InnerFlowsView, NoFlows> {
    let table =
        |worker| FlowTableView { worker, held: 2, pushed_out: 9, unattributed_packets: 70, unattributed_bytes: 5000 };
    let view = |flows, next: Option<FlowCursor>, worker| InnerFlowsView {
        flows,
        next: next.map(|next| next.to_string()),
        sampled_one_of: 1,
        tables: vec![table(worker)],
    };
    let second = FlowCursor { worker: WorkerId(1), place: 0 };
    match (wanted.session, wanted.after) {
        (Some(SessionId(404)), _) => Err(NoFlows::NoSuchSession),
        (_, None) => Ok(view(vec![flow(1, 100, 5000, 3), flow(2, 2_500_000, 10, 60)], Some(second), 0)),
        (_, Some(after)) => {
            assert_eq!(after, second);
            Ok(view(vec![flow(3, 300, 700, 7000), flow(4, 0, 1, 1)], None, 1))
        }
    }
}

#[test]
fn aditctl_reads_all_pages_and_shows_the_first_by_what_is_asked_for() {
    let daemon = Daemon::new(pages);
    for (sort, ports) in [("rate", [2, 3, 1, 4]), ("bytes", [1, 3, 2, 4]), ("age", [3, 2, 1, 4])] {
        for limit in [1, 3, 100] {
            let json = out(&daemon.ctl(&["flows", "--json", "--sort", sort, "--limit", &limit.to_string()]));
            let view: InnerFlowsView = serde_json::from_str(&json).unwrap();
            let told: Vec<u16> = view.flows.iter().map(|flow| flow.client.port()).collect();
            assert_eq!(told, ports[..limit.min(4)], "by {sort}");
            assert_eq!((view.next, view.tables.len()), (None, 2));
        }
    }
}

#[test]
fn the_table_fits_eighty_columns_and_says_who_talks_to_whom_and_how() {
    let daemon = Daemon::new(pages);
    let text = out(&daemon.ctl(&["flows", "--limit", "2"]));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line:?} is too wide");
    }
    for part in [
        "10.30.0.2:2 ",
        "->10.20.0.2:5201",
        "tcp closing",
        "2.5 Mbit/s",
        "2.0 KiB",
        "5.1ms",
        "40.0ms",
        "12",
        "1m00s",
        "s7",
        "2 of 4 flows, 18 pushed out so far; 140 packets are no flow's",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn what_is_wrong_with_a_question_is_said() {
    let daemon = Daemon::new(pages);
    for (path, status, word) in [
        ("/v1/flows?limit=2", "200 ", "\"next\":\"w1-0\""),
        ("/v1/flows?after=w1-0&session=s7", "200 ", "\"next\":null"),
        ("/v1/flows?session=s404", "404 ", "no such session"),
        ("/v1/flows?session=alice", "400 ", "looks like"),
        ("/v1/flows?limit=0", "400 ", "1 to 1000 lines"),
        ("/v1/flows?limit=1001", "400 ", "1 to 1000 lines"),
        ("/v1/flows?after=7", "400 ", "w0-128"),
    ] {
        let answer = daemon.get(path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(word), "{path}: {answer}");
    }
    assert!(daemon.get("/v1/flows?sort=rate").starts_with("HTTP/1.1 400 "), "what is not known is not ignored");
    let refused = daemon.ctl(&["flows", "--session", "s404"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_table_that_is_off_is_said_to_be_off() {
    let daemon = Daemon::new(|_| Err(NoFlows::Off));
    assert!(daemon.get("/v1/flows").starts_with("HTTP/1.1 409 "));
    let refused = daemon.ctl(&["flows"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("[flows] table = \"off\""), "{said}");
}
