//! Choice among what a quick mode offers (RFC 2407 section 4.4.4, RFC 2409 section 5.5).

use super::wire::{Encapsulation, EspOffer, Proposal, Protocol};
use crate::config::checked::{EspProposal, LoginV1, Pfs};
use adit_crypto::suite::KexGroup;

/// What was chosen.
#[derive(Debug, Clone)]
pub(super) struct QuickChoice {
    /// What it means.
    pub(super) offer: EspOffer,
    /// The peer's.
    pub(super) spi_out: u32,
    /// The proposal to answer with: one transform. Its SPI is still the peer's.
    pub(super) answer: Proposal,
}

/// What is allowed.
pub(super) struct Allowed<'a> {
    pub(super) proposals: &'a [EspProposal],
    pub(super) login: &'a LoginV1,
    pub(super) encapsulation: Encapsulation,
}

/// The configuration's order of preference wins, then the peer's. Transforms that adit does not know are passed over.
///
/// DEVIATES: proposals with one number are to be taken together (RFC 2408 section 4.2): ESP and AH, or ESP and IPComp.
/// adit does neither AH nor IPComp, so such a bundle is passed over.
pub(super) fn choose(offered: &[Proposal], allowed: &Allowed<'_>) -> Option<QuickChoice> {
    let alone = |proposal: &&Proposal| offered.iter().filter(|other| other.number == proposal.number).count() == 1;
    let esp = |proposal: &&Proposal| proposal.protocol == Protocol::Esp;
    for wanted in allowed.proposals {
        for proposal in offered.iter().filter(esp).filter(alone) {
            let Ok(spi) = <[u8; 4]>::try_from(proposal.spi.as_slice()) else { continue };
            for transform in &proposal.transforms {
                let Ok(offer) = transform.esp() else { continue };
                if allows(wanted, allowed, &offer) {
                    let answer = Proposal { transforms: vec![transform.clone()], ..proposal.clone() };
                    return Some(QuickChoice { offer, spi_out: u32::from_be_bytes(spi), answer });
                }
            }
        }
    }
    None
}

fn allows(wanted: &EspProposal, allowed: &Allowed<'_>, offer: &EspOffer) -> bool {
    let integ = match offer.suite.integ() {
        Some(integ) => wanted.integ.contains(&integ),
        None => wanted.integ.is_empty(),
    };
    wanted.encr.contains(&offer.suite.encr())
        && integ
        && wanted.numbers.contains(&offer.numbers)
        && offer.encapsulation == allowed.encapsulation
        && group_allowed(wanted, allowed.login, offer.group)
}

/// PFS as the client likes, unless it is required: with the groups of the ESP proposal, or those of phase 1 where it
/// names none.
fn group_allowed(wanted: &EspProposal, login: &LoginV1, group: Option<KexGroup>) -> bool {
    match (group, login.pfs) {
        (None, Pfs::Optional) => true,
        (None, Pfs::Required) => false,
        (Some(group), Pfs::Optional | Pfs::Required) if !wanted.groups.is_empty() => wanted.groups.contains(&group),
        (Some(group), Pfs::Optional | Pfs::Required) => {
            login.ike_proposals.iter().any(|proposal| proposal.groups.contains(&group))
        }
    }
}

/// As config spells it, cut at a bounded length.
pub(super) fn shown(offered: &[Proposal]) -> String {
    const MOST: usize = 12;
    let text = |transform: &super::wire::Transform| match transform.esp() {
        Ok(EspOffer { suite, group: None, encapsulation, .. }) => format!("{suite} ({encapsulation:?})"),
        Ok(EspOffer { suite, group: Some(group), encapsulation, .. }) => {
            format!("{suite}-{} ({encapsulation:?})", group.name())
        }
        Err(unusable) => format!("({unusable})"),
    };
    let all = offered.iter().flat_map(|proposal| &proposal.transforms);
    let mut texts: Vec<String> = all.clone().take(MOST).map(text).collect();
    let left_out = all.count().saturating_sub(MOST);
    if left_out > 0 {
        texts.push(format!("… ({left_out} more)"));
    }
    texts.join(", ")
}
