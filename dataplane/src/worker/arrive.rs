//! What a packet's outer header means for the inner packet and its tunnel, once both are authenticated.

use crate::contract::{MssClamp, TunnelRules, WorkerCounters};
use crate::fate::DropReason;
use crate::mtu::{Clamped, Moved, clamp_mss};
use crate::packet::PacketBuf;
use crate::sad::Tunnel;
use crate::time::Instant;
use crate::wire::traffic_class::{Ecn, TrafficClass};

/// Congestion marks pass inwards, outer fragments say what the path carries, a SYN announces no more than comes back
/// through the tunnel, and what is more than the client may send ends here.
#[inline]
pub(super) fn arrive(
    packet: &mut PacketBuf,
    tunnel: Option<&mut Tunnel>,
    rules: &TunnelRules,
    counters: &WorkerCounters,
    now: Instant,
) -> Result<(), DropReason> {
    let outer = packet.meta.outer_class.ecn();
    if outer != Ecn::NotEct {
        let inner = TrafficClass::of(packet.bytes()).ecn();
        let ecn = inner.decapsulated(outer).ok_or(DropReason::Congested)?;
        if ecn != inner {
            ecn.write(packet.bytes_mut());
        }
    }
    let Some(tunnel) = tunnel else { return Ok(()) };
    if let Some(longest) = packet.meta.longest_fragment
        && tunnel.seen_fragments(longest, now) == Moved::Yes
    {
        counters.mtu_learned(1);
    }
    if rules.mss == MssClamp::ToTunnel && clamp_mss(packet, tunnel.inner_mtu()) == Clamped::Lowered {
        counters.mss_clamped(1);
    }
    tunnel.police_up(packet.len(), now)
}
