//! Answers as tables for people.

use super::units::{count, millis, octets, time};
use crate::aaa::desk::DeskView;
use crate::api::transports::TransportView;
use crate::api::views::{DrainView, DropView, IkeView, StatusView, WorkerView};
use crate::ike::engine::Holdings;
use crate::lease::{LeaseView, PoolView};
use crate::session::{SaView, SessionState, SessionView};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// Narrower is not readable, and nobody reads wider.
const WIDTHS: std::ops::RangeInclusive<u16> = 60..=160;

/// How wide the terminal is, as `COLUMNS` says; else the least that terminals have.
pub(super) fn width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<u16>().ok()).unwrap_or(80);
    columns.clamp(*WIDTHS.start(), *WIDTHS.end())
}

pub(super) fn status(view: &StatusView) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "{name:<10} {value}");
    };
    line("aditd", format!("{}, {}, up {}", view.version, view.state, time(view.up_seconds)));
    if let Some(DrainView { left_seconds, stop }) = view.draining {
        let left = left_seconds
            .map_or_else(|| "sessions may stay".to_owned(), |left| format!("sessions end in {}", time(left)));
        let then = if stop { ", then aditd ends" } else { "" };
        line("draining", format!("nobody new is let in, {left}{then}"));
    }
    line("identity", view.identity.clone());
    line("sessions", format!("{} up, {} pending, {} child SAs", view.sessions, view.sessions_pending, view.sas));
    line("logins", format!("{} half-open, cookies asked of {}", view.half_open, view.cookies_asked_of));
    line("workers", format!("{}, packets move by {}", view.workers, view.io));
    line("listen", view.listen.join(", "));
    line("tun", format!("{}, MTU {}", view.tun, view.mtu));
    if view.commands_waiting > 0 {
        line("waiting", format!("{} commands for busy workers", view.commands_waiting));
    }
    for lack in &view.lacks {
        line("lacks", lack.clone());
    }
    text
}

pub(super) fn ike(view: &IkeView, width: u16) -> String {
    let Holdings { half_open, sessions, ike_sas, leases, spis, tunnels, routes, .. } = view.holdings;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(text, "{name:<10} {value}");
    };
    line("held", format!("{sessions} sessions, {half_open} half-open, {ike_sas} IKE SAs, {leases} leases"));
    line("dataplane", format!("{tunnels} tunnels, {spis} SPIs, {routes} inner routes"));
    line("logins", format!("{} done, {} refused", count(view.logins), count(view.refusals)));
    for took in view.login_times.iter().filter(|took| took.count > 0) {
        let mean = millis(took.sum_us / took.count);
        line("", format!("IKE{} {}: {}, {mean} on average", took.ike, took.phase, count(took.count)));
    }
    line("messages", format!("{} received, {} sent", count(view.received), count(view.sent)));
    line("again", format!("{} answers, {} requests of our own", count(view.answered_again), count(view.asked_again)));
    line(
        "stalls",
        format!("{} suspected, {} sessions ended for one", count(view.stalls_suspected), count(view.stalls_ended)),
    );
    let (asked, returned, wrong) = (count(view.cookies_asked), count(view.cookies_returned), count(view.cookies_wrong));
    line("cookies", format!("{asked} asked for, {returned} returned, {wrong} wrong"));
    line("fragments", format!("{} messages joined, {} cut", count(view.messages_joined), count(view.messages_cut)));
    let mut ignored: Vec<_> = view.ignored.iter().filter(|reason| reason.total > 0).collect();
    if ignored.is_empty() {
        return text;
    }
    ignored.sort_by_key(|reason| std::cmp::Reverse(reason.total));
    let mut table = table(width, &["ignored", "why", "total"], 2);
    for reason in ignored {
        table.add_row([reason.name.clone(), reason.sentence.clone(), count(reason.total)]);
    }
    text + "\n" + &finish(&table)
}

pub(super) fn sessions(views: &[SessionView], width: u16) -> String {
    if views.is_empty() {
        return "no sessions\n".to_owned();
    }
    let mut table = table(width, &["id", "identity", "inner", "peer", "up", "idle", "in", "out"], 4);
    for view in views {
        let identity = match view.state {
            SessionState::Up => view.identity.clone(),
            SessionState::Connecting => "(connecting)".to_owned(),
            SessionState::Closing => format!("{} (closing)", view.identity),
        };
        let addresses = view.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        // Below, as there is no room beside.
        let peer = format!("{}\n{}", view.peer, view.transport);
        let text = [view.id.clone(), identity, addresses, peer.trim_end().to_owned()];
        let numbers = [time(view.up_seconds), time(view.idle_seconds), octets(view.bytes_in), octets(view.bytes_out)];
        table.add_row(text.into_iter().chain(numbers));
    }
    finish(&table)
}

pub(super) fn sas(views: &[SaView], width: u16) -> String {
    if views.is_empty() {
        return "no child SAs\n".to_owned();
    }
    let mut table = table(width, &["id", "identity", "SPI in/out", "algorithms", "state", "age", "in", "out"], 5);
    for view in views {
        let out = if view.spi_out.is_empty() { "-" } else { &view.spi_out };
        let spis = format!("{}\n{out}", view.spi_in);
        let text = [view.session.clone(), view.identity.clone(), spis, view.algorithms.clone(), view.state.clone()];
        table.add_row(text.into_iter().chain([time(view.age_seconds), octets(view.bytes_in), octets(view.bytes_out)]));
    }
    finish(&table)
}

