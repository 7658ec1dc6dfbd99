//! An IKE SA that we ask for in place of the one in use (RFC 7296 sections 1.3.2, 2.8, 2.18 and 2.25.2).
//!
//! ```text
//! we       --> HDR, SK {SA, Ni, KEi}
//! the peer <-- HDR, SK {SA, Nr, KEr}
//! we       --> HDR, SK {D()}                   on the old one
//! ```
//! Whoever asks is the new IKE SA's original initiator. If the peer has asked as well, the one made with the lowest of
//! the four nonces is too many, and whoever made it deletes it (section 2.8.2).

use super::established::{Established, Verdict};
use super::ike_sa::{IkeSa, IkeSpis};
use super::message_id::MessageIds;
use super::purpose::Purpose;
use super::shape::{self, Misshapen};
use crate::ike::keys::IkeKeys;
use crate::ike::propose::{choose_ike, offer_ike};
use crate::ike::service::{Node, Refused, Role};
use crate::ike::wire::{IkeSpi, KeyExchange, Notify, NotifyKind, Payload};
use crate::journal::{By, Renewed, What};
use crate::session::Cause;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use adit_dataplane::time::Instant;

/// Under way.
#[derive(Debug)]
pub(super) struct IkeAsked {
    /// Ours, of the new IKE SA.
    pub(super) spi: IkeSpi,
    nonce: Vec<u8>,
    pair: KeyPair,
    group: GroupTold,
}

/// Whether the peer has already told us which group it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupTold {
    Yes,
    No,
}

/// Asks with the group in use.
pub(super) fn ask(now: Instant, node: &mut Node, session: &mut Established) {
    let group = session.ike.suite().group;
    ask_with(now, node, session, group, GroupTold::No);
}

fn ask_with(now: Instant, node: &mut Node, session: &mut Established, group: KexGroup, told: GroupTold) {
    let spi = node.new_ike_spi(session.peer.id);
    let nonce = node.random_bytes(32);
    let pair = KeyPair::generate(group, &mut *node.random);
    let proposals = node.ike_proposals_of(session.peer.connection);
    let payloads = [
        Payload::Sa(offer_ike(proposals, &spi.0.to_be_bytes())),
        Payload::Nonce(nonce.clone()),
        Payload::Ke(KeyExchange { group: group.iana(), public: pair.public().to_vec() }),
    ];
    let asked = IkeAsked { spi, nonce, pair, group: told };
    session.ask(now, node, Purpose::RekeyIke(Box::new(asked)), &payloads);
}

/// The peer has answered.
pub(super) fn answered(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    asked: IkeAsked,
    payloads: &[Payload],
) -> Verdict {
    let spi = asked.spi;
    if let Some(told) = shape::notifies(payloads).find(|notify| notify.kind.is_error()) {
        node.forget_ike_spi(spi);
        refused(now, node, session, &asked, told);
        return Verdict::Stay;
    }
    let (new, ours) = match make(now, node, &session.ike, session.peer.connection, asked, payloads) {
        Ok(made) => made,
        // RFC 7296 section 2.21.3: an answer that cannot be used ends the IKE SA.
        Err(Unusable(cause, why)) => {
            tracing::warn!(cause = cause.name(), why, "the answer to our rekey of the IKE SA cannot be used");
            node.forget_ike_spi(spi);
            return Verdict::Close(cause);
        }
    };
    let rival = session.others.take_rival();
    let by = match &rival {
        Some((_, theirs)) if ours < *theirs => By::Peer,
        Some(_) | None => By::Us,
    };
    node.tell(&session.peer, What::Rekey { what: Renewed::Ike, by });
    match rival {
        None => {
            tracing::info!(suite = %new.suite(), by = "us", "IKE SA rekeyed");
            let old = std::mem::replace(&mut session.ike, new);
            session.part_with(now, node, old);
        }
        Some((rival, theirs)) if ours < theirs => {
            tracing::info!("both ends have rekeyed the IKE SA: ours is one too many");
            let old = std::mem::replace(&mut session.ike, rival);
            session.others.await_delete(now, node, old);
            session.part_with(now, node, new);
        }
        Some((rival, _)) => {
            tracing::info!("both ends have rekeyed the IKE SA: the peer's is one too many");
            let old = std::mem::replace(&mut session.ike, new);
            session.part_with(now, node, old);
            session.others.await_delete(now, node, rival);
        }
    }
    Verdict::Stay
}

