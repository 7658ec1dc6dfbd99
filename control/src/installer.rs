//! Everything that goes to the dataplane goes through here: commands in order, slots of tunnels and SAs, inner
//! routes, and which worker a session lives on.

use crate::aaa::{Question, Record};
use crate::config::Renumbering;
use crate::config::checked::Config;
use crate::ike::engine::Output;
use crate::journal::Happening;
use crate::session::SessionId;
use adit_dataplane::contract::{
    Command, InnerLayout, NextHop, Path, Retired, Routes, Spi, SpiLayout, TunnelKey, WorkerId,
};
use ipnet::IpNet;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// Control's books of what the workers hold.
pub(crate) struct Installer {
    layout: SpiLayout,
    workers: Vec<Books>,
    routes: Routes,
    published: Published,
    queue: VecDeque<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Published {
    Yes,
    NotYet,
}

#[derive(Default)]
struct Books {
    sessions: usize,
    spis: Slots<(SessionId, Spi)>,
    tunnels: Slots<SessionId>,
}

impl Installer {
    /// Nothing is installed. At least one worker is assumed, and no more than an SPI can name.
    pub(crate) fn new(workers: usize, layout: SpiLayout, routes: Routes) -> Self {
        let workers = (0..workers.clamp(1, WorkerId::MAX_WORKERS)).map(|_| Books::default()).collect();
        Self { layout, workers, routes, published: Published::Yes, queue: VecDeque::new() }
    }

    /// Whose each inner address is.
    pub(crate) fn inner_layout(&self) -> InnerLayout {
        InnerLayout::new(self.workers.len())
    }

    /// The worker that owns the cTCP connection along this path.
    pub(crate) fn owner_of_connection(&self, path: Path) -> WorkerId {
        WorkerId::of_connection(path.peer.port(), self.workers.len())
    }

    /// The worker with the fewest sessions: it had best take the next.
    pub(crate) fn least_loaded(&self) -> WorkerId {
        let fewest = (0_u8..).zip(&self.workers).min_by_key(|(_, books)| books.sessions);
        WorkerId(fewest.map_or(0, |(index, _)| index))
    }

    /// A session of this worker's begins.
    pub(crate) fn session_came(&mut self, worker: WorkerId) {
        if let Some(books) = self.workers.get_mut(worker.index()) {
            books.sessions += 1;
        }
    }

    /// A session of this worker's is no more.
    pub(crate) fn session_left(&mut self, worker: WorkerId) {
        if let Some(books) = self.workers.get_mut(worker.index()) {
            books.sessions = books.sessions.saturating_sub(1);
        }
    }

    /// A tunnel slot, until its tunnel comes home as [`Retired::Tunnel`].
    pub(crate) fn take_tunnel(&mut self, worker: WorkerId, session: SessionId) -> Option<TunnelKey> {
        let (slot, _) = self.workers.get_mut(worker.index())?.tunnels.take(|_, _| Some(session))?;
        Some(TunnelKey { worker, slot })
    }

    /// An inbound SPI, until its SA comes home as [`Retired::Inbound`].
    pub(crate) fn take_spi(&mut self, worker: WorkerId, session: SessionId) -> Option<Spi> {
        let layout = self.layout;
        // Each use of a slot tries the next fillers, so that an SPI does not come again soon. All fillers of a slot
        // cannot lead to reserved values: there are 256 of those in 2³², and the loop is over slots as well.
        let spi = |slot, uses: u32| {
            (0..8).find_map(|step| layout.encode(worker, slot, uses.wrapping_add(step))).map(|spi| (session, spi))
        };
        let (_, (_, spi)) = self.workers.get_mut(worker.index())?.spis.take(spi)?;
        Some(spi)
    }

    /// An SPI that was taken and never installed.
    pub(crate) fn give_back_spi(&mut self, spi: Spi) {
        let parts = self.layout.decode(spi);
        if let Some(books) = self.workers.get_mut(parts.worker.index()) {
            books.spis.give_back(parts.slot);
        }
    }

