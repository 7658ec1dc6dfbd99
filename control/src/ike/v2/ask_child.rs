//! A child SA that we ask for, in place of another or beside it (RFC 7296 sections 1.3.1, 1.3.3, 2.8 and 2.25).
//!
//! ```text
//! we       --> HDR, SK {[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr}
//! the peer <-- HDR, SK {SA, Nr, [KEr,] TSi, TSr}
//! we       --> HDR, SK {D(the old one)}
//! ```
//! Who answers receives on it already, so we send on it at once. If the peer has rekeyed the same child SA meanwhile,
//! the one made with the lowest of the four nonces is too many, and whoever made it deletes it (section 2.8.1).

use super::established::{Established, Service, Verdict};
use super::purpose::Purpose;
use super::shape::{self, Misshapen};
use crate::ike::narrow::narrow;
use crate::ike::propose::{ChildExchange, EspChoice, choose_esp, offer_esp};
use crate::ike::service::{Child, ChildParts, Node, Refused, Role, Wanted, pause};
use crate::ike::wire::{KeyExchange, Notify, NotifyKind, Payload, Protocol};
use crate::journal::{By, Renewed, What};
use crate::session::Cause;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use adit_dataplane::contract::{Lane, Selectors, Spi};
use adit_dataplane::time::Instant;

/// Under way.
#[derive(Debug)]
pub(super) struct ChildAsked {
    pub(super) lane: Lane,
    /// Our SPI of the one that is rekeyed.
    pub(super) replaces: Option<Spi>,
    pub(super) spi_in: Spi,
    nonce: Vec<u8>,
    pair: Option<KeyPair>,
    offered: Selectors,
    /// What the peer has made in place of the same child SA since.
    pub(super) rival: Option<Rival>,
    group: GroupTold,
}

/// The peer's rekey of the same child SA.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) spi_in: Spi,
    /// The lower nonce of its exchange.
    pub(super) lowest: Vec<u8>,
}

/// Whether the peer has already told us which group it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupTold {
    Yes,
    No,
}

/// What to ask for.
struct Wish {
    lane: Lane,
    replaces: Option<Spi>,
    selectors: Selectors,
    group: Option<KexGroup>,
    told: GroupTold,
}

/// Asks for what is due, if anything is: a rekey, or one more.
pub(super) fn ask_if_due(now: Instant, node: &mut Node, session: &mut Established) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    let due = tunnel.rekeys().filter(|(at, _)| *at <= now).min().and_then(|(_, index)| tunnel.children.get(index));
    let (lane, replaces, selectors) = match due {
        Some(old) => (old.lane, Some(old.spi_in), Selectors::clone(&old.selectors)),
        None => {
            let Some(at) = tunnel.wanted.iter().position(|wanted| wanted.at <= now) else { return };
            let Wanted { lane, selectors, at: _ } = tunnel.wanted.remove(at);
            (lane, None, selectors)
        }
    };
    let proposals = node.connection(session.peer.connection).into_iter().flat_map(|c| &c.esp_proposals);
    let group = proposals.flat_map(|proposal| &proposal.groups).next().copied();
    ask(now, node, session, Wish { lane, replaces, selectors, group, told: GroupTold::No });
}

fn ask(now: Instant, node: &mut Node, session: &mut Established, wish: Wish) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    let Wish { lane, replaces, selectors, group, told } = wish;
    let room = tunnel.make_room(node, lane).ok();
    let Some(spi_in) = room.and_then(|()| node.installer.take_spi(tunnel.key.worker, session.peer.id)) else {
        return put_off(now, node, session, replaces, Refused::ForNow);
    };
    let proposals = node.connection(session.peer.connection).map(|connection| &connection.esp_proposals[..]);
    let offer = offer_esp(proposals.unwrap_or_default(), spi_in.get(), ChildExchange::CreateChildSa);
    let pair = group.map(|group| KeyPair::generate(group, &mut *node.random));
    let nonce = node.random_bytes(32);
    let mut payloads = Vec::new();
    // RFC 7296 section 1.3.3: the SPI that we receive on.
    payloads.extend(replaces.map(|old| {
        let about = Some((Protocol::Esp, old.get().to_be_bytes().to_vec()));
        Payload::Notify(Notify { about, kind: NotifyKind::RekeySa, data: Vec::new() })
    }));
    payloads.extend([Payload::Sa(offer), Payload::Nonce(nonce.clone())]);
    payloads.extend(
        pair.as_ref()
            .map(|pair| Payload::Ke(KeyExchange { group: pair.group().iana(), public: pair.public().to_vec() })),
    );
    payloads.push(Payload::TsInitiator(selectors.local.clone()));
    payloads.push(Payload::TsResponder(selectors.remote.clone()));
    let asked = ChildAsked { lane, replaces, spi_in, nonce, pair, offered: selectors, rival: None, group: told };
    session.ask(now, node, Purpose::Child(Box::new(asked)), &payloads);
}

