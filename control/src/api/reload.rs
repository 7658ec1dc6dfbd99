//! `POST /v1/reload`: to the reload thread, which answers with the plan.

use super::ask::NoAnswer;
use super::routes::Sources;
use crate::reload::{Outcome, PlanView, Wanted};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::oneshot;

/// Reloads that may wait.
const WAITING: usize = 4;
/// A file is read and compared in much less; a disk may be slow.
const PATIENCE: Duration = Duration::from_secs(4);

/// One reload.
#[derive(Debug)]
pub struct Request {
    /// What for.
    pub wanted: Wanted,
    /// Who wants to know; nobody after a signal.
    pub answer: Option<oneshot::Sender<PlanView>>,
}

/// The asking end.
#[derive(Debug, Clone)]
pub struct Reloader(Sender<Request>);

/// Both ends.
pub fn requests() -> (Reloader, Receiver<Request>) {
    let (sender, receiver) = bounded(WAITING);
    (Reloader(sender), receiver)
}

impl Reloader {
    /// After a signal: whatever comes of it is in the log. Reloads that still wait say the same.
    pub fn call(&self) {
        let _full = self.0.try_send(Request { wanted: Wanted::Apply, answer: None });
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// See [`NoAnswer`]. What was asked for may still be done.
    pub async fn ask(&self, wanted: Wanted) -> Result<PlanView, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Request { wanted, answer: Some(answer) }).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::Busy,
            TrySendError::Disconnected(_) => NoAnswer::Gone,
        })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(view)) => Ok(view),
            Ok(Err(_dropped)) => Err(NoAnswer::Gone),
            Err(_elapsed) => Err(NoAnswer::TooLate),
        }
    }
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// Whether only the plan is wanted.
    #[serde(default)]
    dry_run: bool,
}

/// The plan, whatever comes of it: 200 if it is applied, or could be; 409 if not while aditd runs; 422 if the file is wrong.
pub(super) async fn reload(State(sources): State<Sources>, Query(how): Query<How>) -> Response {
    let wanted = if how.dry_run { Wanted::Plan } else { Wanted::Apply };
    match sources.reloader.ask(wanted).await {
        Ok(view) => (status(view.outcome), Json(view)).into_response(),
        Err(none) => none.into_response(),
    }
}

const fn status(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::NothingToDo | Outcome::Planned | Outcome::Applied => StatusCode::OK,
        Outcome::NeedsRestart | Outcome::Failed => StatusCode::CONFLICT,
        Outcome::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
