//! Logins of ours: what the daemon is run for where it is a client. Everything else is as in a headend.

use crate::ike::engine::{CtcpManner, Engine};
use adit_dataplane::io::WorkerEnd;
use adit_dataplane::time::Instant;

/// What the daemon is run for.
pub struct Errand {
    /// What our end of a cTCP connection is like, if there is one.
    pub ctcp: CtcpManner,
    /// Where its inner packets come from and go to.
    pub inner: InnerSide,
    /// Who calls and looks on.
    pub drive: Drive,
}

/// What is inside of the workers.
#[derive(Debug)]
pub enum InnerSide {
    /// The interface that the configuration names.
    Interface,
    /// Memory of this process, for the first worker.
    Memory(WorkerEnd),
}

/// Called at first and after everything that has happened to the engine, some times a second at least, on the IKE thread: it must not
/// wait.
pub type Drive = Box<dyn FnMut(Instant, &mut Engine) -> Going + Send>;

/// Whether the errand goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Going {
    /// It does.
    On,
    /// It does, and what it waits for is a worker's work of a moment, which nobody reports.
    Soon,
    /// It is over: log out, if there is anything to log out of, and end.
    Over,
}
