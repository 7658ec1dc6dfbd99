//! Captures: a session's packets as pcapng.

use super::access::Admin;
use super::ask::Question;
use super::parameters::{Asked, Named};
use super::problem::{Kind, Problem, ProblemView};
use super::routes::Sources;
use crate::capture::{CaptureName, CaptureView, Limits, NoCapture, Readable, Request, Wanted, What};
use crate::session::{NoSessionId, SessionId};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use http_body_util::channel::{Channel, Sender};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Octets that are read from a file at a time.
const PIECE: usize = 64 << 10;
/// Pieces that wait for a reader.
const WAITING: usize = 2;
/// How often a file that still grows is looked at.
const AGAIN: Duration = Duration::from_millis(100);
/// Who takes nothing for so long is no reader any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which session's packets, and how much of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CaptureQuery {
    /// The session's name, as `s17`.
    #[param(pattern = "^s[0-9]{1,9}$")]
    session: String,
    /// Which packets: `both` if nothing is said.
    what: Option<What>,
    /// Seconds after which it ends by itself: 60 if nothing is said.
    #[param(minimum = 1, maximum = 3600)]
    seconds: Option<u64>,
    /// Octets of the file: ten million if nothing is said.
    #[param(minimum = 4096, maximum = 1_000_000_000)]
    octets: Option<u64>,
    /// Octets of each packet, from its IP header on: all if nothing is said.
    #[param(minimum = 96, maximum = 65535)]
    snap: Option<u32>,
}

/// Captures that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapturesView {
    /// Oldest first; those that have ended are kept for a while.
    pub captures: Vec<CaptureView>,
}

