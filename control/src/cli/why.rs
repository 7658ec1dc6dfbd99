//! `aditctl why`: a session's story in plain words: who it is, how it came, what happened, what it loses and where, how it ended,
//! and what can be done.

use super::client::{self, AskError, get};
use super::units::{bits, octets, time};
use super::watch::printable;
use crate::api::connections::ConnectionsPage;
use crate::api::sessions::{SessionDetail, SessionsPage};
use crate::api::views::DropView;
use crate::ctcp::{ConnectionView, LossView};
use crate::journal::{DiagnosisView, Entry, EventsView, Kind, StoryView};
use crate::session::{PolicyView, SessionId, SessionView};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// Whose story.
#[derive(Debug, Clone, Args)]
pub(super) struct Why {
    /// A session such as s17, or an identity: of that one the session that is here, else the last
    #[arg(value_name = "SESSION|IDENTITY")]
    whom: String,
}

/// All that is known of it.
#[derive(Debug, Serialize)]
struct Known {
    /// What happened to it, if it ever logged in.
    story: Option<StoryView>,
    /// What it is now, if it is here.
    session: Option<SessionView>,
    /// The TCP connection that it goes by, if it does.
    connection: Option<ConnectionView>,
    /// Logins that were refused to whom this names.
    refused: Vec<Entry>,
    /// What was dropped of its packets.
    drops: Vec<Dropped>,
}

/// Drops for one reason.
#[derive(Debug, Serialize)]
struct Dropped {
    name: String,
    sentence: String,
    packets: u64,
}

impl Why {
    /// Asks the daemon; what to print comes back.
    pub(super) fn run(&self, socket: &Path, json: bool) -> Result<String, AskError> {
        let known = self.known(socket)?;
        if known.story.is_none() && known.session.is_none() && known.refused.is_empty() {
            let whom = &self.whom;
            return Err(AskError::Refused(format!("no session or identity {whom} is here, or remembered")));
        }
        match json {
            true => client::as_json(socket, &known),
            false => Ok(known.in_words(&self.whom)),
        }
    }

    fn known(&self, socket: &Path) -> Result<Known, AskError> {
        let whom = client::encoded(&self.whom);
        let story = known(get::<StoryView>(socket, &format!("/v1/sessions/{whom}/story")))?;
        let id = story.as_ref().map_or(self.whom.as_str(), |story| story.session.as_str());
        let session = match id.parse::<SessionId>() {
            Ok(id) => known(get::<SessionDetail>(socket, &format!("/v1/sessions/{id}")))?.map(|detail| detail.session),
            Err(_an_identity) => self.session(socket, &whom)?,
        };
        let connection = match &session {
            Some(session) if matches!(session.transport.as_str(), "ctcp" | "tcp") => {
                let page = get::<ConnectionsPage>(socket, &format!("/v1/ctcp?session={}", session.id))?;
                page.connections.into_iter().next()
            }
            Some(_) | None => None,
        };
        let refused = refused(socket, &whom)?;
        let drops = match &session {
            Some(session) if session.drops.is_empty() => Vec::new(),
            Some(session) => drops(&get::<Vec<DropView>>(socket, "/v1/drops")?, session),
            None => Vec::new(),
        };
        Ok(Known { story, session, connection, refused, drops })
    }

    /// The session that this identity has, however many others there are before it.
    fn session(&self, socket: &Path, whom: &str) -> Result<Option<SessionView>, AskError> {
        let mut after = String::new();
        loop {
            let page = get::<SessionsPage>(socket, &format!("/v1/sessions?identity={whom}&limit={PAGE}{after}"))?;
            match (page.sessions.into_iter().find(|view| view.identity == self.whom), page.next) {
                (None, Some(next)) => after = format!("&after={}", client::encoded(&next)),
                (found, _) => return Ok(found),
            }
        }
    }
}

/// The latest logins that were refused to somebody, oldest first.
fn refused(socket: &Path, whom: &str) -> Result<Vec<Entry>, AskError> {
    let kind = Kind::LoginRefused.name();
    let (mut latest, mut since) = (Vec::new(), "0".to_owned());
    loop {
        let path = format!("/v1/events?kind={kind}&identity={whom}&limit={PAGE}&since={}", client::encoded(&since));
        let EventsView { events, next, .. } = get(socket, &path)?;
        let full = events.len() >= PAGE;
        latest.extend(events);
        latest.drain(..latest.len().saturating_sub(LATEST_REFUSED));
        if !full {
            return Ok(latest);
        }
        since = next;
    }
}

/// Lines asked for at a time.
const PAGE: usize = 1000;
/// So many refused logins are told at most.
const LATEST_REFUSED: usize = 5;

