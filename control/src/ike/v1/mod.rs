//! IKEv1 (RFC 2407, 2408, 2409): the dialect of Cisco's clients, over the same sessions, leases and SAs as IKEv2.

pub mod cipher;
pub mod keys;
pub mod nat;
pub mod suite;
pub mod wire;
