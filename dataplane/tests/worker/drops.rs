//! Every way a packet can end in the core, each with its name and its count; none of them changes anything else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails its test")]

use crate::harness;

use adit_dataplane::carrier::ctcp::Inside;
use adit_dataplane::contract::{
    Command, DropReason, IkeDatagram, IkeFraming, Keepalive, KeepaliveForm, Path, Rate, Rates, Selectors, Transport,
    Transports, TunnelKey, TunnelSpec, Wake, WorkerId,
};
use adit_dataplane::io::{Capabilities, Door, DoorStats, Woken};
use adit_dataplane::packet::{Burst, Channel, Meta, Pool, PoolSizes, Segments};
use adit_dataplane::time::Instant;
use adit_dataplane::wire::tcp::TcpFlags;
use adit_dataplane::wire::traffic_class::TrafficClass;
use adit_dataplane::worker::{DataplaneConfig, assemble};
use harness::ctcp::CtcpPeer;
use harness::*;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A case: what is done to a fresh world with two clients (slots 1 and 2), and how it must end.
type Case = (DropReason, &'static str, fn(&mut World, &Client, &Client));

const CASES: &[Case] = &[
    (DropReason::Keepalive, "one octet 0xFF on port 4500", |world, alice, _| {
        world.esp(0, alice.path, &[0xff]);
    }),
    (DropReason::Keepalive, "one octet 0xFF on port 500", |world, alice, _| ike(world, alice.path, &[0xff])),
    (DropReason::Keepalive, "one octet 0xFF on Cisco's port", |world, alice, _| {
        arrive(world, Channel::CiscoUdp, alice.path, &[0xff]);
    }),
    (DropReason::Keepalive, "one octet 0xFF behind four of zero on Cisco's port", |world, alice, _| {
        arrive(world, Channel::CiscoUdp, alice.path, &[0, 0, 0, 0, 0xff]);
    }),
    (DropReason::UnknownSpi, "ESP of nobody's on port 500", |world, alice, _| {
        ike(world, alice.path, &[&[0; 8][..], &[0x77; 60]].concat());
    }),
    (DropReason::Unsolicited, "a reserved SPI behind the marker on port 500", |world, alice, _| {
        ike(world, alice.path, &[&[0; 8][..], &[0, 0, 0, 255], &[9; 60]].concat());
    }),
    (DropReason::Unsolicited, "IKE without an initiator's cookie", |world, alice, _| {
        // The responder's cookie, version and exchange, length: none of it would be IKE.
        ike(world, alice.path, &[&[0; 8][..], &[0; 8], &[1, 0x10, 4, 0, 0, 0, 0, 0, 0, 0, 0, 28]].concat());
    }),
    (DropReason::TooShort, "the marker alone on port 500", |world, alice, _| ike(world, alice.path, &[0; 8])),
    (DropReason::TooShort, "the marker and half a header on port 500", |world, alice, _| {
        ike(world, alice.path, &[&[0; 8][..], &alice.seal(1, &alice_to_server(alice))[..6]].concat());
    }),
    (DropReason::TooShort, "half a marker", |world, alice, _| ike(world, alice.path, &[0; 7])),
    (DropReason::BadIcv, "forged ESP on port 500", |world, alice, _| {
        let mut esp = alice.seal(1, &alice_to_server(alice));
        esp[30] ^= 1;
        ike(world, alice.path, &[&[0; 8][..], &esp].concat());
    }),
    (DropReason::Unsolicited, "IKE on Cisco's port", |world, alice, _| {
        arrive(world, Channel::CiscoUdp, alice.path, &[&[0; 4][..], &[7; 28]].concat());
    }),
    (DropReason::Unsolicited, "a reserved SPI in native ESP", |world, alice, _| {
        arrive(world, Channel::Esp, alice.path, &[0, 0, 0, 255, 0, 0, 0, 1]);
    }),
    (DropReason::TooShort, "three octets of native ESP", |world, alice, _| {
        arrive(world, Channel::Esp, alice.path, &[1, 2, 3]);
    }),
    (DropReason::TooShort, "three octets on Cisco's port", |world, alice, _| {
        arrive(world, Channel::CiscoUdp, alice.path, &[1, 2, 3]);
    }),
    (DropReason::UnknownSpi, "native ESP of nobody's", |world, alice, _| {
        arrive(world, Channel::Esp, alice.path, &[0x77; 60]);
    }),
    (DropReason::TooShort, "three octets", |world, alice, _| {
        world.esp(0, alice.path, &[1, 2, 3]);
    }),
    (DropReason::TooShort, "nothing at all", |world, alice, _| {
        world.esp(0, alice.path, &[]);
    }),
    (DropReason::TooShort, "an SPI and half a sequence number", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal(1, &alice_to_server(alice))[..6]);
    }),
    (DropReason::TooShort, "no room for IV, trailer and ICV", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal(1, &alice_to_server(alice))[..33]);
    }),
    (DropReason::TooShort, "IKE of 27 octets on port 500", |world, alice, _| ike(world, alice.path, &[7; 27])),
    (DropReason::TooShort, "IKE of 27 octets behind the marker", |world, alice, _| {
        world.esp(0, alice.path, &[&[0; 4][..], &[7; 27]].concat());
    }),
    (DropReason::IkeTooLong, "IKE of more than 16 KiB on port 500", |world, alice, _| {
        ike(world, alice.path, &[7; 16 * 1024 + 1]);
    }),
    (DropReason::IkeTooLong, "IKE of more than 16 KiB behind the marker", |world, alice, _| {
        world.esp(0, alice.path, &[&[0; 4][..], &[7; 16 * 1024 + 1]].concat());
    }),
    (DropReason::Malformed, "ciphertext that is no multiple of 4", |world, alice, _| {
        let esp = alice.seal(1, &alice_to_server(alice));
        world.esp(0, alice.path, &esp[..esp.len() - 1]);
    }),
    (DropReason::Malformed, "a checksum wanted outside the packet", |world, alice, _| {
        let meta = Meta { checksum: Some((1000, 6)), ..Meta::default() };
        world.peers[0].push(meta, &v4(SERVER_V4, alice.v4, 60)).unwrap();
        world.settle();
    }),
    (DropReason::Unsolicited, "SPI 255", |world, alice, _| {
        world.esp(0, alice.path, &[&[0, 0, 0, 255][..], &[9; 60]].concat());
    }),
    (DropReason::UnknownSpi, "a slot without SA", |world, alice, _| {
        let mut esp = alice.seal(1, &alice_to_server(alice));
        esp[..4].copy_from_slice(&spi(0, 77).get().to_be_bytes());
        world.esp(0, alice.path, &esp);
    }),
    (DropReason::UnknownSpi, "the right slot, another SPI", |world, alice, _| {
        let other = (0..8).filter_map(|filler| layout().encode(WorkerId(0), 1, filler)).find(|spi| *spi != alice.spi);
        let mut esp = alice.seal(1, &alice_to_server(alice));
        esp[..4].copy_from_slice(&other.unwrap().get().to_be_bytes());
        world.esp(0, alice.path, &esp);
    }),
    (DropReason::UnknownSpi, "a worker that there is not", |world, alice, _| {
        let mut esp = alice.seal(1, &alice_to_server(alice));
        esp[..4].copy_from_slice(&spi(63, 1).get().to_be_bytes());
        world.esp(0, alice.path, &esp);
    }),
    (DropReason::Replayed, "the same packet twice in one burst", |world, alice, _| {
        let esp = alice.seal(1, &alice_to_server(alice));
        world.peers[0].push_outer(Channel::NatT, alice.path, &esp).unwrap();
        world.esp(0, alice.path, &esp);
    }),
    (DropReason::TooOld, "left of the window", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal(65, &alice_to_server(alice)));
        world.esp(0, alice.path, &alice.seal(1, &alice_to_server(alice)));
    }),
    (DropReason::ZeroSequence, "number 0", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal(0, &alice_to_server(alice)));
    }),
    (DropReason::BadIcv, "one bit of the ciphertext", |world, alice, _| {
        let mut esp = alice.seal(1, &alice_to_server(alice));
        esp[20] ^= 1;
        world.esp(0, alice.path, &esp);
    }),
    (DropReason::BadIcv, "one bit of the sequence number, far ahead", |world, alice, _| {
        let mut esp = alice.seal(1, &alice_to_server(alice));
        esp[4] ^= 0x80;
        world.esp(0, alice.path, &esp);
    }),
    (DropReason::BadPadding, "1, 2, 4", |world, alice, _| {
        let inner = v4(alice.v4, SERVER_V4, 43);
        world.esp(0, alice.path, &alice.seal_raw(1, &inner, &[1, 2, 4], 3, 4));
    }),
    (DropReason::BadPadding, "more than there is", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal_raw(1, &[], &[1, 2], 3, 4));
    }),
    (DropReason::BadNextHeader, "TCP without an IP header", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal_raw(1, &alice_to_server(alice), &[1, 2], 2, 6));
    }),
    (DropReason::Dummy, "next header 59", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal_raw(1, &[0; 62], &[], 0, 59));
    }),
    (DropReason::Congested, "marked outside, and inside nobody knows marks", |world, alice, _| {
        let outer_class = TrafficClass::from_octet(3);
        let meta = Meta { channel: Channel::NatT, path: Some(alice.path), outer_class, ..Meta::default() };
        world.peers[0].push(meta, &alice.seal(1, &alice_to_server(alice))).unwrap();
        world.settle();
    }),
    (DropReason::BadInner, "IPv4 that says IPv6", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal_raw(1, &alice_to_server(alice), &[1, 2], 2, 41));
    }),
    (DropReason::BadInner, "nothing inside", |world, alice, _| {
        world.esp(0, alice.path, &alice.seal_raw(1, &[], &[1, 2], 2, 4));
    }),
    (DropReason::BadInner, "an inner length beyond the packet", |world, alice, _| {
        let mut inner = v4(alice.v4, SERVER_V4, 62);
        inner[3] += 1;
        world.esp(0, alice.path, &alice.seal_raw(1, &inner, &[], 0, 4));
    }),
    (DropReason::BadInner, "half a header from the inner door", |world, _, _| {
        world.inner(0, &[0x45, 0, 0, 20]);
    }),
    (DropReason::BadInner, "a super-packet that is not what it says", |world, alice, _| {
        let meta = Meta { segments: Segments::Tcp { payload: 100 }, ..Meta::default() };
        world.peers[0].push(meta, &v4(SERVER_V4, alice.v4, 900)).unwrap();
        world.settle();
    }),
    (DropReason::SelectorMismatch, "a client with another client's address", |world, alice, bob| {
        world.esp(0, alice.path, &alice.seal(1, &v4(bob.v4, SERVER_V4, 60)));
    }),
    (DropReason::SelectorMismatch, "a source that the child SA does not cover, outbound", |world, _, bob| {
        let selectors = Arc::new(Selectors { local: vec![only(SERVER_V4.into())], remote: whole_world() });
        let narrow = Client { selectors, tunnel: bob.tunnel, ..Client::new(bob.tunnel.worker.0, 31, gcm()) };
        world.command(bob.tunnel.worker, narrow.add_pair());
        world.command(bob.tunnel.worker, narrow.switch_outbound());
        world.inner(0, &v4([10, 20, 0, 2].into(), bob.v4, 60));
    }),
    (DropReason::NoRoute, "for nobody we know", |world, _, _| {
        world.inner(0, &v4(SERVER_V4, [10, 99, 0, 1].into(), 60));
    }),
    (DropReason::NoTunnel, "routed into an empty slot", |world, _, _| {
        world.add_route("10.40.0.0/16", TunnelKey { worker: WorkerId(0), slot: 50 });
        world.inner(0, &v4(SERVER_V4, [10, 40, 0, 1].into(), 60));
    }),
    (DropReason::NoTunnel, "routed to a worker that there is not", |world, _, _| {
        world.add_route("10.40.0.0/16", TunnelKey { worker: WorkerId(9), slot: 1 });
        world.inner(0, &v4(SERVER_V4, [10, 40, 0, 1].into(), 60));
    }),
    (DropReason::NoOutboundSa, "a tunnel that has only its inbound side", |world, _, _| {
        let half = Client::new(0, 3, gcm());
        world.command(half.tunnel.worker, Command::AddTunnel(Box::new(half.tunnel_spec())));
        world.add_route("10.30.0.3/32", half.tunnel);
        world.inner(0, &v4(SERVER_V4, half.v4, 60));
    }),
    (
        DropReason::TooBig,
        "1460 octets with DF inside a path of 1500, from nobody who can be told",
        |world, alice, _| {
            let mut big = v4([127, 0, 0, 1].into(), alice.v4, 1460);
            big[6] = 0x40;
            world.inner(0, &big);
        },
    ),
    (DropReason::TooBig, "an IKE message that no datagram holds", |world, alice, _| {
        send_ike(world, alice.path, IkeFraming::NonEspMarker, 65_504);
    }),
    (DropReason::OverRateUp, "the packet behind a whole burst of the client's", |world, _, bob| {
        let rates = Rates { up: Rate::new(8_000, Duration::ZERO), down: None };
        world.command(bob.tunnel.worker, Command::SetRates { tunnel: bob.tunnel, rates });
        for number in 1..=66 {
            world.esp(0, bob.path, &bob.seal(number, &v4(bob.v4, SERVER_V4, 1000)));
        }
    }),
    (DropReason::TransportClosed, "a packet for a client whose transport is closed to it", |world, _, bob| {
        let closed = Transports::NONE.with(Transport::NatT);
        world.command(bob.tunnel.worker, Command::CloseTransports { tunnel: bob.tunnel, closed });
        world.inner(0, &v4(SERVER_V4, bob.v4, 1000));
    }),
    (DropReason::OverRateDown, "the packet behind a whole burst for the client", |world, _, bob| {
        let rates = Rates { up: None, down: Rate::new(8_000, Duration::ZERO) };
        world.command(bob.tunnel.worker, Command::SetRates { tunnel: bob.tunnel, rates });
        for _ in 1..=66 {
            world.inner(0, &v4(SERVER_V4, bob.v4, 1000));
        }
    }),
];

