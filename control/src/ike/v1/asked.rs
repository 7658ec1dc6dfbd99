//! An exchange of ours under way: one at a time.

use super::established::Established;
use super::pull::PullAsked;
use super::rekey::QuickAsked;
use super::repeated::Repeated;
use crate::ike::service::{Node, Patience, Retry};
use adit_dataplane::time::Instant;

/// What for.
pub(super) enum Asked {
    /// An ESP SA, in place of another or the first.
    Quick(Box<QuickAsked>),
    /// The client is told its address (mode config, push).
    Push { message_id: u32, repeated: Repeated },
    /// We ask for our address (mode config, pull).
    Pull(Box<PullAsked>),
    /// A client that has logged in anew waits to be told how long its ISAKMP SA lives. Whatever it says next will do.
    LifeTime(Repeated),
}

impl Asked {
    /// Our nonce, if this is a quick mode with this message ID.
    pub(super) fn quick_nonce(&self, message_id: u32) -> Option<Vec<u8>> {
        match self {
            Self::Quick(quick) if quick.message_id == message_id => Some(quick.nonce.clone()),
            Self::Quick(_) | Self::Push { .. } | Self::LifeTime(_) | Self::Pull(_) => None,
        }
    }

    /// When [`Asked::retry`] has something to say.
    pub(super) fn due(&self) -> Instant {
        match self {
            Self::Quick(quick) => quick.repeated.due(),
            Self::Push { repeated, .. } | Self::LifeTime(repeated) => repeated.due(),
            Self::Pull(pull) => pull.repeated.due(),
        }
    }

    /// Is it to be asked again?
    pub(super) fn retry(&mut self, now: Instant, patience: &Patience) -> Retry<'_> {
        match self {
            Self::Quick(quick) => quick.repeated.retry(now, patience),
            Self::Push { repeated, .. } | Self::LifeTime(repeated) => repeated.retry(now, patience),
            Self::Pull(pull) => pull.repeated.retry(now, patience),
        }
    }

    /// What has to be there before it is asked again.
    pub(super) fn before(&self) -> Option<Vec<u8>> {
        match self {
            Self::Pull(pull) => pull.before.clone(),
            Self::Quick(_) | Self::Push { .. } | Self::LifeTime(_) => None,
        }
    }

    /// Nothing will come of it: what was taken for it is given back.
    pub(super) fn let_go(self, node: &mut Node) {
        match self {
            Self::Quick(quick) => node.installer.give_back_spi(quick.spi_in),
            Self::Push { .. } | Self::LifeTime(_) | Self::Pull(_) => {}
        }
    }
}

impl Established {
    /// Nothing comes of our own exchanges.
    pub(super) fn drop_exchanges(&mut self, node: &mut Node) {
        let yielded = self.yielded.take().map(|yielded| Asked::Quick(yielded.quick));
        for asked in self.asked.take().into_iter().chain(yielded) {
            asked.let_go(node);
        }
    }
}
