use super::*;
use crate::api::ask;
use crate::capture::{CaptureState, Limits, Target, What as Sides};
use crate::journal::Who;
use crate::session::SessionId;
use adit_dataplane::contract::{CaptureWay, Sight, TunnelKey, Wake, WorkerCounters, WorkerId};
use crossbeam_channel::Sender;
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::block_common::Block;
use std::sync::Arc;
use tokio::runtime::Runtime;

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

/// A capture thread, its workers, and the disk it writes to.
struct Place {
    captures: CaptureThread,
    disk: Disk,
    workers: Vec<(Sender<Command>, Receiver<Command>)>,
    folder: tempfile::TempDir,
    runtime: Runtime,
    questions: Receiver<Question>,
}

const TUNNEL: TunnelKey = TunnelKey { worker: WorkerId(0), slot: 1 };

fn place() -> Place {
    place_of(1, 64)
}

/// With so many workers, whose channels hold so many commands.
fn place_of(workers: usize, room: usize) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let workers: Vec<_> = (0..workers).map(|_| crossbeam_channel::bounded(room)).collect();
    let seat = |(commands, _): &(Sender<Command>, _)| WorkerHandle {
        commands: commands.clone(),
        waker: Arc::new(Silent),
        counters: Arc::new(WorkerCounters::default()),
    };
    let seats: Vec<_> = workers.iter().map(seat).collect();
    let (asker, questions) = ask::channel();
    let (disk, _runs_as_long_as_anybody_writes) = Disk::start().unwrap();
    let place = Some(folder.path().join("captures"));
    let captures = CaptureThread::start(place, disk.clone(), &seats, asker).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Place { captures, disk, workers, folder, runtime, questions }
}

fn target() -> Target {
    let who = Who { session: None, identity: None, connection: None, peer: ([198, 51, 100, 7], 4500).into() };
    Target { session: SessionId(7), who, tunnel: TUNNEL, paths: [None; 2] }
}

impl Place {
    fn begin(&self) -> Result<CaptureView, NoCapture> {
        let limits = Limits::new(None, Some(100_000_000), None).unwrap();
        let wanted = Wanted { target: target(), what: Sides::Inner, limits, by: "a test".to_owned() };
        self.runtime.block_on(self.captures.clerk().ask(|answer| Request::Begin(Box::new(wanted), answer)))
    }

    /// The IKE thread is asked whose the tunnel is, and says this.
    fn answer(&self, target: Option<Target>) {
        loop {
            match self.questions.recv_timeout(Duration::from_secs(10)).unwrap() {
                Question::CaptureTarget(_, answer) => return drop(answer.send(target)),
                _told => {}
            }
        }
    }

    fn stop(&self) -> CaptureView {
        let stop = |answer| Request::Stop(CaptureName(1), "a test".to_owned(), answer);
        self.runtime.block_on(self.captures.clerk().ask(stop)).unwrap()
    }

    /// It ends by this, its worker having given its ring up.
    fn ended(&self) -> CaptureView {
        until(|| self.show().state == CaptureState::Ended);
        self.show()
    }

    /// The first octets of its file's packets.
    fn packets(&self) -> Vec<u8> {
        let octets = std::fs::read(self.folder.path().join("captures/c1.pcapng")).unwrap();
        let mut reader = PcapNgReader::new(&octets[..]).unwrap();
        let mut packets = Vec::new();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.unwrap().0 {
                packets.push(packet.data[0]);
            }
        }
        packets
    }

    fn show(&self) -> CaptureView {
        self.runtime.block_on(self.captures.clerk().ask(|answer| Request::Show(CaptureName(1), answer))).unwrap()
    }

    fn order(&self) -> CaptureOrder {
        self.order_of(0)
    }

    fn order_of(&self, worker: usize) -> CaptureOrder {
        match self.command(worker) {
            Command::Capture(order) => *order,
            _ => panic!("a capture is ordered first"),
        }
    }

    fn command(&self, worker: usize) -> Command {
        self.workers[worker].1.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

/// Long enough for a thread that looks every ten milliseconds, however busy the machine is; too short only makes a test see less.
fn a_while() {
    #[expect(clippy::disallowed_methods, reason = "another thread is to have looked")]
    std::thread::sleep(Duration::from_millis(100));
}

/// Asks until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "another thread is waited for")]
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not come about");
}

/// Copies a packet, as the worker does. Whether there was room.
fn copy(order: &mut CaptureOrder) -> bool {
    let copied = order.writer.packet(clock::now(), CaptureWay::Up, Sight::Inner, 1000, &[7; 1000]);
    order.writer.end_burst();
    copied.is_some()
}

