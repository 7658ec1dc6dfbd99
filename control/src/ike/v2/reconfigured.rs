//! A session while the configuration changes around it.

use super::established::{Established, Service};
use crate::ike::service::{Node, facts};
use crate::lease::Leases;
use crate::reload::SessionFacts;

impl Established {
    /// What a reload has to know.
    pub(crate) fn facts(&self, node: &Node) -> SessionFacts {
        let tunnel = match &self.service {
            Service::Tunnel(tunnel) => Some(&**tunnel),
            Service::Childless { .. } => None,
        };
        facts(node, &self.peer, tunnel, None)
    }

    /// Pools have other places now.
    pub(crate) fn find_pools(&mut self, leases: &Leases) {
        match &mut self.service {
            Service::Tunnel(tunnel) => tunnel.find_pools(leases),
            Service::Childless { .. } => {}
        }
    }
}
