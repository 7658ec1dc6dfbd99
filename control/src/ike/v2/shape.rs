//! The shape of a message: which payloads stand in it, each at most once.

use super::super::wire::{ConfigKind, ConfigPayload, KeyExchange, Notify, NotifyKind, Payload, Proposal};
use crate::ike::wire::Id;
use adit_dataplane::contract::Selector;

/// A payload that must be there is not, or one that may come once comes twice: INVALID_SYNTAX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing or not alone")]
pub(super) struct Misshapen(pub(super) &'static str);

macro_rules! pickers {
    ($($(#[$doc:meta])+ $one:ident $maybe:ident $label:literal $pattern:pat => $value:expr, $type:ty;)+) => {
        $(
            $(#[$doc])+
            #[allow(dead_code, reason = "one macro makes the pair; not every payload is both optional and required")]
            pub(super) fn $one(payloads: &[Payload]) -> Result<$type, Misshapen> {
                $maybe(payloads)?.ok_or(Misshapen($label))
            }

            $(#[$doc])+
            /// It may be absent.
            pub(super) fn $maybe(payloads: &[Payload]) -> Result<Option<$type>, Misshapen> {
                let mut found = payloads.iter().filter_map(|payload| match payload {
                    $pattern => Some($value),
                    _ => None,
                });
                match (found.next(), found.next()) {
                    (first, None) => Ok(first),
                    (_, Some(_)) => Err(Misshapen($label)),
                }
            }
        )+
    };
}

pickers! {
    /// Security association.
    sa maybe_sa "SA" Payload::Sa(proposals) => proposals.as_slice(), &[Proposal];
    /// Key exchange.
    ke maybe_ke "KE" Payload::Ke(ke) => ke, &KeyExchange;
    /// Nonce.
    nonce maybe_nonce "Nonce" Payload::Nonce(nonce) => nonce.as_slice(), &[u8];
    /// The initiator's identity.
    id_initiator maybe_id_initiator "IDi" Payload::IdInitiator(id) => id, &Id;
    /// The responder's identity.
    id_responder maybe_id_responder "IDr" Payload::IdResponder(id) => id, &Id;
    /// Proof of identity: method and data.
    auth maybe_auth "AUTH" Payload::Auth(method, data) => (*method, data.as_slice()), (u8, &[u8]);
    /// The initiator's traffic selectors.
    ts_initiator maybe_ts_initiator "TSi" Payload::TsInitiator(selectors) => selectors.as_slice(), &[Selector];
    /// The responder's traffic selectors.
    ts_responder maybe_ts_responder "TSr" Payload::TsResponder(selectors) => selectors.as_slice(), &[Selector];
    /// Configuration request.
    configuration maybe_configuration "CP" Payload::Configuration(cp @ ConfigPayload { kind: ConfigKind::Request, .. }) => cp, &ConfigPayload;
    /// What a configuration request was answered with.
    configuration_reply maybe_configuration_reply "CP" Payload::Configuration(cp @ ConfigPayload { kind: ConfigKind::Reply, .. }) => cp, &ConfigPayload;
}

/// All notifications.
pub(super) fn notifies(payloads: &[Payload]) -> impl Iterator<Item = &Notify> {
    payloads.iter().filter_map(|payload| match payload {
        Payload::Notify(notify) => Some(notify),
        _ => None,
    })
}

/// Whether there is a notification of this kind.
pub(super) fn says(payloads: &[Payload], kind: NotifyKind) -> bool {
    notifies(payloads).any(|notify| notify.kind == kind)
}

/// A notification about no SA.
pub(super) fn notify(kind: NotifyKind, data: Vec<u8>) -> Payload {
    Payload::Notify(Notify { about: None, kind, data })
}
