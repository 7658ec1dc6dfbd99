//! One connection's smoltcp: an interface and a socket of its own, because a set of sockets is walked whole each time.
//!
//! smoltcp cannot be told that a connection is there. So it hears of it as if it had just begun: a SYN that says what the cookie
//! knows, and its answer, which nobody sees; from then on it and the peer differ by a constant in our sequence numbers. What it
//! believes to be IPv4 between two addresses is only how segments come in and go out: the real header is the door's, and
//! checksums are ours.

use super::losses::{First, Losses, UnderWay};
use super::offer::Offer;
use super::round_trip::RoundTrip;
use crate::carrier::ctcp::{SCALE as WINDOW_SCALE, segment_size};
use crate::contract::{Amount, Path, StreamEvidence};
use crate::time::Instant;
use crate::wire::ip::{IPV4_HEADER, TCP};
use crate::wire::tcp::{Seq, TCP_HEADER, TcpFlags, TcpHeader};
use crate::wire::tcp_offer::{SynOffer, selectively};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration as Span, Instant as Moment};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, Ipv4Address};

/// Octets that a peer may have under way to us.
pub const RECEIVE: usize = 256 * 1024;
/// Octets that we may have under way.
pub const SEND: usize = 128 * 1024;
/// By how many bits smoltcp shifts a window of that size.
const SCALE: u8 = (usize::BITS - RECEIVE.leading_zeros()).saturating_sub(16) as u8;
/// A SYN is answered before it is known whether cTCP or a stream begins.
const _: () = assert!(SCALE == WINDOW_SCALE.bits());
/// Where it believes to be, and its peer.
const OURS: Ipv4Address = Ipv4Address::new(192, 0, 2, 1);
const THEIRS: Ipv4Address = Ipv4Address::new(192, 0, 2, 2);
/// A connection where nothing comes is asked whether it is still there,
const KEEPALIVE: Span = Span::from_secs(60);
/// and is over after so long.
const SILENCE: Span = Span::from_secs(300);
/// RFC 5681 section 3.2.
const DUPLICATES: usize = 3;
/// Where [`TcpHeader`] has its sequence number, acknowledgment and checksum.
const SEQ_AT: std::ops::Range<usize> = 4..8;
const ACK_AT: std::ops::Range<usize> = 8..12;
const SUM_AT: std::ops::Range<usize> = 16..18;

/// What our SYN says along this path to one that said `theirs`: no option that did not come.
pub fn our_offer(path: &Path, theirs: &SynOffer) -> SynOffer {
    SynOffer {
        mss: theirs.mss.map(|_| segment_size(path)),
        scale: theirs.scale.map(|_| SCALE),
        sack: theirs.sack_of_real_tcp(),
    }
}

/// Where packets lie on their way in and out of smoltcp. One for all connections.
#[derive(Debug, Default)]
pub struct Scratch {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

/// One connection's TCP.
pub(super) struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    /// Octets of data that a segment of ours may have, the IP header of smoltcp's beside them.
    mtu: usize,
    /// Ours and the peer's.
    ports: [u16; 2],
    /// Ours on the wire, less smoltcp's.
    shift: u32,
    /// The next octet of the peer's that smoltcp has not given us.
    expected: Seq,
    losses: Losses,
    /// The window that the peer's last segment had.
    window: u16,
    /// Behind all that was said,
    said: Seq,
    /// and behind all that was written.
    written: Seq,
    went: Amount,
    resent: u64,
    trip: RoundTrip,
}

impl Stack {
    /// A connection that is there: our next octet is `ours`, the peer's is `theirs`, and `window` is the last that it said.
    pub(super) fn accept(
        now: Instant,
        path: &Path,
        offer: Offer,
        [ours, theirs]: [Seq; 2],
        window: u16,
        scratch: &mut Scratch,
    ) -> Option<Self> {
        let mut stack = Self::new(now, path, ours, theirs);
        stack.socket().listen(path.local.port()).ok()?;
        let syn = TcpHeader {
            source_port: path.peer.port(),
            destination_port: path.local.port(),
            seq: theirs.minus_one(),
            ack: Seq::default(),
            flags: TcpFlags::SYN,
            window: u16::MAX,
            len: TCP_HEADER,
        };
        stack.give(now, offer.syn().behind(&syn).as_ref(), scratch);
        stack.take(now, scratch).then_some(())?;
        let answer = TcpHeader::parse(scratch.segment())?;
        scratch.outgoing.clear();
        stack.shift = ours.minus_one().get().wrapping_sub(answer.seq.get());
        stack.window = window;
        // The third of the handshake, which has come long since.
        let third = TcpHeader { flags: TcpFlags::ACK, seq: theirs, ack: ours, window, ..syn };
        stack.give(now, &third.octets(), scratch);
        scratch.outgoing.clear();
        Some(stack)
    }

