//! adit's control plane: IKE, sessions, leases, configuration and the control API.
//!
//! It names of the dataplane only `contract`, `wire` and `time`, and owns no packet socket, so that a simulation
//! can drive it whole.
#![forbid(unsafe_code)]

pub mod aaa;
pub mod api;
pub mod capture;
pub mod cli;
pub mod config;
pub mod ctcp;
pub mod disk;
pub mod flows;
pub mod ike;
mod installer;
pub mod journal;
pub mod lease;
pub mod page;
pub mod pki;
pub mod reload;
pub mod runtime;
pub mod session;
pub mod telemetry;
