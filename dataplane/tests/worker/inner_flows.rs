//! Flows inside tunnels, as a worker counts them and tells of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use crate::harness;

use adit_dataplane::contract::{Command, Event, InnerFlowPage, InnerFlowReport, InnerTcpState, TunnelKey, WorkerId};
use adit_dataplane::inner_flows::InnerFlowsConfig;
use adit_dataplane::packet::{Meta, Segments};
use adit_dataplane::worker::DataplaneConfig;
use harness::*;
use std::net::Ipv4Addr;
use std::time::Duration;

fn world(workers: usize) -> World {
    let inner_flows = Some(InnerFlowsConfig { limit: 1000, sample: 1, seed: [7; 16] });
    let config =
        DataplaneConfig { workers: vec![None; workers], pool: POOL, inner_flows, ..DataplaneConfig::default() };
    World::with(config, 1024)
}

fn page(world: &mut World, worker: u8, only: Option<TunnelKey>) -> InnerFlowPage {
    world.command(WorkerId(worker), Command::TellInnerFlows(Box::new(InnerFlowPage::new(0, only))));
    world.settle();
    let page = world.events().into_iter().find_map(|event| match event {
        Event::InnerFlows(page) => Some(*page),
        _ => None,
    });
    page.expect("a page")
}

fn counts(flow: &InnerFlowReport) -> [u64; 4] {
    [flow.up.packets, flow.up.octets, flow.down.packets, flow.down.octets]
}

/// A TCP segment with a good IP header; nobody here looks at TCP's checksum.
fn tcp(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16), flags: u8, numbers: [u32; 2], options: &[u8]) -> Vec<u8> {
    let mut packet = v4(source.0, destination.0, 40 + options.len());
    packet[9] = 6;
    packet[20..24].copy_from_slice(&[source.1.to_be_bytes(), destination.1.to_be_bytes()].concat());
    packet[24..32].copy_from_slice(&numbers.map(u32::to_be_bytes).concat());
    packet[32..40].copy_from_slice(&[0x50 + (options.len() as u8) * 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet[40..].copy_from_slice(options);
    packet
}

#[test]
fn a_flow_is_counted_both_ways_with_its_inner_octets_and_its_session() {
    let mut world = world(1);
    let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(0, 2, gcm()));
    world.esp(0, alice.path, &alice.seal(1, &v4(alice.v4, SERVER_V4, 100)));
    world.esp(0, alice.path, &alice.seal(2, &v4(alice.v4, SERVER_V4, 101)));
    // Back from port 53.
    let mut answer = v4(SERVER_V4, alice.v4, 300);
    answer[20..24].copy_from_slice(&[0, 53, 0x30, 0x39]);
    world.inner(0, &answer);
    world.esp(0, bob.path, &bob.seal(1, &v6(bob.v6, SERVER_V6, 200)));
    // Nothing that is dropped belongs to a flow: this is not Bob's address.
    world.esp(0, bob.path, &bob.seal(2, &v4(alice.v4, SERVER_V4, 100)));
    let of = |world: &mut World, client: &Client| page(world, 0, Some(client.tunnel)).flows;
    let [flow] = of(&mut world, &alice)[..] else { panic!("one of Alice's") };
    assert_eq!((flow.tunnel, flow.protocol, flow.tcp), (alice.tunnel, 17, None));
    assert_eq!((flow.client, flow.network), ((alice.v4, 12345).into(), (SERVER_V4, 53).into()));
    assert_eq!(counts(&flow), [2, 201, 1, 300]);
    let [flow] = of(&mut world, &bob)[..] else { panic!("one of Bob's") };
    assert_eq!((flow.client.ip(), counts(&flow)), (bob.v6.into(), [1, 200, 0, 0]));
    let all = page(&mut world, 0, None);
    assert_eq!((all.flows.len(), all.held, all.pushed_out, all.next), (2, 2, 0, None));
}

#[test]
fn a_packet_between_two_clients_is_a_flow_of_each_on_its_own_worker() {
    let mut world = world(2);
    let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(1, 2, gcm()));
    // On the wrong worker: it is counted where it is opened.
    world.esp(1, alice.path, &alice.seal(1, &v4(alice.v4, bob.v4, 99)));
    world.settle();
    assert_eq!(world.departed().len() + world.all_dropped().len(), 0);
    let [up] = page(&mut world, 0, None).flows[..] else { panic!("Alice's") };
    let [down] = page(&mut world, 1, None).flows[..] else { panic!("Bob's") };
    assert_eq!((up.tunnel, up.client.ip(), counts(&up)), (alice.tunnel, alice.v4.into(), [1, 99, 0, 0]));
    assert_eq!((down.tunnel, down.client.ip(), counts(&down)), (bob.tunnel, bob.v4.into(), [0, 0, 1, 99]));
}

