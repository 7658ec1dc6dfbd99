//! A peer behind a NAT that gets another address: its tunnel follows the newest authenticated packet, at once, and
//! nothing else.

#![allow(clippy::unwrap_used, reason = "a test helper fails by panicking")]

use crate::harness;

use adit_dataplane::contract::{
    Command, DropReason, EspPath, Event, Following, Move, Path, Transport, Transports, TunnelKey, TunnelSpec, WorkerId,
    WorkerTotals,
};
use adit_dataplane::io::memory::Departed;
use adit_dataplane::packet::Channel;
use adit_dataplane::worker::DataplaneConfig;
use harness::*;
use std::time::Duration;

fn up(client: &Client) -> Vec<u8> {
    v4(client.v4, SERVER_V4, 60)
}

/// Where an inner packet to this client goes now.
fn goes_to(world: &mut World, client: &Client) -> Option<Path> {
    let sent = world.inner(0, &v4(SERVER_V4, client.v4, 60));
    assert_eq!(sent.len(), 1, "{:?}", world.all_dropped());
    sent[0].path
}

/// Moves that were reported, in order.
fn moves(world: &World) -> Vec<(TunnelKey, Path)> {
    let moved = |event| match event {
        Event::Moved { tunnel, path } => Some((tunnel, path.path())),
        Event::Ike(_)
        | Event::FirstUse { .. }
        | Event::Lifetime { .. }
        | Event::UnknownSpi(_)
        | Event::Flows(_)
        | Event::InnerFlows(_)
        | Event::Stalling(_)
        | Event::Retired(_) => None,
    };
    world.events().into_iter().filter_map(moved).collect()
}

fn totals(world: &World) -> WorkerTotals {
    world.dataplane.workers[0].counters.totals()
}

fn moved_by_esp(world: &World) -> u64 {
    let WorkerTotals { moved_to_nat_t, moved_to_nat_t_500, moved_to_cisco_udp, moved_to_esp, .. } = totals(world);
    moved_to_nat_t + moved_to_nat_t_500 + moved_to_cisco_udp + moved_to_esp
}

fn port(client: &Client, port: u16) -> Path {
    let mut path = client.path;
    path.peer.set_port(port);
    path
}

fn order(client: &Client, from: Path, to: Path) -> Command {
    Command::MoveTunnel(Box::new(Move { tunnel: client.tunnel, from: natt(from), to: natt(to) }))
}

#[test]
fn the_newest_packet_moves_its_tunnel_in_the_same_turn() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    world.esp(0, client.path, &client.seal(1, &up(&client)));
    let elsewhere = [path_v4(77), port(&client, 40_000), path_v6(77), Path { local: path_v6(1).local, ..path_v6(77) }];
    for (sequence, path) in (2_u32..).zip(elsewhere) {
        // In one burst: a packet out before it, the packet from elsewhere, a packet out behind it.
        let down = v4(SERVER_V4, client.v4, 60);
        world.peers[0].push_outer(Channel::NatT, path, &client.seal(sequence, &up(&client))).unwrap();
        world.peers[0].push_inner(&down).unwrap();
        world.turn(0);
        let sent = world.departed();
        let outer: Vec<_> = sent.iter().filter(|packet| packet.channel == Channel::NatT).collect();
        assert_eq!((outer.len(), outer[0].path), (1, Some(path)));
        assert_eq!(sent.len(), 2, "and the packet itself came out inside");
    }
    let all: Vec<Path> =
        moves(&world).into_iter().map(|(tunnel, path)| (tunnel == client.tunnel).then_some(path).unwrap()).collect();
    assert_eq!(all, elsewhere[..3], "the last is the third again");
    assert_eq!(moved_by_esp(&world), 3);
    assert_eq!(world.all_dropped(), []);
}