fn alice_to_server(alice: &Client) -> Vec<u8> {
    v4(alice.v4, SERVER_V4, 60)
}

fn arrive(world: &mut World, channel: Channel, path: Path, bytes: &[u8]) {
    world.peers[0].push_outer(channel, path, bytes).unwrap();
    world.settle();
}

fn ike(world: &mut World, path: Path, bytes: &[u8]) {
    world.peers[0].push_outer(Channel::Ike, path, bytes).unwrap();
    world.settle();
}

fn send_ike(world: &mut World, path: Path, framing: IkeFraming, len: usize) {
    world.command(WorkerId(0), Command::SendIke(IkeDatagram { path, framing, bytes: vec![1; len] }));
    world.settle();
}

#[test]
fn each_case_ends_with_its_reason_alone_and_leaves_no_trace() {
    for (reason, story, run) in CASES {
        let mut world = World::new(1);
        let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(0, 2, gcm()));
        run(&mut world, &alice, &bob);
        assert_eq!(world.all_dropped(), [(*reason, 1)], "{story}");
        let (small, large) = world.workers[0].free_buffers();
        // What came in a large buffer brought it along.
        assert!(small == POOL.small && large >= POOL.large, "{story}: a buffer is lost, {small} and {large} are left");
        // Both go on as if nothing had been.
        world.departed();
        let inside = world.esp(0, alice.path, &alice.seal(80, &alice_to_server(&alice)));
        assert_eq!(inside.len(), 1, "{story}: {:?}", world.all_dropped());
        let outside = world.inner(0, &v4(SERVER_V4, alice.v4, 60));
        assert_eq!(alice.open(&outside[0].bytes).0, 1, "{story}: no number was used up");
        assert_eq!(alice.up_counters.totals().packets, 1 + u64::from(already_passed(*reason)), "{story}");
    }
}

