//! Choice among proposals (RFC 7296 sections 2.7 and 3.3). Our order of preference wins: config is best first.

mod merge;
mod shown;

use super::wire::{Proposal, Protocol, Transform, TransformKind};
use crate::config::checked::{EspProposal, IkeProposal, IkeSuite};
use adit_crypto::suite::{CipherSuite, Encr, Integ, KexGroup, PrfId, SequenceNumbers};
pub(crate) use merge::{in_common, merge};
use shown::{offered_text, wanted_text};

/// Nothing that was offered is allowed. Its text is for the log, never for the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("offered {offered}; wanted {wanted}")]
pub struct NoProposal {
    /// What the peer offered, as config spells it, cut at a bounded length.
    pub offered: String,
    /// What config allows.
    pub wanted: String,
}

/// A child SA's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EspChoice {
    /// The accepted proposal; its SPI is still the peer's, to be replaced by ours before it is sent.
    pub answer: Proposal,
    /// The SPI that the peer wants to see in what we send.
    pub peer_spi: u32,
    /// Protects the packets.
    pub cipher: CipherSuite,
    /// How packets are numbered.
    pub numbers: SequenceNumbers,
    /// Group of this exchange's own key exchange. If the KE payload is of another group, or missing, the answer is
    /// INVALID_KE_PAYLOAD with this one (RFC 7296 section 1.3).
    pub group: Option<KexGroup>,
}

/// Which exchange makes the child SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildExchange {
    /// The first child: it has no key exchange of its own, groups are not looked at (RFC 7296 section 1.2).
    IkeAuth,
    /// Groups are chosen as config says.
    CreateChildSa,
}

/// Chooses for an IKE SA. Returns the proposal to answer with and what it means.
///
/// The answer's SPI is still the peer's (empty in IKE_SA_INIT, 8 octets in a rekey). If the chosen group is not the
/// KE payload's, the answer is INVALID_KE_PAYLOAD with that group (RFC 7296 section 1.2).
pub fn choose_ike(offered: &[Proposal], allowed: &[IkeProposal]) -> Result<(Proposal, IkeSuite), NoProposal> {
    allowed
        .iter()
        .flat_map(|allowed| offered.iter().map(move |offered| (offered, allowed)))
        .find_map(|(offered, allowed)| try_ike(offered, allowed))
        .ok_or_else(|| NoProposal { offered: offered_text(offered), wanted: wanted_text(allowed) })
}

/// Chooses for a child SA.
pub fn choose_esp(
    offered: &[Proposal],
    allowed: &[EspProposal],
    exchange: ChildExchange,
) -> Result<EspChoice, NoProposal> {
    allowed
        .iter()
        .flat_map(|allowed| offered.iter().map(move |offered| (offered, allowed)))
        .find_map(|(offered, allowed)| try_esp(offered, allowed, exchange))
        .ok_or_else(|| NoProposal { offered: offered_text(offered), wanted: wanted_text(allowed) })
}

/// What we offer for an IKE SA, best first, numbered from 1. `spi` is empty in IKE_SA_INIT, 8 octets in a rekey.
pub fn offer_ike(allowed: &[IkeProposal], spi: &[u8]) -> Vec<Proposal> {
    numbered(allowed, Protocol::Ike, spi, |proposal| {
        let encr = proposal.encr.iter().copied().map(encr_transform);
        let integ = proposal.integ.iter().map(|integ| plain(TransformKind::Integ, integ.iana()));
        let prf = proposal.prf.iter().map(|prf| plain(TransformKind::Prf, prf.iana()));
        let groups = proposal.groups.iter().map(|group| plain(TransformKind::KeyExchange, group.iana()));
        encr.chain(integ).chain(prf).chain(groups).collect()
    })
}

/// What we offer for a child SA, best first, numbered from 1.
pub fn offer_esp(allowed: &[EspProposal], spi: u32, exchange: ChildExchange) -> Vec<Proposal> {
    numbered(allowed, Protocol::Esp, &spi.to_be_bytes(), |proposal| {
        let encr = proposal.encr.iter().copied().map(encr_transform);
        let integ = proposal.integ.iter().map(|integ| plain(TransformKind::Integ, integ.iana()));
        let groups = match exchange {
            ChildExchange::IkeAuth => &[][..],
            ChildExchange::CreateChildSa => &proposal.groups,
        };
        let groups = groups.iter().map(|group| plain(TransformKind::KeyExchange, group.iana()));
        let numbers = proposal.numbers.iter().map(|numbers| plain(TransformKind::Esn, numbers.iana()));
        encr.chain(integ).chain(groups).chain(numbers).collect()
    })
}

/// NONE as an integrity transform or as a group (RFC 7296 section 3.3.2).
const NONE: u16 = 0;

fn try_ike(offered: &Proposal, allowed: &IkeProposal) -> Option<(Proposal, IkeSuite)> {
    use TransformKind::{Encr, Integ, KeyExchange, Prf};
    if offered.protocol != Protocol::Ike || !only_kinds(offered, &[Encr, Integ, Prf, KeyExchange]) {
        return None;
    }
    let (encr, encr_transform) = pick_encr(offered, &allowed.encr)?;
    let (integ, integ_transform) = pick_integ(offered, encr, &allowed.integ)?;
    let (prf, prf_transform) = pick(offered, Prf, &allowed.prf, PrfId::iana)?;
    let (group, group_transform) = pick(offered, KeyExchange, &allowed.groups, KexGroup::iana)?;
    let cipher = CipherSuite::new(encr, integ)?;
    let transforms = [Some(encr_transform), integ_transform, Some(prf_transform), Some(group_transform)];
    Some((answer(offered, &transforms), IkeSuite { cipher, prf, group }))
}

