//! ISAKMP messages (RFC 2408 section 3, RFC 2407, and what Cisco added) as data. Parsing never panics, allocates no
//! more than the message is long times a small constant, and leaves nothing half-checked; building cannot fail.

mod attribute;
mod build;
mod chain;
mod error;
mod fragment;
mod header;
mod identification;
pub mod limits;
mod method;
mod mode_config;
mod nat;
mod notify;
mod numbers;
mod parse;
mod parse_payload;
mod parse_sa;
mod payload;
mod transform;
mod vendor;

pub use crate::ike::wire::{ConfigKind, Id, IdKind, IkeSpi};
pub use attribute::{Attribute, Value};
pub use build::{build, payload_body};
pub(in crate::ike) use build::{first_kind, put_header, put_payloads};
pub use chain::{Chain, Placed};
pub use error::{Fault, Limited, WireError};
pub use fragment::{Fragment, FragmentPlace, build_fragment};
pub use header::{Exchange, Flags, Header};
pub use identification::{Identification, Whom};
pub use method::AuthMethod;
pub use mode_config::{ModeConfig, mode_config_name, number as mode_config_number};
pub use nat::{NatNumbers, NatTraversal, NatTraversals};
pub use notify::{Notify, NotifyKind};
pub(in crate::ike) use numbers::{GENERIC_LEN, LENGTH_AT, kind};
pub(in crate::ike) use parse::parse_inner;
pub use parse::{Body, Incoming, Sealed, parse, parse_header};
pub use payload::{Delete, Payload, Proposal, Protocol, Transform};
pub use transform::{Encapsulation, EspOffer, IkeOffer, LifeTime, Unusable};
pub use vendor::Vendor;
