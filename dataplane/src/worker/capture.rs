//! Copies of a tunnel's packets for whoever wants to look at them. Nothing here waits, and a worker that copies for nobody only asks
//! whether it does.
//!
//! ```text
//! segments_came ─ undress ─ classify ─ came ─ decapsulate ─ opened ─ route ─ routed ─ fit ─ going ─ encapsulate ─ sealed ─ dress ─ leaving ─ tx
//! ```
//!
//! What belongs to a tunnel: ESP with its SPIs, inner packets, and what comes and goes along its outer paths (IKE, keepalives, TCP
//! segments). A packet is copied before the stage that changes it; `open` remembers which places of the burst are not settled yet.

use crate::contract::{
    CaptureId, CaptureOrder, CapturePaths, CaptureSide, CaptureSides, CaptureWay, CaptureWriter, CapturedNumber,
    DropReason, MAX_CAPTURES, OuterForm, Path, Sight, TunnelKey, WorkerId,
};
use crate::fate::Fate;
use crate::offload::finish_checksum;
use crate::packet::{Burst, Carriage, Channel, Origin, PacketBuf};
use crate::sad::{Found, Sad};
use crate::time::Instant;
use crate::wire::esp::{EspHeader, HEADER_LEN};
use crate::wire::ip::IpPacket;

/// The captures that a worker copies for.
pub(super) struct Captures {
    running: Vec<Running>,
    open: Vec<Open>,
}

struct Running {
    id: CaptureId,
    tunnel: TunnelKey,
    sides: CaptureSides,
    snap: usize,
    paths: CapturePaths,
    writer: CaptureWriter,
    stands: Stands,
}

/// Whether a capture goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    On,
    /// Until this burst is over.
    Last,
}

/// A packet of the burst whose end is not known yet.
struct Open {
    /// Its place in the burst,
    place: usize,
    /// and of the capture among those that run.
    capture: usize,
    /// Its copy, if there is one,
    copy: Option<CapturedNumber>,
    /// or what is shown of it if it is dropped.
    front: Option<Front>,
}

/// What is shown of ESP that is no packet of its own: out of a TCP connection, or on its way into one. Taken before anything is made of it.
#[derive(Clone, Copy)]
struct Front {
    octets: [u8; HEADER_LEN],
    /// Octets that the ESP packet has.
    len: usize,
    way: CaptureWay,
}

impl Front {
    fn of(packet: &PacketBuf, way: CaptureWay) -> Option<Self> {
        Some(Self { octets: *packet.bytes().first_chunk()?, len: packet.len(), way })
    }
}

impl Captures {
    pub(super) fn new() -> Self {
        Self { running: Vec::new(), open: Vec::new() }
    }

    /// Whether there is anything to do.
    #[inline]
    pub(super) fn are_on(&self) -> bool {
        !self.running.is_empty()
    }

    /// Copies from now on, unless the tunnel is one of ours and gone, or there are too many.
    pub(super) fn begin(&mut self, order: CaptureOrder, us: WorkerId, sad: &Sad, places: usize) {
        let CaptureOrder { id, tunnel, sides, snap, paths, writer } = order;
        let gone = tunnel.worker == us && sad.tunnel(tunnel.slot).is_none();
        if gone || self.running.len() >= MAX_CAPTURES {
            return;
        }
        // Grown here, so that the packet path never has to.
        self.open.reserve(2 * places * (self.running.len() + 1));
        self.running.push(Running { id, tunnel, sides, snap: snap as usize, paths, writer, stands: Stands::On });
    }

    /// Its session goes other ways outside.
    pub(super) fn aim(&mut self, id: CaptureId, paths: CapturePaths) {
        if let Some(capture) = self.running.iter_mut().find(|capture| capture.id == id) {
            capture.paths = paths;
        }
    }

    /// Its session needs it no longer.
    pub(super) fn stop(&mut self, id: CaptureId) {
        self.running.retain(|capture| capture.id != id);
        self.shrink();
    }

    /// Its tunnel is gone. What is said to its peer in this turn still belongs to it.
    pub(super) fn tunnel_gone(&mut self, tunnel: TunnelKey) {
        for capture in self.running.iter_mut().filter(|capture| capture.tunnel == tunnel) {
            capture.stands = Stands::Last;
        }
    }

