//! The control API: HTTP with JSON over a Unix socket.

pub mod ask;
pub mod listen;
pub mod reload;
pub mod routes;
pub mod views;
