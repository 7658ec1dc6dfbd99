//! The API thread: takes connections to the control socket and, if the configuration wants that, by TCP; says who asks, and serves them. It
//! owns no state of the daemon.

use crate::api::access::{By, Caller, Remote};
use crate::api::gate::{ByTcp, Gate};
use crate::api::listen::ApiSocket;
use crate::api::routes::{Sources, router};
use crate::api::serve::{Peer, serve};
use crate::api::strangers::{Place, Strangers};
use crate::api::tls::common_name;
use crate::config::checked::Api;
use axum::Router;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::server::TlsStream;

/// Connections at a time by each door; whoever comes then waits.
const CONNECTIONS: usize = 256;
/// After an error that may last (no file descriptor is free).
const PAUSE: Duration = Duration::from_millis(100);
/// For a handshake of TLS.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long the last events may take to get to those who watch.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Serves until it is dropped; the socket's file goes with it.
pub struct ApiThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _socket: ApiSocket,
}

/// Where the API is served.
pub struct Doors {
    /// Always.
    pub socket: ApiSocket,
    /// If wanted: listening already, so that a port that is taken is said at start.
    pub tcp: Vec<TcpListener>,
    /// Whom they let in.
    pub gate: Gate,
}

impl Doors {
    /// By the socket alone.
    pub fn local(socket: ApiSocket) -> Self {
        let gate = Gate::new(&Api::local(socket.path()));
        Self { socket, tcp: Vec::new(), gate }
    }

    /// As the configuration wants it.
    ///
    /// # Errors
    /// The address that cannot be listened on, and why.
    pub fn open(socket: ApiSocket, config: &Api) -> Result<Self, (SocketAddr, io::Error)> {
        let listen = |at: &SocketAddr| listen(*at).map_err(|error| (*at, error));
        let tcp = config.tcp.iter().flat_map(|tcp| &tcp.listen).map(listen).collect::<Result<_, _>>()?;
        Ok(Self { socket, tcp, gate: Gate::new(config) })
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl ApiThread {
    /// Starts serving, and keeping the journal.
    ///
    /// # Errors
    /// The system gives no thread or no file descriptor.
    pub fn start(
        doors: Doors,
        sources: Sources,
        keeping: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Self> {
        let Doors { socket, tcp, gate } = doors;
        let listener = socket.listener()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let (board, keeping) = (sources.board.clone(), tokio::spawn(keeping));
                let router = router(sources);
                match UnixListener::from_std(listener) {
                    Ok(listener) => drop(tokio::spawn(local(listener, gate.clone(), router.clone()))),
                    Err(error) => return tracing::error!("the control API is not served: {error}"),
                }
                for listener in tcp {
                    match tokio::net::TcpListener::from_std(listener) {
                        Ok(listener) => drop(tokio::spawn(remote(listener, gate.clone(), router.clone()))),
                        Err(error) => tracing::error!("the control API is not served by TCP: {error}"),
                    }
                }
                let _told = stopped.await;
                // Who watches hears of the end, if he listens. All that was spawned ends with the runtime.
                let told = async { (keeping.await, board.is_empty().await) };
                let _deaf = tokio::time::timeout(LAST_WORDS, told).await;
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), _socket: socket })
    }
}

/// Whoever comes by the Unix socket.
async fn local(listener: UnixListener, gate: Gate, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((connection, _nameless)) => {
                let Some(uid) = connection.peer_cred().ok().map(|peer| peer.uid()) else { continue };
                let (router, gate) = (router.clone(), gate.clone());
                tokio::spawn(async move {
                    let role = gate.role(uid);
                    let caller = Caller { name: format!("uid {uid}").into(), role, by: By::Socket };
                    serve(connection, router, Peer::Local(caller), gate.is_another_role(uid, role)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("the control API takes no connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whoever comes by TCP. A handshake takes none of the time of those who are in already. Of one source's strangers only so many are let in:
/// who comes then is told nothing.
async fn remote(listener: tokio::net::TcpListener, gate: Gate, router: Router) {
    let (places, strangers) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Strangers::default()));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((connection, from)) => {
                let Some(stranger) = strangers.let_in(from.ip()) else { continue };
                tokio::spawn(greet(connection, gate.clone(), router.clone(), (place, stranger)));
            }
            Err(error) => {
                tracing::warn!("the control API takes no connection by TCP: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn greet(connection: TcpStream, gate: Gate, router: Router, (place, stranger): (OwnedSemaphorePermit, Place)) {
    let Some(ByTcp { acceptor, operators, .. }) = gate.by_tcp() else { return };
    match tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(connection)).await {
        Ok(Ok(connection)) => {
            let by_certificate = shown(&connection).and_then(|name| operators.by_certificate(&name));
            let remote = Remote::new(by_certificate, Arc::clone(&operators), Some(stranger));
            serve(connection, router, Peer::Remote(remote), gate.are_others(&operators)).await;
        }
        Ok(Err(error)) => tracing::debug!("a connection to the API by TCP is none: {error}"),
        Err(_elapsed) => tracing::debug!("a connection to the API by TCP says nothing"),
    }
    drop(place);
}

/// The name in a certificate that is good.
fn shown(connection: &TlsStream<TcpStream>) -> Option<String> {
    common_name(connection.get_ref().1.peer_certificates()?.first()?)
}

impl Drop for ApiThread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _already_ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::gate::tests::api;
    use std::net::Ipv4Addr;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpSocket;

    /// They say nothing, and need not: a place is taken when somebody is let in.
    #[tokio::test]
    async fn one_stranger_leaves_the_door_open_for_others() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let gate = Gate::new(&api(None, Vec::new()));
        let serving = tokio::spawn(remote(listener, gate, Router::new()));
        let come = async |last: u8| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
            socket.connect(at).await.unwrap()
        };
        let mut one = Vec::new();
        for _ in 0..CONNECTIONS {
            one.push(come(1).await);
        }
        let mut turned_away = 0;
        for connection in one.iter_mut().skip(32) {
            turned_away += usize::from(connection.read_u8().await.is_err());
        }
        assert_eq!(turned_away, CONNECTIONS - 32);
        for (whose, mut connection) in [("one of the first", one.swap_remove(0)), ("another's", come(2).await)] {
            let end = tokio::time::timeout(Duration::from_millis(100), connection.read_u8()).await;
            assert!(end.is_err(), "{whose}: it is waited for what he says");
        }
        serving.abort();
    }
}
