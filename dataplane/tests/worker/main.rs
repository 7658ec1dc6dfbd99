//! A whole worker between doors in memory: what goes in, what comes out, what is counted.
//!
//! One program for all of it: what they share, `harness`, need not be compiled for each.

#[path = "../harness/mod.rs"]
mod harness;

mod captures;
mod ctcp_worker;
mod drops;
mod extended_numbers;
mod handoff;
mod inner_flows;
mod lifecycle;
mod lifetimes;
mod moves;
mod rates;
mod round_trip;
mod sizes;
mod tcp_worker;
