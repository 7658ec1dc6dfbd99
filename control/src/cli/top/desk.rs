//! What is shown, and what keys do about it.

use super::picture::Picture;
use crate::flows::InnerFlowView;
use crate::session::SessionView;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Rate,
    Bytes,
    Identity,
    Age,
}

impl Sort {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Bytes => "bytes",
            Self::Identity => "identity",
            Self::Age => "age",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Rate => Self::Bytes,
            Self::Bytes => Self::Identity,
            Self::Identity => Self::Age,
            Self::Age => Self::Rate,
        }
    }
}

/// What the asking end has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    /// Ask for this one's flows as well, or for nobody's.
    FlowsOf(Option<String>),
    Leave,
}

/// Bits a second from and to a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) up: u64,
    pub(super) down: u64,
}

impl Rate {
    pub(super) const fn sum(self) -> u64 {
        self.up.saturating_add(self.down)
    }
}

/// All that the screen shows.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) picture: Picture,
    /// Between the last two pictures.
    rates: BTreeMap<String, Rate>,
    /// How much of their time the workers were busy between them, of a hundred.
    pub(super) load: Option<u64>,
    /// Why there was no newer one.
    pub(super) trouble: Option<String>,
    pub(super) sort: Sort,
    /// Sessions that have it in identity, address, transport or connection.
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) typing: Typing,
    /// Whose flows are shown; nobody's: the sessions are.
    pub(super) drilled: Option<String>,
    /// By name, so that it stays on who it is on when the order changes.
    selected: Option<String>,
    /// The first flow that is shown.
    pub(super) scrolled: usize,
}

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typing {
    Commands,
    Filter,
}

impl Desk {
    pub(super) fn new(picture: Picture) -> Self {
        Self {
            picture,
            rates: BTreeMap::new(),
            load: None,
            trouble: None,
            sort: Sort::Rate,
            filter: String::new(),
            typing: Typing::Commands,
            drilled: None,
            selected: None,
            scrolled: 0,
        }
    }

    /// A newer picture, or why there is none.
    pub(super) fn take(&mut self, picture: Result<Picture, String>) {
        let picture = match picture {
            Ok(picture) => picture,
            Err(trouble) => return self.trouble = Some(trouble),
        };
        let nanos = picture.at.saturating_sub(self.picture.at).as_nanos().max(1);
        let before: BTreeMap<&str, &SessionView> =
            self.picture.sessions.iter().map(|session| (session.id.as_str(), session)).collect();
        let rate = |now: u64, then: u64| {
            let bits = u128::from(now.saturating_sub(then)) * 8 * 1_000_000_000 / nanos;
            u64::try_from(bits).unwrap_or(u64::MAX)
        };
        let rates = picture.sessions.iter().filter_map(|now| {
            let then = before.get(now.id.as_str())?;
            let rate = Rate { up: rate(now.bytes_in, then.bytes_in), down: rate(now.bytes_out, then.bytes_out) };
            Some((now.id.clone(), rate))
        });
        let busy = |picture: &Picture| picture.workers.iter().map(|worker| u128::from(worker.busy_us)).sum::<u128>();
        let all = nanos / 1000 * picture.workers.len() as u128;
        let load = (busy(&picture).saturating_sub(busy(&self.picture)) * 100).checked_div(all);
        self.load = load.and_then(|load| u64::try_from(load.min(100)).ok());
        self.rates = rates.collect();
        self.picture = picture;
        self.trouble = None;
    }

    /// What is known of how fast this one is.
    pub(super) fn rate(&self, session: &SessionView) -> Rate {
        self.rates.get(&session.id).copied().unwrap_or_default()
    }

    /// How fast all are together.
    pub(super) fn whole_rate(&self) -> Rate {
        self.rates.values().fold(Rate::default(), |sum, rate| Rate {
            up: sum.up.saturating_add(rate.up),
            down: sum.down.saturating_add(rate.down),
        })
    }

    /// The sessions that the filter lets through, in order.
    pub(super) fn sessions(&self) -> Vec<&SessionView> {
        let has = |text: &str| text.to_lowercase().contains(&self.filter.to_lowercase());
        let fits = |session: &&SessionView| {
            let SessionView { id, identity, connection, transport, peer, addresses, .. } = *session;
            [id, identity, connection, transport].into_iter().any(|text| has(text))
                || has(&peer.to_string())
                || addresses.iter().any(|address| has(&address.to_string()))
        };
        let mut sessions: Vec<_> = self.picture.sessions.iter().filter(fits).collect();
        match self.sort {
            Sort::Rate => sessions.sort_by_key(|session| Reverse(self.rate(session).sum())),
            Sort::Bytes => sessions.sort_by_key(|session| Reverse(session.bytes_in.saturating_add(session.bytes_out))),
            Sort::Identity => sessions.sort_by(|a, b| a.identity.cmp(&b.identity)),
            Sort::Age => sessions.sort_by_key(|session| Reverse(session.up_seconds)),
        }
        sessions
    }

