//! `GET /v1/caller`: who asks, and what he may.

use super::access::{By, Caller, Role};
use super::problem::ProblemView;
use axum::Extension;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerView {
    /// The operator's name, or `uid 0` by the Unix socket.
    pub name: String,
    /// `read` or `admin`.
    pub role: String,
    /// How that is known: by the Unix `socket`, a `token`, a `certificate`, or a `login` at the web page.
    pub by: String,
}

/// Who asks, and what he may
#[utoipa::path(get, path = "/v1/caller", tag = "overview", responses(
    (status = 200, description = "Who that is", body = CallerView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn caller(Extension(caller): Extension<Caller>) -> Json<CallerView> {
    let role = match caller.role {
        Role::Read => "read",
        Role::Admin => "admin",
    };
    let by = match caller.by {
        By::Socket => "socket",
        By::Token => "token",
        By::Certificate => "certificate",
        By::Login => "login",
    };
    Json(CallerView { name: caller.name.to_string(), role: role.to_owned(), by: by.to_owned() })
}
