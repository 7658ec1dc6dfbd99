//! Users of our own: one Argon2 computation for everybody who asks, known or not.

use super::UserName;
use super::question::QuestionId;
use crate::config::checked::{Access, PasswordHash, Users};
use adit_crypto::random::SecretRandom;
use adit_crypto::secret::SecretBytes;
use std::net::Ipv4Addr;

/// A password to be checked: some tens of milliseconds of work, for a thread that may be busy so long.
#[derive(Debug)]
pub struct Check {
    id: QuestionId,
    password: SecretBytes,
    against: PasswordHash,
    who: Who,
}

/// Whose password it is.
#[derive(Debug, Clone, Copy)]
enum Who {
    Known { access: Access, address: Option<Ipv4Addr> },
    Nobody,
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// For which question.
    pub(super) id: QuestionId,
    pub(super) found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Right { address: Option<Ipv4Addr> },
    Wrong,
    Locked,
    Nobody,
}

impl Check {
    /// Does the work.
    pub fn run(&self) -> Checked {
        let right = self.against.is_of(&self.password);
        let found = match (self.who, right) {
            (Who::Nobody, _) => Found::Nobody,
            (Who::Known { access: Access::Locked, .. }, _) => Found::Locked,
            (Who::Known { access: Access::Open, .. }, false) => Found::Wrong,
            (Who::Known { access: Access::Open, address }, true) => Found::Right { address },
        };
        Checked { id: self.id, found }
    }
}

/// Who is in the table, and what nobody is checked against.
#[derive(Debug)]
pub(super) struct LocalUsers {
    users: Users,
    nobody: PasswordHash,
}

impl LocalUsers {
    pub(super) fn new(users: Users, random: &mut dyn SecretRandom) -> Self {
        let mut salt_and_hash = [0; 48];
        random.fill(&mut salt_and_hash);
        // The work of the costliest hash: whoever asks for somebody who is not there must not be answered sooner.
        let costliest = users.0.values().map(|user| &user.password).max_by_key(|password| password.cost());
        let nobody = PasswordHash::of_nobody(costliest, &salt_and_hash);
        Self { users, nobody }
    }

    /// Whether somebody is in the table.
    pub(super) fn knows(&self, user: &UserName) -> bool {
        self.users.0.contains_key(user)
    }

    pub(super) fn check(&self, id: QuestionId, user: &UserName, password: &SecretBytes) -> Check {
        let password = password.clone();
        match self.users.0.get(user) {
            Some(user) => {
                let who = Who::Known { access: user.access, address: user.address };
                Check { id, password, against: user.password.clone(), who }
            }
            None => Check { id, password, against: self.nobody.clone(), who: Who::Nobody },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aaa::testing::{cheap_hash, user};
    use adit_crypto::random::SeededRandom;

    fn table() -> LocalUsers {
        let mut users = Users::default();
        users.0.insert(UserName::new(b"alice").unwrap(), user("alice-pass", Access::Open));
        users.0.insert(UserName::new(b"mallory").unwrap(), user("mallory-pass", Access::Locked));
        LocalUsers::new(users, &mut SeededRandom::new(3))
    }

    fn found(name: &str, password: &str) -> Found {
        let name = UserName::new(name.as_bytes()).unwrap();
        table().check(QuestionId(1), &name, &password.as_bytes().into()).run().found
    }

    #[test]
    fn the_right_password_lets_in_and_nothing_else_does() {
        assert_eq!(found("alice", "alice-pass"), Found::Right { address: Some([10, 30, 7, 7].into()) });
        for password in ["", "alice-pas", "alice-pass ", "mallory-pass"] {
            assert_eq!(found("alice", password), Found::Wrong);
        }
        assert_eq!(found("mallory", "mallory-pass"), Found::Locked);
        assert_eq!(found("mallory", "wrong"), Found::Locked);
        assert_eq!(found("bob", "alice-pass"), Found::Nobody);
    }

    #[test]
    fn nobody_costs_as_much_as_the_costliest_user() {
        let mut users = Users::default();
        for (name, memory) in [(&b"a"[..], 8), (b"b", 64), (b"c", 16)] {
            let password = cheap_hash("x", memory);
            let user = crate::config::checked::User { password, access: Access::Open, address: None };
            users.0.insert(UserName::new(name).unwrap(), user);
        }
        let table = LocalUsers::new(users, &mut SeededRandom::new(3));
        assert_eq!(table.nobody.cost(), cheap_hash("x", 64).cost());
    }

    #[test]
    fn nothing_of_a_check_is_shown() {
        let name = UserName::new(b"alice").unwrap();
        let check = table().check(QuestionId(1), &name, &b"alice-pass"[..].into());
        let shown = format!("{check:?} {:?}", table());
        assert!(!shown.contains("alice-pass") && !shown.contains("argon2"), "{shown}");
    }
}