/// Cases whose story begins with a good packet of Alice's, or ends after her packet came out of its SA.
fn already_passed(reason: DropReason) -> bool {
    matches!(reason, DropReason::Replayed | DropReason::TooOld | DropReason::Congested)
}

#[test]
fn forged_packets_change_nothing() {
    for suite in suites() {
        let mut world = World::new(1);
        let client = world.connect(0, 1, suite);
        world.esp(0, client.path, &client.seal(100, &alice_to_server(&client)));
        assert_eq!(world.events().len(), 1, "the first use");
        let before = (client.up_counters.totals(), client.down_counters.totals());
        let mut forgeries = 0;
        for sequence in [1, 36, 37, 99, 101, 163, 164, 10_000, u32::MAX] {
            for at in [8, 20, 40, 60] {
                let mut esp = client.seal(sequence, &alice_to_server(&client));
                esp[at] ^= 0x10;
                assert_eq!(world.esp(0, client.path, &esp), []);
                forgeries += 1;
            }
        }
        assert_eq!((client.up_counters.totals(), client.down_counters.totals()), before);
        assert_eq!(world.dropped(DropReason::BadIcv) + world.dropped(DropReason::TooOld), forgeries);
        assert_eq!(world.events().len(), 0);
        // The window stands where it stood: 37 is its left edge, 101 its future.
        for (sequence, arrives) in [(36, false), (37, true), (99, true), (101, true)] {
            let inside = world.esp(0, client.path, &client.seal(sequence, &alice_to_server(&client)));
            assert_eq!(inside.len() == 1, arrives, "{suite}, {sequence}");
        }
    }
}

