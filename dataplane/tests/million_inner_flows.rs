//! A million flows against a table of a hundred thousand. Alone in its file: it weighs the process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod harness;

use adit_dataplane::contract::{Command, Event, InnerFlowPage, WorkerId};
use adit_dataplane::inner_flows::InnerFlowsConfig;
use adit_dataplane::worker::DataplaneConfig;
use harness::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const LIMIT: u32 = 100_000;
const FLOWS: u32 = 1_000_000;
/// These are heard of all the time.
const REGULARS: u32 = 500;

/// Octets of this process that are in memory (proc(5), statm).
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

struct Offered {
    world: World,
    client: Client,
    sent: u64,
}

impl Offered {
    /// A packet to the client from each of these, a turn for 64 at a time.
    fn from(&mut self, sources: impl Iterator<Item = u32>) {
        let sources: Vec<u32> = sources.collect();
        let Self { world, client, sent } = self;
        for burst in sources.chunks(64) {
            for source in burst {
                world.peers[0].push_inner(&v4(Ipv4Addr::from(*source), client.v4, 60)).unwrap();
            }
            world.now = world.now + Duration::from_micros(64);
            world.turn(0);
            *sent += burst.len() as u64;
            world.peers[0].take();
        }
    }

    fn page(&mut self, from: u32) -> InnerFlowPage {
        self.world.command(WorkerId(0), Command::TellInnerFlows(Box::new(InnerFlowPage::new(from, None))));
        self.world.turn(0);
        let pages = self.world.events().into_iter().filter_map(|event| match event {
            Event::InnerFlows(page) => Some(*page),
            _ => None,
        });
        pages.last().expect("a page")
    }
}

#[test]
fn a_million_flows_cost_what_the_limit_says_and_every_packet_passes_and_pages_agree() {
    let inner_flows = Some(InnerFlowsConfig { limit: LIMIT, sample: 1, seed: [7; 16] });
    let config = DataplaneConfig { pool: POOL, inner_flows, ..DataplaneConfig::default() };
    let mut world = World::with(config, 1024);
    let client = world.connect(0, 1, gcm());
    let mut offered = Offered { world, client, sent: 0 };
    let regulars = || 0x0a00_0000..0x0a00_0000 + REGULARS;

    offered.from(regulars());
    offered.from((0..LIMIT - 2000).map(|flow| 0x2000_0000 + flow));
    let full = resident();
    let (mut from, mut told, mut surveys) = (0, BTreeMap::new(), 0);
    for thousand in (LIMIT - 2000..FLOWS).step_by(1000) {
        offered.from((thousand..thousand + 1000).map(|flow| 0x2000_0000 + flow));
        offered.from(regulars());
        let page = offered.page(from);
        for flow in &page.flows {
            if let IpAddr::V4(address) = flow.network.ip()
                && regulars().contains(&address.into())
            {
                *told.entry(address).or_insert(0) += 1;
            }
        }
        match page.next {
            Some(next) => from = next,
            None => {
                assert_eq!((told.len(), told.values().max()), (REGULARS as usize, Some(&1)));
                assert_eq!(page.held, LIMIT);
                told.clear();
                (from, surveys) = (0, surveys + 1);
            }
        }
    }
    assert!(surveys >= 1, "at page {from}");
    let grown = resident().saturating_sub(full);
    // A tenth of an octet for each flow that came; a table that grew would have taken 192.
    assert!(grown < 1 << 20, "{grown} octets more");
    let page = offered.page(0);
    assert_eq!(page.held, LIMIT);
    // Each stranger sent one packet: it began a flow, or is told as no flow's.
    assert_eq!(u64::from(page.held) + page.pushed_out + page.unattributed_packets, u64::from(FLOWS + REGULARS));
    assert_eq!(page.unattributed_octets, 60 * page.unattributed_packets);
    // At 670 000 newcomers a second a turn of the table takes most of one.
    let of_strangers = page.pushed_out * 100 / u64::from(FLOWS - LIMIT);
    assert!((3..30).contains(&of_strangers), "{of_strangers} of 100 strangers were let in");
    assert_eq!(offered.world.dataplane.workers[0].counters.totals().unattributed, page.unattributed_packets);
    assert_eq!(offered.world.all_dropped(), []);
    assert_eq!(offered.world.dataplane.workers[0].counters.totals().outer_sent, offered.sent);
}
