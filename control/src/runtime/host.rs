//! What this machine is like. Only read, never changed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Cores that this process may run on, in order.
pub fn cores() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
        Err(_unknown) => Vec::new(),
    }
}

/// A switch under /proc/sys that keeps packets from passing between the interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotForwarding {
    /// As `sysctl` names it.
    pub switch: &'static str,
}

/// Which families the kernel does not forward. A switch that is not there (no IPv6) is not one that is off.
pub fn not_forwarding() -> Vec<NotForwarding> {
    let switches = [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv6.conf.all.forwarding", "/proc/sys/net/ipv6/conf/all/forwarding"),
    ];
    let is_off = |path: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "0");
    switches.into_iter().filter(|(_, path)| is_off(path)).map(|(switch, _)| NotForwarding { switch }).collect()
}

/// The address from which this machine reaches others, if it has one; for text shown to the operator.
pub fn own_address() -> Option<IpAddr> {
    // Connecting a UDP socket sends nothing: the kernel only picks a route and a source address. The destination is
    // one for documentation (RFC 5737).
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SocketAddr::from(([192, 0, 2, 1], 9))).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_core_to_run_on() {
        let cores = cores();
        assert!(!cores.is_empty());
        assert!(cores.is_sorted());
    }
}
