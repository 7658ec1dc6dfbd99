//! `POST /v1/drain`, `DELETE /v1/drain`: nobody new is let in, or everybody again.

use super::access::Admin;
use super::ask::{DrainOrder, Question};
use super::parameters::Asked;
use super::problem::{Kind, Problem, ProblemView};
use super::routes::Sources;
use super::views::StatusView;
use axum::extract::State;
use axum::response::Json;
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// Seconds that draining with an end may take.
const LONGEST: u32 = 604_800;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DrainQuery {
    /// Seconds after which those who are still here are told to go; if nothing is said they stay.
    #[param(maximum = 604_800)]
    within: Option<u32>,
    /// Whether the daemon ends when nobody is left.
    #[serde(default)]
    #[param(required = false)]
    stop: bool,
}

/// Let nobody new in
///
/// First messages are not answered, but for those from addresses that sessions come from. Sessions go on with all that belongs to
/// them; their addresses wait for them when they are told to go. Said again, it counts anew.
#[utoipa::path(post, path = "/v1/drain", tag = "overview", params(DrainQuery), responses(
    (status = 200, description = "How the daemon is from now on", body = StatusView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn drain(
    admin: Admin,
    State(sources): State<Sources>,
    Asked(DrainQuery { within, stop }): Asked<DrainQuery>,
) -> Result<Json<StatusView>, Problem> {
    if within.is_some_and(|seconds| seconds > LONGEST) {
        return Err(Problem::new(Kind::BadParameter, format!("within: at most {LONGEST} seconds, a week")));
    }
    let within = within.map(|seconds| Duration::from_secs(seconds.into()));
    order(&admin, &sources, DrainOrder::Begin { within, stop }).await
}

/// Let everybody in again
#[utoipa::path(delete, path = "/v1/drain", tag = "overview", responses(
    (status = 200, description = "How the daemon is from now on", body = StatusView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn stop_draining(admin: Admin, State(sources): State<Sources>) -> Result<Json<StatusView>, Problem> {
    order(&admin, &sources, DrainOrder::Cancel).await
}

async fn order(admin: &Admin, sources: &Sources, order: DrainOrder) -> Result<Json<StatusView>, Problem> {
    let view = sources.asker.ask(|answer| Question::Drain(order, answer)).await?;
    tracing::info!(by = admin.name(), "the operator wants: {order:?}");
    Ok(Json(view))
}
