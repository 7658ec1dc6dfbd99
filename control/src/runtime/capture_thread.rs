//! The capture thread: empties the workers' rings into files, so that neither packets nor IKE ever wait for a disk.
//!
//! It sleeps until somebody wants a capture. While one runs it looks every ten milliseconds, and once a second asks the IKE thread where the
//! session is.

use super::capture_seat::Seat;
use super::clock;
use crate::api::ask::{Asker, NoAnswer, Question};
use crate::capture::{
    self, CaptureEnd, CaptureFile, CaptureName, CaptureState, CaptureView, Clerk, FileSink, KEPT, KEPT_OCTETS, MOST,
    NoCapture, Progress, Readable, Request, Sink, Target, Wanted,
};
use crate::journal::{Happening, What};
use adit_dataplane::contract::{
    CaptureAim, CaptureId, CaptureOrder, CapturePaths, CaptureReader, CaptureSide, Captured, Command, Reading,
    WorkerHandle, capture_ring,
};
use adit_dataplane::time::Instant;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// How often the rings are emptied.
const LOOK: Duration = Duration::from_millis(10);
/// How often the IKE thread is asked where a session is.
const ASK: Duration = Duration::from_secs(1);
/// How long workers may take to give their rings up.
const PATIENCE: Duration = Duration::from_secs(2);
/// In the order in which they are counted.
const SIDES: [CaptureSide; 2] = [CaptureSide::Outer, CaptureSide::Inner];
/// Octets of all rings of a capture, shared by the workers,
const RINGS: usize = 8 << 20;
/// and the least of each.
const RING: usize = 512 << 10;
/// Events that wait for the IKE thread. More are lost, which the log knows nothing of: it has them itself.
const TOLD_LATER: usize = 64;

/// Writes captures until it is dropped.
pub struct CaptureThread {
    clerk: Clerk,
    thread: Option<JoinHandle<()>>,
}

impl CaptureThread {
    /// Starts; files go to `folder`, and what an earlier daemon left there goes. Without a folder there are no captures.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(folder: Option<PathBuf>, workers: &[WorkerHandle], asker: Asker) -> io::Result<Self> {
        let (clerk, requests) = capture::channel();
        let desk = Desk {
            folder,
            seats: workers.iter().map(Seat::new).collect(),
            asker,
            unix_at_zero: clock::unix_at_zero(),
            captures: Vec::new(),
            next: 1,
            untold: VecDeque::new(),
        };
        let thread = std::thread::Builder::new().name("capture".to_owned()).spawn(move || desk.run(&requests))?;
        Ok(Self { clerk, thread: Some(thread) })
    }

    /// Where to ask.
    pub fn clerk(&self) -> &Clerk {
        &self.clerk
    }
}

impl Drop for CaptureThread {
    fn drop(&mut self) {
        let told = self.clerk.leave();
        if let Some(thread) = self.thread.take().filter(|_| told) {
            let _panicked = thread.join();
        }
    }
}

/// All captures.
struct Desk {
    folder: Option<PathBuf>,
    seats: Vec<Seat>,
    asker: Asker,
    unix_at_zero: Duration,
    /// Oldest first.
    captures: Vec<Capture>,
    next: u32,
    /// What the IKE thread had no room for.
    untold: VecDeque<Happening>,
}

/// One of them.
struct Capture {
    name: CaptureName,
    wanted: Wanted,
    path: PathBuf,
    began: Instant,
    ended: Option<Instant>,
    state: CaptureState,
    end: Option<CaptureEnd>,
    /// Who has begun it, or has stopped it.
    by: String,
    packets: u64,
    octets: u64,
    missed: u64,
    progress: Arc<Progress>,
    /// Until it has ended.
    work: Option<Work>,
}

/// What a capture needs that has not ended.
struct Work {
    /// In the order of workers; `None` where the worker has given it up.
    readers: Vec<Option<CaptureReader>>,
    /// Packets that found no room in rings that were given up, outside and inside.
    missed: [u64; 2],
    file: CaptureFile,
    sink: Box<dyn Sink>,
    paths: CapturePaths,
    /// When the session was asked for, and the answer if it has not come.
    asked: (Instant, Option<oneshot::Receiver<Option<Target>>>),
    /// When the workers were told to stop.
    stopping: Option<Instant>,
}

