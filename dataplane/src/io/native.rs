//! The outer sockets of native ESP: raw sockets of IP protocol 50.
//!
//! While one of them is open the kernel answers no packet of the protocol with ICMP, whether a filter lets it through or not.

use super::open::{IoConfig, Lack, OpenError};
use super::raw;
use super::steer::keep_own;
use super::udp::OuterSocket;
use crate::contract::SpiLayout;
use crate::packet::Channel;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// ESP's protocol number (RFC 4303 section 2).
const ESP: i32 = 50;

/// Opens the sockets for `ip`, each behind those that its worker has already.
pub(super) fn open(
    config: &IoConfig,
    ip: IpAddr,
    layout: &SpiLayout,
    lacks: &mut Vec<Lack>,
    workers: &mut [Vec<OuterSocket>],
) -> Result<(), OpenError> {
    let count = workers.len();
    raw::open(config, (Channel::Esp, ESP), ip, lacks, workers, |socket, family, worker| {
        keep_own(socket.as_fd(), family, worker, count, layout)
    })
    .map_err(|source| refusal(ip, source))
}

fn refusal(address: IpAddr, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => OpenError::AddressNotHere { address },
        Some(libc::EACCES | libc::EPERM) => OpenError::NativeEspNotPermitted,
        _ => OpenError::NativeEsp { address, source },
    }
}
