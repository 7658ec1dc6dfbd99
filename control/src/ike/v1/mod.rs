//! IKEv1 (RFC 2407, 2408, 2409): the dialect of Cisco's clients, over the same sessions, leases and SAs as IKEv2.
//!
//! ```text
//!            first message        phase 1's proof is good          the user may in
//!  nothing ───────────────▶ HalfOpen ─────────────────▶ Login ────────────────────▶ Established ──▶ nothing
//!        main, aggressive    │   │     (XAUTH)            │  refused: told so           ▲   │  delete, dead, …
//!                   too slow │   └── no XAUTH ────────────┼─────────────────────────────┘   │
//!                            ▼                            ▼                                 └─▶ mode config, quick
//!                         nothing                      nothing                                  modes, DPD
//! ```
//! A client that starts another phase 1 for the same user, and asks for the address that it has, takes its session over
//! ([`Established::take_over`]): lease, tunnel and ESP SAs stay.

mod again;
mod aggressive;
mod asked;
mod books;
mod called;
mod calling;
mod calling_aggressive;
mod calling_main;
mod calling_proof;
mod choose;
pub mod cipher;
mod client;
mod dpd;
mod ending;
mod entering;
mod established;
mod expected;
mod first_quick;
mod fragments;
mod given;
mod going;
mod grant;
mod group;
mod half_open;
mod informational;
mod isakmp_sa;
pub mod keys;
mod life_time;
mod login;
mod main_mode;
mod mode_config;
pub mod nat;
mod nat_seen;
mod news;
mod offer;
mod phase_1;
mod proof;
mod pull;
mod quick_choice;
mod quick_mode;
mod reached;
mod reconfigured;
mod rekey;
mod repeated;
mod respond;
mod signature;
mod stalling;
pub mod suite;
mod take_over;
mod time;
mod told;
mod views;
pub mod wire;

pub(crate) use calling::{CallStep, Calling};
pub(crate) use entering::{EnterStep, Entering};
pub(crate) use established::{Claim, Established, Verdict};
pub(crate) use half_open::{Asked, First, HalfOpen, Step};
pub(crate) use login::{Login, LoginStep, Rest};
pub(crate) use phase_1::{Proven, Refused, Standing, User};
pub(crate) use reached::Reached;
pub(crate) use respond::{respond, tell_refused};
pub use told::Told;
