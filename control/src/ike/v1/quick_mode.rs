//! Quick mode (RFC 2409 section 5.5), the responder's side.
//!
//! ```text
//! initiator --> HDR*, HASH(1), SA, Ni, [KE,] IDci, IDcr
//! responder <-- HDR*, HASH(2), SA, Nr, [KE,] IDci, IDcr, [N(RESPONDER-LIFETIME)]
//! initiator --> HDR*, HASH(3)
//! ```
//! We receive on the new SA before the second message leaves, and send on it after the third has come, or the peer's
//! first packet: that proves that the exchange is no replay.

use super::established::{Established, Service};
use super::grant::encapsulation;
use super::isakmp_sa::{Cookies, Hashed};
use super::keys::{IkeKeys, QuickInput};
use super::phase_1::login_of;
use super::quick_choice::{Allowed, QuickChoice, choose, shown};
use super::repeated::Repeated;
use super::wire::{Chain, EspOffer, Exchange, Identification, Notify, NotifyKind, Payload, Protocol};
use super::{life_time, rekey};
use crate::ike::keys::ChildKeys;
use crate::ike::narrow::narrow;
use crate::ike::service::{Child, ChildParts, Node, Retry, Role, Tunnel};
use crate::journal::{By, Renewed, What};
use crate::session::Cause;
use adit_crypto::kex;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::{Lane, Selectors, Spi};
use adit_dataplane::time::Instant;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// So many of the peer's may be unfinished; the oldest goes.
const MOST_UNFINISHED: usize = 3;
/// How long the third message may take, with all the peer's repetitions. Adit's own choice.
const UNFINISHED: Duration = Duration::from_secs(60);

/// A quick mode whose third message is awaited.
pub(super) struct Answered {
    message_id: u32,
    /// Of the ISAKMP SA that it is under.
    cookies: Cookies,
    /// What the third message has to say.
    pub(super) hash_3: SecretBytes,
    spi_in: Spi,
    /// Our second message.
    repeated: Repeated,
    until: Instant,
}

impl Answered {
    /// Whether it is this exchange.
    pub(super) fn is(&self, cookies: Cookies, message_id: u32) -> bool {
        (self.cookies, self.message_id) == (cookies, message_id)
    }

    /// Nothing shows yet that the peer has our answer.
    fn is_open(&self, tunnel: &Tunnel) -> bool {
        tunnel.children.iter().any(|child| child.spi_in == self.spi_in && child.is_fresh())
    }
}

/// What an ESP SA was made of.
#[derive(Debug, Clone)]
pub(super) struct Agreed {
    pub(super) offer: EspOffer,
    /// The peer's side, as it was said.
    pub(super) theirs: Identification,
    /// Ours.
    pub(super) ours: Identification,
}

/// Why not: what the log says, and what the peer hears.
struct Refused(Cause, NotifyKind, String);

/// The inner address that a first message is for.
pub(super) fn client_address(chain: &Chain<'_>) -> Option<Ipv4Addr> {
    let [(theirs, _), _] = chain.client_ids()?;
    let selector = theirs.selector()?;
    match (*selector.addresses.start(), *selector.addresses.end()) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first == last => Some(first),
        (IpAddr::V4(_) | IpAddr::V6(_), IpAddr::V4(_) | IpAddr::V6(_)) => None,
    }
}

/// Answers a first message.
pub(super) fn answer(now: Instant, node: &mut Node, session: &mut Established, message_id: u32, chain: &Chain<'_>) {
    let Err(Refused(cause, kind, offered)) = make(now, node, session, message_id, chain) else { return };
    tracing::warn!(cause = cause.name(), offered, "quick mode refused: {}", cause.sentence());
    let notify = Notify { protocol: Protocol::Esp, spi: Vec::new(), kind, data: Vec::new() };
    session.inform(now, node, Payload::Notify(notify));
}