    /// A tunnel slot that was taken and never installed.
    pub(crate) fn give_back_tunnel(&mut self, tunnel: TunnelKey) {
        if let Some(books) = self.workers.get_mut(tunnel.worker.index()) {
            books.tunnels.give_back(tunnel.slot);
        }
    }

    /// Whose SA this is.
    pub(crate) fn owner(&self, spi: Spi) -> Option<SessionId> {
        let parts = self.layout.decode(spi);
        let (session, installed) = self.workers.get(parts.worker.index())?.spis.get(parts.slot)?;
        (*installed == spi).then_some(*session)
    }

    /// Whose tunnel this is.
    pub(crate) fn tunnel_owner(&self, tunnel: TunnelKey) -> Option<SessionId> {
        self.workers.get(tunnel.worker.index())?.tunnels.get(tunnel.slot).copied()
    }

    /// State came home; its slot may be used again. Keys are wiped when the caller drops it.
    pub(crate) fn retired(&mut self, retired: &Retired) {
        match *retired {
            Retired::Inbound { spi, cipher: _ } => {
                // Only its own SA frees a slot, whatever else comes home late.
                if self.owner(spi).is_some() {
                    self.give_back_spi(spi);
                }
            }
            Retired::Outbound { tunnel: _, cipher: _ } => {}
            Retired::Tunnel { tunnel } => self.give_back_tunnel(tunnel),
        }
    }

    /// Inner packets for `prefix` go into `tunnel`, from the next drain of the queue on.
    pub(crate) fn route(&mut self, prefix: IpNet, tunnel: TunnelKey) {
        self.routes.insert(prefix, NextHop::Tunnel(tunnel));
        self.published = Published::NotYet;
    }

    /// Packets out of a tunnel for `address` go to the inner network, whatever network around it leads into a tunnel.
    pub(crate) fn keep_inside(&mut self, address: IpAddr) {
        self.routes.insert(address.into(), NextHop::Inside);
        self.published = Published::NotYet;
    }

    /// No longer.
    pub(crate) fn let_out(&mut self, address: IpAddr) {
        let Some(next_hop) = self.routes.remove(&address.into()) else { return };
        match next_hop {
            NextHop::Inside => self.published = Published::NotYet,
            NextHop::Tunnel(_) => self.routes.insert(address.into(), next_hop),
        }
    }

    /// Inner packets for `prefix` go into `tunnel` no more. A route that leads elsewhere by now stays.
    pub(crate) fn unroute(&mut self, prefix: &IpNet, tunnel: TunnelKey) {
        let Some(next_hop) = self.routes.remove(prefix) else { return };
        if next_hop == NextHop::Tunnel(tunnel) {
            self.published = Published::NotYet;
        } else {
            self.routes.insert(*prefix, next_hop);
        }
    }

    /// To be done after all that was asked before.
    pub(crate) fn command(&mut self, worker: WorkerId, command: Command) {
        self.queue.push_back(Output::Command(worker, command));
    }

    /// AAA is asked, in the same order.
    pub(crate) fn ask(&mut self, question: Question) {
        self.queue.push_back(Output::Ask(question));
    }

    /// A line for the books, in the same order.
    pub(crate) fn account(&mut self, record: Record) {
        self.queue.push_back(Output::Account(record));
    }

    /// Something has happened, in the same order.
    pub(crate) fn tell(&mut self, happening: Happening) {
        self.queue.push_back(Output::Happened(Box::new(happening)));
    }

    /// AAA hears of another configuration, in the same order.
    pub(crate) fn reconfigured(&mut self, config: Arc<Config>, places: Renumbering) {
        self.queue.push_back(Output::Reconfigured(config, places));
    }

    /// The next thing for the runtime to do. Routes go first and once, however many changed: a thousand logins
    /// between two drains copy the table once. A route without its tunnel drops packets for a moment, no more.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        match self.published {
            Published::NotYet => {
                self.published = Published::Yes;
                Some(Output::Routes(self.routes.clone()))
            }
            Published::Yes => self.queue.pop_front(),
        }
    }

    /// Slots taken: SPIs, tunnels; and routes.
    pub(crate) fn in_use(&self) -> (usize, usize, usize) {
        let spis = self.workers.iter().map(|books| books.spis.in_use()).sum();
        let tunnels = self.workers.iter().map(|books| books.tunnels.in_use()).sum();
        (spis, tunnels, self.routes.len())
    }
}

