//! What is told of captures.

use super::NoLimit;
use adit_dataplane::contract::CaptureSides;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[schema(as = CaptureWhat)]
pub enum What {
    /// As they come from the peer and go to it: ESP and IKE.
    Outer,
    /// As they come out of the tunnel and go into it.
    Inner,
    /// All of them.
    #[default]
    Both,
}

impl What {
    /// As the workers call it.
    pub const fn sides(self) -> CaptureSides {
        match self {
            Self::Outer => CaptureSides::Outer,
            Self::Inner => CaptureSides::Inner,
            Self::Both => CaptureSides::Both,
        }
    }

    /// The stable word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outer => "outer",
            Self::Inner => "inner",
            Self::Both => "both",
        }
    }
}

/// Where a capture stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaptureState {
    /// Packets are copied.
    Running,
    /// The last of them are written.
    Ending,
    /// The file is whole.
    Ended,
}

/// Why a capture has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptureEnd {
    /// Its time is over.
    Time,
    /// Its file is as long as it may be.
    Size,
    /// An operator has stopped it.
    Stopped,
    /// Its session has ended, or has another tunnel.
    SessionEnded,
    /// The disk takes no more.
    Disk,
    /// The daemon is leaving.
    Leaving,
}

impl CaptureEnd {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Time, Self::Size, Self::Stopped, Self::SessionEnded, Self::Disk, Self::Leaving];

    /// The stable word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Size => "size",
            Self::Stopped => "stopped",
            Self::SessionEnded => "session_ended",
            Self::Disk => "disk",
            Self::Leaving => "leaving",
        }
    }

    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Time => "its time is over",
            Self::Size => "its file is as long as it may be",
            Self::Stopped => "an operator has stopped it",
            Self::SessionEnded => "its session has ended",
            Self::Disk => "the disk takes no more",
            Self::Leaving => "aditd is ending",
        }
    }
}

/// One capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CaptureView {
    /// `c1`, `c2`, …
    pub id: String,
    /// Whose packets: `s17`,
    pub session: String,
    /// and who that is.
    pub identity: String,
    /// Which of them.
    pub what: What,
    /// Which operator has begun it.
    pub by: String,
    /// Where it stands.
    pub state: CaptureState,
    /// Why it ends or has ended; null while it runs.
    pub end: Option<CaptureEnd>,
    /// Seconds since it began, until it ended.
    pub age_seconds: u64,
    /// Seconds that it may take.
    pub seconds: u64,
    /// Octets of each packet that are kept.
    pub snap: u32,
    /// Packets in the file.
    pub packets: u64,
    /// Octets of the file,
    pub octets: u64,
    /// and those that it may have.
    pub octets_most: u64,
    /// Packets that found no room on their way to the file.
    pub missed: u64,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCapture {
    /// Nobody knows it.
    #[error("there is no such capture: it was removed, or has never been")]
    Unknown,
    /// As many run as may.
    #[error("{} captures run, and no more may at a time: stop one", super::MOST)]
    TooMany,
    /// There is nowhere to write them.
    #[error("there is nowhere to write captures: set [state] directory")]
    NoFolder,
    /// A limit is none.
    #[error(transparent)]
    Limit(#[from] NoLimit),
    /// The file cannot be made or read.
    #[error("{what}: {why}")]
    File {
        /// What was to be done.
        what: String,
        /// What the system says.
        why: String,
    },
    /// The capture thread has too much to do.
    #[error("the capture thread is busy; ask again")]
    Busy,
    /// The capture thread is gone.
    #[error("aditd is ending")]
    Gone,
}
