//! `[state]`

use super::Key;
use crate::config::section::Section;
use crate::config::shape::{Parsed, Time};
use std::time::Duration;

/// Nothing is a way to say it, so that one line switches it off.
const DIRECTORY: Parsed<String> = Parsed {
    expected: "an absolute path such as \"/var/lib/adit\", or \"\" to keep nothing",
    parse: |text| (text.is_empty() || text.starts_with('/') && !text.contains('\0')).then(|| text.to_owned()),
};
const HOLD: Time = Time { range: Duration::ZERO..=Duration::from_secs(86_400), example: "10m" };

/// `[state]`
#[derive(Debug)]
pub struct State {
    /// Where it is kept; nothing is nowhere.
    pub directory: Key<String>,
    /// Until somebody else may have the addresses of those who were here.
    pub hold_leases: Key<Duration>,
}

impl State {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self { directory: section.get("directory", &DIRECTORY), hold_leases: section.get("hold_leases", &HOLD) }
    }
}
