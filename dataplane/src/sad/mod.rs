//! One worker's SAs and tunnels, by slot. Only its worker touches it.

mod bucket;
mod follow;
mod outbound;
mod pair;
mod tunnel;

pub use follow::Followed;
pub use tunnel::Tunnel;

use crate::contract::{
    EspPath, Lane, Move, PairSpec, Rates, Retired, Spi, SpiLayout, Transports, TunnelKey, TunnelSpec, WorkerId,
};
use crate::esp::{InboundSa, OutboundSa};
use crate::time::Instant;
use follow::Pace;
use pair::{Pair, Start};

/// Inbound SAs that a tunnel may have at a time.
pub const MAX_INBOUND: usize = Lane::COUNT * Lane::INBOUND;

/// Why a command could not be obeyed: a mistake of control's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The SPI or the tunnel's key names another worker or a slot that no SPI can name.
    NotOurs,
    /// The slot is taken.
    SlotTaken,
    /// There is no such tunnel, or no such SA.
    Unknown,
    /// The tunnel has [`MAX_INBOUND`] inbound SAs already.
    TooManyInbound,
}

/// Where an SPI leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// To the SA in this slot here.
    Here(u32),
    /// Its name says another worker.
    Elsewhere(WorkerId),
    /// Nowhere.
    Nothing,
}

/// SPI → SA is an index and one comparison; tunnel → SA likewise.
pub struct Sad {
    worker: WorkerId,
    /// How many there are.
    workers: usize,
    layout: SpiLayout,
    pace: Pace,
    pairs: Vec<Slot>,
    tunnels: Vec<Option<Box<Tunnel>>>,
    len: usize,
}

/// The SPI stands beside the pointer, so that a forged one is refused without touching the SA.
#[derive(Default)]
struct Slot {
    spi: Option<Spi>,
    pair: Option<Box<Pair>>,
}

impl Sad {
    /// That of one worker of so many, empty; its tunnels follow their peers' ESP so many times a minute at most.
    pub fn new(worker: WorkerId, workers: usize, layout: SpiLayout, moves_per_minute: u32) -> Self {
        let pace = Pace::per_minute(moves_per_minute);
        Self { worker, workers, layout, pace, pairs: Vec::new(), tunnels: Vec::new(), len: 0 }
    }

    /// How often ESP may move a tunnel, from now on.
    pub fn pace(&mut self, moves_per_minute: u32) {
        self.pace = Pace::per_minute(moves_per_minute);
    }

    /// Where this SPI leads.
    #[inline]
    pub fn find(&self, spi: u32) -> Found {
        let Some(spi) = Spi::new(spi) else { return Found::Nothing };
        let parts = self.layout.decode(spi);
        match parts.worker {
            worker if worker == self.worker => {}
            other if other.index() < self.workers => return Found::Elsewhere(other),
            _nobody => return Found::Nothing,
        }
        match self.pairs.get(parts.slot as usize) {
            Some(slot) if slot.spi == Some(spi) => Found::Here(parts.slot),
            Some(_) | None => Found::Nothing,
        }
    }

    /// The SA in this slot.
    #[inline]
    pub fn inbound_mut(&mut self, slot: u32) -> Option<&mut InboundSa> {
        Some(&mut self.pair_mut(slot)?.inbound)
    }

    /// The tunnel in this slot.
    #[inline]
    pub fn tunnel(&self, slot: u32) -> Option<&Tunnel> {
        self.tunnels.get(slot as usize)?.as_deref()
    }

    /// The tunnel of this name, if it is here.
    pub fn owned(&self, tunnel: TunnelKey) -> Option<&Tunnel> {
        self.tunnel(tunnel.slot).filter(|_| tunnel.worker == self.worker)
    }

    /// The tunnel in this slot.
    #[inline]
    pub fn tunnel_mut(&mut self, slot: u32) -> Option<&mut Tunnel> {
        self.tunnels.get_mut(slot as usize)?.as_deref_mut()
    }

    /// Number of inbound SAs.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no inbound SA.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// [`crate::contract::Command::AddTunnel`]
    pub fn add_tunnel(&mut self, now: Instant, spec: TunnelSpec) -> Result<(), Misfit> {
        self.is_ours(spec.tunnel)?;
        let pace = self.pace;
        let place = place(&mut self.tunnels, spec.tunnel.slot);
        if place.is_some() {
            return Err(Misfit::SlotTaken);
        }
        *place = Some(Box::new(Tunnel::new(now, spec, pace)));
        Ok(())
    }

