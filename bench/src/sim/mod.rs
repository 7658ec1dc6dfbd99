//! The simulated world: many real IKE engines, a network that misbehaves, virtual time, and a model of what both ends
//! must hold. Nothing here reads a clock or a socket; a seed says everything that happens.
//!
//! ```text
//!  crowd, collisions     who logs in, rekeys, moves, dies, and when
//!        │
//!      world             hosts ── lines ── NATs ── lines ── headend;  one agenda of virtual time
//!        │
//!      model             what both ends must hold, from what was decided and what was lost
//! ```

mod agenda;
pub(crate) mod ask;
mod chance;
mod collisions;
mod crowd;
mod datagram;
mod dataplane;
mod finding;
mod host;
mod line;
mod model;
mod nat;
mod neighbourhood;
mod network;
mod person;
mod questions;
mod sa;
mod script;
mod settings;
mod silence;
mod trace;
mod whereabouts;
mod world;

pub(crate) use crowd::{Crowded, crowded};

#[cfg(test)]
mod tests;
