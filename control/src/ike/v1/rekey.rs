//! Quick modes of our own: an ESP SA in the place of one that grows old (RFC 2409 section 5.5).
//!
//! ```text
//! we   --> HDR*, HASH(1), SA, Ni, [KE,] IDci, IDcr
//! peer <-- HDR*, HASH(2), SA, Nr, [KE,] IDci, IDcr
//! we   --> HDR*, HASH(3)
//! ```
//! vpnc wants exactly what is running: one proposal with one transform, the same PFS, a nonce of 20 octets. It has one SA
//! at a time and forgets the old one with its answer, so we send on the new SA right behind the third message: what is
//! under way at that moment is all that is lost.
//!
//! IKEv1 has no rule for two ends that start at once. Who started phase 1 goes first: its quick mode is answered and
//! ours is given up, or, if that was us, the peer's is refused.

use super::asked::Asked;
use super::established::{Established, Service};
use super::isakmp_sa::Hashed;
use super::keys::QuickInput;
use super::quick_mode::{Agreed, keys};
use super::repeated::Repeated;
use super::wire::{Chain, Exchange, Payload, Proposal, Protocol};
use crate::ike::service::{Child, ChildParts, Node, Refused, Role};
use adit_crypto::kex::KeyPair;
use adit_dataplane::contract::{Selectors, Spi};
use adit_dataplane::time::Instant;

/// What vpnc copies of a nonce, whatever its length.
const NONCE: usize = 20;

/// Our quick mode under way.
pub(super) struct QuickAsked {
    pub(super) message_id: u32,
    pub(super) nonce: Vec<u8>,
    pair: Option<KeyPair>,
    pub(super) spi_in: Spi,
    replaces: Spi,
    agreed: Agreed,
    pub(super) repeated: Repeated,
}

/// When [`ask_if_time`] has something to do.
pub(super) fn due(session: &Established) -> Option<Instant> {
    let Service::Tunnel(tunnel) = &session.service else { return None };
    if session.asked.is_some() {
        return None;
    }
    tunnel.rekeys().map(|(at, _)| at).min()
}

/// Starts the next, if it is time.
pub(super) fn ask_if_time(now: Instant, node: &mut Node, session: &mut Established) {
    if session.asked.is_some() {
        return;
    }
    let Service::Tunnel(tunnel) = &session.service else { return };
    let Some((_, index)) = tunnel.rekeys().filter(|(at, _)| *at <= now).min() else { return };
    let Some(replaces) = tunnel.children.get(index).map(|child| child.spi_in) else { return };
    let agreed = session.agreed.get(&replaces).cloned();
    let Some((agreed, transform)) = agreed.and_then(|agreed| agreed.offer.transform(1).map(|one| (agreed, one))) else {
        return put_off(now, node, session);
    };
    let Some(spi_in) = node.installer.take_spi(tunnel.key.worker, session.peer.id) else {
        return put_off(now, node, session);
    };
    let nonce = node.random_bytes(NONCE);
    let pair = agreed.offer.group.map(|group| KeyPair::generate(group, &mut *node.random));
    let spi = spi_in.get().to_be_bytes().to_vec();
    let proposal = Proposal { number: 1, protocol: Protocol::Esp, spi, transforms: vec![transform] };
    let mut payloads = vec![Payload::Sa(vec![proposal]), Payload::Nonce(nonce.clone())];
    payloads.extend(pair.as_ref().map(|pair| Payload::Ke(pair.public().to_vec())));
    // The initiator's side comes first, and here that is ours.
    payloads.push(Payload::Id(agreed.ours.clone()));
    payloads.push(Payload::Id(agreed.theirs.clone()));
    let message_id = session.sa.new_message_id(node);
    let bytes = session.sa.say(node, Exchange::QuickMode, message_id, Hashed::One, &payloads);
    let repeated = Repeated::new(now, &node.patience(), bytes.clone());
    session.asked =
        Some(Asked::Quick(Box::new(QuickAsked { message_id, nonce, pair, spi_in, replaces, agreed, repeated })));
    session.send(now, node, bytes);
}

