//! Aggressive mode (RFC 2409 section 5.4), the initiator's side: see [`super::aggressive`] for its messages.

use super::calling::{Come, Next, Started, Wrong};
use super::isakmp_sa::{Cookies, header, in_fragments};
use super::keys::Transcript;
use super::nat::nat_d_hash;
use super::reached::End;
use super::suite::Suite;
use super::wire::{AuthMethod, Chain, Exchange, Identification, Payload, payload_body};
use super::{calling_proof, offer, proof};
use crate::ike::counters::Ignored;
use crate::ike::service::{Call, Node, Patience};
use crate::session::Cause;
use adit_crypto::kex::KeyPair;
use adit_crypto::suite::KexGroup;
use std::time::Duration;

/// Octets of our nonces. vpnc takes 20 of another's, adit's headend answers with as many.
pub(super) const NONCE: usize = 32;

/// Waits for the second message.
pub(super) struct AwaitsSecond {
    pair: KeyPair,
    nonce: Vec<u8>,
    /// IDii_b.
    id_i: Vec<u8>,
}

/// SA, KE, Ni, IDii.
pub(super) fn first(node: &mut Node, call: &Call, group: KexGroup, sa: Payload) -> (AwaitsSecond, Vec<Payload>) {
    let pair = KeyPair::generate(group, &mut *node.random);
    let nonce = node.random_bytes(NONCE);
    let ours = Payload::Id(Identification::of(call.identity.clone()));
    let id_i = payload_body(&ours);
    let needed = vec![sa, Payload::Ke(pair.public().to_vec()), Payload::Nonce(nonce.clone()), ours];
    (AwaitsSecond { pair, nonce, id_i }, needed)
}

/// How the first message is repeated. An answer with certificates is longer than any question, and a responder that
/// gives no more than it gets says it only after several: they come quickly, while the exchange is young.
pub(super) fn patience(node: &Node, method: AuthMethod) -> Patience {
    let patience = node.patience();
    match proof::responders(method) {
        proof::Kind::Hash => patience,
        proof::Kind::Signature => {
            let initial = patience.initial.min(Duration::from_millis(250));
            Patience { initial, tries: patience.tries.saturating_add(4), ..patience }
        }
    }
}

/// The second message has come: if the responder's proof in it is good, ours is said.
pub(super) fn third(
    started: &mut Started,
    node: &mut Node,
    come: Come<'_>,
    awaits: &AwaitsSecond,
    chain: &Chain<'_>,
) -> Result<Next, Wrong> {
    let Come { now, datagram, incoming } = come;
    let parts = (chain.sa(), chain.ke(), chain.nonce(), chain.id());
    let (Some((answer, _)), Some(public_r), Some(nonce_r), Some((identification, id_r))) = parts else {
        return Err(Wrong::Ignored(Ignored::Malformed));
    };
    let identity = identification.id().ok_or(Wrong::Ignored(Ignored::Malformed))?.clone();
    let offer = offer::chosen_for_phase_1(&started.offers, answer)
        .ok_or_else(|| Wrong::doubt(Cause::NoIkeProposal, "the answer is not one of what we offered"))?;
    let shared = awaits.pair.try_agree(public_r).map_err(|_bad| Wrong::Ignored(Ignored::BadPublicValue))?;
    let (suite, cookies) = (Suite::from(offer), Cookies::of(&incoming.header));
    let secret = calling_proof::secret(started, node)?;
    let skeyid = proof::skeyid(offer.method, suite, &secret, &shared, [&awaits.nonce, nonce_r]);
    let public_i = awaits.pair.public();
    let Cookies { initiator: cookie_i, responder: cookie_r } = cookies;
    let over = Transcript { public_i, public_r, cookie_i, cookie_r, sa_i: &started.sa_i };
    let hash_r = skeyid.hash_r(&over, id_r);
    calling_proof::check(now, node, started, offer.method, chain, &identity, &hash_r)?;

    started.client.hear(chain);
    let nat_d = |address| nat_d_hash(suite.hash, cookie_i, cookie_r, address);
    let mut traversal = started.traversal(node);
    traversal.hear(chain, datagram.path, nat_d);
    let along = started.onward(node, &traversal)?;
    let hash_i = skeyid.hash_i(&over, &awaits.id_i);
    let mut payloads = calling_proof::say(node, started, offer.method, cookies, &skeyid, &hash_i)?;
    payloads.extend(traversal.payloads(along.0, started.carried(node), nat_d));
    let keys = skeyid.derive(&shared, cookie_i, cookie_r);
    let cipher = keys.cipher();
    let header = header(cookies, Exchange::Aggressive, 0);
    let (bytes, base) = cipher.seal(&cipher.phase_1_iv(public_i, public_r), &header, &payloads);
    let bytes = in_fragments(node, &started.client, &header, bytes);
    node.send_ike(started.worker, along.0, along.1, bytes.clone());

    let last = Some(bytes);
    let end = End { incoming, cookies, offer, keys, cipher, base, identity, traversal, along, last };
    Ok(started.reached(now, node, end))
}
