//! The control API with a stand-in for the IKE thread, and what that answers.

use adit_control::api::ask::{self, CannotMove, DrainOrder, MoveOrder, Obeyed, Question};
use adit_control::api::listen::ApiSocket;
use adit_control::api::reload;
use adit_control::api::routes::Sources;
use adit_control::api::transports::TransportUse;
use adit_control::api::views::{CertificateView, DrainView, IkeView, StatusView};
use adit_control::capture;
use adit_control::ctcp::{ClearView, ConnectionView, FlowView, MoveView, StreamView};
use adit_control::ike::counters::EngineCounters;
use adit_control::ike::engine::Holdings;
use adit_control::journal::{self, Board, Feed, Journal};
use adit_control::lease::{LeasePage, LeaseView, PoolView, RangeView};
use adit_control::runtime::api_thread::{ApiThread, Doors};
use adit_control::session::{Health, Listed, PolicyView, SaView, SessionId, SessionState, SessionView, TransportLoad};
use adit_dataplane::contract::{
    Amount, Diagnosis, DownEvidence, DropReason, Evidence, Finding, FlowId, FlowReport, Leg, Loss, Path as OuterPath,
    PathClass, PeerClass, Percent, Stall, Stalling, StreamEvidence, StreamReport, StreamState, SynOptions, Transport,
    TunnelKey, UpEvidence, WorkerCounters, WorkerId,
};
use crossbeam_channel::Receiver;
use std::any::Any;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Daemon {
    api: ApiThread,
    feed: Feed,
    folder: tempfile::TempDir,
    /// What the reload thread and the AAA thread are asked for waits here: they are slow.
    _waiting: (Receiver<reload::Request>, Box<dyn Any>),
}

impl Daemon {
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("aditd.sock")
    }

    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        ctl(&self.socket(), arguments)
    }

    /// The API ends; what it stood in is left.
    pub(crate) fn end_api(self) -> (tempfile::TempDir, Feed) {
        drop(self.api);
        (self.folder, self.feed)
    }
}

pub(crate) fn ctl(socket: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_aditctl");
    Command::new(program).env("COLUMNS", "80").arg("--socket").arg(socket).args(arguments).output().unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn raw(daemon: &Daemon, request: &str) -> String {
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Serves with an IKE thread that treats each question as `answer` does.
pub(crate) fn daemon(answer: impl Fn(Question) + Send + 'static) -> Daemon {
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
    let (aaa, to_aaa) = adit_control::aaa::window::channel();
    let (feed, arriving) = journal::feed(Duration::from_secs(1_795_804_200));
    let (board, keeping) = Board::new(Journal::new(64, 7), arriving);
    let ((reloader, to_reload), workers) = (reload::requests(), workers.into());
    let sources = Sources { asker, reloader, aaa, workers, captures: capture::channel().0, board };
    let api = ApiThread::start(Doors::local(socket), sources, keeping).unwrap();
    Daemon { api, feed, folder, _waiting: (to_reload, Box::new(to_aaa)) }
}

pub(crate) fn serving() -> Daemon {
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
        Question::Flows(query, answer) => {
            let owner = |tunnel: TunnelKey| match tunnel.slot {
                2 => Some((SessionId(7), "alice".to_owned())),
                3 => Some((SessionId(8), "bob".to_owned())),
                _ => None,
            };
            drop(answer.send(query.page(&[flow_report(true), flow_report(false)], &[stream_report()], owner)));
        }
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
        Question::MoveFlow(order, answer) => drop(answer.send(moved(&order))),
    })
}

/// Session s1 has the first of these, s2 the second, and the stream is nobody's yet.
pub(crate) fn moved(order: &MoveOrder) -> Result<MoveView, CannotMove> {
    let [of_s1, of_s2, nobodys] = [flow_report(true).id, flow_report(false).id, stream_report().id];
    let (session, closed, left) = ("s1".to_owned(), "ctcp".to_owned(), ["nat-t", "esp"].map(str::to_owned).to_vec());
    match order.connection {
        id if id == of_s1 && !order.by.is_empty() => {
            Ok(MoveView { session, closed, seconds: order.time.as_secs(), left })
        }
        id if id == of_s2 => Err(CannotMove::NoOther(SessionId(2))),
        id if id == nobodys => Err(CannotMove::NotUp),
        _of_none => Err(CannotMove::NoSuchConnection),
    }
}

pub(crate) fn transports() -> Vec<TransportUse> {
    let load = TransportLoad { sessions: 3, bytes_in: 2048, bytes_out: 1536 };
    let listen = ["192.0.2.1:4500", "[2001:db8:1::1]:4500"].map(str::to_owned).to_vec();
    let none = TransportUse { transport: Transport::Esp, listen: vec![], load: TransportLoad::default() };
    vec![TransportUse { transport: Transport::NatT, listen, load }, none]
}

pub(crate) fn status() -> StatusView {
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

pub(crate) fn session() -> SessionView {
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

pub(crate) fn connecting() -> SessionView {
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

pub(crate) fn certificate() -> CertificateView {
    CertificateView { used_for: "api".to_owned(), subject: "CN=headend.rig".to_owned(), not_after: 1_795_804_200 }
}

pub(crate) fn pool() -> PoolView {
    let range = |network: &str, size, in_use, reserved| RangeView {
        network: network.to_owned(),
        size,
        in_use,
        held: 1,
        reserved,
        reserved_in_use: reserved.min(1),
    };
    PoolView {
        name: "main".to_owned(),
        ranges: vec![range("10.30.0.0/24", 253, 54, 200), range("fd30::/64", 1 << 53, 1, 0)],
    }
}

pub(crate) fn lease() -> LeaseView {
    LeaseView {
        address: "10.30.0.2".parse().unwrap(),
        pool: "main".to_owned(),
        session: "s7".to_owned(),
        identity: "alice@rig.example.org".to_owned(),
        state: "in_use".to_owned(),
    }
}

pub(crate) fn sa() -> SaView {
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

pub(crate) fn ike() -> IkeView {
    let mut counters = EngineCounters::default();
    counters.logins = 1;
    let mut view = IkeView::new(Holdings { sessions: 1, leases: 2, ..Holdings::default() }, &counters);
    for reason in view.ignored.iter_mut().filter(|reason| reason.name == "bad_icv") {
        reason.total = 1_234_567;
    }
    view
}

/// One that has stalled, and one that is well and whose client has not logged in.
pub(crate) fn flow_report(stalled: bool) -> FlowReport {
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

pub(crate) fn flow(stalled: bool) -> ConnectionView {
    let session = Some((SessionId(7), "alice".to_owned())).filter(|_| stalled);
    ConnectionView::Ctcp(Box::new(FlowView::new(&flow_report(stalled), session)))
}

pub(crate) fn stream_report() -> StreamReport {
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

pub(crate) fn stream() -> ConnectionView {
    ConnectionView::Tcp(Box::new(StreamView::new(&stream_report(), Some((SessionId(8), "bob".to_owned())))))
}
