//! A session that we have started goes another way.

use super::established::{Established, Service};
use crate::ike::engine::{Asking, Pulse};
use crate::ike::service::{Call, Node, Tunnel, Way};
use adit_dataplane::time::Instant;

impl Established {
    /// When it was heard, and whether it should have been.
    pub(crate) fn pulse(&self) -> Pulse {
        let sent = self.service.tunnel().map_or(Instant::ZERO, Tunnel::last_sent);
        let asking = if self.dpd.asking().is_some() { Asking::Something } else { Asking::Nothing };
        Pulse { heard: self.heard(), sent, asking }
    }

    /// As this call would go. So does the next phase 1.
    pub(crate) fn go_by(&mut self, now: Instant, node: &mut Node, call: &Call) {
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let Some(way) = Way::of(node, call) else { return };
        way.take(node, &mut self.peer, tunnel);
        if let Some(called) = &mut self.called {
            called.call = call.clone();
        }
        // A question that went the other way says nothing of this one.
        self.dpd.heard();
        self.probe(now, node);
    }
}
