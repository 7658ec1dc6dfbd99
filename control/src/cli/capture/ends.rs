//! What ends a capture before its time: Ctrl-C, and whoever ends `aditctl`.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Heard from the moment it is made.
pub(super) struct Ends {
    interrupt: Signal,
    terminate: Signal,
    /// Not under nohup.
    hang_up: Option<Signal>,
}

/// Who wants it to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody at the keyboard, who can say it once more.
    Keyboard,
    /// Who does not wait for long.
    Other,
}

impl Ends {
    /// # Errors
    /// The system does not let signals be heard.
    pub(super) fn hear() -> io::Result<Self> {
        let hangs_up =
            !ignores(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), SignalKind::hangup());
        let hang_up = hangs_up.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hang_up })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> End {
        let Self { interrupt, terminate, hang_up } = self;
        let hangs_up = async {
            match hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => End::Keyboard,
            _ = terminate.recv() => End::Other,
            _ = hangs_up => End::Other,
        }
    }
}

/// Whether a process with this `/proc/PID/status` was started with this signal ignored.
fn ignores(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (signal.as_raw_value() - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stands_in_the_status() {
        let status =
            "Name:\taditctl\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n";
        assert!(ignores(status, SignalKind::hangup()) && ignores(status, SignalKind::pipe()));
        assert!(!ignores(status, SignalKind::interrupt()) && !ignores("", SignalKind::hangup()));
    }
}