/// Captures
#[utoipa::path(get, path = "/v1/captures", tag = "captures", responses(
    (status = 200, description = "All of them", body = CapturesView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn captures(State(sources): State<Sources>) -> Result<Json<CapturesView>, Problem> {
    let captures = sources.captures.ask(Request::List).await?;
    Ok(Json(CapturesView { captures }))
}

/// Capture a session's packets
///
/// They are written to a file of the daemon's, in the form that Wireshark reads (pcapng): outside as they come and go, inside as they are
/// before and after encryption, those that are dropped with the reason as a comment. It ends by itself, at the latest with its session.
#[utoipa::path(post, path = "/v1/captures", operation_id = "begin_capture", tag = "captures", params(CaptureQuery), responses(
    (status = 201, description = "It has begun", body = CaptureView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn begin(
    admin: Admin,
    State(sources): State<Sources>,
    Asked(asked): Asked<CaptureQuery>,
) -> Result<(StatusCode, Json<CaptureView>), Problem> {
    let bad = |error: NoSessionId| Problem::new(Kind::BadParameter, format!("session: {error}"));
    let session: SessionId = asked.session.parse().map_err(bad)?;
    let limits = Limits::new(asked.seconds, asked.octets, asked.snap).map_err(NoCapture::Limit)?;
    let target = sources.asker.ask(|answer| Question::CaptureTarget(session, answer)).await?;
    let target = target.ok_or_else(|| {
        Problem::new(Kind::NoSuchSession, format!("there is no session {session} that carries packets"))
    })?;
    let wanted = Wanted { target, what: asked.what.unwrap_or_default(), limits, by: admin.name().to_owned() };
    let view = sources.captures.ask(|answer| Request::Begin(Box::new(wanted), answer)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// One capture
#[utoipa::path(get, path = "/v1/captures/{capture}", tag = "captures",
    params(("capture" = String, Path, description = "Its name, as `c3`", pattern = "^c[0-9]{1,9}$")), responses(
    (status = 200, description = "The capture", body = CaptureView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn capture(
    State(sources): State<Sources>,
    Named(name): Named<CaptureName>,
) -> Result<Json<CaptureView>, Problem> {
    Ok(Json(sources.captures.ask(|answer| Request::Show(name, answer)).await?))
}

/// Stop a capture
///
/// Its file stays. Whoever reads it gets its end.
#[utoipa::path(post, path = "/v1/captures/{capture}/stop", operation_id = "stop_capture", tag = "captures",
    params(("capture" = String, Path, description = "Its name, as `c3`", pattern = "^c[0-9]{1,9}$")), responses(
    (status = 202, description = "It ends", body = CaptureView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn stop(
    admin: Admin,
    State(sources): State<Sources>,
    Named(name): Named<CaptureName>,
) -> Result<(StatusCode, Json<CaptureView>), Problem> {
    let by = admin.name().to_owned();
    let view = sources.captures.ask(|answer| Request::Stop(name, by, answer)).await?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// Remove a capture
///
/// It ends if it still runs, and its file goes.
#[utoipa::path(delete, path = "/v1/captures/{capture}", operation_id = "remove_capture", tag = "captures",
    params(("capture" = String, Path, description = "Its name, as `c3`", pattern = "^c[0-9]{1,9}$")), responses(
    (status = 200, description = "It is gone; what it was", body = CaptureView),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn remove(
    admin: Admin,
    State(sources): State<Sources>,
    Named(name): Named<CaptureName>,
) -> Result<Json<CaptureView>, Problem> {
    let by = admin.name().to_owned();
    Ok(Json(sources.captures.ask(|answer| Request::Remove(name, by, answer)).await?))
}

/// A capture's packets
///
/// Only for operators who may change things: packets are the secrets of users. While the capture runs, the answer goes on as the file grows.
#[utoipa::path(get, path = "/v1/captures/{capture}/file", operation_id = "capture_file", tag = "captures",
    params(("capture" = String, Path, description = "Its name, as `c3`", pattern = "^c[0-9]{1,9}$")), responses(
    (status = 200, description = "The file, to its end", body = String, content_type = "application/x-pcapng"),
    (status = "default", description = "What is wrong", body = ProblemView, content_type = "application/problem+json"),
))]
pub(super) async fn file(
    admin: Admin,
    State(sources): State<Sources>,
    Named(name): Named<CaptureName>,
) -> Result<Response, Problem> {
    let readable = sources.captures.ask(|answer| Request::Read(name, answer)).await?;
    tracing::info!(capture = %name, by = admin.name(), "an operator reads a capture");
    let (sender, body) = Channel::<Bytes, io::Error>::new(WAITING);
    tokio::spawn(send(readable, sender, PATIENCE));
    let headers = [(header::CONTENT_TYPE, "application/x-pcapng"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(body)).into_response())
}

/// Sends until the capture has ended and all of it is read, or until nobody reads any more.
async fn send(readable: Readable, mut sender: Sender<Bytes, io::Error>, patience: Duration) {
    let Readable { file, progress } = readable;
    let file = std::sync::Arc::new(file);
    let mut at = 0;
    loop {
        let (written, over) = progress.look();
        if at >= written {
            if over {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        let (file, wanted) = (std::sync::Arc::clone(&file), PIECE.min(usize::try_from(written - at).unwrap_or(PIECE)));
        // A disk may take its time; the API's thread has others to answer.
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; wanted];
            file.read_exact_at(&mut piece, at).map(|()| piece)
        });
        let piece = match read.await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return sender.abort(error),
            Err(ended) => return sender.abort(io::Error::other(ended)),
        };
        at += piece.len() as u64;
        match tokio::time::timeout(patience, sender.send_data(piece.into())).await {
            Ok(Ok(())) => {}
            Ok(Err(_nobody_reads)) => return,
            // Without an error it would look like the end of the capture.
            Err(_elapsed) => return sender.abort(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Progress;
    use crate::disk::Disk;
    use http_body_util::BodyExt as _;

    #[test]
    fn who_takes_nothing_for_long_does_not_take_it_for_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c1.pcapng");
        let (disk, _runs_as_long_as_anybody_writes) = Disk::start().unwrap();
        let mut writer = disk.create(&path, 1 << 20);
        for piece in [PIECE; 4] {
            writer.write(vec![7; piece]).unwrap();
        }
        let progress = std::sync::Arc::new(Progress::of(writer.finish()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            while progress.look().0 < 4 * PIECE as u64 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            progress.is_over();
            for (patience, reads) in [(Duration::from_millis(20), false), (PATIENCE, true)] {
                let file = std::fs::File::open(&path).unwrap();
                let readable = Readable { file, progress: std::sync::Arc::clone(&progress) };
                let (sender, body) = Channel::new(WAITING);
                let sending = tokio::spawn(send(readable, sender, patience));
                if !reads {
                    sending.await.unwrap();
                }
                match body.collect().await {
                    Ok(whole) => assert_eq!((whole.to_bytes().len(), reads), (4 * PIECE, true)),
                    Err(error) => assert_eq!((error.kind(), reads), (io::ErrorKind::TimedOut, false)),
                }
            }
        });
    }
}
