//! Whose sessions by IKEv1 are whose: who comes back for one, and who has as many as they may.

use super::{Engine, Stage, StageV1};
use crate::config::checked::WhenFull;
use crate::ike::service::policy::Policy;
use crate::ike::service::{Origin, TimerKey};
use crate::ike::v1::{Claim, Established};
use crate::ike::wire::Id;
use crate::session::{Cause, SessionId};
use adit_dataplane::time::Instant;
use std::num::NonZeroU32;

/// Whose a session by IKEv1 is: the connection, the group, and the user in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UserKey {
    connection: usize,
    group: Id,
    user: Id,
}

impl UserKey {
    pub(super) fn of(session: &Established) -> Self {
        let user = match session.has_user() {
            // A server says which names are the same.
            true => session.peer.identity.clone(),
            false => session.peer.identity.folded(),
        };
        Self { connection: session.peer.connection, group: session.group.folded(), user }
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

    /// Whether one more session of the user's may begin. If the oldest is to make place, it has ended.
    pub(super) fn has_room_v1(&mut self, now: Instant, key: &UserKey, newer: &Established) -> bool {
        let policy = &newer.peer.policy;
        let (Some(most), when_full) = (policy.max_logins, policy.when_full) else { return true };
        let here = self.sessions_of(key).filter(|id| *id != newer.peer.id).collect();
        self.make_place(now, here, most, when_full)
    }

    /// As [`Engine::has_room_v1`], of an identity by IKEv2 in the connection with this index.
    pub(super) fn has_room(&mut self, now: Instant, identity: &Id, connection: usize) -> bool {
        let Policy { max_logins: Some(most), when_full, .. } = Policy::of(&self.node.config, connection, None) else {
            return true;
        };
        let here = |id: &SessionId| match self.sessions.get(id) {
            Some(Stage::Established(session)) => session.peer.connection == connection,
            Some(_) | None => false,
        };
        let here = self.by_identity.get(&identity.folded()).into_iter().flatten().copied().filter(here).collect();
        self.make_place(now, here, most, when_full)
    }

    /// `here` are in service, oldest first.
    fn make_place(&mut self, now: Instant, here: Vec<SessionId>, most: NonZeroU32, when_full: WhenFull) -> bool {
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        let Some(more) = (here.len() + 1).checked_sub(most).filter(|more| *more > 0) else { return true };
        match when_full {
            WhenFull::Refuse => false,
            WhenFull::Replace => {
                for id in here.into_iter().take(more) {
                    self.end(now, id, Cause::Replaced);
                }
                true
            }
        }
    }
}
