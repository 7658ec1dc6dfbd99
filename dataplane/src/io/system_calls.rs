//! The door of plain system calls: recvmmsg, sendmmsg, read, writev, ppoll. It works wherever Linux does, and it is
//! the oracle for the io_uring door.
#![expect(unsafe_code, reason = "system calls that take arrays of pointers")]

use super::ancillary::{CONTROL_LEN, Control, NAME_LEN, Source, read_control, read_name, scope, write_name};
use super::arrival::{Arrival, Delivered, SLOT, SLOT_GAP};
use super::departure::Departure;
use super::inner::{self, Inner};
use super::open::DoorSeed;
use super::outgoing::Outgoing;
use super::udp::OuterSocket;
use super::waker::EventWaker;
use super::{Capabilities, Door, DoorStats, Woken, clock, vnet};
use crate::contract::{Path, Wake};
use crate::packet::{Burst, PacketBuf, Pool};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Datagrams taken in one recvmmsg.
const BATCH: usize = 64;
const STRIDE: usize = SLOT + SLOT_GAP;

/// See the file's comment.
pub(super) struct SystemCallDoor {
    outer: Vec<OuterSocket>,
    tun: Option<OwnedFd>,
    waker: Arc<EventWaker>,
    spin: Duration,
    /// Outer sockets in order, the TUN queue, the waker: what the last poll said.
    polled: Vec<libc::pollfd>,
    /// `polled` was filled since the last receive.
    fresh: bool,
    /// Which source is read first: in turn, so that none starves the others.
    first: usize,
    receiver: Receiver,
    arrived: VecDeque<(usize, Arrival)>,
    inner: Inner,
    inner_gone: bool,
    outgoing: Outgoing,
    sender: Sender,
    stats: DoorStats,
}

impl SystemCallDoor {
    pub(super) const NAME: &'static str = "system calls";

    pub(super) fn new(seed: DoorSeed) -> Self {
        let fds = seed.sockets.iter().map(|outer| outer.socket.as_raw_fd());
        let fds = fds.chain(seed.tun.as_ref().map(AsRawFd::as_raw_fd)).chain([seed.waker.as_fd().as_raw_fd()]);
        let polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
        let bounds = seed.sockets.iter().map(|outer| outer.bound).collect();
        Self {
            outgoing: Outgoing::new(bounds, seed.tun.is_some().then_some(seed.kinds)),
            outer: seed.sockets,
            tun: seed.tun,
            waker: seed.waker,
            spin: seed.spin,
            polled,
            fresh: false,
            first: 0,
            receiver: Receiver::new(),
            arrived: VecDeque::with_capacity(BATCH),
            inner: Inner::default(),
            inner_gone: false,
            sender: Sender::default(),
            stats: DoorStats::default(),
        }
    }

    /// Asks which sources have something, waiting up to `limit`. Returns whether any has.
    fn poll(&mut self, limit: Duration) -> io::Result<bool> {
        let timeout = libc::timespec {
            tv_sec: limit.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(limit.subsec_nanos()),
        };
        self.stats.system_calls += 1;
        let count = self.polled.len() as libc::nfds_t;
        // SAFETY: `polled` holds `count` entries, and it and `timeout` live until the call returns.
        let ready = unsafe { libc::ppoll(self.polled.as_mut_ptr(), count, &raw const timeout, std::ptr::null()) };
        if ready >= 0 {
            self.fresh = true;
            return Ok(ready > 0);
        }
        self.fresh = false;
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        }
    }

    fn woken(&self) -> Woken {
        if self.waker.take() { Woken::Called } else { Woken::Ready }
    }

    /// Copies what lies in the slots into packets. Returns whether the slots are free.
    fn deliver(&mut self, pool: &mut Pool, burst: &mut Burst, until: usize) -> bool {
        while let Some((slot, arrival)) = self.arrived.front_mut() {
            let payload = self.receiver.payload(*slot, arrival.len);
            match arrival.deliver(payload, pool, burst, until) {
                Delivered::All => {
                    self.arrived.pop_front();
                }
                Delivered::Limit => return false,
                Delivered::Starved => {
                    self.stats.starved += 1;
                    return false;
                }
            }
        }
        true
    }
}

