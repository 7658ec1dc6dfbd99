//! The outer sockets of cTCP: raw TCP sockets, one per worker and address, and what keeps the kernel's own TCP from answering.
//!
//! The kernel resets segments to a port where nobody listens. So there is a listener on each port and address that hears nothing:
//! its filter drops everything before TCP looks at it. It reserves the port, needs no firewall, and is gone with the process.
//! What the filter drops, raw sockets have received before; on each of those a filter keeps the connections of its worker.

use super::open::{IoConfig, Lack, OpenError};
use super::steer::{keep_nothing, keep_own_connections};
use super::udp::OuterSocket;
use super::{holder, raw};
use crate::packet::Channel;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Opens the sockets for `ip`, each behind those that its worker has already. What reserves the ports comes back, to be kept as long
/// as they are.
pub(super) fn open(
    config: &IoConfig,
    ip: IpAddr,
    lacks: &mut Vec<Lack>,
    workers: &mut [Vec<OuterSocket>],
) -> Result<Vec<OwnedFd>, OpenError> {
    let mut reserved = Vec::with_capacity(config.tcp_ports.len());
    for port in &config.tcp_ports {
        let address = SocketAddr::new(ip, *port);
        reserved.push(reserve(address).map_err(|source| refusal(address, source))?);
    }
    let count = workers.len();
    raw::open(config, (Channel::Ctcp, libc::IPPROTO_TCP), ip, lacks, workers, |socket, family, worker| {
        keep_own_connections(socket.as_fd(), family, worker, count, &config.tcp_ports)
    })
    .map_err(|source| raw_refusal(ip, source))?;
    Ok(reserved)
}

/// The filter comes before it listens: no connection is ever half open in the kernel.
fn reserve(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    keep_nothing(socket.as_fd())?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    Ok(socket.into())
}

fn refusal(address: SocketAddr, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            OpenError::TcpPortInUse { address, holder: holder::of_tcp_port(address.ip(), address.port()) }
        }
        Some(libc::EADDRNOTAVAIL) => OpenError::AddressNotHere { address: address.ip() },
        _ => OpenError::Ctcp { address, source },
    }
}

fn raw_refusal(ip: IpAddr, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => OpenError::CtcpNotPermitted,
        _ => OpenError::Ctcp { address: SocketAddr::new(ip, 0), source },
    }
}
