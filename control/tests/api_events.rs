//! Events over a real Unix socket: streams, pages and stories, read by hand and by the real `aditctl`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::api::ask::{self, Question};
use adit_control::api::listen::ApiSocket;
use adit_control::api::routes::Sources;
use adit_control::capture;
use adit_control::journal::{self, Board, By, Feed, Happening, Journal, Renewed, Spell, What, Who};
use adit_control::runtime::api_thread::{ApiThread, Doors};
use adit_control::session::Listed;
use adit_control::session::{Cause, SessionId};
use adit_dataplane::contract::{
    Diagnosis, DownEvidence, Evidence, Finding, FlowId, FlowReport, Leg, Loss, Path as OuterPath, PathClass, PeerClass,
    Percent, Stall, SynOptions, Transport, UpEvidence, WorkerId,
};
use adit_dataplane::time::Instant;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

struct Daemon {
    _api: ApiThread,
    feed: Feed,
}

/// Serves on `socket`, keeps 64 events, and knows of no session.
fn daemon(socket: &Path, life: u64) -> Daemon {
    daemon_that_keeps(64, socket, life)
}

fn daemon_that_keeps(events: usize, socket: &Path, life: u64) -> Daemon {
    let (asker, questions) = ask::channel();
    std::thread::spawn(move || {
        for question in questions {
            match question {
                Question::Sessions(_, _, answer) => drop(answer.send(Listed { lines: Vec::new(), next: None })),
                Question::Session(_, answer) => drop(answer.send(None)),
                _ => {}
            }
        }
    });
    let (aaa, _nobody) = adit_control::aaa::window::channel();
    let (feed, arriving) = journal::feed(Duration::from_secs(1_795_804_200));
    let (board, keeping) = Board::new(Journal::new(events, life), arriving);
    let reloader = adit_control::api::reload::requests().0;
    let sources = Sources { asker, reloader, aaa, workers: [].into(), captures: capture::channel().0, board };
    Daemon { _api: ApiThread::start(Doors::local(ApiSocket::bind(socket).unwrap()), sources, keeping).unwrap(), feed }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("aditd.sock");
    (folder, socket)
}

impl Daemon {
    fn tell(&mut self, session: u32, identity: &str, what: What) {
        let (session, identity) = (Some(SessionId(session)), Some(identity.to_owned()));
        let who =
            Who { session, identity, connection: Some("rig".to_owned()), peer: "192.0.2.7:4500".parse().unwrap() };
        self.feed.tell(Instant::ZERO, Happening { who: Some(who), what });
    }
}

fn login() -> What {
    let addresses = vec!["10.30.0.2".parse().unwrap()];
    let (transport, algorithms) = (Some(Transport::Ctcp), "a suite".to_owned());
    What::Login { ike: "v1", transport, nat: Spell::On, addresses, algorithms }
}

fn logout(cause: Cause) -> What {
    What::Logout { cause, up: Duration::from_secs(62), bytes_in: 1000, bytes_out: 2000 }
}

fn stall() -> What {
    let [local, peer] = ["192.0.2.1:10000", "192.0.2.7:40001"].map(|end| end.parse().unwrap());
    let stall = Stall { since: Duration::from_secs(6), missing: 5000, unacknowledged: 0, said: 2, advances: 1 };
    let (up, down) = (UpEvidence::default(), DownEvidence::default());
    let lost = Loss { leg: Leg::ClientSide, sure: Percent(85), lost: 3, of: 120 };
    let diagnosis = Diagnosis {
        peer: PeerClass::Legacy,
        peer_sure: Percent(90),
        path: PathClass::InOrder,
        path_sure: Percent(80),
        up: Some(lost),
        down: None,
        finding: Finding::Stalled,
    };
    What::StallFound(Box::new(FlowReport {
        id: FlowId { worker: WorkerId(0), number: 3 },
        path: OuterPath { local, peer },
        tunnel: None,
        stalling: None,
        age: Duration::from_secs(60),
        silent: Duration::from_secs(6),
        evidence: Evidence { syn: SynOptions::None, up, down, stall: Some(stall) },
        diagnosis,
    }))
}

