//! `GET /v1/events`: what happens, as it happens (server-sent events) or page by page; and a session's story.

use super::routes::{Sources, refuse};
use crate::journal::{Board, Entry, Kind, Since, Waiting, Wanted};
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

/// Events of a page unless another number is asked for,
const LIMIT: usize = 100;
/// and at most.
const MOST: usize = 1000;
/// Events that a stream writes at once.
const AT_ONCE: usize = 32;
/// Pieces that wait for a reader; what it does not take stays in the journal as long as that keeps it.
const WAITING: usize = 2;
/// A reader that nothing is told for so long gets a comment, so that both ends know that the other is there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Who takes nothing for so long loses the seat, and can come again and go on where it was.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a reader asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    since: Option<String>,
    kind: Option<String>,
    session: Option<String>,
    identity: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn events(
    State(sources): State<Sources>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let board = sources.board;
    let streams = says(&headers, &header::ACCEPT).is_some_and(|accepted| accepted.contains("text/event-stream"));
    let last = says(&headers, &LAST_EVENT_ID).filter(|_| streams);
    let since = match last.or(asked.since.as_deref()).map(str::parse::<Since>).transpose() {
        Ok(since) => since.map(|since| since.in_life(board.newest())),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let kinds = asked.kind.as_deref().unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let kinds = match kinds.map(str::parse::<Kind>).collect() {
        Ok(kinds) => kinds,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let wanted = Wanted { kinds, session: asked.session, identity: asked.identity };
    if !streams {
        let limit = asked.limit.unwrap_or(LIMIT).clamp(1, MOST);
        return Json(board.page(since.unwrap_or_default(), &wanted, limit)).into_response();
    }
    let Some(seat) = board.sit_down() else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "as many readers of events as there may be are here; ask again",
        );
    };
    // Who says nothing else hears what happens from now on.
    let seen = since.unwrap_or_else(|| board.newest().number);
    let (sender, body) = Channel::<Bytes, Infallible>::new(WAITING);
    tokio::spawn(tell(board, wanted, seen, seat, sender));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::new(body)).into_response()
}

/// Where a session, or the newest of an identity's, has come from and what became of it.
pub(super) async fn story(State(sources): State<Sources>, Path(name): Path<String>) -> Response {
    match sources.board.story(&name) {
        Some(story) => Json(story).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "no session of this name or identity is here, or remembered"),
    }
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
