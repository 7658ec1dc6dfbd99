//! When a worker waits: never while there is something to do, and always when there is not.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of any #[test] function")]

use adit_crypto::random::SeededRandom;
use adit_dataplane::contract::{ClusterSlot, Command, Routes, SpiLayout, Wake};
use adit_dataplane::io::{Capabilities, Door, DoorStats, Woken};
use adit_dataplane::packet::{Burst, Channel, Pool};
use adit_dataplane::time::Instant;
use adit_dataplane::worker::{DataplaneConfig, start};
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Has so many keepalives to give, in bursts as large as may be, and tells at each wait how many are left.
struct Scripted {
    left: usize,
    waits: Sender<usize>,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Wake for Bell {
    fn wake(&self) {
        *self.rung.lock().unwrap() = true;
        self.heard.notify_all();
    }
}

impl Door for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "scripted", inner_segments: false, outer_segments: 1 }
    }

    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize {
        let count = limit.min(self.left);
        for _ in 0..count {
            let mut packet = pool.take_small().unwrap();
            packet.extend_back(1).unwrap()[0] = 0xff;
            packet.meta.channel = Channel::NatT;
            burst.push(packet);
        }
        self.left -= count;
        count
    }

    fn transmit(&mut self, pool: &mut Pool, burst: &mut Burst) {
        burst.drain(..).for_each(|packet| pool.put(packet));
    }

    fn flush(&mut self, _pool: &mut Pool) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Woken> {
        let _nobody_may_listen = self.waits.send(self.left);
        let rung = self.bell.rung.lock().unwrap();
        let (mut rung, _) = self.bell.heard.wait_timeout_while(rung, limit, |rung| !*rung).unwrap();
        *rung = false;
        Ok(Woken::Called)
    }

    fn tune(&mut self, _spin: Duration, _coalesce: Duration) {}

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.bell) as Arc<dyn Wake>
    }

    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn stats(&self) -> DoorStats {
        DoorStats::default()
    }
}

#[test]
fn a_worker_waits_only_when_nothing_is_left_to_do() {
    let (waits, waited) = channel();
    let door = Scripted { left: 10_000, waits, bell: Arc::default() };
    let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
    let routes = Routes::new(&mut SeededRandom::new(2));
    let idle_limit = Duration::from_secs(3600);
    let config = DataplaneConfig { idle_limit, ..DataplaneConfig::default() };
    let (dataplane, threads) = start(&config, layout, routes, vec![move || Ok(door)]).unwrap();
    let patience = Duration::from_secs(30);
    assert_eq!(waited.recv_timeout(patience), Ok(0), "the first wait is after the last packet");
    assert_eq!(dataplane.workers[0].counters.totals().outer_received, 10_000);
    // Woken for nothing, it looks and waits again, once.
    dataplane.workers[0].waker.wake();
    assert_eq!(waited.recv_timeout(patience), Ok(0));
    dataplane.workers[0].send(Command::Stop).unwrap();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(waited.iter().count(), 0, "told to stop, it does not wait");
}