/// The lines of an answer, as they come.
fn open(socket: &Path, target: &str, more: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: a\r\n{more}\r\n").unwrap();
    BufReader::new(stream)
}

const STREAM: &str = "accept: text/event-stream\r\n";

/// Reads until a line begins with this; the line comes back.
#[track_caller]
fn until(reader: &mut impl BufRead, begin: &str) -> String {
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "no {begin:?} in {seen}");
        if line.starts_with(begin) {
            return line.trim_end().to_owned();
        }
        seen += &line;
    }
}

/// The whole of an answer that has an end.
fn get(socket: &Path, target: &str) -> String {
    let mut text = String::new();
    open(socket, target, "connection: close\r\n").read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_reader_hears_what_happens_from_now_on_and_goes_on_where_it_was() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    daemon.tell(1, "alice", login());
    while !get(&socket, "/v1/events").contains("7-1") {}
    let mut stream = open(&socket, "/v1/events?kind=login,logout", STREAM);
    until(&mut stream, "retry:");
    daemon.tell(2, "bob", What::LoginRefused { cause: Cause::WrongPassword, left_out: 0 });
    daemon.tell(1, "alice", logout(Cause::PeerDeleted));
    assert_eq!(until(&mut stream, "id:"), "id: 7-3", "neither what was before nor what is not wanted");
    assert_eq!(until(&mut stream, "event:"), "event: logout");
    let data = until(&mut stream, "data:");
    for part in [
        "\"session\":\"s1\"",
        "\"identity\":\"alice\"",
        "\"reason\":\"peer_deleted\"",
        "\"at\":\"2026-11-27T18:30:00.000Z\"",
    ] {
        assert!(data.contains(part), "{part} in {data}");
    }
    drop(stream);
    let mut again = open(&socket, "/v1/events", &format!("{STREAM}last-event-id: 7-1\r\n"));
    assert_eq!([until(&mut again, "id:"), until(&mut again, "id:")], ["id: 7-2", "id: 7-3"]);
    let mut of_another_life = open(&socket, "/v1/events", &format!("{STREAM}last-event-id: 6-900\r\n"));
    assert_eq!(until(&mut of_another_life, "id:"), "id: 7-1");
}

#[test]
fn pages_are_filtered_and_limited_and_mistakes_are_named() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    for session in 1..=5 {
        daemon.tell(session, "alice", login());
    }
    while !get(&socket, "/v1/events").contains("7-5") {}
    let page = get(&socket, "/v1/events?since=1&limit=2");
    assert!(page.contains("\"next\":\"7-3\"") && page.contains("\"missed\":0") && !page.contains("7-4"), "{page}");
    let page = get(&socket, "/v1/events?session=s4");
    assert!(page.contains("7-4") && !page.contains("\"id\":\"7-3\""), "{page}");
    let page = get(&socket, "/v1/events?last=2");
    assert!(
        page.contains("\"id\":\"7-4\"") && page.contains("\"id\":\"7-5\"") && !page.contains("\"id\":\"7-3\""),
        "{page}"
    );
    assert!(get(&socket, "/v1/events?last=1000").contains("\"id\":\"7-1\""), "no more than there are");
    assert!(get(&socket, "/v1/events?since=0&last=1").contains("\"id\":\"7-1\""), "`since` counts before it");
    let mut latest = open(&socket, "/v1/events?last=1", STREAM);
    assert_eq!(until(&mut latest, "id:"), "id: 7-5");
    for (target, words) in [
        ("/v1/events?last=0", "last: 1 to 1000 events"),
        ("/v1/events?last=1001", "last: 1 to 1000 events"),
        ("/v1/events?kind=logins", "there is no kind"),
        ("/v1/events?sinse=1", "unknown field"),
        ("/v1/events?since=x", "\\\"since\\\" is the number"),
        ("/v1/sessions/s9/story", "no session of this name"),
    ] {
        let refused = get(&socket, target);
        assert!(refused.starts_with("HTTP/1.1 4") && refused.contains(words), "{refused}");
    }
}