#[test]
fn a_disk_that_stands_still_holds_up_packets_in_the_rings_alone_and_what_found_no_room_is_counted() {
    let place = place();
    place.begin().unwrap();
    let mut order = place.order();
    place.answer(Some(target()));
    assert!(copy(&mut order));
    until(|| place.show().packets == 1);
    let others = place.disk.fill();
    let (mut copied, mut missed) = (1_u64, 0_u64);
    // What was read before the disk was asked waits outside of the ring. Some at a time, for a look ends when the ring is empty.
    until(|| {
        let found_room = (0..1000).filter(|_| copy(&mut order)).count() as u64;
        (copied, missed) = (copied + found_room, missed + 1000 - found_room);
        missed > 0
    });
    assert!(copied * 1000 < 3 * RINGS as u64, "{copied} packets wait");
    until(|| place.show().missed == missed);
    assert_eq!(place.stop().state, CaptureState::Ending);
    drop(order);
    let view = place.show();
    assert_eq!((view.state, view.packets), (CaptureState::Ending, 1), "nothing is lost for a disk's sake");
    drop(others);
    let view = place.ended();
    assert_eq!((view.packets, view.missed, view.end), (copied, missed, Some(CaptureEnd::Stopped)));
    let file = place.folder.path().join("captures/c1.pcapng");
    assert_eq!(file.metadata().unwrap().len(), view.octets);
}

#[test]
fn a_file_that_cannot_be_made_is_told_to_who_asked_and_no_worker_hears_of_it() {
    let place = place();
    std::fs::write(place.folder.path().join("captures"), "a file where the folder is to be").unwrap();
    let refused = place.begin().unwrap_err();
    assert!(matches!(&refused, NoCapture::File { what, .. } if what.ends_with("captures/c1.pcapng")), "{refused}");
    let clerk = place.captures.clerk();
    assert_eq!(place.runtime.block_on(clerk.ask(Request::List)).unwrap(), []);
    assert!(place.workers[0].1.is_empty());
}

#[test]
fn what_was_copied_of_a_tunnel_that_is_another_sessions_by_then_is_in_no_file() {
    for ends_first in [false, true] {
        let place = place();
        place.begin().unwrap();
        // The session has ended in the meantime, and its slot is another's.
        let mut order = place.order();
        assert!(copy(&mut order));
        a_while();
        if ends_first {
            assert_eq!(place.stop().state, CaptureState::Ending);
        }
        place.answer(None);
        assert!(matches!(place.command(0), Command::StopCapture { .. }));
        drop(order);
        let view = place.ended();
        let end = if ends_first { CaptureEnd::Stopped } else { CaptureEnd::SessionEnded };
        assert_eq!((view.packets, view.end), (0, Some(end)));
        assert_eq!(place.packets(), Vec::<u8>::new());
    }
}

#[test]
fn the_first_packets_are_there_once_the_tunnel_is_known_to_be_the_sessions_even_after_a_stop() {
    for stops_first in [false, true] {
        let place = place();
        place.begin().unwrap();
        let mut order = place.order();
        assert!(copy(&mut order));
        if stops_first {
            place.stop();
            drop(order);
            place.answer(Some(target()));
        } else {
            place.answer(Some(target()));
            until(|| place.show().packets == 1);
            place.stop();
            drop(order);
        }
        assert_eq!((place.ended().packets, place.packets()), (1, vec![7]));
    }
}

#[test]
fn whose_the_tunnel_is_is_asked_after_its_worker_was_told() {
    let place = place_of(1, 1);
    let (commands, _) = &place.workers[0];
    commands.send(Command::StopCapture { id: CaptureId(99) }).unwrap();
    place.begin().unwrap();
    a_while();
    let targets = || place.questions.try_iter().filter(|asked| matches!(asked, Question::CaptureTarget(..))).count();
    assert_eq!(targets(), 0, "the order waits for room");
    assert!(matches!(place.command(0), Command::StopCapture { .. }));
    let mut order = place.order();
    place.answer(Some(target()));
    assert!(copy(&mut order));
    until(|| place.show().packets == 1);
}

#[test]
fn a_worker_whose_channel_was_full_hears_of_the_end_of_a_capture_that_is_removed() {
    let place = place_of(1, 1);
    place.begin().unwrap();
    let remove = |answer| Request::Remove(CaptureName(1), "a test".to_owned(), answer);
    place.runtime.block_on(place.captures.clerk().ask(remove)).unwrap();
    a_while();
    let order = place.order();
    match place.command(0) {
        Command::StopCapture { id } => assert_eq!(id, order.id),
        _ => panic!("it is to stop"),
    }
}

#[test]
fn packets_of_several_workers_are_in_the_order_of_their_times_whenever_their_bursts_end() {
    let place = place_of(2, 64);
    place.begin().unwrap();
    let mut orders = [place.order_of(0), place.order_of(1)];
    place.answer(Some(target()));
    let long_after = clock::now() + Duration::from_secs(600);
    let mut copy = |worker: usize, at, octet| {
        let writer = &mut orders[worker].writer;
        writer.packet(at, CaptureWay::Up, Sight::Inner, 100, &[octet; 100]).unwrap();
        writer.end_burst();
    };
    copy(0, long_after + Duration::from_millis(1), 2);
    a_while();
    // Its burst began before.
    copy(1, long_after, 1);
    copy(1, long_after + Duration::from_millis(2), 3);
    place.stop();
    drop(orders);
    assert_eq!((place.ended().packets, place.packets()), (3, vec![1, 2, 3]));
}