#[test]
fn what_is_repeated_late_or_forged_moves_nothing() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    let other = path_v4(66);
    let newest = client.seal(10, &up(&client));
    world.esp(0, client.path, &newest);
    world.events();
    // A replay, word by word, from elsewhere.
    assert_eq!(world.esp(0, other, &newest), []);
    // One that was held back: it is genuine and comes out, but who sent it is older than what is known.
    assert_eq!(world.esp(0, other, &client.seal(9, &up(&client))).len(), 1);
    // Forgeries of the newest kind.
    for at in [8, 20, 40] {
        let mut forged = client.seal(u32::MAX, &up(&client));
        forged[at] ^= 1;
        assert_eq!(world.esp(0, other, &forged), []);
    }
    assert_eq!(goes_to(&mut world, &client), Some(client.path));
    assert_eq!((moves(&world), moved_by_esp(&world), totals(&world).moves_limited), (vec![], 0, 0));
    assert_eq!(world.all_dropped(), [(DropReason::Replayed, 1), (DropReason::BadIcv, 3)]);
    // The next genuine one does.
    world.esp(0, other, &client.seal(11, &up(&client)));
    assert_eq!(goes_to(&mut world, &client), Some(other));
}

#[test]
fn a_dummy_or_what_is_dropped_behind_its_icv_is_the_peer_all_the_same() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    world.esp(0, path_v4(70), &client.seal_raw(1, &[0; 62], &[], 0, 59));
    assert_eq!(goes_to(&mut world, &client), Some(path_v4(70)));
    world.esp(0, path_v4(71), &client.seal(2, &v4([10, 9, 9, 9].into(), SERVER_V4, 60)));
    assert_eq!(goes_to(&mut world, &client), Some(path_v4(71)));
    assert_eq!(world.all_dropped(), [(DropReason::Dummy, 1), (DropReason::SelectorMismatch, 1)]);
}

#[test]
fn a_peer_without_a_nat_stays_where_ike_says() {
    let mut world = World::new(1);
    let client = Client::new(0, 1, gcm());
    let spec = TunnelSpec { following: Following::CommandOnly, ..client.tunnel_spec() };
    world.command(WorkerId(0), Command::AddTunnel(Box::new(spec)));
    world.command(WorkerId(0), client.add_pair());
    world.command(WorkerId(0), client.switch_outbound());
    world.add_route("10.30.0.1/32", client.tunnel);
    assert_eq!(world.esp(0, path_v4(66), &client.seal(1, &up(&client))).len(), 1, "it is genuine all the same");
    assert_eq!(goes_to(&mut world, &client), Some(client.path));
    world.command(WorkerId(0), order(&client, client.path, path_v4(67)));
    assert_eq!(goes_to(&mut world, &client), Some(path_v4(67)));
    assert_eq!(moves(&world), [(client.tunnel, path_v4(67))]);
    assert_eq!(moved_by_esp(&world), 0, "that one is control's");
}

#[test]
fn a_late_packet_does_not_undo_what_ike_proved() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    world.esp(0, client.path, &client.seal(1, &up(&client)));
    let (old, new) = (client.path, port(&client, 40_000));
    world.now = world.now + Duration::from_secs(100);
    world.command(WorkerId(0), order(&client, old, new));
    world.settle();
    // Sent before the NAT forgot, overtaken by the IKE message.
    assert_eq!(world.esp(0, old, &client.seal(2, &up(&client))).len(), 1);
    assert_eq!(goes_to(&mut world, &client), Some(new));
    // Nothing is under way for a second: who still sends from there is there.
    world.now = world.now + Duration::from_secs(1);
    world.esp(0, old, &client.seal(3, &up(&client)));
    assert_eq!(goes_to(&mut world, &client), Some(old));
    assert_eq!(moves(&world), [(client.tunnel, new), (client.tunnel, old)]);
}

