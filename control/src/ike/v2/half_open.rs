//! Half-open IKE SAs: keys are agreed, nobody has proven anything (RFC 7296 section 2.6 on what that invites).

use super::ike_sa::IkeSa;
use crate::config::checked::IkeSuite;
use crate::ike::service::Stranger;
use crate::ike::service::{Arrival, Behind, Nat};
use crate::ike::wire::Id;
use crate::session::SessionId;
use adit_dataplane::contract::{Path, WorkerId};
use adit_dataplane::time::Instant;

/// Waits for IKE_AUTH. Owns what that will need, and consumed by it.
pub(crate) struct HalfOpen {
    pub(crate) id: SessionId,
    pub(crate) arrival: Arrival,
    pub(crate) ike: IkeSa,
    /// The peer's first message, whole: its AUTH covers it.
    pub(crate) request: Vec<u8>,
    /// Ours: our AUTH covers it, and it answers retransmissions.
    pub(crate) response: Vec<u8>,
    pub(super) nonce_i: Vec<u8>,
    pub(super) nonce_r: Vec<u8>,
    pub(super) nat: Nat,
    /// Where we have said to be.
    pub(super) shown: Behind,
    pub(crate) path: Path,
    /// Where its IKE_SA_INIT came in: answers go out there until it has a worker of its own.
    pub(crate) worker: WorkerId,
    pub(crate) since: Instant,
}

impl HalfOpen {
    /// Who that is, for the journal.
    pub(crate) fn stranger(&self, identity: Option<&Id>) -> Stranger {
        let identity = identity.map(ToString::to_string);
        Stranger { session: Some(self.id), identity, connection: None, peer: self.path.peer }
    }

    /// What the client's NAT detection finds: what it does with ESP follows from that, true or not.
    pub(super) fn seen(&self) -> Nat {
        Nat { us: self.shown, ..self.nat }
    }

    /// The algorithms.
    pub(crate) fn suite(&self) -> IkeSuite {
        self.ike.suite()
    }
}