/// A session's drops, with the sentence of each reason; most packets first.
fn drops(views: &[DropView], session: &SessionView) -> Vec<Dropped> {
    let sentence = |name: &str| views.iter().find(|view| view.name == name).map(|view| view.sentence.clone());
    let dropped = |(name, packets): (&String, &u64)| Dropped {
        name: name.clone(),
        sentence: sentence(name).unwrap_or_default(),
        packets: *packets,
    };
    let mut drops: Vec<Dropped> = session.drops.iter().map(dropped).collect();
    drops.sort_by_key(|dropped| std::cmp::Reverse(dropped.packets));
    drops
}

/// Nothing, if the daemon knows of nothing.
fn known<V>(answer: Result<V, AskError>) -> Result<Option<V>, AskError> {
    match answer {
        Ok(view) => Ok(Some(view)),
        Err(AskError::Refused(_nothing_known)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lines, each with what it is about in front.
#[derive(Default)]
struct Page(String);

impl Page {
    /// The first of a paragraph.
    fn begin(&mut self, about: &str, line: &str) {
        let _infallible = writeln!(self.0, "{about:<10} {}", printable(line));
    }

    fn more(&mut self, line: &str) {
        self.begin("", line);
    }

    fn paragraph(&mut self, about: &str, lines: impl IntoIterator<Item = String>) {
        for (at, line) in lines.into_iter().enumerate() {
            self.begin(if at == 0 { about } else { "" }, &line);
        }
    }
}

impl Known {
    fn in_words(&self, whom: &str) -> String {
        let mut page = Page::default();
        self.who(&mut page, whom);
        if let Some(story) = &self.story {
            came_and_went(&mut page, story);
        }
        if let Some(session) = &self.session {
            now(&mut page, session);
        }
        self.loses(&mut page);
        let ended = self.story.as_ref().and_then(|story| story.events.iter().rfind(|entry| entry.kind == Kind::Logout));
        if let Some(entry) = ended {
            page.begin("ended", &dated(entry));
        }
        if !self.refused.is_empty() {
            page.paragraph(
                "refused",
                self.refused.iter().map(|entry| {
                    let from = entry.peer.map(|peer| format!(", from {peer}")).unwrap_or_default();
                    dated(entry) + &from
                }),
            );
        }
        page.paragraph("what to do", self.what_to_do(ended));
        page.0
    }

    fn who(&self, page: &mut Page, whom: &str) {
        let (id, identity) = match (&self.story, &self.session) {
            (Some(story), _) => (story.session.as_str(), story.identity.as_str()),
            (None, Some(session)) => (session.id.as_str(), session.identity.as_str()),
            (None, None) => return page.begin("who", &format!("{whom}, who is not logged in")),
        };
        let first = self.story.as_ref().and_then(|story| story.events.first());
        let connection = first.and_then(|entry| entry.connection.clone());
        let connection = connection.map(|name| format!(", connection {name}")).unwrap_or_default();
        let since = match &self.session {
            Some(session) => format!("here for {}", time(session.up_seconds)),
            None => "here no more".to_owned(),
        };
        page.begin("who", &format!("{identity}, session {id}{connection}, {since}"));
    }

    fn loses(&self, page: &mut Page) {
        let mut lines = Vec::new();
        match &self.connection {
            Some(ConnectionView::Ctcp(flow)) => {
                let told = (&flow.client, &flow.path, flow.path_sure);
                lines.extend(lost(&flow.id, told, flow.loss_up.as_ref(), flow.loss_down.as_ref(), None));
                lines.push(flow.remedy.sentence.clone());
            }
            Some(ConnectionView::Tcp(_)) => lines.push("nothing: real TCP repeats what is lost".to_owned()),
            None => {}
        }
        let found = self.story.as_ref().and_then(|story| story.events.iter().rfind(|entry| entry.diagnosis.is_some()));
        if let (None, Some(entry)) = (&self.connection, found)
            && let Some(diagnosis) = &entry.diagnosis
        {
            let DiagnosisView { client, path, path_sure, loss_up, loss_down, .. } = diagnosis;
            let id = entry.subject.as_deref().unwrap_or_default();
            let told = (client, path, *path_sure);
            lines.extend(lost(id, told, loss_up.as_ref(), loss_down.as_ref(), Some(diagnosis)));
        }
        for Dropped { name, sentence, packets } in &self.drops {
            lines.push(format!("{packets} packets of its own: {sentence} [{name}]"));
        }
        page.paragraph("loses", lines);
    }

    /// The advice that is nearest to what went wrong last.
    fn what_to_do(&self, ended: Option<&Entry>) -> Vec<String> {
        if let Some(ConnectionView::Ctcp(flow)) = &self.connection {
            return flow.remedy.lines.clone();
        }
        let mut events = self.story.iter().flat_map(|story| &story.events);
        let stalled = events.rfind(|entry| entry.kind == Kind::StallFound);
        let refused = if self.session.is_none() { self.refused.last() } else { None };
        let newest = [ended, refused].into_iter().flatten().max_by_key(|entry| entry.number);
        match (stalled, newest) {
            (Some(stall), _) => stall.remedy.clone(),
            (None, Some(entry)) => entry.remedy.clone(),
            (None, None) => Vec::new(),
        }
    }
}

fn came_and_went(page: &mut Page, story: &StoryView) {
    let mut events = story.events.iter().filter(|entry| entry.kind != Kind::Logout);
    if let Some(login) = events.next() {
        let from = login.peer.map(|peer| format!(", from {peer}")).unwrap_or_default();
        page.begin("came", &(dated(login) + &from));
        let inner: Vec<_> = login.addresses.iter().map(ToString::to_string).collect();
        if !inner.is_empty() {
            page.more(&format!("inner addresses {}", inner.join(", ")));
        }
    }
    let mut lines: Vec<String> = events.map(dated).collect();
    if story.left_out > 0 {
        let begun = lines.len().min(BEGINNING);
        lines.insert(begun, format!("… {} more that are not remembered …", story.left_out));
    }
    page.paragraph("since then", lines);
}

/// Events after the login that a story keeps of its beginning.
const BEGINNING: usize = 7;

fn now(page: &mut Page, session: &SessionView) {
    let nat = if session.peer_behind_nat { ", behind a NAT" } else { "" };
    let transport = if session.transport.is_empty() { "no ESP" } else { session.transport.as_str() };
    page.begin("now", &format!("{transport} from {}{nat}, idle for {}", session.peer, time(session.idle_seconds)));
    page.more(&format!(
        "{} in {} packets from the client, {} in {} to it",
        octets(session.bytes_in),
        session.packets_in,
        octets(session.bytes_out),
        session.packets_out
    ));
    if let Some(may) = may(session) {
        page.more(&may);
    }
}

/// How fast it may be and how long it may last, if there are limits.
fn may(session: &SessionView) -> Option<String> {
    let PolicyView { class, rate_up, rate_down, idle_timeout_in, session_timeout_in, .. } = &session.policy;
    let rates = match (rate_up, rate_down) {
        (None, None) => None,
        (up, down) => {
            let shown = |rate: &Option<u64>| rate.map_or_else(|| "any rate".to_owned(), bits);
            let class = class.as_ref().map(|class| format!(" (class {class})")).unwrap_or_default();
            Some(format!("{} from the client, {} to it{class}", shown(up), shown(down)))
        }
    };
    let idle = idle_timeout_in.map(|left| format!("ends in {} if nothing comes from the client", time(left)));
    let over = session_timeout_in.map(|left| format!("ends in {} in any case", time(left)));
    let all: Vec<String> = [rates, idle, over].into_iter().flatten().collect();
    (!all.is_empty()).then(|| format!("may have {}", all.join("; ")).replacen("may have ends", "ends", 1))
}

/// What is lost by a cTCP connection, and where.
fn lost(
    id: &str,
    (client, path, sure): (&String, &String, u8),
    up: Option<&LossView>,
    down: Option<&LossView>,
    stalled: Option<&DiagnosisView>,
) -> Vec<String> {
    let mut lines = vec![format!("by cTCP connection {id}: client {client}, path {path} ({sure} % sure)")];
    let leg = |loss: &LossView, way: &str| {
        let LossView { leg, sure, lost, of } = loss;
        format!("{way} the client {lost} of {of} packets, {} ({sure} % sure) [{leg}]", place(leg))
    };
    lines.extend(up.map(|loss| leg(loss, "from")));
    lines.extend(down.map(|loss| leg(loss, "to")));
    if let Some(DiagnosisView { leg: Some(leg), missing_octets, loss_up: None, .. }) = stalled {
        let missing = missing_octets.map(|missing| format!("{missing} octets ")).unwrap_or_default();
        lines.push(format!("from the client {missing}are missing, lost {} [{leg}]", place(leg)));
    }
    lines
}

fn place(leg: &str) -> &'static str {
    match leg {
        "client_side" => "between the client and the firewall",
        "headend_side" => "between the firewall, or proxy, and the headend",
        "behind_proxy" => "on the far side of a proxy",
        "in_client" => "in the client itself, before its TCP",
        _somewhere => "somewhere between the client and the headend",
    }
}

fn dated(entry: &Entry) -> String {
    let at = entry.at.replace('T', " ");
    let at = at.split_once('.').map_or(at.as_str(), |(seconds, _)| seconds);
    let reason = entry.reason.as_deref().map(|reason| format!(" [{reason}]")).unwrap_or_default();
    let more = match entry.left_out {
        0 => String::new(),
        left_out => format!(" (and {left_out} more before)"),
    };
    format!("{at} {}{reason}{more}", entry.sentence)
}
