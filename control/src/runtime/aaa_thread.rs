//! The AAA thread: the desk with sockets and a clock, and a second thread beside it for passwords, whose hashes take
//! tens of milliseconds each.

use super::clock;
use crate::aaa::desk::{Desk, Door, Output};
use crate::aaa::window::{self, Window, Work};
use crate::aaa::{Answer, Check, Checked};
use crate::config::checked::Config;
use crate::disk::{Content, Kept};
use adit_crypto::random::OsRandom;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// Packets that may wait for it.
const PACKETS: usize = 1024;
/// Octets of the longest packet, and one more to tell those that are longer.
const PACKET: usize = 4097;
/// How long records may still find their way into the books when everything else has ended.
const LAST_RECORDS: Duration = Duration::from_secs(3);
/// After a receive that failed; what comes at once again is usually an unreachable port.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers questions until it is dropped; records that wait are then written, for [`LAST_RECORDS`] at most.
pub struct AaaThread {
    window: Window,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
}

impl AaaThread {
    /// Starts with the users and servers of a configuration, and with what was kept of its books.
    ///
    /// # Errors
    /// The system gives no thread, or no socket.
    pub fn start(config: Arc<Config>, shelf: Option<Shelf>) -> io::Result<Self> {
        let mut desk = Desk::new(config, clock::unix_at_zero(), Box::new(OsRandom));
        let shelf = shelf.map(|shelf| shelf.unpack(&mut desk));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (window, handed_in) = window::channel();
        // As many as the asker has open questions, never more.
        let (answer, answers) = unbounded();
        let (check, to_check) = unbounded();
        let (done, checked) = mpsc::unbounded_channel();
        let mut doors = BTreeMap::new();
        for (door, to) in desk.doors() {
            doors.insert(door, socket(to)?);
        }
        // Ends with the channel, when the thread below has ended.
        std::thread::Builder::new().name("passwords".to_owned()).spawn(move || check_all(&to_check, &done))?;
        let thread = std::thread::Builder::new().name("aaa".to_owned()).spawn(move || {
            runtime.block_on(async {
                match Office::open(desk, doors, Hands { answer, check, shelf }) {
                    Ok((office, packets)) => office.serve(handed_in, checked, packets).await,
                    Err(error) => tracing::error!("users and RADIUS are not served: {error}"),
                }
            });
        })?;
        Ok(Self { window, answers, thread: Some(thread) })
    }

    /// Where to hand in.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Where the answers come out.
    pub fn answers(&self) -> &Receiver<Answer> {
        &self.answers
    }
}

impl Drop for AaaThread {
    fn drop(&mut self) {
        // Without room to say it the thread is too far behind to be waited for.
        let told = self.window.leave();
        if let Some(thread) = self.thread.take().filter(|_| told) {
            let _panicked = thread.join();
        }
    }
}

/// One after the other: so an attacker's guesses take at most one core.
fn check_all(checks: &Receiver<Check>, done: &mpsc::UnboundedSender<Checked>) {
    for check in checks {
        if done.send(check.run()).is_err() {
            break;
        }
    }
}

