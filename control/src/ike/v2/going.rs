//! A session that we have started goes another way.

use super::established::{Established, Service};
use crate::ike::engine::{Asking, Pulse};
use crate::ike::service::{Call, Node, Way};
use adit_dataplane::time::Instant;

impl Established {
    /// When it was heard, and whether it should have been.
    pub(crate) fn pulse(&self) -> Pulse {
        let sent = match &self.service {
            Service::Tunnel(tunnel) => tunnel.last_sent(),
            Service::Childless { .. } => Instant::ZERO,
        };
        let asking = if self.ike.ids.under_way().is_some() { Asking::Something } else { Asking::Nothing };
        Pulse { heard: self.heard(), sent, asking }
    }

    /// As this call would go.
    pub(crate) fn go_by(&mut self, now: Instant, node: &mut Node, call: &Call) {
        let Service::Tunnel(tunnel) = &mut self.service else { return };
        let Some(way) = Way::of(node, call) else { return };
        way.take(node, &mut self.peer, tunnel);
        match self.ike.ids.anew(now, &node.patience()).map(<[u8]>::to_vec) {
            // The peer may have it already: then it answers again, to where we are.
            Some(bytes) => {
                node.counters.asked_again += 1;
                self.peer.send(now, node, bytes);
            }
            None => self.probe(now, node),
        }
    }
}
