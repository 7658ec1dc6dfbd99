//! RADIUS, the client's side: packets (RFC 2865, 2866, 2869, 2548), retries and servers that do not answer.
//!
//! The codec is our own: what crates.io has leaves Message-Authenticator to its user, and that attribute is what stands
//! between a refusal and a forged welcome. Its cryptography is not our own.

mod accounting;
mod attribute;
mod hide;
mod line;
mod login;
mod ms_chap;
mod packet;
#[cfg(test)]
pub(super) use packet::tests;

pub(super) use accounting::{Made, accounting_request};
pub use line::LineCounters;
pub(super) use line::{Before, Good, Line, Standing};
pub(super) use login::{Success, login_request, read_reply};
pub(super) use packet::Response;