#[test]
fn a_reader_that_sleeps_misses_events_and_hears_how_many_and_keeps_nobody_waiting() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    let mut asleep = open(&socket, "/v1/events?since=0", STREAM);
    let mut awake = open(&socket, "/v1/events?since=0", STREAM);
    const ALL: u64 = 3000;
    for number in 1..=ALL {
        daemon.tell(1, "alice", login());
        assert_eq!(until(&mut awake, "id:"), format!("id: 7-{number}"), "who listens gets each");
    }
    let (mut heard, mut missed) = (0, 0);
    loop {
        let line = until(&mut asleep, "");
        if let Some(id) = line.strip_prefix("id: 7-") {
            heard += 1;
            if id == ALL.to_string() {
                break;
            }
        } else if let Some(number) = line.strip_prefix("data: {\"missed\":") {
            missed += number.trim_end_matches('}').parse::<u64>().unwrap();
        }
    }
    assert!(missed > 0, "the kernel does not keep all of {ALL} events");
    assert_eq!(heard + missed, ALL);
}

#[test]
fn only_so_many_read_at_the_same_time_and_a_seat_is_free_again() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    let seats: Vec<_> = (0..64)
        .map(|_| open(&socket, "/v1/events", STREAM))
        .map(|mut seat| {
            until(&mut seat, "retry:");
            seat
        })
        .collect();
    let refused = until(&mut open(&socket, "/v1/events", STREAM), "HTTP");
    assert_eq!(refused, "HTTP/1.1 503 Service Unavailable");
    drop(seats);
    // Who has gone is noticed at the next event.
    daemon.tell(1, "alice", login());
    while until(&mut open(&socket, "/v1/events", STREAM), "HTTP") != "HTTP/1.1 200 OK" {
        daemon.tell(1, "alice", login());
    }
}

#[test]
fn the_last_words_of_a_daemon_reach_its_readers() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    let mut stream = open(&socket, "/v1/events", STREAM);
    until(&mut stream, "retry:");
    let Daemon { _api: api, feed } = &mut daemon;
    feed.tell(Instant::ZERO, What::DaemonLeaving);
    let _ = api;
    let Daemon { _api: api, feed } = daemon;
    drop(feed);
    drop(api);
    assert_eq!(until(&mut stream, "event:"), "event: daemon_leaving");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the stream has ended in good order: {rest:?}");
}

fn ctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aditctl"));
    command.arg("--socket").arg(socket).args(arguments);
    command
}

/// A child that ends with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn watch_goes_on_with_the_next_daemon_and_ends_with_control_c() {
    let (_folder, socket) = place();
    let mut first = daemon(&socket, 7);
    first.tell(1, "alice", login());
    let mut command = ctl(&socket, &["watch", "--json", "--since", "0"]);
    let mut child = Watching(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap());
    assert!(until(&mut lines, "{").contains("\"id\":\"7-1\""));
    drop(first);
    let mut second = daemon(&socket, 8);
    second.tell(2, "bob", login());
    assert!(until(&mut lines, "{").contains("\"id\":\"8-1\""));
    second.tell(2, "bob", logout(Cause::PeerDead));
    assert!(until(&mut lines, "{").contains("\"reason\":\"peer_dead\""));
    let pid = child.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

