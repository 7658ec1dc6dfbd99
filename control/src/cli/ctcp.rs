//! `aditctl ctcp`: connections by cTCP and in real TCP as a table, one in all detail, and their end.

use super::client::{self, AskError};
use super::tables::{finish, table};
use super::units::{count, millis, octets, time};
use crate::ctcp::{ClearView, ConnectionView, FlowView, LossView, MoveView, StreamView};
use clap::{Args, Subcommand};
use hyper::Method;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// In the place of what is found out of a client and its path by cTCP.
const REAL_TCP: &str = "tcp\nRFC 9329";

/// What is wanted of them.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Ctcp {
    /// Everything about one: its id, its peer's address, or that with the port
    flow: Option<String>,
    #[command(subcommand)]
    what: Option<Order>,
}

#[derive(Debug, Clone, Subcommand)]
enum Order {
    /// End connections: their peers are reset, their sessions stay for them to come back to
    Clear {
        /// A connection's id, or "all"
        flow: String,
    },
    /// Have the session that has a connection go by another transport: the connection is reset, and its transport is closed to that session
    /// for a while. A client that has another goes on there, with the same SAs; Cisco's VPN Client has none, and logs in anew
    Move {
        /// The connection's id
        flow: String,
        /// How long, such as 90s, 5m or 1h
        #[arg(long = "for", value_name = "TIME", value_parser = closed_for, default_value = "5m")]
        time: Duration,
    },
}

fn closed_for(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
        .filter(|time| time.subsec_nanos() == 0 && (1..=86_400).contains(&time.as_secs()))
        .ok_or_else(|| "expected whole seconds with a unit, up to a day, such as 90s, 5m or 1h".to_owned())
}

impl Ctcp {
    /// Asks the daemon; what to print comes back.
    pub(super) fn run(&self, socket: &Path, json: bool, width: u16) -> Result<String, AskError> {
        match (&self.what, &self.flow) {
            (Some(Order::Clear { flow }), _) => clear(socket, flow, json),
            (Some(Order::Move { flow, time }), _) => move_away(socket, flow, *time, json),
            (None, flow) => show(socket, flow.as_deref(), json, width),
        }
    }
}

fn show(socket: &Path, name: Option<&str>, json: bool, width: u16) -> Result<String, AskError> {
    let lines = client::list(socket, "/v1/ctcp", "connections")?;
    let mut views: Vec<ConnectionView> =
        serde_json::from_value(lines.into()).map_err(|error| client::strange(socket, &error))?;
    if let Some(name) = name {
        views.retain(|view| view.is_called(name));
        if views.is_empty() {
            return Err(AskError::Refused(format!("no TCP connection is called {name}, or comes from there")));
        }
    }
    if json {
        return client::as_json(socket, &views);
    }
    Ok(match name {
        Some(_) => views.iter().map(detail).collect::<Vec<_>>().join("\n"),
        None => flows(&views, width),
    })
}

fn clear(socket: &Path, flow: &str, json: bool) -> Result<String, AskError> {
    let body = client::ask(socket, Method::DELETE, &format!("/v1/ctcp/{}", in_path(flow)))?;
    let view: ClearView = serde_json::from_slice(&body).map_err(|error| client::strange(socket, &error))?;
    Ok(match json {
        true => format!("{{\"cleared\":{}}}\n", view.cleared),
        false => format!("{} connections are ended\n", view.cleared),
    })
}

fn move_away(socket: &Path, flow: &str, time: Duration, json: bool) -> Result<String, AskError> {
    let path = format!("/v1/ctcp/{}/move?seconds={}", in_path(flow), time.as_secs());
    let body = client::ask(socket, Method::POST, &path)?;
    let view: MoveView = serde_json::from_slice(&body).map_err(|error| client::strange(socket, &error))?;
    if json {
        return client::as_json(socket, &view);
    }
    let MoveView { session, closed, seconds, left } = view;
    Ok(format!(
        "{closed} is closed to {session} for {}, and {flow} is reset; what is left: {}\n",
        self::time(seconds),
        left.join(", ")
    ))
}

/// What cannot be in a name is left out of it.
fn in_path(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).filter(|c| !"/?#%".contains(*c)).collect()
}

/// As `show crypto ctcp` has it, and what has been found out.
fn flows(views: &[ConnectionView], width: u16) -> String {
    if views.is_empty() {
        return "no TCP connections\n".to_owned();
    }
    let headers = ["id", "peer", "session", "state", "client\npath", "loss up\ndown", "rtt", "ring", "stalled"];
    let mut table = table(width, &headers, 6);
    for view in views {
        table.add_row(match view {
            ConnectionView::Ctcp(view) => [
                view.id.clone(),
                ports(view.peer, view.local),
                owner(&view.session, &view.identity),
                view.state.clone(),
                format!("{}\n{}", view.client, view.path),
                format!("{}\n{}", share(view.loss_up.as_ref()), share(view.loss_down.as_ref())),
                millis_or_dash(view.rtt_us),
                full(view.ring, view.ring_most),
                view.stalled_seconds.map_or_else(|| "-".to_owned(), time),
            ],
            ConnectionView::Tcp(view) => [
                view.id.clone(),
                ports(view.peer, view.local),
                owner(&view.session, &view.identity),
                view.state.clone(),
                REAL_TCP.to_owned(),
                format!("-\n{}", percent(view.down.resent, view.down.segments)),
                millis_or_dash(view.rtt_us),
                full(view.queued, view.queue_most),
                "-".to_owned(),
            ],
        });
    }
    finish(&table)
}

