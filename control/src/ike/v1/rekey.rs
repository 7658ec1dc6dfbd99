//! Quick modes of our own: an ESP SA in the place of one that grows old (RFC 2409 section 5.5).
//!
//! ```text
//! we   --> HDR*, HASH(1), SA, Ni, [KE,] IDci, IDcr
//! peer <-- HDR*, HASH(2), SA, Nr, [KE,] IDci, IDcr
//! we   --> HDR*, HASH(3)
//! ```
//! vpnc wants exactly what is running: one proposal with one transform, the same PFS, a nonce of 20 octets. It has one SA
//! at a time and forgets the old one with its answer, so for it we send on the new SA right behind the third message: what
//! is under way at that moment is all that is lost. Others have the new SA when the third message has come, and it may be
//! lost: for them we send on the old one until their first packet on the new one says so, or for a while.
//!
//! IKEv1 has no rule for two ends that start at once. Who started phase 1 goes first: its quick mode is answered and
//! ours is given up, or, if that was us, the peer's is refused. What we gave up may have been answered meanwhile. Then it
//! is finished all the same, or strongSwan would repeat its answer until it gives the whole ISAKMP SA up; nothing is sent
//! on it, and soon we delete it.

use super::asked::Asked;
use super::established::{Established, Service};
use super::first_quick;
use super::isakmp_sa::Hashed;
use super::keys::QuickInput;
use super::life_time::Quiet;
use super::offer;
use super::quick_mode::{Agreed, keys};
use super::repeated::Repeated;
use super::wire::{Chain, EspOffer, Exchange, Identification, Payload, Vendor};
use crate::ike::service::{Child, ChildParts, ChildStage, Node, Refused, Role, Tunnel, pause};
use crate::journal::{By, Renewed, What};
use adit_crypto::kex::KeyPair;
use adit_dataplane::contract::{Lane, Selectors, Spi};
use adit_dataplane::time::Instant;
use std::time::Duration;

/// What vpnc copies of a nonce, whatever its length.
const NONCE: usize = 20;

/// What a quick mode of ours is to make.
pub(super) struct Plan {
    pub(super) lane: Lane,
    pub(super) selectors: Selectors,
    /// By our SPI; `None`: there is nothing yet.
    pub(super) replaces: Option<Spi>,
    /// Best first.
    pub(super) offers: Vec<EspOffer>,
    pub(super) ours: Identification,
    pub(super) theirs: Identification,
}

/// Our quick mode under way.
pub(super) struct QuickAsked {
    pub(super) message_id: u32,
    pub(super) nonce: Vec<u8>,
    pair: Option<KeyPair>,
    pub(super) spi_in: Spi,
    plan: Plan,
    pub(super) repeated: Repeated,
}

/// How long a peer that has the new SA may send nothing on it, until we do. Adit's own choice: who has not heard the third
/// message repeats the second before (strongSwan: after 4 seconds) and hears it then.
const UNHEARD: Duration = Duration::from_secs(5);
/// How long an answer to what we gave up may take, with all the peer's repetitions. Adit's own choice.
const YIELDED: Duration = Duration::from_secs(60);
/// How long an SA that nobody needs is received on, for a peer that has just made it.
const NEEDLESS: Duration = Duration::from_secs(2);

/// How long the old SA stays after we have sent on it last: what is under way may be overtaken by its delete, and strongSwan
/// takes nothing after that.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// A new SA of ours that the peer has not been heard on.
pub(super) struct Unheard {
    spi_in: Spi,
    pub(super) until: Instant,
}

/// A quick mode of ours that made place for the peer's.
pub(super) struct Yielded {
    pub(super) quick: Box<QuickAsked>,
    pub(super) until: Instant,
}

/// When [`ask_if_time`] has something to do.
pub(super) fn due(session: &Established) -> Option<Instant> {
    let Service::Tunnel(tunnel) = &session.service else { return None };
    if session.asked.is_some() {
        return None;
    }
    tunnel.rekeys().map(|(at, _)| at).chain(first_quick::due(session)).min()
}

/// Starts the next, if it is time.
pub(super) fn ask_if_time(now: Instant, node: &mut Node, session: &mut Established) {
    if session.asked.is_some() {
        return;
    }
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    keep_quiet(now, node, session.sa.quiet, tunnel);
    let Service::Tunnel(tunnel) = &session.service else { return };
    let plan = if first_quick::due(session).is_some_and(|at| at <= now) {
        first_quick::plan(node, session)
    } else {
        let Some((_, index)) = tunnel.rekeys().filter(|(at, _)| *at <= now).min() else { return };
        replacement(session, index)
    };
    if plan.and_then(|plan| ask(now, node, session, plan)).is_none() {
        put_off(now, node, session);
    }
}

