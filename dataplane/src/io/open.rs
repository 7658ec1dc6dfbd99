//! Opening the doors: everything that needs privileges or can be refused happens here, once, before the workers
//! start, and what is refused is said in words.

use super::inner_pair::WorkerEnd;
use super::system_calls::SystemCallDoor;
use super::udp::{self, OuterSocket};
use super::uring::{self, UringDoor};
use super::waker::EventWaker;
use super::{Door, tun};
use crate::contract::{OuterDf, SpiLayout, Transports, Wake, WorkerId};
use crate::offload::JoinKinds;
use ipnet::IpNet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Which system calls move the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// io_uring where the kernel allows it, else system calls.
    #[default]
    Auto,
    /// io_uring or an error.
    Uring,
    /// recvmmsg, sendmmsg, read, writev, poll.
    SystemCalls,
}

/// What to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoConfig {
    /// Outer addresses, wildcards allowed; at least one.
    pub listen: Vec<IpAddr>,
    /// UDP port of [`crate::packet::Channel::Ike`].
    pub ike_port: u16,
    /// UDP port of [`crate::packet::Channel::NatT`].
    pub natt_port: u16,
    /// UDP port of [`crate::packet::Channel::CiscoUdp`].
    pub cisco_udp_port: u16,
    /// TCP ports of [`crate::packet::Channel::Ctcp`]: of cTCP, and of streams (RFC 9329).
    pub tcp_ports: Vec<u16>,
    /// How ESP may come; NAT-T may always, for IKE needs its port.
    pub transports: Transports,
    /// Whether ESP is ever sent with DF set. Must be what [`crate::contract::TunnelRules::df`] is.
    pub outer_df: OuterDf,
    /// The inner network's interface; without one, inner packets end as failed transmissions.
    pub tun: Option<TunConfig>,
    /// Which system calls.
    pub backend: Backend,
    /// How long a wait looks for packets without sleeping. Zero gives the core away at once.
    pub spin: Duration,
    /// The longest that a worker lets packets gather which come one after the other; the faster they come, the less it
    /// takes. Zero wakes for the first.
    pub coalesce: Duration,
    /// Octets that each outer socket may hold for us. The kernel counts its own bookkeeping too: about 1.5 to 2 times
    /// a packet's length.
    pub receive_buffer: usize,
    /// Octets that each outer socket may hold for the network.
    pub send_buffer: usize,
}

impl Default for IoConfig {
    fn default() -> Self {
        Self {
            listen: vec![IpAddr::from([0; 4]), IpAddr::from([0; 16])],
            ike_port: 500,
            natt_port: 4500,
            cisco_udp_port: 10_000,
            tcp_ports: vec![10_000, 4500],
            transports: Transports::ALL,
            outer_df: OuterDf::default(),
            tun: Some(TunConfig::default()),
            backend: Backend::Auto,
            spin: Duration::ZERO,
            coalesce: Duration::from_millis(1),
            receive_buffer: 8 << 20,
            send_buffer: 4 << 20,
        }
    }
}

/// The inner network's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunConfig {
    /// Up to 15 octets.
    pub name: String,
    /// Octets of the largest inner packet.
    pub mtu: u32,
    /// Its addresses; the kernel routes their prefixes to it.
    pub addresses: Vec<IpNet>,
}

impl Default for TunConfig {
    fn default() -> Self {
        Self { name: "adit0".to_owned(), mtu: 1400, addresses: Vec::new() }
    }
}

/// One worker's sockets and queue, not yet a door: io_uring's rings belong to the thread that uses them.
pub struct DoorSeed {
    pub(super) sockets: Vec<OuterSocket>,
    /// Kept as long as any door is open.
    pub(super) reserved: Arc<[OwnedFd]>,
    pub(super) tun: Option<OwnedFd>,
    pub(super) kinds: JoinKinds,
    pub(super) waker: Arc<EventWaker>,
    pub(super) spin: Duration,
    pub(super) coalesce: Duration,
    pub(super) backend: Backend,
}

impl DoorSeed {
    /// The door, to be used on the calling thread alone.
    ///
    /// # Errors
    /// What the kernel says to a ring, if the config asks for io_uring and nothing else.
    pub fn open(self) -> io::Result<Box<dyn Door>> {
        match self.backend {
            Backend::SystemCalls => Ok(Box::new(SystemCallDoor::new(self))),
            Backend::Uring => Ok(Box::new(UringDoor::new(self).map_err(|(error, _)| error)?)),
            Backend::Auto => match UringDoor::new(self) {
                Ok(door) => Ok(Box::new(door)),
                Err((error, seed)) => {
                    // The report says otherwise: io_uring could be had when all was opened.
                    let thread = std::thread::current();
                    let worker = thread.name();
                    tracing::warn!(worker, %error, "io_uring cannot be had for this worker; its packets move by plain system calls");
                    Ok(Box::new(SystemCallDoor::new(*seed)))
                }
            },
        }
    }

