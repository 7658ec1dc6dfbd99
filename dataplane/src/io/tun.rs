//! The inner network's interface: a TUN with a vnet header (so that super-packets pass whole), one queue per worker.
//!
//! Which queue the kernel gives a packet to is said by a program ([`inner_steer`]). Where it is refused, the kernel
//! remembers which queue a flow was last written to and sends the flow's way back there, so answers mostly reach the
//! worker that owns the tunnel; the others are handed over.
#![expect(unsafe_code, reason = "TUN queues are made by ioctl")]

use super::open::{Lack, OpenError, TunConfig};
use super::{inner_steer, netlink};
use crate::contract::InnerLayout;
use crate::offload::JoinKinds;
use ipnet::IpNet;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// `IFF_TUN_EXCL`: the interface must not exist yet.
const EXCLUSIVE: i16 = 0x8000_u16 as i16;

/// `struct ifreq` of linux/if.h as TUNSETIFF reads it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

/// The interface's queues, and what may be written to them joined.
pub(super) struct Tun {
    pub(super) queues: Vec<OwnedFd>,
    pub(super) kinds: JoinKinds,
}

/// Makes the interface with `queues` queues, gives it addresses and MTU, and sets it up. It vanishes when the last
/// queue is closed.
pub(super) fn open(config: &TunConfig, queues: usize, lacks: &mut Vec<Lack>) -> Result<Tun, OpenError> {
    let mut opened = Vec::with_capacity(queues);
    let mut kinds = JoinKinds::default();
    for index in 0..queues {
        let queue = open_queue(&config.name, index == 0)?;
        kinds = offload(&queue).map_err(|source| failed(config, "setting its offloads", source))?;
        opened.push(OwnedFd::from(queue));
    }
    if let (Some(first), true) = (opened.first(), queues > 1)
        && let Err(error) = inner_steer::attach(first.as_fd(), InnerLayout::new(queues))
    {
        lacks.push(Lack::NoInnerSteering(inner_steer::refusal(&error)));
    }
    if !kinds.udp {
        lacks.push(Lack::NoUdpSegmentation);
    }
    if !kinds.tcp {
        lacks.push(Lack::NoTcpSegmentation);
    }
    let index = interface_index(&config.name).map_err(|source| failed(config, "finding it", source))?;
    netlink::bring_up(index, config.mtu).map_err(|source| failed(config, "setting its MTU", source))?;
    for address in &config.addresses {
        netlink::add_address(index, address).map_err(|source| failed(config, "giving it an address", source))?;
    }
    Ok(Tun { queues: opened, kinds })
}

/// Gives an interface of ours an address of its own, without a network, and routes. All of it goes with the interface.
///
/// # Errors
/// What the kernel says; what came before stays.
pub fn give_address(name: &str, address: IpAddr, networks: &[IpNet]) -> io::Result<()> {
    let index = interface_index(name)?;
    netlink::add_address(index, &IpNet::from(address))?;
    networks.iter().try_for_each(|network| netlink::add_route(index, network, address))
}

/// Gives an interface of ours one more address, with the network around it.
///
/// # Errors
/// What the kernel says.
pub fn give_network(name: &str, network: &IpNet) -> io::Result<()> {
    netlink::add_address(interface_index(name)?, network)
}

/// Takes it from the interface again.
///
/// # Errors
/// What the kernel says.
pub fn take_network(name: &str, network: &IpNet) -> io::Result<()> {
    netlink::remove_address(interface_index(name)?, network)
}

/// How long the prefix is of the route that packets to `address` take now, in bits: a route with a shorter one takes nothing away from
/// it. Zero if there is none that can be relied upon.
///
/// # Errors
/// What the kernel says, such as that nothing leads there.
pub fn prefix_towards(address: IpAddr) -> io::Result<u8> {
    netlink::prefix_towards(address)
}

fn open_queue(name: &str, first: bool) -> Result<File, OpenError> {
    let device = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun");
    let file = device.map_err(|source| match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => OpenError::NoTunDevice,
        Some(libc::EACCES | libc::EPERM) => OpenError::TunNotPermitted,
        _ => OpenError::Tun { name: name.to_owned(), what: "opening /dev/net/tun", source },
    })?;
    let mut request = InterfaceRequest { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
    let room = request.name.get_mut(..name.len()).filter(|room| (1..libc::IFNAMSIZ).contains(&room.len()));
    room.ok_or_else(|| OpenError::TunName { name: name.to_owned() })?.copy_from_slice(name.as_bytes());
    request.flags = (libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_MULTI_QUEUE) as i16;
    if first {
        request.flags |= EXCLUSIVE;
    }
    // SAFETY: `request` has the size and layout of `struct ifreq` and lives until the call returns.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    if result == 0 {
        return Ok(file);
    }
    let source = io::Error::last_os_error();
    Err(match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => OpenError::TunNotPermitted,
        Some(libc::EBUSY | libc::EINVAL) if first => OpenError::TunBusy { name: name.to_owned() },
        Some(libc::E2BIG) => OpenError::TunQueues,
        _ => OpenError::Tun { name: name.to_owned(), what: "making a queue", source },
    })
}

/// Asks for super-packets, for less if the kernel knows less.
fn offload(queue: &File) -> io::Result<JoinKinds> {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    // A kernel that knows USO (6.2) also takes it written; one that does not refuses the flag.
    let tries = [
        (tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6, JoinKinds { tcp: true, udp: true }),
        (tcp, JoinKinds { tcp: true, udp: false }),
        (0, JoinKinds::default()),
    ];
    let mut last = Ok(JoinKinds::default());
    for (flags, kinds) in tries {
        // SAFETY: TUNSETOFFLOAD takes its flags by value.
        let result = unsafe { libc::ioctl(queue.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(flags)) };
        if result == 0 {
            return Ok(kinds);
        }
        last = Err(io::Error::last_os_error());
    }
    last
}

fn interface_index(name: &str) -> io::Result<u32> {
    let name = std::ffi::CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `name` is a string that ends in zero and lives until the call returns.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

fn failed(config: &TunConfig, what: &'static str, source: io::Error) -> OpenError {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => OpenError::TunNotPermitted,
        _ => OpenError::Tun { name: config.name.clone(), what, source },
    }
}
