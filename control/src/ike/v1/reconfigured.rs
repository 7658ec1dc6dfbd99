//! A session while the configuration changes around it.

use super::established::{Established, Service};
use crate::aaa::Source;
use crate::config::Renumbering;
use crate::ike::service::{Node, facts};
use crate::lease::Leases;
use crate::reload::SessionFacts;

impl Established {
    /// What a reload has to know.
    pub(crate) fn facts(&self, node: &Node) -> SessionFacts {
        let ours = |source: Source| match source {
            Source::Local => true,
            Source::Radius(_) => false,
        };
        let user = self.user.as_ref().filter(|user| ours(user.profile.source)).map(|user| &user.name);
        facts(node, &self.peer, self.service.tunnel(), user)
    }

    /// Connections have other places now.
    pub(crate) fn renumber(&mut self, places: &Renumbering) {
        self.peer.connection = places.place(self.peer.connection);
        self.books.renumber(places);
        if let Some(called) = &mut self.called {
            called.call.connection = places.place(called.call.connection);
        }
    }

    /// Pools have other places now.
    pub(crate) fn find_pools(&mut self, leases: &Leases) {
        match &mut self.service {
            Service::Tunnel(tunnel) => tunnel.find_pools(leases),
            Service::Nothing { .. } => {}
        }
    }
}