/// With a port of its own, chosen by the kernel. Not connected: a server that is not reachable yet is no reason not to
/// start.
fn socket(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Books that outlive the process.
#[derive(Debug)]
pub struct Shelf {
    /// Where changes are told.
    pub kept: Kept,
    /// What is there from another run.
    pub content: Content,
}

impl Shelf {
    /// Gives the desk what is there.
    fn unpack(self, desk: &mut Desk) -> Kept {
        let Self { kept, content } = self;
        desk.keep_books();
        for (key, value) in content {
            if let Err(error) = desk.restore(clock::now(), &key, &value) {
                tracing::warn!(account = %key.escape_ascii(), "records for RADIUS are left out: {error}");
                kept.remove(key);
            }
        }
        kept
    }
}

/// The desk, its sockets, and those who wait.
struct Office {
    desk: Desk,
    sockets: BTreeMap<Door, (SocketAddr, UdpSocket)>,
    hands: Hands,
}

/// Where what the desk makes goes, but for packets.
struct Hands {
    answer: Sender<Answer>,
    check: Sender<Check>,
    shelf: Option<Kept>,
}

type Packet = (Door, Vec<u8>);

impl Office {
    fn open(desk: Desk, doors: BTreeMap<Door, UdpSocket>, hands: Hands) -> io::Result<(Self, mpsc::Receiver<Packet>)> {
        let (packet, packets) = mpsc::channel(PACKETS);
        let leads_to: BTreeMap<Door, SocketAddr> = desk.doors().into_iter().collect();
        let mut sockets = BTreeMap::new();
        for (door, socket) in doors {
            let Some(to) = leads_to.get(&door).copied() else { continue };
            let receiver = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
            tokio::spawn(listen(door, to, receiver, packet.clone()));
            sockets.insert(door, (to, socket));
        }
        Ok((Self { desk, sockets, hands }, packets))
    }

    async fn serve(
        mut self,
        mut work: mpsc::Receiver<Work>,
        mut checked: mpsc::UnboundedReceiver<Checked>,
        mut packets: mpsc::Receiver<Packet>,
    ) {
        let mut leave_at = None;
        // What another run has left.
        self.carry_out();
        loop {
            let now = clock::now();
            // Somebody may have set the clock, or NTP.
            self.desk.set_time_of_day(clock::unix_at_zero());
            if leave_at.is_some_and(|at| now >= at || self.desk.books_are_written()) {
                break;
            }
            let wake = self.desk.poll_timeout().into_iter().chain(leave_at).min();
            let wait = async {
                match wake {
                    Some(at) => tokio::time::sleep(at.since(now)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                handed_in = work.recv(), if leave_at.is_none() => match handed_in {
                    Some(Work::Question(question)) => self.desk.handle_question(clock::now(), *question),
                    Some(Work::Record(record)) => self.desk.handle_record(clock::now(), record),
                    Some(Work::Reconfigure(config, places)) => self.desk.take_config(config, &places),
                    // Who asked may have gone in the meantime.
                    Some(Work::View(answer)) => drop(answer.send(self.desk.view(clock::now()))),
                    Some(Work::Leave) | None => leave_at = Some(clock::now() + LAST_RECORDS),
                },
                Some(checked) = checked.recv() => self.desk.handle_checked(clock::now(), checked),
                Some((door, octets)) = packets.recv() => self.desk.handle_packet(clock::now(), door, &octets),
                () = wait => self.desk.handle_timeout(clock::now()),
            }
            self.carry_out();
        }
        let view = self.desk.view(clock::now());
        if view.accounts > 0 {
            tracing::error!(sessions = view.accounts, "RADIUS did not take the last records of some sessions");
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.desk.poll_output() {
            match output {
                Output::Send(door, octets) => {
                    let Some((to, socket)) = self.sockets.get(&door) else { continue };
                    // It does not wait: what does not go now is repeated in time.
                    if let Err(error) = socket.send_to(&octets, to) {
                        tracing::debug!(server = %to, "a packet could not be sent: {error}");
                    }
                }
                Output::Check(check) => drop(self.hands.check.send(*check)),
                Output::Answer(answer) => drop(self.hands.answer.send(*answer)),
                Output::Keep(key, value) => match (&self.hands.shelf, value) {
                    (Some(shelf), Some(value)) => shelf.put(key, value),
                    (Some(shelf), None) => shelf.remove(key),
                    (None, _) => {}
                },
            }
        }
    }
}

/// Takes what this server sends; whatever others send is not looked at.
async fn listen(door: Door, from: SocketAddr, socket: tokio::net::UdpSocket, packets: mpsc::Sender<Packet>) {
    let mut buffer = vec![0; PACKET];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, source)) if source == from => {
                let octets = buffer.get(..length).unwrap_or_default().to_vec();
                if packets.send((door, octets)).await.is_err() {
                    break;
                }
            }
            Ok(_stranger) => {}
            Err(error) => {
                tracing::debug!(server = %from, "a packet could not be received: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
