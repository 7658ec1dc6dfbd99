//! Raw sockets, one per worker and address: how native ESP and cTCP come and go.
//!
//! The kernel copies a packet to every raw socket that its addresses fit; a filter on each keeps the packets of its own
//! worker. It joins fragments before.

use super::departure::Bound;
use super::open::{IoConfig, Lack};
use super::steer::{Family, keep_nothing};
use super::udp::{OuterSocket, set_up};
use crate::contract::OuterDf;
use crate::packet::{Channel, OuterFragments};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// Opens the sockets of this IP protocol for `ip`, each behind those that its worker has already. `keep_own` puts the filter of
/// the worker with this number on.
pub(super) fn open(
    config: &IoConfig,
    (channel, protocol): (Channel, i32),
    ip: IpAddr,
    lacks: &mut Vec<Lack>,
    workers: &mut [Vec<OuterSocket>],
    keep_own: impl Fn(&Socket, Family, usize) -> io::Result<()>,
) -> io::Result<()> {
    let bound = Bound { channel, address: SocketAddr::new(ip, 0), fragments: OuterFragments::Allowed };
    let family = if ip.is_ipv4() { Family::V4 } else { Family::V6 };
    for (worker, sockets) in workers.iter_mut().enumerate() {
        sockets.push(one(config, bound, protocol, lacks, |socket| keep_own(socket, family, worker))?);
        // IPv6 has no DF.
        if config.outer_df == OuterDf::Clear || family == Family::V6 {
            continue;
        }
        let bound = Bound { fragments: OuterFragments::Forbidden, ..bound };
        sockets.push(one(config, bound, protocol, lacks, |socket| keep_nothing(socket.as_fd()))?);
    }
    Ok(())
}

/// The filter comes first: what arrives before it would be kept.
fn one(
    config: &IoConfig,
    bound: Bound,
    protocol: i32,
    lacks: &mut Vec<Lack>,
    filter: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<OuterSocket> {
    let socket = Socket::new(Domain::for_address(bound.address), Type::RAW, Some(Protocol::from(protocol)))?;
    filter(&socket)?;
    set_up(&socket, config, bound, lacks)?;
    socket.bind(&bound.address.into())?;
    Ok(OuterSocket { socket: socket.into(), bound })
}
