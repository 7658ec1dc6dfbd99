//! Socket addresses and control messages as octets: what `recvmsg` leaves and `sendmsg` wants beside the payload.
//! Read and written without pointers; only their layout is the C library's.

use crate::contract::Path;
use crate::wire::traffic_class::TrafficClass;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Octets of the longest socket address in use, `sockaddr_in6`.
pub(super) const NAME_LEN: usize = size_of::<libc::sockaddr_in6>();
/// Octets that hold any control messages in use: one IPV6_PKTINFO, one UDP_SEGMENT or UDP_GRO, one IPV6_TCLASS and one
/// IPV6_RECVFRAGSIZE. IPv4's are no longer.
pub(super) const CONTROL_LEN: usize = space(size_of::<libc::in6_pktinfo>()) + 3 * space(size_of::<i32>());
/// `UDP_SEGMENT` of linux/udp.h: cut the payload into datagrams of this size.
const UDP_SEGMENT: i32 = 103;
/// `UDP_GRO` of linux/udp.h: datagrams may arrive joined, their size beside them.
pub(super) const UDP_GRO: i32 = 104;
/// `IP_RECVFRAGSIZE` of linux/in.h: the longest fragment stands beside a datagram that came in several.
pub(super) const IP_RECVFRAGSIZE: i32 = 25;
/// `IPV6_RECVFRAGSIZE` of linux/in6.h, likewise.
pub(super) const IPV6_RECVFRAGSIZE: i32 = 77;

const HEADER: usize = align(size_of::<libc::cmsghdr>());

/// Control messages, aligned as the kernel wants them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; CONTROL_LEN]);

impl Control {
    pub(super) const EMPTY: Self = Self([0; CONTROL_LEN]);

    /// What a datagram, or several of `segment` octets each, to `path` in this class needs. Returns how many octets.
    pub(super) fn write(&mut self, path: &Path, class: TrafficClass, source: Source, segment: Option<u16>) -> usize {
        let mut at = 0;
        if source == Source::Chosen {
            match path.local {
                // ipi_ifindex 0: any; ipi_spec_dst: the source; ipi_addr: unused
                SocketAddr::V4(local) => {
                    let mut info = [0; size_of::<libc::in_pktinfo>()];
                    info[4..8].copy_from_slice(&local.ip().octets());
                    at += self.put(at, libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
                }
                SocketAddr::V6(local) => {
                    let mut info = [0; size_of::<libc::in6_pktinfo>()];
                    info[..16].copy_from_slice(&local.ip().octets());
                    info[16..20].copy_from_slice(&local.scope_id().to_ne_bytes());
                    at += self.put(at, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
                }
            }
        }
        // Sockets send in class 0 by themselves.
        if class != TrafficClass::default() {
            let (level, kind) = match path.peer {
                SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
                SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            };
            at += self.put(at, level, kind, &i32::from(class.octet()).to_ne_bytes());
        }
        if let Some(segment) = segment {
            at += self.put(at, libc::IPPROTO_UDP, UDP_SEGMENT, &segment.to_ne_bytes());
        }
        at
    }

    fn put(&mut self, at: usize, level: i32, kind: i32, data: &[u8]) -> usize {
        let room = &mut self.0[at..at + space(data.len())];
        room.fill(0);
        const LENGTH: usize = size_of::<usize>();
        room[..LENGTH].copy_from_slice(&(HEADER + data.len()).to_ne_bytes());
        room[LENGTH..LENGTH + 4].copy_from_slice(&level.to_ne_bytes());
        room[LENGTH + 4..LENGTH + 8].copy_from_slice(&kind.to_ne_bytes());
        room[HEADER..HEADER + data.len()].copy_from_slice(data);
        space(data.len())
    }
}

/// Who says which of our addresses a datagram comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The socket: it is bound to one.
    Bound,
    /// The path: the socket is bound to the wildcard.
    Chosen,
}

/// What came beside a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Beside {
    /// The address it was sent to, and for a link-local one its interface.
    pub(super) local: Option<(IpAddr, u32)>,
    /// It is several datagrams, each (but the last) of so many octets.
    pub(super) segment: Option<usize>,
    /// Of its IP header.
    pub(super) class: TrafficClass,
    /// It came in fragments, the longest of so many octets.
    pub(super) longest_fragment: Option<u16>,
}