    /// TCP segments, before they are undressed.
    pub(super) fn segments_came(&mut self, burst: &Burst, sad: &Sad, now: Instant) {
        for (place, packet) in burst.iter().enumerate() {
            if packet.meta.channel == Channel::Ctcp && packet.meta.carriage == Carriage::Segment {
                self.along_path(Some(place), packet, OuterForm::Segment, CaptureWay::Up, sad, now);
            }
        }
    }

    /// Outer packets that are told apart and not opened yet.
    pub(super) fn came(&mut self, burst: &Burst, sad: &mut Sad, now: Instant) {
        for (place, packet) in burst.iter().enumerate() {
            let carriage = match packet.meta.channel {
                Channel::Inner => continue,
                Channel::Ctcp | Channel::Tcp => packet.meta.carriage,
                Channel::Ike | Channel::NatT500 | Channel::NatT | Channel::CiscoUdp | Channel::Esp => Carriage::Segment,
            };
            match (packet.meta.fate, packet.meta.channel.transport(), carriage) {
                // On its way out.
                (_, _, Carriage::Sealed) => {}
                (Fate::Forward, Some(_), carriage) => self.esp_came(place, packet, carriage, sad, now),
                // Segments are seen already.
                (_, _, Carriage::Bare) => {}
                (_, _, Carriage::Segment) if packet.meta.channel.door() == Channel::Ctcp => {}
                (fate, _, Carriage::Segment) => {
                    let form = match (packet.meta.channel, fate) {
                        (Channel::NatT, Fate::ToControl) => OuterForm::UdpNonEsp,
                        (Channel::NatT500, _) => OuterForm::UdpNonIke,
                        (Channel::Esp, _) => OuterForm::Esp,
                        (Channel::Ike | Channel::NatT | Channel::CiscoUdp, _)
                        | (Channel::Ctcp | Channel::Tcp | Channel::Inner, _) => OuterForm::Udp,
                    };
                    self.along_path(Some(place), packet, form, CaptureWay::Up, sad, now);
                }
            }
        }
    }

    fn esp_came(&mut self, place: usize, packet: &PacketBuf, carriage: Carriage, sad: &mut Sad, now: Instant) {
        let form = outer_form(packet.meta.channel);
        let bare = carriage == Carriage::Bare;
        let tunnel = match EspHeader::parse(packet.bytes()).map(|header| sad.find(header.spi)) {
            Some(Found::Here(slot)) => sad.inbound_mut(slot).map(|sa| sa.tunnel()),
            // Whoever owns it sees it.
            Some(Found::Elsewhere(_)) => return,
            Some(Found::Nothing) | None if bare => return,
            Some(Found::Nothing) | None => return self.along_path(Some(place), packet, form, CaptureWay::Up, sad, now),
        };
        for (index, capture) in self.running.iter_mut().enumerate() {
            if Some(capture.tunnel) != tunnel {
                continue;
            }
            let seen = |open: &Open| open.place == place && open.capture == index;
            if bare && self.open.iter().any(seen) {
                continue;
            }
            let (copy, front) = match bare {
                true => (None, Front::of(packet, CaptureWay::Up)),
                false => (capture.outer(now, CaptureWay::Up, packet, form), None),
            };
            self.open.push(Open { place, capture: index, copy, front });
        }
    }

