//! The outer UDP sockets: for each address and port one per worker, in one reuseport group whose order is the workers'.
//! Where DF is to be set on some datagrams, each worker has one more for those: the kernel knows DF by socket. It
//! stands behind all others in its group, where the steering program sends nothing.
#![expect(unsafe_code, reason = "some socket options have no safe door")]

use super::ancillary::{IP_RECVFRAGSIZE, IPV6_RECVFRAGSIZE, UDP_GRO};
use super::departure::Bound;
use super::open::{IoConfig, Lack, OpenError};
use super::{clock, ctcp, holder, native, steer};
use crate::contract::{OuterDf, SpiLayout, Transport};
use crate::packet::{Channel, OuterFragments};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// One worker's socket for one address and port, or for native ESP to one address.
pub(super) struct OuterSocket {
    pub(super) socket: OwnedFd,
    pub(super) bound: Bound,
}

/// What the kernel listens on for us.
pub(super) struct Outer {
    /// Each worker's, in their order.
    pub(super) workers: Vec<Vec<OuterSocket>>,
    /// Sockets that hear nothing and keep ports from others.
    pub(super) reserved: Vec<OwnedFd>,
}

/// Opens all sockets of all workers, binds them in the workers' order, and attaches the steering programs.
pub(super) fn open_all(
    config: &IoConfig,
    workers: usize,
    layout: &SpiLayout,
    lacks: &mut Vec<Lack>,
) -> Result<Outer, OpenError> {
    let listen = without_missing_families(&config.listen, lacks)?;
    let cisco = config.transports.contains(Transport::CiscoUdp).then_some((Channel::CiscoUdp, config.cisco_udp_port));
    let ports = [Some((Channel::Ike, config.ike_port)), Some((Channel::NatT, config.natt_port)), cisco];
    let addresses: Vec<Bound> = listen
        .iter()
        .flat_map(|&ip| ports.into_iter().flatten().map(move |(channel, port)| (ip, channel, port)))
        .map(|(ip, channel, port)| {
            let address = SocketAddr::new(ip, port);
            Bound { channel, address, fragments: OuterFragments::Allowed }
        })
        .collect();
    for bound in &addresses {
        try_alone(bound.address)?;
    }
    let mut all: Vec<Vec<OuterSocket>> = std::iter::repeat_with(Vec::new).take(workers).collect();
    if config.transports.contains(Transport::Esp) {
        for &ip in &listen {
            native::open(config, ip, layout, lacks, &mut all)?;
        }
    }
    let mut reserved = Vec::new();
    if config.transports.contains(Transport::Ctcp) || config.transports.contains(Transport::Tcp) {
        for &ip in &listen {
            reserved.extend(ctcp::open(config, ip, lacks, &mut all)?);
        }
    }
    for bound in &addresses {
        let mut first: Option<Socket> = None;
        for sockets in &mut all {
            let socket = open(config, *bound, lacks).map_err(|source| refusal(bound.address, source))?;
            if first.is_none() {
                first = Some(socket.try_clone().map_err(|source| refusal(bound.address, source))?);
            }
            sockets.push(OuterSocket { socket: socket.into(), bound: *bound });
        }
        if let Some(first) = first {
            steer::attach(first.as_fd(), bound.channel, workers, layout)
                .map_err(|source| OpenError::Steering { address: bound.address, source })?;
        }
        // IKE must pass whatever its size, and IPv6 has no DF.
        let carries_esp = match bound.channel {
            Channel::Ike => config.transports.contains(Transport::NatT500),
            channel => channel.transport().is_some(),
        };
        if config.outer_df == OuterDf::Clear || !carries_esp || bound.address.is_ipv6() {
            continue;
        }
        let bound = Bound { fragments: OuterFragments::Forbidden, ..*bound };
        for sockets in &mut all {
            let socket = open(config, bound, lacks).map_err(|source| refusal(bound.address, source))?;
            sockets.push(OuterSocket { socket: socket.into(), bound });
        }
    }
    Ok(Outer { workers: all, reserved })
}

/// Drops the IPv6 wildcard where the kernel has no IPv6, if anything else is left: it is in the default, and such a
/// host is to start with it. An address that was chosen is an error.
fn without_missing_families(listen: &[IpAddr], lacks: &mut Vec<Lack>) -> Result<Vec<IpAddr>, OpenError> {
    let mut kept = Vec::with_capacity(listen.len());
    for &ip in listen {
        match socket(SocketAddr::new(ip, 0)) {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && may_go(ip, listen) => {
                note(lacks, Lack::NoIpv6);
            }
            Err(source) => return Err(refusal(SocketAddr::new(ip, 0), source)),
            Ok(_) => kept.push(ip),
        }
    }
    Ok(kept)
}

