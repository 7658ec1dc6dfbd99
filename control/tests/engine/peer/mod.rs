//! The other side, for tests: a small honest initiator, and a dataplane that only remembers.
//!
//! The initiator is written from RFC 7296 with the wire and key functions alone; it knows nothing of the engine.
#![allow(unreachable_pub, reason = "it is for the files beside it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test helper fails by panicking")]

pub mod calls;
pub mod client;
pub mod dataplane;
pub mod drawn;
pub mod line;
pub mod stall;
pub mod v1;

use adit_control::config::checked::*;
use adit_control::ike::engine::Engine;
use adit_control::ike::wire::Id;
use adit_crypto::random::SeededRandom;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{ClusterSlot, Event, IkeDatagram, SpiLayout, WorkerId};
use adit_dataplane::time::Instant;
use dataplane::Dataplane;
use std::sync::Arc;
use std::time::Duration;

pub const PSK: &[u8] = b"rig-psk-secret";
pub const IKE: &str = "aes128gcm16-prfsha256-x25519";
pub const ESP: &str = "aes128gcm16";

/// One connection for `*@rig`, a pool of two families, two workers.
pub fn config() -> Config {
    Config {
        identity: Id::parse("headend.rig").unwrap(),
        certificate: None,
        listen: Listen {
            addresses: vec![[0, 0, 0, 0].into()],
            ike_port: 500,
            natt_port: 4500,
            cisco_udp_port: Some(10_000),
            native_esp: NativeEsp::Carried,
            nat_traversals: NatTraversals::ALL,
            ctcp_ports: vec![10_000],
            ctcp_mode: CtcpMode::Adaptive,
            tcp_port: Some(4500),
        },
        ctcp: Ctcp::default(),
        flows: Flows::default(),
        workers: Workers {
            cores: vec![None, None],
            burst: 64,
            spin: Duration::ZERO,
            coalesce: Duration::ZERO,
            buffers: 1024,
        },
        tun: Tun { name: "adit0".to_owned(), mtu: 1400 },
        io: IoBackend::Auto,
        socket_buffers: SocketBuffers { receive: 1 << 20, send: 1 << 20 },
        crypto: adit_crypto::esp_cipher::Backend::Auto,
        log: Log { level: "info".to_owned(), format: LogFormat::Text },
        api: Api::local("/run/adit/control.sock"),
        events: Events::default(),
        state: State::default(),
        ike: Ike {
            dpd_delay: Duration::from_secs(30),
            retransmit_initial: Duration::from_secs(4),
            retransmit_factor: 1.8,
            retransmit_tries: 3,
            half_open_timeout: Duration::from_secs(20),
            half_open_limit: 64,
            half_open_limit_per_source: 64,
            cookie_threshold: 64,
            cookie_threshold_per_source: 64,
            fragment_size: 1280,
            session_limit: 100,
            natt_keepalive: Duration::from_secs(20),
            rekey_grace: Duration::from_secs(5),
            children_limit: 4,
            rekey_time: Duration::ZERO,
            over_time: Duration::from_secs(60),
        },
        esp: Esp { replay_window: 1024, rekey: Rekey::default(), hard_factor: 1.25, moves_per_minute: 60 },
        sizes: Sizes::default(),
        pools: vec![Pool {
            name: "office".to_owned(),
            v4: Some("10.30.0.0/24".parse().unwrap()),
            v6: Some("fd30::/64".parse().unwrap()),
            dns: vec!["10.20.0.53".parse().unwrap(), "fd20::53".parse().unwrap()],
            netbios_name_servers: Vec::new(),
        }],
        classes: Vec::new(),
        users: Users::default(),
        radius: Vec::new(),
        connections: vec![Connection {
            name: "rig".to_owned(),
            remote_ids: vec![IdPattern::parse("*@rig").unwrap()],
            pools: vec![0],
            networks: vec!["10.20.0.0/24".parse().unwrap(), "fd20::/64".parse().unwrap()],
            esp_proposals: vec![EspProposal::parse("aes128gcm16-x25519").unwrap(), EspProposal::parse(ESP).unwrap()],
            transports: Transports::ALL,
            rules: Rules::default(),
            login: Login::V2(LoginV2 {
                psk: SecretBytes::from(PSK),
                ike_proposals: vec![
                    IkeProposal::parse(IKE).unwrap(),
                    IkeProposal::parse("aes256-sha256-modp2048").unwrap(),
                ],
            }),
        }],
    }
}

/// What the first connection has of IKEv2.
pub fn login(config: &mut Config) -> &mut LoginV2 {
    login_of(&mut config.connections[0])
}

/// What a connection has of IKEv2.
pub fn login_of(connection: &mut Connection) -> &mut LoginV2 {
    match &mut connection.login {
        Login::V2(login) => login,
        Login::V1(_) => panic!("a connection by IKEv2"),
    }
}

