//! The control API: HTTP with JSON over a Unix socket, described by an OpenAPI document.

pub mod access;
pub mod ask;
pub mod caller;
pub mod captures;
pub mod connections;
mod drain;
mod events;
mod flows;
mod frequency;
pub mod gate;
pub mod listen;
mod metrics;
pub mod origin;
mod overview;
mod parameters;
mod patience;
pub mod pools;
pub mod problem;
pub mod reload;
pub mod routes;
pub mod serve;
pub mod sessions;
pub mod strangers;
pub mod tls;
pub mod transports;
pub mod views;
