//! The capture thread's way to a worker: a full channel delays a command, nothing waits for it.

use adit_dataplane::contract::{Command, Wake, WorkerHandle};
use crossbeam_channel::{Sender, TrySendError};
use std::collections::VecDeque;
use std::sync::Arc;

/// A worker, as far as captures need it.
pub(super) struct Seat {
    commands: Sender<Command>,
    waker: Arc<dyn Wake>,
    /// What its full channel did not take.
    later: VecDeque<Command>,
}

impl Seat {
    pub(super) fn new(worker: &WorkerHandle) -> Self {
        Self { commands: worker.commands.clone(), waker: Arc::clone(&worker.waker), later: VecDeque::new() }
    }

    /// Hands it over; a full channel gets it later, behind what waits already.
    pub(super) fn send(&mut self, command: Command) {
        self.later.push_back(command);
        self.retry();
    }

    /// Whether a full channel has not taken all of them yet.
    pub(super) fn waits(&self) -> bool {
        !self.later.is_empty()
    }

    /// What waits is tried again.
    pub(super) fn retry(&mut self) {
        while let Some(command) = self.later.pop_front() {
            match self.commands.try_send(command) {
                Ok(()) => self.waker.wake(),
                Err(TrySendError::Full(command)) => return self.later.push_front(command),
                // The daemon ends.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }
}