    /// [`crate::contract::Command::MoveTunnel`]. The path it has now, if it moved.
    pub fn move_tunnel(&mut self, now: Instant, order: &Move) -> Result<Option<EspPath>, Misfit> {
        let tunnel = self.ours(order.tunnel)?;
        if tunnel.path() != order.from {
            return Ok(None);
        }
        tunnel.order(now, order.to);
        self.copy_path(order.tunnel.slot);
        Ok(Some(order.to))
    }

    /// [`crate::contract::Command::SetRates`]
    pub fn set_rates(&mut self, now: Instant, tunnel: TunnelKey, rates: Rates) -> Result<(), Misfit> {
        self.ours(tunnel)?.set_rates(now, rates);
        Ok(())
    }

    /// [`crate::contract::Command::CloseTransports`]
    pub fn close_transports(&mut self, tunnel: TunnelKey, closed: Transports) -> Result<(), Misfit> {
        self.ours(tunnel)?.close_transports(closed);
        Ok(())
    }

    /// The newest authenticated packet of the SA in this slot came by `path`, which is not its tunnel's.
    pub fn follow(&mut self, now: Instant, slot: u32, path: EspPath) -> Followed {
        let pace = self.pace;
        let Some(sa) = self.inbound_mut(slot) else { return Followed::Stays };
        let (spi, key) = (sa.spi(), sa.tunnel());
        let Some(tunnel) = self.tunnel_mut(key.slot) else { return Followed::Stays };
        let followed = tunnel.follow(now, pace, spi, path);
        if followed == Followed::Moved {
            self.copy_path(key.slot);
        }
        followed
    }

    /// Whether that tunnel's packets go there.
    pub fn is_at(&self, tunnel: TunnelKey, path: EspPath) -> bool {
        self.tunnel(tunnel.slot).is_some_and(|tunnel| tunnel.path() == path)
    }

    /// [`crate::contract::Command::AddPair`]
    pub fn add_pair(&mut self, spec: PairSpec) -> Result<(), Misfit> {
        let (spi, tunnel, lane) = (spec.inbound.spi, spec.inbound.tunnel, spec.outbound.lane);
        let parts = self.layout.decode(spi);
        if parts.worker != self.worker {
            return Err(Misfit::NotOurs);
        }
        let worker = self.worker;
        let owner = self.ours(tunnel)?;
        let path = owner.path();
        if owner.inbound.len() >= MAX_INBOUND {
            return Err(Misfit::TooManyInbound);
        }
        let place = place(&mut self.pairs, parts.slot);
        if place.pair.is_some() {
            return Err(Misfit::SlotTaken);
        }
        *place = Slot { spi: Some(spi), pair: Some(Box::new(Pair::new(spec, path, worker))) };
        self.len += 1;
        let owner = self.ours(tunnel)?;
        owner.inbound.push(spi);
        owner.outbound.make_room(lane);
        Ok(())
    }

    /// [`crate::contract::Command::SwitchOutbound`]
    pub fn switch_outbound(&mut self, spi: Spi) -> Result<(), Misfit> {
        let slot = self.decide(spi)?;
        self.send_on(slot);
        Ok(())
    }

    /// [`crate::contract::Command::StopOutbound`]
    pub fn stop_outbound(&mut self, spi: Spi) -> Result<(), Misfit> {
        let slot = self.decide(spi)?;
        self.rest(slot);
        Ok(())
    }

    /// The peer has used the child SA in this slot for the first time, so it has both halves. If nothing is sent on in
    /// its lane, the answer goes by it. Otherwise control decides: it may be the one that lost a collision.
    pub fn first_used(&mut self, slot: u32) {
        let Some(pair) = self.pair_mut(slot).filter(|pair| pair.start == Start::FirstUse) else { return };
        let (tunnel, lane) = (pair.tunnel(), pair.lane);
        if self.tunnel_mut(tunnel.slot).is_some_and(|tunnel| tunnel.outbound.in_lane(lane).is_none()) {
            self.send_on(slot);
        }
    }

