//! The API thread: serves the control socket, owns nothing.

use crate::api::listen::ApiSocket;
use crate::api::routes::{Sources, router};
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the last events may take to get to those who watch.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Serves until it is dropped; the socket's file goes with it.
pub struct ApiThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _socket: ApiSocket,
}

impl ApiThread {
    /// Starts serving, and keeping the journal.
    ///
    /// # Errors
    /// The system gives no thread or no file descriptor.
    pub fn start(
        socket: ApiSocket,
        sources: Sources,
        keeping: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Self> {
        let listener = socket.listener()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("api".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = match tokio::net::UnixListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!("the control API is not served: {error}"),
                };
                let (board, keeping) = (sources.board.clone(), tokio::spawn(keeping));
                let serving = axum::serve(listener, router(sources));
                tokio::select! {
                    result = async { serving.await } => if let Err(error) = result {
                        tracing::error!("the control API has ended: {error}");
                    },
                    _told = stopped => {}
                }
                // Who watches hears of the end, if he listens.
                let told = async { (keeping.await, board.is_empty().await) };
                let _deaf = tokio::time::timeout(LAST_WORDS, told).await;
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
