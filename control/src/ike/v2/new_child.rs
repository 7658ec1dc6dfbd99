//! One more child SA that the peer asks for (RFC 7296 section 1.3.1), with selectors of its own.

use super::create_child::Made;
use super::established::{Established, Service};
use super::make_child::{self, Place};
use super::shape::Misshapen;
use crate::ike::service::Node;
use crate::ike::wire::{NotifyKind, Payload};
use crate::session::Cause;
use adit_dataplane::time::Instant;

/// Answers one.
pub(super) fn answer(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    payloads: &[Payload],
) -> Result<Made, Misshapen> {
    let refusal = |kind| Ok(Made::refusal(kind, Vec::new()));
    // Without inner addresses there is nothing that it could carry.
    let Service::Tunnel(tunnel) = &session.service else { return refusal(NotifyKind::NoAdditionalSas) };
    let Some(connection) = node.connection(session.peer.connection) else {
        return refusal(NotifyKind::NoAdditionalSas);
    };
    let limit = node.config.ike.children_limit;
    let Some(lane) = tunnel.free_lane(limit, session.lane_asked()) else {
        tracing::warn!(
            cause = Cause::ChildLimit.name(),
            wanted = format_args!("at most {limit} child SAs"),
            "child SA refused: {}",
            Cause::ChildLimit.sentence()
        );
        return refusal(NotifyKind::NoAdditionalSas);
    };
    let place = Place { lane, allowed: tunnel.inner.selectors(connection) };
    let new = match make_child::answer(now, node, session, &place, payloads)? {
        Ok(new) => new,
        Err(refused) => return Ok(refused),
    };
    tracing::info!(spi_in = %new.spi_in, by = "the peer", "child SA added");
    // Nothing in its lane is older, so there is nothing to wait for.
    if let Service::Tunnel(tunnel) = &mut session.service
        && let Some(index) = tunnel.child_from(new.spi_in)
    {
        tunnel.switch_to(now, node, index);
    }
    Ok(Made { payloads: new.payloads, next_ike_sa: None })
}