pub(super) fn pools(views: &[PoolView], width: u16) -> String {
    if views.is_empty() {
        return "no pools\n".to_owned();
    }
    let headers = ["pool", "network", "addresses", "in use", "held", "reserved", "full"];
    let mut table = table(width, &headers, 2);
    for view in views {
        for range in &view.ranges {
            // For those who have no address of their own; if all are somebody's, there is nothing to be full.
            let (in_use, of) = range.unreserved();
            let full = in_use.saturating_mul(100).checked_div(of);
            let full = full.map_or_else(|| "-".to_owned(), |full| format!("{full}%"));
            let numbers = [range.size, range.in_use, range.held, range.reserved].map(count);
            let text = [view.name.clone(), range.network.clone()];
            table.add_row(text.into_iter().chain(numbers).chain([full]));
        }
    }
    finish(&table)
}

pub(super) fn leases(views: &[LeaseView], width: u16) -> String {
    if views.is_empty() {
        return "no leases\n".to_owned();
    }
    let mut table = table(width, &["address", "pool", "session", "identity", "state"], 5);
    for view in views {
        let LeaseView { address, pool, session, identity, state } = view;
        table.add_row([address.to_string(), pool.clone(), session.clone(), identity.clone(), state.replace('_', " ")]);
    }
    finish(&table)
}

pub(super) fn workers(views: &[WorkerView], width: u16) -> String {
    let headers = ["worker", "core", "outer in", "out", "inner in", "out", "IKE in", "out", "moved", "drops", "idle"];
    let mut table = table(width, &headers, 0);
    for view in views {
        let core = view.core.map_or_else(|| "any".to_owned(), |core| core.to_string());
        let idle = (view.idle_turns * 100).checked_div(view.turns).map_or_else(|| "-".to_owned(), |p| format!("{p}%"));
        table.add_row([
            view.worker.to_string(),
            core,
            count(view.outer_received),
            count(view.outer_sent),
            count(view.inner_received),
            count(view.inner_sent),
            count(view.ike_received),
            count(view.ike_sent),
            count(view.handed_off),
            count(view.dropped),
            idle,
        ]);
    }
    finish(&table) + "\n" + &effort(views, width)
}

/// What packets cost, and what waits.
fn effort(views: &[WorkerView], width: u16) -> String {
    let headers =
        ["worker", "packets a burst", "full bursts", "cycles a packet", "from others waiting", "buffers free"];
    let mut table = table(width, &headers, 0);
    for view in views {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let bursts = view.turns.saturating_sub(view.idle_turns);
        let tenths = view.burst_packets.saturating_mul(10).checked_div(bursts);
        let cycles = view.core_mhz.and_then(|mhz| view.busy_us.saturating_mul(mhz).checked_div(view.burst_packets));
        table.add_row([
            view.worker.to_string(),
            or_dash(tenths.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10))),
            count(view.full_bursts),
            or_dash(cycles.map(count)),
            count(view.handoffs_waiting),
            count(view.buffers_free),
        ]);
    }
    finish(&table)
}

pub(super) fn drops(views: &[DropView], width: u16) -> String {
    let seen: Vec<&DropView> = views.iter().filter(|view| view.total > 0).collect();
    if seen.is_empty() {
        return "no packet was dropped\n".to_owned();
    }
    let mut table = table(width, &["reason", "what happened", "packets", "by worker"], 2);
    for view in seen {
        let workers = view.workers.iter().map(|n| count(*n)).collect::<Vec<_>>().join(" ");
        table.add_row([view.name.clone(), view.sentence.clone(), count(view.total), workers]);
    }
    finish(&table)
}

pub(super) fn aaa(view: &DeskView, width: u16) -> String {
    let mut text = format!(
        "asking     {} questions open, {} passwords to check\n\
         accounting {} records written, {} lost, {} sessions wait\n",
        view.questions,
        view.checks,
        count(view.records_written),
        count(view.records_lost),
        view.accounts
    );
    if view.servers.is_empty() {
        return text + "no RADIUS servers\n";
    }
    let headers = ["server", "for", "state", "waiting", "asked", "again", "answers", "none", "ignored"];
    let mut table = table(width, &headers, 3);
    for server in &view.servers {
        let numbers = [server.requests, server.repeats, server.answers, server.unanswered, server.ignored];
        let names = [&server.server, &server.port, &server.state].map(Clone::clone);
        table.add_row(names.into_iter().chain([server.waiting.to_string()]).chain(numbers.map(count)));
    }
    text.push('\n');
    text + &finish(&table)
}

pub(super) fn transports(views: &[TransportView], width: u16) -> String {
    let headers = ["transport", "listens on", "drops", "sessions", "in", "out", "moved to"];
    let mut table = table(width, &headers, 3);
    for view in views {
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let drops = view.drops.iter().map(|reason| format!("{} {}", reason.name, count(reason.total)));
        table.add_row([
            view.transport.clone(),
            or_dash(view.listen.join("\n")),
            or_dash(drops.collect::<Vec<_>>().join("\n")),
            view.sessions.to_string(),
            octets(view.bytes_in),
            octets(view.bytes_out),
            count(view.moved_to),
        ]);
    }
    finish(&table)
}

/// The first `text` columns are text, the others numbers.
pub(super) fn table(width: u16, headers: &[&str], text: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(headers.iter().map(Cell::new));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= text {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

pub(super) fn finish(table: &Table) -> String {
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}
