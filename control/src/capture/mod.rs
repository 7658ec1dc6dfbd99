//! Captures: a session's packets in a file that Wireshark reads, for a while.
//!
//! ```text
//! worker ── ring ──▶ ┐
//! worker ── ring ──▶ ┴ capture thread: in order, headers put back, pcapng ── pieces ──▶ disk thread ──▶ file ──▶ API
//! ```

mod clerk;
mod file;
mod limits;
mod name;
mod outer_header;
mod outgoing;
mod view;

pub(crate) use clerk::To;
pub use clerk::{Clerk, Request, channel};
pub use file::{CaptureFile, Full};
pub use limits::{Limits, NoLimit};
pub use name::{CaptureName, NoCaptureName};
pub(crate) use outgoing::{Outgoing, Standing};
pub use view::{CaptureEnd, CaptureState, CaptureView, NoCapture, What};

use crate::disk::Written;
use crate::journal::Who;
use crate::session::SessionId;
use adit_dataplane::contract::{CapturePaths, TunnelKey};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Captures that run at a time.
pub const MOST: usize = adit_dataplane::contract::MAX_CAPTURES;
/// Captures that are kept; the one that has ended first goes when there are more.
pub const KEPT: usize = 16;
/// Octets of all that are kept, running ones with all that they may still write.
pub const KEPT_OCTETS: u64 = 4_000_000_000;

/// Whose packets, as the IKE thread knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The session.
    pub session: SessionId,
    /// Who that is, for events.
    pub who: Who,
    /// Its tunnel.
    pub tunnel: TunnelKey,
    /// Where its IKE and its ESP go.
    pub paths: CapturePaths,
}

/// A capture as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose packets.
    pub target: Target,
    /// Which sides.
    pub what: What,
    /// How much.
    pub limits: Limits,
    /// Who wants it.
    pub by: String,
}

/// A capture's file for somebody who reads it, while it grows, too.
#[derive(Debug)]
pub struct Readable {
    /// Opened for him.
    pub file: File,
    /// How much there is.
    pub progress: Arc<Progress>,
}

/// How far a capture's file is, for its readers.
#[derive(Debug)]
pub struct Progress {
    written: Written,
    over: AtomicBool,
}

impl Progress {
    /// Of a file that the disk's thread writes.
    pub const fn of(written: Written) -> Self {
        Self { written, over: AtomicBool::new(false) }
    }

    /// What the disk's thread says.
    pub const fn written(&self) -> &Written {
        &self.written
    }

    /// There will be no more.
    pub fn is_over(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Octets in the file, and whether that is all. Asked in this order, so that the end is not told before the last octets.
    pub fn look(&self) -> (u64, bool) {
        let over = self.over.load(Ordering::Acquire);
        (self.written.state().written, over)
    }
}
