//! Wishes to the capture thread: a bounded channel there, one answer each back.

use super::{CaptureName, CaptureView, NoCapture, Readable, Wanted};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::time::Duration;
use tokio::sync::oneshot;

/// Wishes that may wait.
const WAITING: usize = 16;
/// A slow disk is waited for, a dead one is not.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where an answer goes.
pub(crate) type To<T> = oneshot::Sender<Result<T, NoCapture>>;

/// What the capture thread is asked.
#[derive(Debug)]
pub enum Request {
    /// A capture is to begin.
    Begin(Box<Wanted>, To<CaptureView>),
    /// All that there are, oldest first.
    List(To<Vec<CaptureView>>),
    /// This one.
    Show(CaptureName, To<CaptureView>),
    /// It is to end; its file stays. Who wants that is for the log.
    Stop(CaptureName, String, To<CaptureView>),
    /// It is to end, and its file to go.
    Remove(CaptureName, String, To<CaptureView>),
    /// Its file, to be read.
    Read(CaptureName, To<Readable>),
    /// All end: the daemon leaves.
    Leave,
}

/// The asking end.
#[derive(Debug, Clone)]
pub struct Clerk(Sender<Request>);

/// Both ends.
pub fn channel() -> (Clerk, Receiver<Request>) {
    let (sender, receiver) = bounded(WAITING);
    (Clerk(sender), receiver)
}

impl Clerk {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// What the capture thread says, or that it says nothing.
    pub async fn ask<A>(&self, request: impl FnOnce(To<A>) -> Request) -> Result<A, NoCapture> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(request(answer)).map_err(|error| match error {
            TrySendError::Full(_) => NoCapture::Busy,
            TrySendError::Disconnected(_) => NoCapture::Gone,
        })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_dropped)) => Err(NoCapture::Gone),
            Err(_elapsed) => Err(NoCapture::Busy),
        }
    }

    /// All captures are to end. Whether that could be said.
    pub fn leave(&self) -> bool {
        self.0.send_timeout(Request::Leave, PATIENCE).is_ok()
    }
}
