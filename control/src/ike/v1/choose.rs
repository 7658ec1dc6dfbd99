//! Choice among what phase 1 offers (RFC 2409 section 5): the transform that is chosen goes back unchanged.

use super::wire::{AuthMethod, IkeOffer, Proposal, Protocol};
use crate::config::checked::{AuthV1, LoginV1, Phase1Proposal};
use crate::ike::propose::NoProposal;

/// What was chosen.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    /// What it means.
    pub(super) offer: IkeOffer,
    /// The proposal to answer with: one transform.
    pub(super) answer: Proposal,
}

/// The first that some connection allows, connections and their proposals in the configuration's order, and then in
/// the client's. Transforms that adit does not know are passed over: vpnc offers encryption 0.
pub(super) fn choose<'a>(
    offered: &[Proposal],
    allowed: impl Iterator<Item = &'a LoginV1> + Clone,
) -> Result<Chosen, NoProposal> {
    let proposals = allowed.clone().flat_map(|login| login.ike_proposals.iter().map(move |wanted| (login, wanted)));
    for (login, wanted) in proposals {
        for proposal in offered.iter().filter(|proposal| proposal.protocol == Protocol::Isakmp) {
            for transform in &proposal.transforms {
                let Ok(offer) = transform.ike() else { continue };
                if offer.method == method(&login.auth) && allows(wanted, &offer) {
                    let answer = Proposal { transforms: vec![transform.clone()], ..proposal.clone() };
                    return Ok(Chosen { offer, answer });
                }
            }
        }
    }
    Err(NoProposal { offered: shown(offered), wanted: wanted_text(allowed) })
}

/// Whether a connection would have chosen this.
pub(super) fn may_be(login: &LoginV1, offer: &IkeOffer) -> bool {
    offer.method == method(&login.auth) && login.ike_proposals.iter().any(|wanted| allows(wanted, offer))
}

/// The number of a connection's way to log in.
pub(super) const fn method(auth: &AuthV1) -> AuthMethod {
    match auth {
        AuthV1::Psk { .. } => AuthMethod::Psk,
        AuthV1::XauthPsk { .. } => AuthMethod::XauthInitPsk,
        AuthV1::Rsa { .. } => AuthMethod::Rsa,
        AuthV1::XauthRsa { .. } => AuthMethod::XauthInitRsa,
        AuthV1::Hybrid { .. } => AuthMethod::HybridInitRsa,
    }
}

fn allows(wanted: &Phase1Proposal, offer: &IkeOffer) -> bool {
    wanted.encr.contains(&offer.cipher) && wanted.hash.contains(&offer.hash) && wanted.groups.contains(&offer.group)
}

/// As config spells it, cut at a bounded length.
fn shown(offered: &[Proposal]) -> String {
    const MOST: usize = 12;
    let mut texts = Vec::new();
    let mut left_out = 0;
    for transform in offered.iter().flat_map(|proposal| &proposal.transforms) {
        if texts.len() == MOST {
            left_out += 1;
            continue;
        }
        texts.push(match transform.ike() {
            Ok(offer) => format!("{} by {}", super::suite::Suite::from(offer), offer.method.name()),
            Err(unusable) => format!("({unusable})"),
        });
    }
    if left_out > 0 {
        texts.push(format!("… ({left_out} more)"));
    }
    texts.join(", ")
}

fn wanted_text<'a>(allowed: impl Iterator<Item = &'a LoginV1>) -> String {
    let text = |login: &LoginV1| {
        let proposals: Vec<String> = login.ike_proposals.iter().map(ToString::to_string).collect();
        format!("{} by {}", proposals.join(", "), login.auth.name())
    };
    allowed.map(text).collect::<Vec<_>>().join("; ")
}
