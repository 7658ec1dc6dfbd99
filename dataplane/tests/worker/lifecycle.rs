//! Commands and events: tunnels come and go, SAs are rekeyed make-before-break, no event that carries state is lost.

use crate::harness;

use adit_crypto::esp_cipher::EspCipher;
use adit_dataplane::contract::{
    Command, DropReason, Event, IkeDatagram, IkeFraming, InboundSpec, Keepalive, KeepaliveForm, Lane, Move, PairSpec,
    Retired, Selectors, Spi, TunnelKey, TunnelSpec, WorkerId,
};
use adit_dataplane::packet::Channel;
use adit_dataplane::worker::{DataplaneConfig, Turn};
use harness::*;
use std::sync::Arc;
use std::time::Duration;

/// Events in words.
fn told(events: Vec<Event>) -> Vec<String> {
    let key = |cipher: EspCipher| cipher.suite().to_string();
    let slot = |spi: Spi| layout().decode(spi).slot;
    let in_words = |event| match event {
        Event::Ike(datagram) => {
            format!("IKE {:?} {} from {}", datagram.framing, datagram.bytes.len(), datagram.path.peer)
        }
        Event::FirstUse { spi } => format!("first use of inbound {}", slot(spi)),
        Event::Lifetime { pair, direction, reached } => format!("{reached:?} limit of {direction:?} {}", slot(pair)),
        Event::Moved { tunnel, path } => format!("tunnel {} moved to {}", tunnel.slot, path.path().peer),
        Event::UnknownSpi(wayward) => format!("unknown SPI {:#x} from {}", wayward.spi, wayward.path.path().peer),
        Event::Flows(page) => format!("{} connections", page.flows.len()),
        Event::InnerFlows(page) => format!("{} inner flows", page.flows.len()),
        Event::Stalling(stalled) => format!("{:?} stall of {}", stalled.stalling, stalled.flow.id),
        Event::Retired(Retired::Inbound { spi, cipher }) => format!("inbound {} with {}", slot(spi), key(cipher)),
        Event::Retired(Retired::Outbound { tunnel, cipher }) => {
            format!("outbound of {} with {}", tunnel.slot, key(cipher))
        }
        Event::Retired(Retired::Tunnel { tunnel }) => format!("tunnel {}", tunnel.slot),
    };
    events.into_iter().map(in_words).collect()
}

/// The same tunnel's next child SA: other keys, other SPIs.
fn next_child(client: &Client, slot: u32, suite_index: usize) -> Client {
    let mut next = Client::new(0, slot, suites()[suite_index]);
    (next.tunnel, next.path, next.v4, next.v6) = (client.tunnel, client.path, client.v4, client.v6);
    next.selectors = client.selectors.clone();
    next
}

#[test]
fn a_rekey_loses_nothing() {
    let mut world = World::new(1);
    let old = world.connect(0, 1, gcm());
    let new = next_child(&old, 2, 1);
    let up = v4(old.v4, SERVER_V4, 100);
    let down = v4(SERVER_V4, old.v4, 100);

    assert_eq!(world.esp(0, old.path, &old.seal(1, &up)).len(), 1);
    assert_eq!(told(world.events()), ["first use of inbound 1"]);

    // CREATE_CHILD_SA is under way: we can receive on the new SA, and still send on the old one.
    world.command(WorkerId(0), new.add_pair());
    assert_eq!(old.open(&world.inner(0, &down)[0].bytes).0, 1);
    assert_eq!(world.esp(0, old.path, &old.seal(2, &up)).len(), 1);

    // The peer uses it: now we do, too.
    assert_eq!(world.esp(0, old.path, &new.seal(1, &up)).len(), 1);
    assert_eq!(told(world.events()), ["first use of inbound 2"]);
    world.command(WorkerId(0), new.switch_outbound());
    assert_eq!(new.open(&world.inner(0, &down)[0].bytes).0, 1);
    assert_eq!(told(world.events()), Vec::<String>::new());

    // Stragglers of the old SA still arrive, until it is dropped.
    assert_eq!(world.esp(0, old.path, &old.seal(3, &up)).len(), 1);
    world.command(WorkerId(0), Command::DropPair { spi: old.spi });
    assert_eq!(world.esp(0, old.path, &old.seal(4, &up)), []);
    let unknown = format!("unknown SPI {:#x} from {}", old.spi.get(), old.path.peer);
    let retired = [format!("inbound 1 with {}", gcm()), format!("outbound of 1 with {}", gcm())];
    assert_eq!(told(world.events()), [&retired[..], &[unknown]].concat());
    assert_eq!(world.all_dropped(), [(DropReason::UnknownSpi, 1)]);
    assert_eq!(world.esp(0, old.path, &new.seal(2, &up)).len(), 1);
}