    /// With this end inside instead of a TUN's queue. It goes by system calls: to io_uring a write that finds no room is one that waits.
    #[must_use]
    pub fn with_inner(self, end: WorkerEnd) -> Self {
        Self { tun: Some(end.into()), kinds: JoinKinds::default(), backend: Backend::SystemCalls, ..self }
    }

    /// Wakes the door that this becomes.
    pub fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }
}

/// What was opened, and what the kernel or the privileges lack for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// As [`super::Capabilities::name`].
    pub backend: &'static str,
    /// Nothing here stops the service; each is worth a line in the log.
    pub lacks: Vec<Lack>,
}

/// Something that would be better otherwise. `Display` is a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// io_uring cannot be used; system calls do its work.
    NoUring(String),
    /// The kernel has no IPv6; the wildcard of it was left out.
    NoIpv6,
    /// No UDP_GRO.
    NoUdpGro,
    /// No IP_RECVFRAGSIZE.
    NoFragmentSizes,
    /// The TUN takes no TCP super-packets.
    NoTcpSegmentation,
    /// The TUN takes no UDP super-packets.
    NoUdpSegmentation,
    /// The kernel does not let us say which queue of the TUN an inner packet goes to.
    NoInnerSteering(String),
    /// The receive buffer is smaller than configured.
    SmallReceiveBuffer {
        /// Octets configured.
        wanted: usize,
        /// Octets granted.
        got: usize,
    },
    /// The send buffer is smaller than configured.
    SmallSendBuffer {
        /// Octets configured.
        wanted: usize,
        /// Octets granted.
        got: usize,
    },
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUring(why) => write!(f, "io_uring is not usable ({why}); packets move by plain system calls"),
            Self::NoIpv6 => write!(f, "this kernel has no IPv6: listening on IPv4 alone"),
            Self::NoUdpGro => write!(f, "this kernel has no UDP_GRO (Linux 5.0): datagrams arrive one by one"),
            Self::NoFragmentSizes => write!(
                f,
                "this kernel does not say how long fragments are (Linux 4.12): tunnels keep the configured path MTU"
            ),
            Self::NoTcpSegmentation => {
                write!(f, "this kernel's TUN has no segmentation offload: inner packets pass one by one")
            }
            Self::NoUdpSegmentation => {
                write!(f, "this kernel's TUN has no UDP segmentation offload (Linux 6.2): inner UDP passes one by one")
            }
            Self::NoInnerSteering(why) => write!(
                f,
                "the TUN's steering program is not usable ({why}): the kernel spreads inner packets over the workers, \
                 and each that lands elsewhere is handed over to its own"
            ),
            Self::SmallReceiveBuffer { wanted, got } => write!(
                f,
                "a socket's receive buffer is {got} octets, not {wanted}: give the service CAP_NET_ADMIN or raise \
                 net.core.rmem_max"
            ),
            Self::SmallSendBuffer { wanted, got } => write!(
                f,
                "a socket's send buffer is {got} octets, not {wanted}: give the service CAP_NET_ADMIN or raise \
                 net.core.wmem_max"
            ),
        }
    }
}