#[test]
fn a_late_packet_of_a_replaced_sa_does_not_undo_what_its_successor_proved() {
    let mut world = World::new(1);
    let old = world.connect(0, 1, gcm());
    let mut new = Client::new(0, 2, gcm());
    (new.tunnel, new.v4, new.selectors) = (old.tunnel, old.v4, old.selectors.clone());
    world.esp(0, old.path, &old.seal(1, &up(&old)));
    world.command(WorkerId(0), new.add_pair());
    world.settle();
    let to = port(&old, 40_000);
    world.esp(0, to, &new.seal(1, &up(&old)));
    assert_eq!(world.esp(0, old.path, &old.seal(2, &up(&old))).len(), 1);
    assert_eq!(goes_to(&mut world, &old), Some(to));
    // The new SA itself says when the peer goes back.
    world.esp(0, old.path, &new.seal(2, &up(&old)));
    assert_eq!(goes_to(&mut world, &old), Some(old.path));
}

#[test]
fn an_order_that_esp_has_overtaken_is_not_obeyed() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    let (ike, esp) = (port(&client, 40_000), port(&client, 50_000));
    // Control saw an IKE message from one place; meanwhile ESP has come from a third.
    world.esp(0, esp, &client.seal(1, &up(&client)));
    world.command(WorkerId(0), order(&client, client.path, ike));
    assert_eq!(goes_to(&mut world, &client), Some(esp));
    assert_eq!(moves(&world), [(client.tunnel, esp)], "control hears of the one that holds");
    assert_eq!(totals(&world).commands_refused, 0, "nobody's mistake");
    world.command(WorkerId(0), order(&client, esp, ike));
    assert_eq!(goes_to(&mut world, &client), Some(ike));
    assert_eq!(moves(&world), [(client.tunnel, ike)]);
}

#[test]
fn moves_are_limited_and_the_packets_are_not() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    for sequence in 1..=30_u32 {
        let path = port(&client, 40_000 + sequence as u16);
        assert_eq!(world.esp(0, path, &client.seal(sequence, &up(&client))).len(), 1);
    }
    assert_eq!((moves(&world).len(), moved_by_esp(&world), totals(&world).moves_limited), (10, 10, 20));
    assert_eq!(goes_to(&mut world, &client), Some(port(&client, 40_010)));
    world.now = world.now + Duration::from_secs(1);
    world.esp(0, port(&client, 40_030), &client.seal(31, &up(&client)));
    assert_eq!(goes_to(&mut world, &client), Some(port(&client, 40_030)), "one more each second");
    // Another client has moves of its own.
    let bob = world.connect(0, 2, gcm());
    world.esp(0, path_v4(99), &bob.seal(1, &up(&bob)));
    assert_eq!(goes_to(&mut world, &bob), Some(path_v4(99)));
}

#[test]
fn of_moves_that_control_has_not_taken_only_the_last_is_kept() {
    let config = DataplaneConfig { pool: POOL, event_depth: 1, ..DataplaneConfig::default() };
    let mut world = World::with(config, 64);
    let client = world.connect(0, 1, gcm());
    // The first use takes the channel's one place.
    for sequence in 1..=5_u32 {
        world.esp(0, port(&client, 40_000 + sequence as u16), &client.seal(sequence, &up(&client)));
    }
    assert_eq!(moves(&world), []);
    world.settle();
    assert_eq!(moves(&world), [(client.tunnel, port(&client, 40_005))]);
    world.settle();
    assert_eq!(moves(&world), []);
}

#[test]
fn a_packet_that_another_worker_took_in_moves_its_tunnel_too() {
    let mut world = World::new(2);
    let client = world.connect(1, 1, gcm());
    world.esp(0, path_v4(77), &client.seal(1, &up(&client)));
    assert_eq!(goes_to(&mut world, &client), Some(path_v4(77)));
    assert_eq!(moves(&world), [(client.tunnel, path_v4(77))]);
}

/// A packet from this client comes in like that; this is what left.
fn comes_by(world: &mut World, path: EspPath, bytes: &[u8]) -> Vec<Departed> {
    let (channel, datagram) = dressed(path.transport(), bytes);
    world.peers[0].push_outer(channel, path.path(), &datagram).unwrap();
    world.settle();
    world.departed()
}

/// Where an inner packet to this client goes now, and how.
fn goes_by(world: &mut World, client: &Client) -> EspPath {
    let sent = world.inner(0, &v4(SERVER_V4, client.v4, 60));
    assert_eq!(sent.len(), 1, "{:?}", world.all_dropped());
    client.open(undressed(&sent[0]));
    EspPath::new(sent[0].channel.transport().unwrap(), sent[0].path.unwrap())
}

