//! What a kernel door does with packets before any system call: outer ones grouped by path, inner ones joined by flow.

use super::departure::{Bound, Departures, Destination, choose};
use crate::fate::{DropReason, Fate};
use crate::offload::{JoinKinds, Joiner};
use crate::packet::{Burst, Channel};

/// Packets between `transmit` and `flush`.
pub(super) struct Outgoing {
    sockets: Vec<Bound>,
    inner: bool,
    pub(super) departures: Departures,
    pub(super) joiner: Joiner,
    refused: Burst,
}

impl Outgoing {
    /// Room for so many packets before anything is allocated.
    const ROOM: usize = 256;

    /// `inner` is what the inner side takes joined, if there is one.
    pub(super) fn new(sockets: Vec<Bound>, inner: Option<JoinKinds>) -> Self {
        Self {
            sockets,
            inner: inner.is_some(),
            departures: Departures::new(Self::ROOM),
            joiner: Joiner::new(inner.unwrap_or_default(), Self::ROOM),
            refused: Burst::with_capacity(Self::ROOM),
        }
    }

    /// Queues every packet of the burst; those that no socket is for stay, with their fate.
    pub(super) fn take(&mut self, burst: &mut Burst) {
        for mut packet in burst.drain(..) {
            match (packet.meta.channel, packet.meta.path) {
                (Channel::Inner, _) if self.inner => self.joiner.push(packet),
                (
                    channel @ (Channel::Ike
                    | Channel::NatT500
                    | Channel::NatT
                    | Channel::CiscoUdp
                    | Channel::Esp
                    | Channel::Ctcp),
                    Some(path),
                ) => {
                    let class = packet.meta.outer_class;
                    match choose(self.sockets.iter(), channel, &path, packet.meta.outer_fragments) {
                        Some(socket) => self.departures.push(packet, Destination { socket, path, class }),
                        None => {
                            packet.meta.fate = Fate::Drop(DropReason::TransmitFailed);
                            self.refused.push(packet);
                        }
                    }
                }
                // A stream's octets leave in segments, which are another channel's.
                (Channel::Tcp | Channel::Inner, _) | (_, None) => {
                    packet.meta.fate = Fate::Drop(DropReason::TransmitFailed);
                    self.refused.push(packet);
                }
            }
        }
        burst.append(&mut self.refused);
    }

    /// Whether there is anything to flush.
    pub(super) fn is_empty(&mut self) -> bool {
        self.joiner.is_empty() && self.departures.queued().is_empty()
    }
}
