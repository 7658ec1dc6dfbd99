//! Sessions and their child SAs.

use super::access::Admin;
use super::ask::{Obeyed, Order, Question};
use super::parameters::{Asked, Named, limit, named};
use super::problem::{Kind, Problem, ProblemView};
use super::routes::Sources;
use crate::session::{Listing, SaQuery, SaView, SessionId, SessionQuery, SessionState, SessionView};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which sessions, and which page of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// The identity; a `*` stands for any characters.
    identity: Option<String>,
    /// Name of the `[[connection]]`.
    connection: Option<String>,
    /// How ESP comes: `nat-t`, `nat-t-500`, `cisco-udp`, `esp`, `ctcp` or `tcp`.
    transport: Option<String>,
    /// Where it stands.
    state: Option<SessionState>,
    /// An inner address, or the peer's public one.
    #[param(value_type = Option<String>)]
    address: Option<String>,
    /// Lines of the page, 100 if nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A page of sessions, in the order in which they began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionsPage {
    /// Those that are meant. A page may have none and still not be the last.
    pub sessions: Vec<SessionView>,
    /// What the next page begins `after`; null if this was the last.
    pub next: Option<String>,
}

/// A page of sessions
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(SessionsQuery), responses(
    (status = 200, description = "A page of them", body = SessionsPage),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn sessions(
    State(sources): State<Sources>,
    Asked(asked): Asked<SessionsQuery>,
) -> Result<Json<SessionsPage>, Problem> {
    let listing = Listing { after: named("after", asked.after.as_ref())?, limit: limit(asked.limit)? };
    let query = SessionQuery {
        identity: asked.identity,
        connection: asked.connection,
        transport: asked.transport,
        state: asked.state,
        address: named("address", asked.address.as_ref())?,
    };
    let page = sources.asker.ask(|answer| Question::Sessions(listing, query, answer)).await?;
    Ok(Json(SessionsPage { sessions: page.lines, next: page.next.map(|id| id.to_string()) }))
}

/// A session with its child SAs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionDetail {
    /// The session.
    pub session: SessionView,
    /// Its child SAs, oldest first.
    pub sas: Vec<SaView>,
}

/// One session
#[utoipa::path(get, path = "/v1/sessions/{session}", tag = "sessions",
    params(("session" = String, Path, description = "Its name, as `s17`", pattern = "^s[0-9]{1,9}$")), responses(
    (status = 200, description = "The session", body = SessionDetail),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn session(
    State(sources): State<Sources>,
    Named(id): Named<SessionId>,
) -> Result<Json<SessionDetail>, Problem> {
    let session = sources.asker.ask(|answer| Question::Session(id, answer)).await?.ok_or_else(|| none(id))?;
    let (listing, query) = (Listing { after: None, limit: 1 }, SaQuery { session: Some(id) });
    let sas = sources.asker.ask(|answer| Question::Sas(listing, query, answer)).await?.lines;
    Ok(Json(SessionDetail { session, sas }))
}

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Begun {
    /// The session that it is about.
    pub session: String,
}

/// End a session
///
/// Its peer is told. The answer does not wait for the peer's.
#[utoipa::path(delete, path = "/v1/sessions/{session}", operation_id = "disconnect_session", tag = "sessions",
    params(("session" = String, Path, description = "Its name, as `s17`", pattern = "^s[0-9]{1,9}$")), responses(
    (status = 202, description = "It ends", body = Begun),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn disconnect(
    admin: Admin,
    State(sources): State<Sources>,
    Named(id): Named<SessionId>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    order(&admin, &sources, id, Order::Disconnect).await
}

/// What is to be replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Renewed {
    /// Its IKE SA.
    Ike,
    /// Its child SAs.
    #[default]
    Children,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RekeyQuery {
    /// What is to be replaced: `children` if nothing is said.
    #[serde(default)]
    what: Option<Renewed>,
}

/// Replace a session's keys
///
/// By IKEv1 only who has begun a session can replace its IKE SA: then nothing happens.
#[utoipa::path(post, path = "/v1/sessions/{session}/rekey", operation_id = "rekey_session", tag = "sessions",
    params(("session" = String, Path, description = "Its name, as `s17`", pattern = "^s[0-9]{1,9}$"), RekeyQuery), responses(
    (status = 202, description = "It has begun", body = Begun),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn rekey(
    admin: Admin,
    State(sources): State<Sources>,
    Named(id): Named<SessionId>,
    Asked(RekeyQuery { what }): Asked<RekeyQuery>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let order_ = match what.unwrap_or_default() {
        Renewed::Ike => Order::RekeyIke,
        Renewed::Children => Order::RekeyChildren,
    };
    order(&admin, &sources, id, order_).await
}

async fn order(
    admin: &Admin,
    sources: &Sources,
    id: SessionId,
    order: Order,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    match sources.asker.ask(|answer| Question::Order(id, order, answer)).await? {
        Obeyed::Begun => {
            tracing::info!(session = %id, by = admin.name(), "the operator wants: {order:?}");
            Ok((StatusCode::ACCEPTED, Json(Begun { session: id.to_string() })))
        }
        Obeyed::NoSuchSession => Err(none(id)),
        Obeyed::NotUp => {
            Err(Problem::new(Kind::NotUp, format!("{id} is not up: it has no keys that could be replaced")))
        }
    }
}

fn none(id: SessionId) -> Problem {
    Problem::new(Kind::NoSuchSession, format!("there is no session {id}: it has ended, or has never been"))
}

/// Whose child SAs, and which page of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SasQuery {
    /// Those of this session.
    session: Option<String>,
    /// Lines of the page, 100 if nothing is said. The last session's are told whole, so there may be a few more.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A page of child SAs, in the order of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SasPage {
    /// Child SAs.
    pub sas: Vec<SaView>,
    /// What the next page begins `after`; null if this was the last.
    pub next: Option<String>,
}

/// A page of child SAs
#[utoipa::path(get, path = "/v1/sas", tag = "sessions", params(SasQuery), responses(
    (status = 200, description = "A page of them", body = SasPage),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn sas(
    State(sources): State<Sources>,
    Asked(asked): Asked<SasQuery>,
) -> Result<Json<SasPage>, Problem> {
    let listing = Listing { after: named("after", asked.after.as_ref())?, limit: limit(asked.limit)? };
    let query = SaQuery { session: named("session", asked.session.as_ref())? };
    let page = sources.asker.ask(|answer| Question::Sas(listing, query, answer)).await?;
    Ok(Json(SasPage { sas: page.lines, next: page.next.map(|id| id.to_string()) }))
}