#[test]
fn packets_out_of_order_arrive_once_each() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    let order = [5, 3, 8, 1, 2, 8, 64, 4, 7, 5, 6, 1];
    for sequence in order {
        let esp = client.seal(sequence, &v4(client.v4, SERVER_V4, 40 + sequence as usize));
        world.peers[0].push_outer(Channel::NatT, client.path, &esp).unwrap();
    }
    world.settle();
    let arrived: Vec<u32> = world.departed().iter().map(|packet| packet.bytes.len() as u32 - 40).collect();
    assert_eq!(arrived, [5, 3, 8, 1, 2, 64, 4, 7, 6]);
    assert_eq!(world.all_dropped(), [(DropReason::Replayed, 3)]);
}

#[test]
fn full_queues_and_pools_are_counted() {
    let pool = PoolSizes { small: 4, small_capacity: 2048, large: 0 };
    let config = DataplaneConfig { pool, burst: 4, event_depth: 1, ..DataplaneConfig::default() };

    let mut world = World::with(config.clone(), 16);
    send_ike(&mut world, path_v4(1), IkeFraming::Bare, 10_000);
    assert_eq!(world.all_dropped(), [(DropReason::NoBuffer, 1)]);

    let mut world = World::with(config.clone(), 16);
    for _ in 0..3 {
        ike(&mut world, path_v4(1), &[7; 28]);
    }
    assert_eq!(world.all_dropped(), [(DropReason::ControlBusy, 2)]);
    assert_eq!(world.dataplane.workers[0].counters.totals().ike_received, 1);

    let mut world = World::with(config, 2);
    let client = world.connect(0, 1, gcm());
    for _ in 0..3 {
        world.peers[0].push_inner(&v4(SERVER_V4, client.v4, 60)).unwrap();
        world.turn(0);
    }
    assert_eq!(world.all_dropped(), [(DropReason::TransmitFull, 1)]);
    assert_eq!(world.departed().len(), 2);
    assert_eq!(world.dataplane.workers[0].counters.totals().outer_sent, 2);

    let pool = PoolSizes { small: 64, ..POOL };
    let config = DataplaneConfig { workers: vec![None, None], pool, handoff_depth: 1, ..DataplaneConfig::default() };
    let mut world = World::with(config, 16);
    let client = world.connect(1, 1, gcm());
    for _ in 0..3 {
        world.peers[0].push_inner(&v4(SERVER_V4, client.v4, 60)).unwrap();
    }
    world.settle();
    assert_eq!(world.all_dropped(), [(DropReason::HandoffFull, 2)]);
    assert_eq!(world.departed().len(), 1);
}

