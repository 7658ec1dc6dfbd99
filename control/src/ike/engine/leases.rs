//! Leases that outlive the engine.

use super::Engine;
use crate::lease::{Claimant, News, NotHeld};
use adit_dataplane::time::Instant;
use std::net::IpAddr;

impl Engine {
    /// From now on [`Engine::poll_lease`] tells what becomes of addresses, and has to be asked after everything else.
    pub fn keep_leases(&mut self) {
        self.node.leases.keep_news();
    }

    /// What has become of an address, in order, until `None`.
    pub fn poll_lease(&mut self) -> Option<News> {
        self.node.leases.poll_news()
    }

    /// [`Engine::poll_lease`] tells again what is held, and until when.
    pub fn tell_held_leases(&mut self) {
        self.node.leases.tell_held();
    }

    /// Somebody had this address when another engine ended: it is held for him until then.
    ///
    /// # Errors
    /// See [`NotHeld`].
    pub fn restore_lease(
        &mut self,
        now: Instant,
        address: IpAddr,
        identity: &Claimant,
        until: Instant,
    ) -> Result<(), NotHeld> {
        self.node.leases.restore(now, address, identity, until)
    }
}
