//! The capture thread: empties the workers' rings into files, so that neither packets nor IKE ever wait for a disk.
//!
//! It sleeps until somebody wants a capture. While one runs it looks every ten milliseconds, and once a second asks the IKE thread where the
//! session is, for the first time as soon as the workers are told: what they copy is read when that is answered. It waits for no disk either: that has a thread of its own (`disk`). While too much waits there the rings are not emptied, so
//! that what finds no room is missed packets, which are counted.

mod capture;
#[cfg(test)]
mod tests;

use super::capture_seat::Seat;
use super::clock;
use crate::api::ask::{Asker, NoAnswer, Question};
use crate::capture::{
    CaptureEnd, CaptureFile, CaptureName, CaptureView, Clerk, KEPT, KEPT_OCTETS, MOST, NoCapture, Outgoing, Request,
    Standing, To, Wanted,
};
use crate::disk::Disk;
use crate::journal::{Happening, What};
use adit_dataplane::contract::{CaptureId, CaptureOrder, Command, WorkerHandle, capture_ring};
use adit_dataplane::time::Instant;
use capture::Capture;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the rings are emptied.
const LOOK: Duration = Duration::from_millis(10);
/// How long the last octets may take to be on the disk when the daemon leaves. What is under way then still comes there.
const LEAVING: Duration = Duration::from_millis(500);
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
    /// Starts; `disk` writes files to `folder`, and what an earlier daemon left there goes. Without a folder there are no captures.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(folder: Option<PathBuf>, disk: Disk, workers: &[WorkerHandle], asker: Asker) -> io::Result<Self> {
        let (clerk, requests) = crate::capture::channel();
        let desk = Desk {
            folder,
            disk,
            seats: workers.iter().map(Seat::new).collect(),
            asker,
            openings: Vec::new(),
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
    disk: Disk,
    seats: Vec<Seat>,
    asker: Asker,
    /// Those that are about to begin, in the order in which they were asked for.
    openings: Vec<Opening>,
    /// Oldest first.
    captures: Vec<Capture>,
    next: u32,
    /// What the IKE thread had no room for.
    untold: VecDeque<Happening>,
}

/// A capture whose file is being made.
struct Opening {
    name: CaptureName,
    wanted: Wanted,
    path: PathBuf,
    file: CaptureFile,
    out: Outgoing,
    answer: To<CaptureView>,
}

impl Desk {
    fn run(mut self, requests: &Receiver<Request>) {
        self.clear_folder();
        loop {
            let runs = self.captures.iter().any(Capture::runs) || !self.openings.is_empty();
            let busy = runs || !self.untold.is_empty() || self.seats.iter().any(Seat::waits);
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
            Request::Begin(wanted, answer) => self.open(*wanted, answer),
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

    /// Its file is made first: a disk that does not take that is told to who asked.
    fn open(&mut self, wanted: Wanted, answer: To<CaptureView>) {
        match self.draft(&wanted) {
            Ok((name, path, file, out)) => self.openings.push(Opening { name, wanted, path, file, out, answer }),
            Err(refused) => drop(answer.send(Err(refused))),
        }
    }

    fn draft(&mut self, wanted: &Wanted) -> Result<(CaptureName, PathBuf, CaptureFile, Outgoing), NoCapture> {
        let folder = self.folder.clone().ok_or(NoCapture::NoFolder)?;
        if self.captures.iter().filter(|capture| capture.runs()).count() + self.openings.len() >= MOST {
            return Err(NoCapture::TooMany);
        }
        self.make_room(wanted.limits.octets);
        let name = CaptureName(self.next);
        let path = folder.join(format!("{name}.pcapng"));
        let mut file = CaptureFile::new(wanted.what, wanted.limits, clock::unix_at_zero(), &about(wanted))
            .map_err(|error| not_written(&path, error.to_string()))?;
        self.next += 1;
        let mut out = Outgoing::new(self.disk.create(&path, wanted.limits.octets));
        let size = file.size();
        out.put(file.take(), (size.0 as u64, size.1));
        Ok((name, path, file, out))
    }

    /// Those whose files are there begin.
    fn look_at_openings(&mut self, now: Instant) {
        for mut opening in std::mem::take(&mut self.openings) {
            match opening.out.look() {
                Standing::Opening => self.openings.push(opening),
                // Who wanted it has gone in the meantime.
                Standing::Growing | Standing::Whole if opening.answer.is_closed() => remove(&opening.path),
                Standing::Growing | Standing::Whole => self.begin(now, opening),
                Standing::Failed(why) => drop(opening.answer.send(Err(not_written(&opening.path, why)))),
            }
        }
    }

    fn begin(&mut self, now: Instant, opening: Opening) {
        let Opening { name, wanted, path, file, out, answer } = opening;
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
            who: Some(target.who),
            what: What::CaptureStarted { capture: name, what: wanted.what, by },
        });
        let capture = Capture::new(now, (name, wanted, path), (file, out), readers);
        drop(answer.send(Ok(capture.view(now))));
        self.captures.push(capture);
    }

    /// The oldest that have ended go while there are too many, or too much of them.
    fn make_room(&mut self, octets: u64) {
        let opening: u64 = self.openings.iter().map(|opening| opening.wanted.limits.octets).sum();
        loop {
            let all = octets + opening + self.captures.iter().map(Capture::most_octets).sum::<u64>();
            if self.captures.len() + self.openings.len() < KEPT && all <= KEPT_OCTETS {
                return;
            }
            let Some(oldest) = self.captures.iter().position(|capture| !capture.runs()) else { return };
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
        self.look_at_openings(now);
        let mut told = Vec::new();
        for capture in &mut self.captures {
            capture.look_for_session(now, &self.asker, &mut self.seats);
            told.extend(capture.go_on(now, &mut self.seats));
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
        let began = clock::now();
        loop {
            let now = clock::now();
            for capture in &mut self.captures {
                capture.leaves(now, &mut self.seats);
                let _nobody_hears_of_it = capture.go_on(now, &mut self.seats);
            }
            if !self.captures.iter().any(Capture::runs) || now.since(began) >= LEAVING {
                return;
            }
            #[expect(clippy::disallowed_methods, reason = "the way out may wait, so long")]
            std::thread::sleep(LOOK);
        }
    }
}

fn not_written(path: &Path, why: String) -> NoCapture {
    NoCapture::File { what: format!("writing {}", path.display()), why }
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
