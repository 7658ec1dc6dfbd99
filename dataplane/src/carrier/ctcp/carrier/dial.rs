//! Connections that we begin.
//!
//! ```text
//! an IKE message wants to go: it waits
//! SYN ─────────────▶
//!     ◀───────────── SYN, ACK
//! ACK, the message ▶            Flow
//! ```
//! Nothing here repeats a SYN: IKE repeats its message, and that calls for another, as with Cisco's clients.

use super::{Carrier, Outlet, Part, Taken};
use crate::carrier::ctcp::cookie::SynFacts;
use crate::carrier::ctcp::flow::{Flow, SCALE, header, segment_size};
use crate::carrier::ctcp::receive::Mode;
use crate::carrier::ctcp::slot::{Slot, Standing, Talk};
use crate::carrier::ctcp::trailer::{Inside, trailer};
use crate::contract::Path;
use crate::fate::DropReason;
use crate::packet::PacketBuf;
use crate::time::Instant;
use crate::wire::tcp::{Seq, TcpFlags, TcpHeader, put_tcp_checksum};
use crate::wire::tcp_offer::{Sack, SynOffer};

/// Connections that are being begun, at most; the oldest gives way.
const MOST: usize = 16;

/// All that are being begun.
#[derive(Default)]
pub(super) struct Dials(Vec<Dial>);

struct Dial {
    path: Path,
    /// Our SYN's number.
    syn: Seq,
    /// An IKE message with its UDP header.
    waiting: Vec<u8>,
}

impl Dials {
    /// A message is to go along `path`: the number of the SYN that goes first. The same until it is answered, or a box would see two
    /// connections.
    fn begin(&mut self, path: &Path, fresh: Seq, message: &[u8]) -> Seq {
        let waiting = message.to_vec();
        if let Some(dial) = self.0.iter_mut().find(|dial| dial.path == *path) {
            dial.waiting = waiting;
            return dial.syn;
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Dial { path: *path, syn: fresh, waiting });
        fresh
    }

    /// The one that this acknowledges. It is no longer here.
    fn take(&mut self, path: &Path, acknowledgment: Seq) -> Option<Dial> {
        let at = self.0.iter().position(|dial| dial.path == *path && dial.syn.plus(1) == acknowledgment)?;
        Some(self.0.remove(at))
    }
}

impl Carrier {
    /// There is no connection for this message: a SYN goes in its place, if it is for us to begin one.
    pub(super) fn dial(
        &mut self,
        now: Instant,
        path: &Path,
        inside: Inside,
        packet: &mut PacketBuf,
    ) -> Result<(), DropReason> {
        match (self.config.part, inside) {
            (Part::Dials, Inside::Ike) => {}
            // ESP alone begins none: its SA may be of a connection that the peer has reset.
            (Part::Dials, Inside::Esp) | (Part::Answers, Inside::Ike | Inside::Esp) => {
                return Err(DropReason::NoConnection);
            }
        }
        let number = self.dials.begin(path, self.cookies.first_number(now, path), packet.bytes());
        let syn = header(path, number, Seq::default(), TcpFlags::SYN);
        let (mss, scale) = match self.config.mode {
            // Whoever says it takes part in TCP, and repeats.
            Mode::Adaptive => (Some(segment_size(path)), Some(SCALE.bits())),
            Mode::Stateless | Mode::Legacy => (None, None),
        };
        let offer = SynOffer { mss, scale, sack: Sack::Unknown };
        packet.truncate(0).ok_or(DropReason::NoBuffer)?;
        put(packet, offer.behind(&syn).as_ref())?;
        put_tcp_checksum(path, packet.bytes_mut());
        Ok(())
    }

    /// A SYN from where we dial to.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        path: &Path,
        syn: &TcpHeader,
        segment: &[u8],
        outlet: &mut impl Outlet,
    ) -> Taken {
        if syn.flags != TcpFlags::SYN.with(TcpFlags::ACK) {
            return Taken::Nothing(DropReason::Malformed);
        }
        let Some(dial) = self.dials.take(path, syn.ack) else {
            return self.answered_already(now, path, outlet);
        };
        let (ours, theirs) = (dial.syn.plus(1), syn.seq.plus(1));
        let mut flow = Flow::new(
            now,
            self.config.mode,
            SynFacts::of(syn, &SynOffer::read(segment)),
            ours,
            theirs,
            self.config.limits,
        );
        outlet.segment(path, &flow.acknowledge(now, path), [&[], &[]]);
        let frame = [&dial.waiting[..], &trailer(Inside::Ike)].concat();
        if let Ok(header) = flow.dress(now, path, frame.len()) {
            flow.dressed(now, Inside::Ike, &frame);
            outlet.segment(path, &header, [&frame, &[]]);
        }
        if let Some(older) = self.at(path) {
            self.forget(older);
        }
        // Who has dialled wants it.
        let index = self.place(Slot { standing: Standing::Kept, ..Slot::new(now, path, Talk::Ctcp(flow)) });
        self.touch(index);
        Taken::Nothing(DropReason::Handshake)
    }

    /// Whoever is at the other end of a dial wants none, or the segment is of nothing that we know.
    pub(super) fn dial_refused(&mut self, path: &Path, segment: &TcpHeader) -> Option<DropReason> {
        let resets = self.config.part == Part::Dials && segment.flags.has(TcpFlags::RST.with(TcpFlags::ACK));
        let refused = if resets { self.dials.take(path, segment.ack) } else { None };
        refused.map(|_| DropReason::ConnectionEnded)
    }

    /// All connections that we have begun end; their peers are told.
    pub fn hang_up(&mut self, now: Instant, outlet: &mut impl Outlet) {
        if self.config.part == Part::Answers {
            return;
        }
        self.dials.0.clear();
        let paths: Vec<Path> = self.slots.iter().flatten().map(|slot| slot.path).collect();
        for path in paths {
            match self.streams_at(&path) {
                Some(index) => self.last_words(now, index, &path, outlet),
                None => self.end(now, &path, outlet),
            }
        }
    }

    /// The peer repeats itself: it has not heard our acknowledgment.
    fn answered_already(&mut self, now: Instant, path: &Path, outlet: &mut impl Outlet) -> Taken {
        let Some(Slot { talk: Talk::Ctcp(flow), .. }) = self.at(path).and_then(|index| self.slot(index)) else {
            return Taken::Nothing(DropReason::NoConnection);
        };
        outlet.segment(path, &flow.acknowledge(now, path), [&[], &[]]);
        Taken::Nothing(DropReason::Handshake)
    }
}

fn put(packet: &mut PacketBuf, octets: &[u8]) -> Result<(), DropReason> {
    packet.extend_back(octets.len()).ok_or(DropReason::NoBuffer)?.copy_from_slice(octets);
    Ok(())
}
