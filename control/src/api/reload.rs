//! `POST /v1/reload` and `GET /v1/config`: to the reload thread, which has the configuration.

use super::access::Admin;
use super::ask::NoAnswer;
use super::parameters::Asked;
use super::problem::{Problem, ProblemView};
use super::routes::Sources;
use crate::reload::{ConfigView, Outcome, PlanView, Wanted};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::oneshot;
use utoipa::IntoParams;

/// Reloads and questions that may wait.
const WAITING: usize = 4;
/// A file is read and compared in much less; a disk may be slow.
const PATIENCE: Duration = Duration::from_secs(4);
/// As messages call it.
const THREAD: &str = "the reload thread";
const TOO_LATE: NoAnswer = NoAnswer::TooLateElsewhere(THREAD);

/// What the reload thread is asked for.
#[derive(Debug)]
pub enum Request {
    /// One reload, and who wants to know; nobody after a signal.
    Reload(Wanted, Option<oneshot::Sender<PlanView>>),
    /// The configuration in force.
    Show(oneshot::Sender<ConfigView>),
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
        let _full = self.0.try_send(Request::Reload(Wanted::Apply, None));
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// See [`NoAnswer`]. What was asked for may still be done.
    pub async fn ask(&self, wanted: Wanted) -> Result<PlanView, NoAnswer> {
        // What is only planned is not applied later.
        let too_late = if wanted == Wanted::Apply { NoAnswer::StillReloading } else { TOO_LATE };
        self.answered(|answer| Request::Reload(wanted, Some(answer)), too_late).await
    }

    /// The configuration in force.
    ///
    /// # Errors
    /// See [`NoAnswer`].
    pub async fn show(&self) -> Result<ConfigView, NoAnswer> {
        self.answered(Request::Show, TOO_LATE).await
    }

    async fn answered<A>(
        &self,
        request: impl FnOnce(oneshot::Sender<A>) -> Request,
        too_late: NoAnswer,
    ) -> Result<A, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(request(answer)).map_err(|error| match error {
            TrySendError::Full(_) => NoAnswer::BusyElsewhere(THREAD),
            TrySendError::Disconnected(_) => NoAnswer::Gone,
        })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(view)) => Ok(view),
            Ok(Err(_dropped)) => Err(NoAnswer::Gone),
            Err(_elapsed) => Err(too_late),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReloadQuery {
    /// Whether only the plan is wanted.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// Read the configuration again
///
/// All of it is applied, or nothing. The plan is answered, whatever comes of it.
#[utoipa::path(post, path = "/v1/reload", tag = "overview", params(ReloadQuery), responses(
    (status = 200, description = "It is applied, or could be", body = PlanView),
    (status = 409, description = "It cannot be while aditd runs", body = PlanView),
    (status = 422, description = "The file is wrong", body = PlanView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn reload(
    admin: Admin,
    State(sources): State<Sources>,
    Asked(asked): Asked<ReloadQuery>,
) -> Result<(StatusCode, Json<PlanView>), Problem> {
    let wanted = if asked.dry_run { Wanted::Plan } else { Wanted::Apply };
    let view = sources.reloader.ask(wanted).await?;
    tracing::debug!(by = admin.name(), "reload: {wanted:?}");
    Ok((status(view.outcome), Json(view)))
}

/// The configuration in force
///
/// Every key, with its default where the file says nothing. Of secrets nothing is shown.
#[utoipa::path(get, path = "/v1/config", tag = "overview", responses(
    (status = 200, description = "All of it", body = ConfigView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn config(State(sources): State<Sources>) -> Result<Json<ConfigView>, Problem> {
    Ok(Json(sources.reloader.show().await?))
}

const fn status(outcome: Outcome) -> StatusCode {
    match outcome {
        Outcome::NothingToDo | Outcome::Planned | Outcome::Applied => StatusCode::OK,
        Outcome::NeedsRestart | Outcome::Failed => StatusCode::CONFLICT,
        Outcome::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