impl Desk {
    fn run(mut self, requests: &Receiver<Request>) {
        self.clear_folder();
        loop {
            let busy = self.captures.iter().any(|capture| capture.work.is_some()) || !self.untold.is_empty();
            let request = match busy {
                true => requests.recv_timeout(LOOK),
                false => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match request {
                Ok(Request::Leave) | Err(RecvTimeoutError::Disconnected) => return self.leave(),
                Ok(request) => self.take(request),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.work(clock::now());
        }
    }

    /// Captures do not outlive their daemon.
    fn clear_folder(&self) {
        let Some(Ok(entries)) = self.folder.as_ref().map(std::fs::read_dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let ours = name.to_str().and_then(|name| name.strip_suffix(".pcapng"));
            if ours.is_some_and(|name| name.parse::<CaptureName>().is_ok()) {
                remove(&entry.path());
            }
        }
    }

    fn take(&mut self, request: Request) {
        let now = clock::now();
        // Who asked may have gone in the meantime.
        match request {
            Request::Begin(wanted, answer) => drop(answer.send(self.begin(now, *wanted))),
            Request::List(answer) => {
                drop(answer.send(Ok(self.captures.iter().map(|capture| capture.view(now)).collect())));
            }
            Request::Show(name, answer) => drop(answer.send(self.find(name).map(|capture| capture.view(now)))),
            Request::Stop(name, by, answer) => drop(answer.send(self.stop(now, name, by))),
            Request::Remove(name, by, answer) => drop(answer.send(self.remove(now, name, &by))),
            Request::Read(name, answer) => drop(answer.send(self.find(name).and_then(Capture::open))),
            Request::Leave => {}
        }
    }

    fn find(&mut self, name: CaptureName) -> Result<&mut Capture, NoCapture> {
        self.captures.iter_mut().find(|capture| capture.name == name).ok_or(NoCapture::Unknown)
    }

    fn begin(&mut self, now: Instant, wanted: Wanted) -> Result<CaptureView, NoCapture> {
        let folder = self.folder.clone().ok_or(NoCapture::NoFolder)?;
        if self.captures.iter().filter(|capture| capture.work.is_some()).count() >= MOST {
            return Err(NoCapture::TooMany);
        }
        self.make_room(wanted.limits.octets);
        let name = CaptureName(self.next);
        let path = folder.join(format!("{name}.pcapng"));
        let failed = |why: &dyn std::fmt::Display| NoCapture::File {
            what: format!("writing {}", path.display()),
            why: why.to_string(),
        };
        let sink = FileSink::create(&path).map_err(|error| failed(&error))?;
        let about = about(&wanted);
        let file = CaptureFile::new(wanted.what, wanted.limits, self.unix_at_zero, &about);
        let file = file.map_err(|error| failed(&error))?;
        self.next += 1;
        let (target, by) = (wanted.target.clone(), wanted.by.clone());
        let octets = (RINGS / self.seats.len().max(1)).max(RING);
        let mut readers = Vec::new();
        for seat in &mut self.seats {
            let (writer, reader) = capture_ring(octets);
            readers.push(Some(reader));
            seat.send(Command::Capture(Box::new(CaptureOrder {
                id: CaptureId(name.0),
                tunnel: target.tunnel,
                sides: wanted.what.sides(),
                snap: wanted.limits.snap,
                paths: target.paths,
                writer,
            })));
        }
        tracing::info!(capture = %name, session = %target.session, %by, what = wanted.what.name(),
            file = %path.display(), "an operator captures a session's packets");
        self.tell(Happening {
            who: Some(target.who.clone()),
            what: What::CaptureStarted { capture: name, what: wanted.what, by: by.clone() },
        });
        let work = Work {
            readers,
            missed: [0; 2],
            file,
            sink: Box::new(sink),
            paths: target.paths,
            asked: (now, None),
            stopping: None,
        };
        let capture = Capture {
            name,
            wanted,
            path,
            began: now,
            ended: None,
            state: CaptureState::Running,
            end: None,
            by,
            packets: 0,
            octets: 0,
            missed: 0,
            progress: Arc::default(),
            work: Some(work),
        };
        let view = capture.view(now);
        self.captures.push(capture);
        Ok(view)
    }

    /// The oldest that have ended go while there are too many, or too much of them.
    fn make_room(&mut self, octets: u64) {
        let size = |capture: &Capture| match capture.work {
            Some(_) => capture.wanted.limits.octets,
            None => capture.octets,
        };
        loop {
            let all = octets.saturating_add(self.captures.iter().map(size).sum());
            if self.captures.len() < KEPT && all <= KEPT_OCTETS {
                return;
            }
            let Some(oldest) = self.captures.iter().position(|capture| capture.work.is_none()) else { return };
            remove(&self.captures.remove(oldest).path);
        }
    }

    fn stop(&mut self, now: Instant, name: CaptureName, by: String) -> Result<CaptureView, NoCapture> {
        let capture = self.captures.iter_mut().find(|capture| capture.name == name).ok_or(NoCapture::Unknown)?;
        if capture.ends(now, CaptureEnd::Stopped, &mut self.seats) {
            capture.by = by;
        }
        Ok(capture.view(now))
    }

    fn remove(&mut self, now: Instant, name: CaptureName, by: &str) -> Result<CaptureView, NoCapture> {
        self.stop(now, name, by.to_owned())?;
        let place = self.captures.iter().position(|capture| capture.name == name).ok_or(NoCapture::Unknown)?;
        let mut capture = self.captures.remove(place);
        if let Some(happening) = capture.finish(now) {
            self.tell(happening);
        }
        remove(&capture.path);
        tracing::info!(capture = %name, %by, "an operator has removed a capture");
        Ok(capture.view(now))
    }

    /// What is due.
    fn work(&mut self, now: Instant) {
        self.seats.iter_mut().for_each(Seat::retry);
        while let Some(happening) = self.untold.pop_front() {
            if tell(&self.asker, &happening) == Err(NoAnswer::Busy) {
                self.untold.push_front(happening);
                break;
            }
        }
        let mut told = Vec::new();
        for capture in &mut self.captures {
            capture.look_for_session(now, &self.asker, &mut self.seats);
            capture.empty_rings(now, &mut self.seats);
            if now.since(capture.began) >= capture.wanted.limits.time {
                capture.ends(now, CaptureEnd::Time, &mut self.seats);
            }
            let over = capture.work.as_ref().is_some_and(|work| {
                work.readers.iter().all(Option::is_none)
                    || work.stopping.is_some_and(|since| now.since(since) >= PATIENCE)
            });
            if over {
                told.extend(capture.finish(now));
            }
        }
        told.into_iter().for_each(|happening| self.tell(happening));
    }

    fn tell(&mut self, happening: Happening) {
        let told = tell(&self.asker, &happening);
        if told == Err(NoAnswer::Busy) && self.untold.len() < TOLD_LATER {
            self.untold.push_back(happening);
        }
    }

    /// The workers are gone: what they wrote is in the rings.
    fn leave(mut self) {
        let now = clock::now();
        for capture in &mut self.captures {
            capture.ends(now, CaptureEnd::Leaving, &mut self.seats);
            capture.empty_rings(now, &mut self.seats);
            capture.finish(now);
        }
    }
}

impl Capture {
    /// The session may have gone elsewhere, or for good.
    fn look_for_session(&mut self, now: Instant, asker: &Asker, seats: &mut [Seat]) {
        let Some(work) = self.work.as_mut().filter(|work| work.stopping.is_none()) else { return };
        match work.asked.1.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Ok(Some(target))) if target.tunnel == self.wanted.target.tunnel => {
                work.asked.1 = None;
                if target.paths != work.paths {
                    work.paths = target.paths;
                    let id = CaptureId(self.name.0);
                    let aim = || Box::new(CaptureAim { id, paths: target.paths });
                    seats.iter_mut().for_each(|seat| seat.send(Command::AimCapture(aim())));
                }
            }
            Some(Ok(_gone_or_elsewhere)) => {
                self.ends(now, CaptureEnd::SessionEnded, seats);
            }
            Some(Err(TryRecvError::Empty)) => {}
            Some(Err(TryRecvError::Closed)) | None if now.since(work.asked.0) >= ASK => {
                let (answer, answered) = oneshot::channel();
                let asked = asker.hand_in(Question::CaptureTarget(self.wanted.target.session, answer));
                work.asked = (now, asked.is_ok().then_some(answered));
            }
            Some(Err(TryRecvError::Closed)) | None => {}
        }
    }

