//! Hashes of passwords.

use adit_crypto::secret::SecretBytes;
use argon2::password_hash::phc::{self, Output, Salt};
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use std::fmt;

/// Most memory that a check may take, in KiB: one is worked on at a time.
const MAX_MEMORY: u32 = 256 << 10;
/// Most rounds.
const MAX_ROUNDS: u32 = 16;
/// Most lanes.
const MAX_LANES: u32 = 16;

/// An Argon2 hash in PHC form, whose parameters are within bounds. Not a secret as the password is, but what an
/// attacker can work on: it never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(phc::PasswordHash);

/// Why it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// Not in PHC form.
    #[error("a hash that begins with $argon2id$ (`aditctl hash-password` makes one)")]
    NotPhc,
    /// Of another algorithm than Argon2.
    #[error("a hash by argon2id, argon2i or argon2d (`aditctl hash-password` makes one)")]
    NotArgon2,
    /// It has no salt, or no hash.
    #[error("a hash with its salt, of which nothing was cut off")]
    Incomplete,
    /// It would take too much.
    #[error("a hash of at most 256 MiB of memory (m=262144), 16 rounds (t) and 16 lanes (p)")]
    TooCostly,
}

impl PasswordHash {
    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    ///
    /// # Errors
    /// See [`PasswordHashError`].
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_why| PasswordHashError::NotPhc)?;
        Algorithm::try_from(hash.algorithm.as_str()).map_err(|_why| PasswordHashError::NotArgon2)?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(PasswordHashError::Incomplete);
        }
        let params = Params::try_from(&hash).map_err(|_why| PasswordHashError::NotPhc)?;
        let known = hash.version.is_none_or(|version| Version::try_from(version).is_ok());
        let small = params.m_cost() <= MAX_MEMORY && params.t_cost() <= MAX_ROUNDS && params.p_cost() <= MAX_LANES;
        match (known, small) {
            (true, true) => Ok(Self(hash)),
            (false, _) => Err(PasswordHashError::NotPhc),
            (true, false) => Err(PasswordHashError::TooCostly),
        }
    }

    /// Hashes a password with what the crate's authors (and OWASP) recommend. `None` if it is longer than 4 GiB.
    pub fn make(password: &SecretBytes, salt: &[u8; 16]) -> Option<Self> {
        let usual = (Params::DEFAULT_M_COST, Params::DEFAULT_T_COST, Params::DEFAULT_P_COST);
        Self::make_with(password, salt, usual)
    }

    /// Hashes a password with so many KiB, rounds and lanes.
    pub(crate) fn make_with(password: &SecretBytes, salt: &[u8; 16], cost: (u32, u32, u32)) -> Option<Self> {
        let params = Params::new(cost.0, cost.1, cost.2, Some(Params::DEFAULT_OUTPUT_LEN)).ok()?;
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        argon2.hash_password_into(password.expose(), salt, &mut output).ok()?;
        Some(Self(phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&params).ok()?,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(Output::new(&output).ok()?),
        }))
    }

    /// A hash of no password, as costly to check as `like`.
    pub(crate) fn of_nobody(like: Option<&Self>, chance: &[u8; 48]) -> Self {
        let (salt, output) = chance.split_at(16);
        let hash = phc::PasswordHash {
            algorithm: like.map_or(Algorithm::Argon2id.ident(), |like| like.0.algorithm),
            version: like.map_or(Some(Version::V0x13.into()), |like| like.0.version),
            params: like.map(|like| like.0.params.clone()).unwrap_or_default(),
            salt: Salt::new(salt).ok(),
            hash: Output::new(output).ok(),
        };
        Self(hash)
    }

    /// Whether it is this password's. Takes as long as its parameters want.
    pub fn is_of(&self, password: &SecretBytes) -> bool {
        Argon2::default().verify_password(password.expose(), &self.0).is_ok()
    }

    /// Memory times rounds: what a check takes, roughly.
    pub fn cost(&self) -> u64 {
        let params = Params::try_from(&self.0).unwrap_or_default();
        u64::from(params.m_cost()) * u64::from(params.t_cost())
    }

    /// For the configuration file; nowhere else.
    pub fn in_phc_form(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_made_here_reads_back_and_checks() {
        let password = SecretBytes::from(&b"correct horse"[..]);
        let made = PasswordHash::make_with(&password, &[3; 16], (64, 2, 1)).unwrap();
        let read = PasswordHash::parse(&made.in_phc_form()).unwrap();
        assert_eq!(read, made);
        assert!(read.is_of(&password));
        assert!(!read.is_of(&b"correct horsf"[..].into()));
        assert_eq!(read.cost(), 128);
    }

    /// Made by the reference implementation's command line tool (`argon2 somesalt -id -t 2 -m 16 -p 4`): its test vector.
    #[test]
    fn the_reference_implementations_hashes_are_read() {
        let text = "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";
        assert!(PasswordHash::parse(text).unwrap().is_of(&b"password"[..].into()));
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        let salt_and_hash = "$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA";
        for (text, error) in [
            ("", PasswordHashError::NotPhc),
            ("hunter2", PasswordHashError::NotPhc),
            (
                "$pbkdf2-sha256$i=1000$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
                PasswordHashError::NotArgon2,
            ),
            ("$argon2id$v=19$m=8,t=1,p=1", PasswordHashError::Incomplete),
            ("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ", PasswordHashError::Incomplete),
        ] {
            assert_eq!(PasswordHash::parse(text), Err(error), "{text}");
        }
        for (cost, fits) in [
            ("m=262144,t=16,p=16", true),
            ("m=262145,t=1,p=1", false),
            ("m=64,t=17,p=1", false),
            ("m=1024,t=1,p=17", false),
        ] {
            let read = PasswordHash::parse(&format!("$argon2id$v=19${cost}{salt_and_hash}"));
            assert_eq!(read.is_ok(), fits, "{cost}");
        }
    }

    #[test]
    fn nobodys_hash_is_no_passwords_and_costs_the_same() {
        let like = PasswordHash::make_with(&b"x"[..].into(), &[3; 16], (32, 3, 1)).unwrap();
        let nobody = PasswordHash::of_nobody(Some(&like), &[9; 48]);
        assert_eq!(nobody.cost(), like.cost());
        assert!(!nobody.is_of(&b"x"[..].into()));
        assert!(!PasswordHash::of_nobody(None, &[9; 48]).is_of(&b""[..].into()));
    }
}
