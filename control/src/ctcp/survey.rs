//! Asks all workers for their connections, page by page. One survey at a time: who asks while one runs gets the next one's
//! answer, together with all who ask until it begins.

use adit_dataplane::contract::{Command, FlowId, FlowPage, FlowReport, StreamReport, WorkerId};

/// Which connections somebody means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// That one.
    One(FlowId),
}

impl Which {
    /// Whether this is one of them.
    pub fn means(self, connection: FlowId) -> bool {
        match self {
            Self::All => true,
            Self::One(id) => connection == id,
        }
    }
}

/// The survey that runs, and who waits for it and for the next. `A` is who asks.
#[derive(Debug)]
pub struct Survey<A> {
    workers: u8,
    running: Option<Running<A>>,
    next: Vec<A>,
}

#[derive(Debug)]
struct Running<A> {
    /// Workers that have not given their last page.
    unfinished: usize,
    flows: Vec<FlowReport>,
    streams: Vec<StreamReport>,
    asked_by: Vec<A>,
}

/// All connections, and who has asked for them.
#[derive(Debug, PartialEq, Eq)]
pub struct Surveyed<A> {
    /// By cTCP, in the order of their names.
    pub flows: Vec<FlowReport>,
    /// In real TCP, in that order, too.
    pub streams: Vec<StreamReport>,
    /// Whoever wanted them.
    pub asked_by: Vec<A>,
}

impl<A> Survey<A> {
    /// Of so many workers.
    pub fn new(workers: u8) -> Self {
        Self { workers, running: None, next: Vec::new() }
    }

    /// Somebody asks. Comes back: what is to be sent to workers now.
    pub fn ask(&mut self, who: A) -> Vec<(WorkerId, Command)> {
        self.next.push(who);
        match self.running {
            Some(_) => Vec::new(),
            None => self.begin(),
        }
    }

    /// A worker's page has come. If it was the last, all is told.
    pub fn page(&mut self, worker: WorkerId, page: FlowPage) -> (Vec<(WorkerId, Command)>, Option<Surveyed<A>>) {
        let Some(running) = &mut self.running else { return (Vec::new(), None) };
        running.flows.extend(page.flows);
        running.streams.extend(page.streams);
        if let Some(from) = page.next {
            return (vec![(worker, Command::TellFlows(Box::new(FlowPage::new(from))))], None);
        }
        running.unfinished -= 1;
        if running.unfinished > 0 {
            return (Vec::new(), None);
        }
        let done = self.running.take().map(|running| {
            let Running { mut flows, mut streams, asked_by, .. } = running;
            flows.sort_by_key(|flow| flow.id);
            streams.sort_by_key(|stream| stream.id);
            Surveyed { flows, streams, asked_by }
        });
        let more = if self.next.is_empty() { Vec::new() } else { self.begin() };
        (more, done)
    }

    fn begin(&mut self) -> Vec<(WorkerId, Command)> {
        let asked_by = std::mem::take(&mut self.next);
        self.running =
            Some(Running { unfinished: usize::from(self.workers), flows: Vec::new(), streams: Vec::new(), asked_by });
        (0..self.workers).map(|worker| (WorkerId(worker), Command::TellFlows(Box::new(FlowPage::new(0))))).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use adit_dataplane::contract::{
        Diagnosis, DownEvidence, Evidence, Finding, Path, PathClass, PeerClass, Percent, StreamEvidence, StreamState,
        SynOptions, UpEvidence,
    };
    use std::time::Duration;

    pub(crate) fn flow(worker: u8, number: u64) -> FlowReport {
        FlowReport {
            id: FlowId { worker: WorkerId(worker), number },
            path: Path { local: "192.0.2.1:10000".parse().unwrap(), peer: "198.51.100.7:40001".parse().unwrap() },
            tunnel: None,
            stalling: None,
            age: Duration::from_secs(9),
            silent: Duration::from_secs(1),
            evidence: Evidence {
                syn: SynOptions::None,
                up: UpEvidence::default(),
                down: DownEvidence::default(),
                stall: None,
            },
            diagnosis: Diagnosis {
                peer: PeerClass::Legacy,
                peer_sure: Percent(70),
                path: PathClass::Clean,
                path_sure: Percent(50),
                up: None,
                down: None,
                finding: Finding::Well,
            },
        }
    }

    fn stream(worker: u8, number: u64) -> StreamReport {
        StreamReport {
            id: FlowId { worker: WorkerId(worker), number },
            path: Path { local: "192.0.2.1:4500".parse().unwrap(), peer: "198.51.100.7:40001".parse().unwrap() },
            tunnel: None,
            state: StreamState::Open,
            age: Duration::from_secs(9),
            silent: Duration::from_secs(1),
            evidence: StreamEvidence::default(),
        }
    }

    fn asked(commands: &[(WorkerId, Command)]) -> Vec<(u8, u32)> {
        let asked = commands.iter().map(|(worker, command)| match command {
            Command::TellFlows(page) => (worker.0, page.from),
            _ => panic!("only pages are asked for"),
        });
        asked.collect()
    }

    fn page(next: Option<u32>, flows: Vec<FlowReport>) -> FlowPage {
        FlowPage { from: 0, next, flows, streams: vec![stream(0, 9)] }
    }

    #[test]
    fn every_page_of_every_worker_is_asked_for_and_all_is_told_at_once_and_in_order() {
        let mut survey = Survey::new(2);
        assert_eq!(asked(&survey.ask("a")), [(0, 0), (1, 0)]);
        let (more, done) = survey.page(WorkerId(1), page(Some(64), vec![flow(1, 0)]));
        assert_eq!((asked(&more), done), (vec![(1, 64)], None));
        assert!(survey.ask("b").is_empty() && survey.ask("c").is_empty(), "they wait for the next");
        assert!(survey.page(WorkerId(1), page(None, vec![flow(1, 70)])).1.is_none());
        let (more, done) = survey.page(WorkerId(0), page(None, vec![flow(0, 3)]));
        let surveyed = |flows, pages, asked_by| Some(Surveyed { flows, streams: vec![stream(0, 9); pages], asked_by });
        assert_eq!(done, surveyed(vec![flow(0, 3), flow(1, 0), flow(1, 70)], 3, vec!["a"]));
        assert_eq!(asked(&more), [(0, 0), (1, 0)]);
        survey.page(WorkerId(0), page(None, vec![]));
        let (more, done) = survey.page(WorkerId(1), page(None, vec![]));
        assert_eq!((asked(&more), done), (vec![], surveyed(vec![], 2, vec!["b", "c"])));
        assert!(survey.page(WorkerId(1), page(None, vec![])).1.is_none(), "nobody has asked");
    }

    #[test]
    fn one_or_all_are_meant() {
        assert!(Which::All.means(flow(0, 1).id) && Which::One(flow(0, 1).id).means(flow(0, 1).id));
        assert!(!Which::One(flow(1, 1).id).means(flow(0, 1).id) && !Which::One(flow(0, 2).id).means(flow(0, 1).id));
    }
}
