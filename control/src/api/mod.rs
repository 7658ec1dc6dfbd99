//! The control API: HTTP with JSON over a Unix socket.

pub mod ask;
mod flows;
pub mod listen;
pub mod routes;
pub mod views;
