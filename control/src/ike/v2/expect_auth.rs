//! IKE_AUTH up to the proof of identity (RFC 7296 sections 1.2 and 2.15).
//!
//! ```text
//! initiator --> HDR, SK {IDi, [N(INITIAL_CONTACT),] [IDr,] AUTH, [CP(CFG_REQUEST),] SAi2, TSi, TSr}
//! initiator --> HDR, SK {IDi, [N(INITIAL_CONTACT),] [IDr,] AUTH}                          (childless, RFC 6023)
//! ```

use super::half_open::HalfOpen;
use super::shape::{self, Misshapen, notify};
use crate::config::checked::{Connection, IkeProposal, IkeSuite, LoginV2};
use crate::ike::keys::{AuthInput, psk_auth};
use crate::ike::service::{Contact, Node};
use crate::ike::wire::{ConfigPayload, Id, NotifyKind, Payload, Proposal};
use crate::session::Cause;
use adit_crypto::secret::SecretBytes;
use adit_dataplane::contract::Selector;

/// Shared Key Message Integrity Code (RFC 7296 section 3.8).
pub(super) const METHOD_PSK: u8 = 2;

/// A peer that has proven who it is, and what it wants.
#[derive(Debug)]
pub(crate) struct Proven<'a> {
    pub(crate) identity: &'a Id,
    /// Index into the configuration's connections.
    pub(crate) connection: usize,
    pub(crate) contact: Contact,
    /// Our IDr and AUTH: the front of the answer.
    pub(super) ours: [Payload; 2],
    pub(super) configuration: Option<&'a ConfigPayload>,
    /// `None` begins without a child SA (RFC 6023).
    pub(super) child: Option<ChildOffer<'a>>,
}

/// The child SA that a peer wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildOffer<'a> {
    pub(super) proposals: &'a [Proposal],
    pub(super) ts_initiator: &'a [Selector],
    pub(super) ts_responder: &'a [Selector],
}

/// Why not. The peer hears [`LoginRefused::answer`]; the rest is for the log.
#[derive(Debug)]
pub(crate) struct LoginRefused {
    pub(crate) cause: Cause,
    pub(crate) identity: Option<Id>,
    pub(crate) answer: Payload,
    pub(crate) offered: String,
    pub(crate) wanted: String,
}

impl LoginRefused {
    /// Without details.
    pub(crate) fn new(cause: Cause, kind: NotifyKind) -> Self {
        let answer = notify(kind, Vec::new());
        Self { cause, identity: None, answer, offered: String::new(), wanted: String::new() }
    }

    /// The peer sent a payload of unknown type that must be understood (RFC 7296 section 2.5).
    pub(crate) fn unsupported_critical(kind: u8) -> Self {
        Self {
            answer: notify(NotifyKind::UnsupportedCriticalPayload, vec![kind]),
            offered: format!("payload type {kind}"),
            ..Self::new(Cause::UnsupportedCritical, NotifyKind::UnsupportedCriticalPayload)
        }
    }

    /// It cannot be read.
    pub(crate) fn unreadable(why: impl std::fmt::Display) -> Self {
        Self { offered: why.to_string(), ..Self::new(Cause::InvalidSyntax, NotifyKind::InvalidSyntax) }
    }

    fn of(self, identity: &Id, offered: impl std::fmt::Display, wanted: impl std::fmt::Display) -> Self {
        Self { identity: Some(identity.clone()), offered: offered.to_string(), wanted: wanted.to_string(), ..self }
    }
}

impl From<Misshapen> for Box<LoginRefused> {
    fn from(misshapen: Misshapen) -> Self {
        Self::new(LoginRefused::unreadable(misshapen))
    }
}

