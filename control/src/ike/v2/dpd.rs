//! Liveness checks (RFC 7296 section 2.4): an empty INFORMATIONAL request when nothing authenticated came for a
//! while, IKE or ESP. An answer proves life, silence to all retransmissions proves death. A peer that sends on an SA that is
//! not here is asked at once, and told why (section 1.5).

use super::established::Established;
use super::purpose::Purpose;
use super::shape::notify;
use crate::ike::service::Node;
use crate::ike::wire::NotifyKind;
use adit_dataplane::time::Instant;
use std::time::Duration;

/// A peer is told of SPIs that are unknown here no more often: what it has sent before it hears of one is under way still.
const UNKNOWN_AGAIN: Duration = Duration::from_secs(10);

impl Established {
    /// The peer sends on a child SA that is not there. It can replace that, and if it does not know this IKE SA either, its
    /// silence will show.
    pub(crate) fn tell_unknown_spi(&mut self, now: Instant, node: &mut Node, spi: u32) {
        let told = self.told_unknown.is_some_and(|told| now.since(told) < UNKNOWN_AGAIN);
        if told || self.ike.ids.next_request().is_err() {
            return;
        }
        tracing::info!(spi = format_args!("{spi:#010x}"), "the peer sends on a child SA that is not here");
        self.told_unknown = Some(now);
        self.ask(now, node, Purpose::Liveness, &[notify(NotifyKind::InvalidSpi, spi.to_be_bytes().to_vec())]);
    }
}

/// When the peer has been quiet for long enough. Never while a request is under way: that one will tell.
pub(super) fn due(node: &Node, session: &Established) -> Option<Instant> {
    let delay = node.config.ike.dpd_delay;
    let may_ask = !delay.is_zero() && session.ike.ids.next_request().is_ok();
    may_ask.then(|| session.heard() + delay)
}

/// Asks if it is time.
pub(super) fn ask_if_quiet(now: Instant, node: &mut Node, session: &mut Established) {
    if due(node, session).is_none_or(|due| due > now) {
        return;
    }
    let Ok(bytes) = session.ike.ask(now, node, Purpose::Liveness, &[]) else { return };
    tracing::debug!("asking whether the peer lives");
    session.peer.send(now, node, bytes);
}
