//! Questions to the IKE thread: a bounded channel there, one answer each back.

use crate::ctcp::{ClearView, ConnectionView, Which};
use crate::reload::Proposal;
use crate::session::{SaView, SessionView};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::time::Duration;
use tokio::sync::oneshot;

use super::views::{IkeView, StatusView};

/// Questions that may wait. More means that the IKE thread does not keep up: better told than queued.
const WAITING: usize = 16;
/// An answer is a copy of views; if it takes longer, something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the IKE thread is asked, and where the answer goes.
#[derive(Debug)]
pub enum Question {
    /// How the daemon is.
    Status(oneshot::Sender<StatusView>),
    /// All sessions.
    Sessions(oneshot::Sender<Vec<SessionView>>),
    /// All child SAs.
    Sas(oneshot::Sender<Vec<SaView>>),
    /// What the IKE engine holds and did.
    Ike(oneshot::Sender<IkeView>),
    /// All connections by cTCP and in real TCP; the workers are asked.
    Flows(oneshot::Sender<Vec<ConnectionView>>),
    /// Another configuration.
    Reload(Proposal),
    /// These are to end.
    ClearFlows(Which, oneshot::Sender<ClearView>),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many questions wait.
    #[error("the IKE thread is busy: too many questions wait; ask again")]
    Busy,
    /// No answer in time.
    #[error("the IKE thread did not answer in time; ask again")]
    TooLate,
    /// The daemon is leaving.
    #[error("aditd is ending")]
    Gone,
}

/// The asking end.
#[derive(Debug, Clone)]
pub struct Asker(Sender<Question>);

/// Both ends.
pub fn channel() -> (Asker, Receiver<Question>) {
    let (sender, receiver) = bounded(WAITING);
    (Asker(sender), receiver)
}

impl Asker {
    /// Asks; where the answer goes is in the question.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub fn hand_in(&self, question: Question) -> Result<(), NoAnswer> {
        self.0.try_send(question).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Gone,
        })
    }

    /// Asks and waits for the answer, [`PATIENCE`] at most.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub async fn ask<A>(&self, question: impl FnOnce(oneshot::Sender<A>) -> Question) -> Result<A, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(question(answer))?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_dropped)) => Err(NoAnswer::Gone),
            Err(_elapsed) => Err(NoAnswer::TooLate),
        }
    }
}
