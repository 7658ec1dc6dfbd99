//! INFORMATIONAL requests (RFC 7296 sections 1.4 and 1.4.1): deletes are obeyed, an empty one proves that we live, a child SA
//! that the peer does not know is replaced, notifications that mean nothing to us are ignored.

use super::established::{Established, Service};
use crate::ike::service::Node;
use crate::ike::wire::{Delete, Notify, NotifyKind, Payload, Protocol};
use adit_dataplane::contract::Spi;
use adit_dataplane::time::Instant;

/// What was done.
pub(super) struct Done {
    pub(super) payloads: Vec<Payload>,
    pub(super) ike_sa: IkeSaFate,
}

/// Of the IKE SA that the request came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IkeSaFate {
    Stays,
    Deleted,
}

/// Whether it deletes the IKE SA that it comes on.
pub(super) fn is_goodbye(payloads: &[Payload]) -> bool {
    deletes(payloads).any(|delete| delete.protocol == Protocol::Ike)
}

fn deletes(payloads: &[Payload]) -> impl Iterator<Item = &Delete> {
    payloads.iter().filter_map(|payload| match payload {
        Payload::Delete(delete) => Some(delete),
        _ => None,
    })
}

/// Does what the peer asks for.
pub(super) fn obey(now: Instant, node: &mut Node, session: &mut Established, payloads: &[Payload]) -> Done {
    // RFC 7296 section 1.4.1: the answer to the IKE SA's delete is empty; its children go with it, unsaid.
    if is_goodbye(payloads) {
        return Done { payloads: Vec::new(), ike_sa: IkeSaFate::Deleted };
    }
    let unknown = payloads.iter().filter_map(|payload| match payload {
        Payload::Notify(Notify { kind: NotifyKind::InvalidSpi, data, .. }) => <[u8; 4]>::try_from(&data[..]).ok(),
        _ => None,
    });
    unknown.for_each(|spi_out| replace_child(now, session, u32::from_be_bytes(spi_out)));
    let mut ours = Vec::new();
    for spi_out in deletes(payloads).filter(|delete| delete.protocol == Protocol::Esp).flat_map(|delete| &delete.spis) {
        ours.extend(delete_child(now, node, session, *spi_out).map(Spi::get));
    }
    // RFC 7296 section 1.4.1: the answer names the other halves of the pairs. What we did not have is left out.
    let payloads = match ours.is_empty() {
        true => Vec::new(),
        false => vec![Payload::Delete(Delete { protocol: Protocol::Esp, spis: ours })],
    };
    Done { payloads, ike_sa: IkeSaFate::Stays }
}

/// RFC 7296 section 1.5: the peer does not have what we send on. Both ends have the same after a rekey, or neither.
fn replace_child(now: Instant, session: &mut Established, spi_out: u32) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    let Some(index) = tunnel.child_to(spi_out).filter(|index| !tunnel.is_being_replaced(*index)) else { return };
    if let Some(child) = tunnel.children.get_mut(index) {
        tracing::info!(
            spi_out = format_args!("{spi_out:#010x}"),
            "the peer does not have this child SA: it is replaced"
        );
        child.life.rekey = Some(now);
    }
}

fn delete_child(now: Instant, node: &mut Node, session: &mut Established, spi_out: u32) -> Option<Spi> {
    let Service::Tunnel(tunnel) = &mut session.service else { return None };
    let spi_in = tunnel.delete(now, node, spi_out)?;
    tracing::debug!(spi_in = %spi_in, spi_out = format_args!("{spi_out:#010x}"), "child SA deleted by the peer");
    Some(spi_in)
}
