//! Several workers: what lands on the wrong one is handed over, in order, and its buffer comes home.

use crate::harness;

use adit_dataplane::contract::{Command, DropReason, NextHop, Transport, Wake};
use adit_dataplane::io::memory::pair;
use adit_dataplane::io::{Capabilities, Door, DoorStats, Woken};
use adit_dataplane::packet::{Burst, Channel, Meta, Pool, PoolSizes, Segments};
use adit_dataplane::time::Instant;
use adit_dataplane::worker::{DataplaneConfig, assemble, start};
use harness::*;
use std::io;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn esp_on_the_wrong_worker_reaches_its_owner() {
    let mut world = World::new(3);
    let client = world.connect(2, 1, gcm());
    let inner = v4(client.v4, SERVER_V4, 100);
    for wrong in [0, 1] {
        let inside = world.esp(wrong, client.path, &client.seal(1 + wrong as u32, &inner));
        assert_eq!(inside[0].bytes, inner);
    }
    assert_eq!(world.all_dropped(), []);
    let totals = |worker: usize| world.dataplane.workers[worker].counters.totals();
    assert_eq!((totals(0).handed_off, totals(1).handed_off, totals(2).taken_over), (1, 1, 2));
    assert_eq!((totals(2).outer_received, totals(2).inner_sent), (0, 2));
}

#[test]
fn workers_that_take_one_packet_at_a_time_hand_over_too() {
    let config = DataplaneConfig { workers: vec![None; 2], pool: POOL, burst: 1, ..DataplaneConfig::default() };
    let mut world = World::with(config, 1024);
    let client = world.connect(1, 1, gcm());
    for sequence in 1..=5 {
        let inner = v4(client.v4, SERVER_V4, 100 + sequence as usize);
        let inside = world.esp(0, client.path, &client.seal(sequence, &inner));
        assert_eq!(inside.into_iter().map(|packet| packet.bytes).collect::<Vec<_>>(), [inner]);
    }
    assert_eq!(world.dataplane.workers[1].counters.totals().taken_over, 5);
}

#[test]
fn esp_in_port_500_on_the_wrong_worker_reaches_its_owner_and_is_answered_there() {
    let mut world = World::new(3);
    let client = Client { transport: Transport::NatT500, ..Client::new(2, 1, gcm()) };
    let client = world.admit(client);
    let inner = v4(client.v4, SERVER_V4, 100);
    for (sequence, wrong) in [(1, 0), (2, 1)] {
        let (channel, datagram) = dressed(Transport::NatT500, &client.seal(sequence, &inner));
        world.peers[wrong].push_outer(channel, client.path, &datagram).unwrap();
        world.settle();
        assert_eq!(world.departed()[0].bytes, inner);
    }
    let down = v4(SERVER_V4, client.v4, 100);
    let sent = world.inner(0, &down);
    assert_eq!((sent.len(), sent[0].channel, sent[0].path), (1, Channel::NatT500, Some(client.path)));
    assert_eq!(client.open(undressed(&sent[0])).1, down);
    assert_eq!(world.all_dropped(), []);
    let totals = |worker: usize| world.dataplane.workers[worker].counters.totals();
    assert_eq!((totals(0).handed_off, totals(1).handed_off, totals(2).taken_over), (2, 1, 3));
    assert_eq!(totals(2).ike_received, 0);
}

#[test]
fn an_answer_on_the_wrong_worker_reaches_its_tunnel() {
    let mut world = World::new(2);
    let client = world.connect(1, 1, gcm());
    for len in 60..80 {
        world.peers[0].push_inner(&v4(SERVER_V4, client.v4, len)).unwrap();
    }
    world.settle();
    let departed = world.departed();
    let lengths: Vec<usize> = departed.iter().map(|packet| client.open(&packet.bytes).1.len()).collect();
    assert_eq!(lengths, (60..80).collect::<Vec<_>>(), "in order");
    assert_eq!(world.all_dropped(), []);
}

#[test]
fn clients_of_different_workers_reach_each_other() {
    let mut world = World::new(2);
    let (alice, bob) = (world.connect(0, 1, gcm()), world.connect(1, 2, gcm()));
    let departed = world.esp(0, alice.path, &alice.seal(1, &v4(alice.v4, bob.v4, 99)));
    assert_eq!(departed[0].path, Some(bob.path));
    assert_eq!(bob.open(&departed[0].bytes).1[8], 63, "one hop, not two");
}

#[test]
fn a_super_packet_is_cut_by_its_owner() {
    let mut world = World::new(2);
    let client = world.connect(1, 1, gcm());
    let meta = Meta { segments: Segments::Udp { payload: 500 }, ..Meta::default() };
    for _ in 0..20 {
        world.peers[0].push(meta, &v4(SERVER_V4, client.v4, 28 + 3000)).unwrap();
        world.settle();
        assert_eq!(world.departed().len(), 6, "{:?}", world.all_dropped());
    }
}

#[test]
fn no_pool_runs_dry_for_a_neighbour() {
    let pool = PoolSizes { small: 32, small_capacity: 2048, large: 2 };
    let config =
        DataplaneConfig { workers: vec![None; 2], pool, burst: 16, handoff_depth: 8, ..DataplaneConfig::default() };
    let mut world = World::with(config, 64);
    let client = world.connect(1, 1, gcm());
    for _ in 0..500 {
        for _ in 0..8 {
            world.peers[0].push_inner(&v4(SERVER_V4, client.v4, 60)).unwrap();
        }
        world.settle();
        assert_eq!(world.departed().len(), 8, "{:?}", world.all_dropped());
    }
    assert_eq!(world.all_dropped(), []);
    world.settle();
    for worker in &world.workers {
        assert_eq!(worker.free_buffers(), (32, 2));
    }
}