    /// What decapsulation made of them.
    pub(super) fn opened(&mut self, burst: &Burst, now: Instant) {
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|Open { place, capture, copy, front }| {
            let (Some(packet), Some(capture)) = (burst.get(*place), self.running.get_mut(*capture)) else {
                return false;
            };
            // What came along its path may be another's.
            let its_own = packet.meta.origin == Origin::Tunnel(capture.tunnel);
            match packet.meta.fate {
                Fate::Forward if its_own => {
                    (*copy, *front) = (capture.inner(now, CaptureWay::Up, packet), None);
                    copy.is_some()
                }
                Fate::Drop(reason) => {
                    capture.drop(*copy, reason);
                    capture.drop_front(*front, reason, packet, now);
                    if its_own && is_behind_the_icv(reason) {
                        let inner = capture.inner(now, CaptureWay::Up, packet);
                        capture.drop(inner, reason);
                    }
                    false
                }
                Fate::Forward | Fate::ToControl | Fate::Handoff(_) | Fate::Streamed => false,
            }
        });
        self.open = open;
    }

    /// Which of them have no way on. Until here each has kept its place.
    pub(super) fn routed(&mut self, burst: &Burst, now: Instant) {
        self.settle(burst, now, |_| false, |_, _| {});
    }

    /// Inner packets in the size in which they go into their tunnel, and those that may not.
    pub(super) fn going(&mut self, burst: &mut Burst, now: Instant) {
        for (place, packet) in burst.iter_mut().enumerate() {
            let Some(tunnel) = packet.meta.tunnel else { continue };
            // The tunnel's owner sees it.
            if matches!(packet.meta.fate, Fate::Handoff(_)) {
                continue;
            }
            for (index, capture) in self.running.iter_mut().enumerate() {
                if capture.tunnel != tunnel {
                    continue;
                }
                // What cannot be finished is dropped by that name when it is sealed.
                let _ = finish_checksum(packet);
                let copy = capture.inner(now, CaptureWay::Down, packet);
                match packet.meta.fate {
                    Fate::Forward => self.open.push(Open { place, capture: index, copy, front: None }),
                    Fate::Drop(reason) => capture.drop(copy, reason),
                    Fate::ToControl | Fate::Handoff(_) | Fate::Streamed => {}
                }
            }
        }
    }

    /// They are ESP now. What goes by TCP is seen when it leaves, and what a connection does not take is dropped until then.
    pub(super) fn sealed(&mut self, burst: &Burst, now: Instant) {
        self.settle(burst, now, is_for_a_connection, |capture, packet| {
            if packet.meta.carriage == Carriage::Sealed {
                capture.outer(now, CaptureWay::Down, packet, sent_form(packet.meta.channel));
            }
        });
        // Another worker may have sealed it.
        for (place, packet) in burst.iter().enumerate().filter(|(_, packet)| is_for_a_connection(packet)) {
            for (index, capture) in self.running.iter().enumerate() {
                if packet.meta.origin == Origin::Tunnel(capture.tunnel) {
                    let front = Front::of(packet, CaptureWay::Down);
                    self.open.push(Open { place, capture: index, copy: None, front });
                }
            }
        }
    }

    /// What else goes out: IKE and keepalives, and TCP segments.
    pub(super) fn leaving(&mut self, replies: &Burst, burst: &Burst, sad: &Sad, now: Instant) {
        self.settle(burst, now, |_| false, |_, _| {});
        for packet in replies {
            self.along_path(None, packet, sent_form(packet.meta.channel), CaptureWay::Down, sad, now);
        }
        for packet in burst {
            let leaves = packet.meta.fate == Fate::Forward && packet.meta.carriage == Carriage::Segment;
            if leaves && packet.meta.channel == Channel::Ctcp {
                self.along_path(None, packet, OuterForm::Segment, CaptureWay::Down, sad, now);
            }
        }
    }

    /// The turn is over.
    pub(super) fn end_burst(&mut self) {
        self.open.clear();
        for capture in &mut self.running {
            capture.writer.end_burst();
        }
        self.running.retain(|capture| capture.stands == Stands::On);
        self.shrink();
    }

    /// Without captures nothing is held.
    fn shrink(&mut self) {
        if self.running.is_empty() {
            self.open = Vec::new();
        }
    }

    /// A packet that belongs to whoever is at the other end of its path. With a place in the burst, its end is waited for.
    fn along_path(
        &mut self,
        place: Option<usize>,
        packet: &PacketBuf,
        form: OuterForm,
        way: CaptureWay,
        sad: &Sad,
        now: Instant,
    ) {
        let Some(path) = packet.meta.path else { return };
        for (index, capture) in self.running.iter_mut().enumerate() {
            if !capture.goes(path, sad) {
                continue;
            }
            let copy = capture.outer(now, way, packet, form);
            match (packet.meta.fate, place) {
                (Fate::Drop(reason), _) => capture.drop(copy, reason),
                (Fate::Forward, Some(place)) => {
                    self.open.push(Open { place, capture: index, copy, front: None });
                }
                (Fate::Forward | Fate::ToControl | Fate::Handoff(_) | Fate::Streamed, _) => {}
            }
        }
    }

    /// All that is open and does not wait for more is settled; what goes on is handed to `onward`.
    fn settle(
        &mut self,
        burst: &Burst,
        now: Instant,
        waits: impl Fn(&PacketBuf) -> bool,
        mut onward: impl FnMut(&mut Running, &PacketBuf),
    ) {
        let Self { running, open } = self;
        open.retain(|Open { place, capture, copy, front }| {
            let (Some(packet), Some(capture)) = (burst.get(*place), running.get_mut(*capture)) else { return false };
            match packet.meta.fate {
                Fate::Drop(reason) => {
                    capture.drop(*copy, reason);
                    capture.drop_front(*front, reason, packet, now);
                }
                Fate::Forward if waits(packet) => return true,
                Fate::Forward => onward(capture, packet),
                Fate::ToControl | Fate::Handoff(_) | Fate::Streamed => {}
            }
            false
        });
    }
}

