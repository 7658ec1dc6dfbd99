//! What a tunnel sends on: one SA for each of its lanes, the first whose selectors allow a packet carries it
//! (RFC 4301 section 4.4.1).

use crate::contract::Lane;
use crate::esp::OutboundSa;
use crate::fate::DropReason;
use crate::wire::ip::IpPacket;

/// Outbound SAs in the order of their lanes. The first lies here, because most tunnels have no other.
#[derive(Default)]
pub struct Outbound {
    first: Option<OutboundSa>,
    more: Vec<(Lane, OutboundSa)>,
}

impl Outbound {
    /// The lane that the packet goes into, and its SA.
    #[inline]
    pub fn pick(&self, ip: &IpPacket, packet: &[u8]) -> Result<(Lane, &OutboundSa), DropReason> {
        let Self { first, more } = self;
        match first {
            Some(sa) if sa.allows(ip, packet) => Ok((Lane::FIRST, sa)),
            None if more.is_empty() => Err(DropReason::NoOutboundSa),
            Some(_) | None => {
                let found = more.iter().find(|(_, sa)| sa.allows(ip, packet));
                found.map(|(lane, sa)| (*lane, sa)).ok_or(DropReason::SelectorMismatch)
            }
        }
    }

    /// The SA of this lane.
    #[inline]
    pub fn in_lane(&mut self, lane: Lane) -> Option<&mut OutboundSa> {
        if lane == Lane::FIRST {
            return self.first.as_mut();
        }
        self.more.iter_mut().find(|(known, _)| *known == lane).map(|(_, sa)| sa)
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut OutboundSa> {
        self.first.iter_mut().chain(self.more.iter_mut().map(|(_, sa)| sa))
    }

    /// Room for this lane, so that sending can begin on the packet path.
    pub(super) fn make_room(&mut self, lane: Lane) {
        if lane != Lane::FIRST {
            self.more.reserve((Lane::COUNT - 1).saturating_sub(self.more.len()));
        }
    }

    /// Sends on `sa` in this lane; what it sent on before comes back.
    pub(super) fn switch(&mut self, lane: Lane, sa: OutboundSa) -> Option<OutboundSa> {
        if lane == Lane::FIRST {
            return self.first.replace(sa);
        }
        match self.more.binary_search_by_key(&lane, |(known, _)| *known) {
            Ok(at) => Some(std::mem::replace(&mut self.more[at].1, sa)),
            Err(at) => {
                self.more.insert(at, (lane, sa));
                None
            }
        }
    }

    /// Sends on nothing in this lane.
    pub(super) fn drop_lane(&mut self, lane: Lane) -> Option<OutboundSa> {
        if lane == Lane::FIRST {
            return self.first.take();
        }
        let at = self.more.binary_search_by_key(&lane, |(known, _)| *known).ok()?;
        Some(self.more.remove(at).1)
    }
}
