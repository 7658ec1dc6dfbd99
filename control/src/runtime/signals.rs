//! Signals, as messages.

use crossbeam_channel::{Receiver, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;

/// What the operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGTERM or SIGINT. The second one ends the process at once, whatever the other threads do.
    Leave,
    /// SIGHUP.
    Reload,
}

/// From now on signals arrive here instead of ending the process.
pub(super) fn listen() -> io::Result<Receiver<Wish>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (tell, told) = bounded(4);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut leaving = false;
        for signal in signals.forever() {
            match (signal, leaving) {
                // Wishes that still wait say the same.
                (SIGHUP, _) => {
                    let _full = tell.try_send(Wish::Reload);
                }
                (_terminate, false) => {
                    leaving = true;
                    let _nobody_listens = tell.send(Wish::Leave);
                }
                (_terminate, true) => std::process::exit(1),
            }
        }
    })?;
    Ok(told)
}