impl Door for SystemCallDoor {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: Self::NAME,
            inner_segments: self.tun.is_some(),
            outer_segments: super::departure::Departures::MOST,
        }
    }

    fn receive(&mut self, pool: &mut Pool, burst: &mut Burst, limit: usize) -> usize {
        let before = burst.len();
        let until = before + limit;
        if !self.deliver(pool, burst, until) {
            return burst.len() - before;
        }
        if !self.fresh && self.poll(Duration::ZERO).is_err() {
            return burst.len() - before;
        }
        self.fresh = false;
        let sources = self.polled.len() - 1;
        self.first = (self.first + 1) % sources.max(1);
        for source in (self.first..sources).chain(0..self.first) {
            if self.polled[source].revents == 0 || burst.len() >= until {
                continue;
            }
            if let Some(outer) = self.outer.get(source) {
                self.stats.system_calls += 1;
                self.receiver.receive(outer, until - burst.len(), &mut self.arrived);
                if !self.deliver(pool, burst, until) {
                    break;
                }
            } else if let Some(tun) = &self.tun {
                let mut budget = inner::BUDGET;
                while burst.len() < until && budget > 0 {
                    let Some(mut buffer) = self.inner.buffer(pool) else {
                        self.stats.starved += 1;
                        break;
                    };
                    self.stats.system_calls += 1;
                    let len = match read(tun.as_raw_fd(), inner::room(&mut buffer)) {
                        Ok(Some(len)) => len,
                        none => {
                            self.inner_gone |= none.is_err();
                            self.inner.keep(buffer);
                            break;
                        }
                    };
                    budget = budget.saturating_sub(len);
                    self.inner.deliver(buffer, len, pool, burst);
                }
            }
        }
        burst.len() - before
    }

    fn transmit(&mut self, _pool: &mut Pool, burst: &mut Burst) {
        self.outgoing.take(burst);
    }

    fn flush(&mut self, pool: &mut Pool) -> io::Result<()> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        for (index, outer) in self.outer.iter().enumerate() {
            let refused = self.sender.send(outer, index, self.outgoing.departures.queued(), &mut self.stats);
            for (peer, size) in refused {
                self.outgoing.departures.refuse(peer, size);
            }
        }
        for departure in self.outgoing.departures.queued() {
            departure.packets.drain(..).for_each(|packet| pool.put(packet));
        }
        self.outgoing.departures.clear();
        for group in self.outgoing.joiner.seal() {
            if let (Some(tun), Some(first)) = (&self.tun, group.packets.first()) {
                let header = vnet::write(&first.meta, first.bytes());
                let count = group.packets.len() as u64;
                self.stats.system_calls += 1;
                match self.sender.write(tun.as_raw_fd(), &header, &group.packets) {
                    Ok(()) if count > 1 => self.stats.joined += count,
                    Ok(()) => {}
                    Err(error) => count_refusal(&mut self.stats, &error, count),
                }
            }
            group.packets.drain(..).for_each(|packet| pool.put(packet));
        }
        self.outgoing.joiner.clear();
        Ok(())
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Woken> {
        if self.inner_gone {
            return Err(inner::gone());
        }
        if !self.arrived.is_empty() {
            return Ok(Woken::Ready);
        }
        let start = clock::now();
        let spin = self.spin.min(limit);
        loop {
            if self.poll(Duration::ZERO)? {
                return Ok(self.woken());
            }
            if clock::now().since(start) >= spin {
                break;
            }
            std::hint::spin_loop();
        }
        let rest = limit.saturating_sub(clock::now().since(start));
        if !rest.is_zero() && self.poll(rest)? {
            return Ok(self.woken());
        }
        Ok(Woken::TimedOut)
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }

    fn now(&self) -> crate::time::Instant {
        clock::now()
    }

    fn stats(&self) -> DoorStats {
        self.stats
    }
}

/// Counts packets that the kernel did not take.
pub(super) fn count_refusal(stats: &mut DoorStats, error: &io::Error, packets: u64) {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => stats.transmit_full += packets,
        _ => stats.transmit_failed += packets,
    }
}

/// Slots for a recvmmsg, with room for what comes beside the payload.
struct Receiver {
    slots: Box<[u8]>,
    names: Box<[[u8; NAME_LEN]; BATCH]>,
    controls: Box<[Control; BATCH]>,
}

impl Receiver {
    fn new() -> Self {
        Self {
            slots: vec![0; BATCH * STRIDE].into_boxed_slice(),
            names: Box::new([[0; NAME_LEN]; BATCH]),
            controls: Box::new([Control::EMPTY; BATCH]),
        }
    }