/// Why nothing was opened. `Display` says what the operator can do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No listen address.
    #[error("there is no address to listen on")]
    NoAddress,
    /// Zero, or more than an SPI can name.
    #[error("{0} workers: an SPI can name 1 to {max}", max = WorkerId::MAX_WORKERS)]
    Workers(usize),
    /// Someone else has the port.
    #[error("UDP {address} is in use by {}: stop it, or listen elsewhere", holder.as_deref().unwrap_or("another process"))]
    PortInUse {
        /// Which.
        address: SocketAddr,
        /// Name and pid, if they can be seen.
        holder: Option<String>,
    },
    /// A port below 1024 without the right to it.
    #[error("binding UDP port {port} is not permitted: run as root or with CAP_NET_BIND_SERVICE")]
    PortNotPermitted {
        /// Which.
        port: u16,
    },
    /// The host does not have the address.
    #[error("no interface of this host has the listen address {address}")]
    AddressNotHere {
        /// Which.
        address: IpAddr,
    },
    /// Anything else about a socket.
    #[error("opening the UDP socket {address}: {source}")]
    Socket {
        /// Which.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// No right to raw sockets.
    #[error("native ESP is not permitted: run as root or with CAP_NET_RAW, or do without it (native_esp = false)")]
    NativeEspNotPermitted,
    /// Anything else about a raw socket.
    #[error("opening the socket for native ESP on {address}: {source}")]
    NativeEsp {
        /// Which.
        address: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Someone else has the port.
    #[error("TCP {address} is in use by {}: stop it, or choose other ports for cTCP (ctcp_ports) and RFC 9329 (tcp_port)", holder.as_deref().unwrap_or("another process"))]
    TcpPortInUse {
        /// Which.
        address: SocketAddr,
        /// Name and pid, if they can be seen.
        holder: Option<String>,
    },
    /// No right to raw sockets.
    #[error("TCP is not permitted: run as root or with CAP_NET_RAW, or do without it (ctcp_ports = [], tcp_port = 0)")]
    CtcpNotPermitted,
    /// Anything else about a socket of cTCP.
    #[error("opening a socket for cTCP on {address}: {source}")]
    Ctcp {
        /// Which; port 0 is the raw socket.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused the steering program.
    #[error("attaching the steering program to UDP {address}: {source}")]
    Steering {
        /// To which group.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// No /dev/net/tun.
    #[error("/dev/net/tun is missing: load the kernel module `tun`, or hand the device to the container")]
    NoTunDevice,
    /// No right to make an interface.
    #[error("making the TUN interface is not permitted: run as root or with CAP_NET_ADMIN")]
    TunNotPermitted,
    /// The name is taken.
    #[error("an interface named {name} exists already: is another instance running? Else remove it, or name another")]
    TunBusy {
        /// Which.
        name: String,
    },
    /// Not a name for an interface.
    #[error("`{name}` cannot name an interface: 1 to 15 octets")]
    TunName {
        /// The name.
        name: String,
    },
    /// More workers than a TUN has queues.
    #[error("the kernel gives a TUN interface no more queues: use fewer workers")]
    TunQueues,
    /// Anything else about the interface.
    #[error("interface {name}: {what}: {source}")]
    Tun {
        /// Which.
        name: String,
        /// At what.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// io_uring was asked for and cannot be had.
    #[error("io_uring is not usable ({0}): set the backend to auto or system-calls")]
    NoUring(String),
    /// No eventfd.
    #[error("making an eventfd: {0}")]
    Waker(io::Error),
}

/// Opens the sockets and queues of `workers` workers; seeds come in [`WorkerId`] order.
pub fn open(config: &IoConfig, workers: usize, layout: &SpiLayout) -> Result<(Vec<DoorSeed>, OpenReport), OpenError> {
    if config.listen.is_empty() {
        return Err(OpenError::NoAddress);
    }
    if workers == 0 || workers > WorkerId::MAX_WORKERS {
        return Err(OpenError::Workers(workers));
    }
    let mut lacks = Vec::new();
    let backend = match (config.backend, uring::probe()) {
        (Backend::SystemCalls, _) => Backend::SystemCalls,
        (Backend::Auto | Backend::Uring, Ok(())) => config.backend,
        (Backend::Uring, Err(why)) => return Err(OpenError::NoUring(why)),
        (Backend::Auto, Err(why)) => {
            lacks.push(Lack::NoUring(why));
            Backend::SystemCalls
        }
    };
    let outer = udp::open_all(config, workers, layout, &mut lacks)?;
    let reserved: Arc<[OwnedFd]> = outer.reserved.into();
    let tun = config.tun.as_ref().map(|tun| tun::open(tun, workers, &mut lacks)).transpose()?;
    let kinds = tun.as_ref().map_or(JoinKinds::default(), |tun| tun.kinds);
    let mut queues = tun.map(|tun| tun.queues).unwrap_or_default().into_iter();
    let mut seeds = Vec::with_capacity(workers);
    for sockets in outer.workers {
        let waker = Arc::new(EventWaker::new().map_err(OpenError::Waker)?);
        let IoConfig { spin, coalesce, .. } = *config;
        let reserved = Arc::clone(&reserved);
        seeds.push(DoorSeed { sockets, reserved, tun: queues.next(), kinds, waker, spin, coalesce, backend });
    }
    let backend = match backend {
        Backend::SystemCalls => SystemCallDoor::NAME,
        Backend::Auto | Backend::Uring => UringDoor::NAME,
    };
    Ok((seeds, OpenReport { backend, lacks }))
}
