//! A configuration that cannot be wrong: every name resolved, every number in range.

mod flows;
mod ikev1;
mod operators;
mod password_hash;
mod policy;
mod radius;
mod state;
mod users;

pub use flows::{FlowTable, Flows};
pub use ikev1::{AuthV1, LocalLan, LoginV1, Modes, Pfs, Phase1Proposal, SavePassword, Unity, Xauth};
pub use operators::{Api, ApiTcp, Named, Operator, TOKEN_LEN, TokenHash};
pub use password_hash::{PasswordHash, PasswordHashError};
pub use policy::{Class, Rules, WhenFull};
pub use radius::{PasswordProtocol, RadiusServer, Signature};
pub use state::State;
pub use users::{Access, User, UserSource, Users};

pub use crate::ike::v1::wire::{NatTraversal, NatTraversals};
use crate::ike::wire::{Id, IdKind};
use crate::pki::OwnCertificate;
use adit_crypto::esp_cipher::Backend;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::{CipherSuite, Encr, Integ, KexGroup, PrfId, SequenceNumbers};
pub use adit_dataplane::contract::{Transport, Transports};
use adit_dataplane::contract::{TunnelRules, TunnelSpec};
use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// The whole.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who we are (IDr).
    pub identity: Id,
    /// How we prove it by certificate, if we can.
    pub certificate: Option<Arc<OwnCertificate>>,
    /// Outer side.
    pub listen: Listen,
    /// What becomes of connections by cTCP.
    pub ctcp: Ctcp,
    /// Threads.
    pub workers: Workers,
    /// What is known of flows inside tunnels.
    pub flows: Flows,
    /// Inner side.
    pub tun: Tun,
    /// Which door.
    pub io: IoBackend,
    /// Of each outer socket.
    pub socket_buffers: SocketBuffers,
    /// Which cipher library.
    pub crypto: Backend,
    /// Logs.
    pub log: Log,
    /// Control API.
    pub api: Api,
    /// What happens.
    pub events: Events,
    /// What outlives the process.
    pub state: State,
    /// Timers and limits of IKE.
    pub ike: Ike,
    /// Of every child SA.
    pub esp: Esp,
    /// What fits into tunnels, and what stands on them outside.
    pub sizes: Sizes,
    /// Address pools, by index.
    pub pools: Vec<Pool>,
    /// Classes of bandwidth, by index.
    pub classes: Vec<Class>,
    /// Users of our own.
    pub users: Users,
    /// RADIUS servers, in the order in which they serve.
    pub radius: Vec<RadiusServer>,
    /// Connections, first match wins.
    pub connections: Vec<Connection>,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Wildcards allowed.
    pub addresses: Vec<IpAddr>,
    /// Usually 500.
    pub ike_port: u16,
    /// Usually 4500.
    pub natt_port: u16,
    /// Of Cisco's IPsec over UDP, usually 10000.
    pub cisco_udp_port: Option<u16>,
    /// ESP as IP protocol 50.
    pub native_esp: NativeEsp,
    /// What IKEv1 clients may pass a NAT by.
    pub nat_traversals: NatTraversals,
    /// TCP ports of cTCP.
    pub ctcp_ports: Vec<u16>,
    /// How it is treated.
    pub ctcp_mode: CtcpMode,
    /// TCP port of RFC 9329 alone; `ctcp_ports` take it too.
    pub tcp_port: Option<u16>,
}

/// When a cTCP connection is over that its client's packets no longer come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ctcp {
    /// After so long; `None` for never.
    pub stall_after: Option<Duration>,
    /// So long nobody else gets its session's addresses.
    pub hold_lease: Duration,
    /// Octets that one connection keeps for sending again.
    pub ring: usize,
    /// Octets that all connections of a worker hold.
    pub memory: usize,
}

impl Default for Ctcp {
    fn default() -> Self {
        Self {
            stall_after: Some(Duration::from_secs(6)),
            hold_lease: Duration::from_secs(300),
            ring: 512 << 10,
            memory: 256 << 20,
        }
    }
}

/// Whether ESP is carried without UDP around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NativeEsp {
    /// It is.
    #[default]
    Carried,
    /// It is not: clients must wrap theirs in UDP.
    Refused,
}

/// What the headend does for a cTCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CtcpMode {
    /// What its peer and path turn out to need.
    #[default]
    Adaptive,
    /// Nothing is held, nothing waits, nothing is repeated.
    Stateless,
}

