//! An IKE SA that the peer rekeys (RFC 7296 sections 1.3.2, 2.8, 2.18 and 2.25).
//!
//! ```text
//! initiator --> HDR, SK {SA, Ni, KEi}
//! responder <-- HDR, SK {SA, Nr, KEr}
//! ```
//! Whoever starts the rekey is the new IKE SA's original initiator, so we are its responder. Message IDs start at 0.

use super::create_child::{Made, NextIkeSa};
use super::established::Established;
use super::ike_sa::{IkeSa, IkeSpis};
use super::message_id::MessageIds;
use super::purpose::Purpose;
use super::sa_init::{agree, nonce_len};
use super::shape::{self, Misshapen};
use crate::config::checked::Connection;
use crate::ike::keys::IkeKeys;
use crate::ike::propose::choose_ike;
use crate::ike::service::{Node, Role};
use crate::ike::wire::{IkeSpi, KeyExchange, NotifyKind, Payload};
use crate::session::Cause;
use adit_dataplane::time::Instant;
use std::sync::Arc;

/// Answers one.
pub(super) fn answer(
    now: Instant,
    node: &mut Node,
    session: &Established,
    payloads: &[Payload],
) -> Result<Made, Misshapen> {
    match session.ike.ids.under_way() {
        // RFC 7296 section 2.25.1: we are creating, rekeying or closing a child SA.
        Some(Purpose::Child(_) | Purpose::DeleteChildren(_)) => {
            return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new()));
        }
        // The peer itself asks for one at a time.
        Some(Purpose::RekeyIke(_)) if session.others.has_rival() => {
            return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new()));
        }
        // RFC 7296 section 2.25.2: what we are rekeying ourselves is made, and the nonces will decide.
        Some(Purpose::RekeyIke(_)) => {}
        Some(Purpose::Login | Purpose::Liveness | Purpose::Goodbye | Purpose::Abandoned(_)) | None => {}
    }
    let (proposals, nonce_i) = (shape::sa(payloads)?, shape::nonce(payloads)?);
    let ke = shape::ke(payloads)?;
    let config = Arc::clone(&node.config);
    let login = config.connections.get(session.peer.connection).and_then(Connection::v2);
    let allowed = login.map(|login| &login.ike_proposals[..]).unwrap_or_default();
    let (mut chosen, suite) = match choose_ike(proposals, allowed) {
        Ok(choice) => choice,
        Err(none) => {
            tracing::warn!(
                cause = Cause::NoIkeProposal.name(),
                offered = none.offered,
                wanted = none.wanted,
                "IKE SA cannot be rekeyed: {}",
                Cause::NoIkeProposal.sentence()
            );
            return Ok(Made::refusal(NotifyKind::NoProposalChosen, Vec::new()));
        }
    };
    if ke.group != suite.group.iana() {
        return Ok(Made::refusal(NotifyKind::InvalidKePayload, suite.group.iana().to_be_bytes().to_vec()));
    }
    // RFC 7296 section 3.3.1: 8 octets, the peer's SPI of the new IKE SA; zero is none.
    let spi_i = match <[u8; 8]>::try_from(chosen.spi.as_slice()).map(u64::from_be_bytes) {
        Ok(spi) if spi != 0 => IkeSpi(spi),
        Ok(_) | Err(_) => return Err(Misshapen("the new IKE SA's SPI")),
    };
    let Ok((public, shared)) = agree(node, suite, ke) else {
        return Ok(Made::refusal(NotifyKind::InvalidSyntax, Vec::new()));
    };
    let nonce_r = node.random_bytes(nonce_len(suite, nonce_i));
    let spi_r = node.new_ike_spi(session.peer.id);
    let keys = IkeKeys::rekey(&session.ike.keys, suite, &shared, nonce_i, &nonce_r, spi_i, spi_r);
    let spis = IkeSpis { initiator: spi_i, responder: spi_r };
    let Ok(next) = IkeSa::new(now, node, Role::Responder, spis, keys, MessageIds::new(0, 0)) else {
        node.forget_ike_spi(spi_r);
        return Ok(Made::refusal(NotifyKind::NoProposalChosen, Vec::new()));
    };
    chosen.spi = spi_r.0.to_be_bytes().to_vec();
    let lowest = nonce_i.min(&nonce_r[..]).to_vec();
    let payloads = vec![
        Payload::Sa(vec![chosen]),
        Payload::Nonce(nonce_r),
        Payload::Ke(KeyExchange { group: suite.group.iana(), public }),
    ];
    let next = next.fragmenting(session.ike.fragmentation);
    Ok(Made { payloads, next_ike_sa: Some(NextIkeSa { ike: next, lowest }) })
}
