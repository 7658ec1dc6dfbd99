//! First messages.

use super::half_open::{First, HalfOpen};
use super::isakmp_sa::{Cookies, clear};
use super::phase_1::Refused;
use super::wire::{Body, Exchange, Incoming, Notify, NotifyKind, Payload, Protocol};
use super::{aggressive, main_mode};
use crate::ike::counters::Ignored;
use crate::ike::service::Node;

/// Answers one, or not.
pub(crate) fn respond(first: First<'_>, node: &mut Node, incoming: &Incoming<'_>) -> Result<HalfOpen, Refused> {
    let Body::Clear(chain) = &incoming.body else { return Err(Refused::Silence(Ignored::UnexpectedExchange)) };
    if incoming.header.message_id != 0 {
        return Err(Refused::Silence(Ignored::UnexpectedExchange));
    }
    match incoming.header.exchange {
        Exchange::MainMode => main_mode::respond(first, node, chain),
        Exchange::Aggressive => aggressive::respond(first, node, chain),
        Exchange::Informational | Exchange::Transaction | Exchange::QuickMode => {
            Err(Refused::Silence(Ignored::UnexpectedExchange))
        }
    }
}

/// An unprotected refusal of a first message (RFC 2408 section 4.8): shorter than any first message. Our cookie stays
/// zero, for nothing is remembered.
pub(crate) fn tell_refused(incoming: &Incoming<'_>, kind: NotifyKind) -> Vec<u8> {
    let notify = Notify { protocol: Protocol::Isakmp, spi: Vec::new(), kind, data: Vec::new() };
    clear(Cookies::of(&incoming.header), Exchange::Informational, &[Payload::Notify(notify)])
}
