//! The API thread: takes connections to the control socket, says who asks, and serves them. It owns no state of the daemon.

use crate::api::access::{Caller, Role};
use crate::api::listen::ApiSocket;
use crate::api::routes::{Sources, router};
use crate::api::serve::serve;
use axum::Router;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};

/// Connections at a time by the Unix socket; whoever comes then waits.
const CONNECTIONS: usize = 256;
/// After an error that may last (no file descriptor is free).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped; the socket's file goes with it.
pub struct ApiThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _socket: ApiSocket,
}

impl ApiThread {
    /// Starts serving.
    ///
    /// # Errors
    /// The system gives no thread or no file descriptor.
    pub fn start(socket: ApiSocket, sources: Sources) -> io::Result<Self> {
        let listener = socket.listener()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = match UnixListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!("the control API is not served: {error}"),
                };
                tokio::select! {
                    () = local(listener, router(sources)) => {}
                    _told = stopped => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), _socket: socket })
    }
}

/// Whoever comes by the Unix socket.
async fn local(listener: UnixListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((connection, _nameless)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    let caller = who(&connection);
                    serve(connection, router, caller).await;
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

/// Root, and whoever the daemon runs as, may change things; who else may open the socket may look.
fn who(connection: &UnixStream) -> Option<Caller> {
    let uid = connection.peer_cred().ok()?.uid();
    let role = if uid == 0 || uid == rustix::process::geteuid().as_raw() { Role::Admin } else { Role::Read };
    Some(Caller { name: format!("uid {uid}").into(), role })
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
