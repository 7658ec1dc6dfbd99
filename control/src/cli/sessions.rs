//! `aditctl sessions`, `sa`, `pools`, `leases`: lists; `disconnect` and `rekey`: what is to be done with sessions.

use super::client::{self, AskError, encoded, list};
use super::tables;
use crate::api::sessions::Begun;
use crate::session::SessionId;
use clap::Args;
use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

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

impl Disconnect {
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<String, AskError> {
        each(socket, &self.who, json, "ends", |id| client::ask(socket, Method::DELETE, &format!("/v1/sessions/{id}")))
    }
}

impl Rekey {
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<String, AskError> {
        let what = if self.ike { "ike" } else { "children" };
        each(socket, &self.who, json, "gets other keys", |id| {
            client::ask(socket, Method::POST, &format!("/v1/sessions/{id}/rekey?what={what}"))
        })
    }
}

/// Does something to each session that is meant.
fn each(
    socket: &Path,
    who: &[String],
    json: bool,
    done: &str,
    act: impl Fn(SessionId) -> Result<Vec<u8>, AskError>,
) -> Result<String, AskError> {
    let mut begun = Vec::new();
    for id in meant(socket, who)? {
        let body = act(id)?;
        begun.push(serde_json::from_slice::<Begun>(&body).map_err(|error| client::strange(socket, &error))?);
    }
    if json {
        return client::as_json(socket, &begun);
    }
    let mut text = String::new();
    for Begun { session } in begun {
        let _infallible = writeln!(text, "{session} {done}");
    }
    Ok(text)
}

/// The sessions that somebody names: each by its name, or by its identity.
fn meant(socket: &Path, who: &[String]) -> Result<Vec<SessionId>, AskError> {
    let mut ids = Vec::new();
    for name in who {
        if let Ok(id) = name.parse() {
            ids.push(id);
            continue;
        }
        let lines = list(socket, &format!("/v1/sessions?identity={}", encoded(name)), "sessions")?;
        let found = lines.iter().filter_map(|line| line.get("id")?.as_str()?.parse::<SessionId>().ok());
        let before = ids.len();
        ids.extend(found);
        if ids.len() == before {
            return Err(AskError::Refused(format!("{name} has no session")));
        }
    }
    Ok(ids)
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
