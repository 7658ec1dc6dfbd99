//! `[[user]]`

use super::Key;
use crate::aaa::UserName;
use crate::config::checked::PasswordHash;
use crate::config::section::Section;
use crate::config::shape::{HashText, Parsed, YesOrNo};
use std::net::Ipv4Addr;

/// `[[user]]`
#[derive(Debug)]
pub struct User {
    /// In error messages.
    pub title: String,
    /// Unique.
    pub name: Key<UserName>,
    /// What the password is checked against.
    pub password_hash: Key<PasswordHash>,
    /// Whether the user may in.
    pub locked: Key<bool>,
    /// Of their own.
    pub address: Key<Ipv4Addr>,
}

const NAME: Parsed<UserName> = Parsed {
    expected: "a user's name of 1 to 253 octets such as \"alice\", without control characters",
    parse: |text| UserName::new(text.as_bytes()).ok(),
};
const ADDRESS: Parsed<Ipv4Addr> =
    Parsed { expected: "an IPv4 address such as \"10.30.7.7\"", parse: |text| text.parse().ok() };

impl User {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let name = section.want("name", &NAME);
        if let Some(name) = &name {
            section.call_it(name.value.as_str());
        }
        Self {
            password_hash: section.want("password_hash", &HashText),
            locked: section.get("locked", &YesOrNo),
            address: section.get("address", &ADDRESS),
            title: section.title().to_owned(),
            name,
        }
    }
}
