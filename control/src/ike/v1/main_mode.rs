//! Main mode (RFC 2409 section 5.4), the responder's side.
//!
//! ```text
//! initiator --> HDR, SA, [VID …]
//! responder <-- HDR, SA, [VID …]
//! initiator --> HDR, KE, Ni, [NAT-D, NAT-D, CERTREQ]
//! responder <-- HDR, KE, Nr, [NAT-D, NAT-D, CERTREQ]
//! initiator --> HDR*, IDii, HASH_I                       with signatures: IDii, [CERT,] SIG_I
//! responder <-- HDR*, IDir, HASH_R                                        IDir, [CERT,] SIG_R
//! ```
//! With a pre-shared key the fifth message is encrypted under keys that depend on it, and only inside stands who sent
//! it: the secrets of all connections that may be meant are tried.

use super::choose::{choose, may_be};
use super::cipher::{Iv, MessageCipher, Opened};
use super::group;
use super::half_open::{Begun, Expects, First, HalfOpen, Heard};
use super::isakmp_sa::header;
use super::keys::{IkeKeys, Skeyid, Transcript};
use super::phase_1::{Contact, Refused, clear_within, login_of, nonce_for, traversal_id, vendor_ids};
use super::proof;
use super::suite::Suite;
use super::wire::{Chain, Exchange, Id, Identification, IkeOffer, Payload, Sealed, payload_body};
use crate::ike::counters::Ignored;
use crate::ike::service::Node;
use crate::session::Cause;
use adit_crypto::kex;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::IkeDatagram;
use adit_dataplane::time::Instant;

/// Waits for the fifth message. The secret is agreed, the keys may depend on who it is.
pub(super) struct ExpectMainProof {
    pub(super) public_i: Vec<u8>,
    pub(super) public_r: Vec<u8>,
    pub(super) nonce_i: Vec<u8>,
    pub(super) nonce_r: Vec<u8>,
    pub(super) shared: SecretBytes,
}

/// A proof that is right.
pub(super) struct Right {
    pub(super) connection: usize,
    pub(super) identity: Id,
    pub(super) keys: IkeKeys,
    pub(super) cipher: MessageCipher,
    pub(super) base: Iv,
    pub(super) answer: Vec<u8>,
    pub(super) contact: Contact,
}

/// Answers a first message.
pub(super) fn respond(first: First<'_>, node: &mut Node, chain: &Chain<'_>) -> Result<HalfOpen, Refused> {
    let Some((proposals, sa_i)) = chain.sa() else { return Err(Refused::Silence(Ignored::Malformed)) };
    let takes = group::connections(node).map(|named| named.login).filter(|login| login.modes.main());
    if takes.clone().next().is_none() {
        return Err(Refused::Silence(Ignored::ModeNotTaken));
    }
    let chosen = choose(proposals, takes).map_err(|none| Refused::no_proposal(&none))?;
    let carried = group::main_mode_transports(node);
    let heard = Heard::take(&first, node, chain, carried);
    let mut needed = vec![Payload::Sa(vec![chosen.answer])];
    needed.extend(traversal_id(&heard.traversal));
    let more = vendor_ids(&heard.client, chosen.offer.method);
    let answer = clear_within(first.datagram.bytes.len(), heard.cookies, Exchange::MainMode, &needed, &more);
    let begun = Begun::answering(first, node, heard, chosen.offer, sa_i, answer);
    Ok(HalfOpen { begun, expects: Expects::KeyExchange })
}

impl Begun {
    /// The third message: both public values are known after it.
    pub(super) fn exchange_keys(
        &mut self,
        node: &mut Node,
        datagram: &IkeDatagram,
        chain: &Chain<'_>,
    ) -> Result<ExpectMainProof, Ignored> {
        let (Some(public_i), Some(nonce_i)) = (chain.ke(), chain.nonce()) else { return Err(Ignored::Malformed) };
        let suite = Suite::from(self.offer);
        let answered = kex::answer(suite.group, &mut *node.random, public_i);
        let (public_r, shared) = answered.map_err(|_bad| Ignored::BadPublicValue)?;
        let nonce_r = nonce_for(node, nonce_i);
        self.client.hear(chain);
        let mut traversal = self.traversal;
        traversal.hear(chain, datagram.path, |address| self.nat_d(address));
        self.traversal = traversal;
        self.path = datagram.path;
        let carried = group::main_mode_transports(node);
        let mut needed = vec![Payload::Ke(public_r.clone()), Payload::Nonce(nonce_r.clone())];
        needed.extend(traversal.payloads(datagram.path, carried, |address| self.nat_d(address)));
        let more = match proof::initiators(self.offer.method) {
            proof::Kind::Signature => super::signature::requests(node, &self.offer),
            proof::Kind::Hash => Vec::new(),
        };
        let answer = clear_within(datagram.bytes.len(), self.cookies, Exchange::MainMode, &needed, &more);
        self.turn.say(node, self.worker, datagram, answer);
        let (public_i, nonce_i) = (public_i.to_vec(), nonce_i.to_vec());
        Ok(ExpectMainProof { public_i, public_r, nonce_i, nonce_r, shared })
    }

