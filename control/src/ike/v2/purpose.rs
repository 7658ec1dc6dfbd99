//! What a request of ours is for, with what its answer will need.

use crate::ike::wire::Exchange;

/// Kept with the request until it is answered.
#[derive(Debug)]
pub(super) enum Purpose {
    /// We prove who we are (RFC 7296 section 1.2). Asked before there is a session.
    Login,
    /// Is the peer alive? (RFC 7296 section 2.4)
    Liveness,
    /// This IKE SA is to end (RFC 7296 section 1.4.1).
    Goodbye,
}

impl Purpose {
    /// How it is asked.
    pub(super) fn exchange(&self) -> Exchange {
        match self {
            Self::Login => Exchange::IkeAuth,
            Self::Liveness | Self::Goodbye => Exchange::Informational,
        }
    }
}
