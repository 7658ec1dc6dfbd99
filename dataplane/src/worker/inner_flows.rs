//! Which packets of a burst are inner ones, and whose.

use crate::contract::WorkerId;
use crate::fate::Fate;
use crate::packet::{Channel, Origin, PacketBuf};

/// What has just come out of tunnels of this worker. What another worker took out of one, and handed over, was seen there.
#[inline]
pub(super) fn came_up(burst: &[PacketBuf], us: WorkerId) -> impl Iterator<Item = (u32, &[u8])> {
    burst.iter().filter_map(move |packet| match (packet.meta.origin, packet.meta.fate, packet.meta.channel) {
        (Origin::Tunnel(tunnel), Fate::Forward, Channel::Inner)
            if tunnel.worker == us && packet.meta.tunnel.is_none() =>
        {
            Some((tunnel.slot, packet.bytes()))
        }
        (_, _, _) => None,
    })
}

/// What is about to go into tunnels of this worker, in the size in which it goes.
#[inline]
pub(super) fn goes_down(burst: &[PacketBuf]) -> impl Iterator<Item = (u32, &[u8])> {
    burst.iter().filter_map(|packet| match (packet.meta.tunnel, packet.meta.fate) {
        (Some(tunnel), Fate::Forward) => Some((tunnel.slot, packet.bytes())),
        (_, _) => None,
    })
}