    /// A connection that we begin: the first segment that [`Stack::speak`] has is its SYN, with the number `first`.
    pub(super) fn dial(now: Instant, path: &Path, first: Seq, scratch: &mut Scratch) -> Option<Self> {
        let mut stack = Self::new(now, path, first.plus(1), Seq::default());
        let Self { interface, sockets, socket, .. } = &mut stack;
        let socket = sockets.get_mut::<Socket>(*socket);
        let there = (IpAddress::Ipv4(THEIRS), path.peer.port());
        socket.connect(interface.context(), there, path.local.port()).ok()?;
        stack.take(now, scratch).then_some(())?;
        let syn = TcpHeader::parse(scratch.segment())?;
        stack.shift = first.get().wrapping_sub(syn.seq.get());
        Some(stack)
    }

    fn new(now: Instant, path: &Path, ours: Seq, theirs: Seq) -> Self {
        let mtu = IPV4_HEADER + TCP_HEADER + usize::from(segment_size(path));
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from(ours.get());
        let mut scratch = Scratch::default();
        let mut interface = Interface::new(config, &mut Wire { mtu, scratch: &mut scratch }, moment(now));
        interface.update_ip_addrs(|addresses| {
            // There is room for one.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(OURS), 24));
        });
        let buffer = |octets| SocketBuffer::new(vec![0; octets]);
        let mut socket = Socket::new(buffer(RECEIVE), buffer(SEND));
        // Frames are small and somebody waits for them.
        socket.set_nagle_enabled(false);
        socket.set_congestion_control(CongestionControl::Cubic);
        socket.set_keep_alive(Some(KEEPALIVE));
        socket.set_timeout(Some(SILENCE));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        Self {
            interface,
            sockets,
            socket,
            mtu,
            ports: [path.local.port(), path.peer.port()],
            shift: 0,
            expected: theirs,
            losses: Losses::new(now, ours),
            window: 0,
            said: ours,
            written: ours,
            went: Amount::default(),
            resent: 0,
            trip: RoundTrip::default(),
        }
    }

    /// A segment of the peer's: TCP header and data, its checksum looked at. What smoltcp says to it at once goes to `say`.
    pub(super) fn segment(&mut self, now: Instant, segment: &[u8], scratch: &mut Scratch, say: impl FnMut(&[u8])) {
        let begins = self.state() == State::SynSent;
        let is_acceptable = self.is_acceptable(segment);
        self.give(now, segment, scratch);
        if begins && self.state() == State::Established {
            self.expected = TcpHeader::parse(segment).map_or(self.expected, |header| header.seq.plus(1));
        }
        if let Some(header) = TcpHeader::parse(segment)
            && header.flags.has(TcpFlags::ACK)
            && (begins || is_acceptable)
        {
            if !self.losses.acknowledged().is_after(header.ack) && !header.ack.is_after(self.said) {
                self.window = header.window;
            }
            self.trip.acknowledged(now, header.ack);
            let selected = selectively(header.ack, segment);
            if self.losses.heard(now, header.ack, selected, self.under_way()) == First::Lost {
                self.repeat(now, scratch);
            }
        }
        self.say(now, scratch, say);
    }

    /// Whether the peer may send it now, as far as its place says (RFC 9293 section 3.10.7.4). What is anywhere else may be anybody's guess, and
    /// smoltcp looks at none of its numbers; neither may we, for what we tell smoltcp of it is in its place.
    fn is_acceptable(&self, segment: &[u8]) -> bool {
        let Some(header) = TcpHeader::parse(segment) else { return false };
        let begins = i64::from(header.seq.distance(self.expected));
        let len = segment.len() - header.len;
        let room = 0..RECEIVE as i64;
        room.contains(&begins) || len > 0 && room.contains(&(begins + len as i64 - 1))
    }

    /// Behind all that smoltcp knows to have arrived.
    fn believed(&self) -> Seq {
        let waiting = self.sockets.get::<Socket>(self.socket).send_queue();
        Seq::new(self.written.get().wrapping_sub(waiting as u32))
    }

