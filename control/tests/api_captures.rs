//! Captures through the API and the real `aditctl`, with stand-ins for the workers and the IKE thread: what workers copy is what is in the file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use adit_control::api::access::{By, Caller, Role};
use adit_control::api::ask::{self, Question};
use adit_control::api::listen::ApiSocket;
use adit_control::api::routes::{Sources, router};
use adit_control::api::serve::{Peer, serve};
use adit_control::capture::{CaptureEnd, CaptureState, CaptureView, Target, What as Sides};
use adit_control::disk::Disk;
use adit_control::journal::{self, Board, Happening, Journal, What, Who};
use adit_control::runtime::api_thread::{ApiThread, Doors};
use adit_control::runtime::capture_thread::CaptureThread;
use adit_control::runtime::clock;
use adit_control::session::SessionId;
use adit_dataplane::contract::{
    CaptureOrder, CapturePaths, CaptureWay, Command, DropReason, OuterForm, Path as OuterPath, Sight, TunnelKey, Wake,
    WorkerCounters, WorkerHandle, WorkerId,
};
use adit_dataplane::wire::traffic_class::TrafficClass;
use crossbeam_channel::{Receiver, bounded};
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::block_common::Block;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use std::future::pending;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const TUNNEL: TunnelKey = TunnelKey { worker: WorkerId(1), slot: 3 };
const SOON: Duration = Duration::from_secs(10);

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

/// What the IKE thread knows of session 7, and what it was told.
#[derive(Default)]
struct Ike {
    paths: Mutex<Option<CapturePaths>>,
    told: Mutex<Vec<Happening>>,
}

struct Daemon {
    _api: ApiThread,
    _captures: CaptureThread,
    sources: Sources,
    workers: [Receiver<Command>; 2],
    ike: Arc<Ike>,
    folder: tempfile::TempDir,
}

fn path(port: u16) -> OuterPath {
    OuterPath { local: "192.0.2.1:4500".parse().unwrap(), peer: ([198, 51, 100, 7], port).into() }
}

fn daemon() -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let (asker, questions) = ask::channel();
    let ike = Arc::new(Ike::default());
    *ike.paths.lock().unwrap() = Some([Some(path(4500)), None]);
    let answering = Arc::clone(&ike);
    std::thread::spawn(move || {
        for question in questions {
            match question {
                Question::CaptureTarget(id, answer) => {
                    let who = Who {
                        session: Some(id),
                        identity: Some("alice@rig".into()),
                        connection: Some("rig".into()),
                        peer: path(4500).peer,
                    };
                    let paths = answering.paths.lock().unwrap().filter(|_| id == SessionId(7));
                    let target = paths.map(|paths| Target { session: id, who, tunnel: TUNNEL, paths });
                    drop(answer.send(target));
                }
                Question::Tell(happening) => answering.told.lock().unwrap().push(*happening),
                other => panic!("nobody asks {other:?} here"),
            }
        }
    });
    let [(first, taken_first), (second, taken_second)] = [bounded(64), bounded(64)];
    let worker =
        |commands| WorkerHandle { commands, waker: Arc::new(Silent), counters: Arc::new(WorkerCounters::default()) };
    let workers = [worker(first), worker(second)];
    let (disk, _runs_as_long_as_anybody_writes) = Disk::start().unwrap();
    let captures = CaptureThread::start(Some(folder.path().join("captures")), disk, &workers, asker.clone()).unwrap();
    let socket = ApiSocket::bind(&folder.path().join("aditd.sock")).unwrap();
    let (aaa, _nobody) = adit_control::aaa::window::channel();
    let (_feed, arriving) = journal::feed(Duration::from_secs(1_795_804_200));
    let (board, keeping) = Board::new(Journal::new(64, 7), arriving);
    let reloader = adit_control::api::reload::requests().0;
    let sources = Sources { asker, reloader, aaa, workers: [].into(), captures: captures.clerk().clone(), board };
    let api = ApiThread::start(Doors::local(socket), sources.clone(), keeping).unwrap();
    Daemon { _api: api, _captures: captures, sources, workers: [taken_first, taken_second], ike, folder }
}

impl Daemon {
    fn ctl(&self, arguments: &[&str]) -> Program {
        let mut program = Program::new(env!("CARGO_BIN_EXE_aditctl"));
        let socket = self.folder.path().join("aditd.sock");
        program.env("COLUMNS", "120").arg("--socket").arg(socket).args(arguments);
        program.current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        program
    }

