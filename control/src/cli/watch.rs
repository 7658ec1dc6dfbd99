//! `aditctl watch`: a line for each thing that happens, until somebody has seen enough.

use super::client::{self, AskError};
use crate::journal::{Entry, Kind, Severity};
use clap::Args;
use http_body_util::BodyExt;
use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Between two tries to reach a daemon that has gone.
const AGAIN: Duration = Duration::from_secs(1);
/// No event is longer; who sends more than that without an end does not speak our language.
const LONGEST: usize = 1 << 20;

/// What is wanted.
#[derive(Debug, Clone, Args)]
pub(super) struct Watch {
    /// Only these kinds, such as login,logout (docs/reason-codes.md has them all)
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Only what is about this session, such as s17
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only what is about this identity
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// Begin after this event (its number or id) instead of now; 0 is all that is remembered
    #[arg(long, value_name = "EVENT")]
    since: Option<String>,
}

impl Watch {
    /// Watches until it is interrupted; a daemon that goes is waited for.
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<ExitCode, AskError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| client::strange(socket, &error))?;
        let show = match (json, std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()) {
            (true, _) => Show::Json,
            (false, true) => Show::Colours,
            (false, false) => Show::Plain,
        };
        runtime.block_on(async {
            tokio::select! {
                ended = self.follow(socket, show) => ended,
                _ctrl_c = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
            }
        })
    }

    async fn follow(&self, socket: &Path, show: Show) -> Result<ExitCode, AskError> {
        let mut last = self.since.clone();
        let mut body = self.ask(socket, last.as_deref()).await?;
        loop {
            let mut frames = Frames::default();
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(data) = frame.into_data() else { continue };
                for frame in frames.take(&data).map_err(|error| client::strange(socket, &error))? {
                    if let Some(id) = &frame.id {
                        last = Some(id.clone());
                    }
                    if let Some(line) = show.line(&frame)
                        && writeln!(std::io::stdout(), "{line}").is_err()
                    {
                        // Whoever reads has seen enough (`aditctl watch | head`).
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
            // What happens until we are back is not lost: the daemon, or the next one, tells what is after `last`.
            let after = last.get_or_insert_with(|| "0".to_owned());
            eprintln!("aditctl: aditd has gone; waiting for it");
            body = loop {
                tokio::time::sleep(AGAIN).await;
                if let Ok(body) = self.ask(socket, Some(after)).await {
                    break body;
                }
            };
        }
    }

    async fn ask(&self, socket: &Path, after: Option<&str>) -> Result<hyper::body::Incoming, AskError> {
        let kinds: Vec<_> = self.kind.iter().map(|kind| kind.name()).collect();
        let mut query = Vec::new();
        if !kinds.is_empty() {
            query.push(format!("kind={}", kinds.join(",")));
        }
        query.extend(self.session.as_deref().map(|session| format!("session={}", client::encoded(session))));
        query.extend(self.identity.as_deref().map(|identity| format!("identity={}", client::encoded(identity))));
        query.extend(after.map(|after| format!("since={}", client::encoded(after))));
        client::stream(socket, &format!("/v1/events?{}", query.join("&"))).await
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Json,
    Plain,
    Colours,
}

impl Show {
    fn line(self, frame: &Frame) -> Option<String> {
        match (self, frame.event.as_str()) {
            (_, "") => None,
            (Self::Json, _) => Some(frame.data.clone()),
            (Self::Plain | Self::Colours, "missed") => Some(format!("… some events were not kept: {}", frame.data)),
            (Self::Plain | Self::Colours, _) => {
                let entry = serde_json::from_str::<Entry>(&frame.data).ok()?;
                Some(self.paint(entry.severity, &line(&entry)))
            }
        }
    }

    fn paint(self, severity: Severity, line: &str) -> String {
        let colour = match (self, severity) {
            (Self::Json | Self::Plain, _) | (Self::Colours, Severity::Info) => return line.to_owned(),
            (Self::Colours, Severity::Warning) => "33",
            (Self::Colours, Severity::Error) => "1;31",
        };
        format!("\x1b[{colour}m{line}\x1b[0m")
    }
}

/// `18:30:00.123Z login s17 alice@rig logged in by IKEv2 …`
fn line(entry: &Entry) -> String {
    let time = entry.at.split_once('T').map_or(entry.at.as_str(), |(_, time)| time);
    let who = [entry.session.as_deref(), entry.identity.as_deref()].into_iter().flatten();
    let who: String = who.map(|word| format!(" {word}")).collect();
    let at = match (entry.kind, entry.peer) {
        (Kind::Login | Kind::LoginRefused, Some(peer)) => format!(" from {peer}"),
        (_, _) => String::new(),
    };
    let reason = entry.reason.as_deref().map(|reason| format!(" [{reason}]")).unwrap_or_default();
    let more = match entry.left_out {
        0 => String::new(),
        left_out => format!(" (and {left_out} more before)"),
    };
    printable(&format!("{time} {:<15}{who}{at} {}{reason}{more}", entry.kind.name(), entry.sentence))
}

/// What a terminal might obey is no part of a line.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frame {
    id: Option<String>,
    event: String,
    data: String,
}

/// Puts events together.
#[derive(Debug, Default)]
struct Frames {
    rest: Vec<u8>,
}

/// An event without end.
#[derive(Debug, thiserror::Error)]
#[error("an event is longer than {LONGEST} octets")]
struct TooLong;

impl Frames {
    /// The events that are whole with these octets.
    fn take(&mut self, octets: &[u8]) -> Result<Vec<Frame>, TooLong> {
        self.rest.extend_from_slice(octets);
        let mut frames = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let frame: Vec<u8> = self.rest.drain(..end + 2).collect();
            frames.push(Frame::read(&String::from_utf8_lossy(&frame)));
        }
        if self.rest.len() > LONGEST { Err(TooLong) } else { Ok(frames) }
    }
}

impl Frame {
    fn read(text: &str) -> Self {
        let mut frame = Self::default();
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => frame.id = Some(id.to_owned()),
                Some(("event", event)) => event.clone_into(&mut frame.event),
                Some(("data", data)) => frame.data.push_str(data),
                Some(_) | None => {}
            }
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_any_pieces() {
        let text = b"retry: 1000\n: hello\n\nid: 7-1\nevent: login\ndata: {\"a\":1}\n\nevent: missed\ndata: {\"missed\":3}\n\n";
        for size in 1..text.len() {
            let mut frames = Frames::default();
            let mut all: Vec<Frame> = text.chunks(size).flat_map(|piece| frames.take(piece).unwrap()).collect();
            all.retain(|frame| !frame.event.is_empty());
            let login = Frame { id: Some("7-1".into()), event: "login".into(), data: "{\"a\":1}".into() };
            let missed = Frame { id: None, event: "missed".into(), data: "{\"missed\":3}".into() };
            assert_eq!(all, [login, missed], "pieces of {size}");
        }
        let mut frames = Frames::default();
        assert!(frames.take(&vec![b'x'; LONGEST + 1]).is_err());
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
