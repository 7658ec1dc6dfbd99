//! Walks through the workers' tables, page by page, for as many flows as somebody wants: never the whole table at once, for it may have millions.
//!
//! One walk at a time; the others wait. So however many ask, a worker has one page to fill.

use super::{FlowCursor, FlowTableView};
use adit_dataplane::contract::{Command, InnerFlowPage, InnerFlowReport, TunnelKey, WorkerId};
use std::collections::VecDeque;

/// Walks that may wait.
const WAITING: usize = 32;

/// What somebody wants; `A` is who.
#[derive(Debug)]
pub struct Walk<A> {
    /// Flows of this tunnel alone.
    pub only: Option<TunnelKey>,
    /// From here on.
    pub from: FlowCursor,
    /// So many at most.
    pub limit: usize,
    /// Who.
    pub asked_by: A,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Walked<A> {
    /// In the order of workers and places.
    pub flows: Vec<InnerFlowReport>,
    /// Where to go on, if there may be more.
    pub next: Option<FlowCursor>,
    /// The workers that were asked.
    pub tables: Vec<FlowTableView>,
    /// Who wanted it.
    pub asked_by: A,
}

/// The walk that is under way, and those that wait.
#[derive(Debug)]
pub struct Walks<A> {
    workers: u8,
    /// Of the page that is awaited.
    ticket: u64,
    under_way: Option<UnderWay<A>>,
    waiting: VecDeque<Walk<A>>,
}

#[derive(Debug)]
struct UnderWay<A> {
    walk: Walk<A>,
    flows: Vec<InnerFlowReport>,
    tables: Vec<FlowTableView>,
}

/// What follows from a page.
type Step<A> = (Option<(WorkerId, Command)>, Option<Walked<A>>);

impl<A> Walks<A> {
    /// Through so many workers.
    pub fn new(workers: u8) -> Self {
        Self { workers, ticket: 0, under_way: None, waiting: VecDeque::new() }
    }

    /// Somebody wants flows. Comes back: what is to be sent to a worker now.
    ///
    /// # Errors
    /// Too many wait; who asked comes back.
    pub fn ask(&mut self, walk: Walk<A>) -> Result<Option<(WorkerId, Command)>, A> {
        if self.under_way.is_some() {
            if self.waiting.len() >= WAITING {
                return Err(walk.asked_by);
            }
            self.waiting.push_back(walk);
            return Ok(None);
        }
        Ok(Some(self.begin(walk)))
    }

    /// A worker's page has come. `is_there` says whether somebody who waits still does.
    pub fn page(&mut self, page: InnerFlowPage, is_there: impl Fn(&A) -> bool) -> Step<A> {
        if page.ticket != self.ticket {
            return (None, None);
        }
        let Some(mut under_way) = self.under_way.take() else { return (None, None) };
        let worker = under_way.walk.from.worker;
        under_way.tables.retain(|table| table.worker != worker.0);
        under_way.tables.push(FlowTableView::new(worker.0, &page));
        under_way.flows.extend(page.flows);
        let next = match (page.next, under_way.walk.only) {
            (Some(place), _) => Some(FlowCursor { worker, place }),
            // A tunnel is one worker's.
            (None, Some(_)) => None,
            // Whoever made up a cursor may have named the last worker that there can be.
            (None, None) => {
                let next = worker.0.checked_add(1).filter(|next| *next < self.workers);
                next.map(|next| FlowCursor { worker: WorkerId(next), place: 0 })
            }
        };
        match next {
            Some(next) if under_way.flows.len() < under_way.walk.limit && is_there(&under_way.walk.asked_by) => {
                under_way.walk.from = next;
                (Some(self.go_on(under_way)), None)
            }
            next => {
                let UnderWay { walk, flows, tables } = under_way;
                let walked = Walked { flows, next, tables, asked_by: walk.asked_by };
                while let Some(waiting) = self.waiting.pop_front() {
                    if is_there(&waiting.asked_by) {
                        return (Some(self.begin(waiting)), Some(walked));
                    }
                }
                (None, Some(walked))
            }
        }
    }

    fn begin(&mut self, mut walk: Walk<A>) -> (WorkerId, Command) {
        if let Some(only) = walk.only {
            let place = if walk.from.worker == only.worker { walk.from.place } else { 0 };
            walk.from = FlowCursor { worker: only.worker, place };
        }
        self.go_on(UnderWay { walk, flows: Vec::new(), tables: Vec::new() })
    }

