//! IKE: sans-IO machines that take `now`, bytes and chance, and return outputs from one queue.

pub mod counters;
pub mod engine;
pub mod identity;
pub mod keys;
pub mod login_times;
pub mod narrow;
pub mod nat;
pub mod propose;
pub mod service;
pub mod sk;
pub mod v1;
pub mod v2;
pub mod wire;
