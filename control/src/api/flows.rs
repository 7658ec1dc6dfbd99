//! `GET /v1/flows`: flows inside tunnels.

use super::ask::Question;
use super::parameters::{Asked, limit, named};
use super::problem::{Kind, Problem, ProblemView};
use super::routes::Sources;
use crate::flows::{InnerFlowsView, NoFlows, Wanted};
use axum::extract::State;
use axum::response::Json;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FlowsQuery {
    /// Those of this session, as `s17`.
    #[param(pattern = "^s[0-9]{1,9}$")]
    session: Option<String>,
    /// Lines of the page, 100 if nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A page of flows inside tunnels
///
/// Worker by worker. A flow that is there from the first page to the last is told once.
#[utoipa::path(get, path = "/v1/flows", tag = "sessions", params(FlowsQuery), responses(
    (status = 200, description = "A page of them", body = InnerFlowsView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn flows(
    State(sources): State<Sources>,
    Asked(asked): Asked<FlowsQuery>,
) -> Result<Json<InnerFlowsView>, Problem> {
    let wanted = Wanted {
        session: named("session", asked.session.as_ref())?,
        after: named("after", asked.after.as_ref())?,
        limit: limit(asked.limit)?,
    };
    let none = |none: NoFlows| {
        let kind = match none {
            NoFlows::NoSuchSession => Kind::NoSuchSession,
            NoFlows::Off => Kind::NotCounted,
            NoFlows::Busy => Kind::Busy,
        };
        Problem::new(kind, none.to_string())
    };
    sources.asker.ask(|answer| Question::InnerFlows(wanted, answer)).await?.map(Json).map_err(none)
}
