//! Pools of inner addresses, and who has them.

use super::ask::Question;
use super::parameters::{Asked, limit, named};
use super::problem::{Problem, ProblemView};
use super::routes::Sources;
use crate::lease::{LeaseCursor, LeaseListing, LeaseView, PoolView};
use axum::extract::State;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

/// All pools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pools {
    /// In the order of the configuration.
    pub pools: Vec<PoolView>,
}

/// Pools and how full they are
#[utoipa::path(get, path = "/v1/pools", tag = "pools", responses(
    (status = 200, description = "All of them", body = Pools),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn pools(State(sources): State<Sources>) -> Result<Json<Pools>, Problem> {
    Ok(Json(Pools { pools: sources.asker.ask(Question::Pools).await? }))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LeasesQuery {
    /// Lines of the page, 100 if nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A page of leases, in the order of pools and addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeasesPage {
    /// Addresses that somebody has.
    pub leases: Vec<LeaseView>,
    /// What the next page begins `after`; null if this was the last.
    pub next: Option<String>,
}

/// A page of leases
#[utoipa::path(get, path = "/v1/leases", tag = "pools", params(LeasesQuery), responses(
    (status = 200, description = "A page of them", body = LeasesPage),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn leases(
    State(sources): State<Sources>,
    Asked(asked): Asked<LeasesQuery>,
) -> Result<Json<LeasesPage>, Problem> {
    let listing = LeaseListing { after: named("after", asked.after.as_ref())?, limit: limit(asked.limit)? };
    let page = sources.asker.ask(|answer| Question::Leases(listing, answer)).await?;
    Ok(Json(LeasesPage { leases: page.leases, next: page.next.map(|cursor| cursor.to_string()) }))
}

/// What comes as `after` was no `next`.
#[derive(Debug, thiserror::Error)]
#[error("this is no page's `next`")]
pub struct NoCursor;

impl FromStr for LeaseCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (range, offset) = text.split_once('.').ok_or(NoCursor)?;
        Ok(Self { range: range.parse().map_err(|_| NoCursor)?, offset: offset.parse().map_err(|_| NoCursor)? })
    }
}

impl fmt::Display for LeaseCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.range, self.offset)
    }
}