/// The peer has answered.
pub(super) fn answered(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    asked: ChildAsked,
    payloads: &[Payload],
) -> Verdict {
    let told = shape::notifies(payloads).find(|notify| notify.kind.is_error());
    if let Some(told) = told {
        node.installer.give_back_spi(asked.spi_in);
        refused(now, node, session, asked, told);
        return Verdict::Stay;
    }
    let spi_in = asked.spi_in;
    match take(now, node, session, asked, payloads) {
        Ok(()) => Verdict::Stay,
        // The peer has a child SA that we cannot have. RFC 7296 section 2.21.3: such an IKE SA ends.
        Err(Unusable(cause, why)) => {
            tracing::warn!(cause = cause.name(), why, "the answer to our request for a child SA cannot be used");
            node.installer.give_back_spi(spi_in);
            Verdict::Close(cause)
        }
    }
}

/// RFC 7296 sections 1.3, 2.25 and 3.10.1.
fn refused(now: Instant, node: &mut Node, session: &mut Established, asked: ChildAsked, told: &Notify) {
    let ChildAsked { lane, replaces, offered, rival, group, .. } = asked;
    tracing::debug!(lane = ?lane, told = ?told.kind, "the peer makes no child SA");
    match told.kind {
        NotifyKind::InvalidKePayload if group == GroupTold::No => {
            let wanted = <[u8; 2]>::try_from(told.data.as_slice()).ok().map(u16::from_be_bytes);
            let proposals = node.connection(session.peer.connection).into_iter().flat_map(|c| &c.esp_proposals);
            let mut groups = proposals.flat_map(|proposal| &proposal.groups).copied();
            match groups.find(|group| Some(group.iana()) == wanted) {
                Some(group) => {
                    let wish = Wish { lane, replaces, selectors: offered, group: Some(group), told: GroupTold::Yes };
                    ask(now, node, session, wish);
                }
                None => put_off(now, node, session, replaces, Refused::Altogether),
            }
        }
        // The peer has rekeyed and deleted it before it saw our request (RFC 7296 section 2.8.1).
        NotifyKind::ChildSaNotFound if rival.is_some() => {}
        NotifyKind::ChildSaNotFound => {
            // RFC 7296 section 2.25: what the peer does not have is dropped, and made anew.
            let Service::Tunnel(tunnel) = &mut session.service else { return };
            let Some(index) = replaces.and_then(|old| tunnel.child_from(old)) else { return };
            tunnel.end(now, node, index);
            if !tunnel.children.iter().any(|child| child.lane == lane && (child.is_active() || child.is_fresh())) {
                tunnel.wanted.push(Wanted { lane, selectors: offered, at: now });
            }
        }
        NotifyKind::TemporaryFailure if replaces.is_none() => {
            let at = now + pause(&mut *node.random, Refused::ForNow);
            if let Service::Tunnel(tunnel) = &mut session.service {
                tunnel.wanted.push(Wanted { lane, selectors: offered, at });
            }
        }
        NotifyKind::TemporaryFailure => put_off(now, node, session, replaces, Refused::ForNow),
        other => {
            tracing::warn!(told = ?other, "the peer refuses a child SA");
            put_off(now, node, session, replaces, Refused::Altogether);
        }
    }
}

/// What is not rekeyed now is rekeyed later. One more child SA is not asked for again.
fn put_off(now: Instant, node: &mut Node, session: &mut Established, replaces: Option<Spi>, refused: Refused) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    let Some(index) = replaces.and_then(|old| tunnel.child_from(old)) else { return };
    if let Some(child) = tunnel.children.get_mut(index) {
        child.life.put_off(now, &mut *node.random, refused);
    }
}

