//! A capture's file on its way from the daemon to where it is wanted.

use super::super::client::{self, AskError};
use super::super::units::octets;
use super::ends::{End, Ends};
use super::place::{Place, Put};
use super::{PATIENCE, ask};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);

/// How it went.
pub(super) enum Fetched {
    /// All of it is there, or as much as anybody wants.
    Enough,
    /// There is no place to write it to.
    Nowhere(io::Error),
    /// So many octets are there, and for this reason no more.
    Broken { written: u64, why: String },
}

/// Until there is no more. The first Ctrl-C stops the capture, and what it has by then still comes; a second one is the end at once.
///
/// # Errors
/// The daemon does not give it, or does not stop it.
pub(super) async fn fetch(socket: &Path, here: &str, place: Place, ends: &mut Ends) -> Result<Fetched, AskError> {
    let body = client::body(socket, &format!("{here}/file"), "application/x-pcapng").await?;
    let written = Cell::new(0);
    let mut copying = pin!(copy(body, place, &written));
    let (mut stopped, mut until) = (false, None);
    let shows = io::stderr().is_terminal();
    let mut progress = tokio::time::interval(PROGRESS);
    let fetched = loop {
        tokio::select! {
            copied = &mut copying => break match copied {
                Ok(()) => Fetched::Enough,
                Err(why) => Fetched::Broken { written: written.get(), why },
            },
            end = ends.next() => {
                if stopped {
                    break Fetched::Enough;
                }
                (stopped, until) = (true, (end == End::Other).then(|| Instant::now() + PATIENCE));
                ask(socket, Method::POST, &format!("{here}/stop")).await?;
            }
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break Fetched::Enough,
            _again = progress.tick(), if shows => drop(write!(io::stderr(), "\r{:>10} ", octets(written.get()))),
        }
    };
    if shows {
        let _nobody_listens = write!(io::stderr(), "\r            \r");
    }
    Ok(fetched)
}

/// To its end, or until nobody reads it any more. Why not, in words.
async fn copy(mut body: Incoming, mut place: Place, written: &Cell<u64>) -> Result<(), String> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the daemon has broken off: {error}"))?;
        let Ok(piece) = frame.into_data() else { continue };
        let len = piece.len() as u64;
        // Who reads may take his time, and signals are heard meanwhile.
        let putting = tokio::task::spawn_blocking(move || {
            let put = place.put(&piece);
            (place, put)
        });
        let (back, put) = putting.await.map_err(|error| error.to_string())?;
        place = back;
        match put.map_err(|error| error.to_string())? {
            Put::All => written.set(written.get() + len),
            Put::NobodyReads => break,
        }
    }
    Ok(())
}