impl Listen {
    /// How ESP may come.
    pub fn transports(&self) -> Transports {
        let cisco_udp = self.cisco_udp_port.map(|_| Transport::CiscoUdp);
        let esp = match self.native_esp {
            NativeEsp::Carried => Some(Transport::Esp),
            NativeEsp::Refused => None,
        };
        let ctcp = (!self.ctcp_ports.is_empty()).then_some(Transport::Ctcp);
        let tcp = self.tcp_ports().next().map(|_| Transport::Tcp);
        let stays = self.nat_traversals.iter().any(|version| !version.floats());
        let natt_500 = stays.then_some(Transport::NatT500);
        [Some(Transport::NatT), natt_500, cisco_udp, esp, ctcp, tcp].into_iter().flatten().collect()
    }

    /// All TCP ports.
    pub fn tcp_ports(&self) -> impl Iterator<Item = u16> {
        self.ctcp_ports.iter().copied().chain(self.tcp_port)
    }
}

/// Worker threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// One worker each, pinned where a core is named.
    pub cores: Vec<Option<usize>>,
    /// Packets per burst, 1 to 1024.
    pub burst: usize,
    /// How long an idle worker spins before it blocks.
    pub spin: Duration,
    /// The longest that a worker lets packets gather before it takes them.
    pub coalesce: Duration,
    /// Ordinary packet buffers per worker.
    pub buffers: usize,
}

/// The inner interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tun {
    /// Interface name.
    pub name: String,
    /// Octets.
    pub mtu: u16,
}

/// How packets come in and go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoBackend {
    /// io_uring where the kernel allows it.
    #[default]
    Auto,
    /// io_uring or nothing.
    IoUring,
    /// recvmmsg, sendmmsg, read, write.
    SystemCalls,
}

/// What the kernel may hold for one outer socket, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketBuffers {
    /// Received, not yet read.
    pub receive: usize,
    /// Written, not yet on the wire.
    pub send: usize,
}

impl Default for SocketBuffers {
    fn default() -> Self {
        Self { receive: 8 << 20, send: 4 << 20 }
    }
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a `tracing` filter.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// What is remembered of what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// So many, the latest.
    pub keep: usize,
}

impl Default for Events {
    fn default() -> Self {
        Self { keep: 4096 }
    }
}

/// Timers and limits of IKE.
#[derive(Debug, Clone, PartialEq)]
pub struct Ike {
    /// Quiet time after which a peer is asked whether it lives (RFC 7296 section 2.4).
    pub dpd_delay: Duration,
    /// First retransmission; each next waits `retransmit_factor` times as long.
    pub retransmit_initial: Duration,
    /// Usually 1.8.
    pub retransmit_factor: f64,
    /// Retransmissions before the peer counts as dead.
    pub retransmit_tries: u32,
    /// A half-open SA is forgotten after this.
    pub half_open_timeout: Duration,
    /// At most so many half-open SAs in all.
    pub half_open_limit: usize,
    /// At most so many half-open SAs from one IPv4 address or IPv6 /64.
    pub half_open_limit_per_source: usize,
    /// From so many half-open SAs on, everybody has to return a cookie (RFC 7296 section 2.6).
    pub cookie_threshold: usize,
    /// From so many half-open SAs of one source on, that source has to return a cookie.
    pub cookie_threshold_per_source: usize,
    /// Octets of the largest IP packet that an IKE message makes, if the peer takes fragments (RFC 7383).
    pub fragment_size: usize,
    /// At most so many sessions in all.
    pub session_limit: usize,
    /// NAT keepalives when we are behind a NAT (RFC 3948 section 4).
    pub natt_keepalive: Duration,
    /// How long a rekeyed or deleted inbound SA still takes what is under way.
    pub rekey_grace: Duration,
    /// At most so many child SAs in a session (1 to 8), those that are being replaced not counted.
    pub children_limit: usize,
    /// We replace an IKE SA before it is so old; zero: never.
    pub rekey_time: Duration,
    /// So long after that it ends if nothing replaced it.
    pub over_time: Duration,
}

/// What fits into tunnels, and what stands on them outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Octets of the largest outer packet, until fragments of authenticated packets say otherwise.
    pub path_mtu: u16,
    /// MSS, DF, DSCP, ECN.
    pub rules: TunnelRules,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { path_mtu: TunnelSpec::DEFAULT_OUTER_MTU, rules: TunnelRules::default() }
    }
}

