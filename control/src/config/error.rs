//! What an operator must change: file, line, key, what was expected, what was found, and the nearest valid name.

use super::checked::PasswordHashError;
use super::proposal::ProposalTextError;
use crate::ike::identity::IdTextError;
use std::fmt;
use std::path::PathBuf;

/// One mistake. Its text is one line: `aditd.toml:12: [ike] dpd_dealy: unknown key; did you mean "dpd_delay"?`
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// As it was named on the command line.
    pub file: String,
    /// Counted from 1; `None` if the file as a whole is meant.
    pub line: Option<usize>,
    /// `[ike] dpd_delay`; empty if the file as a whole is meant.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// All mistakes of a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// What is wrong with a key. No variant ever holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file itself.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A section that does not exist.
    #[error("unknown section; {}", suggest(.nearest.as_deref(), .known))]
    UnknownSection {
        /// The nearest that exists.
        nearest: Option<String>,
        /// All that exist.
        known: Vec<String>,
    },
    /// A section written as another kind of table.
    #[error("expected {expected}, found {found}")]
    SectionKind {
        /// `a section [ike]`
        expected: String,
        /// `a list of sections [[ike]]`
        found: &'static str,
    },
    /// A key that does not exist here.
    #[error("unknown key; {}", .elsewhere.as_ref().map_or_else(|| suggest(.nearest.as_deref(), .known), |section| format!("it belongs in {section}")))]
    UnknownKey {
        /// The nearest that exists here.
        nearest: Option<String>,
        /// The section that has a key of this very name.
        elsewhere: Option<String>,
        /// All keys of this section.
        known: Vec<String>,
    },
    /// A key that must be there.
    #[error("missing: expected {0}")]
    Missing(String),
    /// A value of the wrong kind or out of range.
    #[error("expected {expected}, found {found}{}", .hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Misfit {
        /// Kind, range and an example.
        expected: String,
        /// The value, or its kind where it may be secret.
        found: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A proposal that says nothing sensible.
    #[error("expected a proposal such as \"{example}\", found \"{found}\": at word {word}, {error}")]
    Proposal {
        /// A good one.
        example: &'static str,
        /// As written.
        found: String,
        /// Position of the word, from 1.
        word: usize,
        /// What is wrong with it.
        error: ProposalTextError,
    },
    /// A proposal with algorithms that nobody should use any more.
    #[error(
        "expected algorithms that hold, found {found} in \"{proposal}\"; for clients that have nothing better write `legacy = true` into this [[connection]]"
    )]
    Weak {
        /// Which, and why.
        found: String,
        /// As it reads back.
        proposal: String,
    },
    /// An identity that says nothing sensible.
    #[error("expected an identity such as \"{example}\", found \"{found}\": {error}")]
    Identity {
        /// A good one.
        example: &'static str,
        /// As written.
        found: String,
        /// What is wrong with it.
        error: IdTextError,
    },
    /// A name that must be unique.
    #[error("expected a name of its own, found \"{name}\", which line {line} has already")]
    DuplicateName {
        /// As written.
        name: String,
        /// Where it was first.
        line: usize,
    },
    /// A pool that does not exist.
    #[error("expected the name of a [[pool]], found \"{name}\"; {}", suggest(.nearest.as_deref(), .known))]
    UnknownPool {
        /// As written.
        name: String,
        /// The nearest that exists.
        nearest: Option<String>,
        /// All that exist.
        known: Vec<String>,
    },
    /// A class that does not exist.
    #[error("expected the name of a [[class]], found \"{name}\"; {}", suggest(.nearest.as_deref(), .known))]
    UnknownClass {
        /// As written.
        name: String,
        /// The nearest that exists.
        nearest: Option<String>,
        /// All that exist.
        known: Vec<String>,
    },
    /// Two pools give the same addresses.
    #[error("expected addresses of its own, found {found}, which overlaps {other} of pool \"{pool}\" in line {line}")]
    OverlappingPools {
        /// This range.
        found: String,
        /// The range before.
        other: String,
        /// Its pool.
        pool: String,
        /// Its line.
        line: usize,
    },
    /// Two ranges of one family in one pool.
    #[error("expected at most one {family} range in a pool, found {found} after {first}; make a second [[pool]]")]
    SecondRange {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The range too many.
        found: String,
        /// The one before.
        first: String,
    },
    /// A key, or a word, that has a meaning only beside another.
    #[error("expected only {needs}, found {found}")]
    Misplaced {
        /// Where it fits.
        needs: String,
        /// Where it is.
        found: String,
    },
    /// What stands for a password's hash is none. It is never shown.
    #[error("expected {0}, found something else (not shown: it may be secret)")]
    PasswordHash(PasswordHashError),
    /// A file of certificates, or of their key, cannot be used.
    #[error("expected a file with {what}, found {}: {error}", .path.display())]
    Certificate {
        /// `our certificates`
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        error: String,
    },
    /// Two keys that exclude each other.
    #[error("expected either {this} or {other}, found both (the other is in line {line})")]
    Both {
        /// This key.
        this: &'static str,
        /// The other.
        other: &'static str,
        /// The other's line.
        line: usize,
    },
    /// The same value twice where each may stand once.
    #[error("expected each once, found {0} twice")]
    Twice(String),
    /// A core that is not there.
    #[error("expected a core that adit may run on ({available}), found {found}")]
    NoSuchCore {
        /// Its number.
        found: usize,
        /// `0, 1`
        available: String,
    },
    /// A file that holds a secret cannot be used.
    #[error("expected a file with {what} that only its owner can read, found {}: {error}", .path.display())]
    SecretFile {
        /// `a pre-shared key`
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        error: SecretFileError,
    },
    /// The text of a key is not what its prefix promises.
    #[error("expected {0}")]
    SecretText(SecretTextError),
}

/// Why a secret's file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretFileError {
    /// The system says no.
    #[error("{0}")]
    Unreadable(String),
    /// Permission bits for group or others.
    #[error("others can read it (mode {0:04o}); run `chmod 600` on it")]
    OpenToOthers(u32),
    /// More than a key.
    #[error("it has {found} octets, {most} are allowed at most")]
    TooLong {
        /// Octets.
        found: u64,
        /// Octets.
        most: u64,
    },
    /// Not a usable key.
    #[error("its content: expected {0}")]
    Content(SecretTextError),
}

/// Why a key's text cannot be used. The text itself is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretTextError {
    /// Nothing there.
    #[error("a secret, found nothing")]
    Empty,
    /// `0x…`
    #[error("pairs of hexadecimal digits after 0x, found something else")]
    NotHex,
    /// `0s…`
    #[error("base64 after 0s, found something else")]
    NotBase64,
}

/// Something that works but is probably not meant. Same shape as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// As it was named on the command line.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// `[[connection]] "staff" psk`
    pub key: String,
    /// One sentence.
    pub sentence: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: warning: {}", self.file, self.line, self.key, self.sentence)
    }
}

/// The candidate most like `written`, if any is like it at all.
pub(super) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (near, similarity) = candidates
        .into_iter()
        .map(|candidate| (candidate, strsim::jaro_winkler(written, candidate)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (similarity > 0.75).then(|| near.to_owned())
}

fn suggest(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    }
}