fn make(
    now: Instant,
    node: &mut Node,
    session: &mut Established,
    message_id: u32,
    chain: &Chain<'_>,
) -> Result<(), Refused> {
    let malformed = || Refused(Cause::InvalidSyntax, NotifyKind::PayloadMalformed, "SA, Ni, IDci, IDcr".to_owned());
    let (Some((proposals, _)), Some(nonce_i)) = (chain.sa(), chain.nonce()) else { return Err(malformed()) };
    let Some([(theirs, _), (ours, _)]) = chain.client_ids() else { return Err(malformed()) };
    let no_tunnel = || Refused(Cause::NoAddressAsked, NotifyKind::InvalidIdInformation, "no address".to_owned());
    let Service::Tunnel(tunnel) = &session.service else { return Err(no_tunnel()) };
    let (Some(connection), Some(login)) =
        (node.config.connections.get(session.peer.connection), login_of(node, session.peer.connection))
    else {
        return Err(no_tunnel());
    };
    let allowed = tunnel.inner.selectors(connection);
    let selectors = narrowed(theirs, ours, &allowed).ok_or_else(|| {
        let offered = format!("{} === {}", said(theirs), said(ours));
        Refused(Cause::TsUnacceptable, NotifyKind::InvalidIdInformation, offered)
    })?;
    let encapsulation = encapsulation(node, session);
    let allowed = Allowed { proposals: &connection.esp_proposals, login, encapsulation };
    let no_proposal = || Refused(Cause::NoChildProposal, NotifyKind::NoProposalChosen, shown(proposals));
    let QuickChoice { offer, spi_out, mut answer } = choose(proposals, &allowed).ok_or_else(no_proposal)?;
    rekey::yield_to_peer(now, node, session, &selectors).map_err(|_ours_goes_first| {
        Refused(Cause::ChildLimit, NotifyKind::NoProposalChosen, "while ours is under way".to_owned())
    })?;
    let (public_r, shared) = fresh_secret(node, &offer, chain).ok_or_else(no_proposal)?;
    let Service::Tunnel(tunnel) = &mut session.service else { return Err(no_tunnel()) };
    let lane = lane_for(node, tunnel, &selectors);
    let room = lane.and_then(|lane| tunnel.make_room(node, lane).ok().map(|()| lane));
    let slot = room.and_then(|lane| Some((lane, node.installer.take_spi(tunnel.key.worker, session.peer.id)?)));
    let full = || Refused(Cause::ChildLimit, NotifyKind::NoProposalChosen, String::new());
    let (lane, spi_in) = slot.ok_or_else(full)?;

    // vpnc takes 20 octets of a nonce in our own quick modes; here it takes any.
    let nonce_r = node.random_bytes(nonce_i.len().clamp(16, 32));
    let input = QuickInput { shared: shared.as_ref(), nonce_i, nonce_r: &nonce_r };
    let keys = keys(session.sa.keys(), &offer, Role::Responder, spi_in, spi_out, &input);
    let parts = ChildParts {
        tunnel: tunnel.key,
        lane,
        spi_in,
        spi_out,
        suite: offer.suite,
        numbers: offer.numbers,
        selectors,
        role: Role::Responder,
    };
    match Child::install(now, node, parts, &keys) {
        Ok(child) => tunnel.children.push(child),
        Err(_bad_length) => {
            node.installer.give_back_spi(spi_in);
            return Err(no_proposal());
        }
    }
    session.agreed.insert(spi_in, Agreed { offer, theirs: theirs.clone(), ours: ours.clone() });

    answer.spi = spi_in.get().to_be_bytes().to_vec();
    let mut payloads = vec![Payload::Sa(vec![answer]), Payload::Nonce(nonce_r.clone())];
    payloads.extend(public_r.map(Payload::Ke));
    payloads.push(Payload::Id(theirs.clone()));
    payloads.push(Payload::Id(ours.clone()));
    payloads.extend(life_time::of_esp(&node.config.esp, offer.life, spi_in));
    let bytes = session.sa.say(node, Exchange::QuickMode, message_id, Hashed::Two { nonce_i }, &payloads);
    session.send(now, node, bytes.clone());
    if session.answered.len() >= MOST_UNFINISHED {
        let oldest = session.answered.remove(0);
        give_up(now, node, session, &oldest);
    }
    let hash_3 = session.sa.keys().hash_3(message_id, nonce_i, &nonce_r);
    let repeated = Repeated::new(now, &node.patience(), bytes);
    let (cookies, until) = (session.sa.cookies(), now + UNFINISHED);
    session.answered.push(Answered { message_id, cookies, hash_3, spi_in, repeated, until });
    Ok(())
}

/// The third message has come: the new SA is sent on.
pub(super) fn finish(now: Instant, node: &mut Node, session: &mut Established, cookies: Cookies, message_id: u32) {
    let Some(at) = session.answered.iter().position(|answered| answered.is(cookies, message_id)) else { return };
    let Answered { spi_in, .. } = session.answered.remove(at);
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    let Some(index) = tunnel.child_from(spi_in) else { return };
    let (first, lane) = (tunnel.children.len() == 1, tunnel.children.get(index).map(|child| child.lane));
    let in_lane = tunnel.children.iter().filter(|child| Some(child.lane) == lane);
    if in_lane.count() > 1 {
        node.tell(&session.peer, What::Rekey { what: Renewed::Child, by: By::Peer });
    }
    tunnel.switch_to(now, node, index);
    let suite = tunnel.children.get(index).map(|child| tracing::field::display(child.suite));
    match first {
        true => tracing::info!(spi_in = %spi_in, esp = suite, "child SA in use"),
        false => tracing::info!(spi_in = %spi_in, esp = suite, ?lane, by = "the peer", "child SA in use"),
    }
    session.logged_in(now, node);
}