    fn out(&self, arguments: &[&str]) -> String {
        text(&self.ctl(arguments).output().unwrap())
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        self.ctl(&[&["capture", "s7"], arguments].concat()).spawn().unwrap()
    }

    /// Both workers' orders.
    fn orders(&self) -> [CaptureOrder; 2] {
        self.workers.each_ref().map(|commands| match commands.recv_timeout(SOON).unwrap() {
            Command::Capture(order) => *order,
            _ => panic!("a capture is ordered first"),
        })
    }

    /// Both workers are told to stop, and do.
    fn stops(&self, orders: [CaptureOrder; 2]) {
        for (commands, order) in self.workers.iter().zip(orders) {
            match commands.recv_timeout(SOON).unwrap() {
                Command::StopCapture { id } => assert_eq!(id, order.id),
                _ => panic!("it is to stop"),
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join("captures")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn send(signal: rustix::process::Signal, child: &Child) {
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn text(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn inner(order: &mut CaptureOrder, octet: u8, dropped: Option<DropReason>) {
    let number = order.writer.packet(clock::now(), CaptureWay::Down, Sight::Inner, 60, &[octet; 60]).unwrap();
    if let Some(reason) = dropped {
        order.writer.dropped(number, reason);
    }
    order.writer.end_burst();
}

/// Asks until it is so.
fn until(is_so: &dyn Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "another thread is waited for")]
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come about");
}

/// Interface, first octet behind the IP header or of the packet, whether there is a comment; and what was missed, by interface.
fn read(octets: &[u8]) -> (Vec<(u32, u8, bool)>, Vec<u64>) {
    let mut reader = PcapNgReader::new(octets).unwrap();
    let (mut packets, mut missed) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block() {
        match block.unwrap().0 {
            Block::EnhancedPacket(packet) => {
                let comment = packet.options.iter().any(|option| matches!(option, EnhancedPacketOption::Common(_)));
                packets.push((packet.interface_id, *packet.data.last().unwrap(), comment));
            }
            Block::InterfaceStatistics(statistics) => {
                missed.extend(statistics.options.iter().filter_map(|option| match option {
                    InterfaceStatisticsOption::IsbIfDrop(missed) => Some(*missed),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    (packets, missed)
}

#[test]
fn what_both_workers_copy_is_in_the_file_in_its_order_and_nothing_stays_behind() {
    let daemon = daemon();
    let child = daemon.begin(&["--seconds", "1", "-w", "here.pcapng"]);
    let [mut first, mut second] = daemon.orders();
    assert_eq!((first.tunnel, first.paths, first.snap), (TUNNEL, [Some(path(4500)), None], 65_535));
    let listed = daemon.out(&["captures"]);
    assert!(listed.contains("alice@rig") && listed.contains("running"), "{listed}");
    let sight = Sight::Outer { path: path(4500), form: OuterForm::Udp, class: TrafficClass::from_octet(0) };
    first.writer.packet(clock::now(), CaptureWay::Up, sight, 4, &[0, 0, 0, 1]).unwrap();
    first.writer.end_burst();
    inner(&mut second, 2, Some(DropReason::SelectorMismatch));
    inner(&mut first, 3, None);
    daemon.stops([first, second]);
    let output = child.wait_with_output().unwrap();
    text(&output);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("3 packets, ") && words.contains("its time is over"), "{words}");
    let octets = std::fs::read(daemon.folder.path().join("here.pcapng")).unwrap();
    assert_eq!(read(&octets), (vec![(0, 1, false), (1, 2, true), (1, 3, false)], vec![0, 0]));
    assert_eq!(daemon.out(&["captures"]), "no captures\n");
    assert_eq!(daemon.files(), Vec::<PathBuf>::new());

    let told = daemon.ike.told.lock().unwrap();
    assert!(told.iter().all(|happening| happening.who.as_ref().unwrap().session == Some(SessionId(7))));
    let [What::CaptureStarted { by, .. }, What::CaptureEnded { packets: 3, by: ended, .. }] =
        [&told[0].what, &told[1].what]
    else {
        panic!("{told:?}")
    };
    assert!(by.starts_with("uid ") && by == ended, "{by} {ended}");
}

#[test]
fn a_file_lies_where_only_its_owner_reads_it_and_is_gone_with_the_next_daemon() {
    let daemon = daemon();
    let child = daemon.begin(&["-w", "-"]);
    let orders = daemon.orders();
    let [file] = &daemon.files()[..] else { panic!("one file") };
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    assert_eq!(daemon.out(&["captures", "remove", "c1"]), "c1 is removed\n");
    daemon.stops(orders);
    let _refused = child.wait_with_output().unwrap();

    let left = daemon.folder.path().join("captures/c9.pcapng");
    let other = daemon.folder.path().join("captures/mine.pcapng");
    std::fs::write(&left, "packets").unwrap();
    std::fs::write(&other, "packets").unwrap();
    let (disk, _thread) = Disk::start().unwrap();
    let captures = daemon.folder.path().join("captures");
    let next = CaptureThread::start(Some(captures), disk, &[], ask::channel().0).unwrap();
    drop(next);
    assert!(!left.exists() && other.exists());
}

#[test]
fn a_capture_ends_with_its_session_and_is_aimed_where_that_goes() {
    let daemon = daemon();
    let child = daemon.begin(&["-w", "-"]);
    let orders = daemon.orders();
    *daemon.ike.paths.lock().unwrap() = Some([Some(path(9)), Some(path(9))]);
    for commands in &daemon.workers {
        match commands.recv_timeout(SOON).unwrap() {
            Command::AimCapture(aim) => assert_eq!((aim.id, aim.paths), (orders[0].id, [Some(path(9)); 2])),
            _ => panic!("it is to be aimed"),
        }
    }
    // The owner's tunnel is gone before anybody is asked.
    let [first, second] = orders;
    drop(second.writer);
    match daemon.workers[0].recv_timeout(SOON).unwrap() {
        Command::StopCapture { .. } => drop(first),
        _ => panic!("the other worker is to stop"),
    }
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("its session has ended"));
    assert_eq!(read(&output.stdout), (vec![], vec![0, 0]));
    *daemon.ike.paths.lock().unwrap() = None;
    let output = daemon.ctl(&["capture", "s7"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), words.contains("no session s7")), (Some(1), true), "{words}");
}

#[test]
fn a_file_that_is_full_ends_the_capture_whole() {
    let daemon = daemon();
    let child = daemon.begin(&["--size", "4096", "--what", "inner", "-w", "-"]);
    let [mut first, mut second] = daemon.orders();
    for octet in 0..100 {
        inner(&mut second, octet, None);
    }
    inner(&mut first, 1, None);
    daemon.stops([first, second]);
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("as long as it may be"));
    assert!(output.stdout.len() <= 4096);
    let (packets, missed) = read(&output.stdout);
    assert!((10..100).contains(&packets.len()) && missed == [0], "{} packets", packets.len());
}

#[test]
fn a_disk_that_takes_no_more_ends_the_capture_with_the_packets_that_it_has() {
    let name = "a_disk_that_takes_no_more_ends_the_capture_with_the_packets_that_it_has";
    if std::env::var_os("ADIT_TEST_SMALL_FILES").is_some() {
        return capture_more_than_the_disk_takes();
    }
    // Alone in a process: the limit is for all of it.
    let mut alone = Program::new(std::env::current_exe().unwrap());
    let output = alone.args(["--exact", name]).env("ADIT_TEST_SMALL_FILES", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn capture_more_than_the_disk_takes() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).unwrap();
    let daemon = daemon();
    let child = daemon.begin(&["--what", "inner", "-w", "-"]);
    let [mut first, second] = daemon.orders();
    (0..5).for_each(|octet| inner(&mut first, octet, None));
    let [file] = &daemon.files()[..] else { panic!("one file") };
    let length = || std::fs::metadata(file).unwrap().len();
    until(&|| read(&std::fs::read(file).unwrap()).0.len() == 5);
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let limit = |octets| setrlimit(Resource::Fsize, Rlimit { current: octets, maximum }).unwrap();
    // Some of the next piece would fit.
    limit(Some(length() + 1000));
    (0..100).for_each(|octet| inner(&mut first, octet, None));
    daemon.stops([first, second]);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("5 packets, ") && words.contains("the disk takes no more"), "{words}");
    let (packets, missed) = read(&output.stdout);
    assert_eq!((packets.len(), missed), (5, vec![]));
    limit(maximum);
    let another = daemon.begin(&["--what", "inner", "-w", "-"]);
    let [mut first, second] = daemon.orders();
    inner(&mut first, 7, None);
    daemon.out(&["captures", "remove", "c2"]);
    daemon.stops([first, second]);
    let _refused = another.wait_with_output().unwrap();
}

#[test]
fn what_finds_no_room_is_told() {
    let daemon = daemon();
    let child = daemon.begin(&["--seconds", "2", "-w", "-"]);
    let [mut first, second] = daemon.orders();
    let mut missed = 0;
    for _ in 0..20_000 {
        let written = first.writer.packet(clock::now(), CaptureWay::Up, Sight::Inner, 1500, &[7; 1500]);
        missed += u64::from(written.is_none());
    }
    first.writer.end_burst();
    daemon.stops([first, second]);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    let (_, told) = read(&output.stdout);
    assert!(missed > 0 && told == [0, missed], "{missed} {told:?} {words}");
}

#[test]
fn four_run_at_a_time_and_interrupting_one_brings_what_it_has() {
    let daemon = daemon();
    let mut running: Vec<_> = (0..4).map(|_| (daemon.begin(&["-w", "-"]), daemon.orders())).collect();
    let output = daemon.ctl(&["capture", "s7"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && words.contains("4 captures run"), "{words}");
    let (mut child, mut orders) = running.remove(0);
    // It listens for an interruption before it asks for the file.
    let mut out = child.stdout.take().unwrap();
    let mut octets = vec![0; 4];
    out.read_exact(&mut octets).unwrap();
    inner(&mut orders[0], 5, None);
    send(rustix::process::Signal::INT, &child);
    daemon.stops(orders);
    out.read_to_end(&mut octets).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(read(&octets).0, [(1, 5, false)]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("an operator has stopped it"));
    for (number, (child, orders)) in running.into_iter().enumerate() {
        daemon.out(&["captures", "remove", &format!("c{}", number + 2)]);
        daemon.stops(orders);
        let _refused = child.wait_with_output().unwrap();
    }
}

#[test]
fn who_may_only_look_sees_the_list_and_no_packet() {
    let daemon = daemon();
    let child = daemon.begin(&["-w", "-"]);
    let orders = daemon.orders();
    let sources = daemon.sources.clone();
    let ask = |method: &'static str, path: &'static str, role: Role| {
        let sources = sources.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (mut ours, theirs) = tokio::io::duplex(1 << 16);
            let caller = Caller { name: "olga".into(), role, by: By::Socket };
            tokio::spawn(serve(theirs, router(sources), Peer::Local(caller), pending()));
            let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            ours.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            ours.read_to_end(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer).lines().next().unwrap().to_owned()
        })
    };
    for (method, path, answer) in [
        ("GET", "/v1/captures", "HTTP/1.1 200 OK"),
        ("GET", "/v1/captures/c1", "HTTP/1.1 200 OK"),
        ("GET", "/v1/captures/c1/file", "HTTP/1.1 403 Forbidden"),
        ("HEAD", "/v1/captures/c1/file", "HTTP/1.1 403 Forbidden"),
        ("POST", "/v1/captures?session=s7", "HTTP/1.1 403 Forbidden"),
        ("POST", "/v1/captures/c1/stop", "HTTP/1.1 403 Forbidden"),
        ("DELETE", "/v1/captures/c1", "HTTP/1.1 403 Forbidden"),
    ] {
        assert_eq!(ask(method, path, Role::Read), answer, "{method} {path}");
    }
    for (method, path, answer) in [
        ("GET", "/v1/captures/c2", "HTTP/1.1 404 Not Found"),
        ("GET", "/v1/captures/..%2Fc1/file", "HTTP/1.1 400 Bad Request"),
        ("POST", "/v1/captures?session=s7&seconds=0", "HTTP/1.1 400 Bad Request"),
        ("POST", "/v1/captures?session=s8", "HTTP/1.1 404 Not Found"),
        ("POST", "/v1/captures", "HTTP/1.1 400 Bad Request"),
        ("DELETE", "/v1/captures/c1", "HTTP/1.1 200 OK"),
    ] {
        assert_eq!(ask(method, path, Role::Admin), answer, "{method} {path}");
    }
    daemon.stops(orders);
    let _refused = child.wait_with_output().unwrap();
}

/// The tests themselves may run under nohup.
fn hearing_hup(aditctl: &Program) -> Program {
    let mut heard = Program::new("env");
    heard.arg("--default-signal=HUP").arg(aditctl.get_program()).args(aditctl.get_args());
    heard.stdout(Stdio::piped()).stderr(Stdio::piped());
    heard
}

#[test]
fn whatever_ends_aditctl_before_anybody_reads_its_pipe_nothing_stays_behind() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let daemon = daemon();
        let pipe = daemon.folder.path().join("pipe");
        assert!(Program::new("mkfifo").arg(&pipe).status().unwrap().success());
        let child = hearing_hup(&daemon.ctl(&["capture", "s7", "-w", pipe.to_str().unwrap()])).spawn().unwrap();
        let orders = daemon.orders();
        send(signal, &child);
        let stops = daemon.workers[0].recv_timeout(SOON);
        if stops.is_err() {
            send(Signal::KILL, &child);
        }
        assert!(matches!(stops, Ok(Command::StopCapture { .. })), "{signal:?}: it is to stop");
        drop(orders);
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && words.contains("nobody has read it yet"), "{signal:?} {words}");
        assert_eq!(daemon.out(&["captures"]), "no captures\n");
        assert_eq!(daemon.files(), Vec::<PathBuf>::new());
    }
}

#[test]
fn whatever_ends_aditctl_no_packets_stay_behind() {
    use rustix::process::Signal;
    for signal in [Signal::TERM, Signal::HUP] {
        let daemon = daemon();
        let mut child = hearing_hup(&daemon.ctl(&["capture", "s7", "-w", "-"])).spawn().unwrap();
        let mut orders = daemon.orders();
        let mut out = child.stdout.take().unwrap();
        let mut octets = vec![0; 4];
        out.read_exact(&mut octets).unwrap();
        inner(&mut orders[0], 5, None);
        send(signal, &child);
        daemon.stops(orders);
        out.read_to_end(&mut octets).unwrap();
        text(&child.wait_with_output().unwrap());
        assert_eq!(read(&octets).0, [(1, 5, false)], "{signal:?}");
        assert_eq!(daemon.out(&["captures"]), "no captures\n");
        assert_eq!(daemon.files(), Vec::<PathBuf>::new());
    }
}

#[test]
fn under_nohup_it_goes_on() {
    use rustix::process::Signal;
    let daemon = daemon();
    let aditctl = daemon.ctl(&["capture", "s7", "-w", "-"]);
    let mut nohup = Program::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(aditctl.get_program()).args(aditctl.get_args());
    let mut child = nohup.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut orders = daemon.orders();
    let mut out = child.stdout.take().unwrap();
    let mut octets = vec![0; 4];
    out.read_exact(&mut octets).unwrap();
    send(Signal::HUP, &child);
    inner(&mut orders[0], 5, None);
    while !octets.windows(60).any(|octets| octets == [5; 60]) {
        let mut more = [0; 4096];
        let n = out.read(&mut more).unwrap();
        octets.extend(&more[..n]);
    }
    assert!(daemon.out(&["captures"]).contains("running"));
    send(Signal::TERM, &child);
    daemon.stops(orders);
    text(&child.wait_with_output().unwrap());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error_and_its_capture_goes() {
    let daemon = daemon();
    let mut child = daemon.begin(&["-w", "-"]);
    let mut orders = daemon.orders();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 4]).unwrap();
    drop(out);
    inner(&mut orders[0], 5, None);
    daemon.stops(orders);
    text(&child.wait_with_output().unwrap());
    assert_eq!(daemon.out(&["captures"]), "no captures\n");
}

