//! What the operator is told of a cTCP connection that has stalled, with what to do about it.

use super::node::Node;
use super::peer::Peer;
use crate::ctcp::remedy;
use crate::journal::What;
use adit_dataplane::contract::FlowReport;
use adit_dataplane::time::Instant;

pub(crate) fn warn_of_stall(now: Instant, node: &mut Node, peer: &Peer, flow: &FlowReport) {
    node.tell(peer, What::StallFound(Box::new(*flow)));
    let Some(unsaid) = node.log_budget.take(now) else { return };
    let (told, stall) = (&flow.diagnosis, flow.evidence.stall);
    let remedy = remedy(told, flow.path.local);
    tracing::warn!(reason = remedy.reason, flow = %flow.id, identity = %peer.identity, peer = %flow.path.peer,
        local = %flow.path.local, client = told.peer.name(), path = told.path.name(), sure = told.path_sure.0,
        stalled_seconds = stall.map(|stall| stall.since.as_secs()), missing_octets = stall.map(|stall| stall.missing),
        unsaid, "cTCP connection stalled: {}", remedy.sentence);
    for line in remedy.lines() {
        tracing::warn!(reason = remedy.reason, "remedy: {line}");
    }
}