/// A door that gets nothing whole, and sends nothing without saying why.
struct Broken {
    stats: DoorStats,
}

impl Door for Broken {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "broken", inner_segments: false, outer_segments: 1 }
    }
    fn receive(&mut self, _pool: &mut Pool, _burst: &mut Burst, _limit: usize) -> usize {
        self.stats.truncated += 5;
        self.stats.malformed += 6;
        self.stats.starved += 7;
        0
    }
    fn transmit(&mut self, _pool: &mut Pool, _burst: &mut Burst) {
        self.stats.transmit_full += 2;
        self.stats.transmit_failed += 3;
    }
    fn flush(&mut self, _pool: &mut Pool) -> io::Result<()> {
        Ok(())
    }
    fn wait(&mut self, _limit: Duration) -> io::Result<Woken> {
        Ok(Woken::TimedOut)
    }
    fn tune(&mut self, _spin: Duration, _coalesce: Duration) {}

    fn waker(&self) -> Arc<dyn Wake> {
        struct Deaf;
        impl Wake for Deaf {
            fn wake(&self) {}
        }
        Arc::new(Deaf)
    }
    fn now(&self) -> Instant {
        Instant::ZERO
    }
    fn stats(&self) -> DoorStats {
        self.stats
    }
}

#[test]
fn what_a_door_did_not_send_or_did_not_take_whole_is_counted() {
    let config = DataplaneConfig { pool: POOL, ..DataplaneConfig::default() };
    let doors = vec![Broken { stats: DoorStats::default() }];
    let (dataplane, mut workers) = assemble(&config, layout(), routes(), doors).unwrap();
    assert!(
        dataplane.workers[0]
            .send(Command::SendKeepalive(Keepalive { path: path_v4(1), form: KeepaliveForm::NatT }))
            .is_ok()
    );
    workers[0].turn(Instant::ZERO).unwrap();
    let drops = dataplane.workers[0].counters.totals().drops;
    assert_eq!(drops[DropReason::ReceiveTruncated as usize], 5);
    assert_eq!(drops[DropReason::Malformed as usize], 6);
    assert_eq!(dataplane.workers[0].counters.totals().starved, 7);
    // Three that it queued and lost later, one that it left.
    assert_eq!(drops[DropReason::TransmitFailed as usize], 4);
    assert_eq!(drops[DropReason::TransmitFull as usize], 2);
    assert_eq!(dataplane.workers[0].counters.totals().outer_sent, 0);
    assert_eq!(workers[0].free_buffers(), (POOL.small, POOL.large));
}

