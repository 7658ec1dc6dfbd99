//! The IKE endpoint as a whole: what the runtime (or a simulation) drives.

use crate::config::checked::Config;
use crate::session::{SaView, SessionView};
use adit_crypto::random::SecretRandom;
use adit_dataplane::contract::{Command, Event, Routes, SpiLayout, WorkerId};
use adit_dataplane::time::Instant;
use std::sync::Arc;

/// What the engine wants done. Taken in order.
pub enum Output {
    /// Hand this to that worker (`SendIke` among them).
    Command(WorkerId, Command),
    /// Publish these inner routes, before any later command.
    Routes(Routes),
}

/// All IKE SAs, sessions and leases of this node. Takes `now`, events and chance; asks for nothing.
pub struct Engine {
    config: Arc<Config>,
}

impl Engine {
    /// An endpoint without sessions. `workers` is how many there are to give sessions to.
    pub fn new(config: Arc<Config>, workers: usize, spi_layout: SpiLayout, random: Box<dyn SecretRandom>) -> Self {
        let _ = (workers, spi_layout, random);
        Self { config }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// A worker reports (IKE datagrams among that).
    pub fn handle_event(&mut self, now: Instant, worker: WorkerId, event: Event) {
        let _ = (now, worker, event);
        todo!()
    }

    /// The time asked for by [`Engine::poll_timeout`] has come (being called early is harmless).
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// When [`Engine::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Starts leaving: a delete goes to every peer, no new session is taken. Drive on until [`Engine::is_idle`] or
    /// patience ends.
    pub fn shut_down(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// No session, no half-open SA, nothing to wait for.
    pub fn is_idle(&self) -> bool {
        todo!()
    }

    /// Copied views of all sessions, oldest first.
    pub fn sessions(&self, now: Instant) -> Vec<SessionView> {
        let _ = now;
        todo!()
    }

    /// Copied views of all child SAs, in the order of sessions.
    pub fn sas(&self, now: Instant) -> Vec<SaView> {
        let _ = now;
        todo!()
    }
}
