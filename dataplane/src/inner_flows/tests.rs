use super::admission::{Admission, Admitted};
use super::*;
use crate::contract::{InnerFlowPage, InnerFlowReport, TunnelKey, WorkerId};
use crate::time::Instant;
use bolero::check;
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

const SERVER: [u8; 4] = [10, 20, 0, 2];
const SEED: [u8; 16] = [9; 16];

fn table(limit: u32) -> InnerFlows {
    InnerFlows::new(WorkerId(3), &InnerFlowsConfig { limit, sample: 1, seed: SEED }, 64)
}

/// UDP from a client's address to the server, or back.
fn udp(way: Way, client: u32, port: u16, payload: usize) -> Vec<u8> {
    let client = Ipv4Addr::from(client).octets();
    let (from, to, ports) = match way {
        Way::Up => (client, SERVER, [port, 53]),
        Way::Down => (SERVER, client, [53, port]),
    };
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0];
    packet.extend([from, to].concat());
    packet.extend(ports.map(u16::to_be_bytes).concat());
    packet.resize(28 + payload, 0);
    let len = (packet.len() as u16).to_be_bytes();
    packet[2..4].copy_from_slice(&len);
    packet
}

/// All that it holds, page by page; and how many pages that took.
fn all(table: &mut InnerFlows, now: Instant, only: Option<u32>) -> (Vec<InnerFlowReport>, usize) {
    let only = only.map(|slot| TunnelKey { worker: WorkerId(3), slot });
    let (mut flows, mut from, mut pages) = (Vec::new(), Some(0), 0);
    while let Some(at) = from {
        let mut page = InnerFlowPage::new(at, only);
        table.tell(now, &mut page);
        from = page.next;
        flows.extend(page.flows);
        pages += 1;
    }
    (flows, pages)
}

/// A dull twin: all flows by name, with when they were last moved in the list, and what was counted. It has the same luck.
struct Twin {
    flows: BTreeMap<(u32, u32, u16), Told>,
    steps: u64,
    pushed_out: u64,
    unattributed: (u64, u64),
    admission: Admission,
}

#[derive(Clone, Copy)]
struct Told {
    moved: u64,
    last: Instant,
    up: (u64, u64),
    down: (u64, u64),
}

impl Twin {
    fn new() -> Self {
        let admission = Admission::new(table::seed_of_admission(&SipHasher13::new_with_key(&SEED)));
        Self { flows: BTreeMap::new(), steps: 0, pushed_out: 0, unattributed: (0, 0), admission }
    }

    fn see(&mut self, now: Instant, way: Way, name: (u32, u32, u16), octets: u64, limit: usize) {
        self.steps += 1;
        if !self.flows.contains_key(&name) && self.flows.len() == limit {
            let (oldest, last) = self.flows.iter().min_by_key(|(_, told)| told.moved).unwrap();
            let (oldest, last) = (*oldest, last.last);
            if self.admission.lets_in(now, last) == Admitted::No {
                self.unattributed = (self.unattributed.0 + 1, self.unattributed.1 + octets);
                return;
            }
            self.flows.remove(&oldest);
            self.pushed_out += 1;
        }
        let told = Told { moved: self.steps, last: now, up: (0, 0), down: (0, 0) };
        let told = self.flows.entry(name).or_insert(told);
        if told.last.as_nanos() >> 24 != now.as_nanos() >> 24 {
            told.moved = self.steps;
        }
        told.last = now;
        let (packets, sum) = match way {
            Way::Up => &mut told.up,
            Way::Down => &mut told.down,
        };
        *packets += 1;
        *sum += octets;
    }
}