#[test]
fn each_segment_of_ctcp_that_is_not_forwarded_has_its_reason() {
    let mut ctcp = harness::ctcp::setup().unwrap();
    ctcp.config.flows = 1;
    let config = DataplaneConfig { ctcp: Some(ctcp), pool: POOL, ..DataplaneConfig::default() };
    let mut world = World::with(config, 1024);
    let mut counted = BTreeSet::new();
    // What was counted since the last time, by name.
    let mut ends = move |world: &World| {
        let all: BTreeSet<_> = world.all_dropped().into_iter().map(|(reason, n)| (reason.name(), n)).collect();
        let new = all.difference(&counted).map(|(name, _)| *name).collect::<Vec<_>>();
        counted = all;
        new
    };
    let mut peer = CtcpPeer::on(0, 1);
    world.login(0, &mut peer);
    assert_eq!(ends(&world), ["handshake"]);
    let mut another = CtcpPeer::between("192.0.2.1", "198.51.100.8", 0, 1);
    let syn = another.segment(TcpFlags::SYN, &[]);
    let answer = world.tcp(0, &another, &syn);
    another.hears(&answer[0]);
    assert_eq!(ends(&world), ["handshake"]);
    let first = another.frame(Inside::Ike, &first_ike());
    world.tcp(0, &another, &first);
    assert_eq!(ends(&world), ["too_many_connections"]);
    let nobodys = CtcpPeer::between("192.0.2.1", "198.51.100.9", 0, 1).segment(TcpFlags::ACK, &[]);
    world.tcp(0, &CtcpPeer::between("192.0.2.1", "198.51.100.9", 0, 1), &nobodys);
    assert_eq!(ends(&world), ["no_connection"]);
    let mut spoilt = peer.segment(TcpFlags::ACK, &[]);
    spoilt[15] ^= 1;
    world.tcp(0, &peer, &spoilt);
    assert_eq!(ends(&world), ["bad_checksum"]);
    let (next, expected) = (peer.next, peer.expected);
    (peer.next, peer.expected) = (next.plus(1 << 25), expected.plus(1 << 25));
    let elsewhere = peer.segment(TcpFlags::ACK, &[1; 50]);
    (peer.next, peer.expected) = (next, expected);
    world.tcp(0, &peer, &elsewhere);
    assert_eq!(ends(&world), ["out_of_window"]);
    let piece = peer.segment(TcpFlags::ACK, &[1; 50]);
    world.tcp(0, &peer, &piece);
    assert_eq!(ends(&world), ["reframed"]);

    let mut client = Client::new(0, 1, gcm());
    (client.path, client.transport) = (peer.path, Transport::Ctcp);
    let client = world.admit(client);
    let down = v4(SERVER_V4, client.v4, 1400);
    let sent = (0..60).filter(|_| world.inner(0, &down).iter().any(|sent| sent.bytes.len() > 1400)).count();
    assert_eq!(sent, 65_535 / (1400 + ESP_BESIDE + 16), "a window, and no octet more");
    assert_eq!(ends(&world), ["in_flight"]);
    let finished = peer.segment(TcpFlags::FIN.with(TcpFlags::ACK), &[]);
    world.tcp(0, &peer, &finished);
    assert_eq!(ends(&world), ["connection_ended"]);
    world.departed();
    assert_eq!(world.workers[0].free_buffers().0, POOL.small, "no buffer is lost");
}

