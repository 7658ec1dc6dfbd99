//! A configuration that the IKE thread is to decide on.

use super::Plan;
use crate::config::checked::Config;
use crossbeam_channel::Sender;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// To be told what would change.
    Plan,
    /// To have it changed.
    Apply,
}

/// A configuration that is right, for the IKE thread to decide on.
#[derive(Debug)]
pub struct Proposal {
    /// The whole.
    pub config: Arc<Config>,
    /// Whether to take it.
    pub wanted: Wanted,
    /// Answered once.
    pub answer: Sender<Decision>,
}

/// What the IKE thread says to that.
#[derive(Debug)]
pub enum Decision {
    /// This is what would change. Nothing has.
    Planned(Plan),
    /// This has changed.
    Applied(Plan),
    /// Nothing has changed, for this reason.
    Refused(&'static str),
}
