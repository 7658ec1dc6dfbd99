//! The control API: HTTP with JSON over a Unix socket, described by an OpenAPI document.

pub mod access;
pub mod ask;
pub mod connections;
mod drain;
mod events;
mod flows;
pub mod listen;
mod metrics;
mod overview;
mod parameters;
pub mod pools;
pub mod problem;
pub mod reload;
pub mod routes;
pub mod serve;
pub mod sessions;
pub mod tls;
pub mod views;