#[test]
fn what_a_stream_does_not_carry_has_its_reason() {
    let config = DataplaneConfig { ctcp: harness::ctcp::setup(), pool: POOL, ..DataplaneConfig::default() };
    let mut world = World::with(config, 1024);
    let mut peer = CtcpPeer::on(0, 1);
    world.stream_login(0, &mut peer);
    let mut client = Client::new(0, 1, gcm());
    (client.path, client.transport) = (peer.path, Transport::Tcp);
    let client = world.admit(client);
    let down = v4(SERVER_V4, client.v4, 1400);
    (0..400).for_each(|_| {
        world.inner(0, &down);
    });
    let full = world.dropped(DropReason::StreamFull);
    assert!((200..400).contains(&full), "{full}: a peer that acknowledges nothing has little under way");
    let bad = peer.segment(TcpFlags::ACK, &[0, 1]);
    world.tcp(0, &peer, &bad);
    assert_eq!(world.dropped(DropReason::BrokenStream), 1);
    world.departed();
    assert_eq!(world.workers[0].free_buffers().0, POOL.small, "no buffer is lost");
}

/// Octets that ESP by AES-GCM takes beside an inner packet of 1400: SPI, sequence number, IV, two of padding, trailer, ICV.
const ESP_BESIDE: usize = 4 + 4 + 8 + 2 + 2 + 16;

/// A first message of IKE's, behind its UDP header.
fn first_ike() -> Vec<u8> {
    let message = harness::ctcp::first_message();
    [&adit_dataplane::carrier::ctcp::ike_in_udp(message.len())[..], &message].concat()
}

#[test]
fn no_reason_is_without_a_test() {
    let here = [
        DropReason::NoBuffer,
        DropReason::ControlBusy,
        DropReason::TransmitFull,
        DropReason::HandoffFull,
        DropReason::TransmitFailed,
        DropReason::ReceiveTruncated,
        // esp/encap.rs: numbers_start_at_one_and_end_without_wrapping (4 294 967 295 packets are too many for a turn)
        DropReason::SequenceExhausted,
        // lifetimes.rs
        DropReason::LifetimeOver,
        // each_segment_of_ctcp_that_is_not_forwarded_has_its_reason
        DropReason::BadChecksum,
        DropReason::Handshake,
        DropReason::NoConnection,
        DropReason::ConnectionEnded,
        DropReason::TooManyConnections,
        DropReason::OutOfWindow,
        DropReason::Reframed,
        DropReason::InFlight,
        // what_a_stream_does_not_carry_has_its_reason
        DropReason::StreamFull,
        DropReason::BrokenStream,
    ];
    let tested: BTreeSet<&str> = CASES.iter().map(|case| case.0).chain(here).map(DropReason::name).collect();
    let all: BTreeSet<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(tested, all);
}

#[test]
fn a_path_that_holds_no_esp_at_all_only_drops() {
    let mut world = World::new(1);
    let client = Client::new(0, 1, gcm());
    let spec = TunnelSpec { outer_mtu: 0, ..client.tunnel_spec() };
    world.command(client.tunnel.worker, Command::AddTunnel(Box::new(spec)));
    world.command(client.tunnel.worker, client.add_pair());
    world.command(client.tunnel.worker, client.switch_outbound());
    world.add_route("10.30.0.1/32", client.tunnel);
    world.inner(0, &v4(SERVER_V4, client.v4, 60));
    assert_eq!(world.all_dropped(), [(DropReason::TooBig, 1)]);
}
