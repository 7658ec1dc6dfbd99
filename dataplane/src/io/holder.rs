//! Who has a port, as far as /proc tells.

use std::fs;
use std::net::IpAddr;

/// `charon (pid 123)`, or `None` if it cannot be seen from here.
pub(super) fn of_udp_port(address: IpAddr, port: u16) -> Option<String> {
    of_port(["/proc/net/udp", "/proc/net/udp6"], address, port)
}

/// The same of a TCP port.
pub(super) fn of_tcp_port(address: IpAddr, port: u16) -> Option<String> {
    of_port(["/proc/net/tcp", "/proc/net/tcp6"], address, port)
}

fn of_port([v4, v6]: [&str; 2], address: IpAddr, port: u16) -> Option<String> {
    let tables = if address.is_ipv4() { [v4, v6] } else { [v6, v4] };
    tables.iter().find_map(|table| process_of(&inode(&fs::read_to_string(table).ok()?, port)?))
}

/// The inode of the first socket bound to `port` in a table like /proc/net/udp.
fn inode(table: &str, port: u16) -> Option<String> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        // local, remote, st, tx:rx, tr:when, retrnsmt, uid, timeout, inode
        local.ends_with(&suffix).then(|| fields.nth(7).map(str::to_owned)).flatten()
    })
}

fn process_of(inode: &str) -> Option<String> {
    let link = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == link.as_str());
        if files.flatten().any(holds) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_the_inode_of_the_ports_socket() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
             345: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1111 2 0 0\n  \
             346: 0100007F:01F4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 2222 2 0 0\n";
        assert_eq!(inode(table, 500).as_deref(), Some("2222"));
        assert_eq!(inode(table, 4500), None);
    }

    #[test]
    fn a_port_of_our_own_is_ours() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let holder = of_udp_port(address.ip(), address.port()).unwrap();
        assert!(holder.contains(&format!("(pid {})", std::process::id())), "{holder}");
    }
}
