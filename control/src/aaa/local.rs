//! Users of our own: one Argon2 computation for everybody who asks, known or not, of a cost that some user has.

use super::UserName;
use super::question::QuestionId;
use crate::config::checked::{Access, PasswordHash, Users};
use adit_crypto::prf::prf;
use adit_crypto::random::SecretRandom;
use adit_crypto::secret::SecretBytes;
use adit_crypto::suite::PrfId;
use std::collections::BTreeMap;
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

/// Who is in the table, and what those are checked against who are not.
#[derive(Debug)]
pub(super) struct LocalUsers {
    users: Users,
    nobodies: Nobodies,
}

impl LocalUsers {
    pub(super) fn new(users: Users, random: &mut dyn SecretRandom) -> Self {
        let nobodies = Nobodies::new(&users, random);
        Self { users, nobodies }
    }

    /// Another table. Which cost a name has that is in none stays the same, as far as some user still has it.
    pub(super) fn replace(&mut self, users: Users, random: &mut dyn SecretRandom) {
        let key = self.nobodies.key.clone();
        self.nobodies = Nobodies { key, ..Nobodies::new(&users, random) };
        self.users = users;
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
            None => Check { id, password, against: self.nobodies.like(user), who: Who::Nobody },
        }
    }
}

/// Hashes of no password. A name that is not in the table costs what some user costs, the same each time and each cost as
/// often as there are users who have it: so no time that an answer takes is one of unknown names alone, or of known ones.
#[derive(Debug)]
struct Nobodies {
    /// What decides which it is.
    key: SecretBytes,
    /// Each with the number of users that have its cost or one before it.
    hashes: Vec<(u64, PasswordHash)>,
}

impl Nobodies {
    fn new(users: &Users, random: &mut dyn SecretRandom) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        let mut salt_and_hash = [0; 48];
        random.fill(&mut salt_and_hash);
        let mut likes = BTreeMap::<u64, (u64, &PasswordHash)>::new();
        for user in users.0.values() {
            likes.entry(user.password.cost()).or_insert((0, &user.password)).0 += 1;
        }
        let mut sum = 0;
        let mut up_to = |count: u64| {
            sum += count;
            sum
        };
        let like = |(count, like)| (up_to(count), PasswordHash::of_nobody(Some(like), &salt_and_hash));
        let mut hashes: Vec<(u64, PasswordHash)> = likes.into_values().map(like).collect();
        if hashes.is_empty() {
            hashes.push((1, PasswordHash::of_nobody(None, &salt_and_hash)));
        }
        Self { key: SecretBytes::from(&key[..]), hashes }
    }

    /// What a name that nobody has is checked against.
    fn like(&self, name: &UserName) -> PasswordHash {
        let chance = prf(PrfId::HmacSha256, self.key.expose(), &[name.as_str().as_bytes()]);
        let chance = chance.expose().iter().take(8).fold(0, |number, octet| number << 8 | u64::from(*octet));
        let (last, costliest) = &self.hashes[self.hashes.len() - 1];
        let which = chance % last;
        self.hashes.iter().find(|(up_to, _)| which < *up_to).map_or(costliest, |(_, hash)| hash).clone()
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
    fn a_name_that_nobody_has_costs_what_some_user_costs_the_same_each_time() {
        let mut users = Users::default();
        for (name, memory) in [(&b"a"[..], 8), (b"b", 64), (b"c", 64), (b"d", 64)] {
            let password = cheap_hash("x", memory);
            let user = crate::config::checked::User { password, access: Access::Open, address: None };
            users.0.insert(UserName::new(name).unwrap(), user);
        }
        let table = LocalUsers::new(users, &mut SeededRandom::new(3));
        let cost = |name: String| {
            let name = UserName::new(name.as_bytes()).unwrap();
            table.check(QuestionId(1), &name, &b"x"[..].into()).against.cost()
        };
        let costs: Vec<u64> = (0..400).map(|number| cost(format!("nobody-{number}"))).collect();
        assert_eq!(costs, (0..400).map(|number| cost(format!("nobody-{number}"))).collect::<Vec<_>>());
        let cheap = costs.iter().filter(|cost| **cost == 8).count();
        assert!(
            (60..140).contains(&cheap),
            "one user in four is cheap, so one unknown name in four is: {cheap} of 400"
        );
        assert!(costs.iter().all(|cost| [8, 64].contains(cost)));
    }

    #[test]
    fn every_name_costs_one_computation_of_a_cost_of_the_tables() {
        let table = table();
        for (name, password) in [("alice", "alice-pass"), ("alice", "wrong"), ("mallory", "mallory-pass"), ("bob", "x")]
        {
            let name = UserName::new(name.as_bytes()).unwrap();
            let check = table.check(QuestionId(1), &name, &password.as_bytes().into());
            assert_eq!(check.against.cost(), cheap_hash("x", 8).cost());
        }
        let nobody = LocalUsers::new(Users::default(), &mut SeededRandom::new(3));
        let check = nobody.check(QuestionId(1), &UserName::new(b"bob").unwrap(), &b"x"[..].into());
        assert_eq!(check.against.cost(), PasswordHash::of_nobody(None, &[0; 48]).cost());
    }

    #[test]
    fn nothing_of_a_check_is_shown() {
        let name = UserName::new(b"alice").unwrap();
        let check = table().check(QuestionId(1), &name, &b"alice-pass"[..].into());
        let shown = format!("{check:?} {:?}", table());
        assert!(!shown.contains("alice-pass") && !shown.contains("argon2"), "{shown}");
    }
}
