//! Inner packets that have found their tunnel: may they go in, and in which size?

use super::notice::Notices;
use super::turn::{forwarded, settle};
use crate::contract::{MssClamp, TunnelRules, WorkerCounters};
use crate::fate::{DropReason, Fate};
use crate::mtu::{Clamped, Fit, clamp_mss, fragment};
use crate::offload;
use crate::packet::{Burst, PacketBuf, Pool, Segments};
use crate::sad::Sad;
use crate::time::Instant;
use crate::wire::ip::IpPacket;

/// What the stage works with.
pub(super) struct Fitting<'a> {
    pub(super) sad: &'a mut Sad,
    pub(super) rules: &'a TunnelRules,
    pub(super) pool: &'a mut Pool,
    pub(super) notices: &'a mut Notices,
    pub(super) counters: &'a WorkerCounters,
    pub(super) now: Instant,
}

impl Fitting<'_> {
    /// Afterwards what is still forwarded into a tunnel is allowed there and as small as it has to be. Pieces stand
    /// in the place of what was cut; `room` is empty before and after.
    pub(super) fn fit(&mut self, burst: &mut Burst, room: &mut Burst) {
        for packet in forwarded(burst) {
            if packet.meta.tunnel.is_some() {
                let verdict = self.admit(packet);
                settle(packet, verdict);
            }
        }
        let limited = |packet: &PacketBuf| packet.meta.fate == Fate::Forward && packet.meta.limit.is_some();
        let whole = |packet: &PacketBuf| limited(packet) && packet.meta.segments != Segments::One;
        if burst.iter().any(whole) {
            each(burst, room, whole, |packet, room| self.cut(packet, room));
        }
        if burst.iter().any(limited) {
            each(burst, room, limited, |packet, room| self.reduce(packet, room));
        }
    }

    /// Selectors are for whole packets: ports are not in every fragment (RFC 4301 section 7).
    #[inline]
    fn admit(&self, packet: &mut PacketBuf) -> Result<Fate, DropReason> {
        let slot = packet.meta.tunnel.map(|tunnel| tunnel.slot).ok_or(DropReason::NoTunnel)?;
        let tunnel = self.sad.tunnel(slot).ok_or(DropReason::NoTunnel)?;
        let ip = IpPacket::parse(packet.bytes()).ok_or(DropReason::BadInner)?;
        let (lane, sa) = tunnel.outbound.pick(&ip, packet.bytes())?;
        let mtu = sa.inner_mtu();
        packet.meta.lane = lane;
        if self.rules.mss == MssClamp::ToTunnel && clamp_mss(packet, mtu) == Clamped::Lowered {
            self.counters.mss_clamped(1);
        }
        if packet.len() > usize::from(mtu) || packet.meta.segments != Segments::One {
            packet.meta.limit = Some(mtu);
        }
        Ok(Fate::Forward)
    }

    /// A super-packet becomes ordinary ones; TCP's then fit.
    fn cut(&mut self, mut packet: PacketBuf, room: &mut Burst) {
        let first = room.len();
        match offload::split(&packet, self.pool, room) {
            Ok(()) => {
                self.counters.inner_received((room.len() - first) as u64);
                for piece in &mut room[first..] {
                    piece.meta.limit = piece.meta.limit.filter(|limit| piece.len() > usize::from(*limit));
                }
                self.pool.put(packet);
            }
            Err(reason) => {
                packet.meta.fate = Fate::Drop(reason);
                room.push(packet);
            }
        }
    }

    /// A packet that does not fit passes in fragments, or its sender is told.
    fn reduce(&mut self, mut packet: PacketBuf, room: &mut Burst) {
        let mtu = packet.meta.limit.take().unwrap_or(u16::MAX);
        let verdict = match Fit::of(packet.bytes(), mtu) {
            Fit::Whole | Fit::InFragmentsOutside => Ok(Fate::Forward),
            Fit::InFragments => {
                let done = offload::finish_checksum(&mut packet);
                match done.and_then(|()| fragment(&packet, mtu, self.pool, room)) {
                    Ok(()) => {
                        self.counters.inner_fragmented(1);
                        return self.pool.put(packet);
                    }
                    Err(reason) => Err(reason),
                }
            }
            Fit::TooBig { mtu } => {
                self.notices.too_big(&packet, mtu, self.pool, self.now);
                Err(DropReason::TooBig)
            }
        };
        settle(&mut packet, verdict);
        room.push(packet);
    }
}

/// Hands every packet that `which` picks to `cut`; all others keep their place.
fn each(
    burst: &mut Burst,
    room: &mut Burst,
    which: impl Fn(&PacketBuf) -> bool,
    mut cut: impl FnMut(PacketBuf, &mut Burst),
) {
    for packet in burst.drain(..) {
        if which(&packet) { cut(packet, room) } else { room.push(packet) }
    }
    std::mem::swap(burst, room);
}
