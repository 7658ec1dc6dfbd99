//! The two programs' command lines.

pub mod aditctl;
pub mod aditd;
mod client;
mod tables;
mod units;
