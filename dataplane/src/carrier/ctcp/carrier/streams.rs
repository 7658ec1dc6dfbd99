//! Connections that are streams (RFC 9329).

use super::{Carrier, Outlet, Part, Taken};
use crate::carrier::ctcp::Inside;
use crate::carrier::ctcp::slot::{Slot, Standing, Talk};
use crate::carrier::tcp::{Began, Fed, Goodbye, Outside, QueueFull, Stream};
use crate::contract::Path;
use crate::fate::DropReason;
use crate::time::Instant;
use crate::wire::tcp::TcpHeader;

/// What a stream says goes where all that a carrier has to say goes.
pub(super) struct Around<'a, O>(pub(super) &'a mut O);

impl<O: Outlet> Outside for Around<'_, O> {
    fn segment(&mut self, path: &Path, segment: &[u8]) {
        self.0.octets(path, segment);
    }

    fn frame(&mut self, path: &Path, octets: &[u8]) {
        self.0.streamed(path, octets);
    }
}

/// Likewise, as long as it may become one.
struct Introducing<'a, O>(&'a mut O);

impl<O: Outlet> Outside for Introducing<'_, O> {
    fn segment(&mut self, path: &Path, segment: &[u8]) {
        self.0.octets(path, segment);
    }

    fn frame(&mut self, path: &Path, octets: &[u8]) {
        self.0.introduced(path, octets);
    }
}

impl Carrier {
    /// Takes a packet of ours, ESP or an IKE message, into the stream along `path`; it goes when [`Carrier::poll`] is called next. An IKE
    /// message begins the stream if there is none and it is for us to begin one.
    pub fn stream(
        &mut self,
        now: Instant,
        path: &Path,
        inside: Inside,
        packet: &[u8],
        outlet: &mut impl Outlet,
    ) -> Result<(), DropReason> {
        let index = match (self.streams_at(path), self.config.part, inside) {
            (Some(index), ..) => index,
            (None, Part::Dials, Inside::Ike) => self.dial_stream(now, path, outlet)?,
            // ESP alone begins none, as in cTCP.
            (None, Part::Dials, Inside::Esp) | (None, Part::Answers, Inside::Ike | Inside::Esp) => {
                return Err(DropReason::NoConnection);
            }
        };
        let Some(Slot { talk: Talk::Stream(stream), .. }) = self.slot(index) else {
            return Err(DropReason::NoConnection);
        };
        let taken = match inside {
            Inside::Ike => stream.ike(packet),
            Inside::Esp => stream.esp(packet),
        };
        self.touch(index);
        taken.map_err(|QueueFull| DropReason::StreamFull)
    }

    /// How many ESP packets had to give way in streams since this was asked last.
    pub const fn take_given_way(&mut self) -> u64 {
        std::mem::replace(&mut self.given_way, 0)
    }

    /// Where the stream along `path` stands.
    pub(super) fn streams_at(&self, path: &Path) -> Option<u32> {
        let index = self.at(path)?;
        let slot = self.slots.get(index as usize)?.as_deref()?;
        matches!(slot.talk, Talk::Stream(_)).then_some(index)
    }

    /// A segment of a connection that may become a stream.
    pub(super) fn introduce(
        &mut self,
        now: Instant,
        index: u32,
        path: &Path,
        header: &TcpHeader,
        segment: &[u8],
        outlet: &mut impl Outlet,
    ) -> Taken {
        let room = self.room();
        let Some(Slot { talk: Talk::Begins(begins), .. }) = self.slot(index) else {
            return Taken::Nothing(DropReason::NoConnection);
        };
        let data = segment.get(header.len..).unwrap_or_default();
        let refused = match begins.segment(now, path, header, data, room, &mut Introducing(outlet)) {
            Began::Waits => None,
            Began::Speaks => {
                self.make_room_for_stream(now, index, outlet);
                self.begin_stream(now, index);
                None
            }
            Began::Elsewhere => return Taken::Nothing(DropReason::OutOfWindow),
            Began::Over(Goodbye::Reset) => {
                self.forget(index);
                return Taken::Nothing(DropReason::ConnectionEnded);
            }
            Began::Over(Goodbye::Finished) => Some(DropReason::ConnectionEnded),
            Began::Refused => Some(DropReason::TooManyConnections),
            Began::Broken(_) => Some(DropReason::BrokenStream),
        };
        match refused {
            Some(reason) => {
                self.end(now, path, outlet);
                Taken::Nothing(reason)
            }
            None => {
                self.touch(index);
                Taken::Octets
            }
        }
    }

    /// What has begun becomes a stream, if it is not one yet.
    pub(super) fn begin_stream(&mut self, now: Instant, index: u32) {
        let Self { slots, scratch, books, .. } = self;
        let Some(slot) = slots.get_mut(index as usize).and_then(Option::as_deref_mut) else { return };
        let Talk::Begins(begins) = &mut slot.talk else { return };
        let Some(stream) = Stream::accept(now, &slot.path, begins, scratch) else { return };
        slot.talk = Talk::Stream(Box::new(stream));
        books.is_stream(slot, index);
        self.touch(index);
    }

    /// A segment of a stream.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        index: u32,
        path: &Path,
        header: &TcpHeader,
        segment: &[u8],
        outlet: &mut impl Outlet,
    ) -> Taken {
        let Self { slots, scratch, .. } = self;
        let Some(Slot { talk: Talk::Stream(stream), .. }) =
            slots.get_mut(index as usize).and_then(Option::as_deref_mut)
        else {
            return Taken::Nothing(DropReason::NoConnection);
        };
        let taken = match stream.segment(now, path, header, segment, scratch, &mut Around(outlet)) {
            Fed::Taken => Taken::Octets,
            Fed::Elsewhere => Taken::Nothing(DropReason::OutOfWindow),
            Fed::Broken(_) => {
                self.end(now, path, outlet);
                return Taken::Nothing(DropReason::BrokenStream);
            }
            Fed::Over => {
                self.forget(index);
                return Taken::Nothing(DropReason::ConnectionEnded);
            }
        };
        self.touch(index);
        taken
    }

    /// A stream has its say.
    pub(super) fn speak(&mut self, now: Instant, index: u32, path: &Path, outlet: &mut impl Outlet) {
        let Self { slots, scratch, given_way, .. } = self;
        let Some(Slot { talk: Talk::Stream(stream), .. }) =
            slots.get_mut(index as usize).and_then(Option::as_deref_mut)
        else {
            return;
        };
        stream.speak(now, path, scratch, &mut Around(outlet));
        *given_way += stream.take_given_way();
        if stream.is_over() {
            self.forget(index);
        }
    }

    /// All that waits goes, and a FIN behind it: nobody will be here to hear what becomes of it.
    pub(super) fn last_words(&mut self, now: Instant, index: u32, path: &Path, outlet: &mut impl Outlet) {
        if let Some(Slot { talk: Talk::Stream(stream), .. }) = self.slot(index) {
            stream.finish(now);
        }
        self.speak(now, index, path, outlet);
        self.forget(index);
    }

    fn dial_stream(&mut self, now: Instant, path: &Path, outlet: &mut impl Outlet) -> Result<u32, DropReason> {
        let first = self.cookies.first_number(now, path);
        let stream = Stream::dial(now, path, first, &mut self.scratch, &mut Around(outlet));
        let stream = stream.ok_or(DropReason::Malformed)?;
        if let Some(older) = self.at(path) {
            self.forget(older);
        }
        // Who has dialled wants it.
        let slot = Slot { standing: Standing::Kept, ..Slot::new(now, path, Talk::Stream(Box::new(stream))) };
        Ok(self.place(slot))
    }
}