/// Nobody waits for its third message any more. The peer has begun others since: nothing is sent on what came of this one, and
/// if the peer does not delete it we do.
fn give_up(now: Instant, node: &mut Node, session: &mut Established, answered: &Answered) {
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    if answered.is_open(tunnel)
        && let Some(index) = tunnel.child_from(answered.spi_in)
    {
        tracing::debug!(spi_in = %answered.spi_in, "too many unfinished quick modes; the oldest is given up");
        tunnel.lose(now, node, index);
    }
}

/// What was never finished: the peer may have the SA all the same, and is told that it ends.
pub(super) fn expire(now: Instant, node: &mut Node, session: &mut Established) {
    let (over, waiting) = std::mem::take(&mut session.answered).into_iter().partition(|one| one.until <= now);
    session.answered = waiting;
    let over: Vec<Answered> = over;
    let Service::Tunnel(tunnel) = &mut session.service else { return };
    for Answered { spi_in, .. } in over {
        if let Some(index) =
            tunnel.child_from(spi_in).filter(|at| tunnel.children.get(*at).is_some_and(Child::is_fresh))
        {
            tracing::info!(spi_in = %spi_in, "the peer has not finished this quick mode");
            tunnel.doom(now, node, index);
        }
    }
}

/// Second messages are repeated while nothing shows that they came (RFC 2408 section 5.1): if the third was lost and no
/// packet comes either, the peer sends on the new SA and we on the old one, which it has no more.
pub(super) fn repeat_if_time(now: Instant, node: &mut Node, session: &mut Established) {
    let Service::Tunnel(tunnel) = &session.service else { return };
    let patience = node.patience();
    let mut again = Vec::new();
    for answered in session.answered.iter_mut().filter(|answered| answered.is_open(tunnel)) {
        match answered.repeated.retry(now, &patience) {
            Retry::Again(bytes) => again.push(bytes.to_vec()),
            Retry::NotYet => {}
            Retry::Dead => answered.until = now,
        }
    }
    for bytes in again {
        node.counters.answered_again += 1;
        session.send(now, node, bytes);
    }
}

/// When [`expire`] or [`repeat_if_time`] has something to do.
pub(super) fn due(session: &Established) -> Option<Instant> {
    let Service::Tunnel(tunnel) = &session.service else { return None };
    let due = |answered: &Answered| match answered.is_open(tunnel) {
        true => answered.repeated.due().min(answered.until),
        false => answered.until,
    };
    session.answered.iter().map(due).min()
}

/// Keys of both directions. "Initiator" is who started the quick mode.
pub(super) fn keys(
    ike: &IkeKeys,
    offer: &EspOffer,
    role: Role,
    spi_in: Spi,
    spi_out: u32,
    input: &QuickInput<'_>,
) -> ChildKeys {
    // RFC 2409 section 5.5: each direction by the SPI of whoever receives.
    let (inbound, outbound) = (ike.esp(offer.suite, spi_in.get(), input), ike.esp(offer.suite, spi_out, input));
    match role {
        Role::Responder => ChildKeys { initiator_to_responder: inbound, responder_to_initiator: outbound },
        Role::Initiator => ChildKeys { initiator_to_responder: outbound, responder_to_initiator: inbound },
    }
}

/// Silently: IKEv1 cannot say that it narrows, and clients ask for 0.0.0.0/0 whatever they were told.
fn narrowed(theirs: &Identification, ours: &Identification, allowed: &Selectors) -> Option<Selectors> {
    let remote = narrow(&[theirs.selector()?], &allowed.remote);
    let local = narrow(&[ours.selector()?], &allowed.local);
    (!remote.is_empty() && !local.is_empty()).then_some(Selectors { local, remote })
}

/// The lane of what carries the same already, else one of its own.
fn lane_for(node: &Node, tunnel: &Tunnel, selectors: &Selectors) -> Option<Lane> {
    let same = |child: &&Child| !child.is_draining() && *child.selectors == *selectors;
    let replaced = tunnel.children.iter().find(same).map(|child| child.lane);
    replaced.or_else(|| tunnel.free_lane(node.config.ike.children_limit, None))
}

/// What the quick mode's own key exchange made: our public value and the secret, both or neither. `None`: the peer
/// offered a group and sent no value, or a bad one.
type FreshSecret = (Option<Vec<u8>>, Option<SecretBytes>);

fn fresh_secret(node: &mut Node, offer: &EspOffer, chain: &Chain<'_>) -> Option<FreshSecret> {
    let Some(group) = offer.group else { return Some((None, None)) };
    let (public, shared) = kex::answer(group, &mut *node.random, chain.ke()?).ok()?;
    Some((Some(public), Some(shared)))
}

fn said(identification: &Identification) -> String {
    let selector = identification.selector();
    selector.map_or_else(|| "?".to_owned(), |selector| crate::ike::narrow::Shown(&selector).to_string())
}
