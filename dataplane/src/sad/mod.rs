//! One worker's SAs and tunnels, by slot. Only its worker touches it.

mod follow;
mod outbound;
mod tunnel;

pub use follow::Followed;
pub use tunnel::Tunnel;

use crate::contract::{
    EspPath, InboundSpec, Lane, Move, OutboundSpec, Retired, Spi, SpiLayout, TunnelKey, TunnelSpec, WorkerId,
};
use crate::esp::{InboundSa, IvSpace, OutboundSa};
use crate::time::Instant;
use follow::Pace;

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
    inbound: Vec<Slot>,
    tunnels: Vec<Option<Box<Tunnel>>>,
    len: usize,
}

/// The SPI stands beside the pointer, so that a forged one is refused without touching the SA.
#[derive(Default)]
struct Slot {
    spi: Option<Spi>,
    sa: Option<Box<InboundSa>>,
}

impl Sad {
    /// That of one worker of so many, empty; its tunnels follow their peers' ESP so many times a minute at most.
    pub fn new(worker: WorkerId, workers: usize, layout: SpiLayout, moves_per_minute: u32) -> Self {
        let pace = Pace::per_minute(moves_per_minute);
        Self { worker, workers, layout, pace, inbound: Vec::new(), tunnels: Vec::new(), len: 0 }
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
        match self.inbound.get(parts.slot as usize) {
            Some(slot) if slot.spi == Some(spi) => Found::Here(parts.slot),
            Some(_) | None => Found::Nothing,
        }
    }

    /// The SA in this slot.
    #[inline]
    pub fn inbound_mut(&mut self, slot: u32) -> Option<&mut InboundSa> {
        self.inbound.get_mut(slot as usize)?.sa.as_deref_mut()
    }

    /// The tunnel in this slot.
    #[inline]
    pub fn tunnel(&self, slot: u32) -> Option<&Tunnel> {
        self.tunnels.get(slot as usize)?.as_deref()
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
    pub fn add_tunnel(&mut self, spec: &TunnelSpec) -> Result<(), Misfit> {
        self.is_ours(spec.tunnel)?;
        let pace = self.pace;
        let place = place(&mut self.tunnels, spec.tunnel.slot);
        if place.is_some() {
            return Err(Misfit::SlotTaken);
        }
        *place = Some(Box::new(Tunnel::new(spec, pace)));
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

    /// [`crate::contract::Command::AddInbound`]
    pub fn add_inbound(&mut self, spec: InboundSpec) -> Result<(), Misfit> {
        let (spi, tunnel) = (spec.spi, spec.tunnel);
        let parts = self.layout.decode(spi);
        if parts.worker != self.worker {
            return Err(Misfit::NotOurs);
        }
        let owner = self.ours(tunnel)?;
        let path = owner.path();
        if owner.inbound.len() >= MAX_INBOUND {
            return Err(Misfit::TooManyInbound);
        }
        let place = place(&mut self.inbound, parts.slot);
        if place.sa.is_some() {
            return Err(Misfit::SlotTaken);
        }
        *place = Slot { spi: Some(spi), sa: Some(Box::new(InboundSa::new(spec, path))) };
        self.len += 1;
        self.ours(tunnel)?.inbound.push(spi);
        Ok(())
    }

    /// [`crate::contract::Command::SwitchOutbound`]; what was sent on before comes back.
    pub fn switch_outbound(&mut self, spec: OutboundSpec) -> Result<Option<Retired>, Misfit> {
        let (tunnel, lane, iv_space) = (spec.tunnel, spec.lane, IvSpace::new(0, self.worker));
        let before = self.ours(tunnel)?.switch_outbound(lane, OutboundSa::new(spec, iv_space));
        Ok(before.map(|sa| Retired::Outbound { tunnel, cipher: sa.into_cipher() }))
    }

    /// [`crate::contract::Command::DropOutbound`]
    pub fn drop_outbound(&mut self, tunnel: TunnelKey, lane: Lane) -> Result<Retired, Misfit> {
        let sa = self.ours(tunnel)?.drop_outbound(lane).ok_or(Misfit::Unknown)?;
        Ok(Retired::Outbound { tunnel, cipher: sa.into_cipher() })
    }

    /// [`crate::contract::Command::DropInbound`]
    pub fn drop_inbound(&mut self, spi: Spi) -> Result<Retired, Misfit> {
        let Found::Here(slot) = self.find(spi.get()) else { return Err(Misfit::Unknown) };
        let slot = std::mem::take(&mut self.inbound[slot as usize]);
        let sa = slot.sa.ok_or(Misfit::Unknown)?;
        self.len -= 1;
        if let Some(owner) = self.tunnel_mut(sa.tunnel().slot) {
            owner.inbound.retain(|known| *known != spi);
        }
        Ok(Retired::Inbound { spi, cipher: sa.into_cipher() })
    }

    /// [`crate::contract::Command::DropTunnel`]; all that it had goes to `retire`, itself last.
    pub fn drop_tunnel(&mut self, key: TunnelKey, mut retire: impl FnMut(Retired)) -> Result<(), Misfit> {
        self.is_ours(key)?;
        let tunnel = self.tunnels.get_mut(key.slot as usize).and_then(Option::take).ok_or(Misfit::Unknown)?;
        for spi in tunnel.inbound {
            if let Ok(retired) = self.drop_inbound(spi) {
                retire(retired);
            }
        }
        for sa in tunnel.outbound.into_all() {
            retire(Retired::Outbound { tunnel: key, cipher: sa.into_cipher() });
        }
        retire(Retired::Tunnel { tunnel: key });
        Ok(())
    }

    /// All inbound SAs of a tunnel learn its path.
    fn copy_path(&mut self, slot: u32) {
        let Self { layout, inbound, tunnels, .. } = self;
        let Some(Some(tunnel)) = tunnels.get(slot as usize) else { return };
        for spi in &tunnel.inbound {
            let slot = inbound.get_mut(layout.decode(*spi).slot as usize);
            if let Some(sa) = slot.and_then(|slot| slot.sa.as_deref_mut()) {
                sa.move_to(tunnel.path());
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
