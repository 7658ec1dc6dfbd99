//! `[[class]]`

use super::{Key, millis};
use crate::config::section::Section;
use crate::config::shape::{Bandwidth, Text};
use adit_dataplane::contract::Rate;
use std::time::Duration;

/// `[[class]]`
#[derive(Debug)]
pub struct Class {
    /// In error messages.
    pub title: String,
    /// Unique.
    pub name: Key<String>,
    /// From the client, in bits a second.
    pub rate_up: Key<u64>,
    /// To the client.
    pub rate_down: Key<u64>,
    /// How much may come at once, as a time of the rate.
    pub burst: Key<Duration>,
}

/// A slower line does not carry a TCP connection.
const RATE: Bandwidth = Bandwidth { range: 8_000..=Rate::FASTEST, example: "10Mbit" };

impl Class {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let name = section.want("name", &Text("a name such as \"bronze\""));
        if let Some(name) = &name {
            section.call_it(&name.value);
        }
        Self {
            rate_up: section.get("rate_up", &RATE),
            rate_down: section.get("rate_down", &RATE),
            burst: section.get("burst", &millis(1, 10_000, "500ms")),
            title: section.title().to_owned(),
            name,
        }
    }
}