fn said(output: Output) -> (Option<i32>, String) {
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn watch_for_people_is_a_line_each_without_colours_in_a_pipe_and_refuses_unknown_kinds() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    daemon.tell(2, "bob\x1b[2J", What::LoginRefused { cause: Cause::WrongPassword, left_out: 3 });
    let mut command = ctl(&socket, &["watch", "--since", "0"]);
    let mut child = Watching(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let line = until(&mut BufReader::new(child.0.stdout.take().unwrap()), "");
    let expected = "18:30:00.000Z login_refused   s2 bob\u{fffd}[2J from 192.0.2.7:4500 not let in: this is not the user's \
                    password [wrong_password] (and 3 more before)";
    assert_eq!(line, expected);
    let (code, words) = said(ctl(&socket, &["watch", "--kind", "logins"]).output().unwrap());
    assert!(code == Some(2) && words.contains("there is no kind"), "{words}");
    let (code, _) = said(ctl(Path::new("/nowhere"), &["watch"]).output().unwrap());
    assert_eq!(code, Some(3), "nobody to wait for");
}

#[test]
fn why_tells_of_a_session_that_has_stalled_what_it_lost_and_where_and_what_helps() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    daemon.tell(17, "alice", login());
    daemon.tell(17, "alice", stall());
    daemon.tell(17, "alice", logout(Cause::Stalled));
    while !get(&socket, "/v1/events").contains("7-3") {}
    for whom in ["s17", "alice"] {
        let (code, text) = said(ctl(&socket, &["why", whom]).output().unwrap());
        assert_eq!(code, Some(0), "{text}");
        for part in [
            "who        alice, session s17, connection rig, here no more\n",
            "came       2026-11-27 18:30:00 logged in by IKEv1 (a suite), ESP by ctcp, behind a NAT, from 192.0.2.7:4500\n",
            "           inner addresses 10.30.0.2\n",
            "loses      by cTCP connection c0-3: client legacy, path in-order (80 % sure)\n",
            "           from the client 3 of 120 packets, between the client and the firewall (85 % sure) [client_side]\n",
            "ended      2026-11-27 18:30:00 session over after 62 s",
            "[stalled]\nwhat to do On a Cisco ASA",
            "permit tcp any host 192.0.2.1 eq 10000\n",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
    let (_, json) = said(ctl(&socket, &["why", "s17", "--json"]).output().unwrap());
    assert!(json.contains("\"leg\":\"client_side\""), "{json}");
}

#[test]
fn why_tells_of_a_login_that_was_refused_and_of_nobody() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    daemon.tell(2, "bob", What::LoginRefused { cause: Cause::WrongPassword, left_out: 0 });
    while !get(&socket, "/v1/events").contains("7-1") {}
    let (code, text) = said(ctl(&socket, &["why", "bob"]).output().unwrap());
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "who        bob, who is not logged in\n",
        "refused    ",
        "[wrong_password], from 192.0.2.7:4500\n",
        "what to do Let the user",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let (code, text) = said(ctl(&socket, &["why", "carol"]).output().unwrap());
    assert_eq!(
        (code, &text[..]),
        (Some(1), "aditctl: aditd says: no session or identity carol is here, or remembered\n")
    );
}

#[test]
fn why_tells_of_the_latest_refusals_however_many_there_were_before() {
    let (_folder, socket) = place();
    let mut daemon = daemon_that_keeps(1 << 15, &socket, 7);
    for left_out in 1..=2100 {
        daemon.tell(2, "bob", What::LoginRefused { cause: Cause::WrongPassword, left_out });
    }
    while !get(&socket, "/v1/events?since=2099").contains("7-2100") {}
    let (code, text) = said(ctl(&socket, &["why", "bob"]).output().unwrap());
    assert_eq!(code, Some(0), "{text}");
    let told: Vec<_> =
        text.lines().filter_map(|line| line.split_once("(and ")?.1.split_once(" more before)")).collect();
    let told: Vec<_> = told.into_iter().map(|(number, _)| number).collect();
    assert_eq!(told, ["2096", "2097", "2098", "2099", "2100"], "{text}");
}

#[test]
fn a_day_of_rekeys_leaves_a_storys_moves_where_they_are() {
    let (_folder, socket) = place();
    let mut daemon = daemon(&socket, 7);
    let rekey = || What::Rekey { what: Renewed::Child, by: By::Us };
    daemon.tell(17, "alice", login());
    let (from, to) = ("192.0.2.7:4500".parse().unwrap(), "192.0.2.8:4500".parse().unwrap());
    daemon.tell(17, "alice", What::Moved { from: (None, from), to: (None, to), by: "ESP" });
    for _ in 0..30 {
        daemon.tell(17, "alice", rekey());
    }
    while !get(&socket, "/v1/events").contains("7-32") {}
    let (code, text) = said(ctl(&socket, &["why", "alice"]).output().unwrap());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("from 192.0.2.7:4500 to 192.0.2.8:4500"), "{text}");
    assert_eq!(text.matches("a child SA has been replaced by us").count(), 2, "the first and the latest: {text}");
    assert!(text.contains("a child SA has been replaced by us (and 28 more before)\n"), "{text}");
}
