//! Aggressive mode (RFC 2409 section 5.4), the responder's side.
//!
//! ```text
//! initiator --> HDR, SA, KE, Ni, IDii, [VID …]
//! responder <-- HDR, SA, KE, Nr, IDir, HASH_R, [VID …, NAT-D, NAT-D]
//! initiator --> HDR*, HASH_I, [NAT-D, NAT-D, N(INITIAL-CONTACT)]
//! ```
//! With signatures CERT and SIG stand in the place of HASH. The group is named in the first message, so whatever this
//! answers is worked out for unknown groups as well.

use super::choose::choose;
use super::cipher::{Iv, MessageCipher};
use super::group;
use super::half_open::{Begun, Expects, First, HalfOpen, Heard};
use super::isakmp_sa::Cookies;
use super::keys::{IkeKeys, Skeyid, Transcript};
use super::nat::nat_d_hash;
use super::phase_1::{Contact, Refused, clear_within, nonce_for, traversal_id, vendor_ids};
use super::proof;
use super::suite::Suite;
use super::wire::{Body, Chain, Exchange, Id, Identification, NotifyKind, Payload, payload_body};
use crate::ike::counters::Ignored;
use crate::ike::service::Node;
use crate::session::Cause;
use adit_crypto::kex;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;

/// Waits for the third message; keys are agreed.
pub(super) struct ExpectAggressiveProof {
    /// `None`: nobody has configured the group.
    pub(super) connection: Option<usize>,
    pub(super) identity: Id,
    /// The group's. Hybrid mode asks for it in the third message only.
    pub(super) secret: SecretBytes,
    pub(super) skeyid: Skeyid,
    pub(super) keys: IkeKeys,
    pub(super) cipher: MessageCipher,
    pub(super) iv: Iv,
    pub(super) hash_i: SecretBytes,
}

/// Answers a first message.
pub(super) fn respond(first: First<'_>, node: &mut Node, chain: &Chain<'_>) -> Result<HalfOpen, Refused> {
    let parts = (chain.sa(), chain.ke(), chain.nonce(), chain.id());
    let (Some((proposals, sa_i)), Some(public_i), Some(nonce_i), Some((identification, id_i))) = parts else {
        return Err(Refused::Silence(Ignored::Malformed));
    };
    let Some(identity) = identification.id().cloned() else { return Err(Refused::Silence(Ignored::Malformed)) };
    let Some(group) = group::aggressive(node, &identity) else {
        return Err(Refused::Silence(Ignored::ModeNotTaken));
    };
    let (connection, secret, limit) = (group.connection, group.secret.clone(), group.like.login.aggressive_limit);
    let chosen = choose(proposals, std::iter::once(group.like.login));
    let carried = group::transports(node, group.like.index);
    node.aggressive_budget.take(first.now, first.datagram.path.peer.ip(), limit.get()).map_err(Refused::Silence)?;
    let chosen = chosen.map_err(|none| Refused::no_proposal(&none))?;
    let suite = Suite::from(chosen.offer);

    let answered = kex::answer(suite.group, &mut *node.random, public_i);
    let (public_r, shared) = answered.map_err(|_bad| Refused::Silence(Ignored::BadPublicValue))?;
    let nonce_r = nonce_for(node, nonce_i);
    let heard = Heard::take(&first, node, chain, carried);
    let Cookies { initiator, responder } = heard.cookies;

    let method = chosen.offer.method;
    let skeyid = proof::skeyid(method, suite, &secret, &shared, [nonce_i, &nonce_r]);
    let keys = skeyid.derive(&shared, initiator, responder);
    let cipher = keys.cipher();
    let iv = cipher.phase_1_iv(public_i, &public_r);
    let over = Transcript { public_i, public_r: &public_r, cookie_i: initiator, cookie_r: responder, sa_i };
    let ours = Payload::Id(Identification::of(node.config.identity.clone()));
    let hash_r = skeyid.hash_r(&over, &payload_body(&ours));
    let hash_i = skeyid.hash_i(&over, id_i);

    let said = match proof::say(node, proof::responders(method), &hash_r) {
        Ok(said) => said,
        Err(cause) => {
            node.forget_ike_spi(responder);
            return Err(Refused::Answer {
                cause,
                kind: NotifyKind::NoProposalChosen,
                offered: method.name().to_owned(),
                wanted: "a certificate of ours".to_owned(),
            });
        }
    };
    let mut needed =
        vec![Payload::Sa(vec![chosen.answer]), Payload::Ke(public_r.clone()), Payload::Nonce(nonce_r), ours];
    needed.extend(said);
    let hash = |address| nat_d_hash(suite.hash, initiator, responder, address);
    needed.extend(traversal_id(&heard.traversal));
    needed.extend(heard.traversal.payloads(first.datagram.path, carried, hash));
    let more = vendor_ids(&heard.client, method);
    let answer = clear_within(first.datagram.bytes.len(), heard.cookies, Exchange::Aggressive, &needed, &more);

    let expects = ExpectAggressiveProof { connection, identity, secret, skeyid, keys, cipher, iv, hash_i };
    let begun = Begun::answering(first, node, heard, chosen.offer, sa_i, answer);
    Ok(HalfOpen { begun, expects: Expects::AggressiveProof(Box::new(expects)) })
}

/// A third message that is right.
pub(super) struct Right {
    pub(super) connection: usize,
    pub(super) base: Iv,
    pub(super) contact: Contact,
}

impl Begun {
    /// The third message: is it true?
    ///
    /// It may come in the clear (RFC 2409 section 5.4 leaves it open); the clients we know encrypt it.
    pub(super) fn aggressive_proof(
        &mut self,
        now: Instant,
        node: &Node,
        expects: &ExpectAggressiveProof,
        body: &Body<'_>,
        datagram: &IkeDatagram,
    ) -> Result<Right, Cause> {
        let opened;
        let unreadable = Cause::WrongPsk;
        let (chain, base) = match body {
            Body::Sealed(sealed) => {
                opened = expects.cipher.open(&expects.iv, sealed).map_err(|_not_blocks| unreadable)?;
                (opened.chain().map_err(|_error| unreadable)?, opened.next.clone())
            }
            Body::Clear(chain) => (chain.clone(), expects.iv.clone()),
            Body::Fragment(_) => return Err(Cause::InvalidSyntax),
        };
        let method = self.offer.method;
        let hash_is_right = proof::is_right(&chain, &expects.hash_i);
        let connection = expects.connection.ok_or(Cause::UnknownIdentity)?;
        match proof::initiators(method) {
            proof::Kind::Hash if !hash_is_right => return Err(Cause::WrongPsk),
            proof::Kind::Hash => {}
            proof::Kind::Signature => {
                super::signature::check(now, node, connection, &chain, &expects.identity, &expects.hash_i)?;
            }
        }
        if !proof::keyed_by_secret(method) && !proof::knows_secret(&chain, &expects.skeyid, &expects.secret) {
            return Err(Cause::WrongPsk);
        }
        self.client.hear(&chain);
        let mut traversal = self.traversal;
        traversal.hear(&chain, datagram.path, |address| self.nat_d(address));
        self.traversal = traversal;
        Ok(Right { connection, base, contact: Contact::of(&chain) })
    }
}
