//! Algorithms that nobody should use any more: refused unless the connection says `legacy = true`.

use super::checked::{EspProposal, IkeProposal};
use super::error::{Problem, Warning};
use super::file::{Connection, List};
use super::section::Source;
use adit_crypto::suite::Weakness;
use std::fmt::Display;

/// A weak algorithm, as a proposal spells it, and why it is.
pub(super) type Weak = (&'static str, Weakness);

/// Reports every weak algorithm that was not asked for, and warns of those that were.
pub(super) fn check(source: &Source<'_>, connection: &Connection, warnings: &mut Vec<Warning>) {
    let ike = weak_of("ike_proposals", &connection.ike_proposals, IkeProposal::weak);
    let esp = weak_of("esp_proposals", &connection.esp_proposals, EspProposal::weak);
    let found = ike.into_iter().chain(esp);
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
