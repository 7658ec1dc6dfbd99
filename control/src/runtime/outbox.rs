//! Commands on their way to the workers. A full channel delays them, in order; nothing is lost without a word.

use adit_dataplane::contract::{Command, WorkerHandle, WorkerId};
use adit_dataplane::time::Instant;
use crossbeam_channel::TrySendError;
use std::collections::VecDeque;
use std::time::Duration;

/// First wait before a full channel is tried again; each next wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(1);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_millis(64);
/// With so many commands waiting for one worker, no message is read that could make more of them.
const MANY: usize = 4096;

/// A worker's thread has ended although nobody asked it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("worker {} is gone: its thread has ended", .0.0)]
pub struct WorkerGone(pub WorkerId);

/// One queue per worker.
pub struct Outbox {
    queues: Vec<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Command>,
    retry_at: Option<Instant>,
    wait: Duration,
    since: Instant,
}

impl Outbox {
    /// For so many workers.
    pub fn new(workers: usize) -> Self {
        Self { queues: (0..workers).map(|_| Queue::default()).collect() }
    }

    /// Hands `command` over, now or as soon as the channel has room.
    ///
    /// # Errors
    /// The worker is gone; so is the command.
    pub fn send(
        &mut self,
        now: Instant,
        workers: &[WorkerHandle],
        worker: WorkerId,
        command: Command,
    ) -> Result<(), WorkerGone> {
        let (Some(queue), Some(handle)) = (self.queues.get_mut(worker.index()), workers.get(worker.index())) else {
            return Err(WorkerGone(worker));
        };
        if !queue.waiting.is_empty() {
            queue.waiting.push_back(command);
            return Ok(());
        }
        match handle.send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(command)) => {
                tracing::warn!(worker = worker.0, "the worker's command channel is full; commands wait");
                queue.waiting.push_back(command);
                queue.since = now;
                queue.wait = FIRST_WAIT;
                queue.retry_at = Some(now + FIRST_WAIT);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(WorkerGone(worker)),
        }
    }

    /// Tries again what is due.
    ///
    /// # Errors
    /// A worker is gone.
    pub fn retry(&mut self, now: Instant, workers: &[WorkerHandle]) -> Result<(), WorkerGone> {
        for (index, (queue, handle)) in self.queues.iter_mut().zip(workers).enumerate() {
            if queue.retry_at.is_none_or(|at| now < at) {
                continue;
            }
            let worker = WorkerId(u8::try_from(index).unwrap_or(u8::MAX));
            let before = queue.waiting.len();
            while let Some(command) = queue.waiting.pop_front() {
                match handle.send(command) {
                    Ok(()) => {}
                    Err(TrySendError::Full(command)) => {
                        queue.waiting.push_front(command);
                        break;
                    }
                    Err(TrySendError::Disconnected(_)) => return Err(WorkerGone(worker)),
                }
            }
            if queue.waiting.is_empty() {
                queue.retry_at = None;
                let waited = now.since(queue.since);
                tracing::info!(worker = worker.0, ?waited, "the worker takes commands again; none was lost");
            } else {
                let progress = queue.waiting.len() < before;
                queue.wait = if progress { FIRST_WAIT } else { (queue.wait * 2).min(LONGEST_WAIT) };
                queue.retry_at = Some(now + queue.wait);
            }
        }
        Ok(())
    }

    /// When [`Outbox::retry`] has something to do.
    pub fn retry_at(&self) -> Option<Instant> {
        self.queues.iter().filter_map(|queue| queue.retry_at).min()
    }

    /// Commands that wait.
    pub fn waiting(&self) -> usize {
        self.queues.iter().map(|queue| queue.waiting.len()).sum()
    }

    /// So many wait for one worker that no IKE message should be answered: clients repeat it. What workers tell of their
    /// state has to be taken all the same: it is bounded by what they hold, and until it is taken they obey nothing.
    pub fn is_choked(&self) -> bool {
        self.queues.iter().any(|queue| queue.waiting.len() >= MANY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_dataplane::contract::{Keepalive, KeepaliveForm, Path, Wake, WorkerCounters};
    use crossbeam_channel::{Receiver, bounded};
    use std::sync::Arc;

    struct Silent;

    impl Wake for Silent {
        fn wake(&self) {}
    }

    fn worker(room: usize) -> (WorkerHandle, Receiver<Command>) {
        let (commands, taken) = bounded(room);
        (WorkerHandle { commands, waker: Arc::new(Silent), counters: Arc::new(WorkerCounters::default()) }, taken)
    }

    fn keepalive(port: u16) -> Command {
        let path = Path { local: ([192, 0, 2, 1], 4500).into(), peer: ([192, 0, 2, 2], port).into() };
        Command::SendKeepalive(Keepalive { path, form: KeepaliveForm::NatT })
    }

    fn ports(taken: &Receiver<Command>) -> Vec<u16> {
        let port = |command| match command {
            Command::SendKeepalive(keepalive) => keepalive.path.peer.port(),
            _ => panic!("only keepalives are sent here"),
        };
        taken.try_iter().map(port).collect()
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_full_channel_delays_commands_and_keeps_their_order() {
        let (handle, taken) = worker(2);
        let workers = [handle];
        let mut outbox = Outbox::new(1);
        for port in 1..=7 {
            outbox.send(at(0), &workers, WorkerId(0), keepalive(port)).unwrap();
        }
        assert_eq!(outbox.waiting(), 5);
        assert_eq!(outbox.retry_at(), Some(at(1)));
        let mut seen = ports(&taken);
        let mut now = 0;
        while outbox.waiting() > 0 {
            now += 1;
            outbox.retry(at(now), &workers).unwrap();
            seen.extend(ports(&taken));
            assert!(now < 100, "it comes to an end");
        }
        seen.extend(ports(&taken));
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(outbox.retry_at(), None);
    }

    #[test]
    fn a_command_never_overtakes_one_that_waits() {
        let (handle, taken) = worker(1);
        let workers = [handle];
        let mut outbox = Outbox::new(1);
        outbox.send(at(0), &workers, WorkerId(0), keepalive(1)).unwrap();
        outbox.send(at(0), &workers, WorkerId(0), keepalive(2)).unwrap();
        assert_eq!(ports(&taken), [1]);
        outbox.send(at(0), &workers, WorkerId(0), keepalive(3)).unwrap();
        assert!(ports(&taken).is_empty(), "there is room, but 2 comes first");
        outbox.retry(at(1), &workers).unwrap();
        assert_eq!(ports(&taken), [2]);
    }

    #[test]
    fn a_channel_that_stays_full_is_tried_less_and_less_often() {
        let (handle, _taken) = worker(1);
        let workers = [handle];
        let mut outbox = Outbox::new(1);
        for port in 1..=2 {
            outbox.send(at(0), &workers, WorkerId(0), keepalive(port)).unwrap();
        }
        let mut waits = Vec::new();
        let mut now = Instant::ZERO;
        for _ in 0..9 {
            let next = outbox.retry_at().unwrap();
            waits.push(next.since(now).as_millis());
            now = next;
            outbox.retry(now, &workers).unwrap();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn one_full_worker_does_not_hold_up_another() {
        let (full, _not_read) = worker(1);
        let (free, taken) = worker(4);
        let workers = [full, free];
        let mut outbox = Outbox::new(2);
        for port in 1..=3 {
            outbox.send(at(0), &workers, WorkerId(0), keepalive(port)).unwrap();
            outbox.send(at(0), &workers, WorkerId(1), keepalive(port)).unwrap();
        }
        assert_eq!(ports(&taken), [1, 2, 3]);
        assert_eq!(outbox.waiting(), 2);
    }

    #[test]
    fn a_worker_that_is_gone_is_an_error_and_so_is_one_that_never_was() {
        let (handle, taken) = worker(1);
        drop(taken);
        let workers = [handle];
        let mut outbox = Outbox::new(1);
        assert_eq!(outbox.send(at(0), &workers, WorkerId(0), keepalive(1)), Err(WorkerGone(WorkerId(0))));
        assert_eq!(outbox.send(at(0), &workers, WorkerId(5), keepalive(1)), Err(WorkerGone(WorkerId(5))));
    }

    #[test]
    fn many_waiting_commands_stop_the_intake_of_messages() {
        let (handle, _taken) = worker(1);
        let workers = [handle];
        let mut outbox = Outbox::new(1);
        for _ in 0..MANY {
            outbox.send(at(0), &workers, WorkerId(0), keepalive(1)).unwrap();
            assert!(!outbox.is_choked());
        }
        outbox.send(at(0), &workers, WorkerId(0), keepalive(1)).unwrap();
        assert!(outbox.is_choked());
    }
}