/// A door that has super-packets, and takes them in as long as the pool has large buffers; what leaves by it is gone.
struct Large {
    left: usize,
    bytes: Vec<u8>,
}

impl Door for Large {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "large", inner_segments: true, outer_segments: 1 }
    }
    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize {
        let before = burst.len();
        while self.left > 0 && burst.len() - before < limit {
            let Some(mut packet) = pool.take_large() else { break };
            let Some(room) = packet.extend_back(self.bytes.len()) else { break };
            room.copy_from_slice(&self.bytes);
            packet.meta = Meta { segments: Segments::Udp { payload: 500 }, ..Meta::default() };
            burst.push(packet);
            self.left -= 1;
        }
        burst.len() - before
    }
    fn transmit(&mut self, pool: &mut Pool, burst: &mut Burst) {
        burst.drain(..).for_each(|packet| pool.put(packet));
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
        DoorStats::default()
    }
}

#[test]
fn a_buffer_that_a_neighbour_has_paid_is_at_home_before_the_door_needs_it() {
    let pool = PoolSizes { large: 1, ..POOL };
    let config = DataplaneConfig { workers: vec![None; 2], pool, ..DataplaneConfig::default() };
    let client = Client::new(1, 1, gcm());
    let doors = [3, 0].map(|left| Large { left, bytes: v4(SERVER_V4, client.v4, 28 + 3000) });
    let mut routes = routes();
    routes.insert(format!("{}/32", client.v4).parse().unwrap(), NextHop::Tunnel(client.tunnel));
    let (dataplane, mut workers) = assemble(&config, layout(), routes, doors.into()).unwrap();
    for command in [Command::AddTunnel(Box::new(client.tunnel_spec())), client.add_pair(), client.switch_outbound()] {
        assert!(dataplane.workers[1].send(command).is_ok());
    }
    for turns in 1..=3 {
        workers[0].turn(Instant::ZERO).unwrap();
        workers[1].turn(Instant::ZERO).unwrap();
        let totals = |worker: usize| dataplane.workers[worker].counters.totals();
        assert_eq!((totals(0).handed_off, totals(1).outer_sent), (turns, 6 * turns), "one a turn");
    }
}

#[test]
fn threads_start_hand_over_wake_and_stop() {
    let config = DataplaneConfig {
        workers: vec![None; 2],
        pool: POOL,
        // So long that a wake-up that gets lost fails the test.
        idle_limit: Duration::from_secs(60),
        ..DataplaneConfig::default()
    };
    let (doors, mut peers): (Vec<_>, Vec<_>) = (0..2).map(|_| pair(64, POOL)).unzip();
    let make_doors = doors.into_iter().map(|door| move || Ok(door)).collect();
    let (dataplane, threads) = start(&config, layout(), routes(), make_doors).unwrap();
    let client = Client::new(1, 1, gcm());
    for command in [Command::AddTunnel(Box::new(client.tunnel_spec())), client.add_pair(), client.switch_outbound()] {
        assert!(dataplane.workers[1].send(command).is_ok());
    }
    for sequence in 1..=200 {
        let inner = v4(client.v4, SERVER_V4, 60 + sequence as usize);
        // To worker 0, which must wake worker 1.
        peers[0].push_outer(Channel::NatT, client.path, &client.seal(sequence, &inner)).unwrap();
        let inside = loop {
            let mut departed = peers[1].take();
            match departed.pop() {
                Some(packet) => break packet,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(inside.bytes, inner);
        // The first command may still have been on its way: nothing is lost but what came before it.
        assert_eq!(dataplane.workers[0].counters.totals().drops, [0; DropReason::ALL.len()]);
    }
    for worker in &dataplane.workers {
        assert!(worker.send(Command::Stop).is_ok());
    }
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    drop(peers);
}

#[test]
fn a_door_that_cannot_be_opened_stops_all() {
    let config = DataplaneConfig { workers: vec![None; 2], pool: POOL, ..DataplaneConfig::default() };
    let (door, _peer) = pair(8, POOL);
    let mut door = Some(door);
    let make_doors: Vec<Box<dyn FnOnce() -> io::Result<_> + Send>> = vec![
        Box::new(move || Ok(door.take().unwrap())),
        Box::new(|| Err(io::Error::new(io::ErrorKind::AddrInUse, "port 4500 is taken"))),
    ];
    let error = start(&config, layout(), routes(), make_doors).err().unwrap();
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::AddrInUse, "worker 1: port 4500 is taken"));
}

#[test]
fn a_core_that_is_not_there_and_numbers_that_do_not_fit_are_refused() {
    let base = DataplaneConfig { pool: POOL, ..DataplaneConfig::default() };
    for (config, says) in [
        (DataplaneConfig { workers: vec![Some(100_000)], ..base.clone() }, "core 100000"),
        (DataplaneConfig { workers: vec![], ..base.clone() }, "0 workers"),
        (DataplaneConfig { workers: vec![None; 65], ..base.clone() }, "65 workers"),
        (DataplaneConfig { burst: 0, ..base.clone() }, "burst of 0"),
        (DataplaneConfig { burst: 1025, ..base.clone() }, "burst of 1025"),
        (DataplaneConfig { burst: 257, ..base }, "256 small buffers"),
    ] {
        let doors: Vec<_> = config.workers.iter().map(|_| pair(8, POOL).0).collect();
        let make_doors = doors.into_iter().map(|door| move || Ok(door)).collect();
        let error = start(&config, layout(), routes(), make_doors).err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
    }
}
