//! Datagrams as recvmsg and sendmsg see them: what both kernel doors make of what lies beside the payload.
#![expect(unsafe_code, reason = "sendmsg takes pointers")]

use super::DoorStats;
use super::ancillary::{Control, NAME_LEN, Source, read_control, read_name, scope, write_name};
use super::arrival::Arrival;
use super::departure::{Bound, Destination};
use super::udp::OuterSocket;
use crate::contract::Path;
use crate::packet::{Channel, PacketBuf};
use crate::wire::ip::IPV4_HEADER;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

/// What came, put together from what lies beside it.
pub(super) fn arrival(bound: &Bound, name: &[u8], control: &[u8], payload: &[u8]) -> Option<Arrival> {
    let beside = read_control(control);
    let port = bound.address.port();
    let local = match beside.local {
        Some((ip, interface)) => {
            let mut local = SocketAddr::new(ip, port);
            if let SocketAddr::V6(v6) = &mut local {
                v6.set_scope_id(scope(ip, interface));
            }
            local
        }
        None => bound.address,
    };
    let mut path = Path { local, peer: read_name(name)? };
    let super::ancillary::Beside { local: _, segment, class, longest_fragment } = beside;
    let (channel, len) = (bound.channel, payload.len());
    let done = match (channel, bound.address) {
        (Channel::Esp | Channel::Ctcp, SocketAddr::V4(_)) => ipv4_header_len(payload)?,
        (Channel::Esp | Channel::Ctcp, SocketAddr::V6(_))
        | (Channel::Ike | Channel::NatT500 | Channel::NatT | Channel::CiscoUdp | Channel::Tcp | Channel::Inner, _) => 0,
    };
    if channel == Channel::Ctcp {
        // A raw socket knows no ports.
        let [source, destination] = tcp_ports(payload.get(done..)?)?;
        path.peer.set_port(source);
        path.local.set_port(destination);
    }
    Some(Arrival { channel, path, class, longest_fragment, len, segment, done })
}

/// Octets of the header that the kernel leaves in front of what comes through a raw IPv4 socket.
fn ipv4_header_len(packet: &[u8]) -> Option<usize> {
    let first = packet.first().filter(|first| **first >> 4 == 4)?;
    let len = usize::from(first & 0xf) * 4;
    (len >= IPV4_HEADER && len <= packet.len()).then_some(len)
}

/// Source and destination of a TCP segment.
fn tcp_ports(segment: &[u8]) -> Option<[u16; 2]> {
    let [a, b, c, d] = *segment.first_chunk()?;
    Some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
}

/// How a socket says where its datagrams come from.
fn source(outer: &OuterSocket) -> Source {
    if outer.bound.address.ip().is_unspecified() { Source::Chosen } else { Source::Bound }
}

/// One message's parts but for the payload.
pub(super) struct Beside {
    name: [u8; NAME_LEN],
    name_len: usize,
    control: Control,
    control_len: usize,
}

impl Beside {
    pub(super) fn new(outer: &OuterSocket, to: &Destination, segment: Option<u16>) -> Self {
        let (mut name, mut control) = ([0; NAME_LEN], Control::EMPTY);
        let mut peer = to.path.peer;
        if outer.bound.channel == Channel::Ctcp {
            // Over IPv6 a raw socket refuses any other: the ports stand in the segment.
            peer.set_port(0);
        }
        let name_len = write_name(&mut name, peer);
        let control_len = control.write(&to.path, to.class, source(outer), segment);
        Self { name, name_len, control, control_len }
    }

    /// The header that points to all of it; valid while neither moves.
    pub(super) fn message(&mut self, vectors: &mut [libc::iovec]) -> libc::msghdr {
        let mut header = empty_message();
        header.msg_name = self.name.as_mut_ptr().cast();
        header.msg_namelen = self.name_len as libc::socklen_t;
        header.msg_iov = vectors.as_mut_ptr();
        header.msg_iovlen = vectors.len();
        if self.control_len > 0 {
            header.msg_control = self.control.0.as_mut_ptr().cast();
            header.msg_controllen = self.control_len;
        }
        header
    }
}

/// Sends one datagram.
pub(super) fn send_one(outer: &OuterSocket, to: &Destination, packet: &PacketBuf) -> io::Result<()> {
    let mut beside = Beside::new(outer, to, None);
    let mut vectors = [vector(packet)];
    let message = beside.message(&mut vectors);
    // SAFETY: the message points to `beside`, `vectors` and through them `packet`; all live until the call returns.
    let sent = unsafe { libc::sendmsg(outer.socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
    if sent >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A packet's octets as the kernel wants to be shown them. Only for calls that read.
pub(super) fn vector(packet: &PacketBuf) -> libc::iovec {
    libc::iovec { iov_base: packet.bytes().as_ptr().cast_mut().cast(), iov_len: packet.len() }
}

pub(super) fn empty_message() -> libc::msghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// Why what the kernel gave is no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsound {
    /// Its headers, or what stands beside it, contradict each other.
    Malformed,
    /// It was larger than the buffer.
    Truncated,
}

/// Counts a packet that is none.
pub(super) fn count_unsound(stats: &mut DoorStats, unsound: Unsound) {
    match unsound {
        Unsound::Malformed => stats.malformed += 1,
        Unsound::Truncated => stats.truncated += 1,
    }
}

/// Counts packets that the kernel did not take.
pub(super) fn count_refusal(stats: &mut DoorStats, error: &io::Error, packets: u64) {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => stats.transmit_full += packets,
        _ => stats.transmit_failed += packets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Burst, OuterFragments, Pool, PoolSizes};

    /// What becomes of these octets, received through a raw socket that is bound to `address`.
    fn received(address: &str, control: &[u8], bytes: &[u8], pool: &mut Pool) -> Burst {
        let address: SocketAddr = address.parse().unwrap();
        let bound = Bound { channel: Channel::Esp, address, fragments: OuterFragments::Allowed };
        let mut name = [0; NAME_LEN];
        let len = write_name(&mut name, address);
        let mut burst = Burst::new();
        if let Some(mut arrival) = arrival(&bound, &name[..len], control, bytes) {
            arrival.deliver(bytes, pool, &mut burst, 2);
        }
        burst
    }

    #[test]
    fn any_octets_from_a_raw_socket_become_what_is_behind_the_header_or_nothing() {
        let mut pool = Pool::new(PoolSizes { small: 4, small_capacity: 2048, large: 1 });
        bolero::check!().with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(control, bytes)| {
            let bytes = &bytes[..bytes.len().min(1500)];
            // The family of a destination that the kernel tells is the socket's own.
            let v6 = received("[2001:db8::1]:0", &[], bytes, &mut pool);
            assert_eq!(v6.iter().map(PacketBuf::bytes).collect::<Vec<_>>(), [bytes]);
            let v4 = received("192.0.2.1:0", &[], bytes, &mut pool);
            let behind: Option<&[u8]> = match bytes {
                [0x45..=0x4f, ..] => bytes.get(usize::from(bytes[0] - 0x40) * 4..),
                _ => None,
            };
            assert_eq!(v4.first().map(PacketBuf::bytes), behind);
            let any = received("192.0.2.1:0", control, bytes, &mut pool);
            for packet in v6.into_iter().chain(v4).chain(any) {
                assert_eq!(packet.meta.channel, Channel::Esp);
                pool.put(packet);
            }
            assert_eq!(pool.free(), (4, 1), "every buffer came home");
        });
    }
}
