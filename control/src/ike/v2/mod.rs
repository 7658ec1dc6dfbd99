//! IKEv2 in both roles (RFC 7296). The listing is the feature list.
//!
//! ```text
//!            IKE_SA_INIT            IKE_AUTH                        delete, dead, …
//!  nothing ─────────────▶ HalfOpen ──────────▶ Established ───────────────────────▶ nothing
//!             sa_init       │       expect_auth │      ▲ │                             ▲
//!                           │ refused, too slow │      │ │ CREATE_CHILD_SA,            │ answered
//!                           ▼                   │      └─┘ INFORMATIONAL               │
//!                        nothing                └──────────▶ Closing ──────────────────┘
//!                                                 we delete
//!
//!            our IKE_SA_INIT      keys agreed           proven
//!  connect() ─────────────▶ Calling ─────────▶ Proving ─────────▶ Established
//! ```
//! What is over leaves a farewell for a while, so that a lost last answer can be asked for again.

mod ask_child;
mod ask_ike;
mod asking;
mod calling;
mod closing;
mod configuration;
mod cookie;
mod create_child;
mod dpd;
mod established;
mod expect_auth;
mod first_child;
mod given;
mod going;
mod half_open;
mod ike_sa;
mod informational;
mod login;
mod make_child;
pub mod message_id;
mod new_child;
mod news;
mod other_ike;
mod proving;
mod purpose;
mod reassembly;
mod reconfigured;
mod rekey_child;
mod rekey_ike;
mod sa_init;
mod shape;
mod stalling;
mod succession;
mod views;

pub use asking::NoRoom;
pub(crate) use calling::{Called, Calling};
pub(crate) use closing::Closing;
pub(crate) use cookie::Cookies;
pub(crate) use established::{Established, Verdict};
pub(crate) use expect_auth::{LoginRefused, Proven, prove};
pub use given::Given;
pub(crate) use half_open::HalfOpen;
pub(crate) use ike_sa::{IkeSa, Taken};
pub(crate) use login::refuse_login;
pub(crate) use proving::Proving;
pub(crate) use sa_init::{Refused, ask_for_cookie, respond, unsupported_critical};