/// The peer has answered, and its hash is right.
pub(super) fn answered(now: Instant, node: &mut Node, session: &mut Established, chain: &Chain<'_>) {
    let quick = match session.asked.take() {
        Some(Asked::Quick(quick)) => *quick,
        other @ (Some(Asked::Push { .. }) | None) => {
            session.asked = other;
            return;
        }
    };
    let (spi_in, message_id) = (quick.spi_in, quick.message_id);
    let Some((nonce_i, nonce_r)) = install(now, node, session, quick, chain) else {
        tracing::warn!(spi_in = %spi_in, "the peer's answer to our quick mode is not what was offered");
        node.installer.give_back_spi(spi_in);
        return put_off(now, node, session);
    };
    let bytes = session.sa.say_hash_3(node, message_id, &nonce_i, &nonce_r);
    session.send(now, node, bytes);
    if let Service::Tunnel(tunnel) = &mut session.service
        && let Some(index) = tunnel.child_from(spi_in)
    {
        tunnel.switch_to(now, node, index);
    }
    tracing::info!(spi_in = %spi_in, by = "us", "child SA rekeyed");
}

fn install(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    quick: QuickAsked,
    chain: &Chain<'_>,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let QuickAsked { nonce, pair, spi_in, replaces, agreed, .. } = quick;
    let ([proposal], _) = chain.sa()? else { return None };
    let [transform] = &proposal.transforms[..] else { return None };
    let offer = transform.esp().ok()?;
    let spi_out = u32::from_be_bytes(proposal.spi.as_slice().try_into().ok()?);
    let mut same = agreed.offer;
    same.life = offer.life;
    if same != offer {
        return None;
    }
    let nonce_r = chain.nonce()?;
    let shared = match pair {
        Some(pair) => Some(pair.agree(chain.ke()?).ok()?),
        None => None,
    };
    let input = QuickInput { shared: shared.as_ref(), nonce_i: &nonce, nonce_r };
    let keys = keys(session.sa.keys(), &offer, Role::Initiator, spi_in, spi_out, &input);
    let Service::Tunnel(tunnel) = &mut session.service else { return None };
    let old = tunnel.children.get(tunnel.child_from(replaces)?)?;
    let (lane, selectors) = (old.lane, Selectors::clone(&old.selectors));
    tunnel.make_room(node, lane).ok()?;
    let parts = ChildParts {
        tunnel: tunnel.key,
        lane,
        spi_in,
        spi_out,
        suite: offer.suite,
        numbers: offer.numbers,
        selectors,
        role: Role::Initiator,
    };
    let child = Child::install(now, node, parts, &keys).ok()?;
    tunnel.children.push(child);
    session.agreed.insert(spi_in, agreed);
    Some((nonce, nonce_r.to_vec()))
}

/// The old one is tried again later.
pub(super) fn put_off(now: Instant, node: &mut Node, session: &mut Established) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    for child in tunnel.children.iter_mut().filter(|child| child.is_active() && child.life.is_old(now)) {
        child.life.put_off(now, &mut *node.random, Refused::ForNow);
    }
}

/// Ours goes first, and is under way.
pub(super) struct OursGoesFirst;

/// The peer starts a quick mode for what we may be replacing ourselves.
pub(super) fn yield_to_peer(
    node: &mut Node,
    session: &mut Established,
    selectors: &Selectors,
) -> Result<(), OursGoesFirst> {
    let (Some(Asked::Quick(quick)), Service::Tunnel(tunnel)) = (&session.asked, &session.service) else {
        return Ok(());
    };
    let replaced = tunnel.child_from(quick.replaces).and_then(|index| tunnel.children.get(index));
    if replaced.is_none_or(|child| *child.selectors != *selectors) {
        return Ok(());
    }
    match session.sa.role() {
        Role::Initiator => Err(OursGoesFirst),
        Role::Responder => {
            if let Some(asked) = session.asked.take() {
                asked.let_go(node);
            }
            Ok(())
        }
    }
}