/// A client that came by `transport`, with a tunnel that is moved like this.
fn admitted(world: &mut World, transport: Transport, following: Following, transports: Transports) -> Client {
    let client = Client { transport, ..Client::new(0, 1, gcm()) };
    let spec = TunnelSpec { following, transports, ..client.tunnel_spec() };
    world.command(WorkerId(0), Command::AddTunnel(Box::new(spec)));
    world.command(WorkerId(0), client.add_pair());
    world.command(WorkerId(0), client.switch_outbound());
    world.add_route("10.30.0.1/32", client.tunnel);
    world.settle();
    client
}

#[test]
fn a_session_moves_from_any_transport_to_any_other_and_back_by_its_packets_alone() {
    for (from, to) in DATAGRAMS.into_iter().flat_map(|from| DATAGRAMS.map(|to| (from, to))) {
        let mut world = World::new(1);
        let client = admitted(&mut world, from, Following::NewestPacket, Transports::ALL);
        let here = client.esp_path();
        let there = EspPath::new(to, port(&client, 40_000));
        assert_eq!(goes_by(&mut world, &client), here);
        for (sequence, path) in [(1, here), (2, there), (3, there), (4, here)] {
            let inside = comes_by(&mut world, path, &client.seal(sequence, &up(&client)));
            assert_eq!((inside.len(), inside[0].channel), (1, Channel::Inner), "{from} to {to}");
            assert_eq!(goes_by(&mut world, &client), path, "{from} to {to}");
        }
        let told = |event| match event {
            Event::Moved { tunnel, path } => Some((tunnel, path)),
            Event::Ike(_)
            | Event::FirstUse { .. }
            | Event::Lifetime { .. }
            | Event::UnknownSpi(_)
            | Event::Flows(_)
            | Event::InnerFlows(_)
            | Event::Stalling(_)
            | Event::Retired(_) => None,
        };
        let told: Vec<_> = world.events().into_iter().filter_map(told).collect();
        // From native ESP to native ESP there is no other port.
        let moves = if here == there { vec![] } else { vec![(client.tunnel, there), (client.tunnel, here)] };
        assert_eq!(told, moves);
        let WorkerTotals { moved_to_nat_t, moved_to_nat_t_500, moved_to_cisco_udp, moved_to_esp, .. } = totals(&world);
        let all_counted = [moved_to_nat_t, moved_to_nat_t_500, moved_to_cisco_udp, moved_to_esp];
        for (transport, counted) in DATAGRAMS.into_iter().zip(all_counted) {
            let moves = moves.iter().filter(|(_, path)| path.transport() == transport).count();
            assert_eq!(counted, moves as u64, "{from} to {to}: counted for {transport}");
        }
        assert_eq!(world.all_dropped(), []);
    }
}

#[test]
fn what_is_repeated_late_or_forged_moves_nothing_whichever_way_it_comes() {
    for (from, to) in DATAGRAMS.into_iter().flat_map(|from| DATAGRAMS.map(|to| (from, to))) {
        let mut world = World::new(1);
        let client = admitted(&mut world, from, Following::NewestPacket, Transports::ALL);
        let (here, elsewhere) = (client.esp_path(), EspPath::new(to, path_v4(66)));
        let newest = client.seal(10, &up(&client));
        comes_by(&mut world, here, &newest);
        assert_eq!(comes_by(&mut world, elsewhere, &newest), []);
        assert_eq!(comes_by(&mut world, elsewhere, &client.seal(9, &up(&client))).len(), 1, "late, and genuine");
        for at in [8, 20, 40] {
            let mut forged = client.seal(u32::MAX, &up(&client));
            forged[at] ^= 1;
            assert_eq!(comes_by(&mut world, elsewhere, &forged), []);
        }
        assert_eq!(goes_by(&mut world, &client), here, "{from} to {to}");
        assert_eq!((moves(&world), moved_by_esp(&world), totals(&world).moves_limited), (vec![], 0, 0));
        assert_eq!(world.all_dropped(), [(DropReason::Replayed, 1), (DropReason::BadIcv, 3)]);
        comes_by(&mut world, elsewhere, &client.seal(11, &up(&client)));
        assert_eq!(goes_by(&mut world, &client), elsewhere, "the next genuine one does");
    }
}

