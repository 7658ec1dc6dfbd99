//! Whose packets a capture is to have, and how everybody's go.

use super::{Engine, Stage, StageV1};
use crate::capture::Target;
use crate::ike::service::{Peer, Tunnel};
use crate::session::{SessionId, TransportLoad};
use adit_dataplane::contract::Transport;

impl Engine {
    /// A session's tunnel and where its packets go; `None` if it is not there or has no tunnel.
    pub fn capture_target(&self, id: SessionId) -> Option<Target> {
        let (peer, tunnel) = carried(self.sessions.get(&id)?)?;
        Some(Target {
            session: peer.id,
            who: self.node.who(peer),
            tunnel: tunnel.key,
            paths: [Some(peer.path), Some(tunnel.path.path())],
        })
    }

    /// What the sessions are that go by each transport right now.
    pub fn by_transport(&self) -> [(Transport, TransportLoad); Transport::ALL.len()] {
        let mut all = Transport::ALL.map(|transport| (transport, TransportLoad::default()));
        for (_, tunnel) in self.sessions.values().filter_map(carried) {
            let goes = tunnel.path.transport();
            if let Some((_, load)) = all.iter_mut().find(|(transport, _)| *transport == goes) {
                let traffic = tunnel.traffic();
                load.sessions += 1;
                load.bytes_in += traffic.bytes_in;
                load.bytes_out += traffic.bytes_out;
            }
        }
        all
    }
}

/// The peer and the tunnel of a session that carries packets.
fn carried(stage: &Stage) -> Option<(&Peer, &Tunnel)> {
    match stage {
        Stage::V1(StageV1::Established(session)) => Some((&session.peer, session.tunnel_held()?)),
        Stage::Established(session) => Some((&session.peer, session.tunnel_held()?)),
        Stage::V1(StageV1::HalfOpen(_) | StageV1::Login(_) | StageV1::Calling(_) | StageV1::Entering(_))
        | Stage::HalfOpen(_)
        | Stage::Calling(_)
        | Stage::Proving(_)
        | Stage::Closing(_) => None,
    }
}