/// Numbers from 0 up, each with its owner; the one that has been free longest is taken first.
struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: VecDeque<u32>,
}

struct Slot<T> {
    owner: Option<T>,
    uses: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: VecDeque::new() }
    }
}

impl<T: Copy> Slots<T> {
    /// A free slot with the owner that `owner(slot, uses)` makes for it; a slot for which it makes none is left out.
    fn take(&mut self, owner: impl Fn(u32, u32) -> Option<T>) -> Option<(u32, T)> {
        loop {
            let number = match self.free.pop_front() {
                Some(number) => number,
                None => {
                    let number = u32::try_from(self.slots.len()).ok().filter(|n| *n < SpiLayout::SLOTS)?;
                    self.slots.push(Slot { owner: None, uses: 0 });
                    number
                }
            };
            let slot = self.slots.get_mut(number as usize)?;
            slot.uses = slot.uses.wrapping_add(1);
            if let Some(owner) = owner(number, slot.uses) {
                slot.owner = Some(owner);
                return Some((number, owner));
            }
        }
    }

    /// Free again. Giving back what is free changes nothing.
    fn give_back(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        if slot.owner.take().is_some() {
            self.free.push_back(number);
        }
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.slots.get(number as usize)?.owner.as_ref()
    }

    fn in_use(&self) -> usize {
        self.slots.iter().filter(|slot| slot.owner.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adit_crypto::random::SeededRandom;
    use adit_dataplane::contract::ClusterSlot;
    use std::collections::BTreeSet;

    #[test]
    fn the_slot_that_has_been_free_longest_is_taken_first() {
        let mut slots = Slots::default();
        let taken: Vec<u32> = (0..3).filter_map(|_| slots.take(|_, _| Some(()))).map(|(slot, ())| slot).collect();
        assert_eq!(taken, [0, 1, 2]);
        slots.give_back(2);
        slots.give_back(0);
        slots.give_back(0);
        slots.give_back(77);
        assert_eq!(slots.in_use(), 1);
        let taken: Vec<u32> = (0..3).filter_map(|_| slots.take(|_, _| Some(()))).map(|(slot, ())| slot).collect();
        assert_eq!(taken, [2, 0, 3]);
    }

    #[test]
    fn a_slot_without_an_owner_is_left_out() {
        let mut slots = Slots::default();
        assert_eq!(slots.take(|slot, _| (slot > 1).then_some('x')), Some((2, 'x')));
        assert_eq!(slots.take(|_, _| Some('y')), Some((3, 'y')));
        assert_eq!((slots.get(2), slots.get(0), slots.get(9)), (Some(&'x'), None, None));
    }

    #[test]
    fn an_spi_names_its_worker_and_its_session_and_does_not_come_again_soon() {
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
        let mut installer = Installer::new(3, layout, Routes::new(&mut SeededRandom::new(3)));
        let mut seen = BTreeSet::new();
        for _ in 0..8 {
            let spi = installer.take_spi(WorkerId(2), SessionId(5)).unwrap();
            assert_eq!(layout.decode(spi).worker, WorkerId(2));
            assert_eq!(installer.owner(spi), Some(SessionId(5)));
            assert!(seen.insert(spi), "eight uses of one slot are eight SPIs");
            installer.give_back_spi(spi);
            assert_eq!(installer.owner(spi), None);
        }
        assert_eq!(installer.in_use(), (0, 0, 0));
    }

    #[test]
    fn sessions_spread_evenly_over_the_workers() {
        let layout = SpiLayout::new(ClusterSlot(0), &mut SeededRandom::new(1));
        let mut installer = Installer::new(3, layout, Routes::new(&mut SeededRandom::new(3)));
        let place = |installer: &mut Installer| {
            let worker = installer.least_loaded();
            installer.session_came(worker);
            worker.0
        };
        let placed: Vec<u8> = (0..6).map(|_| place(&mut installer)).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        installer.session_left(WorkerId(1));
        assert_eq!(place(&mut installer), 1);
    }
}
