//! Packets through a headend and back, every suite, IPv4 and IPv6 inside and outside.

use crate::harness;

use adit_dataplane::contract::{
    Command, DropReason, InboundSpec, Lane, NextHop, OutboundSpec, PairSpec, Routes, Selectors, TunnelSpec,
};
use adit_dataplane::packet::Channel;
use harness::*;
use std::sync::Arc;

#[test]
fn what_a_client_sends_comes_out_inside_and_the_answer_reaches_it() {
    for suite in suites() {
        for outer in [path_v4(3), path_v6(3)] {
            let mut world = World::new(1);
            let mut client = Client::new(0, 3, suite);
            client.path = outer;
            world.command(client.tunnel.worker, Command::AddTunnel(Box::new(client.tunnel_spec())));
            world.command(client.tunnel.worker, client.add_pair());
            world.command(client.tunnel.worker, client.switch_outbound());
            world.add_route("10.30.0.3/32", client.tunnel);
            world.add_route("fd00::3/128", client.tunnel);
            let mut sequence = 0;
            for len in [28, 64, 65, 66, 67, 68, 350, 1380] {
                for (up, down) in [
                    (v4(client.v4, SERVER_V4, len), v4(SERVER_V4, client.v4, len)),
                    (v6(client.v6, SERVER_V6, len.max(48)), v6(SERVER_V6, client.v6, len.max(48))),
                ] {
                    sequence += 1;
                    let inside = world.esp(0, client.path, &client.seal(sequence, &up));
                    assert_eq!(inside.len(), 1, "{suite} {len}: {:?}", world.all_dropped());
                    assert_eq!((inside[0].channel, inside[0].path), (Channel::Inner, None));
                    assert_eq!(inside[0].bytes, up, "{suite}: the kernel takes the hop, not the dataplane");

                    let outside = world.inner(0, &down);
                    assert_eq!(outside.len(), 1, "{suite} {len}: {:?}", world.all_dropped());
                    assert_eq!((outside[0].channel, outside[0].path), (Channel::NatT, Some(outer)));
                    assert_eq!(client.open(&outside[0].bytes), (sequence, down), "{suite}");
                }
            }
            assert_eq!(world.all_dropped(), []);
            let (up, down) = (client.up_counters.totals(), client.down_counters.totals());
            assert_eq!((up.packets, up.octets), (down.packets, down.octets));
            assert_eq!((up.packets, up.last_used), (16, 1));
            assert_eq!(world.workers[0].free_buffers(), (POOL.small, POOL.large), "every buffer is home");
        }
    }
}

#[test]
fn two_workers_speak_to_each_other() {
    for suite in suites() {
        let (mut headend, mut branch) = (World::new(1), World::new(1));
        let branch_spi = spi(0, 9);
        let client = headend.admit(Client { own_spi: branch_spi.get(), ..Client::new(0, 5, suite) });
        // The branch is the same tunnel with everything turned round.
        let turned = Selectors { local: client.selectors.remote.clone(), remote: client.selectors.local.clone() };
        let turned = Arc::new(turned);
        let mut inbound = client.outbound_spec();
        let mut outbound = client.inbound_spec();
        (inbound.selectors, outbound.selectors) = (Arc::clone(&turned), turned);
        branch.command(client.tunnel.worker, Command::AddTunnel(Box::new(client.tunnel_spec())));
        let inbound = InboundSpec {
            tunnel: client.tunnel,
            spi: branch_spi,
            cipher: inbound.cipher,
            numbers: inbound.numbers,
            window: 1024,
            lifetime: inbound.lifetime,
            selectors: inbound.selectors,
            counters: inbound.counters,
        };
        let outbound = OutboundSpec {
            lane: Lane::FIRST,
            spi: client.spi.get(),
            cipher: outbound.cipher,
            numbers: outbound.numbers,
            lifetime: outbound.lifetime,
            selectors: outbound.selectors,
            counters: outbound.counters,
        };
        branch.command(client.tunnel.worker, Command::AddPair(Box::new(PairSpec { inbound, outbound })));
        branch.command(client.tunnel.worker, Command::SwitchOutbound { spi: branch_spi });
        branch.add_route("0.0.0.0/0", client.tunnel);
        branch.settle();
        // All leads into the tunnel but the branch's own address, or what comes out of it would go back.
        let mut routes = Routes::clone(&branch.dataplane.routes.load());
        routes.insert(std::net::IpAddr::from(client.v4).into(), NextHop::Inside);
        branch.dataplane.routes.store(Arc::new(routes));
        for len in [40, 500, 1400] {
            let up = v4(client.v4, SERVER_V4, len);
            let outside = branch.inner(0, &up);
            assert_eq!(headend.esp(0, client.path, &outside[0].bytes)[0].bytes, up);
            let down = v4(SERVER_V4, client.v4, len);
            let outside = headend.inner(0, &down);
            assert_eq!(branch.esp(0, client.path, &outside[0].bytes)[0].bytes, down);
        }
        assert_eq!((headend.all_dropped(), branch.all_dropped()), (vec![], vec![]));
    }
}

