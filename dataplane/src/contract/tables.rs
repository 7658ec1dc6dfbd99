//! Inner routes: which tunnel an inner destination belongs to. Control builds a table and publishes it whole.

use super::TunnelKey;
use ipnet::IpNet;
use std::net::IpAddr;

/// Where an inner packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// Into this tunnel.
    Tunnel(TunnelKey),
}

/// Longest-prefix match over inner prefixes. What is in no tunnel goes to the inner door.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    _todo: (),
}

impl Routes {
    /// Adds or replaces a prefix.
    pub fn insert(&mut self, prefix: IpNet, next_hop: NextHop) {
        let _ = (prefix, next_hop);
        todo!()
    }

    /// Takes a prefix away.
    pub fn remove(&mut self, prefix: &IpNet) -> Option<NextHop> {
        let _ = prefix;
        todo!()
    }

    /// The longest prefix that holds `address`.
    pub fn lookup(&self, address: IpAddr) -> Option<NextHop> {
        let _ = address;
        todo!()
    }

    /// Number of prefixes.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
