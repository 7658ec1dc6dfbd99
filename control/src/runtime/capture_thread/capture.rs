//! One capture, from the first packet to a file that is whole.

use super::Seat;
use crate::api::ask::{Asker, Question};
use crate::capture::{
    CaptureEnd, CaptureFile, CaptureName, CaptureState, CaptureView, NoCapture, Outgoing, Progress, Readable, Standing,
    Target, Wanted,
};
use crate::journal::{Happening, What};
use adit_dataplane::contract::{
    CaptureAim, CaptureId, CapturePaths, CaptureReader, CaptureSide, Captured, Command, Reading,
};
use adit_dataplane::time::Instant;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// How often the IKE thread is asked where a session is.
const ASK: Duration = Duration::from_secs(1);
/// How long workers may take to give their rings up.
const PATIENCE: Duration = Duration::from_secs(2);
/// With several workers, how long a packet waits for those before it: longer than a burst takes.
const HOLD: Duration = Duration::from_millis(10);
/// In the order in which they are counted.
const SIDES: [CaptureSide; 2] = [CaptureSide::Outer, CaptureSide::Inner];
/// Octets that are handed to the disk at a time, and a packet more: less than may wait there.
const PIECE: usize = 256 << 10;

/// One of them.
pub(super) struct Capture {
    pub(super) name: CaptureName,
    pub(super) wanted: Wanted,
    pub(super) path: PathBuf,
    pub(super) began: Instant,
    ended: Option<Instant>,
    end: Option<CaptureEnd>,
    /// Who has begun it, or has stopped it.
    pub(super) by: String,
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
    /// Out of the rings, in order; before some of them others may come.
    young: Vec<Captured>,
    /// Packets that found no room in rings that were given up, outside and inside.
    missed: [u64; 2],
    file: CaptureFile,
    out: Outgoing,
    paths: CapturePaths,
    /// When the session was asked for, and the answer if it has not come.
    asked: (Instant, Option<oneshot::Receiver<Option<Target>>>),
    copied: Copied,
    phase: Phase,
}

/// Whose packets the rings hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    /// Perhaps another session's: the tunnel's slot may have changed hands before its worker was told to copy. They are not looked at.
    Unknown,
    /// The session's: it still had the tunnel after that, and the worker ends a capture with its tunnel.
    Sessions,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Packets are copied.
    Copying,
    /// The workers were told to stop, and are waited for until then.
    Stopping { until: Instant },
    /// The last octets are on their way to the disk.
    Closing,
}

impl Capture {
    /// The file is there, and the workers are told.
    pub(super) fn new(
        now: Instant,
        (name, wanted, path): (CaptureName, Wanted, PathBuf),
        (file, out): (CaptureFile, Outgoing),
        readers: Vec<Option<CaptureReader>>,
    ) -> Self {
        let (by, paths, progress) = (wanted.by.clone(), wanted.target.paths, Arc::clone(out.progress()));
        let (asked, phase) = ((now, None), Phase::Copying);
        let (young, missed, copied) = (Vec::new(), [0; 2], Copied::Unknown);
        let work = Work { readers, young, missed, file, out, paths, asked, copied, phase };
        let (ended, end, packets, octets, missed) = (None, None, 0, 0, 0);
        Self { name, wanted, path, began: now, ended, end, by, packets, octets, missed, progress, work: Some(work) }
    }

    /// Its file may still grow.
    pub(super) fn runs(&self) -> bool {
        self.work.is_some()
    }

    /// Octets that its file has at most.
    pub(super) fn most_octets(&self) -> u64 {
        if self.runs() { self.wanted.limits.octets } else { self.octets }
    }

