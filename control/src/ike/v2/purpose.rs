//! What a request of ours is for, with what its answer will need.

use super::ask_child::ChildAsked;
use super::ask_ike::IkeAsked;
use crate::ike::service::Node;
use crate::ike::wire::Exchange;
use adit_dataplane::contract::Spi;

/// Kept with the request until it is answered.
#[derive(Debug)]
pub(super) enum Purpose {
    /// We prove who we are (RFC 7296 section 1.2). Asked before there is a session.
    Login,
    /// Is the peer alive? (RFC 7296 section 2.4)
    Liveness,
    /// This IKE SA is to end (RFC 7296 section 1.4.1).
    Goodbye,
    /// These child SAs are to end, by our SPIs (RFC 7296 section 1.4.1).
    DeleteChildren(Vec<Spi>),
    /// A child SA is to be made, in place of another or beside it (RFC 7296 sections 1.3.1 and 1.3.3).
    Child(Box<ChildAsked>),
    /// Another IKE SA is to be made in place of this one (RFC 7296 section 1.3.2).
    RekeyIke(Box<IkeAsked>),
    /// One of the above that nobody needs any more; still, it has to be answered before the next (RFC 7296 section
    /// 2.3).
    Abandoned(Exchange),
}

impl Purpose {
    /// How it is asked.
    pub(super) fn exchange(&self) -> Exchange {
        match self {
            Self::Login => Exchange::IkeAuth,
            Self::Liveness | Self::Goodbye | Self::DeleteChildren(_) => Exchange::Informational,
            Self::Child(_) | Self::RekeyIke(_) => Exchange::CreateChildSa,
            Self::Abandoned(exchange) => *exchange,
        }
    }

    /// Nothing will come of it: what was taken for it is given back.
    pub(super) fn let_go(&mut self, node: &mut Node) {
        match self {
            Self::Child(asked) => node.installer.give_back_spi(asked.spi_in),
            Self::RekeyIke(asked) => node.forget_ike_spi(asked.spi),
            Self::Login | Self::Liveness | Self::Goodbye | Self::DeleteChildren(_) | Self::Abandoned(_) => {}
        }
        *self = Self::Abandoned(self.exchange());
    }
}
