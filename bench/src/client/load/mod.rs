//! A load instead of an interface: packets of our own into the tunnel, at a rate, and what comes back. The other side echoes.

pub(super) mod datagram;
mod tally;

use super::args::Load;
use adit_dataplane::io::{InnerEnd, WorkerEnd, inner_pair};
use datagram::{Mark, Stream};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tally::{Report, Sent, Tally};

/// How long one waits for the worker before one looks whether it is over.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the last echoes may take.
const LINGER: Duration = Duration::from_secs(2);

/// The end of who looks on at the session. Without it the load ends, whatever is still to be sent.
pub(super) struct Remote {
    load: Load,
    begin: Sender<Stream>,
    ended: Receiver<()>,
}

/// The thread that sends.
pub(super) struct Loader(JoinHandle<io::Result<()>>);

/// Makes the inner side, and a thread that waits until the session is up.
pub(super) fn start(load: Load) -> io::Result<(WorkerEnd, Remote, Loader)> {
    let (worker, end) = inner_pair(PATIENCE)?;
    let (begin, begins) = mpsc::channel();
    let (end_of_it, ended) = mpsc::channel();
    let thread = Builder::new().name("load".to_owned()).spawn(move || {
        let result = match begins.recv() {
            Ok(stream) => run(&stream, load, &end, &begins),
            Err(mpsc::RecvError) => Ok(()),
        };
        drop::<Sender<()>>(end_of_it);
        result
    })?;
    Ok((worker, Remote { load, begin, ended }, Loader(thread)))
}

impl Remote {
    /// The session is up.
    ///
    /// # Errors
    /// Why nothing can be sent, a sentence.
    pub(super) fn begin(&self, addresses: &[IpAddr]) -> Result<(), String> {
        let to = self.load.to;
        let stream = Stream::new(addresses, to)
            .ok_or_else(|| format!("--load-to {to}: the headend gave no address of that family"))?;
        // A thread that has ended is seen by `is_over`.
        let _ = self.begin.send(stream);
        Ok(())
    }

    /// Whether all was sent and has come back, or will not.
    pub(super) fn is_over(&self) -> bool {
        self.ended.try_recv() == Err(TryRecvError::Disconnected)
    }
}