    fn payload(&self, slot: usize, len: usize) -> &[u8] {
        let slot = self.slots.get(slot * STRIDE..slot * STRIDE + SLOT).unwrap_or_default();
        &slot[..len.min(SLOT)]
    }

    /// Takes up to `most` datagrams; all slots are free.
    fn receive(&mut self, outer: &OuterSocket, most: usize, arrived: &mut VecDeque<(usize, Arrival)>) {
        let most = most.min(BATCH);
        let mut vectors: [libc::iovec; BATCH] = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        for (vector, slot) in vectors.iter_mut().zip(self.slots.chunks_exact_mut(STRIDE)) {
            *vector = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: SLOT };
        }
        let mut messages: [libc::mmsghdr; BATCH] = std::array::from_fn(|index| {
            let mut header = empty_message();
            header.msg_name = self.names[index].as_mut_ptr().cast();
            header.msg_namelen = NAME_LEN as libc::socklen_t;
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_LEN;
            libc::mmsghdr { msg_hdr: header, msg_len: 0 }
        });
        let fd = outer.socket.as_raw_fd();
        // SAFETY: the first `most` messages point to a name, a control buffer, one vector and through it one slot
        // each, all distinct, of the lengths said, and alive until the call returns.
        let got =
            unsafe { libc::recvmmsg(fd, messages.as_mut_ptr(), most as u32, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        for (index, message) in messages.iter().take(usize::try_from(got).unwrap_or(0)).enumerate() {
            let name = &self.names[index][..(message.msg_hdr.msg_namelen as usize).min(NAME_LEN)];
            let control = &self.controls[index].0[..message.msg_hdr.msg_controllen.min(CONTROL_LEN)];
            if let Some(arrival) = arrival(outer, name, control, message.msg_len as usize) {
                arrived.push_back((index, arrival));
            }
        }
    }
}

/// What came, put together from what lies beside it.
pub(super) fn arrival(outer: &OuterSocket, name: &[u8], control: &[u8], len: usize) -> Option<Arrival> {
    let beside = read_control(control);
    let port = outer.bound.address.port();
    let local = match beside.local {
        Some((ip, interface)) => {
            let mut local = SocketAddr::new(ip, port);
            if let SocketAddr::V6(v6) = &mut local {
                v6.set_scope_id(scope(ip, interface));
            }
            local
        }
        None => outer.bound.address,
    };
    let path = Path { local, peer: read_name(name)? };
    Some(Arrival { channel: outer.bound.channel, path, len, segment: beside.segment, done: 0 })
}

/// How a socket says where its datagrams come from.
pub(super) fn source(outer: &OuterSocket) -> Source {
    if outer.bound.address.ip().is_unspecified() { Source::Chosen } else { Source::Bound }
}

/// Arrays for sendmmsg and writev, kept for their memory.
#[derive(Default)]
struct Sender {
    vectors: Vec<libc::iovec>,
    beside: Vec<Beside>,
    messages: Vec<libc::mmsghdr>,
}

/// One message's parts but for the payload.
struct Beside {
    /// Which departure.
    departure: usize,
    name: [u8; NAME_LEN],
    name_len: usize,
    control: Control,
    control_len: usize,
    vectors: std::ops::Range<usize>,
}

impl Beside {
    fn new(outer: &OuterSocket, path: &Path, segment: Option<u16>) -> Self {
        let (mut name, mut control) = ([0; NAME_LEN], Control::EMPTY);
        let name_len = write_name(&mut name, path.peer);
        let control_len = control.write(path, source(outer), segment);
        Self { departure: 0, name, name_len, control, control_len, vectors: 0..0 }
    }

