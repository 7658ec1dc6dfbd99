//! Where questions and records are handed in: a bounded channel to the AAA thread. Nobody ever waits at it.

use super::desk::DeskView;
use super::{Answer, Question, QuestionId, Record, Verdict};
use crate::config::Renumbering;
use crate::config::checked::Config;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// Questions and records that may wait; more means that the thread does not keep up.
const WAITING: usize = 65_536;
/// A view is a copy; if it takes longer, something is wrong.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is handed in.
#[derive(Debug)]
pub enum Work {
    /// Answer this.
    Question(Box<Question>),
    /// Write this down.
    Record(Record),
    /// These are users and connections from now on.
    Reconfigure(Arc<Config>, Renumbering),
    /// Say how things are.
    View(oneshot::Sender<DeskView>),
    /// Write down what waits, and end.
    Leave,
}

/// Why nobody says how things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoView {
    /// Too much waits for the thread.
    Busy,
    /// It did not answer in time.
    TooLate,
    /// It has ended.
    Gone,
}

/// The side of those who ask.
#[derive(Debug, Clone)]
pub struct Window(mpsc::Sender<Work>);

/// Both sides.
pub fn channel() -> (Window, mpsc::Receiver<Work>) {
    let (window, work) = mpsc::channel(WAITING);
    (Window(window), work)
}

/// Room at the window that nobody else gets.
#[derive(Debug)]
pub struct RoomForConfig(mpsc::OwnedPermit<Work>);

impl RoomForConfig {
    /// Behind all that was handed in before.
    pub fn hand_in(self, config: Arc<Config>, places: Renumbering) {
        self.0.send(Work::Reconfigure(config, places));
    }
}

impl Window {
    /// For another configuration; `None` if the thread does not keep up, or has ended.
    pub fn room_for_config(&self) -> Option<RoomForConfig> {
        self.0.clone().try_reserve_owned().ok().map(RoomForConfig)
    }

    /// Asks. `Some` is an answer at once: there was no room, or nobody is there any more.
    #[must_use]
    pub fn ask(&self, question: Question) -> Option<Answer> {
        let id: QuestionId = question.id;
        let sent = self.0.try_send(Work::Question(Box::new(question)));
        sent.is_err().then_some(Answer { id, verdict: Verdict::Unavailable })
    }

    /// Hands in a record.
    pub fn write(&self, record: Record) {
        let session = record.account.session;
        if self.0.try_send(Work::Record(record)).is_err() {
            tracing::error!(%session, "the AAA thread does not keep up, or has ended: a record is lost");
        }
    }

    /// How the servers are.
    ///
    /// # Errors
    /// See [`NoView`].
    pub async fn view(&self) -> Result<DeskView, NoView> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Work::View(answer)).map_err(|error| match error {
            TrySendError::Full(_) => NoView::Busy,
            TrySendError::Closed(_) => NoView::Gone,
        })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(view) => view.map_err(|_dropped| NoView::Gone),
            Err(_elapsed) => Err(NoView::TooLate),
        }
    }

    /// Tells the thread to end. `false`: there was no room to say it.
    pub fn leave(&self) -> bool {
        self.0.try_send(Work::Leave).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::question;
    use super::*;

    #[test]
    fn who_finds_nobody_at_the_window_is_answered_at_once() {
        let (window, work) = channel();
        assert_eq!(window.ask(question(1, "alice", "x")), None);
        drop(work);
        let answer = Answer { id: QuestionId(2), verdict: Verdict::Unavailable };
        assert_eq!(window.ask(question(2, "alice", "x")), Some(answer));
    }

    #[test]
    fn who_finds_the_window_crowded_is_answered_at_once() {
        let (window, _work) = channel();
        let at_once = (0..=WAITING as u64).filter_map(|id| window.ask(question(id, "alice", "x"))).count();
        assert_eq!(at_once, 1);
    }
}