    /// What the workers have copied goes into the file.
    fn empty_rings(&mut self, now: Instant, seats: &mut [Seat]) {
        let owner = self.wanted.target.tunnel.worker.index();
        let Some(work) = &mut self.work else { return };
        let (mut packets, mut rings, mut owner_gone) = (Vec::<Captured>::new(), 0, false);
        for (worker, place) in work.readers.iter_mut().enumerate() {
            let Some(reader) = place else { continue };
            let before = packets.len();
            let reading = reader.read(&mut packets);
            rings += usize::from(packets.len() > before);
            if reading == Reading::Ended {
                SIDES.iter().zip(&mut work.missed).for_each(|(side, missed)| *missed += reader.missed(*side));
                owner_gone |= worker == owner;
                *place = None;
            }
        }
        // Each worker's are in order already.
        if rings > 1 {
            packets.sort_by_key(|packet| packet.at);
        }
        let full = match self.end {
            // Nothing more fits.
            Some(CaptureEnd::Size | CaptureEnd::Disk) => None,
            Some(CaptureEnd::Time | CaptureEnd::Stopped | CaptureEnd::SessionEnded | CaptureEnd::Leaving) | None => {
                packets.iter().find_map(|packet| work.file.packet(packet).err())
            }
        };
        let written = work.write(&self.progress);
        (self.octets, self.packets) = (work.file.size().0 as u64, work.file.size().1);
        self.missed = work.missed().iter().sum();
        if let Err(error) = written {
            tracing::warn!(capture = %self.name, file = %self.path.display(), "cannot write a capture: {error}");
            self.ends(now, CaptureEnd::Disk, seats);
        } else if full.is_some() {
            self.ends(now, CaptureEnd::Size, seats);
        } else if owner_gone {
            self.ends(now, CaptureEnd::SessionEnded, seats);
        }
    }