#[test]
fn a_transport_that_a_session_may_not_use_carries_its_packets_and_moves_nothing() {
    for forbidden in DATAGRAMS {
        let mut world = World::new(1);
        let allowed: Transports = DATAGRAMS.into_iter().filter(|transport| *transport != forbidden).collect();
        let from = allowed.iter().next().unwrap();
        let client = admitted(&mut world, from, Following::NewestPacket, allowed);
        let by = |transport| EspPath::new(transport, client.path);
        assert_eq!(comes_by(&mut world, by(forbidden), &client.seal(1, &up(&client))).len(), 1);
        assert_eq!(goes_by(&mut world, &client), client.esp_path());
        for (sequence, transport) in (2..).zip(allowed.iter()) {
            comes_by(&mut world, by(transport), &client.seal(sequence, &up(&client)));
            assert_eq!(goes_by(&mut world, &client), by(transport));
        }
        assert_eq!(world.all_dropped(), []);
    }
}

#[test]
fn nothing_goes_out_by_a_transport_that_is_closed_later_and_nothing_moves_there_until_it_is_open_again() {
    for closed in DATAGRAMS {
        let mut world = World::new(1);
        let other = DATAGRAMS.into_iter().find(|transport| *transport != closed).unwrap();
        let client = admitted(&mut world, closed, Following::NewestPacket, Transports::ALL);
        let by = |transport| EspPath::new(transport, client.path);
        let order = |closed| Command::CloseTransports { tunnel: client.tunnel, closed };
        world.command(WorkerId(0), order(Transports::NONE.with(closed)));
        assert_eq!(comes_by(&mut world, by(closed), &client.seal(1, &up(&client))).len(), 1, "it is received");
        assert_eq!(world.inner(0, &v4(SERVER_V4, client.v4, 60)), []);
        assert_eq!(world.all_dropped(), [(DropReason::TransportClosed, 1)]);
        comes_by(&mut world, by(other), &client.seal(2, &up(&client)));
        assert_eq!(goes_by(&mut world, &client), by(other));
        comes_by(&mut world, by(closed), &client.seal(3, &up(&client)));
        assert_eq!(goes_by(&mut world, &client), by(other), "it does not go back");
        world.command(WorkerId(0), order(Transports::NONE));
        comes_by(&mut world, by(closed), &client.seal(4, &up(&client)));
        assert_eq!(goes_by(&mut world, &client), by(closed));
        world.command(WorkerId(0), order(Transports::NONE.with(closed)));
        world.command(WorkerId(0), order(Transports::NONE));
        assert_eq!(goes_by(&mut world, &client), by(closed), "open again, it goes on where it was");
        assert_eq!(world.all_dropped(), [(DropReason::TransportClosed, 1)]);
    }
}

#[test]
fn a_peer_behind_no_nat_moves_between_transports_and_not_between_addresses() {
    let mut world = World::new(1);
    let client = admitted(&mut world, Transport::Esp, Following::SameHosts, Transports::ALL);
    for (sequence, transport) in (1..).zip(DATAGRAMS.into_iter().chain([Transport::NatT])) {
        let here = EspPath::new(transport, client.path);
        comes_by(&mut world, here, &client.seal(2 * sequence, &up(&client)));
        assert_eq!(goes_by(&mut world, &client), here);
        let elsewhere = EspPath::new(transport, path_v4(66));
        assert_eq!(comes_by(&mut world, elsewhere, &client.seal(2 * sequence + 1, &up(&client))).len(), 1);
        assert_eq!(goes_by(&mut world, &client), here, "it is genuine, and where it comes from is nobody's word");
    }
}
