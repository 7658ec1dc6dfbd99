//! Which end we are.

/// Who started the exchange that made an SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// We did.
    Initiator,
    /// The peer did.
    Responder,
}
