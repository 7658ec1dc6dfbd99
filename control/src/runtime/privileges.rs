//! What the process may do, and what nobody may do to it.

use super::errand::InnerSide;
use crate::config::checked::{Listen, NativeEsp};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use std::io;

/// Keys never reach the disk through a core dump, nor another process of the same user through ptrace.
///
/// # Errors
/// The system says no.
pub fn keep_memory_private() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// The privileges that one needs who listens like this, with this inside, and that this process lacks, by name.
pub(super) fn lacking(listen: &Listen, inner: &InnerSide) -> Vec<&'static str> {
    let Ok(sets) = capabilities(None) else { return Vec::new() };
    let mut lacking = Vec::new();
    if matches!(inner, InnerSide::Interface) && !sets.effective.contains(CapabilitySet::NET_ADMIN) {
        lacking.push("CAP_NET_ADMIN (for the TUN interface)");
    }
    let ports = [Some(listen.ike_port), Some(listen.natt_port), listen.cisco_udp_port];
    if ports.iter().flatten().any(|port| *port < first_free_port())
        && !sets.effective.contains(CapabilitySet::NET_BIND_SERVICE)
    {
        lacking.push("CAP_NET_BIND_SERVICE (for ports 500 and 4500)");
    }
    let raw = listen.native_esp == NativeEsp::Carried || listen.tcp_port.is_some() || !listen.ctcp_ports.is_empty();
    if raw && !sets.effective.contains(CapabilitySet::NET_RAW) {
        lacking.push("CAP_NET_RAW (for native ESP, cTCP and IKE in TCP)");
    }
    lacking
}

/// Below it, a port needs a privilege.
fn first_free_port() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn no_core_is_dumped_and_nobody_of_the_same_user_may_look_into_the_memory() {
        let before = dumpable_behavior().unwrap();
        keep_memory_private().unwrap();
        let private = dumpable_behavior().unwrap();
        // Other tests of this process look into /proc/self, which is root's while nobody may look into the memory.
        set_dumpable_behavior(before).unwrap();
        assert_eq!(private, DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core), Rlimit { current: Some(0), maximum: Some(0) });
    }
}