/// Every line is written out, so that what a peer sent is shown as it would be, and goes nowhere.
pub fn log_to_nowhere() {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::sink);
    // Another test has done it already, perhaps.
    let _ = subscriber.try_init();
}

/// Somebody on the way.
pub type Before = Box<dyn FnMut(&mut World, &IkeDatagram)>;

/// The engine, its dataplane and the time.
pub struct World {
    pub engine: Engine,
    pub dataplane: Dataplane,
    pub now: Instant,
    /// What somebody on the way does before an honest datagram arrives.
    pub before: Option<Before>,
    /// Datagrams that came behind such.
    pub met: usize,
}

impl World {
    pub fn new(config: Config) -> Self {
        let workers = config.workers.cores.len();
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
        let engine = Engine::new(Arc::new(config), workers, layout, Box::new(SeededRandom::new(2)));
        let now = Instant::ZERO + Duration::from_secs(1000);
        Self { engine, dataplane: Dataplane::default(), now, before: None, met: 0 }
    }

    /// A datagram arrives at worker 0. What the engine sends comes back.
    pub fn deliver(&mut self, datagram: &IkeDatagram) -> Vec<IkeDatagram> {
        if let Some(mut before) = self.before.take() {
            before(self, datagram);
            self.before = Some(before);
            self.met += 1;
        }
        self.event(WorkerId(0), Event::Ike(datagram.clone()))
    }

    /// Something happens at a worker.
    pub fn event(&mut self, worker: WorkerId, event: Event) -> Vec<IkeDatagram> {
        self.engine.handle_event(self.now, worker, event);
        self.drain()
    }

    /// Time passes, deadline by deadline. What the engine sends comes back.
    pub fn pass(&mut self, time: Duration) -> Vec<IkeDatagram> {
        let end = self.now + time;
        let mut sent = Vec::new();
        let mut turns = 0;
        while let Some(deadline) = self.engine.poll_timeout().filter(|deadline| *deadline <= end) {
            assert!(turns < 10_000, "the engine asks to be called without end");
            turns += 1;
            self.now = self.now.max(deadline);
            self.engine.handle_timeout(self.now);
            sent.extend(self.drain());
        }
        self.now = end;
        sent
    }

    /// All outputs are done, and what retires comes home.
    pub fn drain(&mut self) -> Vec<IkeDatagram> {
        let mut sent = Vec::new();
        loop {
            while let Some(output) = self.engine.poll_output() {
                sent.extend(self.dataplane.obey(output));
            }
            let Some((worker, report)) = self.dataplane.reports.pop_front() else { return sent };
            self.engine.handle_event(self.now, worker, report);
        }
    }

    /// The engine's books and the dataplane agree.
    #[track_caller]
    pub fn assert_books_agree(&self) {
        let held = self.engine.holdings();
        let tunnels = &self.dataplane.tunnels;
        assert_eq!(held.tunnels, tunnels.len());
        // One more for each child SA that is being asked for; one question at a time.
        let inbound = tunnels.values().map(|tunnel| tunnel.inbound.len()).sum::<usize>();
        assert!((inbound..=inbound + held.sessions).contains(&held.spis), "{} for {inbound}", held.spis);
        assert_eq!(held.routes, self.dataplane.routes_published());
        assert_eq!(held.leases, held.routes);
        assert!(held.tunnels <= held.sessions);
        assert_eq!(self.engine.sessions(self.now).len(), held.sessions + held.half_open);
        // The one in use, two that the peer and two that we are to delete, a rival, and the one being asked for.
        assert!(held.ike_sas <= 7 * held.sessions + held.half_open);
        for tunnel in tunnels.values() {
            let halves = tunnel.inbound.keys().eq(tunnel.outbound.keys());
            assert!(halves && tunnel.lanes.values().all(|spi| tunnel.inbound.contains_key(spi)));
        }
    }

    /// Nothing is left in any table, on either side. What remembers last answers ends by itself.
    #[track_caller]
    pub fn assert_nothing_left(&mut self) {
        let mut held = self.engine.holdings();
        assert_eq!(held.timers, held.farewells, "only last answers may wait for their end");
        assert!(self.engine.is_idle());
        (held.timers, held.farewells) = (0, 0);
        assert_eq!(held, Default::default());
        assert!(self.engine.sessions(self.now).is_empty());
        assert!(self.engine.sas(self.now).is_empty());
        self.dataplane.assert_empty();
        assert!(self.pass(Duration::from_secs(60)).is_empty());
        assert_eq!(self.engine.holdings(), Default::default(), "last answers are forgotten in time");
        assert_eq!(self.engine.poll_timeout(), None);
    }
}
