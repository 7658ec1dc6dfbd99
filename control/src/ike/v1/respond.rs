//! First messages.

use super::half_open::{First, HalfOpen};
use super::isakmp_sa::{Cookies, clear};
use super::phase_1::Refused;
use super::wire::{Body, Exchange, Incoming, Notify, NotifyKind, Payload, Protocol};
use super::{aggressive, group, main_mode};
use crate::ike::counters::Ignored;
use crate::ike::service::Node;
use crate::session::Cause;
use adit_dataplane::contract::{IkeFraming, Transport, Transports};

/// Answers one, or not.
pub(crate) fn respond(first: First<'_>, node: &mut Node, incoming: &Incoming<'_>) -> Result<HalfOpen, Refused> {
    let Body::Clear(chain) = &incoming.body else { return Err(Refused::Silence(Ignored::UnexpectedExchange)) };
    if incoming.header.message_id != 0 {
        return Err(Refused::Silence(Ignored::UnexpectedExchange));
    }
    has_way(node, first.datagram.framing)?;
    match incoming.header.exchange {
        Exchange::MainMode => main_mode::respond(first, node, chain),
        Exchange::Aggressive => aggressive::respond(first, node, chain),
        Exchange::Informational | Exchange::Transaction | Exchange::QuickMode => {
            Err(Refused::Silence(Ignored::UnexpectedExchange))
        }
    }
}

/// Beside IKE in a connection goes ESP. Where no connection by IKEv1 takes it so, no login can lead to anything, whoever it is.
fn has_way(node: &Node, framing: IkeFraming) -> Result<(), Refused> {
    let transport = match framing {
        IkeFraming::Bare | IkeFraming::NonEspMarker => return Ok(()),
        IkeFraming::Ctcp => Transport::Ctcp,
        IkeFraming::Tcp => Transport::Tcp,
    };
    let carried: Transports =
        group::connections(node).flat_map(|named| group::transports(node, named.index).iter()).collect();
    if carried == Transports::NONE || carried.contains(transport) {
        return Ok(());
    }
    Err(Refused::Answer {
        cause: Cause::NoUdpEncapsulation,
        kind: NotifyKind::NoProposalChosen,
        offered: format!("ESP by {transport}"),
        wanted: carried.iter().map(Transport::name).collect::<Vec<_>>().join(", "),
    })
}

/// An unprotected refusal of a first message (RFC 2408 section 4.8): shorter than any first message. Our cookie stays
/// zero, for nothing is remembered.
pub(crate) fn tell_refused(incoming: &Incoming<'_>, kind: NotifyKind) -> Vec<u8> {
    let notify = Notify { protocol: Protocol::Isakmp, spi: Vec::new(), kind, data: Vec::new() };
    clear(Cookies::of(&incoming.header), Exchange::Informational, &[Payload::Notify(notify)])
}