/// A tunnel whose only child SA nobody has used yet, in `lane`.
fn unused(world: &mut World, lane: Lane) -> Client {
    let client = Client::new(0, 1, gcm());
    world.command(WorkerId(0), Command::AddTunnel(Box::new(client.tunnel_spec())));
    world.command(WorkerId(0), client.add_pair_in(lane));
    world.add_route("10.30.0.1/32", client.tunnel);
    world.settle();
    client
}

/// What an inner packet for this client becomes: its number, if it was sent on this SA.
fn sent_on(world: &mut World, client: &Client) -> Option<u32> {
    let sent = world.inner(0, &v4(SERVER_V4, client.v4, 100));
    sent.first().map(|sent| client.open(&sent.bytes).0)
}

#[test]
fn the_answer_to_the_first_packet_leaves_although_control_has_said_nothing() {
    for lane in [Lane::FIRST, Lane::all().last().unwrap()] {
        let mut world = World::new(1);
        let client = unused(&mut world, lane);
        let up = v4(client.v4, SERVER_V4, 100);
        assert_eq!(sent_on(&mut world, &client), None);
        assert_eq!(world.all_dropped(), [(DropReason::NoOutboundSa, 1)]);
        // Who has not proven to have the keys begins nothing.
        let mut forged = client.seal(1, &up);
        forged[30] ^= 1;
        assert_eq!(world.esp(0, client.path, &forged), []);
        assert_eq!(sent_on(&mut world, &client), None);
        // Both are in one burst.
        world.peers[0].push_outer(Channel::NatT, client.path, &client.seal(1, &up)).unwrap();
        world.peers[0].push_inner(&v4(SERVER_V4, client.v4, 100)).unwrap();
        world.turn(0);
        let departed = world.departed();
        assert_eq!(departed.len(), 2, "{:?}", world.all_dropped());
        assert_eq!(client.open(&departed.iter().find(|sent| sent.path.is_some()).unwrap().bytes).0, 1);
        assert_eq!(told(world.events()), ["first use of inbound 1"]);
        // Control comes later, and says it more than once: the numbers go on.
        for number in 2..5 {
            world.command(WorkerId(0), client.switch_outbound());
            assert_eq!(sent_on(&mut world, &client), Some(number));
        }
        assert_eq!(told(world.events()), Vec::<String>::new());
        assert_eq!(world.dataplane.workers[0].counters.totals().commands_refused, 0);
    }
}

#[test]
fn the_owner_begins_to_answer_although_the_first_packet_came_to_another_worker() {
    let mut world = World::new(2);
    let client = unused(&mut world, Lane::FIRST);
    assert_eq!(world.esp(1, client.path, &client.seal(1, &v4(client.v4, SERVER_V4, 100))).len(), 1);
    let sent = world.inner(1, &v4(SERVER_V4, client.v4, 100));
    assert_eq!(client.open(&sent[0].bytes).0, 1);
}

#[test]
fn with_an_older_sa_in_the_lane_control_decides_what_is_sent_on() {
    let mut world = World::new(1);
    let old = world.connect(0, 1, gcm());
    let new = next_child(&old, 2, 1);
    let up = v4(old.v4, SERVER_V4, 100);
    world.command(WorkerId(0), new.add_pair());
    assert_eq!(world.esp(0, old.path, &new.seal(1, &up)).len(), 1);
    assert_eq!(told(world.events()), ["first use of inbound 2"]);
    assert_eq!((sent_on(&mut world, &old), sent_on(&mut world, &old)), (Some(1), Some(2)));
    world.command(WorkerId(0), new.switch_outbound());
    assert_eq!(sent_on(&mut world, &new), Some(1));
    // Control may turn back: it hears of first uses later than they happen. No number is used twice.
    world.command(WorkerId(0), old.switch_outbound());
    assert_eq!(sent_on(&mut world, &old), Some(3));
    world.command(WorkerId(0), new.switch_outbound());
    assert_eq!(sent_on(&mut world, &new), Some(2));
    let packets = |client: &Client| client.down_counters.totals().packets;
    assert_eq!((packets(&old), packets(&new)), (3, 2));
}

