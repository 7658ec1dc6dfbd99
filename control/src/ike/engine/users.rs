//! Whose sessions by IKEv1 are whose: who comes back for one, and who has as many as they may.

use super::{Engine, Stage, StageV1};
use crate::ike::service::{Origin, TimerKey};
use crate::ike::v1::{Claim, Established};
use crate::ike::wire::Id;
use crate::session::{Cause, SessionId};
use adit_dataplane::time::Instant;

/// Whose a session by IKEv1 is: the connection, the group, and the user in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UserKey {
    connection: usize,
    group: Id,
    user: Id,
}

impl UserKey {
    pub(super) fn of(session: &Established) -> Self {
        let (connection, group, user) = (session.peer.connection, session.group.clone(), session.peer.identity.clone());
        Self { connection, group, user }
    }
}

impl Engine {
    /// Connections have other places now.
    pub(super) fn find_users_anew(&mut self) {
        self.by_user.clear();
        for (id, stage) in &self.sessions {
            if let Stage::V1(StageV1::Established(session)) = stage {
                self.by_user.entry(UserKey::of(session)).or_default().insert(*id);
            }
        }
    }

    /// The session of the same user's that a claim is about: the one with that address, or the one that comes along the
    /// very same path.
    pub(super) fn claimed(&self, key: &UserKey, newer: &Established, claim: Claim) -> Option<SessionId> {
        let others = self.by_user.get(key)?.iter().filter(|id| **id != newer.peer.id);
        let fits = |id: &&SessionId| match self.sessions.get(id) {
            Some(Stage::V1(StageV1::Established(older))) => match claim {
                Claim::Address(address) => older.has_address(address),
                Claim::Any => older.has_service() && older.peer.path == newer.peer.path,
            },
            Some(_) | None => false,
        };
        others.copied().find(|id| fits(&id))
    }

    /// Whether the user has a session in service.
    pub(super) fn is_here(&self, key: &UserKey) -> bool {
        self.sessions_of(key).next().is_some()
    }

    /// The user's sessions in service.
    fn sessions_of(&self, key: &UserKey) -> impl Iterator<Item = SessionId> {
        let in_service = |id: &SessionId| match self.sessions.get(id) {
            Some(Stage::V1(StageV1::Established(session))) => session.has_service(),
            Some(_) | None => false,
        };
        self.by_user.get(key).into_iter().flatten().copied().filter(in_service)
    }

    /// The newer one's ISAKMP SA is the older session's from now on.
    pub(super) fn hand_over(&mut self, now: Instant, key: &UserKey, older: &mut Established, newer: Established) {
        let id = newer.peer.id;
        if let Some(ids) = self.by_user.get_mut(key) {
            ids.remove(&id);
        }
        self.node.timers.set(TimerKey::Session(id), None);
        if let Origin::Came(arrival) = std::mem::replace(&mut older.peer.origin, newer.peer.origin) {
            self.arrivals.left(&arrival);
        }
        let _span = tracing::info_span!(parent: None, "session", session = %older.peer.id).entered();
        older.take_over(now, &mut self.node, newer);
    }

    /// Why the user cannot begin a session now, if that is so, although they may have fewer than they may.
    pub(super) fn is_unwanted(&self, key: &UserKey) -> Option<Cause> {
        (self.is_draining() && !self.is_here(key)).then_some(Cause::Drained)
    }

    /// Whether the user has as many sessions as the connection allows, without the one that is about to begin.
    pub(super) fn too_many_logins(&self, key: &UserKey) -> bool {
        let connection = self.node.config.connections.get(key.connection).and_then(|connection| connection.v1());
        let Some(most) = connection.and_then(|login| login.auth.xauth()).and_then(|xauth| xauth.max_logins) else {
            return false;
        };
        usize::try_from(most.get()).is_ok_and(|most| self.sessions_of(key).count() >= most)
    }
}
