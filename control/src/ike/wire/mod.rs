//! IKEv2 messages (RFC 7296 section 3) as data. Parsing never panics, allocates no more than the message is
//! long times a small constant, and leaves nothing half-checked; building cannot fail.

mod header;
mod id;
mod notify;
mod payload;

pub use header::{Exchange, Flags, Header, IkeSpi};
pub use id::{Id, IdKind};
pub use notify::{Notify, NotifyKind};
pub use payload::{
    Attribute, ConfigKind, ConfigPayload, Delete, KeyExchange, Payload, Proposal, Protocol, Transform, TransformKind,
};
