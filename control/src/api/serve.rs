//! HTTP on one connection, whoever took it. Slow and greedy peers are cut off by time and size.

use super::access::{Caller, Remote};
use super::patience::Impatient;
use axum::extract::Request;
use axum::middleware::map_request;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// A request's head has to be here within this; a connection that asks nothing for so long is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// An answer that waits has to be taken within this, all of it or as much as shows that somebody is there.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// What is being answered when somebody has to leave may take so long.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);
/// Octets of a request's head.
const HEAD: usize = 16 << 10;
/// Lines of it.
const HEAD_LINES: usize = 64;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub enum Peer {
    /// The kernel says who.
    Local(Caller),
    /// Each request has to show it, unless a certificate has.
    Remote(Remote),
}

/// Serves until the peer goes, breaks the rules or has to leave. Who comes by the Unix socket may take what he is sent as slowly as he likes.
pub async fn serve<I>(connection: I, router: Router, peer: Peer, has_to_leave: impl Future<Output = ()>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    match peer {
        Peer::Local(caller) => talk(connection, router.layer(Extension(caller)), has_to_leave).await,
        Peer::Remote(remote) => {
            talk(Impatient::new(connection, TAKEN_WITHIN), router.layer(Extension(remote)), has_to_leave).await;
        }
    }
}

async fn talk<I>(connection: I, router: Router, has_to_leave: impl Future<Output = ()>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let asked = Arc::new(AtomicBool::new(false));
    let router = {
        let asked = Arc::clone(&asked);
        router.layer(map_request(move |request: Request| {
            asked.store(true, Ordering::Relaxed);
            async { request }
        }))
    };
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(HEAD)
            .max_headers(HEAD_LINES)
            .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        // Who had to leave before he was here has said his first request with the handshake, perhaps.
        biased;
        () = has_to_leave => {
            // It waits for the first request, however late that comes, and would answer it.
            if !asked.load(Ordering::Relaxed) {
                return;
            }
            served.as_mut().graceful_shutdown();
            match timeout(LEAVES_WITHIN, served).await {
                Ok(ended) => ended,
                Err(_elapsed) => return,
            }
        }
        ended = served.as_mut() => ended,
    };
    if let Err(error) = ended {
        tracing::debug!("a connection to the API ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use http_body_util::channel::Channel;
    use std::future::pending;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::oneshot;

    /// The only other timer waits for a head, and here heads are there.
    #[tokio::test]
    async fn who_asks_and_asks_and_takes_no_answer_is_cut_off() {
        let (mut near, far) = duplex(16 << 10);
        let router = Router::new().route("/", get(|| async { "x".repeat(1000) }));
        let served = tokio::spawn(talk(Impatient::new(far, Duration::from_millis(50)), router, pending()));
        for _ in 0..300 {
            near.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
        drop(near);
    }

    const ASKS: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    /// Somebody at a door, and what makes him leave.
    fn comes(router: Router) -> (DuplexStream, oneshot::Sender<()>) {
        let (near, far) = duplex(16 << 10);
        let (leave, told) = oneshot::channel();
        tokio::spawn(talk(far, router, async { drop(told.await) }));
        (near, leave)
    }

    /// Until what was said so far has this in it.
    async fn says(near: &mut DuplexStream, wanted: &str) {
        let mut said = String::new();
        while !said.contains(wanted) {
            said.push(char::from(near.read_u8().await.unwrap()));
        }
    }

    async fn rest(mut near: DuplexStream) -> String {
        let mut rest = String::new();
        timeout(2 * LEAVES_WITHIN, near.read_to_string(&mut rest)).await.unwrap().unwrap();
        rest
    }

    fn hello() -> Router {
        Router::new().route("/", get(|| async { "hello" }))
    }

    #[tokio::test]
    async fn who_has_to_leave_before_he_has_asked_is_not_answered() {
        let (mut near, leave) = comes(hello());
        near.write_all(&ASKS[..9]).await.unwrap();
        tokio::task::yield_now().await;
        leave.send(()).unwrap();
        tokio::task::yield_now().await;
        drop(near.write_all(&ASKS[9..]).await);
        assert_eq!(rest(near).await, "");
    }

    #[tokio::test]
    async fn who_had_to_leave_before_he_was_here_is_not_heard() {
        let heard = Arc::new(AtomicBool::new(false));
        for _ in 0..50 {
            let (mut near, far) = duplex(16 << 10);
            near.write_all(ASKS).await.unwrap();
            let heard = Arc::clone(&heard);
            let hears = move || {
                heard.store(true, Ordering::Relaxed);
                async { "hello" }
            };
            talk(far, Router::new().route("/", get(hears)), async {}).await;
        }
        assert!(!heard.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn who_has_to_leave_between_two_requests_goes_at_once() {
        let (mut near, leave) = comes(hello());
        near.write_all(ASKS).await.unwrap();
        says(&mut near, "hello").await;
        leave.send(()).unwrap();
        let left = timeout(LEAVES_WITHIN / 2, rest(near)).await;
        assert_eq!(left.as_deref(), Ok(""));
    }

    #[tokio::test]
    async fn who_has_to_leave_hears_the_answer_that_is_being_made() {
        let (go, wait) = tokio::sync::watch::channel(false);
        let answer = move || {
            let mut wait = wait.clone();
            async move {
                drop(wait.wait_for(|go| *go).await);
                "at last"
            }
        };
        let (mut near, leave) = comes(Router::new().route("/", get(answer)));
        near.write_all(ASKS).await.unwrap();
        tokio::task::yield_now().await;
        leave.send(()).unwrap();
        tokio::task::yield_now().await;
        go.send(true).unwrap();
        let said = rest(near).await;
        assert!(said.contains("connection: close") && said.ends_with("at last"), "{said}");
    }

    #[tokio::test]
    async fn a_stream_of_somebody_who_has_to_leave_is_cut() {
        let (mut says_on, body) = Channel::<Bytes>::new(1);
        let body = Arc::new(Mutex::new(Some(Body::new(body))));
        let router = Router::new().route("/", get(move || async move { body.lock().unwrap().take().unwrap() }));
        let (mut near, leave) = comes(router);
        near.write_all(ASKS).await.unwrap();
        says_on.send_data(Bytes::from_static(b"event")).await.unwrap();
        says(&mut near, "event").await;
        leave.send(()).unwrap();
        assert_eq!(rest(near).await, "\r\n", "without the last chunk");
        assert!(says_on.send_data(Bytes::from_static(b"event")).await.is_err());
    }
}