#[test]
fn what_control_has_stopped_is_not_sent_on_for_a_first_packet() {
    let mut world = World::new(1);
    let client = unused(&mut world, Lane::FIRST);
    for _ in 0..2 {
        world.command(WorkerId(0), Command::StopOutbound { spi: client.spi });
    }
    let up = v4(client.v4, SERVER_V4, 100);
    assert_eq!(world.esp(0, client.path, &client.seal(1, &up)).len(), 1, "it is still received on");
    assert_eq!(told(world.events()), ["first use of inbound 1"]);
    assert_eq!(sent_on(&mut world, &client), None);
    // One that was sent on and has given way does not come back by itself either.
    let [one, other] = [2, 3].map(|slot| next_child(&client, slot, 0));
    for child in [&one, &other] {
        world.command(WorkerId(0), child.add_pair());
        world.command(WorkerId(0), child.switch_outbound());
    }
    world.command(WorkerId(0), Command::StopOutbound { spi: other.spi });
    assert_eq!(world.esp(0, client.path, &one.seal(1, &up)).len(), 1);
    assert_eq!(sent_on(&mut world, &one), None);
    // Control can still have it.
    world.command(WorkerId(0), one.switch_outbound());
    assert_eq!(sent_on(&mut world, &one), Some(1));
    // What another sends on is nobody else's to stop.
    world.command(WorkerId(0), Command::StopOutbound { spi: other.spi });
    assert_eq!(sent_on(&mut world, &one), Some(2));
    assert_eq!(world.dataplane.workers[0].counters.totals().commands_refused, 0);
}

#[test]
fn a_dropped_child_sa_comes_home_with_both_halves_sent_on_or_not() {
    let mut world = World::new(1);
    let client = unused(&mut world, Lane::FIRST);
    let retired = |slot| [format!("inbound {slot} with {}", gcm()), format!("outbound of 1 with {}", gcm())];
    world.command(WorkerId(0), Command::DropPair { spi: client.spi });
    world.settle();
    assert_eq!(told(world.events()), retired(1));

    let [one, other] = [2, 3].map(|slot| next_child(&client, slot, 0));
    for child in [&one, &other] {
        world.command(WorkerId(0), child.add_pair());
        world.command(WorkerId(0), child.switch_outbound());
    }
    // One has given way to the other.
    world.command(WorkerId(0), Command::DropPair { spi: one.spi });
    world.settle();
    assert_eq!(told(world.events()), retired(2));
    assert_eq!(sent_on(&mut world, &other), Some(1));
    world.command(WorkerId(0), Command::DropPair { spi: other.spi });
    world.settle();
    assert_eq!(told(world.events()), retired(3));
    assert_eq!(sent_on(&mut world, &other), None);
    world.command(WorkerId(0), Command::DropTunnel { tunnel: client.tunnel });
    world.settle();
    assert_eq!(told(world.events()), ["tunnel 1"]);
}

#[test]
fn a_dropped_tunnel_comes_home_whole_and_last() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    world.command(WorkerId(0), next_child(&client, 2, 3).add_pair());
    world.command(WorkerId(0), Command::DropTunnel { tunnel: client.tunnel });
    world.settle();
    let halves = |slot, suite| [format!("inbound {slot} with {suite}"), format!("outbound of 1 with {suite}")];
    let expected = [&halves(1, gcm())[..], &halves(2, suites()[3]), &["tunnel 1".to_owned()]].concat();
    assert_eq!(told(world.events()), expected);
    // Its slots are free for others.
    let again = world.connect(0, 1, gcm());
    assert_eq!(world.esp(0, again.path, &again.seal(1, &v4(again.v4, SERVER_V4, 60))).len(), 1);
    assert_eq!(world.dataplane.workers[0].counters.totals().commands_refused, 0);
}