/// Just what is running.
fn replacement(session: &Established, index: usize) -> Option<Plan> {
    let Service::Tunnel(tunnel) = &session.service else { return None };
    let old = tunnel.children.get(index)?;
    let Agreed { offer, theirs, ours } = session.agreed.get(&old.spi_in)?.clone();
    let (lane, selectors) = (old.lane, Selectors::clone(&old.selectors));
    Some(Plan { lane, selectors, replaces: Some(old.spi_in), offers: vec![offer], ours, theirs })
}

/// The first message. `None`: there is nothing to offer, or no room.
fn ask(now: Instant, node: &mut Node, session: &mut Established, plan: Plan) -> Option<()> {
    let Service::Tunnel(tunnel) = &session.service else { return None };
    let group = plan.offers.first()?.group;
    let spi_in = node.installer.take_spi(tunnel.key.worker, session.peer.id)?;
    let nonce = node.random_bytes(NONCE);
    let pair = group.map(|group| KeyPair::generate(group, &mut *node.random));
    let proposal = offer::esp_proposal(&plan.offers, spi_in.get());
    let mut payloads = vec![Payload::Sa(vec![proposal]), Payload::Nonce(nonce.clone())];
    payloads.extend(pair.as_ref().map(|pair| Payload::Ke(pair.public().to_vec())));
    // The initiator's side comes first, and here that is ours.
    payloads.push(Payload::Id(plan.ours.clone()));
    payloads.push(Payload::Id(plan.theirs.clone()));
    let message_id = session.sa.new_message_id(node);
    let bytes = session.sa.say(node, Exchange::QuickMode, message_id, Hashed::One, &payloads);
    let repeated = Repeated::new(now, &node.patience(), bytes.clone());
    session.asked = Some(Asked::Quick(Box::new(QuickAsked { message_id, nonce, pair, spi_in, plan, repeated })));
    session.send(now, node, bytes);
    Some(())
}

/// What has grown old waits while the peer had better be left alone, if it can: until half of what its replacing may take is
/// over.
fn keep_quiet(now: Instant, node: &Node, quiet: Option<Quiet>, tunnel: &mut Tunnel) {
    let esp = &node.config.esp;
    let Some(time) = esp.rekey.time else { return };
    let half_way = time.mul_f64(f64::midpoint(1.0, esp.hard_factor));
    for child in tunnel.children.iter_mut().filter(|child| child.is_active() && child.life.is_old(now)) {
        let latest = (child.since + half_way).min(Quiet::behind(quiet, now));
        if latest > now {
            child.life.rekey = Some(latest);
        }
    }
}

/// The peer has answered, and its hash is right.
pub(super) fn answered(now: Instant, node: &mut Node, session: &mut Established, message_id: u32, chain: &Chain<'_>) {
    let asked = session.asked.take_if(|asked| asked.quick_nonce(message_id).is_some());
    let yielded = session.yielded.take_if(|yielded| yielded.quick.message_id == message_id);
    let (quick, needed) = match (asked, yielded) {
        (Some(Asked::Quick(quick)), _) => (*quick, Needed::Yes),
        (Some(Asked::Push { .. } | Asked::LifeTime(_) | Asked::Pull(_)) | None, Some(yielded)) => {
            (*yielded.quick, Needed::No)
        }
        (Some(Asked::Push { .. } | Asked::LifeTime(_) | Asked::Pull(_)) | None, None) => return,
    };
    let (spi_in, replaces) = (quick.spi_in, quick.plan.replaces);
    let Some((nonce_i, nonce_r)) = install(now, node, session, quick, chain) else {
        tracing::warn!(spi_in = %spi_in, "the peer's answer to our quick mode is not what was offered");
        node.installer.give_back_spi(spi_in);
        return put_off(now, node, session);
    };
    let bytes = session.sa.say_hash_3(node, message_id, &nonce_i, &nonce_r);
    session.send(now, node, bytes);
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    let Some(index) = tunnel.child_from(spi_in) else { return };
    let suite = tunnel.children.get(index).map(|child| tracing::field::display(child.suite));
    match replaces {
        None => tracing::info!(spi_in = %spi_in, esp = suite, "child SA in use"),
        Some(_) => {
            tracing::info!(spi_in = %spi_in, esp = suite, by = "us", "child SA rekeyed");
            node.tell(&session.peer, What::Rekey { what: Renewed::Child, by: By::Us });
        }
    }
    let old = replaces.and_then(|replaced| tunnel.child_from(replaced));
    match (needed, old) {
        (Needed::No, _) => {
            tracing::info!(spi_in = %spi_in, "both ends have rekeyed the child SA: ours is one too many");
            if let Some(child) = tunnel.children.get_mut(index) {
                child.give_way(node, tunnel.key, ChildStage::Superseded { until: now + NEEDLESS });
            }
        }
        (Needed::Yes, Some(old)) if !session.sa.client.is(Vendor::CiscoClientMark) => {
            session.unheard.push(Unheard { spi_in, until: now + UNHEARD });
            if let Some(old) = tunnel.children.get_mut(old) {
                old.life.put_off(now, &mut *node.random, Refused::Altogether);
            }
        }
        (Needed::Yes, Some(_) | None) => tunnel.switch_to(now, node, index),
    }
}