    fn go_on(&mut self, under_way: UnderWay<A>) -> (WorkerId, Command) {
        self.ticket += 1;
        let Walk { only, from, limit, .. } = under_way.walk;
        let most = limit - under_way.flows.len().min(limit);
        let page = InnerFlowPage { ticket: self.ticket, most, ..InnerFlowPage::new(from.place, only) };
        self.under_way = Some(under_way);
        (from.worker, Command::TellInnerFlows(Box::new(page)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use adit_dataplane::contract::InnerTraffic;
    use std::time::Duration;

    pub(crate) fn flow(worker: u8, slot: u32, port: u16) -> InnerFlowReport {
        InnerFlowReport {
            tunnel: TunnelKey { worker: WorkerId(worker), slot },
            protocol: 17,
            client: ([10, 30, 0, 2], port).into(),
            network: ([10, 20, 0, 1], 53).into(),
            age: Duration::from_secs(9),
            idle: Duration::from_secs(1),
            up: InnerTraffic { packets: 1, octets: 100, octets_per_second: 0 },
            down: InnerTraffic::default(),
            tcp: None,
        }
    }

    fn walk(limit: usize, who: &'static str) -> Walk<&'static str> {
        Walk { only: None, from: FlowCursor::START, limit, asked_by: who }
    }

    /// The page that was asked for, and of whom.
    fn page(command: Option<(WorkerId, Command)>) -> (u8, InnerFlowPage) {
        match command {
            Some((worker, Command::TellInnerFlows(page))) => (worker.0, *page),
            _ => panic!("a page is asked for"),
        }
    }

    fn filled(page: &InnerFlowPage, next: Option<u32>, flows: &[InnerFlowReport]) -> InnerFlowPage {
        InnerFlowPage {
            next,
            flows: flows.to_vec(),
            held: 7,
            pushed_out: 1,
            unattributed_packets: 5,
            unattributed_octets: 600,
            ..page.clone()
        }
    }

    fn ports(walked: &Walked<&'static str>) -> Vec<u16> {
        walked.flows.iter().map(|flow| flow.client.port()).collect()
    }

    #[test]
    fn a_walk_goes_through_all_workers_until_it_has_what_is_wanted_and_says_where_to_go_on() {
        let mut walks = Walks::new(2);
        let (worker, first) = page(walks.ask(walk(3, "a")).unwrap());
        assert_eq!((worker, first.from, first.most), (0, 0, 3));
        let (more, done) = walks.page(filled(&first, Some(64), &[flow(0, 1, 1)]), |_| true);
        assert!(done.is_none());
        let (worker, second) = page(more);
        assert_eq!((worker, second.from, second.most), (0, 64, 2));
        let (more, _) = walks.page(filled(&second, None, &[]), |_| true);
        let (worker, third) = page(more);
        assert_eq!((worker, third.from, third.most), (1, 0, 2));
        let (more, done) = walks.page(filled(&third, Some(9), &[flow(1, 1, 2), flow(1, 1, 3)]), |_| true);
        let walked = done.unwrap();
        assert!(more.is_none());
        assert_eq!((ports(&walked), walked.asked_by), (vec![1, 2, 3], "a"));
        let next = walked.next.unwrap();
        assert_eq!(next, FlowCursor { worker: WorkerId(1), place: 9 });
        let table =
            |worker| FlowTableView { worker, held: 7, pushed_out: 1, unattributed_packets: 5, unattributed_bytes: 600 };
        assert_eq!(walked.tables, [table(0), table(1)]);
        let (worker, last) = page(walks.ask(Walk { from: next, ..walk(3, "a") }).unwrap());
        assert_eq!((worker, last.from), (1, 9));
        let (_, done) = walks.page(filled(&last, None, &[]), |_| true);
        assert_eq!(done.map(|walked| walked.next), Some(None));
    }

    #[test]
    fn a_cursor_that_somebody_made_up_leads_to_an_end() {
        for worker in [1, 2, 63, 255] {
            let mut walks = Walks::new(2);
            let from = FlowCursor { worker: WorkerId(worker), place: u32::MAX };
            let (of, first) = page(walks.ask(Walk { from, ..walk(3, "a") }).unwrap());
            assert_eq!((of, first.from), (worker, u32::MAX));
            let (more, done) = walks.page(filled(&first, None, &[]), |_| true);
            assert!(more.is_none() && done.is_some_and(|walked| walked.next.is_none()), "worker {worker}");
        }
    }

    #[test]
    fn a_sessions_flows_are_asked_of_its_worker_alone() {
        let mut walks = Walks::new(3);
        let only = Some(TunnelKey { worker: WorkerId(1), slot: 4 });
        let (worker, first) = page(walks.ask(Walk { only, ..walk(3, "a") }).unwrap());
        assert_eq!((worker, first.only), (1, only));
        let (more, done) = walks.page(filled(&first, None, &[flow(1, 4, 1)]), |_| true);
        assert!(more.is_none() && done.is_some_and(|walked| walked.next.is_none()));
    }

    #[test]
    fn one_walks_and_the_others_wait_and_who_is_gone_gets_none() {
        let mut walks = Walks::new(1);
        let (_, first) = page(walks.ask(walk(3, "a")).unwrap());
        for who in ["gone", "b"] {
            assert!(walks.ask(walk(3, who)).unwrap().is_none());
        }
        let stale = InnerFlowPage { ticket: 77, ..first.clone() };
        assert!(walks.page(stale, |_| true).1.is_none(), "nobody has asked for this one");
        let (more, done) = walks.page(filled(&first, None, &[]), |who| *who != "gone");
        assert_eq!(done.map(|walked| walked.asked_by), Some("a"));
        let (_, of_b) = page(more);
        for _ in 0..WAITING {
            assert!(walks.ask(walk(1, "c")).is_ok());
        }
        assert_eq!(walks.ask(walk(1, "d")).err(), Some("d"));
        // Who leaves while he is served is not served on.
        let (more, done) = walks.page(filled(&of_b, Some(5), &[]), |who| *who != "b");
        assert!(more.is_some() && done.is_some_and(|walked| walked.asked_by == "b"));
    }
}
