//! A session whose cTCP connection brings nothing of what its client sends.

use super::{Engine, Stage, StageV1};
use crate::session::SessionId;
use adit_dataplane::contract::{StalledFlow, TunnelKey};
use adit_dataplane::time::Instant;

impl Engine {
    /// Whose tunnel this is, and who that is.
    pub fn owner_of(&self, tunnel: TunnelKey) -> Option<(SessionId, String)> {
        let id = self.node.installer.tunnel_owner(tunnel)?;
        match self.sessions.get(&id) {
            Some(Stage::V1(StageV1::Established(session))) => Some((id, session.peer.identity.to_string())),
            Some(Stage::Established(session)) => Some((id, session.peer.identity.to_string())),
            Some(_) => Some((id, String::new())),
            None => None,
        }
    }

    /// A worker says so.
    pub(super) fn stalling(&mut self, now: Instant, stalled: &StalledFlow) {
        let Some(id) = self.node.installer.tunnel_owner(stalled.tunnel) else { return };
        let _span = tracing::info_span!("session", session = %id).entered();
        match self.sessions.remove(&id) {
            Some(Stage::V1(StageV1::Established(mut session))) => {
                let verdict = session.stalling(now, &mut self.node, stalled);
                self.settle_v1(now, session, verdict);
            }
            Some(Stage::Established(mut session)) => {
                let verdict = session.stalling(now, &mut self.node, stalled);
                self.settle(now, session, verdict);
            }
            Some(other) => drop(self.sessions.insert(id, other)),
            None => {}
        }
    }
}