#[test]
fn first_use_is_told_once_and_only_for_authenticated_packets() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    let mut forged = client.seal(1, &v4(client.v4, SERVER_V4, 60));
    forged[30] ^= 1;
    world.esp(0, client.path, &forged);
    assert_eq!(world.events().len(), 0);
    for sequence in 1..4 {
        world.esp(0, client.path, &client.seal(sequence, &v4(client.v4, SERVER_V4, 60)));
    }
    assert_eq!(told(world.events()), ["first use of inbound 1"]);
    // A dummy is authenticated as well (RFC 4303 section 2.6).
    let other = world.connect(0, 2, gcm());
    world.esp(0, other.path, &other.seal_raw(1, &[0; 62], &[], 0, 59));
    assert_eq!(told(world.events()), ["first use of inbound 2"]);
}

#[test]
fn state_waits_for_a_full_channel_and_holds_further_commands_up() {
    let config = DataplaneConfig { pool: POOL, event_depth: 2, ..DataplaneConfig::default() };
    let mut world = World::with(config, 64);
    let clients: Vec<Client> = (1..4).map(|slot| world.connect(0, slot, gcm())).collect();
    for client in &clients {
        world.command(WorkerId(0), Command::DropTunnel { tunnel: client.tunnel });
    }
    world.turn(0);
    // Three events for two places: the second tunnel is not touched before the third is taken.
    assert_eq!(world.esp(0, clients[1].path, &clients[1].seal(1, &v4(clients[1].v4, SERVER_V4, 60))).len(), 1);
    // IKE does not wait.
    world.peers[0].push_outer(Channel::Ike, path_v4(9), &[1; 40]).unwrap();
    world.turn(0);
    assert_eq!(world.all_dropped(), [(DropReason::ControlBusy, 1)]);

    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(told(world.events()));
        world.turn(0);
    }
    let gcm = gcm();
    let of = |slot| {
        [format!("inbound {slot} with {gcm}"), format!("outbound of {slot} with {gcm}"), format!("tunnel {slot}")]
    };
    let expected = [&of(1)[..], &["first use of inbound 2".to_owned()], &of(2), &of(3)].concat();
    assert_eq!(all, expected);
}

#[test]
fn a_worker_whose_control_is_gone_obeys_what_it_was_told_and_stops_though_its_events_were_held_up() {
    let config = DataplaneConfig { pool: POOL, event_depth: 2, ..DataplaneConfig::default() };
    let mut world = World::with(config, 64);
    let clients: Vec<Client> = (1..4).map(|slot| world.connect(0, slot, gcm())).collect();
    for client in &clients {
        world.command(WorkerId(0), Command::DropTunnel { tunnel: client.tunnel });
    }
    let keepalive = Keepalive { path: path_v4(1), form: KeepaliveForm::NatT };
    world.command(WorkerId(0), Command::SendKeepalive(keepalive));
    assert_eq!((world.turn(0), world.turn(0)), (Turn::Busy, Turn::Idle), "one tunnel has come home, and is not taken");
    let World { dataplane, mut workers, mut peers, now } = world;
    drop(dataplane);
    assert_eq!(workers[0].turn(now).unwrap(), Turn::Stopped);
    assert_eq!(peers[0].take().len(), 1, "the last command was obeyed");
}

#[test]
fn a_moved_tunnel_sends_to_the_new_address() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    for (from, path) in [(client.path, path_v4(77)), (path_v4(77), path_v6(77))] {
        world.command(
            WorkerId(0),
            Command::MoveTunnel(Box::new(Move { tunnel: client.tunnel, from: natt(from), to: natt(path) })),
        );
        let outside = world.inner(0, &v4(SERVER_V4, client.v4, 60));
        assert_eq!(outside[0].path, Some(path));
    }
}