impl Running {
    /// Whether its session goes along there. Where its tunnel is right now its owner knows best.
    fn goes(&self, path: Path, sad: &Sad) -> bool {
        self.sides.has(CaptureSide::Outer)
            && (self.paths.contains(&Some(path))
                || sad.owned(self.tunnel).is_some_and(|tunnel| tunnel.path().path() == path))
    }

    fn outer(&mut self, at: Instant, way: CaptureWay, packet: &PacketBuf, form: OuterForm) -> Option<CapturedNumber> {
        let sight = self.outer_sight(packet, form)?;
        let bytes = packet.bytes();
        self.writer.packet(at, way, sight, bytes.len(), bytes.get(..self.snap).unwrap_or(bytes))
    }

    fn outer_sight(&self, packet: &PacketBuf, form: OuterForm) -> Option<Sight> {
        let path = packet.meta.path.filter(|_| self.sides.has(CaptureSide::Outer))?;
        Some(Sight::Outer { path, form, class: packet.meta.outer_class })
    }

    fn inner(&mut self, at: Instant, way: CaptureWay, packet: &PacketBuf) -> Option<CapturedNumber> {
        if !self.sides.has(CaptureSide::Inner) {
            return None;
        }
        let bytes = packet.bytes();
        // What is behind it is padding.
        let bytes = IpPacket::parse(bytes).and_then(|ip| bytes.get(..ip.len)).unwrap_or(bytes);
        self.writer.packet(at, way, Sight::Inner, bytes.len(), bytes.get(..self.snap).unwrap_or(bytes))
    }

    fn drop(&mut self, copy: Option<CapturedNumber>, reason: DropReason) {
        if let Some(copy) = copy {
            self.writer.dropped(copy, reason);
        }
    }

    /// ESP that is no packet of its own has no copy outside until it is dropped.
    fn drop_front(&mut self, front: Option<Front>, reason: DropReason, packet: &PacketBuf, now: Instant) {
        let Some(front) = front else { return };
        let Some(sight) = self.outer_sight(packet, OuterForm::Streamed) else { return };
        let copy = self.writer.packet(now, front.way, sight, front.len, &front.octets);
        self.drop(copy, reason);
    }
}

/// Whether a packet with this fate was opened: then the inner packet is what is left of it.
const fn is_behind_the_icv(reason: DropReason) -> bool {
    matches!(reason, DropReason::SelectorMismatch | DropReason::Congested | DropReason::OverRateUp)
}

/// ESP that is sealed and goes into a TCP connection, here or on another worker.
fn is_for_a_connection(packet: &PacketBuf) -> bool {
    packet.meta.fate == Fate::Forward
        && packet.meta.carriage == Carriage::Sealed
        && packet.meta.channel.door() == Channel::Ctcp
}

/// How ESP that has come stood there. Its marker is taken off by now.
const fn outer_form(channel: Channel) -> OuterForm {
    match channel {
        Channel::NatT500 => OuterForm::UdpNonIke,
        Channel::Esp => OuterForm::Esp,
        Channel::Ctcp | Channel::Tcp => OuterForm::Streamed,
        Channel::Ike | Channel::NatT | Channel::CiscoUdp | Channel::Inner => OuterForm::Udp,
    }
}

/// How what is sent stands there: all markers are in its octets.
const fn sent_form(channel: Channel) -> OuterForm {
    match channel {
        Channel::Esp => OuterForm::Esp,
        Channel::Ctcp | Channel::Tcp => OuterForm::Segment,
        Channel::Ike | Channel::NatT500 | Channel::NatT | Channel::CiscoUdp | Channel::Inner => OuterForm::Udp,
    }
}
