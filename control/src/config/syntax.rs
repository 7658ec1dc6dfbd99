//! What is not TOML, in the words of the other errors: line, section, key. A value is never shown: it may be secret.

use super::error::{ConfigError, Problem};

/// One error per line, in order.
pub(super) fn explain(name: &str, text: &str, errors: &[toml::de::Error]) -> Vec<ConfigError> {
    let mut explained: Vec<ConfigError> = Vec::with_capacity(errors.len());
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        // At the end of a line its end is meant, not the next one's start.
        let line = 1 + before.matches('\n').count();
        if explained.iter().any(|other| other.line == Some(line)) {
            continue;
        }
        let written = text.lines().nth(line - 1).unwrap_or_default();
        let mut sentence = error.message().replace('\n', ", ");
        if written.split_once('=').is_some_and(|(_, value)| has_bare_unit(value)) {
            sentence.push_str(" (a value with a unit stands in quotes, such as \"30s\")");
        }
        let key = key_of(text, line, written);
        explained.push(ConfigError {
            file: name.to_owned(),
            line: Some(line),
            key,
            problem: Problem::Syntax(sentence),
        });
    }
    explained.sort_by_key(|error| error.line);
    explained
}

/// `[ike] dpd_delay`, as far as the lines show it.
fn key_of(text: &str, line: usize, written: &str) -> String {
    let above = text.lines().take(line).filter(|line| line.trim_start().starts_with('['));
    let section = above.last().and_then(|header| header.split(']').next().map(|start| (header, start)));
    let section = section.map(|(header, start)| {
        let closing = if header.trim_start().starts_with("[[") { "]]" } else { "]" };
        format!("{}{closing}", start.trim())
    });
    let key = written.split_once('=').map(|(key, _)| key.trim().to_owned());
    [section, key].into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn has_bare_unit(value: &str) -> bool {
    let value = value.trim();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && value.as_bytes().get(digits).is_some_and(u8::is_ascii_alphabetic)
}