    /// It is to end, for this reason if it does not already for another.
    fn ends(&mut self, now: Instant, end: CaptureEnd, seats: &mut [Seat]) -> bool {
        let Some(work) = self.work.as_mut().filter(|work| work.stopping.is_none()) else { return false };
        work.stopping = Some(now);
        (self.end, self.state) = (Some(end), CaptureState::Ending);
        let id = CaptureId(self.name.0);
        seats.iter_mut().for_each(|seat| seat.send(Command::StopCapture { id }));
        true
    }

    /// It has ended: its file is whole.
    fn finish(&mut self, now: Instant) -> Option<Happening> {
        let mut work = self.work.take()?;
        let [outer, inner] = work.missed();
        work.file.finish(now, |side| match side {
            CaptureSide::Outer => outer,
            CaptureSide::Inner => inner,
        });
        if let Err(error) = work.write(&self.progress) {
            tracing::warn!(capture = %self.name, file = %self.path.display(), "cannot write a capture's end: {error}");
        }
        self.octets = work.file.size().0 as u64;
        self.progress.is_over();
        (self.state, self.ended) = (CaptureState::Ended, Some(now));
        let end = self.end.unwrap_or(CaptureEnd::Stopped);
        tracing::info!(capture = %self.name, session = %self.wanted.target.session, packets = self.packets,
            octets = self.octets, missed = self.missed, by = %self.by, "a capture has ended: {}", end.sentence());
        let (capture, packets, missed, by) = (self.name, self.packets, self.missed, self.by.clone());
        let what = What::CaptureEnded { capture, end, by, packets, missed };
        Some(Happening { who: Some(self.wanted.target.who.clone()), what })
    }

    fn open(&mut self) -> Result<Readable, NoCapture> {
        let failed = |error: io::Error| NoCapture::File {
            what: format!("reading {}", self.path.display()),
            why: error.to_string(),
        };
        let file = File::open(&self.path).map_err(failed)?;
        Ok(Readable { file, progress: Arc::clone(&self.progress) })
    }

    fn view(&self, now: Instant) -> CaptureView {
        let Wanted { target, what, limits, .. } = &self.wanted;
        CaptureView {
            id: self.name.to_string(),
            session: target.session.to_string(),
            identity: target.who.identity.clone().unwrap_or_default(),
            what: *what,
            by: self.wanted.by.clone(),
            state: self.state,
            end: self.end,
            age_seconds: self.ended.unwrap_or(now).since(self.began).as_secs(),
            seconds: limits.time.as_secs(),
            snap: limits.snap,
            packets: self.packets,
            octets: self.octets,
            octets_most: limits.octets,
            missed: self.missed,
        }
    }
}

impl Work {
    /// Packets that found no room so far, outside and inside.
    fn missed(&self) -> [u64; 2] {
        let of = |side| self.readers.iter().flatten().map(|reader| reader.missed(side)).sum::<u64>();
        let [outer, inner] = self.missed;
        [outer + of(CaptureSide::Outer), inner + of(CaptureSide::Inner)]
    }

    fn write(&mut self, progress: &Progress) -> io::Result<()> {
        let octets = self.file.take();
        if octets.is_empty() {
            return Ok(());
        }
        self.sink.write(octets)?;
        progress.wrote(self.file.size().0 as u64);
        Ok(())
    }
}

fn about(wanted: &Wanted) -> String {
    let who = &wanted.target.who;
    let identity = who.identity.as_deref().unwrap_or_default();
    let connection = who.connection.as_deref().unwrap_or_default();
    format!("session {} of {identity}, connection {connection}", wanted.target.session)
}

fn tell(asker: &Asker, happening: &Happening) -> Result<(), NoAnswer> {
    asker.hand_in(Question::Tell(Box::new(happening.clone())))
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(file = %path.display(), "cannot remove a capture: {error}");
    }
}
