//! The thread: a task for each file, by io_uring if there is one.

use super::files::{self, Means};
use super::kept::Keeper;
use super::ring::Ring;
use super::room::Share;
use super::trouble::Troubles;
use super::writer::WriterTask;
use std::path::PathBuf;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};

/// What it is told.
#[derive(Debug)]
pub(super) enum Job {
    /// A new file, piece by piece.
    Write(WriterTask),
    /// A map, from now on.
    Keep(Keeper),
    /// A file in the place of another.
    Replace {
        path: PathBuf,
        octets: Vec<u8>,
        /// Held until they are written.
        share: Share,
        troubles: Troubles,
    },
    /// Write what waits, and end.
    End,
}

/// By what it may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// io_uring, if the kernel lets it.
    Ring,
    /// System calls alone: for tests.
    #[cfg(test)]
    Plain,
}

/// Until it is told to end, or nobody is left who could.
pub(super) fn run(allowed: Allowed, jobs: UnboundedReceiver<Job>) {
    let ring = match allowed {
        Allowed::Ring => Ring::new(),
        #[cfg(test)]
        Allowed::Plain => Err(std::io::ErrorKind::Unsupported.into()),
    };
    match ring {
        Ok(ring) => ring.block_on(serve(Means::Ring, jobs)),
        Err(why) => {
            tracing::info!("files are written by system calls, not by io_uring: {why}");
            match tokio::runtime::Builder::new_current_thread().enable_time().build() {
                Ok(runtime) => LocalSet::new().block_on(&runtime, serve(Means::Plain, jobs)),
                Err(error) => tracing::error!("nothing is written to the disk: {error}"),
            }
        }
    }
}

async fn serve(means: Means, mut jobs: UnboundedReceiver<Job>) {
    let (leave, leaving) = watch::channel(false);
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(Job::Write(task)) => drop(tasks.spawn_local(task.run(means, leaving.clone()))),
                Some(Job::Keep(keeper)) => drop(tasks.spawn_local(keeper.run(means, leaving.clone()))),
                Some(Job::Replace { path, octets, share, troubles }) => {
                    match files::replace(means, &path, octets).await {
                        Ok(file) => {
                            file.close().await;
                            troubles.end(&path);
                        }
                        Err(error) => troubles.begin(&path, &error),
                    }
                    drop(share);
                }
                Some(Job::End) | None => break,
            },
            Some(_ended) = tasks.join_next() => {}
        }
    }
    let _nobody_left = leave.send(true);
    while tasks.join_next().await.is_some() {}
}
