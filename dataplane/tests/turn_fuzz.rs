//! Any bytes, outer or inner, through whole turns: nothing panics, no buffer is lost, every packet ends somewhere.

mod harness;

use adit_dataplane::contract::{DropReason, Event, Lifetime, Limits, SequenceNumbers, Transport};
use adit_dataplane::inner_flows::InnerFlowsConfig;
use adit_dataplane::packet::{Channel, Meta, Segments};
use adit_dataplane::wire::traffic_class::TrafficClass;
use adit_dataplane::worker::DataplaneConfig;
use bolero::check;
use harness::*;
use std::collections::BTreeSet;

/// One input is a list of packets: kind, length, bytes.
fn packets(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut packets = Vec::new();
    while let [kind, len, rest @ ..] = bytes {
        // Two octets of length class: most packets are small, some are long.
        let len = (usize::from(*len) * if kind & 0x80 == 0 { 1 } else { 9 }).min(rest.len());
        let (packet, rest) = rest.split_at(len);
        packets.push((*kind, packet));
        bytes = rest;
    }
    packets
}

/// So that it ends within an input.
fn short() -> Lifetime {
    let limits = |packets, octets| Limits { packets: Some(packets), octets: Some(octets), time: None };
    Lifetime { soft: limits(8, 2000), hard: limits(24, 8000) }
}

#[test]
fn any_bytes_through_a_turn() {
    check!().for_each(|bytes: &[u8]| {
        let inner_flows = Some(InnerFlowsConfig { limit: 8, sample: 1, seed: [1; 16] });
        let config = DataplaneConfig { workers: vec![None; 2], pool: POOL, inner_flows, ..DataplaneConfig::default() };
        let mut world = World::with(config, 1024);
        let alice = world.connect(0, 1, gcm());
        let (numbers, lifetime) = (SequenceNumbers::Extended, short());
        let bob = world.admit(Client { numbers, lifetime, ..Client::new(1, 2, suites()[6]) });
        let mut sequence = 0u32;
        let (mut arrived, mut from_elsewhere) = (0u64, 0usize);
        let mut sealed = BTreeSet::new();
        let mut cut = 0u64;
        for (kind, packet) in packets(bytes) {
            let worker = usize::from(kind >> 6 & 1);
            let client = if kind & 0x20 == 0 { &alice } else { &bob };
            sequence += 1;
            let pushed = match kind & 0x0f {
                0 => world.peers[worker].push_outer(Channel::Ike, client.path, packet),
                1 => world.peers[worker].push_outer(Channel::NatT, client.path, packet),
                // ESP with a good SPI, anything else behind it
                2 => {
                    let esp = [&client.spi.get().to_be_bytes()[..], packet].concat();
                    world.peers[worker].push_outer(Channel::NatT, client.path, &esp)
                }
                // authentic ESP with anything inside
                3..=7 => {
                    let mut body = packet.to_vec();
                    body.resize(body.len().next_multiple_of(client.align()).max(client.align()), 0);
                    let (trailer_at, trailer) = (body.len() - 2, [body[body.len() - 2], body[body.len() - 1]]);
                    // some again, or ahead of the others, and some from another port
                    let [high, low] = packet.first_chunk().copied().unwrap_or_default();
                    let (number, mut path) = match kind & 0x0f {
                        6 => (sequence.wrapping_add_signed(i16::from_be_bytes([high, low]).into()), client.path),
                        _ => (sequence, client.path),
                    };
                    if kind & 0x0f == 7 {
                        path.peer.set_port(u16::from_be_bytes([high, low]));
                    }
                    let by = DATAGRAMS[usize::from(kind) % DATAGRAMS.len()];
                    from_elsewhere += usize::from(kind & 0x0f == 7 || by != Transport::NatT);
                    sealed.insert((client.spi, number));
                    let esp = client.seal_raw(number, &body[..trailer_at], &[], trailer[0], trailer[1]);
                    // of any class, and maybe out of fragments
                    let (channel, datagram) = dressed(by, &esp);
                    let meta = Meta {
                        channel,
                        path: Some(path),
                        outer_class: TrafficClass::from_octet(packet.first().copied().unwrap_or_default()),
                        longest_fragment: (kind & 0x10 != 0).then_some(u16::from(trailer[0]) * 9),
                        ..Meta::default()
                    };
                    world.peers[worker].push(meta, &datagram)
                }
                8 => world.peers[worker].push_inner(packet),
                9 => world.peers[worker].push_outer(Channel::CiscoUdp, client.path, packet),
                10 => world.peers[worker].push_outer(Channel::Esp, client.path, packet),
                // a good header, anything behind it
                11 | 12 => {
                    let mut inner = v4(SERVER_V4, client.v4, 28 + packet.len());
                    inner[20..20 + packet.len()].copy_from_slice(packet);
                    // flags and offset of any fragment
                    if let (0x10, [high, low, ..]) = (kind & 0x10, packet) {
                        (inner[6], inner[7]) = (*high, *low);
                    }
                    world.peers[worker].push_inner(&inner)
                }
                // super-packets and checksums that the kernel left to us
                n => {
                    let (segments, rest) = match packet {
                        [a, b, rest @ ..] if n < 15 => {
                            let payload = u16::from_be_bytes([*a, *b]);
                            let kind = if n == 13 { Segments::Tcp { payload } } else { Segments::Udp { payload } };
                            (kind, rest)
                        }
                        rest => (Segments::One, rest),
                    };
                    let checksum = rest.first_chunk().map(|[a, b]| (u16::from(*a), u16::from(*b)));
                    let inner =
                        if kind & 0x10 == 0 { rest.to_vec() } else { v4(SERVER_V4, client.v4, 28 + rest.len()) };
                    let pushed = world.peers[worker].push(Meta { segments, checksum, ..Meta::default() }, &inner);
                    // Its segments come out, as many as it is worth; that may be none.
                    if segments != Segments::One && pushed.is_ok() {
                        cut += 1;
                    }
                    pushed
                }
            };
            arrived += u64::from(pushed.is_ok());
        }
        world.settle();
        let departed = world.departed();
        // The emptied buffers go home.
        world.settle();
        for worker in &world.workers {
            assert_eq!(worker.free_buffers().0, POOL.small, "a buffer is lost or won");
        }
        let drops: u64 = DropReason::ALL.iter().map(|reason| world.dropped(*reason)).sum();
        let ike = world.dataplane.workers.iter().map(|worker| worker.counters.totals().ike_received).sum::<u64>();
        // Cutting and telling senders make packets; nothing makes one vanish.
        assert!(departed.len() as u64 + drops + ike >= arrived - cut);
        let opened = alice.up_counters.totals().packets + bob.up_counters.totals().packets;
        assert!(opened <= sealed.len() as u64, "only what was sealed with the key comes out, and that once");
        let moved = world.events().iter().filter(|event| matches!(event, Event::Moved { .. })).count();
        assert!(moved <= 2 * from_elsewhere, "a tunnel follows authentic packets, there and back");
    });
}