#[test]
fn the_table_holds_what_a_list_of_all_flows_would_and_gives_up_the_same() {
    check!().with_type::<Vec<(u8, u8, u8, bool)>>().with_test_time(Duration::from_secs(2)).for_each(|steps| {
        let (mut table, mut twin, limit) = (table(6), Twin::new(), 6);
        let mut now = Instant::from_nanos(1);
        for (client, port, pause, up) in steps {
            let way = if *up { Way::Up } else { Way::Down };
            // Six flows ago is half a second or so.
            now = now + Duration::from_millis(u64::from(*pause));
            let (tunnel, client, port) = (u32::from(*client % 3), u32::from(*client % 5), u16::from(*port % 4));
            let packet = udp(way, client, port, usize::from(*pause));
            table.see(now, way, [(tunnel, &packet[..])].into_iter());
            twin.see(now, way, (tunnel, client, port), packet.len() as u64, limit);
        }
        let (told, _) = all(&mut table, now, None);
        let told: BTreeMap<_, _> = told
            .iter()
            .map(|flow| {
                let client: u32 = match flow.client.ip() {
                    std::net::IpAddr::V4(v4) => v4.into(),
                    std::net::IpAddr::V6(_) => panic!("only IPv4 was sent"),
                };
                let counts = ((flow.up.packets, flow.up.octets), (flow.down.packets, flow.down.octets), flow.idle);
                ((flow.tunnel.slot, client, flow.client.port()), counts)
            })
            .collect();
        let twins: BTreeMap<_, _> =
            twin.flows.iter().map(|(name, told)| (*name, (told.up, told.down, now.since(told.last)))).collect();
        assert_eq!(told, twins);
        assert_eq!((table.held() as usize, table.pushed_out()), (twin.flows.len(), twin.pushed_out));
        assert_eq!(table.unattributed(), twin.unattributed);
    });
}

#[test]
fn a_burst_counts_as_its_packets_one_after_the_other() {
    check!().with_type::<Vec<(bool, u8, u8, u8)>>().for_each(|packets| {
        let (mut together, mut apart) = (table(64), table(64));
        // Few ports and places in the stream, so that there are runs; segments of one size.
        let packets: Vec<Vec<u8>> = packets
            .iter()
            .take(64)
            .map(|(is_tcp, port, seq, flags)| {
                let mut packet = udp(Way::Up, 7, u16::from(*port % 2), 32);
                if *is_tcp {
                    packet[9] = 6;
                    packet[24..28].copy_from_slice(&(u32::from(*seq % 8) * 20).to_be_bytes());
                    let flags = if *flags % 8 == 0 { *flags } else { 0x10 };
                    packet[32..34].copy_from_slice(&[0x50, flags & 0x1f]);
                }
                packet
            })
            .collect();
        together.see(Instant::ZERO, Way::Up, packets.iter().map(|packet| (1, &packet[..])));
        for packet in &packets {
            apart.see(Instant::ZERO, Way::Up, [(1, &packet[..])].into_iter());
        }
        assert_eq!(all(&mut together, Instant::ZERO, None), all(&mut apart, Instant::ZERO, None));
    });
}

#[test]
fn any_bytes_are_looked_at_without_panic_and_within_the_limit() {
    check!().with_type::<Vec<(bool, u8, Vec<u8>)>>().for_each(|packets| {
        let mut table = table(4);
        for (time, (up, tunnel, bytes)) in (0..).map(|step| Instant::from_nanos(step << 25)).zip(packets) {
            let way = if *up { Way::Up } else { Way::Down };
            // As they are, and as TCP behind a good header.
            let mut tcp = udp(way, 7, 9, bytes.len());
            tcp[9] = 6;
            tcp.truncate(20);
            tcp.extend(bytes);
            tcp.resize(28 + bytes.len(), 0);
            table.see(time, way, [(u32::from(*tunnel), &bytes[..]), (u32::from(*tunnel), &tcp)].into_iter());
            assert!(table.held() <= 4);
            if tunnel % 16 == 0 {
                table.end_tunnel(u32::from(*tunnel));
            }
            all(&mut table, time, None);
        }
    });
}