fn try_esp(offered: &Proposal, allowed: &EspProposal, exchange: ChildExchange) -> Option<EspChoice> {
    use TransformKind::{Encr, Esn, Integ, KeyExchange};
    if offered.protocol != Protocol::Esp || !only_kinds(offered, &[Encr, Integ, KeyExchange, Esn]) {
        return None;
    }
    let peer_spi = u32::from_be_bytes(offered.spi.as_slice().try_into().ok()?);
    let (encr, encr_transform) = pick_encr(offered, &allowed.encr)?;
    let (integ, integ_transform) = pick_integ(offered, encr, &allowed.integ)?;
    let (group, group_transform) = match exchange {
        ChildExchange::IkeAuth => (None, None),
        ChildExchange::CreateChildSa => pick_group(offered, &allowed.groups)?,
    };
    // RFC 7296 section 3.3.3: the ESN transform is mandatory for ESP, a proposal without it is not acceptable.
    let (numbers, esn_transform) = pick(offered, Esn, &allowed.numbers, SequenceNumbers::iana)?;
    let cipher = CipherSuite::new(encr, integ)?;
    let transforms = [Some(encr_transform), integ_transform, group_transform, Some(esn_transform)];
    Some(EspChoice { answer: answer(offered, &transforms), peer_spi, cipher, numbers, group })
}

/// RFC 7296 section 3.3.3: a proposal with a transform type that we do not understand is not acceptable.
fn only_kinds(offered: &Proposal, known: &[TransformKind]) -> bool {
    offered.transforms.iter().all(|transform| known.contains(&transform.kind))
}

fn pick_encr(offered: &Proposal, allowed: &[Encr]) -> Option<(Encr, Transform)> {
    allowed.iter().find_map(|encr| Some((*encr, find(offered, encr_transform(*encr))?)))
}

/// For an AEAD the peer leaves integrity out or offers NONE (RFC 7296 section 3.3, RFC 5282 section 8).
fn pick_integ(offered: &Proposal, encr: Encr, allowed: &[Integ]) -> Option<(Option<Integ>, Option<Transform>)> {
    if encr.is_aead() {
        return Some((None, none_or_absent(offered, TransformKind::Integ)?));
    }
    let (integ, transform) = pick(offered, TransformKind::Integ, allowed, Integ::iana)?;
    Some((Some(integ), Some(transform)))
}

fn pick_group(offered: &Proposal, allowed: &[KexGroup]) -> Option<(Option<KexGroup>, Option<Transform>)> {
    if allowed.is_empty() {
        return Some((None, none_or_absent(offered, TransformKind::KeyExchange)?));
    }
    let (group, transform) = pick(offered, TransformKind::KeyExchange, allowed, KexGroup::iana)?;
    Some((Some(group), Some(transform)))
}

/// `Some(None)` if there is no transform of this kind, `Some(Some(NONE))` if NONE is among them.
fn none_or_absent(offered: &Proposal, kind: TransformKind) -> Option<Option<Transform>> {
    if offered.transforms.iter().all(|transform| transform.kind != kind) {
        return Some(None);
    }
    find(offered, plain(kind, NONE)).map(Some)
}

/// Our first choice that is offered.
fn pick<T: Copy>(offered: &Proposal, kind: TransformKind, allowed: &[T], iana: fn(T) -> u16) -> Option<(T, Transform)> {
    allowed.iter().find_map(|choice| Some((*choice, find(offered, plain(kind, iana(*choice)))?)))
}

/// Exactly this transform; one with an attribute that we do not know is another (RFC 7296 section 3.3.6).
fn find(offered: &Proposal, wanted: Transform) -> Option<Transform> {
    offered.transforms.iter().copied().find(|transform| *transform == wanted)
}

fn answer(offered: &Proposal, transforms: &[Option<Transform>]) -> Proposal {
    Proposal {
        number: offered.number,
        protocol: offered.protocol,
        spi: offered.spi.clone(),
        transforms: transforms.iter().copied().flatten().collect(),
    }
}

fn numbered<T>(
    allowed: &[T],
    protocol: Protocol,
    spi: &[u8],
    transforms: impl Fn(&T) -> Vec<Transform>,
) -> Vec<Proposal> {
    (1..=u8::MAX)
        .zip(allowed)
        .map(|(number, proposal)| Proposal { number, protocol, spi: spi.to_vec(), transforms: transforms(proposal) })
        .collect()
}

fn encr_transform(encr: Encr) -> Transform {
    let (id, key_bits) = encr.iana();
    Transform { kind: TransformKind::Encr, id, key_bits, unknown_attribute: false }
}

fn plain(kind: TransformKind, id: u16) -> Transform {
    Transform { kind, id, key_bits: None, unknown_attribute: false }
}

#[cfg(test)]
mod tests;