#[test]
fn what_cannot_be_written_here_is_said_and_stays_with_the_daemon() {
    let daemon = daemon();
    let full = Path::new("/dev/full");
    let before = mode(full);
    let child = daemon.begin(&["-w", "/dev/full"]);
    let orders = daemon.orders();
    daemon.stops(orders);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    for word in ["/dev/full: No space left", "after 0 B", "captures remove c1", "/v1/captures/c1/file"] {
        assert!(words.contains(word), "{word}: {words}");
    }
    until(&|| daemon.out(&["captures"]).contains("stopped"));
    let [file] = &daemon.files()[..] else { panic!("one file") };
    assert!(read(&std::fs::read(file).unwrap()).1 == [0, 0], "it is whole");
    assert!(full.metadata().unwrap().file_type().is_char_device() && mode(full) == before);
    daemon.out(&["captures", "remove", "c1"]);

    // There is no such folder: nothing is captured that nobody can have.
    let child = daemon.begin(&["-w", "nowhere/here.pcapng"]);
    daemon.stops(daemon.orders());
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && words.contains("aditctl: nowhere/here.pcapng: No such file"), "{words}");
    assert_eq!(daemon.out(&["captures"]), "no captures\n");
}

#[test]
fn a_file_that_is_there_already_is_its_owners_alone_before_the_first_packet_is_in_it() {
    let daemon = daemon();
    let here = daemon.folder.path().join("here.pcapng");
    std::fs::write(&here, "of last week, and longer than what comes now ".repeat(100)).unwrap();
    std::fs::set_permissions(&here, std::fs::Permissions::from_mode(0o644)).unwrap();
    let child = daemon.begin(&["--seconds", "1", "-w", "here.pcapng"]);
    daemon.stops(daemon.orders());
    text(&child.wait_with_output().unwrap());
    assert_eq!((mode(&here), read(&std::fs::read(&here).unwrap()).1), (0o600, vec![0, 0]));
}

