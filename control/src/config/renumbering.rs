//! Connections are known by their places while aditd runs; another file may have them in other places.

use super::checked::{Config, Connection, Login};

/// Where each connection of one configuration is in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renumbering(Vec<Option<usize>>);

/// No connection has this place.
const NOWHERE: usize = usize::MAX;

impl Renumbering {
    /// A connection goes on as the one with its name, if that is by the same version of IKE.
    pub fn new(old: &Config, new: &Config) -> Self {
        let goes_on_as = |one: &Connection, other: &Connection| {
            one.name == other.name
                && match (&one.login, &other.login) {
                    (Login::V2(_), Login::V2(_)) | (Login::V1(_), Login::V1(_)) => true,
                    (Login::V2(_), Login::V1(_)) | (Login::V1(_), Login::V2(_)) => false,
                }
        };
        let place = |one: &Connection| new.connections.iter().position(|other| goes_on_as(one, other));
        Self(old.connections.iter().map(place).collect())
    }

    /// The new place of the connection at this old one; one that no connection has if it is gone.
    pub fn place(&self, old: usize) -> usize {
        self.0.get(old).copied().flatten().unwrap_or(NOWHERE)
    }
}
