//! A child SA that the peer rekeys (RFC 7296 sections 1.3.3, 2.8 and 2.25.1).
//!
//! We send on the new one when the peer has used it or has deleted the old one: until then the answer may have been
//! lost. If we are rekeying the same child SA ourselves, both are made, and the nonces decide (section 2.8.1).

use super::ask_child::Rival;
use super::create_child::Made;
use super::established::{Established, Service};
use super::make_child::{self, Place};
use super::purpose::Purpose;
use super::shape::Misshapen;
use crate::ike::service::{Child, ChildStage, Node, Tunnel};
use crate::ike::wire::{Notify, NotifyKind, Payload, Protocol};
use crate::journal::{By, Renewed, What};
use adit_dataplane::contract::Selectors;
use adit_dataplane::time::Instant;

/// Answers one.
pub(super) fn answer(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    rekeyed: &Notify,
    payloads: &[Payload],
) -> Result<Made, Misshapen> {
    let Service::Tunnel(tunnel) = &session.service else { return Ok(not_found(rekeyed)) };
    let Some(old) = child_named(rekeyed, tunnel) else { return Ok(not_found(rekeyed)) };
    match old.stage {
        ChildStage::Active => {}
        // It is being replaced or deleted already, or is not yet in use by the peer.
        ChildStage::Fresh
        | ChildStage::Superseded { .. }
        | ChildStage::Doomed
        | ChildStage::Deleting
        | ChildStage::Draining { .. } => return Ok(Made::refusal(NotifyKind::TemporaryFailure, Vec::new())),
    }
    let spi_old = old.spi_in;
    // RFC 7296 section 2.9.2: a rekeyed SA carries what the old one carried.
    let place = Place { lane: old.lane, allowed: Selectors::clone(&old.selectors) };
    let new = match make_child::answer(now, node, session, &place, payloads)? {
        Ok(new) => new,
        Err(refused) => return Ok(refused),
    };
    tracing::info!(spi_old = %spi_old, spi_in = %new.spi_in, by = "the peer", "child SA rekeyed");
    node.tell(&session.peer, What::Rekey { what: Renewed::Child, by: By::Peer });
    if let Some(Purpose::Child(asked)) = session.ike.ids.under_way_mut()
        && asked.replaces == Some(spi_old)
    {
        asked.rival = Some(Rival { spi_in: new.spi_in, lowest: new.lowest });
    }
    Ok(Made { payloads: new.payloads, next_ike_sa: None })
}

/// CHILD_SA_NOT_FOUND names what was not found (RFC 7296 section 2.25).
fn not_found(rekeyed: &Notify) -> Made {
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
