//! The few route-netlink messages that an interface of ours needs (rtnetlink(7)).

use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read};
use std::net::IpAddr;

const REQUEST_AND_ACK: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const CREATE_OR_REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const HEADER: usize = 16;

/// Sets the MTU and sets the interface up.
pub(super) fn bring_up(index: u32, mtu: u32) -> io::Result<()> {
    // No link-local address of the kernel's choice: nobody is there to talk to with it. Where the kernel has no IPv6
    // this fails, and there is nothing to prevent.
    let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
    let inet6 = attribute(libc::AF_INET6 as u16, &mode);
    let _ = request(libc::RTM_NEWLINK, 0, &[&link(index, 0), &attribute(libc::IFLA_AF_SPEC, &inet6)]);
    let mtu = attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
    request(libc::RTM_NEWLINK, 0, &[&link(index, libc::IFF_UP as u32), &mtu])
}

/// Adds an address; the kernel makes the route to its prefix.
pub(super) fn add_address(index: u32, address: &IpNet) -> io::Result<()> {
    let (message, octets) = address_message(index, address);
    // No duplicate address detection: nobody else is on the link, and it would delay the address by a second.
    let flags = attribute(libc::IFA_FLAGS, &libc::IFA_F_NODAD.to_ne_bytes());
    let parts = [&message[..], &attribute(libc::IFA_LOCAL, &octets), &attribute(libc::IFA_ADDRESS, &octets), &flags];
    request(libc::RTM_NEWADDR, CREATE_OR_REPLACE, &parts)
}

/// Takes an address away again, and the route that the kernel made.
pub(super) fn remove_address(index: u32, address: &IpNet) -> io::Result<()> {
    let (message, octets) = address_message(index, address);
    request(
        libc::RTM_DELADDR,
        0,
        &[&message, &attribute(libc::IFA_LOCAL, &octets), &attribute(libc::IFA_ADDRESS, &octets)],
    )
}

/// `struct ifaddrmsg`, and the address's octets.
fn address_message(index: u32, address: &IpNet) -> (Vec<u8>, Vec<u8>) {
    let (family, octets) = match address.addr() {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
    };
    // family, prefix length, flags, scope, index
    let mut message = vec![family as u8, address.prefix_len(), 0, 0];
    message.extend(index.to_ne_bytes());
    (message, octets)
}

/// Sends packets for `network` to the interface, with `source` as their own address where they name none. The route goes with the
/// interface.
pub(super) fn add_route(index: u32, network: &IpNet, source: IpAddr) -> io::Result<()> {
    let octets = |address| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let family = if network.addr().is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // struct rtmsg: family, destination, source, class, table, protocol, scope, type, flags
    let mut message = vec![family as u8, network.prefix_len(), 0, 0];
    message.extend([libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, libc::RT_SCOPE_LINK, libc::RTN_UNICAST]);
    message.extend([0; 4]);
    let destination = attribute(libc::RTA_DST, &octets(network.network()));
    let through = attribute(libc::RTA_OIF, &index.to_ne_bytes());
    let from = attribute(libc::RTA_PREFSRC, &octets(source));
    request(libc::RTM_NEWROUTE, libc::NLM_F_CREATE as u16, &[&message, &destination, &through, &from])
}

/// `struct ifinfomsg` that sets `flags` and leaves the others.
fn link(index: u32, flags: u32) -> Vec<u8> {
    let mut message = vec![0; 4];
    message.extend(index.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len() + 3);
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn request(kind: u16, flags: u16, parts: &[&[u8]]) -> io::Result<()> {
    let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(libc::NETLINK_ROUTE)))?;
    let body = parts.concat();
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST_AND_ACK | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    socket.send(&message)?;
    let mut answer = [0; 1024];
    let len = (&socket).read(&mut answer)?;
    // nlmsghdr, then nlmsgerr: a negative errno, or 0 for "done"
    let error = answer[..len].get(HEADER..HEADER + 4).and_then(|error| error.first_chunk());
    match error.map(|error| i32::from_ne_bytes(*error)) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}
