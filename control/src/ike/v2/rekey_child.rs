//! Rekeying a child SA (RFC 7296 sections 1.3.3, 2.8 and 2.17).
//!
//! ```text
//! initiator --> HDR, SK {N(REKEY_SA), SA, Ni, [KEi,] TSi, TSr}
//! responder <-- HDR, SK {SA, Nr, [KEr,] TSi, TSr}
//! ```
//! We receive on the new SA before the answer goes out, and send on it when the peer has used it or has deleted
//! the old one: until then the answer may have been lost.

use super::child::{Child, ChildParts, ChildStage};
use super::create_child::Made;
use super::ike_sa::Role;
use super::node::Node;
use super::shape::{self, Misshapen};
use super::tunnel::Tunnel;
use crate::ike::keys::IkeKeys;
use crate::ike::narrow::narrow;
use crate::ike::propose::{ChildExchange, EspChoice, choose_esp};
use crate::ike::wire::{KeyExchange, Notify, NotifyKind, Payload, Protocol};
use crate::session::{Cause, SessionId};
use adit_crypto::kex::KeyPair;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::Selectors;
use adit_dataplane::time::Instant;
use std::sync::Arc;

/// Answers one for this tunnel. `peer` is the session and its connection's index.
pub(super) fn answer(
    now: Instant,
    node: &mut Node,
    peer: (SessionId, usize),
    ike_keys: &IkeKeys,
    tunnel: &mut Tunnel,
    rekeyed: &Notify,
    payloads: &[Payload],
) -> Result<Made, Misshapen> {
    let (session, connection) = peer;
    let (proposals, nonce_i) = (shape::sa(payloads)?, shape::nonce(payloads)?);
    let (ts_i, ts_r) = (shape::ts_initiator(payloads)?, shape::ts_responder(payloads)?);
    let ke = shape::maybe_ke(payloads)?;

    let Some(old) = child_named(rekeyed, tunnel) else { return Ok(not_found(rekeyed)) };
    // RFC 7296 section 2.25.1: it is being replaced already, or not yet in use by the peer.
    if !matches!(old.stage, ChildStage::Active) {
        return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new()));
    }
    // RFC 7296 section 2.9.2: a rekeyed SA carries what the old one carried.
    let selectors =
        Selectors { remote: narrow(ts_i, &old.selectors.remote), local: narrow(ts_r, &old.selectors.local) };
    if selectors.remote.is_empty() || selectors.local.is_empty() {
        return Ok(Made::refusal(NotifyKind::TsUnacceptable, Vec::new()));
    }
    let (spi_old, config) = (old.spi_in, Arc::clone(&node.config));
    let allowed =
        config.connections.get(connection).map(|connection| &connection.esp_proposals[..]).unwrap_or_default();
    let choice = match choose_esp(proposals, allowed, ChildExchange::CreateChildSa) {
        Ok(choice) => choice,
        Err(none) => {
            tracing::warn!(
                cause = Cause::NoChildProposal.name(),
                offered = none.offered,
                wanted = none.wanted,
                "child SA cannot be rekeyed: {}",
                Cause::NoChildProposal.sentence()
            );
            return Ok(Made::refusal(NotifyKind::NoProposalChosen, Vec::new()));
        }
    };
    let (ours, shared) = match fresh_secret(node, &choice, ke) {
        Ok(secret) => secret,
        Err((kind, data)) => return Ok(Made::refusal(kind, data)),
    };
    let room = tunnel.make_room(node).ok().and_then(|()| node.installer.take_spi(tunnel.key.worker, session));
    let Some(spi_in) = room else {
        return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new()));
    };

    let EspChoice { mut answer, peer_spi, cipher, numbers, group: _ } = choice;
    let nonce_r = node.random_bytes(super::sa_init::nonce_len(ike_keys.suite(), nonce_i));
    let keys = ike_keys.child_keymat(cipher, shared.as_ref(), nonce_i, &nonce_r);
    answer.spi = spi_in.get().to_be_bytes().to_vec();
    let mut said = vec![Payload::Sa(vec![answer]), Payload::Nonce(nonce_r)];
    said.extend(ours.map(Payload::Ke));
    said.push(Payload::TsInitiator(selectors.remote.clone()));
    said.push(Payload::TsResponder(selectors.local.clone()));

    let role = Role::Responder;
    let parts = ChildParts { tunnel: tunnel.key, spi_in, spi_out: peer_spi, suite: cipher, numbers, selectors, role };
    match Child::install(now, node, parts, &keys) {
        Ok(child) => tunnel.children.push(child),
        Err(_bad_length) => {
            node.installer.give_back_spi(spi_in);
            return Ok(Made::refusal(NotifyKind::NoProposalChosen, Vec::new()));
        }
    }
    let pfs = match shared {
        Some(_) => "with a fresh key exchange",
        None => "without",
    };
    tracing::info!(spi_old = %spi_old, spi_in = %spi_in, suite = %cipher, pfs, "child SA rekeyed");
    Ok(Made { payloads: said, next_ike_sa: None })
}

/// CHILD_SA_NOT_FOUND names what was not found (RFC 7296 section 2.25).
pub(super) fn not_found(rekeyed: &Notify) -> Made {
    let notify = Notify { about: rekeyed.about.clone(), kind: NotifyKind::ChildSaNotFound, data: Vec::new() };
    Made { payloads: vec![Payload::Notify(notify)], next_ike_sa: None }
}

/// REKEY_SA names the SPI that the peer receives on (RFC 7296 section 1.3.3).
fn child_named<'a>(rekeyed: &Notify, tunnel: &'a Tunnel) -> Option<&'a Child> {
    let (protocol, spi) = rekeyed.about.as_ref()?;
    let spi_out = u32::from_be_bytes(spi.as_slice().try_into().ok()?);
    let index = (*protocol == Protocol::Esp).then(|| tunnel.child_to(spi_out))??;
    tunnel.children.get(index)
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
    let pair = KeyPair::generate(group, &mut *node.random);
    let ours = KeyExchange { group: group.iana(), public: pair.public().to_vec() };
    let shared = pair.agree(&ke.public).map_err(|_bad| (NotifyKind::InvalidSyntax, Vec::new()))?;
    Ok((Some(ours), Some(shared)))
}