/// Why an answer cannot be used; for the log.
struct Unusable(Cause, String);

impl From<Misshapen> for Unusable {
    fn from(misshapen: Misshapen) -> Self {
        Self(Cause::InvalidSyntax, misshapen.to_string())
    }
}

fn take(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    asked: ChildAsked,
    payloads: &[Payload],
) -> Result<(), Unusable> {
    let ChildAsked { lane, replaces, spi_in, nonce, pair, offered, rival, group: _ } = asked;
    let (answer, nonce_r, ke) = (shape::sa(payloads)?, shape::nonce(payloads)?, shape::maybe_ke(payloads)?);
    let proposals = node.connection(session.peer.connection).map(|connection| &connection.esp_proposals[..]);
    let choice = match (answer, choose_esp(answer, proposals.unwrap_or_default(), ChildExchange::CreateChildSa)) {
        ([_one], Ok(choice)) => choice,
        (_, Ok(_)) => return Err(Unusable(Cause::NoChildProposal, "more than one proposal".to_owned())),
        (_, Err(none)) => return Err(Unusable(Cause::NoChildProposal, none.to_string())),
    };
    let EspChoice { answer: _, peer_spi, cipher, numbers, group } = choice;
    let shared = match (group, pair, ke) {
        (None, _, _) => None,
        (Some(group), Some(pair), Some(ke)) if pair.group() == group && ke.group == group.iana() => {
            let shared = pair.agree(&ke.public);
            Some(shared.map_err(|bad| Unusable(Cause::InvalidSyntax, bad.to_string()))?)
        }
        (Some(_), _, _) => return Err(Unusable(Cause::InvalidSyntax, "KE of another group, or none".to_owned())),
    };
    // What the peer narrowed is inside what we offered (RFC 7296 section 2.9), or is made so.
    let selectors = Selectors {
        local: narrow(shape::ts_initiator(payloads)?, &offered.local),
        remote: narrow(shape::ts_responder(payloads)?, &offered.remote),
    };
    if selectors.local.is_empty() || selectors.remote.is_empty() {
        return Err(Unusable(Cause::TsUnacceptable, "nothing of what we offered".to_owned()));
    }
    let Service::Tunnel(tunnel) = &mut session.service else {
        return Err(Unusable(Cause::Childless, "there is no tunnel any more".to_owned()));
    };
    let keys = session.ike.keys.child_keymat(cipher, shared.as_ref(), &nonce, nonce_r);
    let parts = ChildParts {
        tunnel: tunnel.key,
        lane,
        spi_in,
        spi_out: peer_spi,
        suite: cipher,
        numbers,
        selectors,
        role: Role::Initiator,
    };
    let child =
        Child::install(now, node, parts, &keys).map_err(|bad| Unusable(Cause::NoChildProposal, bad.to_string()))?;
    tunnel.children.push(child);
    let (new, old) = (tunnel.children.len() - 1, replaces.and_then(|old| tunnel.child_from(old)));
    let lowest = nonce.as_slice().min(nonce_r);
    let rival = rival.and_then(|rival| Some((tunnel.child_from(rival.spi_in)?, rival.lowest)));
    match rival {
        Some((_, theirs)) if *lowest < theirs[..] => {
            tracing::info!(spi_in = %spi_in, "both ends have rekeyed the child SA: ours is one too many");
            tunnel.lose(now, node, new);
        }
        Some((rival, _)) => {
            tracing::info!(spi_in = %spi_in, "both ends have rekeyed the child SA: the peer's is one too many");
            tunnel.lose(now, node, rival);
            tunnel.switch_to(now, node, new);
            if let Some(old) = old {
                tunnel.doom(now, node, old);
            }
        }
        None => {
            let done = if replaces.is_some() { "child SA rekeyed" } else { "child SA added" };
            tracing::info!(spi_old = replaces.map(tracing::field::display), spi_in = %spi_in, by = "us", "{done}");
            if replaces.is_some() {
                node.tell(&session.peer, What::Rekey { what: Renewed::Child, by: By::Us });
            }
            tunnel.switch_to(now, node, new);
            if let Some(old) = old {
                tunnel.doom(now, node, old);
            }
        }
    }
    Ok(())
}
