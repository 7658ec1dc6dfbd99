//! What both versions of IKE share: the node and its timers, who arrives, and what a session has in the dataplane.

mod aggressive_budget;
mod arrivals;
mod call;
mod child;
mod connections;
mod error_budget;
mod farewell;
mod inner;
pub(crate) mod keepalive;
mod life;
mod nat;
mod node;
mod patience;
mod peer;
mod role;
mod stalled;
pub mod timers;
mod tunnel;
mod views;

pub use arrivals::CookiesAsked;
pub(crate) use arrivals::{Arrival, Arrivals, Toll};
pub use call::{Call, CallV1, Carriage, Contact, Credentials, CtcpManner, Mode};
pub(crate) use call::{CallFailed, Held};
pub(crate) use child::{Child, ChildParts, ChildStage};
pub(crate) use connections::Connections;
pub(crate) use farewell::Farewell;
pub(crate) use inner::{Inner, addresses};
pub(crate) use life::{Life, Refused, Times, pause};
pub(crate) use nat::{Behind, Nat};
pub(crate) use node::{Node, TimerKey};
pub use patience::{Patience, Retry};
pub(crate) use peer::{Origin, Peer};
pub(crate) use role::Role;
pub(crate) use stalled::warn_of_stall;
pub(crate) use tunnel::{FORMER, LeaseFate, Traffic, Tunnel, Wanted};
pub(crate) use views::{IkeShown, connecting, sas, view};