/// What every child SA keeps to.
#[derive(Debug, Clone, PartialEq)]
pub struct Esp {
    /// Replay window in packets (64 to 65 536).
    pub replay_window: u32,
    /// When a child SA is to be replaced; whichever comes first.
    pub rekey: Rekey,
    /// A child SA that is not replaced ends at this many times the limits of `rekey`.
    pub hard_factor: f64,
    /// How often a client's ESP may move it to another outer address, 0 for never.
    pub moves_per_minute: u32,
}

/// When a child SA is to be replaced; `None` is never. Packets and octets count in each direction apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rekey {
    /// Its age.
    pub time: Option<Duration>,
    /// Octets that its cipher was applied to.
    pub octets: Option<u64>,
    /// Packets.
    pub packets: Option<u64>,
}

/// A pool of inner addresses. The first address of each range is the headend's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// IPv4 range.
    pub v4: Option<Ipv4Net>,
    /// IPv6 range.
    pub v6: Option<Ipv6Net>,
    /// Name servers for the clients.
    pub dns: Vec<IpAddr>,
    /// Name servers for NetBIOS.
    pub netbios_name_servers: Vec<Ipv4Addr>,
}

/// Who may come in, how they prove it, what they get.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// Identities it is for.
    pub remote_ids: Vec<IdPattern>,
    /// Indices into [`Config::pools`]; the first with a free address serves.
    pub pools: Vec<usize>,
    /// Networks behind us that the client may reach (our traffic selectors).
    pub networks: Vec<ipnet::IpNet>,
    /// Best first.
    pub esp_proposals: Vec<EspProposal>,
    /// What a session's packets may come in.
    pub transports: Transports,
    /// What its sessions may.
    pub rules: Rules,
    /// By which version of IKE they come in, with what only that version has.
    pub login: Login,
}

impl Connection {
    /// What an IKEv2 connection has; `None` if it is none.
    pub const fn v2(&self) -> Option<&LoginV2> {
        match &self.login {
            Login::V2(login) => Some(login),
            Login::V1(_) => None,
        }
    }

    /// What an IKEv1 connection has; `None` if it is none.
    pub const fn v1(&self) -> Option<&LoginV1> {
        match &self.login {
            Login::V1(login) => Some(login),
            Login::V2(_) => None,
        }
    }
}

/// By which version of IKE clients come in.
#[derive(Debug, Clone)]
pub enum Login {
    /// IKEv2 (RFC 7296).
    V2(LoginV2),
    /// IKEv1 (RFC 2409), with XAUTH and mode config.
    V1(Box<LoginV1>),
}

/// What only IKEv2 connections have.
#[derive(Debug, Clone)]
pub struct LoginV2 {
    /// Pre-shared key.
    pub psk: SecretBytes,
    /// Best first.
    pub ike_proposals: Vec<IkeProposal>,
}

/// `alice@rig`, `*@rig`, `vpn.example.org`, `10.0.0.1`, `keyid:group`, `*`. A `*` stands for any octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPattern {
    /// `None` takes every kind (only for the pattern `*`).
    pub kind: Option<IdKind>,
    /// Literal parts between the stars; one part means no star.
    pub parts: Vec<Vec<u8>>,
}

/// What an IKE SA may be made of: any combination of the lists, in their order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IkeProposal {
    /// All AEAD or none.
    pub encr: Vec<Encr>,
    /// Empty if AEAD.
    pub integ: Vec<Integ>,
    /// At least one.
    pub prf: Vec<PrfId>,
    /// At least one.
    pub groups: Vec<KexGroup>,
}

/// What a child SA may be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EspProposal {
    /// All AEAD or none.
    pub encr: Vec<Encr>,
    /// Empty if AEAD.
    pub integ: Vec<Integ>,
    /// For perfect forward secrecy in CREATE_CHILD_SA; empty means without.
    pub groups: Vec<KexGroup>,
    /// At least one.
    pub numbers: Vec<SequenceNumbers>,
}

/// An IKE SA's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IkeSuite {
    /// Protects SK payloads.
    pub cipher: CipherSuite,
    /// Derives keys and proves identity.
    pub prf: PrfId,
    /// Made the shared secret.
    pub group: KexGroup,
}