#[test]
fn every_legal_padding_length_is_taken() {
    for suite in suites() {
        let mut world = World::new(1);
        let client = world.connect(0, 1, suite);
        let inner = v4(client.v4, SERVER_V4, 60);
        let mut taken = 0;
        for pad_len in 0..=255usize {
            if !(inner.len() + pad_len + 2).is_multiple_of(client.align()) {
                continue;
            }
            let padding: Vec<u8> = (1..=255).take(pad_len).collect();
            taken += 1;
            let esp = client.seal_raw(taken, &inner, &padding, pad_len as u8, 4);
            let inside = world.esp(0, client.path, &esp);
            assert_eq!(inside.len(), 1, "{suite}, {pad_len} octets of padding: {:?}", world.all_dropped());
            assert_eq!(inside[0].bytes, inner);
        }
        assert_eq!(taken as usize, 256 / client.align());
    }
}

#[test]
fn traffic_flow_confidentiality_padding_is_cut_off() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    for (sequence, inner) in [(1, v4(client.v4, SERVER_V4, 100)), (2, v6(client.v6, SERVER_V6, 100))] {
        let mut padded = inner.clone();
        padded.resize(702, 0xaa);
        let next_header = if inner[0] == 0x45 { 4 } else { 41 };
        let inside = world.esp(0, client.path, &client.seal_raw(sequence, &padded, &[], 0, next_header));
        assert_eq!(inside[0].bytes, inner);
    }
}

#[test]
fn client_to_client_takes_one_hop_within_one_turn() {
    let mut world = World::new(1);
    let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(0, 2, suites()[7]));
    let hello = v4(alice.v4, bob.v4, 200);
    world.peers[0].push_outer(Channel::NatT, alice.path, &alice.seal(1, &hello)).unwrap();
    world.turn(0);
    let departed = world.departed();
    assert_eq!(departed.len(), 1, "{:?}", world.all_dropped());
    assert_eq!(departed[0].path, Some(bob.path));
    let (sequence, arrived) = bob.open(&departed[0].bytes);
    assert_eq!((sequence, arrived[8]), (1, hello[8] - 1));
    assert_eq!(header_sum(&arrived[..20]), 0xffff);
    assert_eq!(arrived[12..], hello[12..]);

    let hello = v6(alice.v6, bob.v6, 200);
    let departed = world.esp(0, alice.path, &alice.seal(2, &hello));
    let (_, arrived) = bob.open(&departed[0].bytes);
    assert_eq!((arrived[7], &arrived[8..]), (hello[7] - 1, &hello[8..]));
}

#[test]
fn from_client_to_client_without_a_hop_left_the_kernel_is_the_end_and_tells_the_sender() {
    let mut world = World::new(1);
    let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(0, 2, gcm()));
    let packet = |version, hops| match version {
        4 => {
            let mut packet = v4(alice.v4, bob.v4, 60);
            packet[8] = hops;
            packet
        }
        _ => {
            let mut packet = v6(alice.v6, bob.v6, 60);
            packet[7] = hops;
            packet
        }
    };
    for (sequence, (version, hops)) in (1..).zip([(4, 0), (4, 1), (6, 0), (6, 1)]) {
        let expired = packet(version, hops);
        let arrived = world.esp(0, alice.path, &alice.seal(sequence, &expired));
        let [inside] = &arrived[..] else { panic!("{} packets: {:?}", arrived.len(), world.all_dropped()) };
        assert_eq!((inside.channel, &inside.bytes), (Channel::Inner, &expired), "as it came");
    }
    for (sequence, version) in (5..).zip([4, 6]) {
        let arrived = world.esp(0, alice.path, &alice.seal(sequence, &packet(version, 2)));
        assert_eq!((arrived.len(), arrived[0].path), (1, Some(bob.path)), "with one left it arrives");
    }
    assert_eq!(world.all_dropped(), []);
}

#[test]
fn one_burst_of_many_tunnels_keeps_the_order_of_each() {
    let mut world = World::new(1);
    let clients: Vec<Client> = (1..5).map(|slot| world.connect(0, slot, suites()[slot as usize])).collect();
    for sequence in 1..=16 {
        for client in &clients {
            let inner = v4(client.v4, SERVER_V4, 28 + sequence as usize);
            world.peers[0].push_outer(Channel::NatT, client.path, &client.seal(sequence, &inner)).unwrap();
            world.peers[0].push_inner(&v4(SERVER_V4, client.v4, 28 + sequence as usize)).unwrap();
        }
    }
    world.settle();
    let departed = world.departed();
    assert_eq!(departed.len(), 128, "{:?}", world.all_dropped());
    for client in &clients {
        let up = departed.iter().filter(|packet| packet.channel == Channel::Inner);
        let up: Vec<usize> =
            up.filter(|packet| packet.bytes[12..16] == client.v4.octets()).map(|packet| packet.bytes.len()).collect();
        assert_eq!(up, (29..=44).collect::<Vec<_>>());
        let down = departed.iter().filter(|packet| packet.path == Some(client.path));
        let down: Vec<(u32, usize)> =
            down.map(|packet| client.open(&packet.bytes)).map(|(sequence, inner)| (sequence, inner.len())).collect();
        assert_eq!(down, (1..=16).map(|sequence| (sequence, 28 + sequence as usize)).collect::<Vec<_>>());
        assert_eq!(client.up_counters.totals().packets, 16);
    }
}

