//! The daemon as a whole, thread by thread.

use super::ask::{NoAnswer, Question};
use super::frequency;
use super::problem::{Problem, ProblemView};
use super::routes::Sources;
use super::views::{CertificateView, DropView, IkeView, StatusView, WorkerView, drops};
use crate::aaa::desk::DeskView;
use axum::extract::State;
use axum::response::Json;

/// The daemon as a whole
#[utoipa::path(get, path = "/v1/status", tag = "overview", responses(
    (status = 200, description = "How it is", body = StatusView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn status(State(sources): State<Sources>) -> Result<Json<StatusView>, Problem> {
    Ok(Json(sources.asker.ask(Question::Status).await?))
}

/// What IKE holds and did
#[utoipa::path(get, path = "/v1/ike", tag = "overview", responses(
    (status = 200, description = "Since the start", body = IkeView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn ike(State(sources): State<Sources>) -> Result<Json<IkeView>, Problem> {
    Ok(Json(sources.asker.ask(Question::Ike).await?))
}

/// RADIUS servers, and whom the daemon is asking about
#[utoipa::path(get, path = "/v1/aaa", tag = "overview", responses(
    (status = 200, description = "Since the start", body = DeskView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn aaa(State(sources): State<Sources>) -> Result<Json<DeskView>, Problem> {
    Ok(Json(sources.aaa.view().await.map_err(NoAnswer::from)?))
}

/// Worker threads and their packets
#[utoipa::path(get, path = "/v1/workers", tag = "overview", responses(
    (status = 200, description = "Each of them, since the start", body = [WorkerView]),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn workers(State(sources): State<Sources>) -> Json<Vec<WorkerView>> {
    let views = sources.workers.iter().enumerate();
    Json(views.map(|(index, (core, counters))| WorkerView::new(index, *core, frequency::of(*core), counters)).collect())
}

/// The headend's own certificates
#[utoipa::path(get, path = "/v1/certificates", tag = "overview", responses(
    (status = 200, description = "Each of them", body = [CertificateView]),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn certificates(State(sources): State<Sources>) -> Result<Json<Vec<CertificateView>>, Problem> {
    Ok(Json(sources.asker.ask(Question::Certificates).await?))
}

/// Dropped packets, by reason
#[utoipa::path(get, path = "/v1/drops", operation_id = "drops", tag = "overview", responses(
    (status = 200, description = "Each reason, since the start", body = [DropView]),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn dropped(State(sources): State<Sources>) -> Json<Vec<DropView>> {
    let totals: Vec<_> = sources.workers.iter().map(|(_, counters)| counters.totals()).collect();
    Json(drops(&totals))
}