    /// The session may have gone elsewhere, or for good.
    pub(super) fn look_for_session(&mut self, now: Instant, asker: &Asker, seats: &mut [Seat]) {
        let Some(work) = self.work.as_mut() else { return };
        let owner = self.wanted.target.tunnel.worker.index();
        let due = match (work.phase, work.copied) {
            (Phase::Copying, Copied::Sessions) => now.since(work.asked.0) >= ASK,
            // An answer from before its worker has the order says nothing.
            (Phase::Copying | Phase::Stopping { .. }, Copied::Unknown) => !seats.get(owner).is_some_and(Seat::waits),
            (Phase::Stopping { .. }, Copied::Sessions) | (Phase::Closing, _) => return,
        };
        match work.asked.1.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Ok(Some(target))) if target.tunnel == self.wanted.target.tunnel => {
                work.asked.1 = None;
                work.copied = Copied::Sessions;
                if target.paths != work.paths {
                    work.paths = target.paths;
                    let id = CaptureId(self.name.0);
                    let aim = || Box::new(CaptureAim { id, paths: target.paths });
                    seats.iter_mut().for_each(|seat| seat.send(Command::AimCapture(aim())));
                }
            }
            Some(Ok(_gone_or_elsewhere)) => {
                work.asked.1 = None;
                work.throw_away_what_is_not_known();
                self.ends(now, CaptureEnd::SessionEnded, seats);
            }
            Some(Err(TryRecvError::Empty)) => {}
            Some(Err(TryRecvError::Closed)) | None if due => {
                let (answer, answered) = oneshot::channel();
                let asked = asker.hand_in(Question::CaptureTarget(self.wanted.target.session, answer));
                work.asked = (now, asked.is_ok().then_some(answered));
            }
            Some(Err(TryRecvError::Closed)) | None => {}
        }
    }

    /// Moves packets from the rings to the disk, as far as that takes them. What is to be told, once it has ended.
    pub(super) fn go_on(&mut self, now: Instant, seats: &mut [Seat]) -> Option<Happening> {
        let work = self.work.as_mut()?;
        let through = work.out.hand_in();
        // Otherwise packets wait in the rings, and what finds no room there is counted.
        if through && work.copied == Copied::Sessions {
            self.empty_rings(now, seats);
        }
        if now.since(self.began) >= self.wanted.limits.time {
            self.ends(now, CaptureEnd::Time, seats);
        }
        let work = self.work.as_mut()?;
        if let Phase::Stopping { until } = work.phase
            && through
            && (now >= until || work.readers.iter().all(Option::is_none))
        {
            work.throw_away_what_is_not_known();
            work.close(now);
        }
        if work.phase == Phase::Closing {
            work.out.finish();
        }
        let standing = work.out.look();
        (self.octets, self.packets) = work.out.in_file();
        self.missed = work.missed().iter().sum();
        match standing {
            Standing::Opening | Standing::Growing => None,
            Standing::Whole => self.finish(now),
            Standing::Failed(why) => {
                self.fails(now, &why, seats);
                let closing = self.work.as_ref().is_some_and(|work| work.phase == Phase::Closing);
                if closing { self.finish(now) } else { None }
            }
        }
    }

    /// What the workers have copied goes into the file.
    fn empty_rings(&mut self, now: Instant, seats: &mut [Seat]) {
        let owner = self.wanted.target.tunnel.worker.index();
        let Some(work) = &mut self.work else { return };
        let mut owner_gone = false;
        for (worker, place) in work.readers.iter_mut().enumerate() {
            let Some(reader) = place else { continue };
            let reading = reader.read(&mut work.young);
            if reading == Reading::Ended {
                SIDES.iter().zip(&mut work.missed).for_each(|(side, missed)| *missed += reader.missed(*side));
                owner_gone |= worker == owner;
                *place = None;
            }
        }
        let packets = work.ripe(now);
        let full = match self.end {
            // Nothing more fits.
            Some(CaptureEnd::Size | CaptureEnd::Disk) => false,
            Some(CaptureEnd::Time | CaptureEnd::Stopped | CaptureEnd::SessionEnded | CaptureEnd::Leaving) | None => {
                work.file_packets(&packets)
            }
        };
        if full {
            self.ends(now, CaptureEnd::Size, seats);
        } else if owner_gone {
            self.ends(now, CaptureEnd::SessionEnded, seats);
        }
    }

    /// It is to end, for this reason if it does not already for another.
    pub(super) fn ends(&mut self, now: Instant, end: CaptureEnd, seats: &mut [Seat]) -> bool {
        let Some(work) = self.work.as_mut().filter(|work| work.phase == Phase::Copying) else { return false };
        work.phase = Phase::Stopping { until: now + PATIENCE };
        self.end = Some(end);
        let id = CaptureId(self.name.0);
        seats.iter_mut().for_each(|seat| seat.send(Command::StopCapture { id }));
        true
    }

    /// The disk takes no more, whatever else it ends for.
    fn fails(&mut self, now: Instant, why: &str, seats: &mut [Seat]) {
        if self.end != Some(CaptureEnd::Disk) {
            tracing::warn!(capture = %self.name, file = %self.path.display(), "cannot write a capture: {why}");
        }
        self.ends(now, CaptureEnd::Disk, seats);
        self.end = Some(CaptureEnd::Disk);
    }

    /// The daemon leaves: the workers are gone, and what they wrote is in the rings.
    pub(super) fn leaves(&mut self, now: Instant, seats: &mut [Seat]) {
        self.ends(now, CaptureEnd::Leaving, seats);
        if let Some(Work { phase: Phase::Stopping { until }, .. }) = &mut self.work {
            *until = now;
        }
    }

    /// It has ended: its file is whole, or nobody wants it any more.
    pub(super) fn finish(&mut self, now: Instant) -> Option<Happening> {
        let _written_to_its_end = self.work.take()?;
        self.progress.is_over();
        self.ended = Some(now);
        let end = self.end.unwrap_or(CaptureEnd::Stopped);
        tracing::info!(capture = %self.name, session = %self.wanted.target.session, packets = self.packets,
            octets = self.octets, missed = self.missed, by = %self.by, "a capture has ended: {}", end.sentence());
        let (capture, packets, missed, by) = (self.name, self.packets, self.missed, self.by.clone());
        let what = What::CaptureEnded { capture, end, by, packets, missed };
        Some(Happening { who: Some(self.wanted.target.who.clone()), what })
    }

    pub(super) fn open(&mut self) -> Result<Readable, NoCapture> {
        let failed = |error: io::Error| NoCapture::File {
            what: format!("reading {}", self.path.display()),
            why: error.to_string(),
        };
        let file = File::open(&self.path).map_err(failed)?;
        Ok(Readable { file, progress: Arc::clone(&self.progress) })
    }

    pub(super) fn view(&self, now: Instant) -> CaptureView {
        let Wanted { target, what, limits, .. } = &self.wanted;
        let state = match self.work.as_ref().map(|work| work.phase) {
            Some(Phase::Copying) => CaptureState::Running,
            Some(Phase::Stopping { .. } | Phase::Closing) => CaptureState::Ending,
            None => CaptureState::Ended,
        };
        CaptureView {
            id: self.name.to_string(),
            session: target.session.to_string(),
            identity: target.who.identity.clone().unwrap_or_default(),
            what: *what,
            by: self.wanted.by.clone(),
            state,
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

    /// Nobody may see what could be another session's. It is not the session's that this is missed.
    fn throw_away_what_is_not_known(&mut self) {
        if self.copied == Copied::Unknown {
            self.readers.fill_with(|| None);
        }
    }

    /// What nothing can come before any more, in order: each worker's packets are, and no burst takes longer than is waited for.
    fn ripe(&mut self, now: Instant) -> Vec<Captured> {
        let last = match self.phase {
            Phase::Stopping { until } => now >= until,
            Phase::Copying | Phase::Closing => false,
        };
        self.young.sort_by_key(|packet| packet.at);
        if self.readers.len() < 2 || last || self.readers.iter().all(Option::is_none) {
            return std::mem::take(&mut self.young);
        }
        let ripe = self.young.partition_point(|packet| packet.at + HOLD <= now);
        self.young.drain(..ripe).collect()
    }

    /// Puts packets into the file, in pieces. Whether it is full.
    fn file_packets(&mut self, packets: &[Captured]) -> bool {
        let mut full = false;
        for packet in packets {
            full = self.file.packet(packet).is_err();
            if full {
                break;
            }
            if self.file.waiting() >= PIECE {
                self.put();
            }
        }
        self.put();
        full
    }

    /// What stands behind the last packet.
    fn close(&mut self, now: Instant) {
        let [outer, inner] = self.missed();
        self.file.finish(now, |side| match side {
            CaptureSide::Outer => outer,
            CaptureSide::Inner => inner,
        });
        self.put();
        self.phase = Phase::Closing;
    }

    fn put(&mut self) {
        let size = self.file.size();
        self.out.put(self.file.take(), (size.0 as u64, size.1));
    }
}
