//! IKEv2 messages (RFC 7296 section 3) as data. Parsing never panics, allocates no more than the message is
//! long times a small constant, and leaves nothing half-checked; building cannot fail.

mod build;
mod clear_answer;
mod error;
mod header;
mod id;
pub mod limits;
mod notify;
mod numbers;
mod parse;
mod parse_payload;
mod parse_sa;
mod payload;
pub(in crate::ike) mod reader;
pub(in crate::ike) mod writer;

pub(in crate::ike) use build::{LENGTH_AT, first_kind, put_header, put_payloads};
pub use build::{build, id_body};
pub(in crate::ike) use clear_answer::clear_answer;
pub use error::{Fault, Limited, WireError};
pub use header::{Exchange, Flags, Header, IkeSpi};
pub use id::{Id, IdKind};
pub(in crate::ike) use notify::notify_kinds;
pub use notify::{Notify, NotifyKind};
pub(in crate::ike) use numbers::{FRAGMENT_HEADER_LEN, GENERIC_LEN, kind};
pub(in crate::ike) use parse::parse_inner;
pub use parse::{Incoming, Joined, Sealed, SkPayload, SkfPayload, messages, parse, parse_header};
use parse_payload::parse_payload;
pub use payload::{
    Attribute, ConfigKind, ConfigPayload, Delete, KeyExchange, Payload, Proposal, Protocol, Transform, TransformKind,
};