    /// The flows of whom they are shown of, in order; nothing while they are still asked for.
    pub(super) fn flows(&self) -> Vec<&InnerFlowView> {
        if self.picture.flows.of != self.drilled {
            return Vec::new();
        }
        let mut flows: Vec<_> = self.picture.flows.flows.iter().collect();
        match self.sort {
            Sort::Rate => flows.sort_by_key(|flow| Reverse(flow.up.bits_per_second + flow.down.bits_per_second)),
            Sort::Bytes => flows.sort_by_key(|flow| Reverse(flow.up.bytes + flow.down.bytes)),
            Sort::Identity => flows.sort_by_key(|flow| (flow.server, flow.client)),
            Sort::Age => flows.sort_by_key(|flow| Reverse(flow.age_seconds)),
        }
        flows
    }

    /// Where the mark is among these.
    pub(super) fn mark(&self, sessions: &[&SessionView]) -> usize {
        let is = |session: &&SessionView| Some(&session.id) == self.selected.as_ref();
        sessions.iter().position(is).unwrap_or_default()
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Next::Leave } else { Next::Stay };
        }
        match self.typing {
            Typing::Filter => self.type_filter(key.code),
            Typing::Commands => return self.command(key.code),
        }
        Next::Stay
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.typing = Typing::Commands,
            KeyCode::Esc => {
                self.filter.clear();
                self.typing = Typing::Commands;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _of_no_use => {}
        }
    }

    fn command(&mut self, key: KeyCode) -> Next {
        match key {
            KeyCode::Char('q') => return Next::Leave,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') if self.drilled.is_none() => self.typing = Typing::Filter,
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            KeyCode::Enter if self.drilled.is_none() => {
                let sessions = self.sessions();
                let chosen = sessions.get(self.mark(&sessions)).map(|session| session.id.clone());
                if let Some(id) = chosen {
                    (self.drilled, self.scrolled) = (Some(id.clone()), 0);
                    return Next::FlowsOf(Some(id));
                }
            }
            KeyCode::Esc | KeyCode::Backspace if self.drilled.is_some() => {
                self.drilled = None;
                return Next::FlowsOf(None);
            }
            KeyCode::Esc => self.filter.clear(),
            _of_no_use => {}
        }
        Next::Stay
    }

    fn step(&mut self, by: isize) {
        if self.drilled.is_some() {
            let last = self.flows().len().saturating_sub(1);
            self.scrolled = self.scrolled.saturating_add_signed(by).min(last);
            return;
        }
        let sessions = self.sessions();
        let to = self.mark(&sessions).saturating_add_signed(by).min(sessions.len().saturating_sub(1));
        self.selected = sessions.get(to).map(|session| session.id.clone());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::picture::{Flows, Picture};
    use super::*;
    use crate::api::views::{StatusView, WorkerView};
    use crate::flows::InnerWayView;
    use crate::session::{Health, PolicyView, SessionState};
    use adit_dataplane::contract::WorkerCounters;
    use std::collections::BTreeMap;
    use std::time::Duration;

    pub(in super::super) fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    pub(in super::super) fn session(id: &str, identity: &str, bytes_in: u64, bytes_out: u64) -> SessionView {
        SessionView {
            id: id.to_owned(),
            state: SessionState::Up,
            health: Health::Up,
            reason: String::new(),
            ike: "v2".to_owned(),
            identity: identity.to_owned(),
            group: String::new(),
            connection: "staff".to_owned(),
            addresses: vec!["10.30.0.2".parse().unwrap()],
            peer: "198.51.100.77:34567".parse().unwrap(),
            local: "198.51.100.2:4500".parse().unwrap(),
            transport: "nat-t".to_owned(),
            peer_behind_nat: true,
            ike_algorithms: String::new(),
            ike_spis: String::new(),
            worker: 0,
            up_seconds: 100,
            idle_seconds: 0,
            bytes_in,
            bytes_out,
            packets_in: 0,
            packets_out: 0,
            policy: PolicyView::default(),
            drops: BTreeMap::new(),
        }
    }

    pub(in super::super) fn flow() -> InnerFlowView {
        let way = |bits_per_second| InnerWayView { packets: 10, bytes: 1000, bits_per_second };
        InnerFlowView {
            session: "s1".to_owned(),
            identity: "alice@rig".to_owned(),
            protocol: "tcp".to_owned(),
            client: "10.30.0.2:40000".parse().unwrap(),
            server: "10.20.0.2:5201".parse().unwrap(),
            age_seconds: 5,
            idle_ms: 10,
            up: way(8000),
            down: way(0),
            tcp: None,
        }
    }

    pub(in super::super) fn picture(second: u64) -> Picture {
        let sessions = vec![session("s1", "alice@rig", 0, 0), session("s2", "bob", 0, 0)];
        Picture {
            at: Duration::from_secs(second),
            status: StatusView::example(),
            workers: Vec::new(),
            sessions,
            flows: Flows::default(),
        }
    }

    pub(in super::super) fn desk() -> Desk {
        Desk::new(picture(1))
    }

    fn ids(desk: &Desk) -> Vec<&str> {
        desk.sessions().into_iter().map(|view| view.id.as_str()).collect()
    }

    #[test]
    fn the_fastest_comes_first_and_the_mark_stays_on_who_it_is_on() {
        let mut desk = desk();
        desk.key(key(KeyCode::Down));
        assert_eq!(desk.mark(&desk.sessions()), 1);
        let mut next = picture(3);
        next.sessions = vec![session("s1", "alice@rig", 0, 0), session("s2", "bob", 500, 250)];
        desk.take(Ok(next));
        assert_eq!(desk.rate(&session("s2", "", 0, 0)), Rate { up: 2000, down: 1000 });
        assert_eq!(ids(&desk), ["s2", "s1"]);
        assert_eq!(desk.mark(&desk.sessions()), 0, "s2 is first by now");
        for _ in 0..2 {
            desk.key(key(KeyCode::Char('s')));
        }
        assert_eq!((desk.sort, ids(&desk)), (Sort::Identity, vec!["s1", "s2"]));
    }

    #[test]
    fn what_is_typed_chooses_and_escape_takes_it_back() {
        let mut desk = desk();
        desk.key(key(KeyCode::Char('/')));
        for letter in "BOq".chars() {
            assert_eq!(desk.key(key(KeyCode::Char(letter))), Next::Stay, "no command now");
        }
        assert!(ids(&desk).is_empty());
        desk.key(key(KeyCode::Backspace));
        assert_eq!(ids(&desk), ["s2"]);
        desk.key(key(KeyCode::Enter));
        assert_eq!(desk.key(key(KeyCode::Enter)), Next::FlowsOf(Some("s2".to_owned())));
        assert_eq!(desk.key(key(KeyCode::Esc)), Next::FlowsOf(None));
        desk.key(key(KeyCode::Esc));
        assert_eq!(ids(&desk), ["s1", "s2"]);
        assert_eq!(desk.key(key(KeyCode::Char('q'))), Next::Leave);
        assert_eq!(desk.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Next::Leave);
    }

    #[test]
    fn steps_end_at_both_ends_and_an_empty_list_has_none() {
        let mut desk = desk();
        for code in [KeyCode::Up, KeyCode::PageUp, KeyCode::Home] {
            desk.key(key(code));
            assert_eq!(desk.mark(&desk.sessions()), 0);
        }
        for code in [KeyCode::End, KeyCode::PageDown, KeyCode::Down] {
            desk.key(key(code));
            assert_eq!(desk.mark(&desk.sessions()), 1);
        }
        let mut next = picture(2);
        next.sessions.clear();
        desk.take(Ok(next));
        for code in [KeyCode::Up, KeyCode::Down, KeyCode::End] {
            desk.key(key(code));
        }
        assert_eq!(desk.key(key(KeyCode::Enter)), Next::Stay);
    }

    #[test]
    fn load_is_what_workers_were_busy_of_the_time_between_two_pictures() {
        let mut desk = desk();
        assert_eq!(desk.load, None, "one picture says nothing");
        let counters = WorkerCounters::default();
        let idle = WorkerView::new(0, None, None, &counters);
        counters.burst_took(Duration::from_millis(500));
        let busy = [idle, WorkerView::new(0, None, None, &counters)];
        for (second, workers, load) in
            [(2, [busy[0].clone()], Some(0)), (3, [busy[1].clone()], Some(50)), (4, [busy[0].clone()], Some(0))]
        {
            desk.take(Ok(Picture { workers: workers.into(), ..picture(second) }));
            assert_eq!(desk.load, load, "{second}");
        }
    }

    #[test]
    fn a_counter_that_begins_anew_is_no_rate() {
        let mut desk = desk();
        let mut next = picture(2);
        next.sessions = vec![session("s1", "alice@rig", 1_000_000, 0), session("s3", "eve", 1_000_000, 0)];
        desk.take(Ok(next));
        assert_eq!(desk.rate(&session("s3", "", 0, 0)), Rate::default(), "it was not there before");
        desk.take(Ok(picture(3)));
        assert_eq!(desk.rate(&session("s1", "", 0, 0)), Rate::default());
    }
}
