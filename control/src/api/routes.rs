//! All paths, and the document that describes them.

use super::access::guard;
use super::ask::Asker;
use super::problem::{Kind, Problem};
use super::reload::Reloader;
use super::transports;
use super::{caller, captures, connections, drain, events, flows, metrics, overview, pools, reload, sessions};
use crate::aaa::window::Window;
use crate::capture::Clerk;
use crate::journal::Board;
use crate::page::files;
use crate::page::headers::secured;
use adit_dataplane::contract::WorkerCounters;
use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use std::sync::Arc;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
    /// To the capture thread.
    pub captures: Clerk,
    /// Where what happens is read.
    pub board: Board,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "adit",
        description = "What aditd does and holds, and what an operator may want of it. Times are seconds and counters count since \
                       the beginning of what they belong to, unless they say otherwise. Lists come in pages: ask again with `after` = `next`. \
                       What is wrong is said as problem+json (RFC 9457).",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    tags(
        (name = "overview", description = "The daemon as a whole"),
        (name = "sessions", description = "Who is logged in, and child SAs"),
        (name = "connections", description = "cTCP and RFC 9329, connection by connection"),
        (name = "pools", description = "Inner addresses"),
        (name = "captures", description = "Packets of a session, as pcapng"),
        (name = "events", description = "What happens, and what became of a session"),
    ),
    modifiers(&Security),
    security(("token" = []), ("certificate" = [])),
)]
struct Description;

/// By TCP somebody has to show who he is; by the Unix socket the kernel does it for him.
struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components.add_security_scheme(
            "certificate",
            SecurityScheme::MutualTls { description: None, extensions: None, deprecated: None },
        );
    }
}

/// The whole API.
pub fn router(sources: Sources) -> Router {
    let (paths, document) = parts();
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let inside = paths
        .merge(files::router())
        .with_state(sources)
        .route("/openapi.json", get(move |asked: HeaderMap| async move { described(document, &asked) }))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method);
    // Around all of it, not each of its routes: what those add to an answer (`Allow`) would tell strangers which there are.
    Router::new().fallback_service(inside).layer(middleware::from_fn(guard)).layer(middleware::from_fn(secured))
}

/// The document that describes it (OpenAPI 3.1).
pub fn description() -> OpenApi {
    parts().1
}

fn parts() -> (Router<Sources>, OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(overview::status))
        .routes(routes!(caller::caller))
        .routes(routes!(overview::ike))
        .routes(routes!(overview::aaa))
        .routes(routes!(overview::workers))
        .routes(routes!(overview::dropped))
        .routes(routes!(transports::transports))
        .routes(routes!(overview::certificates))
        .routes(routes!(metrics::metrics))
        .routes(routes!(reload::reload))
        .routes(routes!(reload::config))
        .routes(routes!(drain::drain, drain::stop_draining))
        .routes(routes!(sessions::sessions))
        .routes(routes!(sessions::session, sessions::disconnect))
        .routes(routes!(sessions::rekey))
        .routes(routes!(events::story))
        .routes(routes!(events::events))
        .routes(routes!(sessions::sas))
        .routes(routes!(flows::flows))
        .routes(routes!(connections::connections))
        .routes(routes!(connections::clear))
        .routes(routes!(connections::move_away))
        .routes(routes!(captures::captures, captures::begin))
        .routes(routes!(captures::capture, captures::remove))
        .routes(routes!(captures::stop))
        .routes(routes!(captures::file))
        .routes(routes!(pools::pools))
        .routes(routes!(pools::leases))
        .split_for_parts()
}

/// It changes with the program alone, so its version is a good tag.
fn described(document: Bytes, asked: &HeaderMap) -> Response {
    const TAG: &str = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");
    if asked.get(IF_NONE_MATCH).is_some_and(|tag| tag == TAG) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, HeaderValue::from_static(TAG))]).into_response();
    }
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (ETAG, HeaderValue::from_static(TAG))];
    (headers, document).into_response()
}

async fn unknown() -> Problem {
    Problem::new(Kind::NoSuchPath, "there is no such path; /openapi.json lists those that there are")
}

async fn wrong_method() -> Problem {
    Problem::new(Kind::WrongMethod, "this path has other methods; /openapi.json lists them")
}
