//! Users of our own, and who else knows some.

use crate::aaa::UserName;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The `[[user]]` table.
#[derive(Debug, Clone, Default)]
pub struct Users(pub BTreeMap<UserName, User>);

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What their password is checked against.
    pub password: PasswordHash,
    /// Whether they may in.
    pub access: Access,
    /// An inner address of their own.
    pub address: Option<Ipv4Addr>,
}

/// Whether a user may in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// With the right password.
    Open,
    /// Not even then.
    Locked,
}

/// An Argon2 hash in PHC form, whose parameters are within bounds. Not a secret as the password is, but what an attacker
/// can work on: it never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub(in crate::config) String);

impl PasswordHash {
    /// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Who is asked about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserSource {
    /// The `[[user]]` table.
    Local,
    /// The `[[radius]]` servers.
    Radius,
}