#[test]
fn ike_passes_both_ways_in_its_framing() {
    let mut world = World::new(1);
    let message: Vec<u8> = (1..=200).collect();
    world.peers[0].push_outer(Channel::Ike, path_v4(1), &message).unwrap();
    world.peers[0].push_outer(Channel::NatT, path_v4(2), &[&[0; 4][..], &message].concat()).unwrap();
    world.peers[0].push_outer(Channel::NatT, path_v6(3), &[&[0; 4][..], &message[..28]].concat()).unwrap();
    world.settle();
    assert_eq!(
        told(world.events()),
        [
            "IKE Bare 200 from 198.51.100.1:4500",
            "IKE NonEspMarker 200 from 198.51.100.2:4500",
            "IKE NonEspMarker 28 from [2001:db8::3]:4500"
        ]
    );
    for (framing, len, channel, marker) in [
        (IkeFraming::Bare, 28, Channel::Ike, 0),
        (IkeFraming::NonEspMarker, 28, Channel::NatT, 4),
        (IkeFraming::Bare, 1792, Channel::Ike, 0),
        (IkeFraming::Bare, 1793, Channel::Ike, 0),
        (IkeFraming::NonEspMarker, 65_503, Channel::NatT, 4),
        (IkeFraming::Bare, 65_507, Channel::Ike, 0),
    ] {
        let datagram = IkeDatagram { path: path_v4(1), framing, bytes: vec![5; len] };
        world.command(WorkerId(0), Command::SendIke(datagram));
        world.settle();
        let departed = world.departed();
        assert_eq!((departed[0].channel, departed[0].path), (channel, Some(path_v4(1))));
        assert_eq!(departed[0].bytes, [vec![0; marker], vec![5; len]].concat());
    }
    for (form, channel, bytes) in [
        (KeepaliveForm::NatT, Channel::NatT, &[0xff][..]),
        (KeepaliveForm::NatT500, Channel::Ike, &[0xff]),
        (KeepaliveForm::Cisco, Channel::CiscoUdp, &[0xff]),
        (KeepaliveForm::CiscoMarked, Channel::CiscoUdp, &[0, 0, 0, 0, 0xff]),
    ] {
        world.command(WorkerId(0), Command::SendKeepalive(Keepalive { path: path_v6(1), form }));
        world.settle();
        let keepalive = world.departed();
        assert_eq!((keepalive[0].channel, &keepalive[0].bytes[..]), (channel, bytes));
        assert_eq!(keepalive[0].path, Some(path_v6(1)));
    }
    assert_eq!(world.all_dropped(), []);
}

#[test]
fn commands_that_do_not_fit_change_nothing_and_are_counted() {
    let mut world = World::new(1);
    let client = world.connect(0, 1, gcm());
    let nowhere = TunnelKey { worker: WorkerId(0), slot: 40 };
    let elsewhere = TunnelKey { worker: WorkerId(1), slot: 1 };
    let beyond = TunnelKey { worker: WorkerId(0), slot: u32::MAX };
    let add = |tunnel, slot, spi| {
        let child = next_child(&client, slot, 0);
        let (inbound, outbound) = (InboundSpec { tunnel, spi, ..child.inbound_spec() }, child.outbound_spec());
        Command::AddPair(Box::new(PairSpec { inbound, outbound }))
    };
    let refused = vec![
        Command::AddTunnel(Box::new(client.tunnel_spec())),
        Command::AddTunnel(Box::new(TunnelSpec { tunnel: beyond, ..client.tunnel_spec() })),
        Command::MoveTunnel(Box::new(Move { tunnel: nowhere, from: natt(path_v4(1)), to: natt(path_v4(2)) })),
        add(nowhere, 5, spi(0, 5)),
        add(elsewhere, 5, spi(0, 5)),
        add(client.tunnel, 1, client.spi),
        add(client.tunnel, 5, spi(3, 5)),
        Command::SwitchOutbound { spi: spi(0, 9) },
        Command::SwitchOutbound { spi: spi(1, 1) },
        Command::StopOutbound { spi: spi(0, 9) },
        Command::DropPair { spi: spi(0, 9) },
        Command::DropTunnel { tunnel: nowhere },
    ];
    let n = refused.len() as u64;
    for command in refused {
        world.command(WorkerId(0), command);
    }
    world.settle();
    assert_eq!(world.dataplane.workers[0].counters.totals().commands_refused, n);

    // Four inbound SAs are allowed for each of eight lanes, one more is not.
    for slot in 10..42 {
        world.command(WorkerId(0), add(client.tunnel, slot, spi(0, slot)));
    }
    world.settle();
    assert_eq!(world.dataplane.workers[0].counters.totals().commands_refused, n + 1);
    assert_eq!(told(world.events()), Vec::<String>::new());
    assert_eq!(world.esp(0, client.path, &client.seal(1, &v4(client.v4, SERVER_V4, 60))).len(), 1);
}

