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
        Self { connection: session.peer.connection, group: session.group.folded(), user: session.whose() }
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
                Claim::Address(address) => older.has_address(address) && !older.peer.closed.bars(newer.peer.framing),
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

    /// Whether one that is about to have a service may: one more of the user's, and of all. `Err`: why not. If older ones are to make
    /// place, they have ended; nobody has for one who stays out.
    pub(super) fn admit_v1(&mut self, now: Instant, key: &UserKey, newer: &Established) -> Result<(), Cause> {
        if !newer.has_way(&self.node) {
            // It gets no address, and hears why.
            return Ok(());
        }
        let leave = self.who_leaves_v1(key, newer).ok_or(Cause::LoginLimit)?;
        if self.is_full(leave.len()) {
            return Err(Cause::SessionLimit);
        }
        for id in leave {
            self.end(now, id, Cause::Replaced);
        }
        Ok(())
    }

    /// As [`Engine::who_leaves`], by IKEv1.
    pub(super) fn who_leaves_v1(&self, key: &UserKey, newer: &Established) -> Option<Vec<SessionId>> {
        let policy = &newer.peer.policy;
        let (Some(most), when_full) = (policy.max_logins, policy.when_full) else { return Some(Vec::new()) };
        let here = self.sessions_of(key).filter(|id| *id != newer.peer.id).collect();
        to_make_place(here, most, when_full)
    }

    /// Who has to end so that one more session of this identity's by IKEv2 may begin in the connection with this index; `None`: it may not.
    pub(super) fn who_leaves(&self, identity: &Id, connection: usize) -> Option<Vec<SessionId>> {
        let Policy { max_logins: Some(most), when_full, .. } = Policy::of(&self.node.config, connection, None) else {
            return Some(Vec::new());
        };
        let here = |id: &SessionId| match self.sessions.get(id) {
            Some(Stage::Established(session)) => session.peer.connection == connection,
            Some(_) | None => false,
        };
        let here = self.by_identity.get(&identity.folded()).into_iter().flatten().copied().filter(here).collect();
        to_make_place(here, most, when_full)
    }
}

/// Who of those that are in service, oldest first, has to end for one more; `None`: nobody does, and it stays out.
fn to_make_place(mut here: Vec<SessionId>, most: NonZeroU32, when_full: WhenFull) -> Option<Vec<SessionId>> {
    let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
    here.truncate((here.len() + 1).saturating_sub(most));
    match when_full {
        WhenFull::Refuse => here.is_empty().then_some(here),
        WhenFull::Replace => Some(here),
    }
}
