//! `aditctl sessions`, `sa`, `pools`, `leases`: lists; `disconnect` and `rekey`: what is to be done with sessions.

use super::client::{self, AskError, encoded, list};
use super::tables;
use crate::api::sessions::Begun;
use crate::session::{SessionId, SessionState, SessionView};
use clap::Args;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Which sessions.
#[derive(Debug, Clone, Args)]
pub(super) struct Sessions {
    /// Those with this identity; a * stands for any characters
    #[arg(long)]
    identity: Option<String>,
    /// Those of this [[connection]]
    #[arg(long)]
    connection: Option<String>,
    /// Those whose ESP comes so: nat-t, nat-t-500, cisco-udp, esp, ctcp, tcp
    #[arg(long)]
    transport: Option<String>,
    /// Those that stand so: connecting, up, closing
    #[arg(long)]
    state: Option<String>,
    /// Those with this inner or public address
    #[arg(long)]
    address: Option<String>,
}

/// Whose child SAs.
#[derive(Debug, Clone, Args)]
pub(super) struct Sas {
    /// Those of this session
    session: Option<String>,
}

/// Whom to disconnect.
#[derive(Debug, Clone, Args)]
pub(super) struct Disconnect {
    /// Sessions' names (s17), or identities: all sessions of those
    #[arg(required = true)]
    who: Vec<String>,
}

/// Whose keys to replace.
#[derive(Debug, Clone, Args)]
pub(super) struct Rekey {
    /// Sessions' names (s17), or identities: all sessions of those
    #[arg(required = true)]
    who: Vec<String>,
    /// Replace the IKE SA, not the child SAs (IKEv2 only)
    #[arg(long)]
    ike: bool,
}

impl Sessions {
    pub(super) fn run(&self, socket: &Path, json: bool, width: u16) -> Result<String, AskError> {
        let filters = [
            ("identity", &self.identity),
            ("connection", &self.connection),
            ("transport", &self.transport),
            ("state", &self.state),
            ("address", &self.address),
        ];
        let filters =
            filters.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", encoded(value.as_ref()?))));
        let path = format!("/v1/sessions?{}", filters.collect::<Vec<_>>().join("&"));
        let lines = list(socket, path.trim_end_matches('?'), "sessions")?;
        show(socket, json, lines, |views: &Vec<_>| tables::sessions(views, width))
    }
}

impl Sas {
    pub(super) fn run(&self, socket: &Path, json: bool, width: u16) -> Result<String, AskError> {
        let of = self.session.as_ref().map(|session| format!("?session={}", encoded(session))).unwrap_or_default();
        let lines = list(socket, &format!("/v1/sas{of}"), "sas")?;
        show(socket, json, lines, |views: &Vec<_>| tables::sas(views, width))
    }
}

pub(super) fn leases(socket: &Path, json: bool, width: u16) -> Result<String, AskError> {
    show(socket, json, list(socket, "/v1/leases", "leases")?, |views: &Vec<_>| tables::leases(views, width))
}

pub(super) fn pools(socket: &Path, json: bool, width: u16) -> Result<String, AskError> {
    show(socket, json, client::whole(socket, "/v1/pools", "pools")?, |views: &Vec<_>| tables::pools(views, width))
}

/// What is done with each session.
struct Deed<'a> {
    /// What is said of a session with which it is.
    done: &'a str,
    /// Whether it can be done with a session that stands so.
    suits: fn(SessionState) -> bool,
    /// What is said of somebody who has sessions, and none of those.
    none_suits: &'a str,
    ask: Box<dyn Fn(SessionId) -> (Method, String) + 'a>,
}

impl Disconnect {
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<ExitCode, AskError> {
        let deed = Deed {
            done: "ends",
            suits: |state| state != SessionState::Closing,
            none_suits: "has no session that could end: what he has is closing",
            ask: Box::new(|id| (Method::DELETE, format!("/v1/sessions/{id}"))),
        };
        deed.each(socket, &self.who, json)
    }
}