fn ports(peer: SocketAddr, local: SocketAddr) -> String {
    format!("{}\n{}->{}", peer.ip(), peer.port(), local.port())
}

fn owner(session: &str, identity: &str) -> String {
    format!("{}\n{identity}", or_dash(session)).trim_end().to_owned()
}

fn full(octets: usize, most: usize) -> String {
    format!("{}%", (octets * 100).checked_div(most).unwrap_or_default())
}

fn detail(view: &ConnectionView) -> String {
    match view {
        ConnectionView::Ctcp(view) => flow(view),
        ConnectionView::Tcp(view) => stream(view),
    }
}

fn stream(view: &StreamView) -> String {
    let StreamView { up, down, .. } = view;
    let lines = [
        ("connection", format!("{}, {}, since {}", view.id, view.state, time(view.age_seconds))),
        ("peer", format!("{} to {}, heard {} ago", view.peer, view.local, time(view.silent_seconds))),
        ("session", format!("{} {}", or_dash(&view.session), view.identity).trim_end().to_owned()),
        ("kind", "real TCP (RFC 9329)".to_owned()),
        ("rtt", format!("{}, least {}", millis_or_dash(view.rtt_us), millis_or_dash(view.least_rtt_us))),
        ("in flight", octets(view.in_flight as u64)),
        (
            "queue",
            format!(
                "{} of {}, {} ESP packets had to give way",
                octets(view.queued as u64),
                octets(view.queue_most as u64),
                count(view.given_way)
            ),
        ),
        ("received", format!("{} segments, {}", count(up.segments), octets(up.octets))),
        (
            "sent",
            format!(
                "{} segments, {}; {} sent again ({})",
                count(down.segments),
                octets(down.octets),
                count(down.resent),
                percent(down.resent, down.segments)
            ),
        ),
    ];
    lines.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _infallible = writeln!(text, "{name:<10} {value}");
        text
    })
}

fn flow(view: &FlowView) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "{name:<10} {value}");
    };
    let FlowView { up, down, .. } = view;
    line("connection", format!("{}, {}, since {}", view.id, view.state, time(view.age_seconds)));
    line("peer", format!("{} to {}, heard {} ago", view.peer, view.local, time(view.silent_seconds)));
    line("session", format!("{} {}", or_dash(&view.session), view.identity).trim_end().to_owned());
    line("client", format!("{} ({} % sure)", view.client, view.client_sure));
    line("path", format!("{} ({} % sure)", view.path, view.path_sure));
    line("loss up", lost(view.loss_up.as_ref()));
    line("loss down", lost(view.loss_down.as_ref()));
    line("rtt", format!("{}, least {}", millis_or_dash(view.rtt_us), millis_or_dash(view.least_rtt_us)));
    line("ring", format!("{} of {} kept", octets(view.ring as u64), octets(view.ring_most as u64)));
    line("in flight", octets(view.in_flight as u64));
    line(
        "received",
        format!(
            "{} segments, {}; {} pieces, {} without data",
            count(up.segments),
            octets(up.octets),
            count(up.pieces),
            count(up.keepalives)
        ),
    );
    line(
        "holes",
        format!(
            "{}: {} with a gap in ESP, {} without; {} overtaken, {} refilled, {} passed over ({})",
            up.holes,
            up.holes_in_esp,
            up.holes_not_in_esp,
            up.overtaken,
            up.refilled,
            up.passed_over,
            octets(up.missing)
        ),
    );
    line(
        "ESP",
        format!(
            "{} packets, {} missing, {} late, {} again",
            count(up.esp),
            count(up.esp_missing),
            count(up.esp_late),
            count(up.esp_again)
        ),
    );
    line(
        "sent",
        format!(
            "{} segments, {}; {} sent again in {} rounds, {} of them helped",
            count(down.segments),
            octets(down.octets),
            count(down.resent),
            count(down.repairs),
            count(down.helped)
        ),
    );
    line(
        "acks",
        format!(
            "{} duplicates, {} plateaus, {} rewinds, {} fillers",
            count(down.duplicates),
            count(down.plateaus),
            count(down.rewinds),
            count(down.filled)
        ),
    );
    if let (Some(since), Some(missing)) = (view.stalled_seconds, view.missing_octets) {
        line("stalled", format!("for {}, {} missing", time(since), octets(missing as u64)));
    }
    line("finding", format!("{}: {}", view.remedy.reason, view.remedy.sentence));
    if !view.remedy.lines.is_empty() {
        text.push('\n');
    }
    view.remedy.lines.iter().fold(text, |text, line| text + line + "\n")
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn millis_or_dash(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), millis)
}

fn share(loss: Option<&LossView>) -> String {
    loss.map_or_else(|| "-".to_owned(), |LossView { lost, of, .. }| percent(*lost, *of))
}

fn percent(some: u64, of: u64) -> String {
    let tenths = (u128::from(some) * 1000).checked_div(u128::from(of)).unwrap_or_default();
    format!("{}.{}%", tenths / 10, tenths % 10)
}

fn lost(loss: Option<&LossView>) -> String {
    let Some(LossView { leg, sure, lost, of }) = loss else { return "none seen".to_owned() };
    let place = leg.replace('_', " ");
    format!("{} ({lost} of {of}), {place} ({sure} % sure)", share(loss))
}