#[test]
fn a_super_packet_leaves_as_ordinary_packets_in_its_place() {
    use adit_dataplane::packet::{Meta, Segments};
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    let before = v4(SERVER_V4, client.v4, 100);
    let mut whole = v4(SERVER_V4, client.v4, 28 + 2500);
    whole[9] = 17;
    let meta = Meta { segments: Segments::Udp { payload: 1000 }, checksum: Some((20, 6)), ..Meta::default() };
    world.peers[0].push_inner(&before).unwrap();
    world.peers[0].push(meta, &whole).unwrap();
    world.peers[0].push_inner(&before).unwrap();
    world.settle();
    let inner: Vec<Vec<u8>> = world.departed().iter().map(|packet| client.open(&packet.bytes).1).collect();
    let lengths: Vec<usize> = inner.iter().map(Vec::len).collect();
    assert_eq!(lengths, [100, 1028, 1028, 528, 100], "{:?}", world.all_dropped());
    let payload: Vec<u8> = inner[1..4].iter().flat_map(|packet| packet[28..].to_vec()).collect();
    assert_eq!(payload, whole[28..]);
    assert_eq!(world.dataplane.workers[0].counters.totals().inner_received, 5);
}

#[test]
fn who_sends_too_much_is_told_what_fits() {
    let mut world = World::new(1);
    let mut client = Client::new(0, 1, gcm());
    client.path = path_v6(1);
    let spec = TunnelSpec { outer_mtu: 1400, ..client.tunnel_spec() };
    world.command(client.tunnel.worker, Command::AddTunnel(Box::new(spec)));
    world.command(client.tunnel.worker, client.add_pair());
    world.command(client.tunnel.worker, client.switch_outbound());
    world.add_route("10.30.0.1/32", client.tunnel);
    world.add_route("fd00::1/128", client.tunnel);
    world.settle();

    let mut big = v4(SERVER_V4, client.v4, 1400);
    big[6] = 0x40;
    let told = world.inner(0, &big);
    assert_eq!(world.all_dropped(), [(DropReason::TooBig, 1)]);
    assert_eq!((told.len(), told[0].channel), (1, Channel::Inner));
    let message = &told[0].bytes;
    assert_eq!((message[9], &message[16..22]), (1, &[10, 20, 0, 1, 3, 4][..]));
    let fits = usize::from(u16::from_be_bytes([message[26], message[27]]));
    // 1400 = IPv6 40 + UDP 8 + ESP 8 + IV 8 + inner + padding and trailer + ICV 16
    assert_eq!(fits, 1318);
    assert_eq!(world.inner(0, &v4(SERVER_V4, client.v4, fits)).len(), 1);
    assert_eq!(world.dropped(DropReason::TooBig), 1);
    assert_eq!(
        world.inner(0, &v4(SERVER_V4, client.v4, fits + 1)).len(),
        2,
        "without DF nobody is told: two fragments"
    );
    assert_eq!(world.dropped(DropReason::TooBig), 1);

    let told = world.inner(0, &v6(SERVER_V6, client.v6, 1319));
    assert_eq!((told[0].bytes[6], told[0].bytes[40], &told[0].bytes[46..48]), (58, 2, &[5, 38][..]));

    // A storm is answered by no more than a hundred a second.
    for _ in 0..300 {
        world.peers[0].push_inner(&big).unwrap();
        world.turn(0);
        world.turn(0);
    }
    assert_eq!(world.departed().len(), 98);
}

#[test]
fn a_sender_behind_another_tunnel_is_told_too() {
    let mut world = World::new(1);
    let alice = world.connect(0, 1, gcm());
    let bob = Client::new(0, 2, gcm());
    let spec = TunnelSpec { outer_mtu: 1000, ..bob.tunnel_spec() };
    world.command(bob.tunnel.worker, Command::AddTunnel(Box::new(spec)));
    world.command(bob.tunnel.worker, bob.add_pair());
    world.command(bob.tunnel.worker, bob.switch_outbound());
    world.add_route("10.30.0.2/32", bob.tunnel);
    let mut big = v4(alice.v4, bob.v4, 1200);
    big[6] = 0x40;
    let told = world.esp(0, alice.path, &alice.seal(1, &big));
    assert_eq!((told.len(), told[0].path), (1, Some(alice.path)));
    let (_, message) = alice.open(&told[0].bytes);
    assert_eq!((message[8], message[9], message[20], message[21]), (64, 1, 3, 4));
}
