//! IKE: sans-IO machines that take `now`, bytes and chance, and return outputs from one queue.

pub mod engine;
pub mod wire;
