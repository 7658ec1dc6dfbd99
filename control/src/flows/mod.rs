//! What an operator is told of flows inside tunnels.

mod cursor;
mod view;
mod walk;

pub use cursor::{FlowCursor, NoFlowCursor};
pub use view::{FlowTableView, InnerFlowView, InnerFlowsView, InnerTcpView, InnerWayView, RoundTripView};
pub use walk::{Walk, Walked, Walks};

use crate::session::SessionId;

/// Which flows somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Those of one session alone.
    pub session: Option<SessionId>,
    /// Where the page before ended.
    pub after: Option<FlowCursor>,
    /// So many at most.
    pub limit: usize,
}

impl Wanted {
    /// Flows that are told at once, at most.
    pub const MOST: usize = 1000;
}

/// Why there are none to tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoFlows {
    /// The configuration has turned the table off.
    #[error("nobody counts inner flows: the configuration has [flows] table = \"off\"")]
    Off,
    /// The session that was asked for.
    #[error("there is no such session, or it has no tunnel")]
    NoSuchSession,
    /// Too many ask.
    #[error("too many ask for inner flows at once; ask again")]
    Busy,
}