fn refused(now: Instant, node: &mut Node, session: &mut Established, asked: &IkeAsked, told: &Notify) {
    tracing::debug!(told = ?told.kind, "the peer does not let the IKE SA be rekeyed");
    // The peer had finished its own rekey before it saw ours (RFC 7296 section 2.8.2).
    if let Some((rival, _)) = session.others.take_rival() {
        let old = std::mem::replace(&mut session.ike, rival);
        session.others.await_delete(now, node, old);
        node.tell(&session.peer, What::Rekey { what: Renewed::Ike, by: By::Peer });
        return;
    }
    let pause = match told.kind {
        NotifyKind::TemporaryFailure => Refused::ForNow,
        NotifyKind::InvalidKePayload if asked.group == GroupTold::No => {
            let wanted = <[u8; 2]>::try_from(told.data.as_slice()).ok().map(u16::from_be_bytes);
            let proposals = node.ike_proposals_of(session.peer.connection);
            let mut groups = proposals.iter().flat_map(|proposal| &proposal.groups).copied();
            if let Some(group) = groups.find(|group| Some(group.iana()) == wanted) {
                return ask_with(now, node, session, group, GroupTold::Yes);
            }
            Refused::Altogether
        }
        _other => Refused::Altogether,
    };
    session.ike.life.put_off(now, &mut *node.random, pause);
}

/// Why an answer cannot be used; for the log.
pub(super) struct Unusable(Cause, String);

impl From<Misshapen> for Unusable {
    fn from(misshapen: Misshapen) -> Self {
        Self(Cause::InvalidSyntax, misshapen.to_string())
    }
}

/// The new IKE SA, and the lower of its two nonces.
pub(super) fn make(
    now: Instant,
    node: &mut Node,
    old: &IkeSa,
    connection: usize,
    asked: IkeAsked,
    payloads: &[Payload],
) -> Result<(IkeSa, Vec<u8>), Unusable> {
    let IkeAsked { spi, nonce, pair, group: _ } = asked;
    let (answer, nonce_r, ke) = (shape::sa(payloads)?, shape::nonce(payloads)?, shape::ke(payloads)?);
    let proposals = node.ike_proposals_of(connection);
    let (chosen, suite) = match (answer, choose_ike(answer, proposals)) {
        ([_one], Ok(chosen)) => chosen,
        (_, Ok(_)) => return Err(Unusable(Cause::NoIkeProposal, "more than one proposal".to_owned())),
        (_, Err(none)) => return Err(Unusable(Cause::NoIkeProposal, none.to_string())),
    };
    let theirs = match <[u8; 8]>::try_from(chosen.spi.as_slice()).map(u64::from_be_bytes) {
        Ok(theirs) if theirs != 0 => IkeSpi(theirs),
        Ok(_) | Err(_) => return Err(Misshapen("the new IKE SA's SPI").into()),
    };
    if ke.group != suite.group.iana() || pair.group() != suite.group {
        return Err(Unusable(Cause::InvalidSyntax, "KE of another group".to_owned()));
    }
    let shared = pair.agree(&ke.public).map_err(|bad| Unusable(Cause::InvalidSyntax, bad.to_string()))?;
    let spis = IkeSpis { initiator: spi, responder: theirs };
    let keys = IkeKeys::rekey(&old.keys, suite, &shared, &nonce, nonce_r, spis.initiator, spis.responder);
    let new = IkeSa::new(now, node, Role::Initiator, spis, keys, MessageIds::new(0, 0))
        .map_err(|bad| Unusable(Cause::NoIkeProposal, bad.to_string()))?;
    Ok((new.fragmenting(old.fragmentation), nonce.as_slice().min(nonce_r).to_vec()))
}
