//! The API thread: serves the control socket, owns nothing.

use crate::api::listen::ApiSocket;
use crate::api::routes::{Sources, router};
use std::io;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

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
                let listener = match tokio::net::UnixListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!("the control API is not served: {error}"),
                };
                let serving = axum::serve(listener, router(sources));
                tokio::select! {
                    result = async { serving.await } => if let Err(error) = result {
                        tracing::error!("the control API has ended: {error}");
                    },
                    _told = stopped => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread), _socket: socket })
    }
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
