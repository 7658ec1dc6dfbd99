//! The two programs' command lines.

pub mod aditctl;
pub mod aditd;
mod client;
mod ctcp;
mod hash_password;
mod login_test;
pub mod password;
mod reload;
mod tables;
mod units;
