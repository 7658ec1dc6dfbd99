use super::*;
use crate::api::ask;
use crate::capture::{CaptureState, Limits, Target, What as Sides};
use crate::journal::Who;
use crate::session::SessionId;
use adit_dataplane::contract::{CaptureWay, Sight, TunnelKey, Wake, WorkerCounters, WorkerId};
use std::sync::Arc;
use tokio::runtime::Runtime;

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

/// A capture thread with one worker, and the disk it writes to.
struct Place {
    captures: CaptureThread,
    disk: Disk,
    worker: Receiver<Command>,
    folder: tempfile::TempDir,
    runtime: Runtime,
    _questions: Receiver<Question>,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let (commands, worker) = crossbeam_channel::bounded(64);
    let seat = WorkerHandle { commands, waker: Arc::new(Silent), counters: Arc::new(WorkerCounters::default()) };
    let (asker, questions) = ask::channel();
    let (disk, _runs_as_long_as_anybody_writes) = Disk::start().unwrap();
    let place = Some(folder.path().join("captures"));
    let captures = CaptureThread::start(place, disk.clone(), &[seat], asker).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Place { captures, disk, worker, folder, runtime, _questions: questions }
}

impl Place {
    fn begin(&self) -> Result<CaptureView, NoCapture> {
        let who = Who { session: None, identity: None, connection: None, peer: ([198, 51, 100, 7], 4500).into() };
        let tunnel = TunnelKey { worker: WorkerId(0), slot: 1 };
        let target = Target { session: SessionId(7), who, tunnel, paths: [None; 2] };
        let limits = Limits::new(None, Some(100_000_000), None).unwrap();
        let wanted = Wanted { target, what: Sides::Inner, limits, by: "a test".to_owned() };
        self.runtime.block_on(self.captures.clerk().ask(|answer| Request::Begin(Box::new(wanted), answer)))
    }

    fn show(&self) -> CaptureView {
        self.runtime.block_on(self.captures.clerk().ask(|answer| Request::Show(CaptureName(1), answer))).unwrap()
    }

    fn order(&self) -> CaptureOrder {
        match self.worker.recv_timeout(Duration::from_secs(10)).unwrap() {
            Command::Capture(order) => *order,
            _ => panic!("a capture is ordered first"),
        }
    }
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
    let clerk = place.captures.clerk();
    let stop = clerk.ask(|answer| Request::Stop(CaptureName(1), "a test".to_owned(), answer));
    assert_eq!(place.runtime.block_on(stop).unwrap().state, CaptureState::Ending);
    drop(order);
    let view = place.show();
    assert_eq!((view.state, view.packets), (CaptureState::Ending, 1), "nothing is lost for a disk's sake");
    drop(others);
    until(|| place.show().state == CaptureState::Ended);
    let view = place.show();
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
    assert!(place.worker.is_empty());
}
