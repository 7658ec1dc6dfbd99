//! The routes. Most are GET and change nothing.

use super::ask::{Asker, NoAnswer, Question};
use super::reload::Reloader;
use super::views::{DropView, ErrorView, IkeView, StatusView, WorkerView, drops};
use crate::aaa::desk::DeskView;
use crate::aaa::window::Window;
use crate::ctcp::{ClearView, ConnectionView, Which};
use crate::session::{SaView, SessionView};
use adit_dataplane::contract::{NoFlowId, WorkerCounters};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use std::sync::Arc;

/// What the routes read from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// To the IKE thread.
    pub asker: Asker,
    /// To the reload thread.
    pub reloader: Reloader,
    /// To the AAA thread.
    pub aaa: Window,
    /// Every worker's core and counters.
    pub workers: Arc<[(Option<usize>, Arc<WorkerCounters>)]>,
}

/// The whole API.
pub fn router(sources: Sources) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/sessions", get(sessions))
        .route("/v1/sas", get(sas))
        .route("/v1/ike", get(ike))
        .route("/v1/aaa", get(aaa))
        .route("/v1/ctcp", get(flows))
        .route("/v1/ctcp/{flow}", delete(clear))
        .route("/v1/reload", post(super::reload::reload))
        .route("/v1/workers", get(workers))
        .route("/v1/drops", get(dropped))
        .fallback(unknown)
        .method_not_allowed_fallback(read_only)
        .with_state(sources)
}

async fn status(State(sources): State<Sources>) -> Result<Json<StatusView>, NoAnswer> {
    sources.asker.ask(Question::Status).await.map(Json)
}

async fn sessions(State(sources): State<Sources>) -> Result<Json<Vec<SessionView>>, NoAnswer> {
    sources.asker.ask(Question::Sessions).await.map(Json)
}

async fn sas(State(sources): State<Sources>) -> Result<Json<Vec<SaView>>, NoAnswer> {
    sources.asker.ask(Question::Sas).await.map(Json)
}

async fn ike(State(sources): State<Sources>) -> Result<Json<IkeView>, NoAnswer> {
    sources.asker.ask(Question::Ike).await.map(Json)
}

async fn flows(State(sources): State<Sources>) -> Result<Json<Vec<ConnectionView>>, NoAnswer> {
    sources.asker.ask(Question::Flows).await.map(Json)
}

/// Ends the connection with this name, or all of them.
async fn clear(State(sources): State<Sources>, Path(flow): Path<String>) -> Response {
    let which = match flow.as_str() {
        "all" => Which::All,
        name => match name.parse() {
            Ok(id) => Which::One(id),
            Err(NoFlowId) => return refuse(StatusCode::BAD_REQUEST, "a connection's name looks like \"c0-7\""),
        },
    };
    match sources.asker.ask(|answer| Question::ClearFlows(which, answer)).await {
        Ok(ClearView { cleared: 0 }) if which != Which::All => {
            refuse(StatusCode::NOT_FOUND, "there is no such connection")
        }
        Ok(view) => Json(view).into_response(),
        Err(none) => none.into_response(),
    }
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(ErrorView { error: error.to_owned() })).into_response()
}

async fn aaa(State(sources): State<Sources>) -> Result<Json<DeskView>, NoAnswer> {
    sources.aaa.view().await.map(Json).ok_or(NoAnswer::Gone)
}

async fn workers(State(sources): State<Sources>) -> Json<Vec<WorkerView>> {
    let views = sources.workers.iter().enumerate();
    Json(views.map(|(index, (core, counters))| WorkerView::new(index, *core, counters)).collect())
}

async fn dropped(State(sources): State<Sources>) -> Json<Vec<DropView>> {
    let totals: Vec<_> = sources.workers.iter().map(|(_, counters)| counters.totals()).collect();
    Json(drops(&totals))
}

async fn unknown() -> Response {
    let error = "there is no such path; there are /v1/status, /v1/sessions, /v1/sas, /v1/ike, /v1/aaa, /v1/ctcp, /v1/workers, \
                 /v1/drops, /v1/reload";
    refuse(StatusCode::NOT_FOUND, error)
}

async fn read_only() -> Response {
    refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET is allowed here, and DELETE of /v1/ctcp/NAME and POST to /v1/reload",
    )
}

impl IntoResponse for NoAnswer {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, Json(ErrorView { error: self.to_string() })).into_response()
    }
}
