//! `aditctl capture`: a session's packets into a file, or into Wireshark as they come; `captures`: what the daemon has.

mod ends;
mod fetch;
mod place;

use super::client::{self, AskError, encoded};
use super::tables::{finish, table};
use super::units::{count, octets, time};
use super::watch::printable;
use crate::capture::{CaptureState, CaptureView, What};
use clap::{Args, Subcommand};
use ends::Ends;
use fetch::{Fetched, fetch};
use hyper::Method;
use place::Place;
use std::fmt::Arguments;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long the daemon may take for an answer: longer than its own patience with its threads.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is wanted.
#[derive(Debug, Clone, Args)]
pub(super) struct Capture {
    /// Whose packets: a session's name, such as s17
    session: String,
    /// As they come and go (outer), as they are in the tunnel (inner), or both
    #[arg(long, value_enum, default_value_t)]
    what: What,
    /// It ends by itself after so many seconds, 3600 at most
    #[arg(long, value_name = "N", default_value_t = crate::capture::Limits::DEFAULT_SECONDS)]
    seconds: u64,
    /// It ends by itself when the file has so many octets, such as 500kB, 10MB, 1GB
    #[arg(long, value_name = "SIZE", default_value = "10MB", value_parser = size)]
    size: u64,
    /// Keep only so many octets of each packet, 96 at least
    #[arg(long, value_name = "N")]
    snap: Option<u32>,
    /// Write to this file, or with - to the standard output (default: SESSION-CAPTURE.pcapng)
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// What the daemon has.
#[derive(Debug, Clone, Args)]
pub(super) struct Captures {
    #[command(subcommand)]
    what: Option<Remove>,
}

#[derive(Debug, Clone, Subcommand)]
enum Remove {
    /// End a capture if it still runs, and remove its file
    Remove {
        /// Its name, such as c3
        capture: String,
    },
}

/// `500kB`, `10MB`, `1GB`; octets without a unit.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "B" => 1,
        "k" | "kB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _another => return Err("a size looks like 500kB, 10MB or 1GiB".to_owned()),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "a size looks like 500kB, 10MB or 1GiB".to_owned())
}

impl Capture {
    /// Captures until it ends by itself or is interrupted.
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<ExitCode, AskError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| client::strange(socket, &error))?;
        let outcome = runtime.block_on(self.capture(socket, json));
        // A reader who takes nothing may hold a write up for ever.
        runtime.shutdown_background();
        outcome
    }

    async fn capture(&self, socket: &Path, json: bool) -> Result<ExitCode, AskError> {
        // Heard from here on, whatever is being done when it comes: packets of users do not stay where nobody asks for them any more.
        let mut ends = Ends::hear().map_err(|error| client::strange(socket, &error))?;
        let snap = self.snap.map(|snap| format!("&snap={snap}")).unwrap_or_default();
        let (session, what) = (encoded(&self.session), self.what.name());
        let query = format!("session={session}&what={what}&seconds={}&octets={}{snap}", self.seconds, self.size);
        let view = ask(socket, Method::POST, &format!("/v1/captures?{query}")).await?;
        let here = format!("/v1/captures/{}", encoded(&view.id));
        let default = || format!("{}-{}.pcapng", view.session, view.id).into();
        let name = self.write.clone().unwrap_or_else(default);
        let fetched = match open(name.clone(), &mut ends).await {
            Err(error) => Ok(Fetched::Nowhere(error)),
            Ok(place) => {
                let (session, identity) = (&view.session, printable(&view.identity));
                let (seconds, most) = (time(view.seconds), octets(view.octets_most));
                let id = &view.id;
                say(format_args!(
                    "capturing {session} {identity} as {id}: {seconds} and {most} at most; Ctrl-C ends it"
                ));
                fetch(socket, &here, place, &mut ends).await
            }
        };
        if let Ok(Fetched::Broken { written, why }) = &fetched {
            // What the daemon has is all that there is of it.
            let kept = ask(socket, Method::POST, &format!("{here}/stop")).await;
            say(format_args!("{}: {why}, after {}", name.display(), octets(*written)));
            match kept {
                Ok(CaptureView { id, packets, octets: size, .. }) => say(format_args!(
                    "the daemon has stopped {id} and keeps it, {packets} packets, {} by now: GET {here}/file reads it, \
                     aditctl captures remove {id} removes it",
                    octets(size)
                )),
                Err(error) => say(format_args!("{error}")),
            }
            return Ok(ExitCode::FAILURE);
        }
        let ended = ask(socket, Method::DELETE, &here).await?;
        if let Fetched::Nowhere(error) = fetched? {
            say(format_args!("{}: {error}", name.display()));
            return Ok(ExitCode::FAILURE);
        }
        let name = name.display().to_string();
        if json && name != "-" {
            print!("{}", client::as_json(socket, &ended)?);
        }
        let end = ended.end.map_or("it was not read to its end", |end| end.sentence());
        let missed = if ended.missed == 0 { String::new() } else { format!(", {} found no room", ended.missed) };
        say(format_args!("{} packets{missed}, {} in {name}: {end}", ended.packets, octets(ended.octets)));
        Ok(ExitCode::SUCCESS)
    }
}

