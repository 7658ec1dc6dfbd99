//! One question to the daemon, over its Unix socket.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// No answer is longer, in octets.
const MAX_ANSWER: usize = 256 << 20;
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
        StatusCode::OK => Ok(body),
        refused => Err(refusal(socket, refused, &body)),
    }
}

/// The daemon's own words, if they are some.
pub(super) fn refusal(socket: &Path, status: StatusCode, body: &[u8]) -> AskError {
    match serde_json::from_slice::<crate::api::views::ErrorView>(body) {
        Ok(view) => AskError::Refused(view.error),
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

async fn exchange(socket: &Path, method: Method, path: &str) -> Result<(StatusCode, Vec<u8>), AskError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|source| AskError::NotReachable { socket: socket.to_owned(), source })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| strange(socket, &error))?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "aditd").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| strange(socket, &error))?;
    let answer = sender.send_request(request).await.map_err(|error| strange(socket, &error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| strange(socket, &error))?.to_bytes().to_vec();
    connection.abort();
    Ok((status, body))
}

pub(super) fn strange(socket: &Path, detail: &impl ToString) -> AskError {
    AskError::Strange { socket: socket.to_owned(), detail: detail.to_string() }
}
