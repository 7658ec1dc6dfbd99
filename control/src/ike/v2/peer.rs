//! Who is at the other end of a session.

use super::half_open::{Arrival, Nat};
use crate::ike::wire::Id;
use crate::session::SessionId;
use adit_dataplane::contract::{IkeFraming, Path, WorkerId};
use adit_dataplane::time::Instant;

/// Who the peer is and where; stays the same through rekeys, and to the end.
pub(crate) struct Peer {
    pub(crate) id: SessionId,
    pub(crate) identity: Id,
    pub(super) connection: usize,
    pub(crate) origin: Origin,
    pub(super) nat: Nat,
    pub(crate) worker: WorkerId,
    pub(crate) path: Path,
    pub(super) framing: IkeFraming,
    pub(crate) login: Instant,
    /// When an authenticated IKE message last came.
    pub(super) heard: Instant,
    /// When an IKE message last went out.
    pub(super) sent: Instant,
}

/// How it came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By the peer's IKE_SA_INIT.
    Came(Arrival),
    /// By ours.
    Called,
}