fn may_go(ip: IpAddr, listen: &[IpAddr]) -> bool {
    ip.is_ipv6() && ip.is_unspecified() && listen.iter().any(IpAddr::is_ipv4)
}

/// Binds without SO_REUSEPORT, to see whether another process has the port: with it, a second instance of the same
/// user would quietly join the group and take a share of the datagrams.
fn try_alone(address: SocketAddr) -> Result<(), OpenError> {
    let bind = || {
        let socket = socket(address)?;
        socket.bind(&address.into())
    };
    let mut tries = 0;
    loop {
        match bind().map_err(|source| refusal(address, source)) {
            // A ring lets go of its sockets some time after the process that had it has ended.
            Err(OpenError::PortInUse { holder: None, .. }) if tries < LINGERING_TRIES => {
                tries += 1;
                clock::nap(LINGERING_STEP);
            }
            done => return done,
        }
    }
}

/// How often a port that nobody holds is tried again, and how long between; together longer than the 30 ms that a ring
/// was seen to take, and short enough for an operator to wait for the bad news.
const LINGERING_TRIES: u32 = 20;
const LINGERING_STEP: Duration = Duration::from_millis(25);

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn open(config: &IoConfig, bound: Bound, lacks: &mut Vec<Lack>) -> io::Result<Socket> {
    let address = bound.address;
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    if set(&socket, libc::IPPROTO_UDP, UDP_GRO, 1).is_err() {
        note(lacks, Lack::NoUdpGro);
    }
    set_up(&socket, config, bound, lacks)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// What every outer socket wants: fragments, what stands beside a packet, buffers.
pub(super) fn set_up(socket: &Socket, config: &IoConfig, bound: Bound, lacks: &mut Vec<Lack>) -> io::Result<()> {
    let address = bound.address;
    socket.set_nonblocking(true)?;
    let discover = match (address, bound.fragments) {
        // DF is set; what ICMP says is not listened to, for anyone can write it.
        (SocketAddr::V4(_), OuterFragments::Forbidden) => libc::IP_PMTUDISC_PROBE,
        // DF is clear, and only what the interface itself cannot carry is cut here: ICMP is not listened to, routers
        // cut what they must.
        (SocketAddr::V4(_), OuterFragments::Allowed) => libc::IP_PMTUDISC_OMIT,
        // Over IPv6 nobody else cuts, so "packet too big" must be listened to. A forged one makes us cut at 1280
        // octets for ten minutes; it changes no tunnel's MTU and loses nothing.
        (SocketAddr::V6(_), _) => libc::IPV6_PMTUDISC_DONT,
    };
    if address.is_ipv4() {
        set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discover)?;
        set(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
    } else {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, discover)?;
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
    }
    let fragment_sizes = match address {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, IP_RECVFRAGSIZE, 1),
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1),
    };
    if fragment_sizes.is_err() {
        note(lacks, Lack::NoFragmentSizes);
    }
    if address.ip().is_unspecified() {
        match address.ip() {
            IpAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
            IpAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
        }
    }
    for (name, forced, wanted) in [
        (libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, config.receive_buffer),
        (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, config.send_buffer),
    ] {
        let octets = i32::try_from(wanted / 2).unwrap_or(i32::MAX / 2);
        if set(socket, libc::SOL_SOCKET, forced, octets).is_err() {
            set(socket, libc::SOL_SOCKET, name, octets)?;
        }
    }
    let got = socket.recv_buffer_size()?;
    if got < config.receive_buffer / 2 * 2 {
        note(lacks, Lack::SmallReceiveBuffer { wanted: config.receive_buffer, got });
    }
    let got = socket.send_buffer_size()?;
    if got < config.send_buffer / 2 * 2 {
        note(lacks, Lack::SmallSendBuffer { wanted: config.send_buffer, got });
    }
    Ok(())
}

fn note(lacks: &mut Vec<Lack>, lack: Lack) {
    if !lacks.contains(&lack) {
        lacks.push(lack);
    }
}

fn refusal(address: SocketAddr, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            OpenError::PortInUse { address, holder: holder::of_udp_port(address.ip(), address.port()) }
        }
        Some(libc::EADDRNOTAVAIL) => OpenError::AddressNotHere { address: address.ip() },
        Some(libc::EACCES | libc::EPERM) => OpenError::PortNotPermitted { port: address.port() },
        _ => OpenError::Socket { address, source },
    }
}

fn set(socket: &Socket, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the option's value is an `int` that lives until the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