#[test]
fn super_packets_count_as_what_goes_into_the_tunnel() {
    let mut world = world(1);
    let client = world.connect(0, 1, gcm());
    let meta = Meta { segments: Segments::Udp { payload: 500 }, ..Meta::default() };
    world.peers[0].push(meta, &v4(SERVER_V4, client.v4, 28 + 1200)).unwrap();
    world.settle();
    let [flow] = page(&mut world, 0, None).flows[..] else { panic!("one flow") };
    assert_eq!(counts(&flow), [0, 0, 3, 1200 + 3 * 28]);
}

// client                headend                server
//   SYN, MSS 1460 ───────▶│ 0 ms
//                         │ 40 ms ◀────── SYN, ACK, MSS 9000
//   ACK ─────────────────▶│ 47 ms
#[test]
fn a_handshake_tells_the_clamped_sizes_and_the_time_to_either_end() {
    let mut world = world(1);
    let client = world.connect(0, 1, gcm());
    let (ours, theirs) = ((client.v4, 40_000), (SERVER_V4, 443));
    let pause = |world: &mut World, millis| world.now = world.now + Duration::from_millis(millis);
    world.esp(0, client.path, &client.seal(1, &tcp(ours, theirs, 2, [1, 0], &[2, 4, 0x05, 0xb4])));
    pause(&mut world, 40);
    let down = world.inner(0, &tcp(theirs, ours, 0x12, [7, 2], &[2, 4, 0x23, 0x28]));
    pause(&mut world, 7);
    world.esp(0, client.path, &client.seal(2, &tcp(ours, theirs, 0x10, [2, 8], &[])));
    let [flow] = page(&mut world, 0, None).flows[..] else { panic!("one flow") };
    let seen = flow.tcp.unwrap();
    assert_eq!(seen.state, InnerTcpState::Open);
    assert_eq!(seen.to_network.map(|time| time.smoothed), Some(Duration::from_millis(40)));
    assert_eq!(seen.to_client.map(|time| time.least), Some(Duration::from_millis(7)));
    let sent = client.open(&down[0].bytes).1;
    let clamped = u16::from_be_bytes([sent[42], sent[43]]);
    assert_eq!((seen.client_mss, seen.network_mss), (Some(clamped), Some(clamped)), "both are what the tunnel takes");
    assert!(clamped < 1460, "{clamped}");
}

#[test]
fn a_session_that_ends_takes_its_flows_along() {
    let mut world = world(1);
    let client = world.connect(0, 1, gcm());
    world.esp(0, client.path, &client.seal(1, &v4(client.v4, SERVER_V4, 100)));
    assert_eq!(page(&mut world, 0, None).flows.len(), 1);
    world.command(WorkerId(0), Command::DropTunnel { tunnel: client.tunnel });
    world.settle();
    assert_eq!(page(&mut world, 0, None).flows, []);
    let client = world.connect(0, 1, gcm());
    world.esp(0, client.path, &client.seal(1, &v4(client.v4, SERVER_V4, 100)));
    let told = page(&mut world, 0, None);
    assert_eq!(told.flows.iter().map(counts).collect::<Vec<_>>(), [[1, 100, 0, 0]], "none of the one before");
}

#[test]
fn who_keeps_no_table_gives_an_empty_page() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    world.esp(0, client.path, &client.seal(1, &v4(client.v4, SERVER_V4, 100)));
    assert_eq!(page(&mut world, 0, None), InnerFlowPage::new(0, None));
}
