//! Main mode (RFC 2409 section 5), the initiator's side: see [`super::main_mode`] for its messages.

use super::calling::{Awaits, Come, Next, Started, Wrong};
use super::calling_aggressive::NONCE;
use super::cipher::{Iv, MessageCipher};
use super::isakmp_sa::{Cookies, clear, header, in_fragments};
use super::keys::{IkeKeys, Skeyid, Transcript};
use super::nat::nat_d_hash;
use super::nat_seen::Traversal;
use super::reached::End;
use super::suite::Suite;
use super::wire::{Chain, Exchange, Identification, IkeOffer, Payload, Sealed, payload_body};
use super::{calling_proof, offer, proof};
use crate::ike::counters::Ignored;
use crate::ike::service::Node;
use crate::session::Cause;
use adit_crypto::kex::KeyPair;

/// Waits for the fourth message.
pub(super) struct AwaitsFourth {
    cookies: Cookies,
    offer: IkeOffer,
    traversal: Traversal,
    pair: KeyPair,
    nonce: Vec<u8>,
}

/// Waits for the sixth message; keys are agreed, if it is who we think.
pub(super) struct AwaitsSixth {
    cookies: Cookies,
    offer: IkeOffer,
    traversal: Traversal,
    public_i: Vec<u8>,
    public_r: Vec<u8>,
    skeyid: Skeyid,
    keys: IkeKeys,
    /// Behind our fifth message.
    iv: Iv,
    cipher: MessageCipher,
}

/// The second message has come: the responder has chosen.
pub(super) fn third(started: &mut Started, node: &mut Node, come: Come<'_>, chain: &Chain<'_>) -> Result<Next, Wrong> {
    let Come { now, incoming, .. } = come;
    let (answer, _) = chain.sa().ok_or(Wrong::Ignored(Ignored::Malformed))?;
    let offer = offer::chosen_for_phase_1(&started.offers, answer)
        .ok_or_else(|| Wrong::doubt(Cause::NoIkeProposal, "the answer is not one of what we offered"))?;
    let cookies = Cookies::of(&incoming.header);
    started.client.hear(chain);
    let traversal = started.traversal(node);
    let pair = KeyPair::generate(offer.group, &mut *node.random);
    let nonce = node.random_bytes(NONCE);
    let mut payloads = vec![Payload::Ke(pair.public().to_vec()), Payload::Nonce(nonce.clone())];
    let nat_d = |address| nat_d_hash(offer.hash, cookies.initiator, cookies.responder, address);
    payloads.extend(traversal.payloads(started.call.path, started.carried(node), nat_d));
    let bytes = clear(cookies, Exchange::MainMode, &payloads);
    started.say(now, node, started.along, bytes);
    Ok(Next::Awaits(Awaits::Fourth(Box::new(AwaitsFourth { cookies, offer, traversal, pair, nonce }))))
}

/// The fourth message has come: who we are, and our proof, go out under keys that both ends have, if it is who we think.
pub(super) fn fifth(
    started: &mut Started,
    node: &mut Node,
    come: Come<'_>,
    awaits: &AwaitsFourth,
    chain: &Chain<'_>,
) -> Result<Next, Wrong> {
    let Come { now, datagram, incoming } = come;
    let AwaitsFourth { cookies, offer, traversal, pair, nonce } = awaits;
    if Cookies::of(&incoming.header) != *cookies {
        return Err(Wrong::Ignored(Ignored::UnknownSpi));
    }
    let (Some(public_r), Some(nonce_r)) = (chain.ke(), chain.nonce()) else {
        return Err(Wrong::Ignored(Ignored::Malformed));
    };
    let shared = pair.try_agree(public_r).map_err(|_bad| Wrong::Ignored(Ignored::BadPublicValue))?;
    started.client.hear(chain);
    let Cookies { initiator: cookie_i, responder: cookie_r } = *cookies;
    let mut traversal = *traversal;
    traversal.hear(chain, datagram.path, |address| nat_d_hash(offer.hash, cookie_i, cookie_r, address));
    let along = started.onward(node, &traversal)?;

    let secret = calling_proof::secret(started, node)?;
    let skeyid = proof::skeyid(offer.method, Suite::from(*offer), &secret, &shared, [nonce, nonce_r]);
    let keys = skeyid.derive(&shared, cookie_i, cookie_r);
    let cipher = keys.cipher();
    let public_i = pair.public();
    let over = Transcript { public_i, public_r, cookie_i, cookie_r, sa_i: &started.sa_i };
    let ours = Payload::Id(Identification::of(started.call.identity.clone()));
    let hash_i = skeyid.hash_i(&over, &payload_body(&ours));
    let said = calling_proof::say(node, started, offer.method, *cookies, &skeyid, &hash_i)?;
    let payloads: Vec<Payload> = std::iter::once(ours).chain(said).collect();
    let header = header(*cookies, Exchange::MainMode, 0);
    let (bytes, iv) = cipher.seal(&cipher.phase_1_iv(public_i, public_r), &header, &payloads);
    let bytes = in_fragments(node, &started.client, &header, bytes);
    started.say(now, node, along, bytes);
    let (public_i, public_r) = (public_i.to_vec(), public_r.to_vec());
    let (cookies, offer) = (*cookies, *offer);
    let sixth = AwaitsSixth { cookies, offer, traversal, public_i, public_r, skeyid, keys, iv, cipher };
    Ok(Next::Awaits(Awaits::Sixth(Box::new(sixth))))
}

/// The sixth message has come: is it who we think?
pub(super) fn last(
    started: &mut Started,
    node: &mut Node,
    come: Come<'_>,
    awaits: &AwaitsSixth,
    sealed: &Sealed<'_>,
) -> Result<Next, Wrong> {
    let Come { now, incoming, .. } = come;
    let AwaitsSixth { cookies, offer, traversal, public_i, public_r, skeyid, keys, iv, cipher } = awaits;
    if Cookies::of(&incoming.header) != *cookies {
        return Err(Wrong::Ignored(Ignored::UnknownSpi));
    }
    let opened = cipher.open(iv, sealed).map_err(|_not_blocks| Wrong::Ignored(Ignored::Malformed))?;
    // Under another key nothing can be read.
    let unreadable = || Wrong::doubt(Cause::WrongPsk, "a sixth message by another secret");
    let chain = opened.chain().map_err(|_error| unreadable())?;
    let (identification, id_r) = chain.id().ok_or_else(unreadable)?;
    let identity = identification.id().ok_or_else(unreadable)?.clone();
    let Cookies { initiator: cookie_i, responder: cookie_r } = *cookies;
    let over = Transcript { public_i, public_r, cookie_i, cookie_r, sa_i: &started.sa_i };
    let hash_r = skeyid.hash_r(&over, id_r);
    calling_proof::check(now, node, started, offer.method, &chain, &identity, &hash_r)?;
    started.client.hear(&chain);
    let (cipher, keys, base) = (keys.cipher(), keys.clone(), opened.next.clone());
    let (cookies, offer, traversal, along) = (*cookies, *offer, *traversal, started.along);
    let end = End { incoming, cookies, offer, keys, cipher, base, identity, traversal, along, last: None };
    Ok(started.reached(now, node, end))
}
