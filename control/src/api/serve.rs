//! HTTP on one connection, whoever took it. Slow and greedy peers are cut off by time and size.

use super::access::{Caller, Remote};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A request's head has to be here within this; a connection that asks nothing for so long is closed.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
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

/// Serves until the peer goes or breaks the rules.
pub async fn serve<I: AsyncRead + AsyncWrite + Unpin>(connection: I, router: Router, peer: Peer) {
    let router = match peer {
        Peer::Local(caller) => router.layer(Extension(caller)),
        Peer::Remote(remote) => router.layer(Extension(remote)),
    };
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