    /// The first segment that is not acknowledged has to go again. smoltcp repeats it for three duplicates in a row, and else waits for a
    /// second: it does not look at what a peer says to have of the rest, and forgets duplicates when data comes between them. So three
    /// come from here, behind a change of the window and back, which makes it count anew. It repeats that segment alone, its
    /// congestion control hears of the loss, and its clock begins again.
    fn repeat(&mut self, now: Instant, scratch: &mut Scratch) {
        let believed = self.believed();
        // A FIN alone it would not repeat for that, and not later either.
        if !self.written.is_after(believed) {
            return;
        }
        let bare = TcpHeader {
            source_port: self.ports[1],
            destination_port: self.ports[0],
            seq: self.expected,
            ack: believed,
            flags: TcpFlags::ACK,
            window: self.window,
            len: TCP_HEADER,
        };
        let other = TcpHeader { window: bare.window ^ 1, ..bare };
        for header in [other].into_iter().chain([bare; 1 + DUPLICATES]) {
            self.give(now, &header.octets(), scratch);
        }
    }

    /// Data of the peer's, in order, each octet once.
    pub(super) fn read<E>(&mut self, mut deliver: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        loop {
            let read = self.socket().recv(|octets| (octets.len(), (octets.len(), deliver(octets))));
            match read {
                Ok((0, _)) | Err(_) => return Ok(()),
                Ok((len, delivered)) => {
                    self.expected = self.expected.plus(len);
                    delivered?;
                }
            }
        }
    }

    /// Puts a frame behind what is to be sent, if there is room for all of it.
    pub(super) fn write(&mut self, parts: [&[u8]; 2]) -> bool {
        let len = parts[0].len() + parts[1].len();
        let socket = self.socket();
        if !socket.may_send() || socket.send_capacity() - socket.send_queue() < len {
            return false;
        }
        for part in parts {
            // There is room.
            let _ = socket.send_slice(part);
        }
        self.written = self.written.plus(len);
        true
    }

    /// Octets that were written and never sent.
    pub(super) const fn unsent(&self) -> usize {
        self.written.octets_since(self.said)
    }

    /// One segment that is due, if there is one.
    pub(super) fn speak(&mut self, now: Instant, scratch: &mut Scratch, say: impl FnMut(&[u8])) -> bool {
        if self.losses.wait(now, &self.trip, self.under_way()) == First::Lost {
            self.repeat(now, scratch);
        }
        let any = self.take(now, scratch);
        self.say(now, scratch, say);
        any
    }

