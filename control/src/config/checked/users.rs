//! Users of our own, and who else knows some.

use super::PasswordHash;
use crate::aaa::UserName;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// The `[[user]]` table.
#[derive(Debug, Clone, Default)]
pub struct Users(pub BTreeMap<UserName, User>);

impl Users {
    /// Inner addresses of their own.
    pub fn addresses(&self) -> BTreeSet<Ipv4Addr> {
        self.0.values().filter_map(|user| user.address).collect()
    }
}

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

/// Who is asked about a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserSource {
    /// The `[[user]]` table.
    Local,
    /// The `[[radius]]` servers.
    Radius,
}
