//! What we offer as the initiator, and whether what the responder has chosen is among that (RFC 2409 sections 5 and 5.5).

use super::wire::{Encapsulation, EspOffer, IkeOffer, LifeTime, Proposal, Protocol};
use crate::config::checked::{EspProposal, LoginV1, Pfs};
use crate::ike::service::Mode;
use adit_crypto::suite::{CipherSuite, Integ, KexGroup};

/// Transforms of one offer: with every combination of a generous configuration a first message would no longer fit
/// into a packet.
const MOST: usize = 24;

/// For phase 1, best first. Aggressive mode sends its public value along, so there is one group (RFC 2409 section 5.4).
pub(super) fn phase_1(login: &LoginV1, mode: Mode, seconds: u64) -> Vec<IkeOffer> {
    let method = super::choose::method(&login.auth);
    let life = LifeTime { seconds: Some(seconds), kilobytes: None };
    let only = match mode {
        Mode::Aggressive => login.ike_proposals.first().and_then(|proposal| proposal.groups.first()).copied(),
        Mode::Main => None,
    };
    let mut offers = Vec::new();
    for proposal in &login.ike_proposals {
        for group in proposal.groups.iter().filter(|group| only.is_none_or(|only| only == **group)) {
            for cipher in &proposal.encr {
                let offer = |hash| IkeOffer { cipher: *cipher, hash, group: *group, method, life };
                offers.extend(proposal.hash.iter().copied().map(offer));
            }
        }
    }
    offers.truncate(MOST);
    offers
}

/// As phase 1 says it.
pub(super) fn phase_1_proposal(offers: &[IkeOffer]) -> Proposal {
    let transforms = (1..=u8::MAX).zip(offers).map(|(number, offer)| offer.transform(number)).collect();
    Proposal { number: 1, protocol: Protocol::Isakmp, spi: Vec::new(), transforms }
}

/// What the responder has chosen for phase 1, if it is one of these.
pub(super) fn chosen_for_phase_1(offers: &[IkeOffer], answer: &[Proposal]) -> Option<IkeOffer> {
    let [Proposal { protocol: Protocol::Isakmp, transforms, .. }] = answer else { return None };
    let [transform] = &transforms[..] else { return None };
    let said = transform.ike().ok()?;
    // A responder that shortens the life time is obeyed by nobody and hurts nobody.
    offers.iter().copied().find(|offer| IkeOffer { life: offer.life, ..said } == *offer)
}

/// For an ESP SA, best first. All transforms of a quick mode have one group (RFC 2409 section 5.5).
pub(super) fn esp(
    proposals: &[EspProposal],
    login: &LoginV1,
    pfs: Pfs,
    encapsulation: Encapsulation,
    life: LifeTime,
) -> Vec<EspOffer> {
    let group = group(proposals, login, pfs);
    let fits = |proposal: &&EspProposal| match group {
        Some(group) => proposal.groups.is_empty() || proposal.groups.contains(&group),
        None => true,
    };
    let mut offers = Vec::new();
    for proposal in proposals.iter().filter(fits) {
        for encr in &proposal.encr {
            let integs: Vec<Option<Integ>> = match proposal.integ.is_empty() {
                true => vec![None],
                false => proposal.integ.iter().copied().map(Some).collect(),
            };
            for suite in integs.into_iter().filter_map(|integ| CipherSuite::new(*encr, integ)) {
                let offer = |numbers| EspOffer { suite, group, encapsulation, numbers, life };
                offers.extend(proposal.numbers.iter().copied().map(offer));
            }
        }
    }
    // IKEv1 has no number for ChaCha20-Poly1305.
    offers.retain(|offer| offer.transform(1).is_some());
    offers.truncate(MOST);
    offers
}

/// As quick mode says it; the SPI is ours.
pub(super) fn esp_proposal(offers: &[EspOffer], spi: u32) -> Proposal {
    let transforms = (1..=u8::MAX).zip(offers).filter_map(|(number, offer)| offer.transform(number)).collect();
    Proposal { number: 1, protocol: Protocol::Esp, spi: spi.to_be_bytes().to_vec(), transforms }
}

/// What the responder has chosen for an ESP SA, and its SPI, if it is one of these.
pub(super) fn chosen_for_esp(offers: &[EspOffer], answer: &[Proposal]) -> Option<(EspOffer, u32)> {
    let [Proposal { protocol: Protocol::Esp, spi, transforms, .. }] = answer else { return None };
    let [transform] = &transforms[..] else { return None };
    let said = transform.esp().ok()?;
    let spi_out = u32::from_be_bytes(spi.as_slice().try_into().ok()?);
    let offer = offers.iter().copied().find(|offer| EspOffer { life: offer.life, ..said } == *offer)?;
    Some((offer, spi_out))
}

/// The first that the configuration names; with PFS required and none named, the best of phase 1.
fn group(proposals: &[EspProposal], login: &LoginV1, pfs: Pfs) -> Option<KexGroup> {
    let named = proposals.first().and_then(|proposal| proposal.groups.first()).copied();
    match pfs {
        Pfs::Optional => named,
        Pfs::Required => named
            .or_else(|| proposals.iter().find_map(|proposal| proposal.groups.first().copied()))
            .or_else(|| login.ike_proposals.first().and_then(|proposal| proposal.groups.first()).copied()),
    }
}