#[test]
fn a_flow_that_is_there_from_the_first_page_to_the_last_is_told_exactly_once_whatever_comes_and_goes() {
    let limit = 3000;
    let mut table = table(limit);
    let mut now = Instant::from_nanos(0);
    let stay: Vec<Vec<u8>> = (0..1500).map(|client| udp(Way::Up, client, 1, 10)).collect();
    let see = |table: &mut InnerFlows, now, packets: &[Vec<u8>]| {
        for burst in packets.chunks(64) {
            table.see(now, Way::Up, burst.iter().map(|packet| (1, &packet[..])));
        }
    };
    // Those that stay lie among others.
    let mut stranger = 1 << 20;
    for packets in stay.chunks(50) {
        let strangers: Vec<_> = (0..50).map(|n| udp(Way::Up, stranger + n, 2, 10)).collect();
        see(&mut table, now, packets);
        see(&mut table, now, &strangers);
        stranger += 50;
    }
    for only in [None, Some(TunnelKey { worker: WorkerId(3), slot: 1 })] {
        let (mut from, mut told, mut pages) = (Some(0), Vec::new(), 0);
        while let Some(at) = from {
            let mut page = InnerFlowPage::new(at, only);
            table.tell(now, &mut page);
            from = page.next;
            told.extend(page.flows.iter().map(|flow| (flow.client, flow.client.port())));
            pages += 1;
            // Between two pages 400 strangers come, and push out as many as are let in; those that stay are heard of.
            now = now + Duration::from_millis(300);
            see(&mut table, now, &stay);
            let strangers: Vec<_> = (0..400).map(|n| udp(Way::Up, stranger + n, 2, 10)).collect();
            see(&mut table, now, &strangers);
            stranger += 400;
        }
        assert!(pages >= 3000 / InnerFlowPage::FLOWS, "{pages}");
        assert!(table.pushed_out() > 4000, "{}", table.pushed_out());
        let of_those: Vec<_> = told.iter().filter(|(_, port)| *port == 1).collect();
        let once: BTreeSet<_> = of_those.iter().collect();
        assert_eq!((of_those.len(), once.len()), (1500, 1500));
    }
}

#[test]
fn a_flood_washes_out_nobody_who_is_heard_of_and_who_keeps_sending_gets_in() {
    let mut table = table(1000);
    let regulars: Vec<_> = (0..50).map(|client| udp(Way::Up, client, 1, 0)).collect();
    let keen = udp(Way::Up, 77, 3, 0);
    // Each second 64 times as many newcomers as there are places.
    for millis in 0..5000 {
        let now = Instant::ZERO + Duration::from_millis(millis.into());
        let mut see = |packets: &[Vec<u8>]| table.see(now, Way::Up, packets.iter().map(|packet| (1, &packet[..])));
        if millis % 300 == 0 {
            assert_eq!(see(&regulars), 0, "after {millis} ms");
        }
        if millis >= 2000 && millis % 10 == 0 {
            see(std::slice::from_ref(&keen));
        }
        let strangers: Vec<_> = (0..64).map(|n| udp(Way::Up, (1 << 20) + millis * 64 + n, 2, 0)).collect();
        see(&strangers);
    }
    let (told, _) = all(&mut table, Instant::ZERO + Duration::from_secs(5), None);
    let packets = |port| told.iter().filter(move |flow| flow.client.port() == port).map(|flow| flow.up.packets);
    assert_eq!(packets(1).collect::<Vec<_>>(), [17; 50]);
    let of_keen: Vec<_> = packets(3).collect();
    assert!(matches!(of_keen[..], [150..=300]), "{of_keen:?}");
    assert_eq!(table.held(), 1000);
}

#[test]
fn a_page_looks_at_so_many_places_whatever_is_asked_for() {
    let mut table = table(10_000);
    for client in 0..10_000 {
        table.see(Instant::ZERO, Way::Up, [(client / 9999, &udp(Way::Up, client, 1, 0)[..])].into_iter());
    }
    let (told, pages) = all(&mut table, Instant::ZERO, Some(1));
    assert_eq!((told.len(), pages), (1, 10));
    assert_eq!(all(&mut table, Instant::ZERO, Some(0)).0.len(), 9999);
    let mut page = InnerFlowPage { most: 3, ..InnerFlowPage::new(0, None) };
    table.tell(Instant::ZERO, &mut page);
    assert_eq!((page.flows.len(), page.next), (3, Some(3)));
}

