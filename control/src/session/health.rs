//! How a session does, in one word and one reason.

use super::Cause;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Health {
    /// In service, and nothing speaks against that.
    Up,
    /// In service, but there are signs that its client is not reached or not heard.
    Degraded,
    /// Not in service: not yet, or not any more.
    Down,
}

/// Why it is not simply up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is none.
    Well,
    /// It has not come up yet.
    Connecting,
    /// A request of ours had to be repeated and has no answer yet.
    Unanswered,
    /// Nothing of the client's comes by its cTCP connection, as it seems.
    StallSuspected,
    /// It ends.
    Ending(Cause),
}

impl Reason {
    /// The stable word; empty for [`Reason::Well`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Well => "",
            Self::Connecting => "connecting",
            Self::Unanswered => "unanswered",
            Self::StallSuspected => "stall_suspected",
            Self::Ending(cause) => cause.name(),
        }
    }

    /// What that makes of the session.
    pub const fn health(self) -> Health {
        match self {
            Self::Well => Health::Up,
            Self::Unanswered | Self::StallSuspected => Health::Degraded,
            Self::Connecting | Self::Ending(_) => Health::Down,
        }
    }
}
