//! Super-packets: cutting what the kernel left whole, joining what it would otherwise take one by one.
//!
//! ```text
//! inner network ── TUN ──▶ super-packet ── split ──▶ ordinary packets ──▶ ESP
//! ESP ──▶ ordinary packets ── Joiner ──▶ super-packet ── TUN ──▶ inner network
//! ```
//!
//! All of it is pure: bytes in, bytes out, no system call.

mod checksum;
pub(crate) mod headers;
mod join;
mod split;
#[cfg(test)]
mod tests;

pub use checksum::{Sum, finish_checksum, replace};
pub use join::{Group, JoinKinds, Joiner};
pub use split::split;
