//! The desk as it looks. No colours but the terminal's own: bold, dim and reversed are read on dark and light.

use super::desk::{Desk, Sort, Typing};
use crate::cli::units::{bits, count, octets, time};
use crate::flows::InnerFlowView;
use crate::session::{Health, SessionView};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, TableState};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);
/// From so many columns on there is room for more of them.
const WIDE: u16 = 120;

pub(super) fn draw(frame: &mut Frame<'_>, desk: &Desk) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(header(desk)), head);
    match &desk.drilled {
        None => sessions(frame, body, desk),
        Some(session) => flows(frame, body, desk, session),
    }
    frame.render_widget(Paragraph::new(footer(desk)), foot);
}

fn header(desk: &Desk) -> Vec<Line<'_>> {
    let status = &desk.picture.status;
    let rate = desk.whole_rate();
    let dropped: u64 = desk.picture.workers.iter().map(|worker| worker.dropped).sum();
    let load = desk.load.map_or_else(|| "-".to_owned(), |load| format!("{load}%"));
    let first = format!(
        "  {}, {}, up {} · {} up, {} pending · {} child SAs",
        status.version,
        status.state,
        time(status.up_seconds),
        status.sessions,
        status.sessions_pending,
        status.sas
    );
    let second = format!(
        "from clients {}, to clients {} · {} workers, {load} busy · {} dropped",
        bits(rate.up),
        bits(rate.down),
        status.workers,
        count(dropped)
    );
    let third = match &desk.trouble {
        Some(trouble) => Line::styled(format!("no newer picture: {trouble}"), REVERSED),
        None => Line::raw(""),
    };
    vec![Line::from(vec![Span::styled(status.identity.as_str(), BOLD), Span::raw(first)]), Line::raw(second), third]
}

fn footer(desk: &Desk) -> Line<'_> {
    if desk.typing == Typing::Filter {
        return Line::from(vec![
            Span::styled("filter: ", BOLD),
            Span::raw(desk.filter.as_str()),
            Span::styled(" ", REVERSED),
        ]);
    }
    let filter = if desk.filter.is_empty() { String::new() } else { format!(" · only {:?}", desk.filter) };
    let keys = match desk.drilled {
        None => "q leave · s sort · / filter · ↑↓ choose · Enter flows",
        Some(_) => "q leave · s sort · ↑↓ scroll · Esc back",
    };
    Line::styled(format!("{keys} · by {}{filter}", desk.sort.name()), DIM)
}

fn heading(names: &[&'static str], sorted: Option<&str>) -> Row<'static> {
    let cell = |name: &&'static str| match sorted == Some(*name) {
        true => Span::styled(*name, BOLD.add_modifier(Modifier::UNDERLINED)),
        false => Span::styled(*name, BOLD),
    };
    Row::new(names.iter().map(cell).collect::<Vec<_>>())
}

fn sessions(frame: &mut Frame<'_>, area: Rect, desk: &Desk) {
    let views = desk.sessions();
    if views.is_empty() {
        let text = if desk.picture.sessions.is_empty() { "nobody is logged in" } else { "nobody fits the filter" };
        return frame.render_widget(Paragraph::new(text), area);
    }
    let wide = area.width >= WIDE;
    let rows = views.iter().map(|view| {
        let rate = desk.rate(view);
        let mut cells = vec![view.id.clone(), who(view), health(view).to_owned(), view.transport.clone()];
        if wide {
            let address = view.addresses.first().map(ToString::to_string).unwrap_or_default();
            cells.extend([address, view.peer.to_string(), view.connection.clone()]);
        }
        cells.extend([
            bits(rate.up),
            bits(rate.down),
            octets(view.bytes_in.saturating_add(view.bytes_out)),
            time(view.up_seconds),
        ]);
        Row::new(cells)
    });
    let rows: Vec<_> = rows.collect();
    let mut names = vec!["id", "identity", "how", "by"];
    let mut widths = vec![Constraint::Length(5), Constraint::Min(12), Constraint::Length(8), Constraint::Length(9)];
    if wide {
        names.extend(["inner", "public", "connection"]);
        widths.extend([Constraint::Length(15), Constraint::Length(24), Constraint::Length(14)]);
    }
    names.extend(["up", "down", "bytes", "age"]);
    widths.extend([Constraint::Length(11), Constraint::Length(11), Constraint::Length(9), Constraint::Length(7)]);
    let sorted = match desk.sort {
        Sort::Rate => None,
        Sort::Bytes => Some("bytes"),
        Sort::Identity => Some("identity"),
        Sort::Age => Some("age"),
    };
    let table = Table::new(rows, widths).header(heading(&names, sorted)).row_highlight_style(REVERSED);
    let mut state = TableState::new().with_selected(desk.mark(&views));
    frame.render_stateful_widget(table, area, &mut state);
}

fn who(view: &SessionView) -> String {
    if view.identity.is_empty() { format!("({})", view.reason) } else { view.identity.clone() }
}

const fn health(view: &SessionView) -> &'static str {
    match view.health {
        Health::Up => "UP",
        Health::Degraded => "DEGRADED",
        Health::Down => "DOWN",
    }
}