#[test]
fn the_flows_of_a_tunnel_that_ended_are_not_those_of_the_next_in_its_slot() {
    let mut table = table(10);
    let packet = udp(Way::Up, 1, 1, 10);
    let burst = |table: &mut InnerFlows| table.see(Instant::ZERO, Way::Up, [(7, &packet[..])].into_iter());
    burst(&mut table);
    burst(&mut table);
    table.end_tunnel(7);
    assert_eq!(all(&mut table, Instant::ZERO, None).0, []);
    burst(&mut table);
    let (told, _) = all(&mut table, Instant::ZERO, Some(7));
    assert_eq!(told.iter().map(|flow| flow.up.packets).collect::<Vec<_>>(), [1]);
    assert_eq!(table.held(), 1);
}

#[test]
fn who_is_silent_for_ten_minutes_is_forgotten() {
    let mut table = table(10);
    let (start, late) = (Instant::ZERO, Instant::ZERO + Duration::from_secs(601));
    for client in 0..5 {
        table.see(start, Way::Up, [(0, &udp(Way::Up, client, 1, 0)[..])].into_iter());
    }
    assert_eq!(all(&mut table, start + Duration::from_secs(600), None).0.len(), 5);
    table.see(late, Way::Up, [(0, &udp(Way::Up, 9, 1, 0)[..])].into_iter());
    assert_eq!(table.held(), 4, "two of five went with the packet");
    assert_eq!(all(&mut table, late, None).0.len(), 1);
}

#[test]
fn the_rate_is_that_of_the_last_full_second() {
    let mut table = table(10);
    let packet = udp(Way::Down, 1, 1, 972);
    let at = |millis: u64| Instant::ZERO + Duration::from_millis(millis);
    for millis in (1000..2600).step_by(10) {
        table.see(at(millis), Way::Down, [(0, &packet[..])].into_iter());
    }
    let mut rate = |millis| all(&mut table, at(millis), None).0.first().map(|flow| flow.down.octets_per_second);
    assert_eq!([2600, 3100, 4000].map(&mut rate), [Some(100_000), Some(60_000), Some(0)]);
}

#[test]
fn one_of_ten_looked_at_counts_for_all_within_what_chance_does() {
    let mut table = InnerFlows::new(WorkerId(0), &InnerFlowsConfig { limit: 10, sample: 10, seed: [3; 16] }, 64);
    let packet = udp(Way::Up, 1, 1, 72);
    for _ in 0..1000 {
        table.see(Instant::ZERO, Way::Up, (0..50).map(|_| (0, &packet[..])));
    }
    let mut page = InnerFlowPage::new(0, None);
    table.tell(Instant::ZERO, &mut page);
    let flow = page.flows.first().unwrap();
    assert!((48_000..52_000).contains(&flow.up.packets), "{flow:?}");
    assert_eq!(flow.up.octets, flow.up.packets * 100);
}

#[test]
fn echoes_are_told_apart_by_their_identifier_and_later_fragments_have_no_ports() {
    let mut table = table(10);
    let mut echo = udp(Way::Up, 1, 0x0800, 10);
    echo[9] = 1;
    echo[24..26].copy_from_slice(&[0x12, 0x34]);
    let mut reply = udp(Way::Down, 1, 0, 10);
    (reply[9], reply[20]) = (1, 0);
    reply[20..22].copy_from_slice(&[0, 0]);
    reply[24..26].copy_from_slice(&[0x12, 0x34]);
    let mut later = udp(Way::Up, 1, 7, 10);
    later[7] = 1;
    table.see(Instant::ZERO, Way::Up, [(0, &echo[..]), (0, &later[..])].into_iter());
    table.see(Instant::ZERO, Way::Down, [(0, &reply[..])].into_iter());
    let told = all(&mut table, Instant::ZERO, None).0;
    let told: Vec<_> = told.iter().map(|flow| (flow.protocol, flow.client.port(), flow.network.port())).collect();
    assert_eq!(told, [(1, 0x1234, 0x1234), (17, 0, 0)]);
}
