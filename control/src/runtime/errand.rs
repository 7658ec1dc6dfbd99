//! A login of ours: what the daemon is run for where it is a client. Everything else is as in a headend.

use crate::ike::engine::{Call, Engine};
use crate::session::SessionId;
use adit_dataplane::time::Instant;

/// Whom to call, how, and who looks on.
pub struct Errand {
    /// Whom. Its connection is one of the configuration's.
    pub call: Call,
    /// Looks at the engine after everything that has happened to it, on the IKE thread: it must not wait.
    pub watch: Watch,
}

/// See [`Errand::watch`].
pub type Watch = Box<dyn FnMut(Instant, &Engine, SessionId) -> Going + Send>;

/// Whether the errand goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Going {
    /// It does.
    On,
    /// It is over: log out, if there is anything to log out of, and end.
    Over,
}

/// An errand under way.
pub(super) struct Underway {
    pub(super) session: SessionId,
    pub(super) watch: Watch,
}

impl Underway {
    pub(super) fn look(&mut self, now: Instant, engine: &Engine) -> Going {
        (self.watch)(now, engine, self.session)
    }
}