/// Whoever ends it is heard though nobody reads a named pipe, whose opening waits for that.
async fn open(name: PathBuf, ends: &mut Ends) -> io::Result<Place> {
    let opening = tokio::task::spawn_blocking(move || Place::open(&name));
    tokio::select! {
        opened = opening => opened.map_err(io::Error::other)?,
        _end = ends.next() => Err(io::Error::new(io::ErrorKind::Interrupted, "nobody has read it yet, and nothing is in it")),
    }
}

/// For people, if they still listen: a terminal that is gone is no reason to leave anything undone.
fn say(words: Arguments<'_>) {
    let _nobody_listens = writeln!(io::stderr(), "aditctl: {words}");
}

async fn ask(socket: &Path, method: Method, path: &str) -> Result<CaptureView, AskError> {
    let answer = tokio::time::timeout(PATIENCE, client::exchange(socket, method, path)).await;
    let (status, body) = answer.map_err(|_elapsed| client::strange(socket, &"no answer in time"))??;
    if !status.is_success() {
        return Err(client::refusal(socket, status, &body));
    }
    serde_json::from_slice(&body).map_err(|error| client::strange(socket, &error))
}

impl Captures {
    /// Asks the daemon; what to print comes back.
    pub(super) fn run(&self, socket: &Path, json: bool, width: u16) -> Result<String, AskError> {
        if let Some(Remove::Remove { capture }) = &self.what {
            let view = read(socket, Method::DELETE, &format!("/v1/captures/{}", encoded(capture)))?;
            return if json { client::as_json(socket, &view) } else { Ok(format!("{} is removed\n", view.id)) };
        }
        let lines = client::whole(socket, "/v1/captures", "captures")?;
        let views: Vec<CaptureView> =
            serde_json::from_value(lines.into()).map_err(|error| client::strange(socket, &error))?;
        if json { client::as_json(socket, &views) } else { Ok(captures(&views, width)) }
    }
}

fn read(socket: &Path, method: Method, path: &str) -> Result<CaptureView, AskError> {
    let body = client::ask(socket, method, path)?;
    serde_json::from_slice(&body).map_err(|error| client::strange(socket, &error))
}

fn captures(views: &[CaptureView], width: u16) -> String {
    if views.is_empty() {
        return "no captures\n".to_owned();
    }
    let headers = ["id", "session", "identity", "what", "by", "state", "age", "packets", "size", "missed"];
    let mut table = table(width, &headers, 6);
    for view in views {
        let state = match (view.state, view.end) {
            (CaptureState::Running, _) => "running",
            (CaptureState::Ending, _) => "ending",
            (CaptureState::Ended, None) => "ended",
            (CaptureState::Ended, Some(end)) => end.name(),
        };
        let texts = [&view.id, &view.session, &view.identity].map(Clone::clone);
        let more = [view.what.name().to_owned(), view.by.clone(), state.to_owned(), time(view.age_seconds)];
        let numbers = [count(view.packets), octets(view.octets), count(view.missed)];
        table.add_row(texts.into_iter().chain(more).chain(numbers));
    }
    finish(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_that_there_is() {
        for (text, octets) in
            [("4096", 4096), ("500kB", 500_000), ("10MB", 10_000_000), ("1GiB", 1 << 30), ("2M", 2_000_000)]
        {
            assert_eq!(size(text), Ok(octets), "{text}");
        }
        for text in ["", "MB", "10mb", "1.5MB", "-1", "99999999999GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