    /// The header that points to all of it; valid while neither moves.
    fn message(&mut self, vectors: &mut [libc::iovec]) -> libc::msghdr {
        let mut header = empty_message();
        header.msg_name = self.name.as_mut_ptr().cast();
        header.msg_namelen = self.name_len as libc::socklen_t;
        header.msg_iov = vectors.as_mut_ptr();
        header.msg_iovlen = vectors.len();
        if self.control_len > 0 {
            header.msg_control = self.control.0.as_mut_ptr().cast();
            header.msg_controllen = self.control_len;
        }
        header
    }
}

impl Sender {
    /// Sends what is for this socket, in order. Returns the peers and sizes that do not go grouped.
    fn send(
        &mut self,
        outer: &OuterSocket,
        index: usize,
        departures: &[Departure],
        stats: &mut DoorStats,
    ) -> Vec<(SocketAddr, usize)> {
        self.vectors.clear();
        self.beside.clear();
        self.messages.clear();
        for (number, departure) in departures.iter().enumerate() {
            let Some((_, path)) = departure.to.filter(|(socket, _)| *socket == index) else { continue };
            let from = self.vectors.len();
            self.vectors.extend(departure.packets.iter().map(vector));
            let beside = Beside::new(outer, &path, departure.segment());
            self.beside.push(Beside { departure: number, vectors: from..self.vectors.len(), ..beside });
        }
        for beside in &mut self.beside {
            let vectors = &mut self.vectors[beside.vectors.clone()];
            self.messages.push(libc::mmsghdr { msg_hdr: beside.message(vectors), msg_len: 0 });
        }
        let fd = outer.socket.as_raw_fd();
        let mut refused = Vec::new();
        let mut done = 0;
        while done < self.messages.len() {
            let rest = &mut self.messages[done..];
            let count = rest.len().min(1024) as u32;
            stats.system_calls += 1;
            // SAFETY: each message points to a name, control data and vectors in `beside` and `vectors`, and through
            // them to the packets of `departures`; none moves or is freed until the call returns.
            let sent = unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
            if let Ok(sent @ 1..) = usize::try_from(sent) {
                for beside in &self.beside[done..done + sent] {
                    let datagrams = departures[beside.departure].packets.len() as u64;
                    stats.segmented += if datagrams > 1 { datagrams } else { 0 };
                }
                done += sent;
                continue;
            }
            let error = io::Error::last_os_error();
            let departure = &departures[self.beside[done].departure];
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => {
                    for beside in &self.beside[done..] {
                        stats.transmit_full += departures[beside.departure].packets.len() as u64;
                    }
                    break;
                }
                _ if departure.packets.len() > 1 => {
                    if let Some((_, path)) = departure.to {
                        refused.push((path.peer, departure.size));
                        for packet in &departure.packets {
                            stats.system_calls += 1;
                            if let Err(error) = send_one(outer, &path, packet) {
                                count_refusal(stats, &error, 1);
                            }
                        }
                    }
                    done += 1;
                }
                _ => {
                    stats.transmit_failed += 1;
                    done += 1;
                }
            }
        }
        refused
    }

    /// Writes one packet, or several as a super-packet, to a TUN queue.
    fn write(&mut self, fd: RawFd, header: &[u8; vnet::LEN], packets: &[PacketBuf]) -> io::Result<()> {
        self.vectors.clear();
        self.vectors.push(libc::iovec { iov_base: header.as_ptr().cast_mut().cast(), iov_len: header.len() });
        self.vectors.extend(packets.iter().map(vector));
        // SAFETY: the vectors point to `header` and `packets`, which live until the call returns; it only reads.
        let written = unsafe { libc::writev(fd, self.vectors.as_ptr(), self.vectors.len() as i32) };
        if written >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Sends one datagram.
pub(super) fn send_one(outer: &OuterSocket, path: &Path, packet: &PacketBuf) -> io::Result<()> {
    let mut beside = Beside::new(outer, path, None);
    let mut vectors = [vector(packet)];
    let message = beside.message(&mut vectors);
    // SAFETY: the message points to `beside`, `vectors` and through them `packet`; all live until the call returns.
    let sent = unsafe { libc::sendmsg(outer.socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
    if sent >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A packet's octets as the kernel wants to be shown them. Only for calls that read.
pub(super) fn vector(packet: &PacketBuf) -> libc::iovec {
    libc::iovec { iov_base: packet.bytes().as_ptr().cast_mut().cast(), iov_len: packet.len() }
}

pub(super) fn empty_message() -> libc::msghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// Reads one packet with its vnet header; `None` if there is none.
fn read(fd: RawFd, room: &mut [u8]) -> io::Result<Option<usize>> {
    // SAFETY: `room` is valid for writes of its length until the call returns.
    let len = unsafe { libc::read(fd, room.as_mut_ptr().cast(), room.len()) };
    match (usize::try_from(len), io::Error::last_os_error().raw_os_error()) {
        (Ok(len), _) => Ok(Some(len)),
        (Err(_), Some(inner::GONE)) => Err(inner::gone()),
        (Err(_), _) => Ok(None),
    }
}