impl Rekey {
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<ExitCode, AskError> {
        let what = if self.ike { "ike" } else { "children" };
        let deed = Deed {
            done: "gets other keys",
            suits: |state| state == SessionState::Up,
            none_suits: "has no session that is up",
            ask: Box::new(move |id| (Method::POST, format!("/v1/sessions/{id}/rekey?what={what}"))),
        };
        deed.each(socket, &self.who, json)
    }
}

/// How a session came to be meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meant {
    ByName,
    ByIdentity,
}

/// What became of it.
enum Outcome {
    Done(Begun),
    /// It had ended by itself.
    Gone,
    Refused(String),
}

impl Deed<'_> {
    /// Does it to each session that is meant, whatever the others say: what was done is printed, and then what was refused. Exit status 0 if
    /// nothing was.
    fn each(&self, socket: &Path, who: &[String], json: bool) -> Result<ExitCode, AskError> {
        let (mut begun, mut refused, mut lost) = (Vec::new(), Vec::new(), None);
        for (id, meant) in self.meant(socket, who)? {
            match self.one(socket, id, meant) {
                Ok(Outcome::Done(done)) => begun.push(done),
                Ok(Outcome::Gone) => {}
                Ok(Outcome::Refused(why)) => refused.push(why),
                // The daemon is gone, or no daemon.
                Err(error) => {
                    lost = Some(error);
                    break;
                }
            }
        }
        let printed = super::aditctl::print(&self.text(socket, json, &begun)?);
        for why in &refused {
            eprintln!("aditctl: {}", AskError::Refused(why.clone()));
        }
        match lost {
            Some(error) => Err(error),
            None if refused.is_empty() => Ok(printed),
            None => Ok(ExitCode::FAILURE),
        }
    }

    fn one(&self, socket: &Path, id: SessionId, meant: Meant) -> Result<Outcome, AskError> {
        let (method, path) = (self.ask)(id);
        let (status, body) = client::ask_for_any(socket, method, &path)?;
        if status.is_success() {
            let begun = serde_json::from_slice(&body).map_err(|error| client::strange(socket, &error))?;
            return Ok(Outcome::Done(begun));
        }
        // Of his sessions one has ended since they were listed.
        if meant == Meant::ByIdentity && status == StatusCode::NOT_FOUND {
            return Ok(Outcome::Gone);
        }
        match client::refusal(socket, status, &body) {
            AskError::Refused(why) => Ok(Outcome::Refused(why)),
            error @ (AskError::NotReachable { .. } | AskError::Strange { .. }) => Err(error),
        }
    }

    fn text(&self, socket: &Path, json: bool, begun: &[Begun]) -> Result<String, AskError> {
        if json {
            return client::as_json(socket, &begun);
        }
        let mut text = String::new();
        for Begun { session } in begun {
            let _infallible = writeln!(text, "{session} {}", self.done);
        }
        Ok(text)
    }

    /// The sessions that somebody names: each by its name, or by its identity those that suit.
    fn meant(&self, socket: &Path, who: &[String]) -> Result<Vec<(SessionId, Meant)>, AskError> {
        let mut ids = Vec::new();
        for name in who {
            if let Ok(id) = name.parse() {
                ids.push((id, Meant::ByName));
                continue;
            }
            let lines = list(socket, &format!("/v1/sessions?identity={}", encoded(name)), "sessions")?;
            let views: Vec<SessionView> =
                serde_json::from_value(Value::Array(lines)).map_err(|error| client::strange(socket, &error))?;
            let suiting = views.iter().filter(|view| (self.suits)(view.state));
            let before = ids.len();
            ids.extend(suiting.filter_map(|view| Some((view.id.parse().ok()?, Meant::ByIdentity))));
            if ids.len() == before {
                let lacks = if views.is_empty() { "has no session" } else { self.none_suits };
                return Err(AskError::Refused(format!("{name} {lacks}")));
            }
        }
        Ok(ids)
    }
}

/// As JSON, or as a table.
fn show<V: DeserializeOwned>(
    socket: &Path,
    json: bool,
    lines: Vec<Value>,
    table: impl FnOnce(&V) -> String,
) -> Result<String, AskError> {
    let lines = Value::Array(lines);
    if json {
        return Ok(format!("{lines}\n"));
    }
    serde_json::from_value(lines).map(|views| table(&views)).map_err(|error| client::strange(socket, &error))
}
