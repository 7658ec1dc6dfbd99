//! Carrier flows: connections by cTCP and in real TCP.

use super::access::Admin;
use super::ask::{CannotMove, MoveOrder, Question};
use super::parameters::{Asked, Named, limit, named};
use super::problem::{Kind, Problem, ProblemView};
use super::routes::Sources;
use crate::ctcp::{ClearView, ConnectionQuery, ConnectionView, ListedConnections, MoveView, Which};
use adit_dataplane::contract::{FlowId, NoFlowId};
use axum::extract::State;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ConnectionsQuery {
    /// This one alone, `c0-7`.
    connection: Option<String>,
    /// Those that this session has.
    session: Option<String>,
    /// Lines of the page, 100 if nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A page of connections, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionsPage {
    /// By cTCP, and in real TCP.
    pub connections: Vec<ConnectionView>,
    /// What the next page begins `after`; null if this was the last.
    pub next: Option<String>,
}

/// A page of connections by cTCP and in real TCP
#[utoipa::path(get, path = "/v1/ctcp", operation_id = "ctcp_connections", tag = "connections", params(ConnectionsQuery), responses(
    (status = 200, description = "A page of them", body = ConnectionsPage),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn connections(
    State(sources): State<Sources>,
    Asked(asked): Asked<ConnectionsQuery>,
) -> Result<Json<ConnectionsPage>, Problem> {
    let query = ConnectionQuery {
        connection: named("connection", asked.connection.as_ref())?,
        session: named("session", asked.session.as_ref())?,
        after: named("after", asked.after.as_ref())?,
        limit: limit(asked.limit)?,
    };
    let ListedConnections { lines, next } = sources.asker.ask(|answer| Question::Flows(query, answer)).await?;
    Ok(Json(ConnectionsPage { connections: lines, next: next.map(|id| id.to_string()) }))
}

/// End a connection
///
/// Its peer is reset, its session stays for it to come back to.
#[utoipa::path(delete, path = "/v1/ctcp/{connection}", operation_id = "clear_ctcp_connection", tag = "connections",
    params(("connection" = String, Path, description = "Its name, as `c0-7`; or `all`", pattern = "^(all|c[0-9]{1,2}-[0-9]{1,18})$")),
    responses(
    (status = 200, description = "It is ended", body = ClearView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn clear(
    admin: Admin,
    State(sources): State<Sources>,
    Named(Meant(which)): Named<Meant>,
) -> Result<Json<ClearView>, Problem> {
    let view = sources.asker.ask(|answer| Question::ClearFlows(which, answer)).await?;
    if view.cleared == 0 && which != Which::All {
        return Err(Problem::new(Kind::NoSuchConnection, "there is no such connection"));
    }
    tracing::info!(by = admin.name(), connections = view.cleared, "the operator has ended TCP connections");
    Ok(Json(view))
}

/// Seconds for which a transport may be closed to a session.
const LONGEST: u32 = 86_400;
/// If nothing is said.
const CLOSED: u32 = 300;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MoveQuery {
    /// Seconds for which the session may not come by the connection's transport, 300 if nothing is said.
    #[param(minimum = 1, maximum = 86_400)]
    seconds: Option<u32>,
}

/// Move the session that has a connection to another transport
///
/// The connection's transport is closed to the session for a while: it is not followed there and not answered, and the connection is
/// reset. A client that has another transport goes on by that one, with the same SAs; no message could make it do so. Cisco's VPN Client has
/// no other for a session: it logs in anew, to which nothing is closed.
#[utoipa::path(post, path = "/v1/ctcp/{connection}/move", tag = "connections", operation_id = "move_connection",
    params(("connection" = String, Path, description = "Its name, as `c0-7`", pattern = "^c[0-9]{1,2}-[0-9]{1,18}$"), MoveQuery),
    responses(
    (status = 200, description = "The transport is closed to the session", body = MoveView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn move_away(
    admin: Admin,
    State(sources): State<Sources>,
    Named(connection): Named<FlowId>,
    Asked(MoveQuery { seconds }): Asked<MoveQuery>,
) -> Result<Json<MoveView>, Problem> {
    let seconds = seconds.unwrap_or(CLOSED);
    if !(1..=LONGEST).contains(&seconds) {
        return Err(Problem::new(Kind::BadParameter, format!("seconds: from 1 to {LONGEST}, a day")));
    }
    let order = MoveOrder { connection, time: Duration::from_secs(seconds.into()), by: admin.name().to_owned() };
    let moved = sources.asker.ask(|answer| Question::MoveFlow(order, answer)).await?;
    moved.map(Json).map_err(|why| match why {
        CannotMove::NoSuchConnection => Problem::new(Kind::NoSuchConnection, "there is no such connection"),
        CannotMove::NotUp => Problem::new(Kind::NotUp, format!("no session that is up has {connection}")),
        CannotMove::NoOther(session) => {
            let detail = format!(
                "{session} may come by no other transport: see `transports` of its [[connection]] and [listen]"
            );
            Problem::new(Kind::NoOtherTransport, detail)
        }
        CannotMove::WeHaveCalled(session) => {
            let detail = format!("this end has called for {session}: whoever calls chooses the transport");
            Problem::new(Kind::NoOtherTransport, detail)
        }
    })
}

/// As a path names them.
pub(super) struct Meant(Which);

impl FromStr for Meant {
    type Err = NoFlowId;

    fn from_str(text: &str) -> Result<Self, NoFlowId> {
        match text {
            "all" => Ok(Self(Which::All)),
            name => name.parse().map(|id| Self(Which::One(id))),
        }
    }
}
