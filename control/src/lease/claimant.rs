//! By whom a lease is known, so that who comes back finds it again.

use crate::ike::wire::{Id, IdKind};
use std::fmt;

/// Whose a lease is. What one version of IKE proves is never what the other does: an identity of many octets cannot pass for a user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimant {
    /// Who has proven an identity by IKEv2; as [`Id::folded`].
    Identity(Id),
    /// A user in a group, by IKEv1.
    User {
        /// Octets of the group's identity.
        group: Vec<u8>,
        /// The name, or those of the group's where nobody asks for users.
        user: Vec<u8>,
    },
}

impl Claimant {
    /// Who has proven this identity, however it is spelt.
    pub fn identity(identity: &Id) -> Self {
        Self::Identity(identity.folded())
    }
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
        assert_eq!(Claimant::identity(&identity).to_string(), identity.to_string());
    }

    #[test]
    fn one_identity_is_one_claimant_however_it_is_spelt_and_octets_are_octets() {
        let claimant = |text: &str| Claimant::identity(&Id::parse(text).unwrap());
        assert_eq!(claimant("Alice@RIG"), claimant("alice@rig"));
        assert_eq!(claimant("VPN.example.org"), claimant("vpn.EXAMPLE.org"));
        assert_ne!(claimant("keyid:Alice"), claimant("keyid:alice"));
        assert_ne!(claimant("fqdn:alice@rig"), claimant("alice@rig"));
    }
}
