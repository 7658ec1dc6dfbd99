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
const NLMSG_ERROR: u16 = libc::NLMSG_ERROR as u16;
/// linux/rtnetlink.h: answer with the entry of the table, not with what becomes of a packet.
const RTM_F_FIB_MATCH: u32 = 0x2000;

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

/// How long the prefix is of the route that packets to `address` take now: none that is shorter takes them away from it. Zero if nothing
/// is known of a route that stays when others come, as from a table of its own, or by a kernel before 4.18.
pub(super) fn prefix_towards(address: IpAddr) -> io::Result<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
    };
    let mut message = vec![family as u8, octets.len() as u8 * 8, 0, 0, 0, 0, 0, 0];
    message.extend(RTM_F_FIB_MATCH.to_ne_bytes());
    let answer = exchange(libc::RTM_GETROUTE, 0, &[&message, &attribute(libc::RTA_DST, &octets)])?;
    refusal(&answer).map_or(Ok(()), Err)?;
    let route = answer.get(HEADER..HEADER + 12).and_then(|route| route.first_chunk());
    let [_family, prefix, _source, _class, table, _protocol, _scope, _kind, flags @ ..]: [u8; 12] =
        *route.ok_or(io::ErrorKind::InvalidData)?;
    let matched = u32::from_ne_bytes(flags) & libc::RTM_F_CLONED == 0;
    let stays = [libc::RT_TABLE_MAIN, libc::RT_TABLE_LOCAL].contains(&table);
    Ok(if matched && stays { prefix } else { 0 })
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
    let answer = exchange(kind, flags, parts)?;
    match refusal(&answer) {
        Some(error) => Err(error),
        None if kind_of(&answer) == Some(NLMSG_ERROR) => Ok(()),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The first that the kernel answers.
fn exchange(kind: u16, flags: u16, parts: &[&[u8]]) -> io::Result<Vec<u8>> {
    let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(libc::NETLINK_ROUTE)))?;
    let body = parts.concat();
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST_AND_ACK | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    socket.send(&message)?;
    let mut answer = vec![0; 1024];
    let len = (&socket).read(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

/// Of `struct nlmsghdr`.
fn kind_of(answer: &[u8]) -> Option<u16> {
    answer.get(4..6)?.first_chunk().map(|kind| u16::from_ne_bytes(*kind))
}

/// What `struct nlmsgerr` says: a negative errno, or 0 for "done".
fn refusal(answer: &[u8]) -> Option<io::Error> {
    let error = answer.get(HEADER..HEADER + 4).filter(|_| kind_of(answer) == Some(NLMSG_ERROR))?;
    match i32::from_ne_bytes(*error.first_chunk()?) {
        0 => None,
        error => Some(io::Error::from_raw_os_error(-error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_to_ourselves_is_the_most_special_there_is_and_longer_than_a_whole_class_a() {
        assert!(prefix_towards("127.0.0.1".parse().unwrap()).unwrap() >= 8);
    }
}