impl Loader {
    /// Waits for the thread.
    ///
    /// # Errors
    /// Why it could not go on.
    pub(super) fn join(self) -> io::Result<()> {
        self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn run(stream: &Stream, load: Load, end: &InnerEnd, stop: &Receiver<Stream>) -> io::Result<()> {
    say(&measure(stream, load, end, stop)?)
}

fn say(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// What both threads know of each other.
struct Progress {
    start: quanta::Instant,
    /// Packets that were sent, or are about to be.
    sent: AtomicU64,
    /// When the last echo is late.
    until: AtomicU64,
}

impl Progress {
    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Sends, and receives on a thread of its own, until all is back, or late, or `stop` has lost its other end.
fn measure(stream: &Stream, load: Load, end: &InnerEnd, stop: &Receiver<Stream>) -> io::Result<Report> {
    let progress = Progress { start: quanta::Instant::now(), sent: AtomicU64::new(0), until: AtomicU64::new(u64::MAX) };
    let ear = end.share()?;
    std::thread::scope(|scope| {
        let ear = Builder::new()
            .name("load echoes".to_owned())
            .spawn_scoped(scope, || receive(stream, load.packets, ear, &progress))?;
        let sent = send(stream, load, end, &progress, stop);
        // Whatever happened: the other thread must end, too.
        let linger = match (&sent, stop.try_recv()) {
            (Ok(sent), Err(TryRecvError::Empty)) if sent.packets == load.packets => LINGER.as_nanos() as u64,
            (Ok(_) | Err(_), Ok(_) | Err(_)) => 0,
        };
        progress.until.store(progress.now().saturating_add(linger), Ordering::Relaxed);
        let tally = ear.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(tally.report(sent?))
    })
}

fn send(stream: &Stream, load: Load, end: &InnerEnd, progress: &Progress, stop: &Receiver<Stream>) -> io::Result<Sent> {
    let due = |number: u64| number * 1_000_000_000 / u64::from(load.rate.get());
    let mut packet = Vec::new();
    let mut number = 0;
    while number < load.packets {
        let wait = Duration::from_nanos(due(number).saturating_sub(progress.now()));
        if stop.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        progress.sent.store(number + 1, Ordering::Release);
        stream.write(Mark { number, sent: progress.now() }, load.octets, &mut packet);
        match end.send(&packet) {
            Ok(()) => number += 1,
            // The worker is behind: the same packet again, for what it does not take was not sent.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // The worker has ended: so has the session.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => break,
            Err(error) => return Err(error),
        }
    }
    let within = Duration::from_nanos(due(number).max(progress.now()));
    Ok(Sent { packets: number, octets: packet.len() as u64, within })
}

fn receive(stream: &Stream, packets: u64, mut end: InnerEnd, progress: &Progress) -> io::Result<Tally> {
    let mut tally = Tally::new().map_err(io::Error::other)?;
    while tally.received() < packets && progress.now() < progress.until.load(Ordering::Relaxed) {
        let Some(packet) = end.receive()? else { continue };
        let now = progress.now();
        match stream.read(packet) {
            Some(mark) => tally.echo(mark, progress.sent.load(Ordering::Acquire), now),
            None => tally.foreign(),
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZero;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    /// Octets of the vnet header.
    const VNET: usize = 10;

    fn load(packets: u32) -> Load {
        Load {
            to: "10.20.0.2:7".parse().unwrap(),
            rate: NonZero::new(2000).unwrap(),
            octets: 100,
            packets: packets.into(),
        }
    }

    /// Plays worker, tunnel and echo for so many packets.
    fn echo(worker: WorkerEnd, packets: usize) -> UnixDatagram {
        let worker = UnixDatagram::from(OwnedFd::from(worker));
        worker.set_nonblocking(false).unwrap();
        let mut room = [0; 2000];
        for _ in 0..packets {
            let len = worker.recv(&mut room).unwrap();
            let packet = &mut room[VNET..len];
            for (one, other, octets) in [(12, 16, 4), (20, 22, 2)] {
                for octet in 0..octets {
                    packet.swap(one + octet, other + octet);
                }
            }
            worker.send(&room[..len]).unwrap();
        }
        worker
    }

    fn ours() -> Vec<IpAddr> {
        vec!["10.30.0.2".parse().unwrap()]
    }

    #[test]
    fn what_is_echoed_is_counted_and_then_it_is_over() {
        let (worker, end) = inner_pair(PATIENCE).unwrap();
        let (_stop, stop) = mpsc::channel();
        let echo = std::thread::spawn(move || echo(worker, 50));
        let stream = Stream::new(&ours(), load(50).to).unwrap();
        let report = serde_json::to_value(measure(&stream, load(50), &end, &stop).unwrap()).unwrap();
        echo.join().unwrap();
        assert_eq!((report["sent"].as_u64(), report["received"].as_u64()), (Some(50), Some(50)), "{report}");
        assert_eq!((report["lost_percent"].as_f64(), report["foreign"].as_u64()), (Some(0.0), Some(0)), "{report}");
    }

    #[test]
    fn what_does_not_come_back_is_lost() {
        let (worker, end) = inner_pair(PATIENCE).unwrap();
        let (_stop, stop) = mpsc::channel();
        let echo = std::thread::spawn(move || echo(worker, 30));
        let stream = Stream::new(&ours(), load(40).to).unwrap();
        let report = serde_json::to_value(measure(&stream, load(40), &end, &stop).unwrap()).unwrap();
        let _worker = echo.join().unwrap();
        assert_eq!(report["received"].as_u64(), Some(30), "{report}");
        assert_eq!(report["sent"].as_u64(), Some(40), "{report}");
    }

    #[test]
    fn a_session_that_never_is_up_or_ends_early_ends_the_load() {
        let (_worker, remote, loader) = start(load(50)).unwrap();
        assert!(!remote.is_over());
        drop(remote);
        loader.join().unwrap();
        let (_worker, remote, loader) = start(load(u32::MAX)).unwrap();
        remote.begin(&ours()).unwrap();
        drop(remote);
        loader.join().unwrap();
    }

    #[test]
    fn an_address_of_no_family_of_ours_is_said() {
        let (_worker, remote, loader) = start(load(50)).unwrap();
        assert!(remote.begin(&["fd30::2".parse().unwrap()]).unwrap_err().contains("no address of that family"));
        drop(remote);
        loader.join().unwrap();
    }
}
