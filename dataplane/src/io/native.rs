//! The outer sockets of native ESP: raw sockets of IP protocol 50, one per worker and address.
//!
//! The kernel copies a packet to every raw socket that its addresses fit; a filter on each keeps the packets of its own
//! worker. It joins fragments before, and while one of the sockets is open it answers no packet of the protocol with
//! ICMP, whether a filter lets it through or not.

use super::departure::Bound;
use super::open::{IoConfig, Lack, OpenError};
use super::steer::{Family, keep_nothing, keep_own};
use super::udp::{OuterSocket, set_up};
use crate::contract::{OuterDf, SpiLayout};
use crate::packet::{Channel, OuterFragments};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
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
    let bound = Bound { channel: Channel::Esp, address: SocketAddr::new(ip, 0), fragments: OuterFragments::Allowed };
    let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
    let count = workers.len();
    for (worker, sockets) in workers.iter_mut().enumerate() {
        let filter = |socket: &Socket| keep_own(socket.as_fd(), family, worker, count, layout);
        sockets.push(one(config, bound, lacks, filter).map_err(|source| refusal(ip, source))?);
        // IPv6 has no DF.
        if config.outer_df == OuterDf::Clear || family == Family::V6 {
            continue;
        }
        let bound = Bound { fragments: OuterFragments::Forbidden, ..bound };
        let filter = |socket: &Socket| keep_nothing(socket.as_fd());
        sockets.push(one(config, bound, lacks, filter).map_err(|source| refusal(ip, source))?);
    }
    Ok(())
}

/// The filter comes first: what arrives before it would be kept.
fn one(
    config: &IoConfig,
    bound: Bound,
    lacks: &mut Vec<Lack>,
    filter: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<OuterSocket> {
    let socket = Socket::new(Domain::for_address(bound.address), Type::RAW, Some(Protocol::from(ESP)))?;
    filter(&socket)?;
    set_up(&socket, config, bound, lacks)?;
    socket.bind(&bound.address.into())?;
    Ok(OuterSocket { socket: socket.into(), bound })
}

fn refusal(address: IpAddr, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EADDRNOTAVAIL) => OpenError::AddressNotHere { address },
        Some(libc::EACCES | libc::EPERM) => OpenError::NativeEspNotPermitted,
        _ => OpenError::NativeEsp { address, source },
    }
}