/// RFC 4301 section 4.4.1: the first entry that matches.
#[test]
fn a_packet_goes_into_the_first_lane_whose_selectors_allow_it() {
    let mut world = World::new(1);
    let session = world.connect(0, 1, gcm());
    let [first, second, third] = [Lane::FIRST, Lane::all().nth(1).unwrap(), Lane::all().nth(7).unwrap()];
    let [near, far] = [[10, 20, 0, 2], [10, 20, 0, 9]].map(std::net::Ipv4Addr::from);
    let child = |slot, from: &[std::net::Ipv4Addr]| {
        let mut child = next_child(&session, slot, 0);
        let local = from.iter().map(|address| only((*address).into())).collect();
        child.selectors = Arc::new(Selectors { local, remote: whole_world() });
        child
    };
    let (one, other, wide) = (child(2, &[near]), child(3, &[far]), child(4, &[near, far]));
    let send_on = |world: &mut World, child: &Client, lane| {
        world.command(WorkerId(0), child.add_pair_in(lane));
        world.command(WorkerId(0), child.switch_outbound());
        world.settle();
    };
    let sent_on = |world: &mut World, from| {
        world.inner(0, &v4(from, session.v4, 100)).first().map(|sent| sent.bytes[..4].to_vec())
    };
    let spi_of = |child: &Client| Some(child.own_spi.to_be_bytes().to_vec());

    // One SA takes what it allows; the rest is dropped.
    send_on(&mut world, &one, first);
    assert_eq!(sent_on(&mut world, near), spi_of(&one));
    assert_eq!(sent_on(&mut world, far), None);
    assert_eq!(world.all_dropped(), [(DropReason::SelectorMismatch, 1)]);
    // The lanes are tried in their order, not in the order in which they came.
    send_on(&mut world, &wide, third);
    assert_eq!(sent_on(&mut world, far), spi_of(&wide));
    send_on(&mut world, &other, second);
    assert_eq!((sent_on(&mut world, near), sent_on(&mut world, far)), (spi_of(&one), spi_of(&other)));
    // A lane that ends leaves its packets to the next.
    world.command(WorkerId(0), Command::StopOutbound { spi: one.spi });
    world.settle();
    assert_eq!((sent_on(&mut world, near), sent_on(&mut world, far)), (spi_of(&wide), spi_of(&other)));
    for child in [&other, &wide] {
        world.command(WorkerId(0), Command::StopOutbound { spi: child.spi });
    }
    world.settle();
    assert_eq!(sent_on(&mut world, near), None);
    assert_eq!(world.dropped(DropReason::NoOutboundSa), 1);
    // Each was charged with what it carried.
    let packets = |child: &Client| child.down_counters.totals().packets;
    assert_eq!((packets(&one), packets(&other), packets(&wide)), (2, 2, 2));
}

#[test]
fn stop_sends_what_is_queued() {
    let mut world = World::new(1);
    world.command(
        WorkerId(0),
        Command::SendIke(IkeDatagram { path: path_v4(1), framing: IkeFraming::Bare, bytes: vec![1; 80] }),
    );
    world.command(WorkerId(0), Command::Stop);
    assert_eq!(world.turn(0), Turn::Stopped);
    assert_eq!(world.departed().len(), 1);
}

#[test]
fn packets_of_nobodys_are_told_ten_times_a_second_whoever_sends_how_many() {
    let mut world = World::new(1);
    let path = Client::new(0, 1, gcm()).path;
    let nobodys = [&[0x77; 4][..], &[9; 80]].concat();
    let mut told_of = 0;
    for _ in 0..1000 {
        assert_eq!(world.esp(0, path, &nobodys), []);
        world.now = world.now + Duration::from_millis(1);
        for event in world.events() {
            let Event::UnknownSpi(wayward) = event else { panic!("{:?}", told(vec![event])) };
            assert_eq!((wayward.spi, wayward.path.path(), wayward.len), (0x7777_7777, path, 84));
            told_of += 1;
        }
    }
    assert_eq!((told_of, world.all_dropped()), (10, vec![(DropReason::UnknownSpi, 1000)]));
}