fn flows(frame: &mut Frame<'_>, area: Rect, desk: &Desk, session: &str) {
    let [about, list] = Layout::vertical([Constraint::Length(2), Constraint::Min(1)]).areas(area);
    let view = desk.picture.sessions.iter().find(|view| view.id == session);
    let text = match view {
        None => format!("{session} is over"),
        Some(view) => {
            let reason = if view.reason.is_empty() { String::new() } else { format!(" ({})", view.reason) };
            let addresses = view.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!(
                "{session} {} {}{reason} · {addresses} · {} from {}",
                who(view),
                health(view),
                view.transport,
                view.peer
            )
        }
    };
    frame.render_widget(Paragraph::new(Line::styled(text, BOLD)), about);
    let flows = desk.flows();
    if flows.is_empty() {
        let none = desk.picture.flows.none.as_deref().filter(|_| desk.picture.flows.of == desk.drilled);
        let waiting = desk.picture.flows.of != desk.drilled && view.is_some();
        let text = none.unwrap_or(if waiting { "asking …" } else { "no flow passes, and none did lately" });
        return frame.render_widget(Paragraph::new(text), list);
    }
    let rows = flows.iter().skip(desk.scrolled).map(|flow| row(flow));
    let widths = [
        Constraint::Length(6),
        Constraint::Min(14),
        Constraint::Min(14),
        Constraint::Length(11),
        Constraint::Length(11),
        Constraint::Length(8),
        Constraint::Length(6),
    ];
    let names = ["kind", "client", "server", "up", "down", "rtt", "again"];
    frame.render_widget(Table::new(rows, widths).header(heading(&names, None)), list);
}

fn row(flow: &InnerFlowView) -> Row<'static> {
    let tcp = flow.tcp.as_ref();
    let rtt = tcp.and_then(|tcp| tcp.server_rtt.as_ref()).map(|rtt| format!("{}ms", rtt.smoothed_us / 1000));
    let again = tcp.map(|tcp| (u64::from(tcp.retransmitted_up) + u64::from(tcp.retransmitted_down)).to_string());
    Row::new([
        flow.protocol.clone(),
        flow.client.to_string(),
        flow.server.to_string(),
        bits(flow.up.bits_per_second),
        bits(flow.down.bits_per_second),
        rtt.unwrap_or_default(),
        again.unwrap_or_default(),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::desk::Next;
    use super::super::desk::tests::{desk, flow, key, picture, session};
    use super::super::picture::Flows;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;

    fn screen(desk: &Desk, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, desk)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    #[test]
    fn eighty_columns_show_who_how_and_how_fast_and_two_hundred_from_where_too() {
        let mut desk = desk();
        let mut next = picture(2);
        next.sessions = vec![session("s1", "alice@rig", 1_250_000, 125_000), session("s2", "bob", 0, 0)];
        desk.take(Ok(next));
        let narrow = screen(&desk, 80, 24);
        assert!(narrow[0].starts_with("headend.rig  0.1.0, serving, up 1h01m"), "{narrow:#?}");
        assert!(narrow[1].contains("from clients 10.0 Mbit/s, to clients 1.0 Mbit/s"), "{narrow:#?}");
        let alice = narrow.iter().find(|line| line.contains("alice@rig")).unwrap();
        for part in ["s1", "UP", "nat-t", "10.0 Mbit/s", "1.0 Mbit/s"] {
            assert!(alice.contains(part), "{part} in {alice:?}");
        }
        assert!(!narrow.join("").contains("198.51.100.77"), "there is no room for it");
        assert!(narrow[23].starts_with("q leave"), "{narrow:#?}");
        let wide = screen(&desk, 200, 60);
        let alice = wide.iter().find(|line| line.contains("alice@rig")).unwrap();
        for part in ["10.30.0.2", "198.51.100.77:34567", "staff"] {
            assert!(alice.contains(part), "{part} in {alice:?}");
        }
        // The smallest and strangest terminals, too.
        for (width, height) in [(1, 1), (10, 3), (20, 5), (300, 100)] {
            screen(&desk, width, height);
        }
    }

    #[test]
    fn a_sessions_flows_stand_behind_it_or_the_reason_why_there_are_none() {
        let mut desk = desk();
        assert_eq!(desk.key(key(KeyCode::Enter)), Next::FlowsOf(Some("s1".to_owned())));
        assert!(screen(&desk, 80, 24).join("\n").contains("asking"));
        let mut next = picture(2);
        next.flows = Flows { of: Some("s1".to_owned()), flows: vec![flow()], none: None };
        desk.take(Ok(next.clone()));
        let shown = screen(&desk, 80, 24).join("\n");
        for part in ["s1 alice@rig UP", "10.30.0.2:40000", "10.20.0.2:5201", "8.0 kbit/s", "tcp"] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
        next.flows = Flows { of: Some("s1".to_owned()), flows: vec![], none: Some("nobody counts".to_owned()) };
        desk.take(Ok(next.clone()));
        assert!(screen(&desk, 80, 24).join("\n").contains("nobody counts"));
        next.sessions.clear();
        desk.take(Ok(next));
        assert!(screen(&desk, 80, 24).join("\n").contains("s1 is over"));
        desk.take(Err("aditd is ending".to_owned()));
        assert!(screen(&desk, 80, 24)[2].contains("no newer picture: aditd is ending"));
    }
}
