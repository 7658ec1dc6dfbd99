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
    /// The SA that the packet goes into.
    #[inline]
    pub fn pick(&mut self, ip: &IpPacket, packet: &[u8]) -> Result<&mut OutboundSa, DropReason> {
        let Self { first, more } = self;
        match first {
            Some(sa) if sa.allows(ip, packet) => Ok(sa),
            None if more.is_empty() => Err(DropReason::NoOutboundSa),
            Some(_) | None => {
                let found = more.iter_mut().find(|(_, sa)| sa.allows(ip, packet));
                found.map(|(_, sa)| sa).ok_or(DropReason::SelectorMismatch)
            }
        }
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut OutboundSa> {
        self.first.iter_mut().chain(self.more.iter_mut().map(|(_, sa)| sa))
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

    /// All of them, for good.
    pub(super) fn into_all(self) -> impl Iterator<Item = OutboundSa> {
        self.first.into_iter().chain(self.more.into_iter().map(|(_, sa)| sa))
    }
}
