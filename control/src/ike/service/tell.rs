//! What is told of clients, for the journal.

use super::{Behind, Node, Peer, Traffic};
use crate::journal::{Happening, Spell, What, Who};
use crate::session::log_budget::LogBudget;
use crate::session::{Cause, SessionId};
use adit_dataplane::time::Instant;
use std::net::SocketAddr;

/// How many refused logins are told.
#[derive(Debug, Default)]
pub(crate) struct RefusalBudgets {
    /// Of who has said who it is,
    named: LogBudget,
    /// and who has not.
    nameless: LogBudget,
}

/// Who is not let in, as far as that is known.
pub(crate) struct Stranger {
    pub(crate) session: Option<SessionId>,
    pub(crate) identity: Option<String>,
    pub(crate) connection: Option<usize>,
    pub(crate) peer: SocketAddr,
}

impl Node {
    /// Something has happened to a session.
    pub(crate) fn tell(&mut self, peer: &Peer, what: What) {
        let who = self.who(peer);
        self.installer.tell(Happening { who: Some(who), what });
    }

    /// A session's peer, as events name it.
    pub(crate) fn who(&self, peer: &Peer) -> Who {
        Who {
            session: Some(peer.id),
            identity: Some(peer.identity.to_string()),
            connection: self.connection(peer.connection).map(|connection| connection.name.clone()),
            peer: peer.path.peer,
        }
    }

    /// Somebody is not let in, which is told as often as there is budget: whoever does not even claim to be anybody cannot spend what the others
    /// have.
    pub(crate) fn tell_refusal(&mut self, now: Instant, stranger: Stranger, cause: Cause) {
        let budget = match stranger.identity {
            Some(_) => &mut self.refusal_budgets.named,
            None => &mut self.refusal_budgets.nameless,
        };
        let Some(left_out) = budget.take(now) else { return };
        let Stranger { session, identity, connection, peer } = stranger;
        let connection = connection.and_then(|index| self.connection(index)).map(|connection| connection.name.clone());
        let who = Who { session, identity, connection, peer };
        self.installer.tell(Happening { who: Some(who), what: What::LoginRefused { cause, left_out } });
    }

    /// A session has ended.
    pub(crate) fn tell_logout(&mut self, now: Instant, peer: &Peer, cause: Cause, traffic: Traffic) {
        let (up, Traffic { bytes_in, bytes_out, .. }) = (now.since(peer.login), traffic);
        self.tell(peer, What::Logout { cause, up, bytes_in, bytes_out });
    }

    /// A session is there and has no service.
    pub(crate) fn tell_no_service(&mut self, now: Instant, peer: &Peer, cause: Cause) {
        let stranger = Stranger {
            session: Some(peer.id),
            identity: Some(peer.identity.to_string()),
            connection: Some(peer.connection),
            peer: peer.path.peer,
        };
        self.tell_refusal(now, stranger, cause);
    }
}

impl Stranger {
    /// Of whom nothing is known but where it is.
    pub(crate) fn at(peer: SocketAddr) -> Self {
        Self { session: None, identity: None, connection: None, peer }
    }
}

impl Peer {
    /// Whether a NAT was seen in front of it.
    pub(crate) fn nat_spell(&self) -> Spell {
        match self.nat.peer {
            Behind::Nat => Spell::On,
            Behind::Nothing => Spell::Off,
        }
    }
}