/// Who is it, is it true, and do we know them? `payloads` are those inside SK.
pub(crate) fn prove<'a>(
    half: &HalfOpen,
    node: &Node,
    payloads: &'a [Payload],
) -> Result<Proven<'a>, Box<LoginRefused>> {
    let identity = shape::id_initiator(payloads)?;
    let Some((method, proof)) = shape::maybe_auth(payloads)? else {
        // RFC 7296 section 2.16: leaving AUTH out asks for EAP.
        let refused = LoginRefused::new(Cause::EapNotOffered, NotifyKind::AuthenticationFailed);
        return Err(Box::new(refused.of(identity, "EAP", "PSK")));
    };
    let suite = half.ike.suite();
    let (connection, psk) = key_for(node, identity);
    let input = AuthInput {
        first_message: &half.request,
        nonce_other: &half.nonce_r,
        sk_p: &half.ike.keys.sk_pi,
        id: identity,
    };
    // The same work and the same answer whether the identity is known or not; the comparison takes constant time.
    let proven = psk_auth(suite.prf, psk, &input) == SecretBytes::from(proof);
    let failed = |cause| LoginRefused::new(cause, NotifyKind::AuthenticationFailed);
    let Some((index, connection, login)) = connection else {
        return Err(Box::new(failed(Cause::UnknownIdentity).of(identity, identity, known_ids(node))));
    };
    if method != METHOD_PSK {
        return Err(Box::new(failed(Cause::WrongAuthMethod).of(
            identity,
            format!("method {method}"),
            "method 2 (PSK)",
        )));
    }
    if !proven {
        return Err(Box::new(failed(Cause::WrongPsk).of(
            identity,
            "AUTH by another key",
            format!("the PSK of connection {}", connection.name),
        )));
    }
    if let Some(asked) = shape::maybe_id_responder(payloads)?.filter(|asked| !asked.is_same_as(&node.config.identity)) {
        let (offered, wanted) = (asked, &node.config.identity);
        return Err(Box::new(failed(Cause::WrongResponderIdentity).of(identity, offered, wanted)));
    }
    // IKE_SA_INIT had to allow what any connection allows; now we know whose it is.
    if !login.ike_proposals.iter().any(|proposal| allows(proposal, suite)) {
        let wanted: Vec<String> = login.ike_proposals.iter().map(ToString::to_string).collect();
        let refused = LoginRefused::new(Cause::NoIkeProposal, NotifyKind::NoProposalChosen);
        return Err(Box::new(refused.of(identity, suite, wanted.join(", "))));
    }
    let contact = match shape::says(payloads, NotifyKind::InitialContact) {
        true => Contact::Initial,
        false => Contact::Further,
    };
    Ok(Proven {
        identity,
        connection: index,
        contact,
        ours: ours(half, node, login),
        configuration: shape::maybe_configuration(payloads)?,
        child: child_offer(payloads)?,
    })
}

/// All of SA, TSi and TSr, or none of them.
fn child_offer(payloads: &[Payload]) -> Result<Option<ChildOffer<'_>>, Misshapen> {
    let parts =
        (shape::maybe_sa(payloads)?, shape::maybe_ts_initiator(payloads)?, shape::maybe_ts_responder(payloads)?);
    match parts {
        (None, None, None) => Ok(None),
        (Some(proposals), Some(ts_initiator), Some(ts_responder)) => {
            Ok(Some(ChildOffer { proposals, ts_initiator, ts_responder }))
        }
        (None, _, _) => Err(Misshapen("SA")),
        (_, None, _) => Err(Misshapen("TSi")),
        (_, _, None) => Err(Misshapen("TSr")),
    }
}

fn ours(half: &HalfOpen, node: &Node, login: &LoginV2) -> [Payload; 2] {
    let id = &node.config.identity;
    let input = AuthInput { first_message: &half.response, nonce_other: &half.nonce_i, sk_p: &half.ike.keys.sk_pr, id };
    let proof = psk_auth(half.ike.suite().prf, &login.psk, &input);
    // The proof is meant to be seen by the peer: SK protects it on the way.
    [Payload::IdResponder(id.clone()), Payload::Auth(METHOD_PSK, proof.expose().to_vec())]
}

/// Index, the connection, and what only IKEv2 has of it.
type Found<'a> = (usize, &'a Connection, &'a LoginV2);

/// The first connection for this identity, and a key to compute with in any case.
fn key_for<'a>(node: &'a Node, identity: &Id) -> (Option<Found<'a>>, &'a SecretBytes) {
    let connections = node.config.connections.iter().enumerate();
    let mut connections = connections.filter_map(|(index, connection)| Some((index, connection, connection.v2()?)));
    let found =
        connections.find(|(_, connection, _)| connection.remote_ids.iter().any(|pattern| pattern.matches(identity)));
    let psk = found.map_or(&node.nobodys_psk, |(_, _, login)| &login.psk);
    (found, psk)
}

fn allows(proposal: &IkeProposal, suite: IkeSuite) -> bool {
    let integ_allowed = match suite.cipher.integ() {
        Some(integ) => proposal.integ.contains(&integ),
        None => true,
    };
    proposal.encr.contains(&suite.cipher.encr())
        && integ_allowed
        && proposal.prf.contains(&suite.prf)
        && proposal.groups.contains(&suite.group)
}

fn known_ids(node: &Node) -> String {
    let connections = node.config.connections.iter().filter(|connection| connection.v2().is_some());
    let ids = connections.flat_map(|connection| &connection.remote_ids);
    ids.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
