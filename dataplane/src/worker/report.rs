//! Events for control, through one bounded channel from all workers.
//!
//! IKE datagrams are dropped when it is full (the peer sends again); what carries state waits here for its turn.

use crate::contract::{Direction, EspPath, Event, IkeDatagram, IkeFraming, Reached, Spi, TunnelKey, Wayward, WorkerId};
use crate::esp::{News, Tiding};
use crate::fate::DropReason;
use crate::packet::{Channel, PacketBuf};
use crate::time::Instant;
use crossbeam_channel::{Sender, TrySendError};
use std::collections::VecDeque;
use std::time::Duration;

/// Between two reports of packets that belong to no SA, from one worker.
const WAYWARD: Duration = Duration::from_millis(100);

/// A worker's way to tell control.
pub(super) struct Reports {
    id: WorkerId,
    events: Sender<(WorkerId, Event)>,
    /// What carries state and was not taken yet, in order.
    held: VecDeque<Event>,
    /// When a packet that belongs to no SA was told last.
    wayward: Option<Instant>,
}

impl Reports {
    pub(super) fn new(id: WorkerId, events: Sender<(WorkerId, Event)>) -> Self {
        Self { id, events, held: VecDeque::with_capacity(super::obey::COMMANDS_PER_TURN), wayward: None }
    }

    /// Whether control has not taken what was reported: no more state is given up until it does.
    pub(super) fn are_held_up(&mut self) -> bool {
        self.flush();
        !self.held.is_empty()
    }

    /// Grows the queue for all that `inbound` SAs, their pairs and their tunnels can have to tell (a first use, two
    /// limits each way, a move), so that the packet path never has to.
    pub(super) fn make_room(&mut self, inbound: usize) {
        self.held.reserve(6 * inbound);
    }

    /// An event that is never lost.
    pub(super) fn state(&mut self, event: Event) {
        self.held.push_back(event);
        self.flush();
    }

    /// The peer uses this SA.
    pub(super) fn first_use(&mut self, spi: Spi) {
        self.state(Event::FirstUse { spi });
    }

    /// An SA of the child SA that `pair` names has reached what `news` says.
    pub(super) fn lifetime(&mut self, pair: Spi, direction: Direction, news: News) {
        for (tiding, reached) in [(Tiding::Soft, Reached::Soft), (Tiding::Hard, Reached::Hard)] {
            if news.holds(tiding) {
                self.state(Event::Lifetime { pair, direction, reached });
            }
        }
    }

    /// A tunnel's packets go elsewhere. A move that control has not taken yet gives way to the next one.
    pub(super) fn moved(&mut self, moved: TunnelKey, to: EspPath) {
        let held = self.held.iter_mut().find_map(|event| match event {
            Event::Moved { tunnel, path } if *tunnel == moved => Some(path),
            Event::Moved { .. }
            | Event::Ike(_)
            | Event::FirstUse { .. }
            | Event::Lifetime { .. }
            | Event::UnknownSpi(_)
            | Event::Flows(_)
            | Event::InnerFlows(_)
            | Event::Stalling(_)
            | Event::Retired(_) => None,
        });
        match held {
            Some(path) => *path = to,
            None => self.state(Event::Moved { tunnel: moved, path: to }),
        }
    }

    /// A packet belongs to no SA. Told seldom, for anybody can send one.
    pub(super) fn unknown_spi(&mut self, now: Instant, spi: u32, packet: &PacketBuf) {
        if self.wayward.is_some_and(|last| now.since(last) < WAYWARD) {
            return;
        }
        let Some(path) = packet.meta.esp_path() else { return };
        self.wayward = Some(now);
        // A full channel has more important things to carry.
        let _ = self.events.try_send((self.id, Event::UnknownSpi(Wayward { spi, path, len: packet.len() })));
    }

    /// Hands over what was held, in order, as far as the channel takes it.
    pub(super) fn flush(&mut self) {
        while let Some(event) = self.held.pop_front() {
            match self.events.try_send((self.id, event)) {
                Ok(()) => {}
                Err(TrySendError::Full((_, event))) => {
                    self.held.push_front(event);
                    return;
                }
                // Nobody will ever listen: what carried keys wipes them here.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// An IKE message without its marker, copied out of its packet. Nothing is copied for a full channel.
    pub(super) fn ike(&self, packet: &PacketBuf) -> Result<(), DropReason> {
        let path = packet.meta.path.ok_or(DropReason::Malformed)?;
        let framing = match packet.meta.channel {
            Channel::Ike => IkeFraming::Bare,
            Channel::NatT => IkeFraming::NonEspMarker,
            Channel::Ctcp => IkeFraming::Ctcp,
            Channel::Tcp => IkeFraming::Tcp,
            Channel::NatT500 | Channel::CiscoUdp | Channel::Esp | Channel::Inner => {
                return Err(DropReason::Malformed);
            }
        };
        if self.events.is_full() {
            return Err(DropReason::ControlBusy);
        }
        let datagram = IkeDatagram { path, framing, bytes: packet.bytes().to_vec() };
        self.events.try_send((self.id, Event::Ike(datagram))).map_err(|_| DropReason::ControlBusy)
    }
}