/// Whether an SA that we have made is to be used.
enum Needed {
    Yes,
    No,
}

/// What the peer should have said by now.
pub(super) fn expire(now: Instant, node: &mut Node, session: &mut Established) {
    if let Some(Yielded { quick, .. }) = session.yielded.take_if(|yielded| yielded.until <= now) {
        node.installer.give_back_spi(quick.spi_in);
    }
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    session.unheard.retain(|Unheard { spi_in, until }| {
        let Some(index) = tunnel.child_from(*spi_in) else { return false };
        if *until <= now {
            switch_to(now, node, tunnel, index);
        }
        tunnel.children.get(index).is_some_and(Child::is_fresh)
    });
}

fn install(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    quick: QuickAsked,
    chain: &Chain<'_>,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let QuickAsked { nonce, pair, spi_in, plan, .. } = quick;
    // What it was to replace may have been deleted meanwhile; the peer has this one all the same.
    let Plan { lane, selectors, replaces: _, offers, ours, theirs } = plan;
    let (answer, _) = chain.sa()?;
    let (offer, spi_out) = offer::chosen_for_esp(&offers, answer)?;
    let nonce_r = chain.nonce()?;
    let shared = match pair {
        Some(pair) => Some(pair.agree(chain.ke()?).ok()?),
        None => None,
    };
    let input = QuickInput { shared: shared.as_ref(), nonce_i: &nonce, nonce_r };
    let keys = keys(session.sa.keys(), &offer, Role::Initiator, spi_in, spi_out, &input);
    let Service::Tunnel(tunnel) = &mut session.service else { return None };
    tunnel.make_room(node, lane).ok()?;
    let parts = ChildParts {
        tunnel: tunnel.key,
        lane,
        spi_in,
        spi_out,
        suite: offer.suite,
        numbers: offer.numbers,
        selectors: Selectors::clone(&selectors),
        role: Role::Initiator,
    };
    let child = Child::install(now, node, parts, &keys).ok()?;
    tunnel.children.push(child);
    session.agreed.insert(spi_in, Agreed { offer, theirs, ours });
    Some((nonce, nonce_r.to_vec()))
}

/// The peer has used an SA for the first time: it has it, and is sent to on it.
pub(super) fn first_use(now: Instant, node: &mut Node, session: &mut Established, spi: Spi) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    if let Some(index) = tunnel.child_from(spi) {
        switch_to(now, node, tunnel, index);
    }
}

/// Sends on it; the old one, if it is for us to delete that, is deleted a little later.
fn switch_to(now: Instant, node: &mut Node, tunnel: &mut Tunnel, index: usize) {
    let old: Vec<Spi> = tunnel.children.iter().filter(|child| child.is_active()).map(|child| child.spi_in).collect();
    tunnel.switch_to(now, node, index);
    for child in tunnel.children.iter_mut().filter(|child| old.contains(&child.spi_in)) {
        if matches!(child.stage, ChildStage::Doomed) {
            child.stage = ChildStage::Superseded { until: now + UNDER_WAY };
        }
    }
}

/// What is old, or missing, is tried again later.
pub(super) fn put_off(now: Instant, node: &mut Node, session: &mut Established) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    for child in tunnel.children.iter_mut().filter(|child| child.is_active() && child.life.is_old(now)) {
        child.life.put_off(now, &mut *node.random, Refused::ForNow);
    }
    if let Some(called) = &mut session.called {
        called.quick_after = now + pause(&mut *node.random, Refused::ForNow);
    }
}

/// Ours goes first, and is under way.
pub(super) struct OursGoesFirst;

/// The peer starts a quick mode for what we are making ourselves.
pub(super) fn yield_to_peer(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    selectors: &Selectors,
) -> Result<(), OursGoesFirst> {
    let Some(Asked::Quick(quick)) = &session.asked else { return Ok(()) };
    if quick.plan.selectors != *selectors {
        return Ok(());
    }
    match session.sa.role() {
        Role::Initiator => Err(OursGoesFirst),
        Role::Responder => {
            if let Some(Asked::Quick(quick)) = session.asked.take() {
                tracing::info!(spi_in = %quick.spi_in, "both ends rekey a child SA at once: the peer's goes first");
                let before = session.yielded.replace(Yielded { quick, until: now + YIELDED });
                if let Some(Yielded { quick, .. }) = before {
                    node.installer.give_back_spi(quick.spi_in);
                }
            }
            Ok(())
        }
    }
}
