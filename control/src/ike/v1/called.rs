//! A session that we have started: what it has beyond others, and how it comes to be in service.

use super::again::Again;
use super::established::Established;
use super::pull;
use super::reached::Reached;
use super::told::Told;
use crate::ike::service::policy::Policy;
use crate::ike::service::{Call, Closed, Node, Origin, Peer};
use crate::journal::What;
use adit_dataplane::time::Instant;
use std::net::Ipv4Addr;

/// What it has.
pub(super) struct Called {
    pub(super) call: Call,
    pub(super) progress: Progress,
    pub(super) told: Option<Told>,
    /// Another phase 1 is to begin then.
    pub(super) renew: Option<Instant>,
    /// It has begun.
    pub(super) again: Option<Again>,
    /// No quick mode in the place of a lost SA before that.
    pub(super) quick_after: Instant,
}

/// Whether packets have ever been carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Connecting,
    Up,
}

impl Called {
    /// When another phase 1, or the one under way, has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        match (&self.again, &self.told) {
            (Some(again), _) => Some(again.deadline()),
            (None, Some(_)) => self.renew,
            (None, None) => None,
        }
    }

    /// The inner address that we have been given.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.told.as_ref().map(|told| told.address)
    }
}

impl Established {
    /// Both ends have proven what they must. We ask for our address.
    pub(crate) fn begin_called(now: Instant, node: &mut Node, reached: Reached) -> Self {
        let Reached { id, call, worker, sa, identity, traversal, along, life, last, .. } = reached;
        let (path, framing) = along;
        let connection = call.connection;
        let peer = Peer {
            id,
            identity: identity.clone(),
            connection,
            origin: Origin::Called,
            nat: traversal.nat,
            worker,
            path,
            framing,
            login: now,
            heard: now,
            sent: now,
            policy: Policy::default(),
            closed: Closed::default(),
        };
        let called = Called {
            call,
            progress: Progress::Connecting,
            told: None,
            renew: life.rekey,
            again: None,
            quick_after: now,
        };
        let begun = Self::of(now, node, peer, identity, sa, traversal);
        let mut session = Self { called: Some(Box::new(called)), ..begun };
        session.take_policy(node);
        pull::ask(now, node, &mut session, last);
        session
    }

    /// Whether it is one that we have started and that has carried nothing yet.
    pub(crate) fn is_connecting(&self) -> bool {
        self.called.as_ref().is_some_and(|called| called.progress == Progress::Connecting)
    }

    /// What the headend has told us about ourselves, if we have started it.
    pub(crate) fn told(&self) -> Option<&Told> {
        self.called.as_ref()?.told.as_ref()
    }

    /// An ESP SA is in use.
    pub(super) fn in_use(&mut self, node: &mut Node) {
        let Some(called) = &mut self.called else { return };
        if called.progress == Progress::Connecting {
            called.progress = Progress::Up;
            node.counters.logins += 1;
            tracing::info!(identity = %self.peer.identity, address = called.address().map(tracing::field::display),
                peer = %self.peer.path.peer, worker = self.peer.worker.0, ike = %self.sa.suite(), "logged in");
            let what = What::Login {
                ike: "v1",
                transport: self.service.tunnel().map(|tunnel| tunnel.path.transport()),
                nat: self.peer.nat_spell(),
                addresses: called.address().into_iter().map(Into::into).collect(),
                algorithms: self.sa.suite().to_string(),
            };
            node.tell(&self.peer, what);
        }
    }
}
