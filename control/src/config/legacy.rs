//! Algorithms that nobody should use any more: refused unless the connection says `legacy = true`.

use super::check_v1::{LEGACY_PHASE_1_PROPOSALS, LEGACY_V1_ESP_PROPOSALS};
use super::checked::{EspProposal, IkeProposal, Phase1Proposal};
use super::error::{Problem, Warning};
use super::file::{Connection, List, Version};
use super::section::Source;
use adit_crypto::suite::Weakness;
use std::fmt::Display;

/// A weak algorithm, as a proposal spells it, and why it is.
pub(super) type Weak = (&'static str, Weakness);

/// Reports every weak algorithm that was not asked for, and warns of those that were.
pub(super) fn check(source: &Source<'_>, connection: &Connection, warnings: &mut Vec<Warning>) {
    let ike = weak_of("ike_proposals", &connection.ike_proposals, IkeProposal::weak);
    let phase_1 = weak_of("ike_proposals", &connection.phase_1_proposals, Phase1Proposal::weak);
    let esp = weak_of("esp_proposals", &connection.esp_proposals, EspProposal::weak);
    let found = ike.into_iter().chain(phase_1).chain(esp).chain(taken_by_default(connection));
    match connection.legacy.as_ref().filter(|legacy| legacy.value) {
        None => {
            for Found { key, line, proposal, weak } in found {
                let problem = Problem::Weak { found: text(&weak), proposal };
                source.error(line, format!("{} {key}", connection.title), problem);
            }
        }
        Some(legacy) => {
            let mut taken: Vec<Weak> = Vec::new();
            for weak in found.flat_map(|found| found.weak) {
                if !taken.contains(&weak) {
                    taken.push(weak);
                }
            }
            let sentence = match &taken[..] {
                [] => "no proposal of this connection needs it; take it away".to_owned(),
                taken => format!("clients may use {}", text(taken)),
            };
            let (file, key) = (source.name().to_owned(), format!("{} legacy", connection.title));
            warnings.push(Warning { file, line: legacy.line, key, sentence });
        }
    }
}

/// A proposal with something weak in it.
struct Found {
    key: &'static str,
    line: usize,
    proposal: String,
    weak: Vec<Weak>,
}

/// What `legacy = true` lets IKEv1 clients use where the file names no proposals.
fn taken_by_default(connection: &Connection) -> Vec<Found> {
    let Some(legacy) = connection.legacy.as_ref().filter(|legacy| legacy.value) else { return Vec::new() };
    if connection.ike.as_ref().is_none_or(|ike| ike.value == Version::V2) {
        return Vec::new();
    }
    let found = |key, text: &str, weak| Found { key, line: legacy.line, proposal: text.to_owned(), weak };
    let mut all = Vec::new();
    if connection.phase_1_proposals.is_none() {
        let weak = |text: &&str| Some(found("ike_proposals", text, Phase1Proposal::parse(text).ok()?.weak()));
        all.extend(LEGACY_PHASE_1_PROPOSALS.iter().filter_map(weak));
    }
    if connection.esp_proposals.is_none() {
        let weak = |text: &&str| Some(found("esp_proposals", text, EspProposal::parse(text).ok()?.weak()));
        all.extend(LEGACY_V1_ESP_PROPOSALS.iter().filter_map(weak));
    }
    all
}

fn weak_of<P: Display>(key: &'static str, proposals: &List<P>, weak: fn(&P) -> Vec<Weak>) -> Vec<Found> {
    let proposals = proposals.iter().flat_map(|list| &list.value);
    proposals
        .map(|located| {
            let (line, proposal) = (located.line, located.value.to_string());
            Found { key, line, proposal, weak: weak(&located.value) }
        })
        .filter(|found| !found.weak.is_empty())
        .collect()
}

fn text(weak: &[Weak]) -> String {
    weak.iter().map(|(name, Weakness(why))| format!("{name} ({why})")).collect::<Vec<_>>().join(", ")
}
