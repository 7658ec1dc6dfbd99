//! One question to the daemon, over its Unix socket.

use crate::api::problem::ProblemView;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// No answer is longer, in octets.
const MAX_ANSWER: usize = 256 << 20;
/// Lines asked for at a time.
const PAGE: usize = 1000;
/// Longer than the daemon's own patience with its IKE thread.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Nobody is there.
    #[error("cannot reach aditd on {}: {}", .socket.display(), why(.source))]
    NotReachable {
        /// Where it was looked for.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody is there who does not speak our language, or falls silent.
    #[error("aditd on {} does not answer as it should: {detail}", .socket.display())]
    Strange {
        /// Where.
        socket: PathBuf,
        /// How.
        detail: String,
    },
    /// The daemon's own words.
    #[error("aditd says: {0}")]
    Refused(String),
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket. Is aditd running? Another place: --socket PATH".to_owned(),
        io::ErrorKind::ConnectionRefused => "a socket is there, but no aditd behind it. Start aditd".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied. Run aditctl as root or in the socket's group".to_owned(),
        _ => error.to_string(),
    }
}

/// The body of the answer to `method path`.
pub(super) fn ask(socket: &Path, method: Method, path: &str) -> Result<Vec<u8>, AskError> {
    let (status, body) = ask_for_any(socket, method, path)?;
    match status {
        status if status.is_success() => Ok(body),
        refused => Err(refusal(socket, refused, &body)),
    }
}

/// The daemon's own words, if they are some.
pub(super) fn refusal(socket: &Path, status: StatusCode, body: &[u8]) -> AskError {
    match serde_json::from_slice::<ProblemView>(body) {
        Ok(problem) => AskError::Refused(problem.detail),
        Err(_other_words) => strange(socket, &status),
    }
}

/// The same, whatever the answer is.
pub(super) fn ask_for_any(socket: &Path, method: Method, path: &str) -> Result<(StatusCode, Vec<u8>), AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| strange(socket, &error))?;
    runtime.block_on(async {
        match tokio::time::timeout(PATIENCE, exchange(socket, method, path)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(strange(socket, &"no answer in time")),
        }
    })
}

/// What `path` answers, read.
pub(super) fn get<V: DeserializeOwned>(socket: &Path, path: &str) -> Result<V, AskError> {
    let body = ask(socket, Method::GET, path)?;
    serde_json::from_slice(&body).map_err(|error| strange(socket, &error))
}

/// As `--json` prints it.
pub(super) fn as_json<T: Serialize>(socket: &Path, value: &T) -> Result<String, AskError> {
    serde_json::to_string(value).map(|text| text + "\n").map_err(|error| strange(socket, &error))
}

/// All lines of a list, page by page. `path` may have a query; the lines stand under `key`.
pub(super) fn list(socket: &Path, path: &str, key: &str) -> Result<Vec<Value>, AskError> {
    let mut lines = Vec::new();
    let mut after = None;
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let behind = after.map(|after: String| format!("&after={}", encoded(&after))).unwrap_or_default();
        let (more, next) = page(socket, &format!("{path}{joint}limit={PAGE}{behind}"), key)?;
        lines.extend(more);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(lines),
        }
    }
}

/// All lines of a list that has no pages.
pub(super) fn whole(socket: &Path, path: &str, key: &str) -> Result<Vec<Value>, AskError> {
    page(socket, path, key).map(|(lines, _next)| lines)
}

fn page(socket: &Path, path: &str, key: &str) -> Result<(Vec<Value>, Option<String>), AskError> {
    let mut page: Value = get(socket, path)?;
    let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
    match page.get_mut(key).map(Value::take) {
        Some(Value::Array(lines)) => Ok((lines, next)),
        _something_else => Err(strange(socket, &format!("there are no {key} in the answer"))),
    }
}

/// As it may stand in a path or query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The same for who runs in a runtime already.
pub(super) async fn exchange(socket: &Path, method: Method, path: &str) -> Result<(StatusCode, Vec<u8>), AskError> {
    let (answer, connection) = send(socket, method, path, "application/json").await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| strange(socket, &error))?.to_bytes().to_vec();
    connection.abort();
    Ok((status, body))
}

/// An answer's head, and the task that reads its body.
async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    accept: &str,
) -> Result<(Response<Incoming>, JoinHandle<hyper::Result<()>>), AskError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| AskError::NotReachable { socket: socket.to_owned(), source })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| strange(socket, &error))?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "aditd").header("accept", accept);
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| strange(socket, &error))?;
    let answer = sender.send_request(request).await.map_err(|error| strange(socket, &error))?;
    Ok((answer, connection))
}

/// The body of an answer without end, as a stream of server-sent events.
pub(super) async fn stream(socket: &Path, path: &str) -> Result<Incoming, AskError> {
    body(socket, path, "text/event-stream").await
}

/// The body of an answer that may take its time.
pub(super) async fn body(socket: &Path, path: &str, accept: &str) -> Result<Incoming, AskError> {
    let answer = match tokio::time::timeout(PATIENCE, send(socket, Method::GET, path, accept)).await {
        Ok(answer) => answer?.0,
        Err(_elapsed) => return Err(strange(socket, &"no answer in time")),
    };
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer.into_body());
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    Err(refusal(socket, status, &body.map_err(|error| strange(socket, &error))?.to_bytes()))
}

pub(super) fn strange(socket: &Path, detail: &impl ToString) -> AskError {
    AskError::Strange { socket: socket.to_owned(), detail: detail.to_string() }
}
