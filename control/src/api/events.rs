//! `GET /v1/events`: what happens, as it happens (server-sent events) or page by page; and a session's story.

use super::parameters::{Asked, Named, limit};
use super::problem::{Kind, Problem, ProblemView};
use super::routes::Sources;
use crate::journal::{Board, Entry, EventsView, NoKind, Since, StoryView, Waiting, Wanted};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Json, Response};
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;
use utoipa::IntoParams;

/// Events that a stream writes at once.
const AT_ONCE: usize = 32;
/// Pieces that wait for a reader; what it does not take stays in the journal as long as that keeps it.
const WAITING: usize = 2;
/// A reader that nothing is told for so long gets a comment, so that both ends know that the other is there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Who takes nothing for so long loses the seat, and can come again and go on where it was.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a reader asks for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Behind this event: its number, or its id. A page begins with the oldest without it, a stream with what happens from now on.
    since: Option<String>,
    /// Without `since`: behind what was the newest but so many, of any kind. A page or a stream begins with the latest.
    #[param(minimum = 1, maximum = 1000)]
    last: Option<u64>,
    /// Kinds, with commas between them; all without.
    kind: Option<String>,
    /// Those of this session.
    session: Option<String>,
    /// Those of this identity.
    identity: Option<String>,
    /// Events of a page, 100 if nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What happens
///
/// A page of what has happened, oldest first; or, if `text/event-stream` is accepted, server-sent events as they happen: `id`, `event` (the
/// kind) and `data` (an entry). `Last-Event-ID` goes on behind an event, across a restart of the daemon, too. A reader that is too slow is told
/// how many it has `missed`.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventsQuery), responses(
    (status = 200, description = "A page of them", content((EventsView = "application/json"), (String = "text/event-stream"))),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn events(
    State(sources): State<Sources>,
    Asked(asked): Asked<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wrong = |why: String| Problem::new(Kind::BadParameter, why);
    let board = sources.board;
    let streams = says(&headers, &header::ACCEPT).is_some_and(|accepted| accepted.contains("text/event-stream"));
    let last = says(&headers, &LAST_EVENT_ID).filter(|_| streams);
    let since = last.or(asked.since.as_deref()).map(str::parse::<Since>).transpose();
    let since = since.map_err(|error| wrong(error.to_string()))?.map(|since| since.in_life(board.newest()));
    let latest = match asked.last {
        Some(last @ 1..=1000) => Some(board.newest().number.saturating_sub(last)),
        Some(_) => return Err(wrong("last: 1 to 1000 events".to_owned())),
        None => None,
    };
    let since = since.or(latest);
    let kinds = asked.kind.as_deref().unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let kinds = kinds.map(str::parse).collect::<Result<_, _>>();
    let kinds = kinds.map_err(|error: NoKind| wrong(error.to_string()))?;
    let limit = limit(asked.limit)?;
    let wanted = Wanted { kinds, session: asked.session, identity: asked.identity };
    if !streams {
        return Ok(Json(board.page(since.unwrap_or_default(), &wanted, limit)).into_response());
    }
    let Some(seat) = board.sit_down() else {
        return Err(Problem::new(Kind::Busy, "as many readers of events as there may be are here; ask again"));
    };
    // Who says nothing else hears what happens from now on.
    let seen = since.unwrap_or_else(|| board.newest().number);
    let (sender, body) = Channel::<Bytes, Infallible>::new(WAITING);
    tokio::spawn(tell(board, wanted, seen, seat, sender));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(body)).into_response())
}

/// A session's story
///
/// Where it has come from and what became of it, while it is here and for a while after its end.
#[utoipa::path(get, path = "/v1/sessions/{session}/story", operation_id = "session_story", tag = "events",
    params(("session" = String, Path, description = "Its name, as `s17`; or an identity: its newest session's")), responses(
    (status = 200, description = "The story", body = StoryView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn story(
    State(sources): State<Sources>,
    Named(name): Named<String>,
) -> Result<Json<StoryView>, Problem> {
    let none = || Problem::new(Kind::NoSuchSession, "no session of this name or identity is here, or remembered");
    sources.board.story(&name).map(Json).ok_or_else(none)
}

const LAST_EVENT_ID: header::HeaderName = header::HeaderName::from_static("last-event-id");

fn says<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Writes until the reader has gone or nothing will happen any more.
async fn tell(board: Board, wanted: Wanted, mut seen: u64, mut seat: Waiting, mut sender: Sender<Bytes, Infallible>) {
    let mut text = "retry: 1000\n: what happens in adit\n\n".to_owned();
    loop {
        let (page, missed, up_to) = board.after(seen, &wanted, AT_ONCE);
        seen = up_to;
        if missed > 0 {
            let _infallible = write!(text, "event: missed\ndata: {{\"missed\":{missed}}}\n\n");
        }
        page.iter().for_each(|entry| write_event(&mut text, entry));
        if !text.is_empty() {
            let piece = Bytes::from(std::mem::take(&mut text));
            match tokio::time::timeout(PATIENCE, sender.send_data(piece)).await {
                Ok(Ok(())) => continue,
                Ok(Err(_)) | Err(_) => return,
            }
        }
        match tokio::time::timeout(KEEPALIVE, seat.for_more_than(seen)).await {
            Ok(Ok(())) => {}
            Ok(Err(_over)) if board.newest().number > seen => {}
            Ok(Err(_over)) => return,
            Err(_quiet) => text.push_str(": still here\n\n"),
        }
    }
}

fn write_event(text: &mut String, entry: &Entry) {
    // An entry is a struct of texts and numbers: it has a JSON.
    let data = serde_json::to_string(entry).unwrap_or_default();
    let _infallible = write!(text, "id: {}\nevent: {}\ndata: {data}\n\n", entry.id, entry.kind);
}