    /// [`crate::contract::Command::DropPair`]; both halves go to `retire`.
    pub fn drop_pair(&mut self, spi: Spi, retire: impl FnMut(Retired)) -> Result<(), Misfit> {
        let Found::Here(slot) = self.find(spi.get()) else { return Err(Misfit::Unknown) };
        self.rest(slot);
        let slot = std::mem::take(&mut self.pairs[slot as usize]);
        let pair = slot.pair.ok_or(Misfit::Unknown)?;
        self.len -= 1;
        if let Some(owner) = self.tunnel_mut(pair.tunnel().slot) {
            owner.inbound.retain(|known| *known != spi);
        }
        pair.retire(retire);
        Ok(())
    }

    /// [`crate::contract::Command::DropTunnel`]; all that it had goes to `retire`, itself last.
    pub fn drop_tunnel(&mut self, key: TunnelKey, mut retire: impl FnMut(Retired)) -> Result<(), Misfit> {
        for spi in std::mem::take(&mut self.ours(key)?.inbound) {
            // What is gone already keeps nothing else.
            let _ = self.drop_pair(spi, &mut retire);
        }
        self.tunnels.get_mut(key.slot as usize).and_then(Option::take).ok_or(Misfit::Unknown)?;
        retire(Retired::Tunnel { tunnel: key });
        Ok(())
    }

    /// The slot of a child SA that is in control's hands alone from now on.
    fn decide(&mut self, spi: Spi) -> Result<u32, Misfit> {
        let Found::Here(slot) = self.find(spi.get()) else { return Err(Misfit::Unknown) };
        self.pair_mut(slot).ok_or(Misfit::Unknown)?.start = Start::Command;
        Ok(slot)
    }

    /// Its outbound half goes into its lane, if it is not there; the one that was there rests.
    fn send_on(&mut self, slot: u32) {
        let Some(pair) = self.pair_mut(slot) else { return };
        let (key, lane) = (pair.tunnel(), pair.lane);
        let Some(outbound) = pair.resting.take() else { return };
        let before = self.tunnel_mut(key.slot).and_then(|tunnel| tunnel.switch_outbound(lane, outbound));
        self.put_beside_its_pair(before);
    }

    /// Its outbound half leaves its lane, if it is there.
    fn rest(&mut self, slot: u32) {
        let Some(pair) = self.pair_mut(slot) else { return };
        let (key, lane, spi) = (pair.tunnel(), pair.lane, pair.spi());
        let stopped = self.tunnel_mut(key.slot).and_then(|tunnel| tunnel.stop_outbound(lane, spi));
        self.put_beside_its_pair(stopped);
    }

    fn put_beside_its_pair(&mut self, outbound: Option<OutboundSa>) {
        let Some(outbound) = outbound else { return };
        let slot = self.layout.decode(outbound.pair()).slot;
        if let Some(pair) = self.pair_mut(slot) {
            pair.resting = Some(outbound);
        }
    }

    #[inline]
    fn pair_mut(&mut self, slot: u32) -> Option<&mut Pair> {
        self.pairs.get_mut(slot as usize)?.pair.as_deref_mut()
    }

    /// All inbound SAs of a tunnel learn its path.
    fn copy_path(&mut self, slot: u32) {
        let Self { layout, pairs, tunnels, .. } = self;
        let Some(Some(tunnel)) = tunnels.get(slot as usize) else { return };
        for spi in &tunnel.inbound {
            let slot = pairs.get_mut(layout.decode(*spi).slot as usize);
            if let Some(pair) = slot.and_then(|slot| slot.pair.as_deref_mut()) {
                pair.inbound.move_to(tunnel.path());
            }
        }
    }

    fn ours(&mut self, key: TunnelKey) -> Result<&mut Tunnel, Misfit> {
        self.is_ours(key)?;
        self.tunnel_mut(key.slot).ok_or(Misfit::Unknown)
    }

    /// Slots are bounded like an SPI's, so that a mistake of control's cannot make a table of four billion.
    fn is_ours(&self, key: TunnelKey) -> Result<(), Misfit> {
        if key.worker == self.worker && key.slot < SpiLayout::SLOTS { Ok(()) } else { Err(Misfit::NotOurs) }
    }
}

/// The place for `slot`, the table grown to hold it. Control gives slots from the lowest, so it grows with use.
fn place<T: Default>(table: &mut Vec<T>, slot: u32) -> &mut T {
    let index = slot as usize;
    if index >= table.len() {
        table.resize_with(index + 1, T::default);
    }
    &mut table[index]
}