/// Reads control messages; what is unknown or cut off is passed over.
pub(super) fn read_control(mut bytes: &[u8]) -> Beside {
    let mut beside = Beside::default();
    const LENGTH: usize = size_of::<usize>();
    while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() {
        let length = usize::from_ne_bytes(*length);
        let (Some(level), Some(kind)) = (word(rest, 0), word(rest, 4)) else { break };
        let Some(data) = bytes.get(HEADER..length) else { break };
        match (level as i32, kind as i32) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                if let Some(address) = data.get(8..).and_then(|address| address.first_chunk::<4>()) {
                    beside.local = Some((IpAddr::V4(Ipv4Addr::from(*address)), 0));
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let (Some(address), Some(interface)) = (data.first_chunk::<16>(), word(data, 16)) {
                    beside.local = Some((IpAddr::V6(Ipv6Addr::from(*address)), interface));
                }
            }
            (libc::IPPROTO_IP, libc::IP_TOS) => {
                beside.class = data.first().copied().map(TrafficClass::from_octet).unwrap_or_default();
            }
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                let class = word(data, 0).and_then(|class| u8::try_from(class).ok());
                beside.class = class.map(TrafficClass::from_octet).unwrap_or_default();
            }
            (libc::IPPROTO_IP, IP_RECVFRAGSIZE) | (libc::IPPROTO_IPV6, IPV6_RECVFRAGSIZE) => {
                beside.longest_fragment = word(data, 0).and_then(|size| u16::try_from(size).ok());
            }
            (libc::IPPROTO_UDP, UDP_GRO) => {
                beside.segment = word(data, 0).filter(|&size| size > 0).map(|size| size as usize);
            }
            (_, _) => {}
        }
        let Some(next) = bytes.get(align(length)..) else { break };
        bytes = next;
    }
    beside
}

/// Reads a `sockaddr`; `None` if it is neither IPv4 nor IPv6.
pub(super) fn read_name(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    match i32::from(family) {
        libc::AF_INET => {
            let address: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
            Some(SocketAddr::from((address, port)))
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
            // The flow label is the packet's, not the peer's name: paths that differ in it alone are equal.
            Some(SocketAddr::V6(SocketAddrV6::new(address.into(), port, 0, word(bytes, 24)?)))
        }
        _ => None,
    }
}

/// Writes a `sockaddr`. Returns how many octets.
pub(super) fn write_name(name: &mut [u8; NAME_LEN], address: SocketAddr) -> usize {
    name.fill(0);
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            name[4..8].copy_from_slice(&v4.ip().octets());
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            name[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
            name[8..24].copy_from_slice(&v6.ip().octets());
            name[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            NAME_LEN
        }
    }
}

/// Whether an address needs its interface beside it.
pub(super) fn scope(address: IpAddr, interface: u32) -> u32 {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => interface,
        IpAddr::V6(_) | IpAddr::V4(_) => 0,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

const fn align(length: usize) -> usize {
    length.saturating_add(size_of::<usize>() - 1) & !(size_of::<usize>() - 1)
}

const fn space(length: usize) -> usize {
    HEADER + align(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        for address in ["192.0.2.1:500", "[2001:db8::1]:4500", "[fe80::1%7]:65535", "0.0.0.0:0"] {
            let address: SocketAddr = address.parse().unwrap();
            let mut name = [0xff; NAME_LEN];
            let len = write_name(&mut name, address);
            assert_eq!(read_name(&name[..len]), Some(address));
        }
        assert_eq!(read_name(&[]), None);
        assert_eq!(read_name(&[1, 0, 0, 0]), None);
    }

    #[test]
    fn the_addresses_written_for_sending_stand_where_receiving_reads_them() {
        let path = Path { local: "[2001:db8::1]:4500".parse().unwrap(), peer: "[2001:db8::2]:9".parse().unwrap() };
        let (mut control, class) = (Control::EMPTY, TrafficClass::from_octet(0xb9));
        let len = control.write(&path, class, Source::Chosen, Some(1400));
        assert!(len <= CONTROL_LEN);
        let beside = read_control(&control.0[..len]);
        assert_eq!((beside.local, beside.class), (Some((path.local.ip(), 0)), class));
        assert_eq!(control.write(&path, TrafficClass::default(), Source::Bound, None), 0);
        let v4 = Path { local: "192.0.2.1:4500".parse().unwrap(), peer: "192.0.2.2:9".parse().unwrap() };
        let len = control.write(&v4, class, Source::Chosen, None);
        if cfg!(target_endian = "little") {
            assert_eq!(read_control(&control.0[..len]).class, class, "an int when sending, an octet when receiving");
        }
        // ipi_spec_dst when sending, ipi_addr when receiving: four octets apart
        control.0.copy_within(HEADER + 4..HEADER + 8, HEADER + 8);
        assert_eq!(read_control(&control.0[..len]).local, Some((v4.local.ip(), 0)));
    }

    #[test]
    fn any_octets_are_read_without_panic_or_endless_loop() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
            let _ = (read_control(bytes), read_name(bytes));
        });
        // a length of 0 and one of everything
        for length in [0usize, 1, HEADER - 1, HEADER, usize::MAX] {
            let mut bytes = [0; 64];
            bytes[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(read_control(&bytes), Beside::default());
        }
    }
}
