//! The outer sockets: for each address and port one per worker, in one reuseport group whose order is the workers'.
#![expect(unsafe_code, reason = "some socket options have no safe door")]

use super::ancillary::UDP_GRO;
use super::departure::Bound;
use super::open::{IoConfig, Lack, OpenError};
use super::{clock, holder, steer};
use crate::contract::SpiLayout;
use crate::packet::Channel;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// One worker's socket for one address and port.
pub(super) struct OuterSocket {
    pub(super) socket: OwnedFd,
    pub(super) bound: Bound,
}

/// Opens all sockets of all workers, binds them in the workers' order, and attaches the steering programs.
pub(super) fn open_all(
    config: &IoConfig,
    workers: usize,
    layout: &SpiLayout,
    lacks: &mut Vec<Lack>,
) -> Result<Vec<Vec<OuterSocket>>, OpenError> {
    let listen = without_missing_families(&config.listen, lacks)?;
    let addresses: Vec<Bound> = listen
        .iter()
        .flat_map(|&ip| [(Channel::Ike, config.ike_port), (Channel::NatT, config.natt_port)].map(|(c, p)| (ip, c, p)))
        .map(|(ip, channel, port)| Bound { channel, address: SocketAddr::new(ip, port) })
        .collect();
    for bound in &addresses {
        try_alone(bound.address)?;
    }
    let mut all: Vec<Vec<OuterSocket>> = std::iter::repeat_with(Vec::new).take(workers).collect();
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
    }
    Ok(all)
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
    socket.set_nonblocking(true)?;
    // Datagrams that do not fit are fragmented by whoever they do not fit: ESP in UDP may be, IKE must be able to be.
    if address.is_ipv4() {
        set(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
    } else {
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)?;
    }
    if address.ip().is_unspecified() {
        match address.ip() {
            IpAddr::V4(_) => set(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
            IpAddr::V6(_) => set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
        }
    }
    if set(&socket, libc::IPPROTO_UDP, UDP_GRO, 1).is_err() {
        note(lacks, Lack::NoUdpGro);
    }
    for (name, forced, wanted) in [
        (libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, config.receive_buffer),
        (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, config.send_buffer),
    ] {
        let octets = i32::try_from(wanted / 2).unwrap_or(i32::MAX / 2);
        if set(&socket, libc::SOL_SOCKET, forced, octets).is_err() {
            set(&socket, libc::SOL_SOCKET, name, octets)?;
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
    socket.bind(&address.into())?;
    Ok(socket)
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
