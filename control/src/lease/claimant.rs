//! By whom a lease is known, so that who comes back finds it again.

use crate::ike::wire::{Id, IdKind};
use std::fmt;

/// Whose a lease is. What one version of IKE proves is never what the other does: an identity of many octets cannot pass for a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimant {
    /// Who has proven an identity by IKEv2.
    Identity(Id),
    /// A user in a group, by IKEv1.
    User {
        /// Octets of the group's identity.
        group: Vec<u8>,
        /// The name, or those of the group's where nobody asks for users.
        user: Vec<u8>,
    },
}

/// Who that is, a user without its group.
impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(identity) => identity.fmt(f),
            Self::User { group: _, user } => {
                let named = std::str::from_utf8(user).ok().and_then(|text| Id::parse(text).ok());
                named.unwrap_or_else(|| Id { kind: IdKind::KeyId, bytes: user.clone() }).fmt(f)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_shown_without_the_group_and_what_is_no_text_as_octets() {
        let user = |user: &[u8]| Claimant::User { group: b"riggroup".to_vec(), user: user.to_vec() }.to_string();
        assert_eq!(user(b"bob"), "bob");
        assert_eq!(user(b"alice@rig"), "alice@rig");
        assert_eq!(user(b"\xff"), "keyid:\\xff");
        let identity = Id { kind: IdKind::KeyId, bytes: b"riggroup\0bob".to_vec() };
        assert_eq!(Claimant::Identity(identity.clone()).to_string(), identity.to_string());
    }
}
