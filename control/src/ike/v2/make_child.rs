//! Answering a request for a child SA (RFC 7296 sections 1.3.1, 1.3.3 and 2.17): what a new one and a rekey have in
//! common.
//!
//! ```text
//! initiator --> HDR, SK {[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr}
//! responder <-- HDR, SK {SA, Nr, [KEr,] TSi, TSr}
//! ```
//! We receive on the new SA before the answer goes out.

use super::create_child::Made;
use super::established::{Established, Service};
use super::shape::{self, Misshapen};
use crate::ike::narrow::narrow;
use crate::ike::propose::{ChildExchange, EspChoice, choose_esp};
use crate::ike::service::{Child, ChildParts, Node, Role};
use crate::ike::wire::{KeyExchange, NotifyKind, Payload};
use crate::session::Cause;
use adit_crypto::kex;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{Lane, Selectors, Spi};
use adit_dataplane::time::Instant;
use std::sync::Arc;

/// Where the child SA goes and what it may carry.
pub(super) struct Place {
    pub(super) lane: Lane,
    pub(super) allowed: Selectors,
}

/// It is there.
pub(super) struct NewChild {
    pub(super) spi_in: Spi,
    /// The lower of the exchange's nonces (RFC 7296 section 2.8.1).
    pub(super) lowest: Vec<u8>,
    /// The answer.
    pub(super) payloads: Vec<Payload>,
}

/// Made, or refused without a change.
pub(super) type Outcome = Result<NewChild, Made>;

/// Makes one.
pub(super) fn answer(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    place: &Place,
    payloads: &[Payload],
) -> Result<Outcome, Misshapen> {
    let (proposals, nonce_i) = (shape::sa(payloads)?, shape::nonce(payloads)?);
    let (ts_i, ts_r) = (shape::ts_initiator(payloads)?, shape::ts_responder(payloads)?);
    let ke = shape::maybe_ke(payloads)?;
    let refusal = |kind, data| Ok(Err(Made::refusal(kind, data)));
    let Service::Tunnel(tunnel) = &mut session.service else {
        return refusal(NotifyKind::NoAdditionalSas, Vec::new());
    };
    let selectors =
        Selectors { remote: narrow(ts_i, &place.allowed.remote), local: narrow(ts_r, &place.allowed.local) };
    if selectors.remote.is_empty() || selectors.local.is_empty() {
        return refusal(NotifyKind::TsUnacceptable, Vec::new());
    }
    let config = Arc::clone(&node.config);
    let connection = config.connections.get(session.peer.connection);
    let allowed = connection.map(|connection| &connection.esp_proposals[..]).unwrap_or_default();
    let choice = match choose_esp(proposals, allowed, ChildExchange::CreateChildSa) {
        Ok(choice) => choice,
        Err(none) => {
            tracing::warn!(
                cause = Cause::NoChildProposal.name(),
                offered = none.offered,
                wanted = none.wanted,
                "child SA cannot be made: {}",
                Cause::NoChildProposal.sentence()
            );
            return refusal(NotifyKind::NoProposalChosen, Vec::new());
        }
    };
    let (ours, shared) = match fresh_secret(node, &choice, ke) {
        Ok(secret) => secret,
        Err((kind, data)) => return refusal(kind, data),
    };
    let room = tunnel.make_room(node, place.lane).ok();
    let Some(spi_in) = room.and_then(|()| node.installer.take_spi(tunnel.key.worker, session.peer.id)) else {
        return refusal(NotifyKind::TemporaryFailure, Vec::new());
    };

    let EspChoice { mut answer, peer_spi, cipher, numbers, group: _ } = choice;
    let ike_keys = &session.ike.keys;
    let nonce_r = node.random_bytes(super::sa_init::nonce_len(ike_keys.suite(), nonce_i));
    let keys = ike_keys.child_keymat(cipher, shared.as_ref(), nonce_i, &nonce_r);
    let lowest = nonce_i.min(&nonce_r[..]).to_vec();
    answer.spi = spi_in.get().to_be_bytes().to_vec();
    let mut said = vec![Payload::Sa(vec![answer]), Payload::Nonce(nonce_r)];
    said.extend(ours.map(Payload::Ke));
    said.push(Payload::TsInitiator(selectors.remote.clone()));
    said.push(Payload::TsResponder(selectors.local.clone()));

    let parts = ChildParts {
        tunnel: tunnel.key,
        lane: place.lane,
        spi_in,
        spi_out: peer_spi,
        suite: cipher,
        numbers,
        selectors,
        role: Role::Responder,
    };
    match Child::install(now, node, parts, &keys) {
        Ok(child) => tunnel.children.push(child),
        Err(_bad_length) => {
            node.installer.give_back_spi(spi_in);
            return refusal(NotifyKind::NoProposalChosen, Vec::new());
        }
    }
    Ok(Ok(NewChild { spi_in, lowest, payloads: said }))
}

/// What the exchange's own key exchange made: our KE payload and the secret, both or neither.
type FreshSecret = (Option<KeyExchange>, Option<SecretBytes>);

/// A KE payload of another group than the chosen one, or none where one is needed: INVALID_KE_PAYLOAD with ours
/// (RFC 7296 section 1.3).
fn fresh_secret(
    node: &mut Node,
    choice: &EspChoice,
    ke: Option<&KeyExchange>,
) -> Result<FreshSecret, (NotifyKind, Vec<u8>)> {
    let Some(group) = choice.group else { return Ok((None, None)) };
    let Some(ke) = ke.filter(|ke| ke.group == group.iana()) else {
        return Err((NotifyKind::InvalidKePayload, group.iana().to_be_bytes().to_vec()));
    };
    let answered = kex::answer(group, &mut *node.random, &ke.public);
    let (public, shared) = answered.map_err(|_bad| (NotifyKind::InvalidSyntax, Vec::new()))?;
    Ok((Some(KeyExchange { group: group.iana(), public }), Some(shared)))
}
