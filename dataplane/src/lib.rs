//! adit's dataplane: packets, SAs, run-to-completion workers and the doors they read and write through.
//!
//! Control sees only [`contract`], [`wire`] and [`time`]; its `runtime/` alone also [`worker`] and [`io`], to start
//! them.
#![deny(unsafe_code)]

pub mod carrier;
pub mod contract;
pub mod esp;
pub mod fate;
pub mod inner_flows;
pub mod io;
pub mod mtu;
pub mod offload;
pub mod packet;
pub mod sad;
pub mod time;
pub mod wire;
pub mod worker;
