//! One list out of those of all connections: before IKE_AUTH nobody knows whose the client is, and what IKE_SA_INIT chooses has to be
//! allowed by its connection then.

use crate::config::checked::IkeProposal;
use std::cmp::Reverse;

/// So many proposals that all lists have in common are looked for: they are products of lists.
const MOST_IN_COMMON: usize = 64;

/// First what all lists allow, then what most of them do, in their order. What only old clients need comes last: whoever offers better
/// belongs elsewhere, most likely.
pub(crate) fn merge(lists: &[&[IkeProposal]]) -> Vec<IkeProposal> {
    let [first, others @ ..] = lists else { return Vec::new() };
    if others.iter().all(|other| other == first) {
        return first.to_vec();
    }
    let mut each: Vec<&IkeProposal> = Vec::new();
    for proposal in lists.iter().copied().flatten() {
        if !each.contains(&proposal) {
            each.push(proposal);
        }
    }
    let allowed_by = |proposal: &IkeProposal| lists.iter().filter(|list| has(list, proposal)).count();
    each.sort_by_cached_key(|proposal| (proposal.is_for_old_clients(), Reverse(allowed_by(proposal))));
    let mut merged = in_common(lists);
    merged.retain(|proposal| !proposal.is_for_old_clients());
    for proposal in each {
        if !has(&merged, proposal) {
            merged.push(proposal.clone());
        }
    }
    merged
}

/// What every one of these lists allows, in the order of the first.
pub(crate) fn in_common(lists: &[&[IkeProposal]]) -> Vec<IkeProposal> {
    let [first, others @ ..] = lists else { return Vec::new() };
    let mut common = first.to_vec();
    for list in others {
        let mut narrower: Vec<IkeProposal> = Vec::new();
        for both in common.iter().flat_map(|one| list.iter().filter_map(move |other| intersection(one, other))) {
            if narrower.len() < MOST_IN_COMMON && !has(&narrower, &both) {
                narrower.push(both);
            }
        }
        common = narrower;
    }
    common
}

/// Whether one of them allows all that this one does.
fn has(list: &[IkeProposal], proposal: &IkeProposal) -> bool {
    fn all<T: PartialEq>(these: &[T], of: &[T]) -> bool {
        these.iter().all(|one| of.contains(one))
    }
    let IkeProposal { encr, integ, prf, groups } = proposal;
    list.iter()
        .any(|one| all(encr, &one.encr) && all(integ, &one.integ) && all(prf, &one.prf) && all(groups, &one.groups))
}

/// What both allow. All AEAD or none, so both have integrity algorithms or none.
fn intersection(one: &IkeProposal, other: &IkeProposal) -> Option<IkeProposal> {
    fn both<T: Copy + PartialEq>(these: &[T], those: &[T]) -> Vec<T> {
        these.iter().filter(|one| those.contains(one)).copied().collect()
    }
    let common = IkeProposal {
        encr: both(&one.encr, &other.encr),
        integ: both(&one.integ, &other.integ),
        prf: both(&one.prf, &other.prf),
        groups: both(&one.groups, &other.groups),
    };
    let authenticates = one.integ.is_empty() || !common.integ.is_empty();
    (authenticates && !common.encr.is_empty() && !common.prf.is_empty() && !common.groups.is_empty()).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(lists: &[&[&str]]) -> Vec<String> {
        let parse = |list: &&[&str]| list.iter().map(|text| IkeProposal::parse(text).unwrap()).collect::<Vec<_>>();
        let lists: Vec<Vec<IkeProposal>> = lists.iter().map(parse).collect();
        let lists: Vec<&[IkeProposal]> = lists.iter().map(Vec::as_slice).collect();
        merge(&lists).iter().map(ToString::to_string).collect()
    }

    const GOOD: &str = "aes256gcm16-prfsha384-x25519";
    const OTHER: &str = "aes128gcm16-prfsha256-x25519";
    const PLAIN: &str = "aes256-sha256-modp2048";
    const SHA1: &str = "aes128-sha1-modp2048";
    const WEAK: &str = "3des-md5-modp2048";

    #[test]
    fn one_list_stays_as_it_is_written_however_many_have_it() {
        assert_eq!(merged(&[]), [""; 0]);
        assert_eq!(merged(&[&[WEAK, SHA1, GOOD]]), [WEAK, SHA1, GOOD]);
        let list: &[&str] = &[WEAK, SHA1, GOOD];
        assert_eq!(merged(&[list, list, list]), [WEAK, SHA1, GOOD]);
    }

    #[test]
    fn what_all_allow_comes_first_then_what_most_do_and_what_is_old_last() {
        assert_eq!(merged(&[&[GOOD, PLAIN], &[OTHER, PLAIN]]), [PLAIN, GOOD, OTHER]);
        assert_eq!(merged(&[&[GOOD], &[OTHER], &[PLAIN, OTHER]]), [OTHER, GOOD, PLAIN]);
        assert_eq!(merged(&[&[WEAK, SHA1], &[SHA1], &[GOOD]]), [GOOD, SHA1, WEAK]);
        assert_eq!(merged(&[&[SHA1, GOOD], &[SHA1]]), [GOOD, SHA1], "nobody who has better is led to it");
    }

    #[test]
    fn what_two_proposals_have_in_common_is_one_of_its_own() {
        assert_eq!(
            merged(&[&["aes256-aes128-sha512-sha256-ecp384-modp2048"], &[GOOD, "aes128-sha256-modp2048-x25519"]]),
            [
                "aes128-sha256-modp2048",
                "aes256-aes128-sha512-sha256-ecp384-modp2048",
                GOOD,
                "aes128-sha256-modp2048-x25519"
            ]
        );
        assert_eq!(merged(&[&["aes256-sha256-ecp256"], &["aes256-sha512-ecp256"]]).len(), 2, "no algorithm in common");
    }
}