    /// When there is something to do, if anything.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let moment = self.interface.poll_at(moment(now), &self.sockets);
        let nanos = |moment: Moment| u64::try_from(moment.total_micros()).unwrap_or_default().saturating_mul(1000);
        let smoltcps = moment.map(|moment| Instant::from_nanos(nanos(moment)));
        smoltcps.into_iter().chain(self.losses.due(&self.trip, self.under_way())).min()
    }

    /// The next octet of the peer's.
    pub(super) const fn expected(&self) -> Seq {
        self.expected
    }

    /// Behind all that was said.
    pub(super) const fn said(&self) -> Seq {
        self.said
    }

    /// Octets of data that a segment may have at most.
    pub(super) const fn segment_room(&self) -> usize {
        self.mtu - IPV4_HEADER - TCP_HEADER
    }

    /// The window, as a header has it.
    pub(super) const fn window(&self) -> u16 {
        (RECEIVE >> SCALE) as u16
    }

    /// Where the connection is between its first and its last segment.
    pub(super) fn state(&self) -> State {
        self.sockets.get::<Socket>(self.socket).state()
    }

    /// All that was counted.
    pub(super) fn evidence(&self) -> StreamEvidence {
        StreamEvidence {
            went: self.went,
            resent: self.resent,
            rtt: self.trip.smoothed(),
            least_rtt: self.trip.least(),
            in_flight: self.said.octets_since(self.losses.acknowledged()),
            ..StreamEvidence::default()
        }
    }

    const fn under_way(&self) -> UnderWay {
        UnderWay { said: self.said, size: self.segment_room() }
    }

    /// Data goes.
    fn note(&mut self, now: Instant, begins: Seq, end: Seq) {
        self.losses.went(now, begins, self.under_way());
        match end.octets_since(self.said) {
            0 => {
                self.resent += 1;
                self.trip.repeated();
            }
            octets => {
                self.went.segments += 1;
                self.went.octets += octets as u64;
                self.trip.sent(now, end);
            }
        }
    }

    /// Nothing more will be written: a FIN goes behind all that was.
    pub(super) fn close(&mut self) {
        self.socket().close();
    }

    /// A reset is the next thing that is said.
    pub(super) fn abort(&mut self) {
        self.socket().abort();
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    /// Hands smoltcp a segment; its answer may lie in `scratch` then.
    fn give(&mut self, now: Instant, segment: &[u8], scratch: &mut Scratch) {
        let Ok(len) = u16::try_from(IPV4_HEADER + segment.len()) else { return };
        let packet = &mut scratch.incoming;
        packet.clear();
        packet.extend([0x45, 0]);
        packet.extend(len.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]);
        packet.extend(THEIRS.octets());
        packet.extend(OURS.octets());
        packet.extend(segment);
        let segment = &mut packet[IPV4_HEADER..];
        let ack = word(segment, ACK_AT);
        put_word(segment, ACK_AT, ack.wrapping_sub(self.shift));
        self.interface.poll_ingress_single(moment(now), &mut Wire { mtu: self.mtu, scratch }, &mut self.sockets);
        scratch.incoming.clear();
    }

    /// Asks smoltcp for a segment; whether there is one in `scratch` now.
    fn take(&mut self, now: Instant, scratch: &mut Scratch) -> bool {
        let wire = &mut Wire { mtu: self.mtu, scratch };
        match self.interface.poll_egress(moment(now), wire, &mut self.sockets) {
            PollResult::SocketStateChanged => !scratch.outgoing.is_empty(),
            PollResult::None => false,
        }
    }

    /// What smoltcp has said, as the peer knows the connection.
    pub(super) fn say(&mut self, now: Instant, scratch: &mut Scratch, mut say: impl FnMut(&[u8])) {
        let shift = self.shift;
        let Some(segment) = scratch.outgoing.get_mut(IPV4_HEADER..).filter(|segment| segment.len() >= TCP_HEADER)
        else {
            return;
        };
        let seq = word(segment, SEQ_AT);
        put_word(segment, SEQ_AT, seq.wrapping_add(shift));
        segment[SUM_AT].fill(0);
        if let Some(header) = TcpHeader::parse(segment) {
            let data = segment.len() - header.len;
            let flags = usize::from(header.flags.has(TcpFlags::FIN)) + usize::from(header.flags.has(TcpFlags::SYN));
            let end = header.seq.plus(data + flags);
            // One octet that the peer has already asks whether it is still there (RFC 9293 section 3.8.4).
            let asks = data == 1 && end == self.said && self.losses.acknowledged() == self.said;
            if data > 0 && !asks {
                self.note(now, header.seq, end);
            }
            self.said = self.said.later(end);
            if data == 0 && header.flags == TcpFlags::ACK {
                // RFC 9293 section 3.10.7.4: an acknowledgment has the next number. smoltcp goes back with it when it repeats; where
                // both ends do, each would take the other's for an old one, and both would repeat without end.
                put_word(segment, SEQ_AT, self.said.get());
            }
            say(segment);
        }
        scratch.outgoing.clear();
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack").field("expected", &self.expected).field("said", &self.said).finish_non_exhaustive()
    }
}

impl Scratch {
    fn segment(&self) -> &[u8] {
        self.outgoing.get(IPV4_HEADER..).unwrap_or_default()
    }
}

/// Microseconds are all that smoltcp knows.
fn moment(now: Instant) -> Moment {
    Moment::from_micros(i64::try_from(now.as_nanos() / 1000).unwrap_or(i64::MAX))
}

fn word(segment: &[u8], at: std::ops::Range<usize>) -> u32 {
    segment.get(at).and_then(|octets| octets.try_into().ok()).map_or(0, u32::from_be_bytes)
}

fn put_word(segment: &mut [u8], at: std::ops::Range<usize>, word: u32) {
    if let Some(octets) = segment.get_mut(at) {
        octets.copy_from_slice(&word.to_be_bytes());
    }
}

/// What smoltcp takes for a network: one packet in, one packet out.
struct Wire<'a> {
    mtu: usize,
    scratch: &'a mut Scratch,
}

impl Device for Wire<'_> {
    type RxToken<'b>
        = Incoming<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Outgoing<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Moment) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let Scratch { incoming, outgoing } = &mut *self.scratch;
        (!incoming.is_empty()).then_some((Incoming(incoming), Outgoing(outgoing)))
    }

    fn transmit(&mut self, _: Moment) -> Option<Outgoing<'_>> {
        let outgoing = &mut self.scratch.outgoing;
        outgoing.is_empty().then_some(Outgoing(outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // They are looked at before, and put in behind.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

struct Outgoing<'a>(&'a mut Vec<u8>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        self.0.clear();
        self.0.resize(len, 0);
        fill(self.0)
    }
}
