//! The two programs' command lines.

pub mod aditctl;
pub mod aditd;
mod capture;
mod client;
mod ctcp;
mod drain;
mod flows;
mod generated;
mod hash_password;
mod login_test;
mod new_token;
pub mod password;
mod reload;
mod sessions;
mod tables;
mod top;
mod units;
mod watch;
mod why;