#[test]
fn a_file_that_cannot_be_made_its_owner_s_alone_keeps_what_it_has() {
    // Nobody else can give a file away, to be somebody who may write to it and do no more.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let daemon = daemon();
    let here = daemon.folder.path().join("here.pcapng");
    std::fs::write(&here, "of last week").unwrap();
    std::fs::set_permissions(&here, std::fs::Permissions::from_mode(0o666)).unwrap();
    std::os::unix::fs::chown(&here, Some(65_534), None).unwrap();
    let aditctl = daemon.ctl(&["capture", "s7", "-w", here.to_str().unwrap()]);
    let mut weak = Program::new("setpriv");
    weak.args(["--bounding-set=-fowner", "--inh-caps=-fowner"]).arg(aditctl.get_program()).args(aditctl.get_args());
    let child = weak.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    daemon.stops(daemon.orders());
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && words.contains("not permitted"), "{words}");
    assert_eq!(std::fs::read_to_string(&here).unwrap(), "of last week");
    assert_eq!(daemon.out(&["captures"]), "no captures\n");
}

/// A daemon that breaks off in the middle of a file. What it was asked.
fn breaking_off(socket: &Path) -> std::thread::JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(socket).unwrap();
    let view = CaptureView {
        id: "c1".into(),
        session: "s7".into(),
        identity: "alice@rig".into(),
        what: Sides::Both,
        by: "uid 0".into(),
        state: CaptureState::Ending,
        end: Some(CaptureEnd::Stopped),
        age_seconds: 1,
        seconds: 60,
        snap: 65_535,
        packets: 12,
        octets: 34_000,
        octets_most: 10_000_000,
        missed: 0,
    };
    let view = serde_json::to_string(&view).unwrap();
    std::thread::spawn(move || {
        let mut asked = Vec::new();
        while asked.len() < 3 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).unwrap();
                head.extend(octet);
            }
            let line = String::from_utf8_lossy(&head).lines().next().unwrap().to_owned();
            let answer = match line.starts_with("GET") {
                true => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\npcapn\r\n".to_owned(),
                false => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{view}", view.len()),
            };
            stream.write_all(answer.as_bytes()).unwrap();
            asked.push(line.split('?').next().unwrap().trim_end_matches(" HTTP/1.1").to_owned());
        }
        asked
    })
}

#[test]
fn a_file_that_breaks_off_is_no_capture_that_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("aditd.sock");
    let asked = breaking_off(&socket);
    let mut program = Program::new(env!("CARGO_BIN_EXE_aditctl"));
    let output = program.arg("--socket").arg(&socket).args(["capture", "s7", "-w", "-"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b"pcapn"[..]), "{words}");
    assert!(words.contains("after 5 B") && words.contains("12 packets, 33.2 KiB") && words.contains("c1"), "{words}");
    let expected = ["POST /v1/captures", "GET /v1/captures/c1/file", "POST /v1/captures/c1/stop"];
    assert_eq!(asked.join().unwrap(), expected, "it is not removed");
}