    /// The fifth message: who is it, and is it true?
    pub(super) fn main_proof(
        &self,
        now: Instant,
        node: &mut Node,
        expects: &ExpectMainProof,
        sealed: &Sealed<'_>,
    ) -> Result<Right, (Cause, String)> {
        let method = self.offer.method;
        if !proof::keyed_by_secret(method) {
            return self.signed_proof(now, node, expects, sealed);
        }
        let mut right = None;
        let mut read = None;
        // All of them, so that the time does not tell which it was.
        for (connection, secret) in group::main_mode_candidates(node, &self.offer) {
            let keyed = Keyed::new(self, expects, &secret);
            let Some(opened) = keyed.open(sealed) else { continue };
            let Ok(chain) = opened.chain() else { continue };
            let Some((identification, id_i)) = chain.id() else { continue };
            let Some(identity) = identification.id() else { continue };
            if !proof::is_right(&chain, &keyed.hash_i(self, expects, id_i)) {
                continue;
            }
            read = Some(identity.clone());
            if right.is_none() && group::is_for(node, connection, identity) {
                let contact = Contact::of(&chain);
                right = Some(self.finish(node, expects, keyed, connection, identity.clone(), &opened, contact)?);
            }
        }
        match (right, read) {
            (Some(right), _) => Ok(right),
            (None, Some(identity)) => Err((Cause::UnknownIdentity, identity.to_string())),
            // Under a wrong key nothing can be read, not even who it was.
            (None, None) => Err((Cause::WrongPsk, "a secret that no connection has".to_owned())),
        }
    }

    fn signed_proof(
        &self,
        now: Instant,
        node: &mut Node,
        expects: &ExpectMainProof,
        sealed: &Sealed<'_>,
    ) -> Result<Right, (Cause, String)> {
        let keyed = Keyed::new(self, expects, &node.nobodys_psk);
        let unreadable = || (Cause::InvalidSyntax, "a fifth message that cannot be read".to_owned());
        let opened = keyed.open(sealed).ok_or_else(unreadable)?;
        let chain = opened.chain().map_err(|_error| unreadable())?;
        let (identification, id_i) = chain.id().ok_or_else(unreadable)?;
        let identity = identification.id().ok_or_else(unreadable)?;
        let hash_i = keyed.hash_i(self, expects, id_i);
        let mut refused = (Cause::UnknownIdentity, identity.to_string());
        let may = |named: &group::Named<'_>| named.login.modes.main() && may_be(named.login, &self.offer);
        let candidates: Vec<usize> = group::connections(node).filter(may).map(|named| named.index).collect();
        for index in candidates.into_iter().filter(|index| group::is_for(node, *index, identity)).collect::<Vec<_>>() {
            let proven = match proof::initiators(self.offer.method) {
                proof::Kind::Signature => super::signature::check(now, node, index, &chain, identity, &hash_i),
                proof::Kind::Hash if !proof::is_right(&chain, &hash_i) => Err(Cause::WrongPsk),
                proof::Kind::Hash => match login_of(node, index).and_then(|login| login.auth.secret()) {
                    Some(secret) if !proof::knows_secret(&chain, &keyed.skeyid, secret) => Err(Cause::WrongPsk),
                    Some(_) | None => Ok(()),
                },
            };
            match proven {
                Ok(()) => {
                    let (identity, contact) = (identity.clone(), Contact::of(&chain));
                    return self.finish(node, expects, keyed, index, identity, &opened, contact);
                }
                Err(cause) => refused.0 = cause,
            }
        }
        Err(refused)
    }

    /// The sixth message.
    #[expect(clippy::too_many_arguments, reason = "the parts of one proof, known at the same moment")]
    fn finish(
        &self,
        node: &mut Node,
        expects: &ExpectMainProof,
        keyed: Keyed,
        connection: usize,
        identity: Id,
        opened: &Opened,
        contact: Contact,
    ) -> Result<Right, (Cause, String)> {
        let ours = Payload::Id(Identification::of(node.config.identity.clone()));
        let hash_r = keyed.skeyid.hash_r(&self.transcript(expects), &payload_body(&ours));
        let said = proof::say(node, proof::responders(self.offer.method), &hash_r)
            .map_err(|cause| (cause, identity.to_string()))?;
        let payloads: Vec<Payload> = std::iter::once(ours).chain(said).collect();
        let Keyed { keys, cipher, .. } = keyed;
        let header = header(self.cookies, Exchange::MainMode, 0);
        let (answer, base) = cipher.seal(&opened.next, &header, &payloads);
        let answer = super::isakmp_sa::in_fragments(node, &self.client, &header, answer);
        Ok(Right { connection, identity, keys, cipher, base, answer, contact })
    }

    fn transcript<'a>(&'a self, expects: &'a ExpectMainProof) -> Transcript<'a> {
        Transcript {
            public_i: &expects.public_i,
            public_r: &expects.public_r,
            cookie_i: self.cookies.initiator,
            cookie_r: self.cookies.responder,
            sa_i: &self.sa_i,
        }
    }
}

/// Keys by one of the secrets that may be meant.
struct Keyed {
    skeyid: Skeyid,
    keys: IkeKeys,
    cipher: MessageCipher,
    iv: Iv,
}

impl Keyed {
    fn new(half: &Begun, expects: &ExpectMainProof, secret: &SecretBytes) -> Self {
        let IkeOffer { method, .. } = half.offer;
        let nonces = [&expects.nonce_i[..], &expects.nonce_r[..]];
        let skeyid = proof::skeyid(method, Suite::from(half.offer), secret, &expects.shared, nonces);
        let keys = skeyid.derive(&expects.shared, half.cookies.initiator, half.cookies.responder);
        let cipher = keys.cipher();
        let iv = cipher.phase_1_iv(&expects.public_i, &expects.public_r);
        Self { skeyid, keys, cipher, iv }
    }

    fn open(&self, sealed: &Sealed<'_>) -> Option<Opened> {
        self.cipher.open(&self.iv, sealed).ok()
    }

    fn hash_i(&self, half: &Begun, expects: &ExpectMainProof, id_i: &[u8]) -> SecretBytes {
        self.skeyid.hash_i(&half.transcript(expects), id_i)
    }
}
