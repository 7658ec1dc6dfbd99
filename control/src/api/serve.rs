//! HTTP on one connection, whoever took it. Slow and greedy peers are cut off by time and size.

use super::access::{Caller, Remote};
use super::patience::Impatient;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A request's head has to be here within this; a connection that asks nothing for so long is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// An answer that waits has to be taken within this, all of it or as much as shows that somebody is there.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
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

/// Serves until the peer goes or breaks the rules. Who comes by the Unix socket may take what he is sent as slowly as he likes.
pub async fn serve<I: AsyncRead + AsyncWrite + Unpin>(connection: I, router: Router, peer: Peer) {
    match peer {
        Peer::Local(caller) => talk(connection, router.layer(Extension(caller))).await,
        Peer::Remote(remote) => {
            talk(Impatient::new(connection, TAKEN_WITHIN), router.layer(Extension(remote))).await;
        }
    }
}

async fn talk<I: AsyncRead + AsyncWrite + Unpin>(connection: I, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        tracing::debug!("a connection to the API ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncWriteExt, duplex};

    /// The only other timer waits for a head, and here heads are there.
    #[tokio::test]
    async fn who_asks_and_asks_and_takes_no_answer_is_cut_off() {
        let (mut near, far) = duplex(16 << 10);
        let router = Router::new().route("/", get(|| async { "x".repeat(1000) }));
        let served = tokio::spawn(talk(Impatient::new(far, Duration::from_millis(50)), router));
        for _ in 0..300 {
            near.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
        drop(near);
    }
}
